/* file.h - reads and writes whole files, and locks them. With the corpus reader,
 * the only code of the engine that opens files. Messages do not contain the path,
 * which the caller adds. Paths are the operating system's; POSIX calls.
 */
#ifndef ND_FILE_H
#define ND_FILE_H

#include "nd.h"

/* Fails with the text of errno: ND_NOMEM for ENOMEM, else ND_IO. */
nd_status nd_io_fail(nd_error *err);

/* Reads a regular file of at most `max` bytes (else ND_LIMIT) into *bytes, malloc'd.
 * Folders, FIFOs and devices are refused (ND_IO). */
nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err);

/* Reads the first `n` bytes of a regular file, or all when it has fewer; *got
 * receives their number. */
nd_status nd_file_head(const char *path, uint8_t *bytes, size_t n, size_t *got, nd_error *err);

/* Replaces a file, or creates it, atomically: writes a temporary file beside it,
 * flushes it to the disk, renames it to `path` and flushes the folder. On failure
 * the old file is unchanged. A link is followed, and the old file's mode is copied.
 * Folders, FIFOs, devices and dangling links are refused. */
nd_status nd_file_write(const char *path, const void *bytes, size_t n, nd_error *err);

/* The same in steps: begin, put any number of times, then commit or abandon. The
 * temporary file is "path.nd-part" ("nd-HASH.nd-part" for a long name). It is locked
 * while it is written, so the remains of a killed writer are taken over. A second
 * writer of the same path fails with ND_IO if `exclusive`, else uses another
 * temporary file; so does every writer on a disk without locks. */
typedef struct nd_file {
  int fd;
  char *path, *temporary;  /* owned */
} nd_file;

nd_status nd_file_begin(nd_file *file, const char *path, bool exclusive, nd_error *err);
nd_status nd_file_put(const nd_file *file, const void *bytes, size_t n, nd_error *err);
/* Both free the file, commit also when it fails. */
nd_status nd_file_commit(nd_file *file, nd_error *err);
void nd_file_abandon(nd_file *file);

/* A lock file: created by take, removed by release, and unlocked when the process
 * ends. ND_LIMIT: another process or thread has it. On a disk without locks,
 * take always succeeds. */
typedef struct nd_lock {
  int fd;
  char *path;  /* owned */
} nd_lock;

nd_status nd_lock_take(nd_lock *lock, const char *path, nd_error *err);
void nd_lock_release(nd_lock *lock);

#endif
