/* Any bytes as a checkpoint: `make fuzz TARGET=checkpoint`. The length in front
 * of the header is put right first, so that it gets behind it. What is read
 * must come back the same when written, or not be written when its values would
 * not come back; what is a drummer must play. */
#include "fuzz.h"

#include <math.h>

#include "base/half.h"
#include "learn/sampler.h"
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
  const fuzz_name own = fuzz_own();
  const char *path = own.path;
  FILE *file = fopen(path, "wb");
  nd_error err;
  must(file != NULL && fclose(file) == 0);
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
      must(nd_generator_probabilities(g)[v] >= 0 && nd_generator_probabilities(g)[v] <= 1);
    }
  }
  nd_generator_free(g);
}

/* Batches of three songs, from the place that the checkpoint says. */
static void go_on(const nd_drummer *d, const nd_checkpoint *c) {
  static const char songs[] =
      "-1,-1,i0.5,-1,-1,i1.5,-1,-1,-1\n-1,-1,-1\ni0.1,-1,i0.2,-1,i0.3,-1,i0.4,-1,i0.5,-1\n";
  const char *place = nd_checkpoint_string(c, "batches");
  nd_sampler_options options = {.split = ND_TRAIN, .shuffle = true, .augment = true};
  int batch, steps;
  unsigned long long seed;
  if (place == NULL || sscanf(place, "1 %d %d %*d %llu", &batch, &steps, &seed) != 3) return;
  if (batch < 1 || batch > 8 || steps < 1 || steps > 64) return;
  options.batch = batch;
  options.steps = steps;
  options.seed = seed;
  nd_corpus *corpus;
  nd_sampler *sampler;
  nd_error err;
  fuzz_file file = fuzz_open(songs, sizeof songs - 1);
  must(nd_corpus_open(&corpus, file.path, &d->tokeniser, &err) == ND_OK);
  if (nd_sampler_make(&sampler, corpus, d, &options, &err) == ND_OK) {
    if (fuzz_ok(nd_sampler_restore(sampler, place, &err), &err)) {
      bool more;
      char *text;
      for (int i = 0; i < 8; i++) must(nd_sampler_next(sampler, &more, &err) == ND_OK);
      must(nd_sampler_save(sampler, &text, &err) == ND_OK);
      must(nd_sampler_restore(sampler, text, &err) == ND_OK);
      free(text);
    }
    nd_sampler_free(sampler);
  }
  nd_corpus_close(corpus);
  fuzz_close(&file);
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
      go_on(d, &c);
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
