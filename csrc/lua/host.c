/* host.c - the process around us: its clock, its terminal and Ctrl-C.
 *
 * Lua has no signals, and a long training wants to save before it goes. The
 * handler only sets a flag, which Lua asks for when it suits. The handler
 * that was there before is kept in the userdata, not in a static, and comes
 * back when that is closed or collected.
 */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lnd.h"

#define LND_INTERRUPT "neuraldrummer.interrupt"

/* Of the process, as signals are. */
static volatile sig_atomic_t caught = 0;

static void on_interrupt(int number) {
  (void)number;
  caught = 1;
}

typedef struct interrupt {
  struct sigaction before;
  bool open;
} interrupt;

/* core.catch_interrupt() -> interrupt */
static int catch_interrupt(lua_State *L) {
  interrupt *i = lua_newuserdatauv(L, sizeof *i, 0);  /* interrupt */
  i->open = false;
  luaL_setmetatable(L, LND_INTERRUPT);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  /* reads go on after it; a second Ctrl-C ends the process as ever */
  action.sa_flags = (int)((unsigned)SA_RESTART | (unsigned)SA_RESETHAND);
  (void)sigemptyset(&action.sa_mask);
  caught = 0;
  i->open = sigaction(SIGINT, &action, &i->before) == 0;
  return 1;
}

static int interrupt_seen(lua_State *L) {
  const interrupt *i = luaL_checkudata(L, 1, LND_INTERRUPT);
  luaL_argcheck(L, i->open, 1, LND_INTERRUPT " is closed");
  lua_pushboolean(L, caught != 0);
  return 1;
}

static int interrupt_close(lua_State *L) {
  interrupt *i = luaL_checkudata(L, 1, LND_INTERRUPT);
  if (i->open) {
    i->open = false;
    (void)sigaction(SIGINT, &i->before, NULL);
  }
  return 0;
}

double lnd_seconds(void) {
  struct timespec t = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);  /* POSIX systems have one */
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* core.clock() -> seconds */
static int host_clock(lua_State *L) {
  lua_pushnumber(L, lnd_seconds());
  return 1;
}

/* core.terminal() -> columns of the terminal behind stderr, or nil */
static int host_terminal(lua_State *L) {
  if (!isatty(STDERR_FILENO)) {
    lua_pushnil(L);
    return 1;
  }
  struct winsize size;
  memset(&size, 0, sizeof size);
  bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, known ? size.ws_col : 80);
  return 1;
}

void lnd_open_host(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"seen", interrupt_seen}, {"close", interrupt_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
    {"__gc", interrupt_close}, {"__close", interrupt_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"catch_interrupt", catch_interrupt},
    {"clock", host_clock},
    {"terminal", host_terminal},
    {NULL, NULL}};
  lnd_type(L, LND_INTERRUPT, methods, meta);
  luaL_setfuncs(L, functions, 0);  /* core */
}
