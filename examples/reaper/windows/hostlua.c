/* hostlua.c - where Lua's core comes from. Windows binds a name to a file when a
 * library is loaded; a host may have its Lua in its own program, under any
 * name. So lua_* is bound late (a delay-import library), to whichever loaded
 * module exports it. */
#include <windows.h>

#include <delayimp.h>
#include <psapi.h>

/* The module of this process that exports Lua 5.4's core, or NULL. */
static HMODULE find(void) {
  HMODULE modules[1024];
  DWORD bytes = 0;
  if (!K32EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes)) return NULL;
  if (bytes > sizeof modules) bytes = sizeof modules;
  for (DWORD i = 0; i < bytes / sizeof *modules; i++)
    if (GetProcAddress(modules[i], "lua_newuserdatauv") != NULL) return modules[i];
  return NULL;
}

static FARPROC WINAPI hook(unsigned event, PDelayLoadInfo info) {
  (void)info;
  return event == dliNotePreLoadLibrary ? (FARPROC)(void *)find() : NULL;
}
PfnDliHook __pfnDliNotifyHook2 = hook;

struct lua_State;
extern int luaopen_neuraldrummer_core(struct lua_State *L);

/* What `require` calls. Without a Lua to be found there is no way to say so,
 * but nothing is called either: `require` gives true. */
int nd_open_core(struct lua_State *L) {
  return find() != NULL ? luaopen_neuraldrummer_core(L) : 0;
}
