/* generator.c - the generator userdata. User value 1: the model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../play/performance.h"
#include "lnd.h"

typedef struct generator {
  nd_generator *g;
  nd_drummer *drummer;         /* the model's; looked at only after check() */
  int threads;
} generator;

static void generator_free(void *p) {
  generator *g = p;
  nd_generator_free(g->g);
  free(g);
}

/* Raises when the model was closed. */
static generator *check(lua_State *L) {
  generator *g = lnd_check(L, 1, LND_GENERATOR);
  lnd_check_parent(L, 1, 1);
  return g;
}

/* core.generator(model, {…}) */
static int core_generator(lua_State *L) {
  static const char *const names[] = {"seed", "temperature", "cutoff", "forced", "start",
                                      "prime", "velocity", "threads", "playable", "enter",
                                      "variation", NULL};
  static const char *const starts[] = {"blank", "count-in", "basic", "random", NULL};
  static const char *const entries[] = {"band", "always", NULL};
  nd_drummer *d = lnd_check_drummer(L, 1);
  lnd_opts(L, 2, names);
  lua_settop(L, 2);
  nd_generator_options o = nd_generator_defaults(d);
  double cutoff = lnd_opt_num(L, 2, "cutoff", -1.0, 0.0, 1.0);
  if (cutoff >= 0.0) {
    o.cutoff = (float)cutoff;
    o.temperature = 0.0f;
  }
  double temperature = lnd_opt_num(L, 2, "temperature", -1.0, 0.0, 100.0);
  if (cutoff >= 0.0 && temperature > 0.0)
    return luaL_error(L, "options 'cutoff' and 'temperature' are two ways of choosing: give one");
  if (temperature >= 0.0) o.temperature = (float)temperature;
  o.temperature_spread =
      (float)lnd_opt_num(L, 2, "variation", (double)o.temperature_spread, 0.0, 1.0);
  o.seed = (uint64_t)lnd_opt_int(L, 2, "seed", 1, 0, LUA_MAXINTEGER);
  o.forced = (int32_t)lnd_opt_int(L, 2, "forced", o.forced, 0, ND_MAX_VOICES);
  o.start = (nd_start)lnd_opt_choice(L, 2, "start", (int)o.start, starts);
  double velocity = lnd_opt_num(L, 2, "velocity", (double)o.velocity / 127.0, 0.0, 1.0);
  o.velocity = (uint8_t)fmax(1.0, round(velocity * 127.0));
  o.playable = lnd_opt_bool(L, 2, "playable", o.playable);
  o.play_always = lnd_opt_choice(L, 2, "enter", o.play_always ? 1 : 0, entries) == 1;
  int threads = (int)lnd_opt_int(L, 2, "threads", 1, 1, 256);
  const nd_sequence *prime = NULL;
  if (!lua_isnil(L, 2) && lnd_opt(L, 2, "prime") != LUA_TNIL)
    prime = lnd_check(L, -1, LND_SEQUENCE);

  lnd_box *box = lnd_push(L, LND_GENERATOR, 1);                     /* box */
  lnd_stand(L, -1, 1, 1);
  generator *g = nd_calloc(1, sizeof *g);
  if (g == NULL) return luaL_error(L, "not enough memory");
  box->p = g;
  g->drummer = d;
  g->threads = threads;
  nd_error err;
  nd_drummer_pack(d);
  int former = nd_blas_threads(threads);
  nd_status status = nd_generator_make(&g->g, d, &o, prime, &err);
  (void)nd_blas_threads(former);
  if (status != ND_OK) {
    box->p = NULL;
    free(g);
    return lnd_raise(L, &err);
  }
  return 1;
}

/* ---- direction: a table, read into scratch that Lua owns */

const float *lnd_style(lua_State *L, int at, const nd_drummer *drummer) {
  const nd_kit *kit = &drummer->tokeniser.kit;
  int32_t size = nd_style_size(kit->n_voices);
  float *style = lua_newuserdatauv(L, (size_t)size * sizeof *style, 0);
  if (lua_type(L, at) == LUA_TNUMBER) {
    const nd_styles *s = &drummer->styles;
    lua_Integer i = luaL_checkinteger(L, at);
    if (i < 1 || i > s->n) luaL_error(L, "option 'style': the model has %d styles", s->n);
    memcpy(style, s->style + (size_t)(i - 1) * (size_t)size, (size_t)size * sizeof *style);
  } else if (lua_istable(L, at)) {
    int32_t traits = nd_style_traits(kit->n_voices), n = (int32_t)lua_rawlen(L, at);
    if (n != size && n != traits)
      luaL_error(L, "option 'style': %d numbers are needed, or %d with a groove", traits, size);
    for (int32_t k = n; k < size; k++) style[k] = ND_NO_GROOVE;
    for (int32_t k = 0; k < n; k++) {
      double v = lua_rawgeti(L, at, k + 1) == LUA_TNUMBER ? lua_tonumber(L, -1) : (double)NAN;
      if (!(v >= 0.0 && v <= 1.0)) luaL_error(L, "option 'style': number %d is not in 0..1", k + 1);
      style[k] = (float)v;
      lua_pop(L, 1);
    }
  } else {
    const nd_sequence *of = lnd_check(L, at, LND_SEQUENCE);
    if (!nd_kit_equal(&of->settings.kit, kit))
      luaL_error(L, "option 'style': the sequence has another kit than the model");
    (void)nd_style_measure(of, NULL, style);
  }
  return style;
}

/* The style at the top of the stack: false (none), an index among the model's,
 * a Sequence whose drums have it, or its numbers. */
static void read_style(lua_State *L, const generator *g, nd_direction *d) {
  const nd_styles *s = &g->drummer->styles;
  int at = lua_gettop(L), type = lua_type(L, at);
  if (type == LUA_TNIL) return;
  if (type == LUA_TBOOLEAN && !lua_toboolean(L, at)) {
    d->no_style = true;
  } else if (type == LUA_TNUMBER) {
    lua_Integer i = luaL_checkinteger(L, at);
    if (i < 1 || i > s->n) luaL_error(L, "option 'style': the model has %d styles", s->n);
    d->style_number = (int32_t)i;
  } else {
    d->style = lnd_style(L, at, g->drummer);
  }
}

/* A value a bar: numbers, or booleans as 0 and 1; false and nil in `numbers`
 * are not asked for. NULL when the option is not given. */
static const float *read_bars(lua_State *L, int arg, const char *key, int32_t n_bars, bool flags) {
  if (lnd_opt(L, arg, key) == LUA_TNIL) {
    lua_pop(L, 1);
    return NULL;
  }
  int at = lua_gettop(L);
  if (!lua_istable(L, at)) luaL_error(L, "option '%s': a table of bars is needed", key);
  float *out = lua_newuserdatauv(L, (size_t)n_bars * sizeof *out, 0);
  for (int32_t b = 0; b < n_bars; b++) {
    int type = lua_rawgeti(L, at, b + 1);
    out[b] = NAN;
    if (flags && type == LUA_TBOOLEAN) {
      out[b] = lua_toboolean(L, -1) ? 1.0f : 0.0f;
    } else if (!flags && type == LUA_TNUMBER) {
      double v = lua_tonumber(L, -1);
      if (!(v >= -3.0 && v <= 3.0)) luaL_error(L, "option '%s': bar %d is not in -3..3", key, b + 1);
      out[b] = (float)v;
    } else if (type != LUA_TNIL && !(type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) {
      luaL_error(L, "option '%s': bar %d has a %s", key, b + 1, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
  }
  return out;
}

/* `given` is a Sequence of the same length, `known` a byte a cell (not 0:
 * kept), by step and voice; without it every cell of `given` is kept. */
static lnd_box *read_given(lua_State *L, int arg, const nd_sequence *song, nd_direction *d) {
  size_t cells = (size_t)nd_sequence_steps(song) * (size_t)nd_sequence_voices(song), n = 0;
  if (lnd_opt(L, arg, "fixed") == LUA_TNIL) {
    if (lnd_opt(L, arg, "mask") != LUA_TNIL)
      luaL_error(L, "option 'mask': it needs 'fixed'");
    return NULL;
  }
  const nd_sequence *given = lnd_check(L, -1, LND_SEQUENCE);
  lnd_box *box = lua_touserdata(L, -1);
  if (nd_sequence_steps(given) != nd_sequence_steps(song))
    luaL_error(L, "option 'fixed': it has %d steps, the song %d", (int)nd_sequence_steps(given),
               (int)nd_sequence_steps(song));
  if (!nd_kit_equal(&given->settings.kit, &song->settings.kit))
    luaL_error(L, "option 'fixed': it has another kit than the song");
  d->fixed = given;
  if (lnd_opt(L, arg, "mask") == LUA_TSTRING) {
    d->fixed_mask = (const uint8_t *)lua_tolstring(L, -1, &n);
    if (n != cells) luaL_error(L, "option 'mask': %I bytes are needed", (LUAI_UACINT)cells);
  } else if (lua_isnil(L, -1)) {
    uint8_t *all = lua_newuserdatauv(L, cells, 0);
    memset(all, 1, cells);
    d->fixed_mask = all;
  } else {
    luaL_error(L, "option 'mask': a string is needed");
  }
  return box;
}

/* ---- playing: one generator, or several side by side, in slices */

enum { GENERATORS = 1, SONG, DIRECTIONS, PAUSE, PLAYING, WORK, ANCHORS, MOST = 256 };

/* What a playing works with: Lua's own memory, at WORK. */
typedef struct work {
  int32_t n;
  bool list;                  /* a list is to be returned */
  int threads;
  int n_boxes;
  nd_generator *generators[MOST];
  nd_direction directions[MOST];
  lnd_box *boxes[3 * MOST + 1];   /* of all that it stands on */
} work;

/* Keeps what is at the top of the stack, and pops it. */
static void anchor(lua_State *L) {
  lua_rawseti(L, ANCHORS, (lua_Integer)lua_rawlen(L, ANCHORS) + 1);
}

/* The generator at index `at`, whose model must be open, for one take more. */
static generator *add_generator(lua_State *L, work *w, int at) {
  generator *g = lnd_check(L, at, LND_GENERATOR);
  w->boxes[w->n_boxes++] = lua_touserdata(L, at);
  w->boxes[w->n_boxes++] = lnd_push_parent(L, at, 1);               /* model */
  anchor(L);
  if (g->threads > w->threads) w->threads = g->threads;
  w->generators[w->n++] = g->g;
  return g;
}

/* The direction of take `i`, a table or nil at the top of the stack; what it
 * points to goes into the table at ANCHORS. */
static void add_direction(lua_State *L, work *w, int32_t i, const generator *g,
                          const nd_sequence *song) {
  static const char *const names[] = {"fixed", "mask", "style", "density", "fills", NULL};
  int at = lua_gettop(L);
  nd_direction *d = &w->directions[i];
  lnd_opts(L, at, names);
  if (!lua_isnil(L, at)) {
    lnd_box *given = read_given(L, at, song, d);
    if (given != NULL) w->boxes[w->n_boxes++] = given;
    (void)lnd_opt(L, at, "style");
    read_style(L, g, d);
    d->density = read_bars(L, at, "density", song->grid.n_bars, false);
    d->fill = read_bars(L, at, "fills", song->grid.n_bars, true);
  }
  while (lua_gettop(L) >= at) anchor(L);
}

static int play_on(lua_State *L, int called, lua_KContext context) {
  lnd_box *box = lua_touserdata(L, PLAYING);
  work *w = lua_touserdata(L, WORK);
  (void)called;
  for (bool more = true; more;) {
    double products = lnd_slice(L, PAUSE);
    nd_error err;
    lnd_check_open(L, &box, 1);
    lnd_check_open(L, w->boxes, w->n_boxes);
    int former = nd_blas_threads(w->threads);
    nd_status status = nd_performance_advance(box->p, &products, &more, &err);
    if (status == ND_OK && !more) status = nd_performance_end(box->p, &err);
    (void)nd_blas_threads(former);
    if (status != ND_OK) return lnd_raise(L, &err);
    if (more) {
      lnd_push_pause(L, PAUSE, products);
      lua_callk(L, 1, 0, context, play_on);
    }
  }
  if (w->list) lua_createtable(L, w->n, 0);                         /* [list] */
  for (int32_t i = 0; i < w->n; i++) {
    (void)lnd_push_sequence(L, nd_performance_result(box->p, i));         /* [list,]seq */
    if (w->list) lua_rawseti(L, -2, i + 1);
  }
  nd_performance *done = box->p;
  box->p = NULL;
  nd_performance_free(done);
  return 1;
}

static int play_from(lua_State *L, work *w, const nd_sequence *song) {
  lnd_box *box = lua_touserdata(L, PLAYING);
  nd_error err;
  nd_performance *p;
  if (nd_performance_make(&p, w->generators, w->n, song, w->directions, &err) != ND_OK)
    return lnd_raise(L, &err);
  box->p = p;
  return play_on(L, LUA_OK, 0);
}

/* Slots for what outlives a pause. */
static work *lay_out(lua_State *L, bool list) {
  lua_settop(L, PAUSE);
  lnd_check_pause(L, PAUSE);
  (void)lnd_push(L, LND_PLAYING, 0);                                /* playing */
  work *w = lua_newuserdatauv(L, sizeof *w, 0);                     /* work */
  *w = (work){.list = list};
  lua_newtable(L);                                                  /* anchors */
  w->boxes[w->n_boxes++] = lua_touserdata(L, SONG);
  return w;
}

/* generator:play(seq, direction, pause) */
static int generator_play(lua_State *L) {
  generator *g = check(L);
  const nd_sequence *song = lnd_check(L, SONG, LND_SEQUENCE);
  work *w = lay_out(L, false);
  (void)add_generator(L, w, GENERATORS);
  nd_drummer_pack(g->drummer);
  lua_pushvalue(L, DIRECTIONS);
  add_direction(L, w, 0, g, song);
  return play_from(L, w, song);
}

/* core.play(generators, seq, directions, pause): `directions` is a list of them,
 * or one for all */
static int core_play(lua_State *L) {
  luaL_checktype(L, GENERATORS, LUA_TTABLE);
  const nd_sequence *song = lnd_check(L, SONG, LND_SEQUENCE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, GENERATORS);
  luaL_argcheck(L, n >= 1 && n <= MOST, GENERATORS, "1 to 256 generators are needed");
  if (!lua_isnoneornil(L, DIRECTIONS)) luaL_checktype(L, DIRECTIONS, LUA_TTABLE);
  work *w = lay_out(L, true);
  bool each = lua_istable(L, DIRECTIONS) && lua_rawlen(L, DIRECTIONS) > 0;
  if (each && (lua_Integer)lua_rawlen(L, DIRECTIONS) != n)
    return luaL_argerror(L, DIRECTIONS, "there are as many directions as generators, or one for all");
  for (lua_Integer i = 1; i <= n; i++) {
    (void)lua_rawgeti(L, GENERATORS, i);                            /* generator */
    int at = lua_gettop(L);
    const generator *g = add_generator(L, w, at);
    if (i == 1) nd_drummer_pack(g->drummer);
    if (each) (void)lua_rawgeti(L, DIRECTIONS, i);
    else lua_pushvalue(L, DIRECTIONS);                              /* generator,direction */
    if (!lua_isnil(L, -1)) luaL_checktype(L, -1, LUA_TTABLE);
    add_direction(L, w, (int32_t)i - 1, g, song);
    anchor(L);
  }
  return play_from(L, w, song);
}

static void playing_free(void *p) { nd_performance_free(p); }

/* numbers, index, name of the style that it has committed to; nil for none */
static int push_style(lua_State *L, const generator *g) {
  const float *numbers;
  int32_t i = nd_generator_style(g->g, &numbers);
  if (numbers == NULL) return lua_pushnil(L), 1;
  int32_t V = g->drummer->tokeniser.kit.n_voices;
  int32_t size = numbers[nd_style_traits(V)] < 0.0f ? nd_style_traits(V) : nd_style_size(V);
  lua_createtable(L, size, 0);
  for (int32_t k = 0; k < size; k++) {
    lua_pushnumber(L, (lua_Number)numbers[k]);
    lua_rawseti(L, -2, k + 1);
  }
  if (i < 0) return 1;
  size_t n;
  const char *name = nd_styles_name(&g->drummer->styles, i, &n);
  lua_pushinteger(L, i + 1);
  lua_pushlstring(L, name, n);
  return 3;
}

/* generator:style(): index and name of the style that the last song was
 * played in, or nil */
static int generator_style(lua_State *L) {
  if (push_style(L, check(L)) < 3) return lua_pushnil(L), 1;
  return 2;
}

/* generator:choose(seq, style): the style that it would play the song in */
static int generator_choose(lua_State *L) {
  generator *g = check(L);
  const nd_sequence *song = lnd_check(L, 2, LND_SEQUENCE);
  nd_direction d = {0};
  nd_error err;
  lua_settop(L, 3);
  read_style(L, g, &d);
  nd_drummer_pack(g->drummer);
  if (nd_generator_choose(g->g, song, &d, &err) != ND_OK) return lnd_raise(L, &err);
  return push_style(L, g);
}

static int no_metric(lua_State *L, int arg, const char *key) {
  const char *names[ND_N_METRICS + 2] = {[ND_N_METRICS] = "bar"};
  for (int m = 0; m < ND_N_METRICS; m++) names[m] = nd_metric_name(m);
  return luaL_argerror(L, arg, lua_pushfstring(L, "no metric '%s'; did you mean '%s'?", key,
                                               lnd_nearest(key, names)));
}

/* {intensity = …, bar = true, …} -> metrics; unknown names raise. */
static bool read_metrics(lua_State *L, int arg, float *metrics) {
  bool bar = false;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);                                                   /* key */
  while (lua_next(L, arg) != 0) {                                   /* key,value */
    if (lua_type(L, -2) != LUA_TSTRING) luaL_argerror(L, arg, "metrics are named");
    const char *key = lua_tostring(L, -2);
    if (strcmp(key, "bar") == 0) {
      bar = lua_toboolean(L, -1);
    } else {
      int m = nd_metric_find(key);
      if (m < 0) no_metric(L, arg, key);
      double v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : (double)NAN;
      if (!(v >= -1e6 && v <= 1e6))
        luaL_argerror(L, arg, lua_pushfstring(L, "metric '%s' is not a finite number", key));
      metrics[m] = (float)v;
    }
    lua_pop(L, 1);
  }
  return bar;
}

static int generator_step(lua_State *L) {
  generator *g = check(L);
  const nd_kit *kit = &g->drummer->tokeniser.kit;
  float metrics[ND_N_METRICS] = {0};
  uint8_t hits[ND_MAX_VOICES];
  if (!nd_generator_live(g->g))
    return luaL_error(L, "this model hears the whole song first: use play, or a causal model");
  bool bar = read_metrics(L, 2, metrics);
  int former = nd_blas_threads(g->threads);
  nd_generator_step(g->g, metrics, bar, hits);
  (void)nd_blas_threads(former);
  if (!nd_generator_is_finite(g->g))
    return luaL_error(L, "the model produced NaN probabilities; its weights are corrupt");
  lua_createtable(L, 0, 4);
  for (int32_t v = 0; v < kit->n_voices; v++) {
    if (hits[v] == 0) continue;
    lua_pushnumber(L, hits[v] / 127.0);
    lua_setfield(L, -2, kit->voice_names[v]);
  }
  return 1;
}

static int generator_probabilities(lua_State *L) {
  generator *g = check(L);
  const nd_kit *kit = &g->drummer->tokeniser.kit;
  const float *probabilities = nd_generator_probabilities(g->g);
  lua_createtable(L, 0, kit->n_voices);
  for (int32_t v = 0; v < kit->n_voices; v++) {
    lua_pushnumber(L, (lua_Number)probabilities[v]);
    lua_setfield(L, -2, kit->voice_names[v]);
  }
  return 1;
}

static int generator_reset(lua_State *L) {
  generator *g = check(L);
  nd_drummer_pack(g->drummer);
  int former = nd_blas_threads(g->threads);
  nd_generator_reset(g->g);
  (void)nd_blas_threads(former);
  return 0;
}

static int generator_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_GENERATOR);
  if (box->p == NULL) {
    lua_pushliteral(L, "generator (closed)");
    return 1;
  }
  lua_getiuservalue(L, 1, 1);                             /* model, which may be closed */
  lua_pushfstring(L, "generator of %s", luaL_tolstring(L, -1, NULL));
  return 1;
}

void lnd_open_generator(lua_State *L) {
  static const luaL_Reg methods[] = {{"play", generator_play},   {"choose", generator_choose},
                                     {"style", generator_style}, {"step", generator_step},
                                     {"probabilities", generator_probabilities},{"reset", generator_reset}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", generator_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"generator", core_generator}, {"play", core_play},
                                       {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lnd_type(L, LND_PLAYING, NULL, none, playing_free);
  lnd_type(L, LND_GENERATOR, methods, meta, generator_free);
  luaL_setfuncs(L, functions, 0);
}
