/* sequence.c - Sequences: drums and metrics of a song on its grid, step by step; and
 * core.retime and core.bar_styles, which take one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../music/retime.h"
#include "../music/self_similarity.h"
#include "../music/style.h"
#include "../music/tokens.h"
#include "push.h"

/* Text on its way to Lua, which frees it if an error is raised. */
static const lnd_class line_class = {"neuraldrummer.line", free};

static nd_sequence *check(lua_State *L) { return lnd_check(L, 1, &lnd_sequence); }

/* The step number at `arg`, 1..steps, as an index from 0. */
static int32_t check_step(lua_State *L, const nd_sequence *seq, int arg) {
  lua_Integer i = luaL_checkinteger(L, arg);
  if (i < 1 || i > nd_sequence_steps(seq))
    luaL_argerror(L, arg, lua_pushfstring(L, "no such step: the song has 1..%d",
                                          (int)nd_sequence_steps(seq)));
  return (int32_t)(i - 1);
}

/* sequence:tokens() -> the line of token text */
static int sequence_tokens(lua_State *L) {
  nd_sequence *seq = check(L);
  lnd_box *box = lnd_push(L, &line_class, NULL);          /* line */
  lua_toclose(L, -1);  /* also if an error is raised */
  char *line;
  size_t len;
  nd_error err;
  if (nd_tokens_write(seq, &line, &len, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  box->p = line;
  lua_pushlstring(L, line, len);                          /* line,text */
  return 1;
}

/* Pushes {kick = 0.8, …}: the velocities of one step by voice. */
static void push_hits(lua_State *L, const nd_sequence *seq, int32_t step) {
  int32_t voices = nd_sequence_voices(seq);
  const uint8_t *hits = seq->hits + (size_t)step * (size_t)voices;
  lua_newtable(L);                                        /* hits */
  for (int32_t v = 0; v < voices; v++)
    if (hits[v] > 0) lnd_set_num(L, seq->settings.kit.voice_names[v], hits[v] / 127.0);
}

/* sequence:hits([i]) -> the hits of step i, or a list of every step's */
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

/* The iterator of pairs(sequence): object, i -> i + 1, hits */
static int sequence_next(lua_State *L) {
  const nd_sequence *seq = check(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || i >= nd_sequence_steps(seq)) return 0;
  lua_pushinteger(L, i + 1);
  push_hits(L, seq, (int32_t)i);
  return 2;
}

static int sequence_pairs(lua_State *L) { return lnd_pairs(L, sequence_next); }

/* sequence:packed_hits() -> a string of (steps, voices) bytes 0..127 */
static int sequence_packed_hits(lua_State *L) {
  nd_sequence *seq = check(L);
  size_t n = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  lua_pushlstring(L, (const char *)seq->hits, n);
  return 1;
}

/* sequence:packed_offsets() -> the offsets in the same layout, signed, in 1/256 of a step */
static int sequence_packed_offsets(lua_State *L) {
  const nd_sequence *seq = check(L);
  lua_pushlstring(L, (const char *)seq->offsets,
                  (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq));
  return 1;
}

/* sequence:metrics(i) -> {intensity = …, …} of one step */
static int sequence_metrics(lua_State *L) {
  nd_sequence *seq = check(L);
  const float *metrics = seq->metrics + (size_t)check_step(L, seq, 2) * ND_N_METRICS;
  lua_createtable(L, 0, ND_N_METRICS);                    /* metrics */
  for (int m = 0; m < ND_N_METRICS; m++) lnd_set_num(L, nd_metric_name(m), (double)metrics[m]);
  return 1;
}

/* sequence:metric(name) -> a list of one metric over all steps */
static int sequence_metric(lua_State *L) {
  nd_sequence *seq = check(L);
  const char *name = luaL_checkstring(L, 2);
  const int m = nd_metric_find(name);
  if (m < 0) return luaL_argerror(L, 2, lua_pushfstring(L, "no metric is named '%s'", name));
  return lnd_push_numbers(L, seq->metrics + m, (size_t)nd_sequence_steps(seq), ND_N_METRICS);
}

/* sequence:bars() -> {{first, last, numerator, denominator}, …}; the end of a bar is
 * the next one's first step, or the song's end */
static int sequence_bars(lua_State *L) {
  nd_sequence *seq = check(L);
  lua_createtable(L, seq->grid.n_bars, 0);                /* list */
  for (int32_t b = 0; b < seq->grid.n_bars; b++) {
    const nd_bar *bar = &seq->grid.bars[b];
    const int32_t next = b + 1 < seq->grid.n_bars ? bar[1].step : nd_sequence_steps(seq);
    lua_createtable(L, 0, 4);                             /* list,bar */
    lnd_set_int(L, "first", bar->step + 1);
    lnd_set_int(L, "last", next);
    lnd_set_int(L, "numerator", bar->numerator);
    lnd_set_int(L, "denominator", bar->denominator);
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

/* The velocity on top of the stack, 0..1 or a boolean, as 0..127. Small positive velocities
 * become 1: 0 is no hit. */
static uint8_t get_velocity(lua_State *L, const char *voice, int32_t step) {
  if (lua_type(L, -1) == LUA_TBOOLEAN) return lua_toboolean(L, -1) ? 127 : 0;
  lua_Number v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (!(v >= 0 && v <= 1))
    luaL_error(L, "step %d: '%s': a velocity 0..1 or a boolean is needed", (int)step + 1, voice);
  return v > 0 && v < 0.5 / 127 ? 1 : (uint8_t)lrint(v * 127);
}

/* Reads the hits of one step, the table on top of the stack. */
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

/* sequence:with_hits(hits) -> a copy with other hits, a list of tables or a string as
 * packed_hits() returns it */
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
  if (nd_sequence_blank(&other, seq) != ND_OK) return lnd_nomem(L);
  const nd_status status = nd_sequence_set_hits(other, hits, NULL);
  if (status == ND_OK) return lnd_push_sequence(L, other);
  nd_sequence_free(other);
  return status == ND_MISUSE ? luaL_argerror(L, 2, "packed velocities are 0..127") : lnd_nomem(L);
}

/* sequence:with_bars(map, from) -> a copy whose bar b has the drums of bar map[b] of `from`;
 * nil and false leave a bar empty */
static int sequence_with_bars(lua_State *L) {
  nd_sequence *seq = check(L), *other;
  luaL_checktype(L, 2, LUA_TTABLE);
  const nd_sequence *from = lua_isnoneornil(L, 3) ? seq : lnd_check(L, 3, &lnd_sequence);
  int32_t n = seq->grid.n_bars;
  int32_t *bars = lua_newuserdatauv(L, (size_t)n * sizeof *bars, 0);
  for (int32_t b = 0; b < n; b++) {
    int type = lua_rawgeti(L, 2, b + 1), whole = 0;
    lua_Integer bar = lua_tointegerx(L, -1, &whole);
    bars[b] = -1;
    if (type == LUA_TNUMBER && whole && bar >= 1 && bar <= INT32_MAX) {
      bars[b] = (int32_t)(bar - 1);
    } else if (type != LUA_TNIL && !(type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) {
      return luaL_argerror(L, 2,
                           lua_pushfstring(L, "bar %d: a bar's number is needed", (int)b + 1));
    }
    lua_pop(L, 1);
  }
  nd_error err;
  if (nd_sequence_bars(&other, seq, from, bars, &err) != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, other);
}

/* sequence:style() -> the numbers that style.h describes */
static int sequence_style(lua_State *L) {
  nd_sequence *seq = check(L);
  float style[ND_MAX_STYLE_SIZE];
  (void)nd_style_measure(seq, NULL, style);
  int32_t n = nd_style_size(nd_sequence_voices(seq));
  return lnd_push_numbers(L, style, (size_t)n, 1);
}

static void release_similarity(void *similarity) {
  nd_similarity_clear(similarity);
  free(similarity);
}

static const lnd_class similarity_class = {"neuraldrummer.self_similarity", release_similarity};

/* The function that self_similarity() returns: (a, b) -> similarity of two bars. Its
 * upvalue is checked like any argument: a program may have replaced it. */
static int similarity_of(lua_State *L) {
  const nd_similarity *l = lnd_check(L, lua_upvalueindex(1), &similarity_class);
  lua_Integer bar[2];
  for (int k = 0; k < 2; k++) {
    bar[k] = luaL_checkinteger(L, k + 1);
    luaL_argcheck(L, bar[k] >= 1 && bar[k] <= l->n_bars, k + 1, "the song has no such bar");
  }
  lua_pushnumber(L, (lua_Number)nd_similarity_at(l, (int32_t)bar[0] - 1, (int32_t)bar[1] - 1));
  return 1;
}

/* sequence:self_similarity() -> a function of two bars */
static int sequence_self_similarity(lua_State *L) {
  const nd_sequence *seq = check(L);
  lnd_box *box = lnd_push(L, &similarity_class, NULL);
  nd_similarity *l = lnd_calloc(L, 1, sizeof *l);
  nd_error err;
  if (nd_similarity_make(l, seq->metrics, &seq->grid, &err) != ND_OK) {
    free(l);
    return lnd_raise(L, &err);
  }
  box->p = l;
  lua_pushcclosure(L, similarity_of, 1);
  return 1;
}

/* core.retime(seq, times [, mask]) -> sequence */
static int core_retime(lua_State *L) {
  const nd_sequence *seq = check(L);
  int32_t n = nd_sequence_steps(seq);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, (int32_t)lua_rawlen(L, 2) == n, 2, "a time for each step is needed");
  size_t size = 0, cells = (size_t)n * (size_t)nd_sequence_voices(seq);
  const uint8_t *mask = (const uint8_t *)luaL_optlstring(L, 3, NULL, &size);
  luaL_argcheck(L, mask == NULL || size == cells, 3, "a byte for each cell is needed");
  double *times = lua_newuserdatauv(L, (size_t)n * sizeof *times, 0);
  for (int32_t t = 0; t < n; t++) {
    int number;
    lua_rawgeti(L, 2, t + 1);
    times[t] = lua_tonumberx(L, -1, &number) - 1;
    luaL_argcheck(L, number, 2, "times are numbers");
    lua_pop(L, 1);
  }
  nd_sequence *out;
  nd_error err;
  if (nd_retime(&out, seq, times, mask, &err) != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, out);
}

/* core.bar_styles(seq) -> {{density = …, fill = …}, …} */
static int core_bar_styles(lua_State *L) {
  const nd_sequence *seq = check(L);
  int32_t n = seq->grid.n_bars;
  float *density = lua_newuserdatauv(L, (size_t)n * 2 * sizeof *density, 0), *fill = density + n;
  nd_style_bars(seq, density, fill);
  lua_createtable(L, n, 0);                   /* list */
  for (int32_t b = 0; b < n; b++) {
    lua_createtable(L, 0, 2);                 /* list,bar */
    lnd_set_num(L, "density", (double)density[b]);
    lnd_set_bool(L, "fill", fill[b] > 0);
    lua_rawseti(L, -2, b + 1);                /* list */
  }
  return 1;
}

/* #sequence: its steps */
static int sequence_len(lua_State *L) {
  lua_pushinteger(L, nd_sequence_steps(check(L)));
  return 1;
}

static int sequence_tostring(lua_State *L) {
  const nd_sequence *seq = lnd_peek(L, 1, &lnd_sequence);
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
  static const luaL_Reg functions[] = {
    {"retime", core_retime}, {"bar_styles", core_bar_styles}, {NULL, NULL}};
  lnd_type(L, &lnd_sequence, methods, meta);
  lnd_type(L, &line_class, NULL, NULL);
  lnd_type(L, &similarity_class, NULL, NULL);
  luaL_setfuncs(L, functions, 0);
}
