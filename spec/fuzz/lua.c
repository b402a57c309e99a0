/* Any bytes as calls of the Lua modules: `make fuzz TARGET=lua`. lua.lua reads
 * them as a program: which function, with which arguments, in which order.
 * Runs in the checkout. One Lua state serves all inputs; each starts with
 * objects of its own, and all are collected after it.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/stat.h>

#include <lauxlib.h>
#include <lualib.h>

int luaopen_neuraldrummer_core(lua_State *L);

static lua_State *state;
static fuzz_name folder;

static void finish(void) {
  lua_close(state);  /* its driver empties the folder when it is collected */
  (void)rmdir(folder.path);
}

static void start(void) {
  lua_State *L = state = luaL_newstate();
  folder = fuzz_own();
  if (L == NULL || (mkdir(folder.path, 0700) != 0 && errno != EEXIST)) exit(1);
  luaL_openlibs(L);
  luaL_requiref(L, "neuraldrummer.core", luaopen_neuraldrummer_core, 0);
  lua_settop(L, 0);
  if (luaL_loadfile(L, "spec/fuzz/lua.lua") != LUA_OK) fuzz_broken(lua_tostring(L, -1));
  lua_pushstring(L, folder.path);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) fuzz_broken(lua_tostring(L, -1));
  (void)atexit(finish);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (state == NULL) start();
  lua_pushvalue(state, 1);                                 /* driver,driver */
  lua_pushlstring(state, (const char *)data, size);        /* driver,driver,bytes */
  if (lua_pcall(state, 1, 0, 0) != LUA_OK) fuzz_broken(lua_tostring(state, -1));
  (void)lua_gc(state, LUA_GCCOLLECT);
  return 0;
}
