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

static nd_status no_file(const struct stat *st, nd_error *err) {
  return nd_fail(err, ND_IO, S_ISDIR(st->st_mode) ? "is a folder" : "is not a regular file");
}

/* Opens a regular file to read, and says its size. */
static nd_status open_regular(const char *path, int *out, uintmax_t *size, nd_error *err) {
  /* O_NONBLOCK, so that opening a FIFO that nobody writes does not hang */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return nd_io_fail(err);
  struct stat st;
  nd_status status = ND_OK;
  if (fstat(fd, &st) != 0) status = nd_io_fail(err);
  else if (!S_ISREG(st.st_mode)) status = no_file(&st, err);
  if (status != ND_OK) {
    (void)close(fd);
    return status;
  }
  *out = fd;
  *size = (uintmax_t)st.st_size;
  return ND_OK;
}

/* Reads up to `n` bytes: fewer when the file ends first. */
static nd_status read_some(int fd, uint8_t *bytes, size_t n, size_t *length, nd_error *err) {
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

nd_status nd_file_head(const char *path, uint8_t *bytes, size_t n, size_t *got, nd_error *err) {
  int fd = -1;
  uintmax_t size = 0;
  nd_status status = open_regular(path, &fd, &size, err);
  if (status != ND_OK) return status;
  status = read_some(fd, bytes, n, got, err);
  (void)close(fd);
  return status;
}

nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err) {
  int fd = -1;
  uintmax_t size = 0;
  nd_status status = open_regular(path, &fd, &size, err);
  if (status != ND_OK) return status;
  uint8_t *buffer = NULL;
  size_t length = 0;
  if (size > max) status = nd_fail(err, ND_LIMIT, "%ju bytes, over the limit of %zu", size, max);
  else if ((buffer = malloc((size_t)size + 1)) == NULL)
    status = nd_fail(err, ND_NOMEM, "out of memory");
  /* it may be shorter than it was when it was asked for its size */
  if (status == ND_OK) status = read_some(fd, buffer, (size_t)size, &length, err);
  (void)close(fd);
  if (status != ND_OK) {
    free(buffer);
    return status;
  }
  *bytes = buffer;
  *n = length;
  return ND_OK;
}

/* What is to be written over: a regular file, or nothing. Where `path` is a link,
 * `*end` is what it leads to, malloc'd. `*mode` is one for the temporary file, no
 * more open than the old one. */
static nd_status find_old(const char *path, char **end, mode_t *mode, nd_error *err) {
  struct stat st;
  if (lstat(path, &st) != 0) return errno == ENOENT ? ND_OK : nd_io_fail(err);
  if (S_ISLNK(st.st_mode)) {
    *end = realpath(path, NULL);
    if (*end == NULL && errno == ENOENT) return nd_fail(err, ND_IO, "is a link to nothing");
    if (*end == NULL || stat(*end, &st) != 0) return nd_io_fail(err);
  }
  if (!S_ISREG(st.st_mode)) return no_file(&st, err);
  *mode = (st.st_mode & 0777) | 0600;  /* what a killed writer leaves can be taken over */
  return ND_OK;
}

/* Whether `path` names what is open as `st`, which may have got another name, or
 * none, between open and lock; -1 where that cannot be told. */
static int is_named(const struct stat *st, const char *path) {
  struct stat named;
  if (stat(path, &named) != 0) return errno == ENOENT ? 0 : -1;
  return named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

/* Opens `name`, empty and locked. ND_LIMIT: another writes it (`*held`), or there
 * are no locks on this disk. What fails leaves nothing that was not there. */
static nd_status open_locked(const char *name, mode_t mode, int *out, bool *held, nd_error *err) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
  for (;;) {
    int fd = open(name, flags | O_EXCL, mode);
    const bool made = fd >= 0;
    if (!made && errno == EEXIST) fd = open(name, flags, mode);
    if (fd < 0) return nd_io_fail(err);
    nd_status status = ND_OK;
    struct stat st;
    *held = false;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      *held = errno == EWOULDBLOCK;
      status = nd_fail(err, ND_LIMIT, "is being written by another");
    } else if (fstat(fd, &st) != 0) {
      status = nd_io_fail(err);
    } else if (!S_ISREG(st.st_mode)) {
      status = nd_fail(err, ND_IO, "%s is no file", name);
    } else {
      const int named = is_named(&st, name);
      if (named == 0) {
        (void)close(fd);
        continue;
      }
      if (named < 0 || ftruncate(fd, 0) != 0) status = nd_io_fail(err);
    }
    if (status == ND_OK) {
      *out = fd;
      return ND_OK;
    }
    if (made && !*held) (void)unlink(name);
    (void)close(fd);
    return status;
  }
}

/* The n-th name of a temporary file, the first one the same for every writer:
 * that of the file with something behind it or, where a folder might not take
 * so long a name, a hash of it. */
static void name_part(const nd_file *file, size_t room, int n) {
  enum { LONGEST = 100 };
  size_t end = strlen(file->path), at = end;
  memcpy(file->temporary, file->path, end + 1);
  while (at > 0 && strchr(ND_SEPARATORS, file->path[at - 1]) == NULL) at--;
  if (end - at > LONGEST) {
    const uintmax_t hash = nd_hash(file->path + at, end - at);
    end = at + (size_t)snprintf(file->temporary + at, room - at, "nd-%016jx", hash);
  }
  if (n == 1) (void)snprintf(file->temporary + end, room - end, ".nd-part");
  else (void)snprintf(file->temporary + end, room - end, ".%ld.%d.nd-part", (long)getpid(), n - 1);
}

/* A temporary file that no other can have: it needs no lock. */
static nd_status open_own(nd_file *file, size_t room, mode_t mode, nd_error *err) {
  for (int n = 2; n < INT_MAX; n++) {
    name_part(file, room, n);
    file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file->fd >= 0) return ND_OK;
    if (errno != EEXIST) break;
  }
  return nd_io_fail(err);
}

nd_status nd_file_begin(nd_file *file, const char *path, bool alone, nd_error *err) {
  char *end = NULL;
  mode_t mode = 0666;
  bool held = false;
  *file = (nd_file){.fd = -1};
  nd_status status = find_old(path, &end, &mode, err);
  const char *target = end != NULL ? end : path;
  const size_t room = strlen(target) + 64;
  if (status == ND_OK && ((file->path = malloc(room)) == NULL ||
                          (file->temporary = malloc(room)) == NULL))
    status = nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) {
    memcpy(file->path, target, strlen(target) + 1);
    name_part(file, room, 1);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): *file is the caller's, and owns them */
    status = open_locked(file->temporary, mode, &file->fd, &held, err);
    if (status == ND_LIMIT && !(held && alone)) status = open_own(file, room, mode, err);
    else if (status == ND_LIMIT) status = nd_fail(err, ND_IO, "is being written by another");
  }
  free(end);
  if (status != ND_OK) {
    free(file->path);
    free(file->temporary);
  }
  return status;
}

nd_status nd_file_put(const nd_file *file, const void *bytes, size_t n, nd_error *err) {
  const uint8_t *p = bytes;
  while (n > 0) {
    ssize_t put = write(file->fd, p, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return nd_io_fail(err);
    p += put;
    n -= (size_t)put;
  }
  return ND_OK;
}

void nd_file_abandon(nd_file *file) {
  (void)unlink(file->temporary);  /* before the lock goes: then it is another's */
  (void)close(file->fd);
  free(file->path);
  free(file->temporary);
}

/* The new file is as open, or shut, as the one that it replaces. */
static bool keep_mode(const nd_file *file) {
  struct stat st, old;
  if (stat(file->path, &old) != 0) return errno == ENOENT;
  if (fstat(file->fd, &st) != 0) return false;
  const mode_t mode = old.st_mode & 0777;
  return (st.st_mode & 0777) == mode || fchmod(file->fd, mode) == 0;
}

nd_status nd_file_commit(nd_file *file, nd_error *err) {
  /* once it is on the disk, closing can lose nothing, and must wait: a writer
   * who gets the lock empties what has not got its name */
  if (!keep_mode(file) || fsync(file->fd) != 0 || rename(file->temporary, file->path) != 0) {
    nd_status status = nd_io_fail(err);
    nd_file_abandon(file);
    return status;
  }
  (void)close(file->fd);
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

nd_status nd_lock_take(nd_lock *lock, const char *path, nd_error *err) {
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (fd < 0) return nd_io_fail(err);
    nd_status status = ND_OK;
    struct stat st;
    int named = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      status = nd_fail(err, ND_LIMIT, "is held by another");
    else if (fstat(fd, &st) != 0 || (named = is_named(&st, path)) < 0)
      status = nd_io_fail(err);
    if (status == ND_OK && named > 0) {
      *lock = (nd_lock){.fd = fd, .path = malloc(strlen(path) + 1)};
      if (lock->path != NULL) {
        memcpy(lock->path, path, strlen(path) + 1);
        return ND_OK;
      }
      (void)unlink(path);
      status = nd_fail(err, ND_NOMEM, "out of memory");
    }
    (void)close(fd);
    if (status != ND_OK) return status;
  }
}

void nd_lock_release(nd_lock *lock) {
  (void)unlink(lock->path);  /* before the lock goes: then it is another's */
  (void)close(lock->fd);
  free(lock->path);
}
