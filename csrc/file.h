/* file.h - whole files in, whole files out: the engine's only door to disk
 * beside the corpus. */
#ifndef ND_FILE_H
#define ND_FILE_H

#include "nd.h"

/* A malloc'd copy of a regular file of at most `max` bytes. Folders, FIFOs
 * and devices are refused. */
nd_status nd_file_read(const char *path, size_t max, uint8_t **bytes, size_t *n, nd_error *err);

/* All or nothing: a temporary file beside `path`, flushed to disk, then
 * renamed over it. On failure the old file is as it was. */
nd_status nd_file_write(const char *path, const void *bytes, size_t n, nd_error *err);

/* For writers that stream: a temporary name beside `path` (malloc'd), and the
 * step from it to `path`. */
char *nd_file_temporary(const char *path);
nd_status nd_file_commit(int fd, const char *temporary, const char *path, nd_error *err);

#endif
