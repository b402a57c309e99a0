/* lock.c - core.lock: one process or state at a time for a piece of work. */
#include <stdlib.h>

#include "../base/file.h"
#include "lnd.h"

#define LND_LOCK "neuraldrummer.lock"

static void release(void *p) {
  nd_lock_release(p);
  free(p);
}

/* core.lock(path) -> lock; false when another holds it; nil and a message */
static int core_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lnd_box *box = lnd_push(L, LND_LOCK, 0);            /* lock */
  nd_lock *lock = nd_calloc(1, sizeof *lock);
  if (lock == NULL) return luaL_error(L, "not enough memory");
  nd_error err;
  nd_status status = nd_lock_take(lock, path, &err);
  if (status == ND_OK) {
    box->p = lock;
    return 1;
  }
  free(lock);
  if (status != ND_LIMIT) return lnd_fail(L, &err, path);
  lua_pushboolean(L, false);
  return 1;
}

static int lock_tostring(lua_State *L) {
  const lnd_box *box = lnd_check_box(L, 1, LND_LOCK);
  lua_pushfstring(L, "lock: %s", box->p == NULL ? "closed" : ((nd_lock *)box->p)->path);
  return 1;
}

void lnd_open_lock(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};  /* but for close */
  static const luaL_Reg meta[] = {{"__tostring", lock_tostring}, {NULL, NULL}};
  lnd_type(L, LND_LOCK, methods, meta, release);
  lua_pushcfunction(L, core_lock);
  lua_setfield(L, -2, "lock");                        /* core */
}
