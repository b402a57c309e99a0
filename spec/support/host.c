/* host.c - a program with a Lua of its own, for trying the module in others'
 * processes: host COUNT SCRIPT ARGUMENT…  runs the script in COUNT states, one
 * after another. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[1]) : 0;
  if (count < 1) return 2;
#ifdef __linux__
  /* Else the kernel may put pages together to huge ones when it likes, and what
   * the process takes would grow by chance. */
  (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
#endif
  for (int i = 0; i < count; i++) {
    lua_State *L = luaL_newstate();
    if (L == NULL) return 3;
    luaL_openlibs(L);
    lua_createtable(L, argc, 0);
    for (int k = 3; k < argc; k++) {
      lua_pushstring(L, argv[k]);
      lua_rawseti(L, -2, k - 2);
    }
    lua_setglobal(L, "arg");
    if (luaL_dofile(L, argv[2])) {
      fprintf(stderr, "%s\n", lua_tostring(L, -1));
      lua_close(L);
      return 1;
    }
    lua_close(L);
  }
  return 0;
}
