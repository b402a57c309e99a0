/* host.c - the process: its clock, terminal, processors, kernels and Ctrl-C.
 *
 * Lua has no signals, but a long training must be saved before the process ends. While
 * an interrupt object is open, a handler counts signals, and Lua code asks for the count
 * when it is ready to stop. Handlers belong to the process and not to a Lua state: the
 * last object that is closed, in whichever state, restores the handlers from before the
 * first.
 */
#define _GNU_SOURCE  /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../base/cpu.h"
#include "../net/blas.h"
#include "lnd.h"

static volatile sig_atomic_t signals = 0;

/* A signal handler may do little more than set a flag; it counts, so that each
 * userdata can compare with the count when it was made. */
static void on_interrupt(int number) {
  (void)number;
  signals = signals + 1;
}

/* The users of one signal, and the handler from before the first of them. */
typedef struct hook {
  int number, users;
  struct sigaction before;
} hook;

/* Shared by all Lua states of the process, hence the lock. */
static hook interrupts = {.number = SIGINT}, terminations = {.number = SIGTERM};
static pthread_mutex_t hooking = PTHREAD_MUTEX_INITIALIZER;

/* Installs the handler; the first user saves the previous one. */
static void watch(hook *h, unsigned flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_interrupt;
  (void)sigemptyset(&action.sa_mask);
  action.sa_flags = (int)flags;
  (void)pthread_mutex_lock(&hooking);
  (void)sigaction(h->number, &action, h->users++ == 0 ? &h->before : NULL);
  (void)pthread_mutex_unlock(&hooking);
}

/* The last user restores the previous handler. */
static void unwatch(hook *h) {
  (void)pthread_mutex_lock(&hooking);
  if (--h->users == 0) (void)sigaction(h->number, &h->before, NULL);
  (void)pthread_mutex_unlock(&hooking);
}

typedef struct interrupt {
  sig_atomic_t before;  /* the count when it was made */
  bool terminate;
} interrupt;

static void release(void *p) {
  interrupt *i = p;
  unwatch(&interrupts);
  if (i->terminate) unwatch(&terminations);
  free(i);
}

static const lnd_class interrupt_class = {"neuraldrummer.interrupt", release};

/* core.catch_interrupt(terminate) -> interrupt */
static int catch_interrupt(lua_State *L) {
  bool terminate = lua_toboolean(L, 1);
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TBOOLEAN);
  lnd_box *box = lnd_push(L, &interrupt_class, NULL);      /* interrupt */
  interrupt *i = lnd_calloc(L, 1, sizeof *i);
  *i = (interrupt){signals, terminate};
  box->p = i;
  /* SA_RESTART: reads continue after it; SA_RESETHAND: a second Ctrl-C ends the process */
  watch(&interrupts, (unsigned)SA_RESTART | (unsigned)SA_RESETHAND);
  /* mpirun sends SIGTERM, repeatedly, and SIGKILL soon after */
  if (terminate) watch(&terminations, SA_RESTART);
  return 1;
}

static bool seen(const interrupt *i) { return signals != i->before; }

/* interrupt:seen() -> whether a signal came since it was made */
static int interrupt_seen(lua_State *L) {
  lua_pushboolean(L, seen(lnd_check(L, 1, &interrupt_class)));
  return 1;
}

static int interrupt_tostring(lua_State *L) {
  const interrupt *i = lnd_peek(L, 1, &interrupt_class);
  lua_pushfstring(L, "interrupt: %s", i == NULL ? "closed" : seen(i) ? "seen" : "not seen");
  return 1;
}

/* core.clock() -> seconds */
static int host_clock(lua_State *L) {
  struct timespec t = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);  /* every POSIX system has it */
  lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
  return 1;
}

/* core.terminal([stream]) -> columns of the terminal that "stderr" (the
 * default) or "stdout" writes to, or nil where that is no terminal */
static int host_terminal(lua_State *L) {
  static const char *const streams[] = {"stderr", "stdout", NULL};
  int fd = luaL_checkoption(L, 1, "stderr", streams) == 0 ? STDERR_FILENO : STDOUT_FILENO;
  if (!isatty(fd)) {
    lua_pushnil(L);
    return 1;
  }
  struct winsize size;
  memset(&size, 0, sizeof size);
  bool has_size = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, has_size ? size.ws_col : 80);
  return 1;
}

/* core.processors() -> the number that this process may run on, which a batch system or
 * a container may have limited */
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

/* core.cpu() -> {features, blas, packed, loops} */
static int core_cpu(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);                                    /* cpu,features */
  const char *name;
  for (int i = 0; (name = nd_cpu_feature(i)) != NULL; i++) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "features");
  lnd_set_str(L, "blas", nd_blas_core());
  lnd_set_str(L, "packed", nd_cpu_kernels_name());
  lnd_set_str(L, "loops", nd_cpu_level());
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
    {"cpu", core_cpu},
    {"terminal", host_terminal},
    {NULL, NULL}};
  lnd_type(L, &interrupt_class, methods, meta);
  luaL_setfuncs(L, functions, 0);  /* core */
}
