/* fuzz.h - what the harnesses share. Each has one function, which takes any bytes
 * and aborts where the code breaks a promise. libFuzzer calls it with bytes that
 * it makes up (`make fuzz TARGET=smf`), and replay.c with the inputs in the
 * repository: `make test`, check-asan and check-valgrind replay them all.
 *
 * There are two kinds of inputs:
 *  - regressions/TARGET/NAME: files that once failed, named after what was wrong.
 *  - TARGET.tar.gz: inputs that reach code that no other input reaches. They are
 *    unpacked into build/fuzz/corpus/TARGET.
 *
 * To add an input that failed: libFuzzer leaves it as build/fuzz/TARGET-crash-HASH
 * (or -leak-, -timeout-, -oom-). Mend the code, and copy the file to
 * regressions/TARGET/ under a name that says what was wrong. To add inputs that
 * reach new code, run `make fuzz-keep TARGET=…`: it merges what `make fuzz` found
 * into the archive. To add one of your own, put it into build/fuzz/corpus/TARGET
 * and run `make fuzz-pack TARGET=…`.
 *
 * A program of the target lua picks functions by their place in the annotations, so
 * that it calls others after one is added or removed: write a spec of what failed.
 */
#ifndef FUZZ_H
#define FUZZ_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/nd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(holds) \
  ((holds) ? (void)0 : fuzz_broken(__FILE__ ":" FUZZ_TEXT(__LINE__) ": " #holds))
#define FUZZ_TEXT(x) FUZZ_TEXT_(x)
#define FUZZ_TEXT_(x) #x

static inline void fuzz_broken(const char *promise) {
  (void)fprintf(stderr, "broken promise at %s\n", promise);
  abort();
}

/* A failing function says so in words, and never takes bytes for misuse. */
static inline bool fuzz_ok(nd_status status, const nd_error *err) {
  if (status == ND_OK) return true;
  must(err->status == status && status != ND_MISUSE);
  must(memchr(err->text, '\0', sizeof err->text) != NULL && err->text[0] != '\0');
  return false;
}

/* A copy with a zero behind it, as C strings are. */
static inline char *fuzz_text(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (text == NULL) exit(1);
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  return text;
}

/* Where files can be written without a disk, if there is such a place. */
static inline const char *fuzz_folder(void) {
  return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* A name there that no other process has. */
typedef struct fuzz_name { char path[40]; } fuzz_name;

static inline fuzz_name fuzz_own(void) {
  fuzz_name name;
  (void)snprintf(name.path, sizeof name.path, "%s/nd-fuzz-%ld", fuzz_folder(), (long)getpid());
  return name;
}

/* A file in memory that holds the bytes; its path is good until it is closed. */
typedef struct fuzz_file { int fd; char path[40]; } fuzz_file;

static inline fuzz_file fuzz_open(const void *bytes, size_t size) {
  fuzz_file file = {.fd = memfd_create("fuzz", 0)};
  if (file.fd < 0 || write(file.fd, bytes, size) != (ssize_t)size) exit(1);
  (void)snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
  return file;
}

static inline void fuzz_close(const fuzz_file *file) { (void)close(file->fd); }

#endif
