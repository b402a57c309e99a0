/* file.h - whole files in, whole files out: the engine's only door to disk
 * beside the corpus. */
#ifndef ND_FILE_H
#define ND_FILE_H

#include "nd.h"

/* Fails with the text of errno: ND_NOMEM for ENOMEM, else ND_IO. */
nd_status nd_io_fail(nd_error *err);

/* A malloc'd copy of a regular file of at most `max` bytes. Folders, FIFOs
 * and devices are refused. */
nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err);

/* Its first `n` bytes, or as many as there are. */
nd_status nd_file_head(const char *path, uint8_t *bytes, size_t n, size_t *got, nd_error *err);

/* All or nothing: a temporary file beside `path`, flushed to disk, then
 * renamed over it. On failure the old file is as it was. A link is followed, the
 * old file's mode is kept; folders, FIFOs, devices and links to nothing are
 * refused. */
nd_status nd_file_write(const char *path, const void *bytes, size_t n, nd_error *err);

/* For writers that stream: the same in steps. The temporary file is "path.nd-part"
 * (or "nd-HASH.nd-part", where the name is long), locked while it is written:
 * what a killed writer left is taken over, and of two writers the second is
 * refused (`alone`) or writes another. On a disk without locks each has its own. */
typedef struct nd_file {
  int fd;
  char *path, *temporary;
} nd_file;

nd_status nd_file_begin(nd_file *file, const char *path, bool alone, nd_error *err);
nd_status nd_file_put(const nd_file *file, const void *bytes, size_t n, nd_error *err);
/* Each ends it, well or not. */
nd_status nd_file_commit(nd_file *file, nd_error *err);
void nd_file_abandon(nd_file *file);

/* A file that is there while it is held, by one process or thread at a time: a
 * death lets go. ND_LIMIT: another holds it. A disk without locks has none to
 * respect. */
typedef struct nd_lock {
  int fd;
  char *path;
} nd_lock;

nd_status nd_lock_take(nd_lock *lock, const char *path, nd_error *err);
void nd_lock_release(nd_lock *lock);

#endif
