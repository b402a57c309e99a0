/* posix.h - what the engine asks of POSIX and mingw-w64 has not, for Windows;
 * included before every file. Paths are UTF-8, as REAPER has them. */
#ifndef ND_WINDOWS_POSIX_H
#define ND_WINDOWS_POSIX_H

#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define O_CLOEXEC O_NOINHERIT
#define O_NONBLOCK 0
#define O_NOFOLLOW 0
#define ND_SEPARATORS "/\\:"

enum { LOCK_EX = 2, LOCK_NB = 4 };

int nd_open(const char *path, int flags, ...);
int nd_rename(const char *from, const char *to);
int nd_unlink(const char *path);
int nd_stat(const char *path, struct stat *st);
int flock(int fd, int how);
int fsync(int fd);
ssize_t pread(int fd, void *bytes, size_t n, off_t offset);
int strerror_r(int error, char *text, size_t n);

#define open nd_open
#define rename nd_rename
#define unlink nd_unlink
/* the function alone: `struct stat` keeps its name */
#define stat(path, st) nd_stat(path, st)
/* links are the system's affair, and a file has no mode to keep */
#define lstat(path, st) nd_stat(path, st)
#define S_ISLNK(mode) 0
#define realpath(path, end) NULL
static inline int fchmod(int fd, mode_t mode) { return (void)fd, (void)mode, 0; }
/* nothing that is freed asks for more than malloc gives; vectors are moved as
 * if they were not aligned */
#define aligned_alloc(alignment, n) malloc(n)

/* Signals: Ctrl-C alone, and threads have no masks. */
typedef unsigned sigset_t_;
#define sigset_t sigset_t_
enum { SA_RESTART = 1, SA_RESETHAND = 2 };
struct sigaction {
  void (*sa_handler)(int);
  sigset_t sa_mask;
  int sa_flags;
};
int sigaction(int number, const struct sigaction *now, struct sigaction *before);
static inline int sigemptyset(sigset_t *set) { return *set = 0, 0; }
static inline int sigfillset(sigset_t *set) { return *set = ~0u, 0; }
#undef pthread_sigmask
#define pthread_sigmask(how, now, before) ((void)(how), (void)(now), (void)(before), 0)

#endif
