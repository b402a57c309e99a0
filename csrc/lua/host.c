/* host.c - the process around us: its clock, its terminal and Ctrl-C.
 *
 * Lua has no signals, and a long training wants to save before it goes. The
 * handler only sets a flag, which Lua asks for when it suits. The handler
 * that was there before is kept in the userdata, not in a static, and comes
 * back when that is closed or collected.
 */
#define _GNU_SOURCE  /* sched_getaffinity */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
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

/* What the handlers were before. */
typedef struct handlers {
  struct sigaction interrupt, terminate;
  bool had_interrupt, had_terminate;
} handlers;

/* core.catch_interrupt(terminate) -> interrupt, which holds the handlers from before */
static int catch_interrupt(lua_State *L) {
  bool terminate = lua_toboolean(L, 1);
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TBOOLEAN);
  lnd_box *box = lnd_push(L, LND_INTERRUPT, 0);       /* interrupt */
  handlers *before = nd_calloc(1, sizeof *before);
  if (before == NULL) return luaL_error(L, "not enough memory");
  box->p = before;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  (void)sigemptyset(&action.sa_mask);
  caught = 0;
  /* reads go on after it; a second Ctrl-C ends the process as ever */
  action.sa_flags = (int)((unsigned)SA_RESTART | (unsigned)SA_RESETHAND);
  before->had_interrupt = sigaction(SIGINT, &action, &before->interrupt) == 0;
  /* mpirun asks by SIGTERM, more than once, and kills before long */
  action.sa_flags = SA_RESTART;
  before->had_terminate = terminate && sigaction(SIGTERM, &action, &before->terminate) == 0;
  return 1;
}

static int interrupt_seen(lua_State *L) {
  (void)lnd_check(L, 1, LND_INTERRUPT);
  lua_pushboolean(L, caught != 0);
  return 1;
}

static int interrupt_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_INTERRUPT);
  lua_pushfstring(L, "interrupt: %s", box->p == NULL ? "closed" : caught != 0 ? "seen" : "not seen");
  return 1;
}

static void give_back(void *p) {
  handlers *before = p;
  if (before->had_interrupt) (void)sigaction(SIGINT, &before->interrupt, NULL);
  if (before->had_terminate) (void)sigaction(SIGTERM, &before->terminate, NULL);
  free(before);
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

/* core.processors() -> how many this process may run on */
static int host_processors(lua_State *L) {
  long n = 1;
#ifdef _SC_NPROCESSORS_ONLN
  n = sysconf(_SC_NPROCESSORS_ONLN);
  if (n < 1) n = 1;
#endif
#ifdef CPU_COUNT
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  lua_pushinteger(L, n);
  return 1;
}

void lnd_open_host(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"seen", interrupt_seen}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", interrupt_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"catch_interrupt", catch_interrupt},
    {"clock", host_clock},
    {"processors", host_processors},
    {"terminal", host_terminal},
    {NULL, NULL}};
  lnd_type(L, LND_INTERRUPT, methods, meta, give_back);
  luaL_setfuncs(L, functions, 0);  /* core */
}
