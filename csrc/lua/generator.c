/* generator.c - the generator userdata and core.play. */
#include "../play/performance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "direction.h"
#include "model.h"
#include "push.h"

typedef struct generator {
  nd_generator *g;
  lnd_box *model;        /* a share: */
  nd_drummer *drummer;   /* this is the model's */
  int threads;
} generator;

/* The engine's generator refers to the model, which may go with this share. */
static void release(void *p) {
  generator *g = p;
  nd_generator_free(g->g);
  lnd_release(g->model);
  free(g);
}

const lnd_class lnd_generator = {"neuraldrummer.generator", release};

static generator *check(lua_State *L) { return lnd_check(L, 1, &lnd_generator); }

/* The options of core.generator; what is not given is the drummer's. */
static nd_generator_options read_options(lua_State *L, int arg, const nd_drummer *d) {
  static const char *const starts[] = {"blank", "count-in", "basic", "random", NULL};
  static const char *const entries[] = {"band", "always", NULL};
  nd_generator_options o = nd_generator_defaults(d);
  const double cutoff = lnd_opt_num(L, arg, "cutoff", -1.0, 0.0, 1.0);
  if (cutoff >= 0.0) {
    o.cutoff = (float)cutoff;
    o.temperature = 0.0f;
  }
  const double temperature = lnd_opt_num(L, arg, "temperature", -1.0, 0.0, 100.0);
  if (cutoff >= 0.0 && temperature > 0.0)
    luaL_error(L, "options 'cutoff' and 'temperature' exclude each other");
  if (temperature >= 0.0) o.temperature = (float)temperature;
  o.temperature_spread =
      (float)lnd_opt_num(L, arg, "variation", (double)o.temperature_spread, 0.0, 1.0);
  o.seed = (uint64_t)lnd_opt_int(L, arg, "seed", 1, 0, LUA_MAXINTEGER);
  o.forced = (int32_t)lnd_opt_int(L, arg, "forced", o.forced, 0, ND_MAX_VOICES);
  o.start = (nd_start)lnd_opt_choice(L, arg, "start", (int)o.start, starts);
  const double velocity = lnd_opt_num(L, arg, "velocity", (double)o.velocity / 127.0, 0.0, 1.0);
  o.velocity = (uint8_t)fmax(1.0, round(velocity * 127.0));
  o.playable = lnd_opt_bool(L, arg, "playable", o.playable);
  o.play_always = lnd_opt_choice(L, arg, "enter", o.play_always ? 1 : 0, entries) == 1;
  return o;
}

/* core.generator(model, {…}) */
static int core_generator(lua_State *L) {
  static const char *const names[] = {"seed", "temperature", "cutoff", "forced", "start", "prime",
                                      "velocity", "threads", "playable", "enter", "variation",
                                      NULL};
  const nd_drummer *d = lnd_check_drummer(L, 1);
  lnd_opts(L, 2, names);
  lua_settop(L, 2);
  const nd_generator_options o = read_options(L, 2, d);
  const int threads = (int)lnd_opt_int(L, 2, "threads", 1, 1, 256);
  const nd_sequence *prime = NULL;
  if (lnd_opt(L, 2, "prime") != LUA_TNIL) prime = lnd_check(L, 3, &lnd_sequence);   /* prime */
  lnd_box *box = lnd_push(L, &lnd_generator, NULL);                 /* prime,generator */
  generator *g = box->p = lnd_calloc(L, 1, sizeof *g);
  g->model = lnd_retain(L, 1, &lnd_model);
  g->drummer = ((lnd_model_object *)g->model->p)->drummer;
  g->threads = threads;
  nd_error err;
  nd_drummer_pack(g->drummer);  /* once for all generators of the model */
  nd_blas_begin(threads);
  nd_status status = nd_generator_make(&g->g, g->drummer, &o, prime, &err);
  nd_blas_end();
  return status == ND_OK ? 1 : lnd_raise(L, &err);
}

/* --------------------------------------------------------------- whole performances */

enum { GENERATORS = 1, SONG, DIRECTIONS, MAX_TAKES = 256 };

typedef struct performance {
  nd_performance *p;
  int32_t n;
  bool list;              /* return a list */
  nd_generator **generators;
  nd_direction *directions;
} performance;

/* Pushes the drums of each take. */
static void performance_finish(lua_State *L, lnd_job *job) {
  const performance *w = job->context;
  nd_error err;
  if (nd_performance_end(w->p, &err) != ND_OK) lnd_raise(L, &err);
  if (w->list) lua_createtable(L, w->n, 0);                         /* [list] */
  for (int32_t i = 0; i < w->n; i++) {
    (void)lnd_push_sequence(L, nd_performance_result(w->p, i));       /* [list,]seq */
    if (w->list) lua_rawseti(L, -2, i + 1);
  }
}

/* A job for n takes, which owns the arrays that the engine reads until the end. */
static lnd_job *performance_begin(lua_State *L, int32_t n, bool list) {
  lnd_job *job = lnd_job_begin(L, performance_finish, sizeof(performance));
  performance *w = job->context;
  w->n = n;
  w->list = list;
  w->generators = lnd_job_alloc(L, job, (size_t)n * sizeof *w->generators);
  w->directions = lnd_job_alloc(L, job, (size_t)n * sizeof *w->directions);
  return job;
}

/* Take i is that of the generator at `at`, under the direction at `direction`. */
static void add_take(lua_State *L, lnd_job *job, int32_t i, int at, int direction,
                     const nd_sequence *song) {
  const performance *w = job->context;
  const generator *g = lnd_job_retain(L, job, at, &lnd_generator);
  if (g->threads > job->threads) job->threads = g->threads;
  w->generators[i] = g->g;
  if (i == 0) nd_drummer_pack(g->drummer);
  lnd_read_direction(L, direction, job, g->drummer, song, &w->directions[i]);
}

/* Starts the performance and runs the job. */
static int performance_run(lua_State *L, lnd_job *job, const nd_sequence *song) {
  performance *w = job->context;
  nd_error err;
  if (nd_performance_make(&w->p, w->generators, w->n, song, w->directions, &err) != ND_OK)
    return lnd_raise(L, &err);
  job->work = nd_performance_job(w->p);
  return lnd_job_run(L);
}

/* generator:play(seq, direction, pause) */
static int generator_play(lua_State *L) {
  (void)check(L);
  (void)lnd_check(L, SONG, &lnd_sequence);
  lnd_job *job = performance_begin(L, 1, false);
  const nd_sequence *song = lnd_job_retain(L, job, SONG, &lnd_sequence);
  add_take(L, job, 0, GENERATORS, DIRECTIONS, song);
  return performance_run(L, job, song);
}

/* core.play(generators, seq, directions, pause): `directions` is a list of as many, or
 * one direction for all */
static int core_play(lua_State *L) {
  luaL_checktype(L, GENERATORS, LUA_TTABLE);
  (void)lnd_check(L, SONG, &lnd_sequence);
  const lua_Integer n = (lua_Integer)lua_rawlen(L, GENERATORS);
  luaL_argcheck(L, n >= 1 && n <= MAX_TAKES, GENERATORS, "1 to 256 generators are needed");
  if (!lua_isnoneornil(L, DIRECTIONS)) luaL_checktype(L, DIRECTIONS, LUA_TTABLE);
  const bool each = lua_istable(L, DIRECTIONS) && lua_rawlen(L, DIRECTIONS) > 0;
  if (each && (lua_Integer)lua_rawlen(L, DIRECTIONS) != n)
    return luaL_argerror(L, DIRECTIONS,
                         "there are as many directions as generators, or one for all");
  lnd_job *job = performance_begin(L, (int32_t)n, true);
  const nd_sequence *song = lnd_job_retain(L, job, SONG, &lnd_sequence);
  const int top = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    (void)lua_rawgeti(L, GENERATORS, i);                            /* generator */
    if (each) (void)lua_rawgeti(L, DIRECTIONS, i);
    else lua_pushvalue(L, DIRECTIONS);                              /* generator,direction */
    if (!lua_isnil(L, -1)) luaL_checktype(L, -1, LUA_TTABLE);
    add_take(L, job, (int32_t)i - 1, top + 1, top + 2, song);
    lua_settop(L, top);
  }
  return performance_run(L, job, song);
}

/* ----------------------------------------------------------------------- the style */

/* Pushes the numbers, index and name of the style that it plays in; nil for none, and
 * the numbers alone for a style that is not one of the model's. Returns how many. */
static int push_style(lua_State *L, const generator *g) {
  const float *numbers;
  const int32_t i = nd_generator_style(g->g, &numbers);
  if (numbers == NULL) {
    lua_pushnil(L);
    return 1;
  }
  const int32_t V = g->drummer->tokeniser.kit.n_voices, traits = nd_style_traits(V);
  const bool groove = numbers[traits] >= 0.0f;
  (void)lnd_push_numbers(L, numbers, (size_t)(groove ? nd_style_size(V) : traits), 1);
  if (i < 0) return 1;
  size_t n;
  const char *name = nd_styles_name(&g->drummer->styles, i, &n);
  lua_pushinteger(L, i + 1);
  lua_pushlstring(L, name, n);
  return 3;
}

/* generator:style() -> index and name of the style of the last song, or nil */
static int generator_style(lua_State *L) {
  if (push_style(L, check(L)) == 3) return 2;
  lua_pushnil(L);
  return 1;
}

/* generator:choose(seq, style) -> the style that it would play the song in */
static int generator_choose(lua_State *L) {
  generator *g = check(L);
  const nd_sequence *song = lnd_check(L, 2, &lnd_sequence);
  float style[ND_MAX_STYLE_SIZE];
  nd_direction d = {0};
  nd_error err;
  lua_settop(L, 3);
  lnd_read_style_choice(L, 3, g->drummer, style, &d);
  nd_drummer_pack(g->drummer);
  if (nd_generator_choose(g->g, song, &d, &err) != ND_OK) return lnd_raise(L, &err);
  return push_style(L, g);
}

/* -------------------------------------------------------------------- step by step */

/* Raises the error for an unknown name, with the nearest one. */
static int no_metric(lua_State *L, int arg, const char *key) {
  const char *names[ND_N_METRICS + 2] = {[ND_N_METRICS] = "bar"};
  for (int m = 0; m < ND_N_METRICS; m++) names[m] = nd_metric_name(m);
  return luaL_argerror(L, arg, lua_pushfstring(L, "no metric '%s'; did you mean '%s'?", key,
                                               lnd_nearest(key, names)));
}

/* Reads {intensity = …, bar = true, …}. Returns whether a bar starts. */
static bool read_metrics(lua_State *L, int arg, float *metrics) {
  bool bar = false;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);                                                   /* key */
  while (lua_next(L, arg) != 0) {                                   /* key,value */
    if (lua_type(L, -2) != LUA_TSTRING) luaL_argerror(L, arg, "a metric's name is a string");
    const char *key = lua_tostring(L, -2);
    if (strcmp(key, "bar") == 0) {
      bar = lua_toboolean(L, -1);
    } else {
      const int m = nd_metric_find(key);
      if (m < 0) no_metric(L, arg, key);
      const double v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : (double)NAN;
      if (!(v >= -1e6 && v <= 1e6))
        luaL_argerror(L, arg, lua_pushfstring(L, "metric '%s' is not a number in -1e6..1e6", key));
      metrics[m] = (float)v;
    }
    lua_pop(L, 1);
  }
  return bar;
}

/* generator:step(metrics) -> {kick = 0.8, …}. Products of one row need no BLAS, so that
 * the count of its threads does not matter. */
static int generator_step(lua_State *L) {
  generator *g = check(L);
  const nd_kit *kit = &g->drummer->tokeniser.kit;
  float metrics[ND_N_METRICS] = {0};
  uint8_t hits[ND_MAX_VOICES];
  if (!nd_generator_live(g->g))
    return luaL_error(L, "this model reads the whole song first: use play(), or a causal model");
  const bool bar = read_metrics(L, 2, metrics);
  nd_generator_step(g->g, metrics, bar, hits);
  if (!nd_generator_is_finite(g->g))
    return luaL_error(L, "the model produced NaN probabilities; its weights are corrupt");
  lua_createtable(L, 0, 4);                                         /* hits */
  for (int32_t v = 0; v < kit->n_voices; v++)
    if (hits[v] > 0) lnd_set_num(L, kit->voice_names[v], hits[v] / 127.0);
  return 1;
}

/* generator:probabilities() -> {kick = 0.9, …} of the last step */
static int generator_probabilities(lua_State *L) {
  const generator *g = check(L);
  const nd_kit *kit = &g->drummer->tokeniser.kit;
  const float *probabilities = nd_generator_probabilities(g->g);
  lua_createtable(L, 0, kit->n_voices);                             /* probabilities */
  for (int32_t v = 0; v < kit->n_voices; v++)
    lnd_set_num(L, kit->voice_names[v], (double)probabilities[v]);
  return 1;
}

/* generator:reset(): the same seed, no history */
static int generator_reset(lua_State *L) {
  generator *g = check(L);
  nd_drummer_pack(g->drummer);
  nd_blas_begin(g->threads);
  nd_generator_reset(g->g);
  nd_blas_end();
  return 0;
}

static int generator_tostring(lua_State *L) {
  const generator *g = lnd_peek(L, 1, &lnd_generator);
  if (g == NULL) lua_pushliteral(L, "generator (closed)");
  else lua_pushfstring(L, "generator of model: %s", g->drummer->preset);
  return 1;
}

void lnd_open_generator(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"play", generator_play}, {"choose", generator_choose}, {"style", generator_style},
    {"step", generator_step}, {"probabilities", generator_probabilities},
    {"reset", generator_reset}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", generator_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"generator", core_generator}, {"play", core_play}, {NULL, NULL}};
  lnd_type(L, &lnd_generator, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
