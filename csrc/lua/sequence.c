/* sequence.c - Sequences: what was played, what is heard, step by step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../music/self_similarity.h"
#include "../music/style.h"
#include "../music/tokens.h"
#include "lnd.h"

#define LND_LINE "neuraldrummer.line"  /* text on its way to Lua */

static nd_sequence *check(lua_State *L) { return lnd_check(L, 1, LND_SEQUENCE); }

static int push_closed(lua_State *L) {
  (void)lnd_push(L, LND_SEQUENCE, 0);
  return 1;
}

int lnd_push_sequence(lua_State *L, nd_sequence *seq) {
  /* making the box may raise, and nobody holds the Sequence yet */
  if (!lua_checkstack(L, 2)) {
    nd_sequence_free(seq);
    return luaL_error(L, "stack overflow");
  }
  lua_pushcfunction(L, push_closed);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {                  /* box */
    nd_sequence_free(seq);
    return lua_error(L);
  }
  lnd_box *box = lua_touserdata(L, -1);
  box->p = seq;
  lnd_grew(L, nd_sequence_bytes(seq));
  return 1;
}

/* The step at `arg`, from 0. */
static int32_t check_step(lua_State *L, const nd_sequence *seq, int arg) {
  lua_Integer i = luaL_checkinteger(L, arg);
  luaL_argcheck(L, i >= 1 && i <= nd_sequence_steps(seq), arg, "no such step");
  return (int32_t)(i - 1);
}

static int sequence_tokens(lua_State *L) {
  nd_sequence *seq = check(L);
  lnd_box *box = lnd_push(L, LND_LINE, 0);                /* line */
  lua_toclose(L, -1);  /* also when pushing the text raises */
  char *line;
  size_t len;
  nd_error err;
  if (nd_tokens_write(seq, &line, &len, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  box->p = line;
  lua_pushlstring(L, line, len);                          /* line,text */
  return 1;
}

static void push_hits(lua_State *L, const nd_sequence *seq, int32_t step) {
  int32_t voices = nd_sequence_voices(seq);
  const uint8_t *hits = seq->hits + (size_t)step * (size_t)voices;
  lua_newtable(L);                                        /* hits */
  for (int32_t v = 0; v < voices; v++) {
    if (hits[v] == 0) continue;
    lua_pushnumber(L, hits[v] / 127.0);
    lua_setfield(L, -2, seq->settings.kit.voice_names[v]);
  }
}

static int sequence_hits(lua_State *L) {
  nd_sequence *seq = check(L);
  if (!lua_isnoneornil(L, 2)) {
    push_hits(L, seq, check_step(L, seq, 2));
    return 1;
  }
  lua_createtable(L, nd_sequence_steps(seq), 0);          /* list */
  for (int32_t t = 0; t < nd_sequence_steps(seq); t++) {
    push_hits(L, seq, t);
    lua_rawseti(L, -2, t + 1);
  }
  return 1;
}

static int sequence_next(lua_State *L) {
  const nd_sequence *seq = check(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || i >= nd_sequence_steps(seq)) return 0;
  lua_pushinteger(L, i + 1);
  push_hits(L, seq, (int32_t)i);
  return 2;
}

static int sequence_pairs(lua_State *L) { return lnd_pairs(L, sequence_next); }

static int sequence_packed_hits(lua_State *L) {
  nd_sequence *seq = check(L);
  size_t n = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  lua_pushlstring(L, (const char *)seq->hits, n);
  return 1;
}

/* Signed bytes, 1/256 of a step each, one a cell as packed_hits. */
static int sequence_packed_offsets(lua_State *L) {
  const nd_sequence *seq = lnd_check(L, 1, LND_SEQUENCE);
  lua_pushlstring(L, (const char *)seq->offsets,
                  (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq));
  return 1;
}

static int sequence_metrics(lua_State *L) {
  nd_sequence *seq = check(L);
  const float *metrics = seq->metrics + (size_t)check_step(L, seq, 2) * ND_N_METRICS;
  lua_createtable(L, 0, ND_N_METRICS);                    /* metrics */
  for (int m = 0; m < ND_N_METRICS; m++) {
    lua_pushnumber(L, (lua_Number)metrics[m]);
    lua_setfield(L, -2, nd_metric_name(m));
  }
  return 1;
}

static int sequence_metric(lua_State *L) {
  nd_sequence *seq = check(L);
  const char *name = luaL_checkstring(L, 2);
  int m = nd_metric_find(name);
  if (m < 0)
    return luaL_argerror(L, 2, lua_pushfstring(L, "no metric is named '%s'", name));
  lua_createtable(L, nd_sequence_steps(seq), 0);          /* list */
  for (int32_t t = 0; t < nd_sequence_steps(seq); t++) {
    lua_pushnumber(L, (lua_Number)seq->metrics[(size_t)t * ND_N_METRICS + (size_t)m]);
    lua_rawseti(L, -2, t + 1);
  }
  return 1;
}

static int sequence_bars(lua_State *L) {
  nd_sequence *seq = check(L);
  lua_createtable(L, seq->grid.n_bars, 0);                /* list */
  for (int32_t b = 0; b < seq->grid.n_bars; b++) {
    const nd_bar *bar = &seq->grid.bars[b];
    const int32_t next = b + 1 < seq->grid.n_bars ? bar[1].step : nd_sequence_steps(seq);
    lua_createtable(L, 0, 4);                             /* list,bar */
    lua_pushinteger(L, bar->step + 1);
    lua_setfield(L, -2, "first");
    lua_pushinteger(L, next);
    lua_setfield(L, -2, "last");
    lua_pushinteger(L, bar->numerator);
    lua_setfield(L, -2, "numerator");
    lua_pushinteger(L, bar->denominator);
    lua_setfield(L, -2, "denominator");
    lua_rawseti(L, -2, b + 1);
  }
  return 1;
}

static int sequence_voices(lua_State *L) { return lnd_push_voices(L, &check(L)->settings.kit); }

static int sequence_settings(lua_State *L) { return lnd_push_settings(L, &check(L)->settings); }

static int sequence_name(lua_State *L) {
  lua_pushstring(L, check(L)->name);
  return 1;
}

/* The velocity at the top of the stack as 0..127; 0..1 for users. */
static uint8_t get_velocity(lua_State *L, const char *voice, int32_t step) {
  if (lua_type(L, -1) == LUA_TBOOLEAN) return lua_toboolean(L, -1) ? 127 : 0;
  lua_Number v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(v >= 0 && v <= 1))
    luaL_error(L, "step %d: '%s': a velocity 0..1 or a boolean is needed", (int)step + 1, voice);
  return v > 0 && v < 0.5 / 127 ? 1 : (uint8_t)lrint(v * 127);
}

/* The hits of one step from the table at the top of the stack. */
static void get_hits(lua_State *L, const nd_kit *kit, int32_t step, uint8_t *hits) {
  if (lua_type(L, -1) != LUA_TTABLE)
    luaL_error(L, "step %d: a table of hits is needed, got %s", (int)step + 1,
               luaL_typename(L, -1));
  lua_pushnil(L);                                         /* table,key */
  while (lua_next(L, -2) != 0) {                          /* table,key,value */
    const char *voice = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    int32_t v = voice != NULL ? nd_kit_find(kit, voice) : -1;
    if (v < 0)
      luaL_error(L, "step %d: the kit has no voice '%s'", (int)step + 1,
                 voice != NULL ? voice : luaL_typename(L, -2));
    hits[v] = get_velocity(L, voice, step);
    lua_pop(L, 1);
  }
}

static int sequence_with_hits(lua_State *L) {
  nd_sequence *seq = check(L);
  int32_t steps = nd_sequence_steps(seq), voices = nd_sequence_voices(seq);
  size_t n = (size_t)steps * (size_t)voices, len;
  const uint8_t *hits;
  if (lua_type(L, 2) == LUA_TSTRING) {
    hits = (const uint8_t *)lua_tolstring(L, 2, &len);
    luaL_argcheck(L, len == n, 2, "packed hits are #sequence * voices bytes");
  } else {
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_argcheck(L, lua_rawlen(L, 2) == (size_t)steps, 2, "one table a step is needed");
    uint8_t *made = lua_newuserdatauv(L, n, 0);           /* made */
    memset(made, 0, n);
    for (int32_t t = 0; t < steps; t++) {
      lua_rawgeti(L, 2, t + 1);                           /* made,table */
      get_hits(L, &seq->settings.kit, t, made + (size_t)t * (size_t)voices);
      lua_pop(L, 1);
    }
    hits = made;
  }
  nd_sequence *other;
  if (nd_sequence_blank(&other, seq) != ND_OK) return luaL_error(L, "not enough memory");
  switch (nd_sequence_set_hits(other, hits, NULL)) {
  case ND_OK:
    return lnd_push_sequence(L, other);
  case ND_MISUSE:
    nd_sequence_free(other);
    return luaL_argerror(L, 2, "packed velocities are 0..127");
  default:
    nd_sequence_free(other);
    return luaL_error(L, "not enough memory");
  }
}

/* sequence:with_bars(map, from): bar b with the drums of from's bar map[b] */
static int sequence_with_bars(lua_State *L) {
  nd_sequence *seq = check(L), *other;
  luaL_checktype(L, 2, LUA_TTABLE);
  const nd_sequence *from = lua_isnoneornil(L, 3) ? seq : lnd_check(L, 3, LND_SEQUENCE);
  int32_t n = seq->grid.n_bars;
  int32_t *bars = lua_newuserdatauv(L, (size_t)n * sizeof *bars, 0);
  for (int32_t b = 0; b < n; b++) {
    int type = lua_rawgeti(L, 2, b + 1), whole = 0;
    lua_Integer bar = lua_tointegerx(L, -1, &whole);
    bars[b] = -1;
    if (type == LUA_TNUMBER && whole && bar >= 1 && bar <= INT32_MAX) {
      bars[b] = (int32_t)(bar - 1);
    } else if (type != LUA_TNIL && !(type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) {
      return luaL_argerror(L, 2, lua_pushfstring(L, "bar %d: a bar's number is needed", (int)b + 1));
    }
    lua_pop(L, 1);
  }
  nd_error err;
  if (nd_sequence_bars(&other, seq, from, bars, &err) != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, other);
}

/* sequence:style(): its numbers, as style.h has them */
static int sequence_style(lua_State *L) {
  nd_sequence *seq = check(L);
  float style[ND_MAX_STYLE_SIZE];
  (void)nd_style_measure(seq, NULL, style);
  int32_t n = nd_style_size(nd_sequence_voices(seq));
  lua_createtable(L, n, 0);                               /* list */
  for (int32_t k = 0; k < n; k++) {
    lua_pushnumber(L, (lua_Number)style[k]);
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

#define LND_SIMILARITY "neuraldrummer.self_similarity"

static void forget(void *similarity) {
  nd_similarity_clear(similarity);
  free(similarity);
}

/* What self_similarity() gives: (a, b) -> how alike two bars are */
static int similarity_of(lua_State *L) {
  const nd_similarity *l = lnd_check(L, lua_upvalueindex(1), LND_SIMILARITY);
  lua_Integer bar[2];
  for (int k = 0; k < 2; k++) {
    bar[k] = luaL_checkinteger(L, k + 1);
    luaL_argcheck(L, bar[k] >= 1 && bar[k] <= l->n_bars, k + 1, "no such bar");
  }
  lua_pushnumber(L, (lua_Number)nd_similarity_at(l, (int32_t)bar[0] - 1, (int32_t)bar[1] - 1));
  return 1;
}

/* sequence:self_similarity(): a function, as self_similarity.h has it */
static int sequence_self_similarity(lua_State *L) {
  const nd_sequence *seq = check(L);
  lnd_box *box = lnd_push(L, LND_SIMILARITY, 0);
  nd_similarity *l = nd_calloc(1, sizeof *l);
  nd_error err;
  if (l == NULL) return luaL_error(L, "not enough memory");
  if (nd_similarity_make(l, seq->metrics, &seq->grid, &err) != ND_OK) {
    free(l);
    return lnd_raise(L, &err);
  }
  box->p = l;
  lua_pushcclosure(L, similarity_of, 1);
  return 1;
}

static void release(void *seq) { nd_sequence_free(seq); }

static int sequence_len(lua_State *L) {
  lua_pushinteger(L, nd_sequence_steps(check(L)));
  return 1;
}

static int sequence_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_SEQUENCE);
  const nd_sequence *seq = box->p;
  if (seq == NULL) {
    lua_pushliteral(L, "sequence (closed)");
    return 1;
  }
  lua_Integer hits = 0;
  size_t n = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  for (size_t i = 0; i < n; i++) hits += seq->hits[i] > 0;
  lua_pushfstring(L, "sequence: %d steps, %d voices, %I hits", (int)nd_sequence_steps(seq),
                  (int)nd_sequence_voices(seq), (LUAI_UACINT)hits);
  return 1;
}

void lnd_open_sequence(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"tokens", sequence_tokens}, {"hits", sequence_hits}, {"packed_hits", sequence_packed_hits},
    {"packed_offsets", sequence_packed_offsets},
    {"metrics", sequence_metrics}, {"metric", sequence_metric}, {"bars", sequence_bars},
    {"voices", sequence_voices}, {"name", sequence_name}, {"settings", sequence_settings},
    {"with_hits", sequence_with_hits}, {"with_bars", sequence_with_bars},
    {"style", sequence_style}, {"self_similarity", sequence_self_similarity}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
    {"__len", sequence_len},
    {"__tostring", sequence_tostring}, {"__pairs", sequence_pairs}, {NULL, NULL},
  };
  static const luaL_Reg none[] = {{NULL, NULL}};
  lnd_type(L, LND_SEQUENCE, methods, meta, release);
  lnd_type(L, LND_LINE, NULL, none, free);
  lnd_type(L, LND_SIMILARITY, NULL, none, forget);
}
