/* Faults on demand, for specs: a library that stands in front of libc
 * (LD_PRELOAD) and is a Lua module as well. Of what is watched, the n-th call
 * from now on fails, or it and all after it.
 *
 *   local faults = require "faults"
 *   faults.memory("engine", n, on)    allocations of "engine" (core.so) or "lua"
 *   faults.disk(n, on, errno)         opening, looking at, writing, flushing, closing,
 *                                     cutting, locking, renaming of files
 *   faults.no_locks(errno)            every locking of a file
 *   faults.unflushed() -> renames     since a folder was last flushed to the disk
 *   faults.stop() -> calls, failed    since then; all is well again
 *   faults.live() -> blocks, bytes    of the engine, not yet freed
 *
 * A failing write first writes half of its bytes; a failing close closes. With
 * -DDISK_ONLY the allocator stays as it is (sanitizers have their own).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { NOBODY, ENGINE, LUA, DISK };

static _Atomic int armed = NOBODY;
static _Atomic long calls, failing_call, failed;
static _Atomic int from_then_on, error_number = ENOSPC;

/* Whether this call, which is watched, is to fail. */
static bool strikes(void) {
  long n = atomic_fetch_add(&calls, 1) + 1;
  bool now = n == failing_call || (from_then_on && n > failing_call && failing_call > 0);
  if (now) atomic_fetch_add(&failed, 1);
  return now;
}

/* ------------------------------------------------------------------- memory */

#ifndef DISK_ONLY

/* glibc's own names behind malloc and its family */
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* Code of the modules that are told apart. */
static struct { uintptr_t from, to; int who; } ranges[32];
static int n_ranges;

static int note_module(struct dl_phdr_info *info, size_t size, void *first) {
  (void)size;
  const char *name = strrchr(info->dlpi_name, '/');
  name = name != NULL ? name + 1 : info->dlpi_name;
  int who = strcmp(name, "core.so") == 0                          ? ENGINE
            : *(bool *)first || strncmp(name, "liblua", 6) == 0 ? LUA : NOBODY;
  *(bool *)first = false;  /* the program itself comes first */
  for (int i = 0; who != NOBODY && i < info->dlpi_phnum && n_ranges < 32; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
    ranges[n_ranges].from = info->dlpi_addr + p->p_vaddr;
    ranges[n_ranges].to = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    ranges[n_ranges++].who = who;
  }
  return 0;
}

static int caller_of(const void *address) {
  uintptr_t at = (uintptr_t)address;
  for (int i = 0; i < n_ranges; i++)
    if (at >= ranges[i].from && at < ranges[i].to) return ranges[i].who;
  return NOBODY;
}

/* Blocks of the engine that are not freed: open addressing. */
enum { SLOTS = 1 << 20 };
static struct { void *p; size_t n; } slots[SLOTS];
static void *const GONE = &slots;
static long live_blocks, live_bytes;
static atomic_flag lock = ATOMIC_FLAG_INIT;

static size_t slot_of(const void *p) { return ((uintptr_t)p >> 4) * 2654435761u % SLOTS; }

static void came(void *p, size_t n) {
  if (p == NULL) return;
  while (atomic_flag_test_and_set(&lock)) {}
  if (live_blocks < SLOTS / 2) {
    size_t i = slot_of(p);
    while (slots[i].p != NULL && slots[i].p != GONE) i = (i + 1) % SLOTS;
    slots[i].p = p;
    slots[i].n = n;
    live_blocks++;
    live_bytes += (long)n;
  }
  atomic_flag_clear(&lock);
}

static void went(void *p) {
  if (p == NULL || live_blocks == 0) return;
  while (atomic_flag_test_and_set(&lock)) {}
  for (size_t i = slot_of(p); slots[i].p != NULL; i = (i + 1) % SLOTS) {
    if (slots[i].p != p) continue;
    bool last = slots[(i + 1) % SLOTS].p == NULL;
    slots[i].p = last ? NULL : GONE;
    live_blocks--;
    live_bytes -= (long)slots[i].n;
    break;
  }
  atomic_flag_clear(&lock);
}

/* False when the allocation is to fail; `*kept`: it is to be counted. */
static bool allowed(const void *caller, bool *kept) {
  *kept = false;
  if (n_ranges == 0) return true;
  int who = caller_of(caller);
  *kept = who == ENGINE;
  if (who == NOBODY || who != armed || !strikes()) return true;
  errno = ENOMEM;
  return false;
}

void *malloc(size_t n) {
  bool kept;
  if (!allowed(__builtin_return_address(0), &kept)) return NULL;
  void *p = __libc_malloc(n);
  if (kept) came(p, n);
  return p;
}

void *calloc(size_t n, size_t size) {
  bool kept;
  if (!allowed(__builtin_return_address(0), &kept)) return NULL;
  void *p = __libc_calloc(n, size);
  if (kept) came(p, n * size);
  return p;
}

void *realloc(void *old, size_t n) {
  bool kept;
  if (!allowed(__builtin_return_address(0), &kept)) return NULL;
  went(old);  /* before another thread can get its address */
  void *p = __libc_realloc(old, n);
  if (kept) came(p != NULL || n == 0 ? p : old, n);
  return p;
}

void *aligned_alloc(size_t alignment, size_t n) {
  bool kept;
  if (!allowed(__builtin_return_address(0), &kept)) return NULL;
  void *p = __libc_memalign(alignment, n);
  if (kept) came(p, n);
  return p;
}

void free(void *p) {
  went(p);
  __libc_free(p);
}

#endif

/* --------------------------------------------------------------------- disk */

static bool disk_fails(void) {
  if (armed != DISK || !strikes()) return false;
  errno = error_number;
  return true;
}

/* `type name parameters`, which fails with `failure`; the real one is the next
 * of that name: libc's, or a sanitizer's. */
#define FAILING(type, name, parameters, arguments, failure) \
  static type (*real_##name(void)) parameters { \
    static type (*real) parameters; \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name); \
    return real; \
  } \
  type name parameters { return disk_fails() ? (failure) : real_##name() arguments; }

/* …or does its work, whole or half, and says that it failed. */
#define FAILING_LATE(type, name, parameters, arguments, half, failure) \
  static type (*real_##name(void)) parameters { \
    static type (*real) parameters; \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name); \
    return real; \
  } \
  type name parameters { \
    bool fails = disk_fails(); \
    if (!fails) return real_##name() arguments; \
    (void)!real_##name() half; \
    errno = error_number; \
    return failure; \
  }

/* The mode of a file that is not made is not looked at. */
FAILING(int, open, (const char *path, int flags, int mode), (path, flags, mode), -1)
FAILING(int, open64, (const char *path, int flags, int mode), (path, flags, mode), -1)
FAILING(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
FAILING(FILE *, fopen64, (const char *path, const char *mode), (path, mode), NULL)
FAILING(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), -1)
FAILING(ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), -1)
FAILING(ssize_t, pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), -1)
FAILING_LATE(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), (fd, p, n / 2), -1)
FAILING_LATE(size_t, fwrite, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f),
             (p, size, n / 2, f), n / 2)
FAILING(int, fflush, (FILE *f), (f), EOF)
FAILING(int, fstat, (int fd, struct stat *st), (fd, st), -1)
FAILING(int, fstat64, (int fd, struct stat64 *st), (fd, st), -1)
FAILING(int, lstat, (const char *path, struct stat *st), (path, st), -1)
FAILING(int, lstat64, (const char *path, struct stat64 *st), (path, st), -1)
FAILING(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
static int no_locks;
int flock(int fd, int how) {
  static int (*real)(int, int);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "flock");
  if (no_locks == 0) return disk_fails() ? -1 : real(fd, how);
  errno = no_locks;
  return -1;
}
FAILING(int, ftruncate, (int fd, off_t n), (fd, n), -1)
FAILING(int, ftruncate64, (int fd, off_t n), (fd, n), -1)
FAILING(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), -1)
FAILING(off_t, lseek64, (int fd, off_t at, int from), (fd, at, from), -1)

/* Renames since a folder was last flushed: a power failure may undo them. */
static _Atomic int unflushed;
int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "rename");
  if (disk_fails()) return -1;
  const int result = real(from, to);
  if (result == 0) unflushed++;
  return result;
}
int fsync(int fd) {
  static int (*real)(int);
  struct stat st;
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
  if (disk_fails()) return -1;
  if (real_fstat()(fd, &st) == 0 && S_ISDIR(st.st_mode)) unflushed = 0;
  return real(fd);
}
FAILING_LATE(int, close, (int fd), (fd), (fd), -1)
FAILING_LATE(int, fclose, (FILE *f), (f), (f), EOF)

/* ---------------------------------------------------------------------- Lua */

static void arm(int who, lua_Integer n, bool on) {
  calls = failed = 0;
  failing_call = n;
  from_then_on = on;
  armed = who;
}

static int l_memory(lua_State *L) {
  static const char *const names[] = {"engine", "lua", NULL};
  int who = ENGINE + luaL_checkoption(L, 1, NULL, names);
  lua_Integer n = luaL_checkinteger(L, 2);
#ifndef DISK_ONLY
  bool first = true;
  n_ranges = 0;
  dl_iterate_phdr(note_module, &first);
#endif
  arm(who, n, lua_toboolean(L, 3));
  return 0;
}

static int l_disk(lua_State *L) {
  error_number = (int)luaL_optinteger(L, 3, ENOSPC);
  arm(DISK, luaL_checkinteger(L, 1), lua_toboolean(L, 2));
  return 0;
}

static int l_no_locks(lua_State *L) {
  no_locks = (int)luaL_checkinteger(L, 1);
  return 0;
}

static int l_unflushed(lua_State *L) {
  lua_pushinteger(L, unflushed);
  return 1;
}

static int l_stop(lua_State *L) {
  armed = NOBODY;
  no_locks = 0;
  lua_pushinteger(L, calls);
  lua_pushinteger(L, failed);
  return 2;
}

static int l_live(lua_State *L) {
#ifdef DISK_ONLY
  lua_pushinteger(L, 0);
  lua_pushinteger(L, 0);
#else
  lua_pushinteger(L, live_blocks);
  lua_pushinteger(L, live_bytes);
#endif
  return 2;
}

int luaopen_faults(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"memory", l_memory}, {"disk", l_disk}, {"no_locks", l_no_locks}, {"unflushed", l_unflushed},
    {"stop", l_stop}, {"live", l_live}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
