/* lock.c - core.lock: one process or Lua state at a time for a piece of work. */
#include <stdlib.h>

#include "../base/file.h"
#include "lnd.h"

static void release(void *p) {
  nd_lock_release(p);
  free(p);
}

static const lnd_class lock_class = {"neuraldrummer.lock", release};

/* core.lock(path) -> lock; false when another holds it; or nil and a message */
static int core_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lnd_box *box = lnd_push(L, &lock_class, NULL);      /* lock */
  nd_lock *lock = lnd_calloc(L, 1, sizeof *lock);
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
  const nd_lock *lock = lnd_peek(L, 1, &lock_class);
  lua_pushfstring(L, "lock: %s", lock == NULL ? "closed" : lock->path);
  return 1;
}

void lnd_open_lock(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};  /* close() alone */
  static const luaL_Reg meta[] = {{"__tostring", lock_tostring}, {NULL, NULL}};
  lnd_type(L, &lock_class, methods, meta);
  lua_pushcfunction(L, core_lock);
  lua_setfield(L, -2, "lock");                        /* core */
}
