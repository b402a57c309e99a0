/* lock.c - core.lock: one process or state at a time for a piece of work. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE  /* flock */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lnd.h"

#define LND_LOCK "neuraldrummer.lock"

/* A file that is there while the lock is held. */
typedef struct lock {
  int fd;
  char *path;
} lock;

static void unlock(void *p) {
  lock *held = p;
  if (held->fd >= 0) {
    (void)unlink(held->path);  /* before the lock goes: then it is another's */
    (void)close(held->fd);
  }
  free(held->path);
  free(held);
}

/* Whether we hold it: it is not another's, and `path` still names it, whose holder may
 * have gone between open and lock. Where the disk has no locks there are none to respect. */
static bool take(int fd, const char *path, bool *another) {
  struct stat held, named;
  *another = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  return !*another && fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* core.lock(path) -> lock; false when another holds it; nil and a message */
static int core_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lnd_box *box = lnd_push(L, LND_LOCK, 0);            /* lock */
  lock *held = nd_calloc(1, sizeof *held);
  if (held == NULL) return luaL_error(L, "not enough memory");
  held->fd = -1;
  box->p = held;
  held->path = strdup(path);
  if (held->path == NULL) return luaL_error(L, "not enough memory");
  for (;;) {
    bool another;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (fd < 0) return luaL_fileresult(L, 0, path);
    if (take(fd, path, &another)) {
      held->fd = fd;
      return 1;
    }
    (void)close(fd);
    if (another) {
      lua_pushboolean(L, 0);
      return 1;
    }
  }
}

static int lock_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_LOCK);
  lua_pushfstring(L, "lock: %s", box->p == NULL ? "closed" : ((lock *)box->p)->path);
  return 1;
}

void lnd_open_lock(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};  /* but for close */
  static const luaL_Reg meta[] = {{"__tostring", lock_tostring}, {NULL, NULL}};
  lnd_type(L, LND_LOCK, methods, meta, unlock);
  lua_pushcfunction(L, core_lock);
  lua_setfield(L, -2, "lock");                        /* core */
}
