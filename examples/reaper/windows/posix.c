/* posix.c - see posix.h. */
#include "posix.h"

#undef open
#undef rename
#undef unlink
#undef stat

#include <errno.h>
#include <stdarg.h>
#include <windows.h>

/* A path in UTF-16, malloc'd; NULL with errno set. */
static wchar_t *wide(const char *path) {
  int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
  wchar_t *w = n > 0 ? malloc((size_t)n * sizeof *w) : NULL;
  if (w == NULL) return errno = n > 0 ? ENOMEM : EINVAL, NULL;
  (void)MultiByteToWideChar(CP_UTF8, 0, path, -1, w, n);
  return w;
}

static int failed(void) {
  switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND: case ERROR_PATH_NOT_FOUND: case ERROR_INVALID_NAME:
      errno = ENOENT;
      break;
    case ERROR_ACCESS_DENIED: case ERROR_SHARING_VIOLATION: case ERROR_WRITE_PROTECT:
      errno = EACCES;
      break;
    case ERROR_FILE_EXISTS: case ERROR_ALREADY_EXISTS: errno = EEXIST; break;
    case ERROR_DISK_FULL: case ERROR_HANDLE_DISK_FULL: errno = ENOSPC; break;
    default: errno = EIO;
  }
  return -1;
}

/* A file that is open may be renamed and removed, as on other systems. */
int nd_open(const char *path, int flags, ...) {
  wchar_t *w = wide(path);
  if (w == NULL) return -1;
  const DWORD access = flags & O_RDWR ? GENERIC_READ | GENERIC_WRITE
                       : flags & O_WRONLY ? GENERIC_WRITE : GENERIC_READ;
  const DWORD make = !(flags & O_CREAT) ? OPEN_EXISTING
                     : flags & O_EXCL ? CREATE_NEW
                     : flags & O_TRUNC ? CREATE_ALWAYS : OPEN_ALWAYS;
  HANDLE h = CreateFileW(w, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                         make, FILE_ATTRIBUTE_NORMAL, NULL);
  free(w);
  if (h == INVALID_HANDLE_VALUE) return failed();
  int fd = _open_osfhandle((intptr_t)h, O_BINARY | O_NOINHERIT);
  if (fd < 0) (void)CloseHandle(h);
  return fd;
}

int nd_rename(const char *from, const char *to) {
  wchar_t *a = wide(from), *b = wide(to);
  int status = -1;
  if (a != NULL && b != NULL)
    status = MoveFileExW(a, b, MOVEFILE_REPLACE_EXISTING) ? 0 : failed();
  free(a);
  free(b);
  return status;
}

int nd_unlink(const char *path) {
  wchar_t *w = wide(path);
  int status = w == NULL ? -1 : DeleteFileW(w) ? 0 : failed();
  free(w);
  return status;
}

int nd_stat(const char *path, struct stat *st) {
  int fd = nd_open(path, O_RDONLY);
  if (fd < 0) return -1;
  int status = fstat(fd, st);
  (void)close(fd);
  return status;
}

/* Locks lie far behind what a file holds: they keep others out of no byte. */
int flock(int fd, int how) {
  OVERLAPPED at = {.Offset = 0xFFFFFFF0u, .OffsetHigh = 0x7FFFFFFFu};
  (void)how;
  if (LockFileEx((HANDLE)_get_osfhandle(fd), LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY,
                 0, 1, 0, &at))
    return 0;
  errno = EWOULDBLOCK;
  return -1;
}

int fsync(int fd) { return _commit(fd); }

ssize_t pread(int fd, void *bytes, size_t n, off_t offset) {
  OVERLAPPED at = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)((int64_t)offset >> 32)};
  DWORD got = 0;
  if (ReadFile((HANDLE)_get_osfhandle(fd), bytes, n > 1 << 30 ? 1 << 30 : (DWORD)n, &got, &at) ||
      GetLastError() == ERROR_HANDLE_EOF)
    return (ssize_t)got;
  return failed();
}

int strerror_r(int error, char *text, size_t n) { return strerror_s(text, n, error); }

int sigaction(int number, const struct sigaction *now, struct sigaction *before) {
  void (*former)(int) = signal(number, now->sa_handler);
  if (former == SIG_ERR) return -1;
  if (before != NULL) *before = (struct sigaction){.sa_handler = former};
  return 0;
}
