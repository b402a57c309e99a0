/* explain.c - core.explain: why a model found the hits of some steps likely. */
#include <math.h>

#include "../net/blas.h"
#include "../play/explain.h"
#include "lnd.h"

static void set_number(lua_State *L, const char *key, double v) {
  lua_pushnumber(L, v);
  lua_setfield(L, -2, key);
}

/* {name = sum over steps} of values (steps, n); of the metrics, or the voices. */
static void push_sums(lua_State *L, const char *key, const nd_kit *voices, int32_t steps,
                      int32_t n, const float *values) {
  lua_createtable(L, 0, n);                                         /* reasons,sums */
  for (int32_t i = 0; i < n; i++) {
    double sum = 0;
    for (int32_t t = 0; t < steps; t++) sum += (double)values[(size_t)t * (size_t)n + (size_t)i];
    set_number(L, voices != NULL ? voices->voice_names[i] : nd_metric_name(i), sum);
  }
  lua_setfield(L, -2, key);
}

/* Earlier hits that weigh at least `least`, in order of time. */
static void push_earlier(lua_State *L, const nd_kit *kit, int32_t steps, const float *hits,
                         double least) {
  lua_newtable(L);                                                  /* reasons,list */
  lua_Integer n = 0;
  for (int32_t t = 0; t < steps; t++)
    for (int32_t v = 0; v < kit->n_voices; v++) {
      double w = (double)hits[(size_t)t * (size_t)kit->n_voices + (size_t)v];
      if (!(fabs(w) >= least)) continue;
      lua_createtable(L, 0, 3);                                     /* reasons,list,hit */
      lua_pushinteger(L, t + 1);
      lua_setfield(L, -2, "step");
      lua_pushstring(L, kit->voice_names[v]);
      lua_setfield(L, -2, "voice");
      set_number(L, "weight", w);
      lua_rawseti(L, -2, ++n);
    }
  lua_setfield(L, -2, "earlier");
}

static void push_reasons(lua_State *L, const nd_drummer *d, int32_t steps, const nd_target *target,
                         const nd_reasons *r) {
  const nd_kit *kit = &d->tokeniser.kit;
  lua_createtable(L, 0, 9);                                         /* reasons */
  lua_pushinteger(L, target->step + 1);
  lua_setfield(L, -2, "step");
  lua_pushstring(L, kit->voice_names[target->voice]);
  lua_setfield(L, -2, "voice");
  set_number(L, "logit", (double)r->logit);
  set_number(L, "probability", 1.0 / (1.0 + exp(-(double)r->logit)));
  set_number(L, "style", (double)r->style);
  push_sums(L, "metrics", NULL, steps, ND_N_METRICS, r->song);
  push_sums(L, "voices", kit, steps, kit->n_voices, r->hits);
  lua_createtable(L, 0, kit->n_voices);                             /* reasons,simultaneous */
  for (int32_t v = 0; v < kit->n_voices; v++)
    if (r->beside[v] != 0.0f) set_number(L, kit->voice_names[v], (double)r->beside[v]);
  lua_setfield(L, -2, "simultaneous");
  lua_createtable(L, steps, 0);                                     /* reasons,song */
  for (int32_t t = 0; t < steps; t++) {
    double sum = 0;
    for (int32_t m = 0; m < ND_N_METRICS; m++) sum += (double)r->song[(size_t)t * ND_N_METRICS + (size_t)m];
    lua_pushnumber(L, sum);
    lua_rawseti(L, -2, t + 1);
  }
  lua_setfield(L, -2, "song");
  push_earlier(L, kit, steps, r->hits, 0.01);
}

/* core.explain(model, seq, from, to, style): the hits of these steps */
static int core_explain(lua_State *L) {
  const nd_drummer *d = lnd_check_drummer(L, 1);
  const nd_sequence *seq = lnd_check(L, 2, LND_SEQUENCE);
  int32_t steps = nd_sequence_steps(seq), V = nd_sequence_voices(seq);
  lua_Integer from = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  luaL_argcheck(L, from >= 1 && from <= steps, 3, "no such step");
  luaL_argcheck(L, to >= from && to <= steps, 4, "no such step, or before the first");
  luaL_argcheck(L, to - from < 256, 4, "at most 256 steps can be explained at once");
  float style[ND_MAX_STYLE_SIZE];
  if (!lua_isnoneornil(L, 5)) luaL_checktype(L, 5, LUA_TBOOLEAN);
  bool styled = lua_toboolean(L, 5);
  if (styled) (void)nd_style_measure(seq, NULL, style);
  int32_t n = 0;
  nd_target *targets = lua_newuserdatauv(L, (size_t)(to - from + 1) * (size_t)V * sizeof *targets, 0);
  for (int32_t t = (int32_t)from - 1; t < to; t++)
    for (int32_t v = 0; v < V; v++)
      if (seq->hits[(size_t)t * (size_t)V + (size_t)v] > 0) targets[n++] = (nd_target){t, v};
  /* a few at a time: their reasons are as long as the song */
  enum { SIDE = 8 };
  size_t song = (size_t)steps * ND_N_METRICS, hits = (size_t)steps * (size_t)V;
  float *block = lua_newuserdatauv(L, SIDE * (song + hits) * sizeof *block, 0);
  lua_createtable(L, n, 0);                                         /* list */
  for (int32_t at = 0; at < n; at += SIDE) {
    int32_t many = n - at < SIDE ? n - at : SIDE;
    nd_reasons reasons[SIDE];
    for (int32_t i = 0; i < many; i++) {
      reasons[i].song = block + (size_t)i * (song + hits);
      reasons[i].hits = reasons[i].song + song;
    }
    nd_error err;
    int former = nd_blas_threads(1);
    nd_status status = nd_explain(d, seq, styled ? style : NULL, targets + at, many, reasons, &err);
    (void)nd_blas_threads(former);
    if (status != ND_OK) return lnd_raise(L, &err);
    for (int32_t i = 0; i < many; i++) {
      push_reasons(L, d, steps, &targets[at + i], &reasons[i]);
      lua_rawseti(L, -2, at + i + 1);
    }
  }
  return 1;
}

void lnd_open_explain(lua_State *L) {
  static const luaL_Reg functions[] = {{"explain", core_explain}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
