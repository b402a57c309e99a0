/* Any bytes as a checkpoint: `make fuzz TARGET=checkpoint`. The length in front
 * of the header is put right first, so that it gets behind it. What is read
 * must come back the same when written, or not be written when its values would
 * not come back; what is a drummer must play. */
#include "fuzz.h"

#include <math.h>

#include "half.h"
#include "net/checkpoint.h"
#include "play/generator.h"

static void seal(char *bytes, size_t size) {
  uint64_t length = 0;
  int depth = 0;
  bool quoted = false;
  for (size_t at = 8; at < size && length == 0; at++) {
    if (bytes[at] == '"') quoted = !quoted;
    else if (bytes[at] == '\\') at++;
    else if (!quoted && bytes[at] == '{') depth++;
    else if (!quoted && bytes[at] == '}' && --depth <= 0) length = at - 7;
  }
  for (size_t at = 8 + length; length > 0 && at < size && bytes[at] == ' '; at++) length++;
  for (size_t i = 0; i < 8 && length > 0; i++) bytes[i] = (char)(length >> 8 * i & 0xFF);
}

static bool take(nd_checkpoint *c, const void *bytes, size_t size) {
  fuzz_file file = fuzz_open(bytes, size);
  nd_error err;
  bool ok = fuzz_ok(nd_checkpoint_read(c, file.path, &err), &err);
  must(ok || (c->n_entries == 0 && c->entries == NULL && c->strings == NULL));
  fuzz_close(&file);
  return ok;
}

static void same(const nd_checkpoint *a, const nd_checkpoint *b) {
  must(a->n_entries == b->n_entries && a->n_strings == b->n_strings);
  for (size_t i = 0; i < a->n_entries; i++) {
    const nd_entry *x = &a->entries[i], *y = &b->entries[i];
    must(strcmp(x->name, y->name) == 0 && x->rank == y->rank && x->size == y->size);
    must(memcmp(x->values, y->values, x->size * sizeof *x->values) == 0);
  }
  for (size_t i = 0; i < a->n_strings; i++)
    must(strcmp(a->strings[i].key, b->strings[i].key) == 0 &&
         strcmp(a->strings[i].value, b->strings[i].value) == 0);
}

static bool sound(const nd_checkpoint *c, bool half) {
  for (size_t i = 0; i < c->n_entries; i++) {
    const nd_entry *e = &c->entries[i];
    for (size_t k = 0; k < e->size; k++)
      if (!isfinite(half && e->rank == 2 ? nd_half_round(e->values[k]) : e->values[k])) return false;
  }
  return true;
}

/* A checkpoint written to a file, and read again: whether it could be. */
static bool write_and_read(const nd_checkpoint *c, nd_checkpoint *again, bool half) {
  char path[32];
  (void)snprintf(path, sizeof path, "%s/nd-fuzz-XXXXXX", fuzz_folder());
  int fd = mkstemp(path);
  nd_error err;
  must(fd >= 0 && close(fd) == 0);
  const bool written = fuzz_ok(nd_checkpoint_write(c, path, half, &err), &err);
  must(written == sound(c, half));
  if (written) must(nd_checkpoint_read(again, path, &err) == ND_OK && sound(again, false));
  else must(access(path, R_OK) == 0);  /* what was there stays */
  (void)unlink(path);
  return written;
}

static void play(const nd_drummer *d) {
  nd_generator *g;
  nd_error err;
  nd_generator_options options = nd_generator_defaults(d);
  float metrics[ND_N_METRICS] = {0};
  uint8_t hits[ND_MAX_VOICES];
  nd_status status = nd_generator_make(&g, d, &options, NULL, &err);
  if (status != ND_OK) {
    must(d->features.kind == ND_FEATURES_RAW || d->features.kind == ND_FEATURES_TOUCH);
    return;
  }
  for (int i = 0; i < 8 && nd_generator_live(g); i++) {
    nd_generator_step(g, metrics, i % 4 == 0, hits);
    for (int32_t v = 0; v < d->net.config.voices; v++) {
      must(hits[v] < 128);
      must(nd_generator_odds(g)[v] >= 0 && nd_generator_odds(g)[v] <= 1);
    }
  }
  nd_generator_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nd_checkpoint c = {0}, again = {0}, described = {0};
  nd_drummer *d;
  nd_error err;
  char *bytes = fuzz_text(data, size);
  seal(bytes, size);
  if (take(&c, bytes, size)) {
    if (write_and_read(&c, &again, true)) nd_checkpoint_clear(&again);
    if (write_and_read(&c, &again, false)) same(&c, &again);
    if (fuzz_ok(nd_drummer_restore(&d, &c, &err), &err)) {
      play(d);
      must(nd_drummer_describe(d, &described, &err) == ND_OK);
      nd_drummer_free(d);
      must(nd_drummer_restore(&d, &described, &err) == ND_OK);
      nd_drummer_free(d);
    }
    nd_checkpoint_clear(&described);
    nd_checkpoint_clear(&again);
    nd_checkpoint_clear(&c);
  }
  free(bytes);
  return 0;
}
