/* cpu.c - opens neuraldrummer.cpu, a module without OpenBLAS behind it, to be
 * loaded before the one that has it.
 *
 * OpenBLAS chooses its kernels while it is loaded, by the CPU's family: one that
 * is newer than itself it takes for an older one, and runs at half speed. The
 * variable OPENBLAS_CORETYPE tells it better. A host may have threads that read
 * the environment at any time, so that it is not changed: for as long as the
 * library loads, `environ` points to a copy with the variable in it. */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "../base/cpu.h"

static const char variable[] = "OPENBLAS_CORETYPE";

/* Of the process, as the environment is: OpenBLAS is loaded but once. */
static atomic_flag begun = ATOMIC_FLAG_INIT;
static _Atomic(const char *) told;

#if defined(__linux__)

extern char **environ;

/* The environment and one variable more; NULL without memory. Never freed:
 * another thread might still be reading it. */
static char **with_variable(const char *value) {
  static char text[sizeof variable + 16];
  static char **copy;
  size_t n = 0;
  while (environ != NULL && environ[n] != NULL) n++;
  copy = malloc((n + 2) * sizeof *copy);
  if (copy == NULL) return NULL;
  if (n > 0) memcpy(copy, environ, n * sizeof *copy);
  (void)snprintf(text, sizeof text, "%s=%s", variable, value);
  copy[n] = text;
  copy[n + 1] = NULL;
  return copy;
}

/* Calls the function on the stack with its argument, the variable being set. */
static int call_with(lua_State *L, const char *value) {
  char **former = environ, **ours = with_variable(value);
  if (ours == NULL) return lua_pcall(L, 1, 1, 0);
  environ = ours;
  int status = lua_pcall(L, 1, 1, 0);
  /* somebody else may have set something meanwhile, in a copy of ours */
  if (environ == ours) environ = former;
  else (void)unsetenv(variable);
  atomic_store(&told, value);
  return status;
}

#else

static int call_with(lua_State *L, const char *value) {
  (void)value;
  return lua_pcall(L, 1, 1, 0);
}

#endif

/* cpu.load(f, argument): f's result. The first call of the process tells OpenBLAS which
 * kernels to take, unless the user has. */
static int cpu_load(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 2);
  const char *value = nd_cpu_coretype();
  bool tell = value != NULL && getenv(variable) == NULL && !atomic_flag_test_and_set(&begun);
  int status = tell ? call_with(L, value) : lua_pcall(L, 1, 1, 0);
  if (status != LUA_OK) return lua_error(L);
  return 1;
}

/* cpu.told(): what OpenBLAS was told, or nil; and what fits the CPU, or nil */
static int cpu_told(lua_State *L) {
  lua_pushstring(L, atomic_load(&told));
  lua_pushstring(L, nd_cpu_coretype());
  return 2;
}

__attribute__((visibility("default"))) int luaopen_neuraldrummer_cpu(lua_State *L);

int luaopen_neuraldrummer_cpu(lua_State *L) {
  static const luaL_Reg functions[] = {{"load", cpu_load}, {"told", cpu_told}, {NULL, NULL}};
  luaL_checkversion(L);
  luaL_newlib(L, functions);
  return 1;
}
