#define _POSIX_C_SOURCE 200809L
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static nd_status io_fail(nd_error *err) {
  /* strerror_r, since hosts have threads; XSI variant by _POSIX_C_SOURCE */
  char text[128];
  if (strerror_r(errno, text, sizeof text) != 0)
    (void)snprintf(text, sizeof text, "error %d", errno);
  return nd_fail(err, errno == ENOMEM ? ND_NOMEM : ND_IO, "%s", text);
}

nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err) {
  /* O_NONBLOCK, so that opening a FIFO that nobody writes does not hang */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return io_fail(err);
  struct stat st;
  nd_status status = ND_OK;
  uint8_t *buffer = NULL;
  size_t length = 0, size = 0;
  if (fstat(fd, &st) != 0) {
    status = io_fail(err);
  } else if (!S_ISREG(st.st_mode)) {
    status = nd_fail(err, ND_IO, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
  } else if ((uintmax_t)st.st_size > max) {
    status = nd_fail(err, ND_LIMIT, "%jd bytes, over the limit of %zu", (intmax_t)st.st_size, max);
  } else {
    size = (size_t)st.st_size;
    buffer = malloc(size + 1);
    if (buffer == NULL) status = nd_fail(err, ND_NOMEM, "out of memory");
  }
  while (status == ND_OK && length < size) {
    ssize_t got = read(fd, buffer + length, size - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = io_fail(err);
    if (got <= 0) break;  /* shorter than fstat said: it shrank meanwhile */
    length += (size_t)got;
  }
  (void)close(fd);
  if (status != ND_OK) {
    free(buffer);
    return status;
  }
  *bytes = buffer;
  *n = length;
  return ND_OK;
}

char *nd_file_temporary(const char *path) {
  size_t n = strlen(path) + 32;
  char *name = malloc(n);
  if (name != NULL) (void)snprintf(name, n, "%s.%ld.part", path, (long)getpid());
  return name;
}

nd_status nd_file_commit(int fd, const char *temporary, const char *path, nd_error *err) {
  nd_status status = ND_OK;
  if (fsync(fd) != 0) status = io_fail(err);
  if (close(fd) != 0 && status == ND_OK) status = io_fail(err);
  if (status == ND_OK && rename(temporary, path) != 0) status = io_fail(err);
  if (status != ND_OK) (void)unlink(temporary);
  return status;
}

nd_status nd_file_write(const char *path, const void *bytes, size_t n, nd_error *err) {
  char *temporary = nd_file_temporary(path);
  if (temporary == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  nd_status status = ND_OK;
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    status = io_fail(err);
  } else {
    const uint8_t *p = bytes;
    size_t left = n;
    while (left > 0) {
      ssize_t put = write(fd, p, left);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) break;
      p += put;
      left -= (size_t)put;
    }
    if (left > 0) {
      status = io_fail(err);
      (void)close(fd);
      (void)unlink(temporary);
    } else {
      status = nd_file_commit(fd, temporary, path, err);
    }
  }
  free(temporary);
  return status;
}
