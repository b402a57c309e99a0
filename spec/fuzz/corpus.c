/* Any bytes as a corpus or token text: `make fuzz TARGET=corpus`. Checksums are
 * put right first, so that it gets behind them. What is read must be sound, and
 * written and read again be the same.
 */
#include "fuzz.h"

#include "music/corpus.h"
#include "music/tokens.h"

static uint32_t get32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Puts the CRC of bytes from..to behind them. */
static void seal(uint8_t *bytes, size_t size, uint64_t from, uint64_t to) {
  if (from > to || to > size || size - to < 4) return;
  uint32_t x = 0xFFFFFFFFu;
  for (uint64_t i = from; i < to; i++) {
    x ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) x = x >> 1 ^ (x & 1 ? 0xEDB88320u : 0);
  }
  for (int i = 0; i < 4; i++) bytes[to + (uint64_t)i] = (uint8_t)(~x >> 8 * i);
}

static void seal_all(uint8_t *bytes, size_t size) {
  if (size < 72 || memcmp(bytes, "NDCORPUS", 8) != 0) return;
  uint64_t index = get32(bytes + 16);
  for (uint64_t at = index; at < size && size - at >= 28 + 4;) {
    uint64_t from = get32(bytes + at), n = get32(bytes + at + 8);
    if (n >= 4 && n <= size) seal(bytes, size, from, from + n - 4);
    at += 28 + (uint64_t)get32(bytes + at + 24);
  }
  if (size >= 4) seal(bytes, size, index, size - 4);
  uint32_t header = get32(bytes + 12);
  if (header >= 4) seal(bytes, size, 0, header - 4);
}

static void check(const nd_sequence *seq) {
  int32_t n = nd_sequence_steps(seq);
  size_t cells = (size_t)n * (size_t)nd_sequence_voices(seq);
  must(n >= 1 && seq->grid.n_bars >= 1 && seq->grid.bars[0].step == 0);
  for (int32_t t = 0; t < n; t++) {
    must(seq->grid.ticks[t] < seq->grid.ticks[t + 1]);
    must(seq->first[t] <= seq->first[t + 1]);
  }
  for (size_t i = 0; i < cells; i++) must(seq->hits[i] < 128);
  for (size_t i = 0; i < (size_t)n * ND_N_METRICS; i++) {
    float m = seq->metrics[i];
    must(m >= -65504 && m <= 65504 && nd_half_round(m) == m);
  }
  char *line, *again;
  size_t len, len_again;
  nd_sequence *read;
  must(nd_tokens_write(seq, &line, &len, NULL) == ND_OK);
  must(nd_tokens_read(&read, &seq->settings, line, len, NULL) == ND_OK);
  must(nd_tokens_write(read, &again, &len_again, NULL) == ND_OK);
  must(len == len_again && memcmp(line, again, len) == 0);
  free(line);
  free(again);
  nd_sequence_free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *bytes = (uint8_t *)fuzz_text(data, size);
  seal_all(bytes, size);
  fuzz_file file = fuzz_open(bytes, size);
  nd_corpus *c;
  nd_error err;
  if (fuzz_ok(nd_corpus_open(&c, file.path, NULL, &err), &err)) {
    for (int32_t i = 0; i < nd_corpus_count(c); i++) {
      nd_sequence *seq;
      must(strlen(nd_corpus_name(c, i)) <= size + 32);
      if (!fuzz_ok(nd_corpus_read(c, i, &seq, &err), &err)) continue;
      must(nd_sequence_steps(seq) == nd_corpus_steps(c, i));
      check(seq);
      nd_sequence_free(seq);
    }
    nd_corpus_close(c);
  }
  fuzz_close(&file);
  free(bytes);
  return 0;
}
