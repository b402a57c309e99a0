/* explain.c - core.explain: why a model found the hits of some steps likely. */
#include "../play/explain.h"

#include <math.h>

#include "../net/blas.h"
#include "model.h"
#include "push.h"

/* Earlier hits of a smaller weight (in log-odds) are left out. */
static const double min_weight = 0.01;

/* Sets key = {name = sum over steps} of values (steps, n): of the voices of a kit, or of
 * the metrics. */
static void set_sums(lua_State *L, const char *key, const nd_kit *kit, int32_t steps, int32_t n,
                     const float *values) {
  lua_createtable(L, 0, n);                                         /* reasons,sums */
  for (int32_t i = 0; i < n; i++) {
    double sum = 0;
    for (int32_t t = 0; t < steps; t++) sum += (double)values[(size_t)t * (size_t)n + (size_t)i];
    lnd_set_num(L, kit != NULL ? kit->voice_names[i] : nd_metric_name(i), sum);
  }
  lua_setfield(L, -2, key);
}

/* Sets earlier = {{step, voice, weight}, …}, in order of time. */
static void set_earlier(lua_State *L, const nd_kit *kit, int32_t steps, const float *hits) {
  lua_newtable(L);                                                  /* reasons,list */
  lua_Integer n = 0;
  for (int32_t t = 0; t < steps; t++)
    for (int32_t v = 0; v < kit->n_voices; v++) {
      const double w = (double)hits[(size_t)t * (size_t)kit->n_voices + (size_t)v];
      if (!(fabs(w) >= min_weight)) continue;
      lua_createtable(L, 0, 3);                                     /* reasons,list,hit */
      lnd_set_int(L, "step", t + 1);
      lnd_set_str(L, "voice", kit->voice_names[v]);
      lnd_set_num(L, "weight", w);
      lua_rawseti(L, -2, ++n);
    }
  lua_setfield(L, -2, "earlier");
}

static void push_reasons(lua_State *L, const nd_kit *kit, int32_t steps, const nd_target *target,
                         const nd_reasons *r) {
  lua_createtable(L, 0, 10);                                        /* reasons */
  lnd_set_int(L, "step", target->step + 1);
  lnd_set_str(L, "voice", kit->voice_names[target->voice]);
  lnd_set_num(L, "logit", (double)r->logit);
  lnd_set_num(L, "probability", 1.0 / (1.0 + exp(-(double)r->logit)));
  lnd_set_num(L, "style", (double)r->style);
  set_sums(L, "metrics", NULL, steps, ND_N_METRICS, r->song);
  set_sums(L, "voices", kit, steps, kit->n_voices, r->hits);
  lua_createtable(L, 0, kit->n_voices);                             /* reasons,simultaneous */
  for (int32_t v = 0; v < kit->n_voices; v++)
    if (r->beside[v] != 0.0f) lnd_set_num(L, kit->voice_names[v], (double)r->beside[v]);
  lua_setfield(L, -2, "simultaneous");
  lua_createtable(L, steps, 0);                                     /* reasons,song */
  for (int32_t t = 0; t < steps; t++) {
    double sum = 0;
    for (int32_t m = 0; m < ND_N_METRICS; m++)
      sum += (double)r->song[(size_t)t * ND_N_METRICS + (size_t)m];
    lua_pushnumber(L, sum);
    lua_rawseti(L, -2, t + 1);
  }
  lua_setfield(L, -2, "song");
  set_earlier(L, kit, steps, r->hits);
}

/* core.explain(model, seq, from, to, style) -> a list of the reasons of each hit of these
 * steps. It does not pause: a call is limited to 256 steps. */
static int core_explain(lua_State *L) {
  const nd_drummer *d = lnd_check_drummer(L, 1);
  const nd_sequence *seq = lnd_check(L, 2, &lnd_sequence);
  const int32_t steps = nd_sequence_steps(seq), V = nd_sequence_voices(seq);
  const lua_Integer from = luaL_checkinteger(L, 3), to = luaL_checkinteger(L, 4);
  luaL_argcheck(L, from >= 1 && from <= steps, 3, "the song has no such step");
  luaL_argcheck(L, to >= from && to <= steps, 4,
                "the song has no such step, or it is before 'from'");
  luaL_argcheck(L, to - from < 256, 4, "at most 256 steps can be explained at once");
  float style[ND_MAX_STYLE_SIZE];
  if (!lua_isnoneornil(L, 5)) luaL_checktype(L, 5, LUA_TBOOLEAN);
  const bool styled = lua_toboolean(L, 5);
  if (styled) (void)nd_style_measure(seq, NULL, style);
  int32_t n = 0;
  const size_t max_targets = (size_t)(to - from + 1) * (size_t)V;
  nd_target *targets = lua_newuserdatauv(L, max_targets * sizeof *targets, 0);
  for (int32_t t = (int32_t)from - 1; t < to; t++)
    for (int32_t v = 0; v < V; v++)
      if (seq->hits[(size_t)t * (size_t)V + (size_t)v] > 0) targets[n++] = (nd_target){t, v};
  enum { AT_ONCE = 8 };  /* the reasons of one hit take as much memory as the song */
  const size_t song = (size_t)steps * ND_N_METRICS, hits = (size_t)steps * (size_t)V;
  float *block = lua_newuserdatauv(L, AT_ONCE * (song + hits) * sizeof *block, 0);
  lua_createtable(L, n, 0);                                         /* list */
  for (int32_t done = 0; done < n; done += AT_ONCE) {
    const int32_t count = n - done < AT_ONCE ? n - done : AT_ONCE;
    nd_reasons reasons[AT_ONCE];
    for (int32_t i = 0; i < count; i++) {
      reasons[i].song = block + (size_t)i * (song + hits);
      reasons[i].hits = reasons[i].song + song;
    }
    nd_error err;
    nd_blas_begin(1);
    nd_status status =
        nd_explain(d, seq, styled ? style : NULL, targets + done, count, reasons, &err);
    nd_blas_end();
    if (status != ND_OK) return lnd_raise(L, &err);
    for (int32_t i = 0; i < count; i++) {
      push_reasons(L, &d->tokeniser.kit, steps, &targets[done + i], &reasons[i]);
      lua_rawseti(L, -2, done + i + 1);
    }
  }
  return 1;
}

void lnd_open_explain(lua_State *L) {
  static const luaL_Reg functions[] = {{"explain", core_explain}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
