/* judge.c - core.judge: how likely a model finds drums that were played. */
#include <string.h>

#include "../net/blas.h"
#include "../play/judge.h"
#include "lnd.h"

/* `style`: a Sequence whose drums have it, an index among the model's, its
 * numbers, or false and nil: not given. */
static const float *read_style(lua_State *L, int arg, const nd_drummer *d) {
  int type = lnd_opt(L, arg, "style"), at = lua_gettop(L);        /* style */
  if (type == LUA_TNIL || (type == LUA_TBOOLEAN && !lua_toboolean(L, at))) return NULL;
  return lnd_style(L, at, d);
}

/* Element i of option `key`, or the option itself where it is no list; pushed. */
static int element(lua_State *L, int arg, const char *key, lua_Integer i) {
  int type = lua_isnil(L, arg) ? (lua_pushnil(L), LUA_TNIL) : lnd_opt(L, arg, key);
  if (type != LUA_TTABLE) return type;
  type = lua_rawgeti(L, -1, i);
  lua_remove(L, -2);
  return type;
}

static void read_case(lua_State *L, int arg, lua_Integer i, nd_case *c) {
  if (element(L, arg, "song", i) != LUA_TNIL) c->song = lnd_check(L, lua_gettop(L), LND_SEQUENCE);
  lua_pop(L, 1);                          /* the table still holds it */
  if (element(L, arg, "at", i) != LUA_TNIL) {
    int32_t length = nd_sequence_steps(c->song != NULL ? c->song : c->drums);
    int ok;
    lua_Integer at = lua_tointegerx(L, -1, &ok);
    if (!ok || at < 1 || at > length) luaL_error(L, "option 'at': it is not a step of the song");
    c->at = (int32_t)at - 1;
  }
  lua_pop(L, 1);
}

/* How many cases `song` and `at` make; 0 when neither is a list. */
static lua_Integer count_cases(lua_State *L, int arg) {
  static const char *const lists[] = {"song", "at", NULL};
  lua_Integer n = 0;
  for (int k = 0; lists[k] != NULL && !lua_isnil(L, arg); k++) {
    if (lnd_opt(L, arg, lists[k]) == LUA_TTABLE) {
      lua_Integer many = (lua_Integer)lua_rawlen(L, -1);
      if (many < 1 || many > 65536) luaL_error(L, "option '%s': 1 to 65536 are needed", lists[k]);
      if (n > 0 && many != n) luaL_error(L, "options 'song' and 'at' are lists of the same length");
      n = many;
    }
    lua_pop(L, 1);
  }
  return n;
}

/* core.judge(model, seq, {…}): a number a step, or a list of such lists when
 * `song` or `at` is a list */
static int core_judge(lua_State *L) {
  static const char *const names[] = {"song", "at", "from", "steps", "style", "history", NULL};
  const nd_drummer *d = lnd_check_drummer(L, 1);
  const nd_sequence *drums = lnd_check(L, 2, LND_SEQUENCE);
  lnd_opts(L, 3, names);
  lua_settop(L, 3);
  int32_t length = nd_sequence_steps(drums);
  nd_case base = {.drums = drums};
  base.from = (int32_t)lnd_opt_int(L, 3, "from", 1, 1, length) - 1;
  base.steps = (int32_t)lnd_opt_int(L, 3, "steps", length - base.from, 1, length - base.from);
  base.at = base.from;
  base.no_history = !lnd_opt_bool(L, 3, "history", true);
  if (!lua_isnil(L, 3)) base.style = read_style(L, 3, d);
  lua_Integer many = count_cases(L, 3), n = many > 0 ? many : 1;
  size_t steps = (size_t)base.steps;
  nd_case *cases = lua_newuserdatauv(L, (size_t)n * sizeof *cases, 0);
  float **out = lua_newuserdatauv(L, (size_t)n * sizeof *out, 0);
  float *values = lua_newuserdatauv(L, (size_t)n * steps * sizeof *values, 0);
  for (lua_Integer i = 0; i < n; i++) {
    cases[i] = base;
    read_case(L, 3, i + 1, &cases[i]);
    out[i] = values + (size_t)i * steps;
  }
  nd_error err;
  int former = nd_blas_threads(1);
  nd_status status = nd_judge(d, cases, (int32_t)n, out, &err);
  (void)nd_blas_threads(former);
  if (status != ND_OK) return lnd_raise(L, &err);
  if (many > 0) lua_createtable(L, (int)n, 0);                         /* lists */
  for (lua_Integer i = 0; i < n; i++) {
    lua_createtable(L, base.steps, 0);                                 /* [lists,]list */
    for (int32_t t = 0; t < base.steps; t++) {
      lua_pushnumber(L, (lua_Number)out[i][t]);
      lua_rawseti(L, -2, t + 1);
    }
    if (many > 0) lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void lnd_open_judge(lua_State *L) {
  static const luaL_Reg functions[] = {{"judge", core_judge}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
