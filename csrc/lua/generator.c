/* generator.c - the generator userdata. User value 1: the model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../play/generator.h"
#include "lnd.h"

typedef struct generator {
  nd_generator *g;
  const nd_drummer *drummer;   /* the model's; looked at only after check() */
  int threads;
} generator;

static int generator_close(lua_State *L) {
  lnd_box *box = luaL_checkudata(L, 1, LND_GENERATOR);
  generator *g = box->p;
  box->p = NULL;
  if (g != NULL) nd_generator_free(g->g);
  free(g);
  return 0;
}

/* Raises when the model was closed. */
static generator *check(lua_State *L) {
  generator *g = lnd_check(L, 1, LND_GENERATOR);
  lnd_check_behind(L, 1, 1);
  return g;
}

/* core.generator(model, {…}) */
static int core_generator(lua_State *L) {
  static const char *const names[] = {"seed", "temperature", "cutoff", "forced", "start",
                                      "prime", "velocity", "threads", NULL};
  static const char *const starts[] = {"blank", "count-in", "basic", "random", NULL};
  const nd_drummer *d = lnd_check_drummer(L, 1);
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
  o.seed = (uint64_t)lnd_opt_int(L, 2, "seed", 1, 0, LUA_MAXINTEGER);
  o.forced = (int32_t)lnd_opt_int(L, 2, "forced", o.forced, 0, ND_MAX_VOICES);
  o.start = (nd_start)lnd_opt_choice(L, 2, "start", (int)o.start, starts);
  double velocity = lnd_opt_num(L, 2, "velocity", (double)o.velocity / 127.0, 0.0, 1.0);
  o.velocity = (uint8_t)fmax(1.0, round(velocity * 127.0));
  int threads = (int)lnd_opt_int(L, 2, "threads", 1, 1, 256);
  const nd_sequence *prime = NULL;
  if (!lua_isnil(L, 2) && lua_getfield(L, 2, "prime") != LUA_TNIL)
    prime = lnd_check(L, -1, LND_SEQUENCE);

  lnd_box *box = lnd_push(L, LND_GENERATOR, 1);                     /* box */
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  generator *g = nd_calloc(1, sizeof *g);
  if (g == NULL) return luaL_error(L, "not enough memory");
  box->p = g;
  g->drummer = d;
  g->threads = threads;
  nd_error err;
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

static int generator_play(lua_State *L) {
  generator *g = check(L);
  const nd_sequence *song = lnd_check(L, 2, LND_SEQUENCE);
  nd_sequence *played;
  nd_error err;
  int former = nd_blas_threads(g->threads);
  nd_status status = nd_generator_play(g->g, song, &played, &err);
  (void)nd_blas_threads(former);
  if (status != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, played);
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
      int m = 0;
      while (m < ND_N_METRICS && strcmp(nd_metric_name(m), key) != 0) m++;
      if (m == ND_N_METRICS) luaL_argerror(L, arg, lua_pushfstring(L, "no metric '%s'", key));
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
  bool bar = read_metrics(L, 2, metrics);
  int former = nd_blas_threads(g->threads);
  nd_generator_step(g->g, metrics, bar, hits);
  (void)nd_blas_threads(former);
  lua_createtable(L, 0, 4);
  for (int32_t v = 0; v < kit->n_voices; v++) {
    if (hits[v] == 0) continue;
    lua_pushnumber(L, hits[v] / 127.0);
    lua_setfield(L, -2, kit->voice_names[v]);
  }
  return 1;
}

static int generator_odds(lua_State *L) {
  generator *g = check(L);
  const nd_kit *kit = &g->drummer->tokeniser.kit;
  const float *odds = nd_generator_odds(g->g);
  lua_createtable(L, 0, kit->n_voices);
  for (int32_t v = 0; v < kit->n_voices; v++) {
    lua_pushnumber(L, (lua_Number)odds[v]);
    lua_setfield(L, -2, kit->voice_names[v]);
  }
  return 1;
}

static int generator_reset(lua_State *L) {
  generator *g = check(L);
  int former = nd_blas_threads(g->threads);
  nd_generator_reset(g->g);
  (void)nd_blas_threads(former);
  return 0;
}

static int generator_tostring(lua_State *L) {
  lnd_box *box = luaL_checkudata(L, 1, LND_GENERATOR);
  lua_pushstring(L, box->p != NULL ? "generator" : "generator: closed");
  return 1;
}

void lnd_open_generator(lua_State *L) {
  static const luaL_Reg methods[] = {{"play", generator_play},   {"step", generator_step},
                                     {"odds", generator_odds},   {"reset", generator_reset},
                                     {"close", generator_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", generator_close}, {"__close", generator_close},
                                  {"__tostring", generator_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"generator", core_generator}, {NULL, NULL}};
  lnd_type(L, LND_GENERATOR, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
