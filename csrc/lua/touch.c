/* touch.c - core.touch: velocities and offsets for hits that are known. */
#include "../net/blas.h"
#include "../play/touch.h"
#include "lnd.h"

/* core.touch(model, seq, {amount, seed, known}) -> sequence */
static int core_touch(lua_State *L) {
  static const char *const names[] = {"amount", "seed", "known", NULL};
  const nd_drummer *touch = lnd_check_drummer(L, 1);
  const nd_sequence *seq = lnd_check(L, 2, LND_SEQUENCE);
  lnd_opts(L, 3, names);
  lua_settop(L, 3);
  float amount = (float)lnd_opt_num(L, 3, "amount", 1.0, 0.0, 1.0);
  uint64_t seed = (uint64_t)lnd_opt_int(L, 3, "seed", 1, 0, LUA_MAXINTEGER);
  const uint8_t *known = NULL;
  if (!lua_isnil(L, 3) && lnd_opt(L, 3, "known") != LUA_TNIL) {
    size_t n = 0, cells = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
    if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "option 'known': a string is needed");
    known = (const uint8_t *)lua_tolstring(L, -1, &n);
    if (n != cells) return luaL_error(L, "option 'known': %I bytes are needed", (LUAI_UACINT)cells);
  }
  nd_sequence *out;
  nd_error err;
  int former = nd_blas_threads(1);
  nd_status status = nd_touch_apply(touch, seq, amount, seed, known, &out, &err);
  (void)nd_blas_threads(former);
  if (status != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, out);
}

void lnd_open_touch(lua_State *L) {
  lua_pushcfunction(L, core_touch);
  lua_setfield(L, -2, "touch");
}
