/* drums.c - core.retime: drums moved in time; core.bar_styles: what each bar of
 * drums is like. */
#include "../music/retime.h"
#include "../music/style.h"
#include "lnd.h"

/* core.retime(seq, times [, mask]) -> sequence */
static int core_retime(lua_State *L) {
  const nd_sequence *seq = lnd_check(L, 1, LND_SEQUENCE);
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
  const nd_sequence *seq = lnd_check(L, 1, LND_SEQUENCE);
  int32_t n = seq->grid.n_bars;
  float *density = lua_newuserdatauv(L, (size_t)n * 2 * sizeof *density, 0), *fill = density + n;
  nd_style_bars(seq, density, fill);
  lua_createtable(L, n, 0);                   /* list */
  for (int32_t b = 0; b < n; b++) {
    lua_createtable(L, 0, 2);                 /* list,bar */
    lua_pushnumber(L, (lua_Number)density[b]);
    lua_setfield(L, -2, "density");
    lua_pushboolean(L, fill[b] > 0);
    lua_setfield(L, -2, "fill");
    lua_rawseti(L, -2, b + 1);                /* list */
  }
  return 1;
}

void lnd_open_drums(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"retime", core_retime}, {"bar_styles", core_bar_styles}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
