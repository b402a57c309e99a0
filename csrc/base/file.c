/* file.c - whole files and locks, with POSIX calls.
 *
 * Why a temporary file and a rename: rename replaces the name atomically, so a reader
 * sees the old file or the new one, and a full disk or a power failure in between
 * loses neither. fsync before the rename: else the name might reach the disk before
 * the bytes do.
 *
 * Lock protocol (lock_file): open, flock, then check that the name still leads to the
 * file that was opened. Between open and flock another process may have renamed or
 * removed it; the lock would then be on a file without a name, which excludes nobody,
 * so we start again. The owner of a lock removes or renames the file while the lock is
 * in force, and unlocks by closing, so that the check never sees a name that is about
 * to vanish. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE  /* flock */
#define _FILE_OFFSET_BITS 64
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef ND_SEPARATORS
#define ND_SEPARATORS "/"
#endif

nd_status nd_io_fail(nd_error *err) {
  /* strerror_r, because hosts have threads */
  char text[128];
  if (strerror_r(errno, text, sizeof text) != 0)
    (void)snprintf(text, sizeof text, "error %d", errno);
  return nd_fail(err, errno == ENOMEM ? ND_NOMEM : ND_IO, "%s", text);
}

/* Fails with the reason why `st` cannot be read or replaced. */
static nd_status not_regular(const struct stat *st, nd_error *err) {
  return nd_fail(err, ND_IO, S_ISDIR(st->st_mode) ? "is a folder" : "is not a regular file");
}

/* Opens a regular file for reading; *size receives its size. */
static nd_status open_regular(const char *path, int *out, uintmax_t *size, nd_error *err) {
  /* O_NONBLOCK: opening a FIFO without a writer would hang */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return nd_io_fail(err);
  struct stat st;
  nd_status status = ND_OK;
  if (fstat(fd, &st) != 0) status = nd_io_fail(err);
  else if (!S_ISREG(st.st_mode)) status = not_regular(&st, err);
  if (status != ND_OK) {
    (void)close(fd);
    return status;
  }
  *out = fd;
  *size = (uintmax_t)st.st_size;
  return ND_OK;
}

/* Reads `n` bytes, fewer when the file ends first. read may return less than it was
 * asked for, and a signal of the host may interrupt it. */
static nd_status read_up_to(int fd, uint8_t *bytes, size_t n, size_t *length, nd_error *err) {
  *length = 0;
  while (*length < n) {
    ssize_t got = read(fd, bytes + *length, n - *length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return nd_io_fail(err);
    if (got == 0) break;
    *length += (size_t)got;
  }
  return ND_OK;
}

/* For recognising a file by its first bytes. */
nd_status nd_file_head(const char *path, uint8_t *bytes, size_t n, size_t *got, nd_error *err) {
  int fd = -1;
  uintmax_t size = 0;
  nd_status status = open_regular(path, &fd, &size, err);
  if (status != ND_OK) return status;
  status = read_up_to(fd, bytes, n, got, err);
  (void)close(fd);
  return status;
}

/* The size is taken from fstat once: a file that grows while it is read is cut there.
 * One byte more is allocated, so that an empty file is not a NULL pointer. */
nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err) {
  int fd = -1;
  uintmax_t size = 0;
  nd_status status = open_regular(path, &fd, &size, err);
  if (status != ND_OK) return status;
  uint8_t *buffer = NULL;
  size_t length = 0;
  if (size > max) status = nd_fail(err, ND_LIMIT, "%ju bytes, over the limit of %zu", size, max);
  else if ((buffer = malloc((size_t)size + 1)) == NULL)
    status = nd_nomem(err);
  /* the file may have become shorter since fstat */
  if (status == ND_OK) status = read_up_to(fd, buffer, (size_t)size, &length, err);
  (void)close(fd);
  if (status != ND_OK) {
    free(buffer);
    return status;
  }
  *bytes = buffer;
  *n = length;
  return ND_OK;
}

/* Looks at what will be replaced: a regular file, or nothing. If `path` is a link,
 * *target receives the file it leads to, malloc'd. *mode is for the temporary file:
 * that of the old file, so that nobody can read a secret while it is rewritten, and
 * writable for its owner, so that the remains of a killed writer can be taken over. */
static nd_status find_old(const char *path, char **target, mode_t *mode, nd_error *err) {
  struct stat st;
  if (lstat(path, &st) != 0) return errno == ENOENT ? ND_OK : nd_io_fail(err);
  if (S_ISLNK(st.st_mode)) {
    *target = realpath(path, NULL);
    if (*target == NULL && errno == ENOENT)
      return nd_fail(err, ND_IO, "is a dangling symbolic link");
    if (*target == NULL || stat(*target, &st) != 0) return nd_io_fail(err);
  }
  if (!S_ISREG(st.st_mode)) return not_regular(&st, err);
  *mode = (st.st_mode & 0777) | 0600;
  return ND_OK;
}

/* Whether `path` names the open file `st`: it may have been renamed or removed
 * between open and lock. -1: unknown, see errno. */
static int is_named(const struct stat *st, const char *path) {
  struct stat named;
  if (stat(path, &named) != 0) return errno == ENOENT ? 0 : -1;
  return named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

/* LOCK_BUSY: another process or thread has it. LOCK_NONE: the disk has no locks. */
typedef enum lock_state { LOCK_TAKEN, LOCK_BUSY, LOCK_NONE } lock_state;

typedef struct locked_file {
  int fd;
  bool created;      /* it did not exist before */
  lock_state lock;
} locked_file;

/* Opens `path`, creating it if necessary, and tries to lock it. flock locks belong
 * to the open file, so they exclude threads too, and end with the process. On
 * failure, and on LOCK_BUSY, nothing is left open or newly created. */
static nd_status lock_file(const char *path, mode_t mode, locked_file *f, nd_error *err) {
  /* O_NOFOLLOW: a link that somebody put here must not make us empty its target */
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
  for (;;) {
    /* O_EXCL tells whether we created it, so that a failure removes nothing of others.
     * The file may appear between the two calls; the second then opens it. */
    f->fd = open(path, flags | O_EXCL, mode);
    f->created = f->fd >= 0;
    if (!f->created && errno == EEXIST) f->fd = open(path, flags, mode);
    if (f->fd < 0) return nd_io_fail(err);
    if (flock(f->fd, LOCK_EX | LOCK_NB) == 0) f->lock = LOCK_TAKEN;
    else f->lock = errno == EWOULDBLOCK ? LOCK_BUSY : LOCK_NONE;
    if (f->lock == LOCK_BUSY) {
      (void)close(f->fd);
      return ND_OK;
    }
    /* we have the lock: does the name still lead to this file? */
    struct stat st;
    int named = 1;
    nd_status status = ND_OK;
    if (fstat(f->fd, &st) != 0 || (named = is_named(&st, path)) < 0) status = nd_io_fail(err);
    else if (!S_ISREG(st.st_mode)) status = not_regular(&st, err);
    if (status == ND_OK && named > 0) return ND_OK;
    if (status != ND_OK && f->created) (void)unlink(path);
    (void)close(f->fd);
    if (status != ND_OK) return status;
  }
}

/* The offset at which the name begins after the folders in `path`. The build for
 * Windows sets other separators. */
static size_t name_offset(const char *path) {
  size_t at = strlen(path);
  while (at > 0 && strchr(ND_SEPARATORS, path[at - 1]) == NULL) at--;
  return at;
}

/* Sets file->temporary, of `size` bytes, to the n-th name of a temporary file: the
 * path with a suffix or, for a name so long that a folder might not accept that, a
 * hash of it. The first is the same for all writers; the others are ours alone. */
static void name_temporary(const nd_file *file, size_t size, int n) {
  enum { MAX_NAME = 100 };
  size_t end = strlen(file->path);
  const size_t at = name_offset(file->path);
  memcpy(file->temporary, file->path, end + 1);
  if (end - at > MAX_NAME) {
    const uintmax_t hash = nd_hash(file->path + at, end - at);
    end = at + (size_t)snprintf(file->temporary + at, size - at, "nd-%016jx", hash);
  }
  if (n == 1) (void)snprintf(file->temporary + end, size - end, ".nd-part");
  else (void)snprintf(file->temporary + end, size - end, ".%ld.%d.nd-part", (long)getpid(), n - 1);
}

/* Opens a temporary file with a name that no other writer uses; it needs no lock.
 * O_EXCL: names that a killed process of the same number left behind are passed over. */
static nd_status open_unshared(nd_file *file, size_t size, mode_t mode, nd_error *err) {
  for (int n = 2; n < INT_MAX; n++) {
    name_temporary(file, size, n);
    file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file->fd >= 0) return ND_OK;
    if (errno != EEXIST) break;
  }
  return nd_io_fail(err);
}

/* Opens the temporary file, empty. The remains of a killed writer are locked and then
 * truncated, so that they do not pile up beside the target. */
static nd_status open_temporary(nd_file *file, size_t size, mode_t mode, bool exclusive,
                                nd_error *err) {
  locked_file f;
  name_temporary(file, size, 1);
  nd_status status = lock_file(file->temporary, mode, &f, err);
  if (status != ND_OK) return status;
  if (f.lock == LOCK_BUSY && exclusive)
    return nd_fail(err, ND_IO, "is being written by another writer");
  if (f.lock == LOCK_BUSY) return open_unshared(file, size, mode, err);
  if (f.lock == LOCK_NONE) {
    /* without locks another writer may be using it */
    if (f.created) (void)unlink(file->temporary);
    (void)close(f.fd);
    return open_unshared(file, size, mode, err);
  }
  file->fd = f.fd;
  if (ftruncate(f.fd, 0) == 0) return ND_OK;
  status = nd_io_fail(err);
  if (f.created) (void)unlink(file->temporary);
  (void)close(f.fd);
  return status;
}

/* *file is the caller's. Its paths are freed here on failure, else by commit or abandon.
 * Both have space for the longest suffix, because the temporary path is built there. */
nd_status nd_file_begin(nd_file *file, const char *path, bool exclusive, nd_error *err) {
  char *target = NULL;
  mode_t mode = 0666;
  *file = (nd_file){.fd = -1};
  nd_status status = find_old(path, &target, &mode, err);
  if (target != NULL) path = target;
  const size_t size = strlen(path) + 64;  /* with the longest suffix */
  if (status == ND_OK && ((file->path = malloc(size)) == NULL ||
                          (file->temporary = malloc(size)) == NULL))
    status = nd_nomem(err);
  if (status == ND_OK) {
    memcpy(file->path, path, strlen(path) + 1);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): *file is the caller's, and owns them */
    status = open_temporary(file, size, mode, exclusive, err);
  }
  free(target);
  if (status != ND_OK) {
    free(file->path);
    free(file->temporary);
  }
  return status;
}

/* write may write less than it was asked to, for example on a nearly full disk; the
 * next call then fails with the reason. */
nd_status nd_file_put(const nd_file *file, const void *bytes, size_t n, nd_error *err) {
  const uint8_t *p = bytes;
  while (n > 0) {
    const ssize_t written = write(file->fd, p, n);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return nd_io_fail(err);
    p += written;
    n -= (size_t)written;
  }
  return ND_OK;
}

void nd_file_abandon(nd_file *file) {
  /* unlink while we have the lock: afterwards the name may be another writer's */
  (void)unlink(file->temporary);
  (void)close(file->fd);
  free(file->path);
  free(file->temporary);
}

/* Gives the new file the mode of the one that it replaces, as it is now: it may have
 * changed since begin. A new name keeps the mode that the umask gave it. */
static bool copy_mode(const nd_file *file) {
  struct stat st, old;
  if (stat(file->path, &old) != 0) return errno == ENOENT;
  if (fstat(file->fd, &st) != 0) return false;
  const mode_t mode = old.st_mode & 0777;
  return (st.st_mode & 0777) == mode || fchmod(file->fd, mode) == 0;
}

/* Flushes the folder of `path`, because a rename is lost in a power failure until
 * the folder is on the disk. Failure is ignored, as SQLite does: the new file is in
 * place, and not all file systems can flush a folder. Changes `path`. */
static void sync_folder(char *path) {
  path[name_offset(path)] = '\0';
  const int fd = open(path[0] != '\0' ? path : ".", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  (void)close(fd);
}

nd_status nd_file_commit(nd_file *file, nd_error *err) {
  /* After fsync, close cannot lose data. It has to come after the rename, because it
   * unlocks: the next writer would empty a file that has not got its name yet. */
  if (!copy_mode(file) || fsync(file->fd) != 0 || rename(file->temporary, file->path) != 0) {
    nd_status status = nd_io_fail(err);
    nd_file_abandon(file);
    return status;
  }
  (void)close(file->fd);
  sync_folder(file->temporary);  /* the same folder */
  free(file->path);
  free(file->temporary);
  return ND_OK;
}

nd_status nd_file_write(const char *path, const void *bytes, size_t n, nd_error *err) {
  nd_file file;
  nd_status status = nd_file_begin(&file, path, false, err);
  if (status != ND_OK) return status;
  status = nd_file_put(&file, bytes, n, err);
  if (status == ND_OK) return nd_file_commit(&file, err);
  nd_file_abandon(&file);
  return status;
}

/* The file stays empty: the lock is flock's, and the name only makes processes meet. */
nd_status nd_lock_take(nd_lock *lock, const char *path, nd_error *err) {
  locked_file f;
  nd_status status = lock_file(path, 0666, &f, err);
  if (status != ND_OK) return status;
  if (f.lock == LOCK_BUSY) return nd_fail(err, ND_LIMIT, "is locked by another process");
  *lock = (nd_lock){.fd = f.fd, .path = malloc(strlen(path) + 1)};
  if (lock->path == NULL) {
    (void)unlink(path);
    (void)close(f.fd);
    return nd_nomem(err);
  }
  memcpy(lock->path, path, strlen(path) + 1);
  return ND_OK;
}

/* A process that has opened the file meanwhile finds in lock_file that the name is gone,
 * and creates it again. */
void nd_lock_release(nd_lock *lock) {
  (void)unlink(lock->path);  /* while locked, see nd_file_abandon */
  (void)close(lock->fd);
  free(lock->path);
}
