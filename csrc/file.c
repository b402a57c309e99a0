#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE  /* flock */
#define _FILE_OFFSET_BITS 64
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static nd_status io_fail(nd_error *err) {
  /* strerror_r, since hosts have threads; XSI variant by _POSIX_C_SOURCE */
  char text[128];
  if (strerror_r(errno, text, sizeof text) != 0)
    (void)snprintf(text, sizeof text, "error %d", errno);
  return nd_fail(err, errno == ENOMEM ? ND_NOMEM : ND_IO, "%s", text);
}

/* Opens a regular file to read, and says its size. */
static nd_status open_regular(const char *path, int *out, uintmax_t *size, nd_error *err) {
  /* O_NONBLOCK, so that opening a FIFO that nobody writes does not hang */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return io_fail(err);
  struct stat st;
  nd_status status = ND_OK;
  if (fstat(fd, &st) != 0) status = io_fail(err);
  else if (!S_ISREG(st.st_mode))
    status = nd_fail(err, ND_IO, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
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
    if (got < 0) return io_fail(err);
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

/* Whether `fd` is still what `path` names: it may have got its final name
 * between open and lock. */
static bool still_named(int fd, const char *path) {
  struct stat held, named;
  return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

/* Opens `name`, locked and empty. ND_LIMIT when another writes it, or when
 * there are no locks here. */
static nd_status open_locked(const char *name, int *out, nd_error *err) {
  for (;;) {
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (fd < 0) return io_fail(err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      (void)close(fd);
      return nd_fail(err, ND_LIMIT, "is being written by another");
    }
    if (still_named(fd, name)) {
      nd_status status = ND_OK;
      struct stat st;
      if (fstat(fd, &st) != 0) status = io_fail(err);
      else if (!S_ISREG(st.st_mode)) status = nd_fail(err, ND_IO, "%s is no file", name);
      else if (ftruncate(fd, 0) != 0) status = io_fail(err);
      if (status != ND_OK) (void)close(fd);
      else *out = fd;
      return status;
    }
    (void)close(fd);
  }
}

nd_status nd_file_begin(nd_file *file, const char *path, bool alone, nd_error *err) {
  const size_t n = strlen(path) + 32;
  *file = (nd_file){.fd = -1, .path = malloc(n), .temporary = malloc(n)};
  nd_status status = ND_OK;
  if (file->path == NULL || file->temporary == NULL) {
    status = nd_fail(err, ND_NOMEM, "out of memory");
  } else {
    memcpy(file->path, path, strlen(path) + 1);
    (void)snprintf(file->temporary, n, "%s.nd-part", path);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): *file is the caller's, and owns them */
    status = open_locked(file->temporary, &file->fd, err);
    if (status == ND_LIMIT && !alone) {
      (void)snprintf(file->temporary, n, "%s.%ld.nd-part", path, (long)getpid());
      status = open_locked(file->temporary, &file->fd, err);
    }
    if (status == ND_LIMIT) status = nd_fail(err, ND_IO, "is being written by another");
  }
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
    if (put < 0) return io_fail(err);
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

nd_status nd_file_commit(nd_file *file, nd_error *err) {
  /* once it is on the disk, closing can lose nothing, and must wait: a writer
   * who gets the lock empties what has not got its name */
  if (fsync(file->fd) != 0 || rename(file->temporary, file->path) != 0) {
    nd_status status = io_fail(err);
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
