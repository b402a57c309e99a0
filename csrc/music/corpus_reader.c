/* corpus_reader.c - reads .ndc corpora.
 *
 * A corpus may come from anywhere, so nothing in it is trusted: every size is
 * checked against the size of the file before it decides an allocation or a read,
 * every value against its range, and every part against its checksum. A damaged
 * file gives ND_FORMAT that names the damaged part. */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"
#include "corpus_format.h"
#include "tokens.h"

const char *const nd_split_names[] = {"train", "valid", NULL};
const char *const nd_split_options[] = {"train", "valid", "all", NULL};

/* Reads n bytes at an offset. false with errno 0 when the file ends first. */
static bool read_all(int fd, uint8_t *p, size_t n, uint64_t offset) {
  while (n > 0) {
    ssize_t got = pread(fd, p, n, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    p += got;
    n -= (size_t)got;
    offset += (uint64_t)got;
  }
  return true;
}

/* The error of a read_all that failed: a short file, or errno's. */
static nd_status read_fail(nd_error *err) {
  return errno == 0 ? nd_fail(err, ND_FORMAT, "the file is cut short") : nd_io_fail(err);
}

void nd_corpus_close(nd_corpus *c) {
  if (c == NULL) return;
  if (c->fd >= 0) (void)close(c->fd);
  free(c->text);
  free(c->songs);
  free(c->names);
  free(c);
}

nd_status nd_corpus_damaged(nd_error *err, const char *what) {
  return nd_fail(err, ND_FORMAT, "the corpus is damaged: %s", what);
}

/* Reads and checks the header, and reports where songs and index begin. Every
 * size is checked against the file's before it is used. */
static nd_status read_header(nd_corpus *c, uint64_t file_size, uint64_t *start, uint64_t *index,
                             uint64_t *index_size, nd_error *err) {
  uint8_t h[HEADER_SIZE + ND_KIT_TEXT + 4];
  char kit[ND_KIT_TEXT];
  if (file_size < HEADER_SIZE + 4) return nd_fail(err, ND_FORMAT, "the file is cut short");
  if (!read_all(c->fd, h, HEADER_SIZE, 0)) return read_fail(err);
  if (nd_get_le32(h + AT_VERSION) != ND_CORPUS_VERSION)
    return nd_fail(err, ND_FORMAT, "the corpus has version %u; this program reads version %d",
                   (unsigned)nd_get_le32(h + AT_VERSION), ND_CORPUS_VERSION);
  uint32_t n_kit = nd_get_le32(h + AT_KIT);
  if (n_kit >= ND_KIT_TEXT || nd_get_le32(h + AT_HEADER) != HEADER_SIZE + n_kit + 4)
    return nd_corpus_damaged(err, "sizes of the header");
  if (!read_all(c->fd, h + HEADER_SIZE, n_kit + 4, HEADER_SIZE)) return read_fail(err);
  if (nd_get_le32(h + HEADER_SIZE + n_kit) != nd_crc32_of(&c->crc, h, HEADER_SIZE + n_kit))
    return nd_corpus_damaged(err, "checksum of the header");
  /* A file that was copied incompletely is the most common damage: say it plainly. */
  if (nd_get_le64(h + AT_FILE) != file_size)
    return nd_fail(err, ND_FORMAT, "the file is incomplete: it has %ju bytes and should have %ju",
                   (uintmax_t)file_size, (uintmax_t)nd_get_le64(h + AT_FILE));
  *start = HEADER_SIZE + n_kit + 4;
  *index = nd_get_le64(h + AT_INDEX);
  *index_size = nd_get_le64(h + AT_INDEX_SIZE);
  if (*index < *start || *index > file_size || *index_size != file_size - *index)
    return nd_corpus_damaged(err, "offset of the index");
  memcpy(kit, h + HEADER_SIZE, n_kit);
  kit[n_kit] = '\0';
  nd_tokeniser *tok = &c->tok;
  uint32_t steps_per_beat = nd_get_le32(h + AT_STEPS_PER_BEAT), beat = nd_get_le32(h + AT_BEAT);
  uint32_t flags = nd_get_le32(h + AT_FLAGS), max_steps = nd_get_le32(h + AT_MAX_STEPS);
  uint32_t n_songs = nd_get_le32(h + AT_SONGS);
  if (nd_kit_parse(&tok->kit, kit, err) != ND_OK || tok->kit.n_voices == 0)
    return nd_corpus_damaged(err, "kit");
  if (steps_per_beat < 1 || steps_per_beat > 960 || beat > ND_BEAT_METER || max_steps < 1 ||
      max_steps > ND_MAX_STEPS || flags > (INCLUDE_DRUMS | ORIGINAL) || n_songs > INT32_MAX)
    return nd_corpus_damaged(err, "settings");
  if (nd_get_le32(h + AT_METRICS) != ND_N_METRICS)
    return nd_fail(err, ND_FORMAT,
                   "the corpus has %u metrics per step; this program uses %d: run preprocess again",
                   (unsigned)nd_get_le32(h + AT_METRICS), ND_N_METRICS);
  tok->steps_per_beat = (int32_t)steps_per_beat;
  tok->beat = (nd_beat)beat;
  tok->include_drums = flags & INCLUDE_DRUMS;
  tok->original = flags & ORIGINAL;
  tok->max_steps = (int32_t)max_steps;
  c->n_songs = (int32_t)n_songs;
  return ND_OK;
}

/* Reads and checks the index. Its songs must fill the file from `start` to the
 * index without gap or overlap, so that no offset can point elsewhere. */
static nd_status read_index(nd_corpus *c, uint64_t start, uint64_t index, uint64_t index_size,
                            nd_error *err) {
  uint64_t n_songs = (uint64_t)c->n_songs;
  if (index_size < 4 || (index_size - 4) / ENTRY_SIZE < n_songs ||
      index_size - 4 > n_songs * (ENTRY_SIZE + MAX_NAME) || index_size > SIZE_MAX)
    return nd_corpus_damaged(err, "size of the index");
  size_t size = (size_t)index_size - 4;
  /* one byte more than the CRC takes, for the zero after the last name */
  c->names = nd_calloc(size + 5, 1);
  c->songs = nd_calloc((size_t)n_songs, sizeof *c->songs);
  if (c->names == NULL || c->songs == NULL) return nd_nomem(err);
  if (!read_all(c->fd, c->names, size + 4, index)) return read_fail(err);
  if (nd_get_le32(c->names + size) != nd_crc32_of(&c->crc, c->names, size))
    return nd_corpus_damaged(err, "checksum of the index");
  size_t at = 0;
  for (int32_t i = 0; i < c->n_songs; i++) {
    nd_song_entry *song = &c->songs[i];
    if (size - at < ENTRY_SIZE) return nd_corpus_damaged(err, "entries of the index");
    const uint8_t *entry = c->names + at;
    uint32_t steps = nd_get_le32(entry + 16), split = nd_get_le32(entry + 20);
    uint32_t n_name = nd_get_le32(entry + 24);
    song->offset = nd_get_le64(entry);
    song->size = nd_get_le64(entry + 8);
    at += ENTRY_SIZE;
    if (song->offset != start || song->size > index - start || song->size < SONG_SIZE + 4 ||
        steps < 1 || steps > (uint32_t)c->tok.max_steps || steps > song->size ||
        split > ND_VALID || n_name > MAX_NAME || n_name > size - at)
      return nd_corpus_damaged(err, "entries of the index");
    /* where the next song must begin */
    start += song->size;
    song->steps = (int32_t)steps;
    song->split = (nd_split)split;
    /* The name moves over its entry, which has been read: room for its zero. */
    song->name = (char *)c->names + at - ENTRY_SIZE;
    memmove(song->name, c->names + at, n_name);
    song->name[n_name] = '\0';
    at += n_name;
  }
  if (at != size || start != index) return nd_corpus_damaged(err, "entries of the index");
  return ND_OK;
}

/* The magic decides between a corpus and token text. O_NONBLOCK keeps the open
 * from waiting for a writer when the path is a FIFO, which is then refused. */
nd_status nd_corpus_open(nd_corpus **out, const char *path, const nd_tokeniser *tok,
                         nd_error *err) {
  nd_corpus *c = nd_calloc(1, sizeof *c);
  if (c == NULL) return nd_nomem(err);
  nd_crc32_make(&c->crc);
  nd_status status = ND_OK;
  uint8_t start[sizeof nd_corpus_magic];
  struct stat st;
  c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (c->fd < 0 || fstat(c->fd, &st) != 0) {
    status = nd_io_fail(err);
  } else if (!S_ISREG(st.st_mode)) {
    status = nd_fail(err, ND_IO, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
  } else if (read_all(c->fd, start, sizeof start, 0) &&
             memcmp(start, nd_corpus_magic, sizeof start) == 0) {
    uint64_t songs, index, index_size;
    status = read_header(c, (uint64_t)st.st_size, &songs, &index, &index_size, err);
    if (status == ND_OK) status = read_index(c, songs, index, index_size, err);
  } else {
    (void)close(c->fd);
    c->fd = -1;
    if (tok != NULL) c->tok = *tok;
    else status = nd_tokeniser_preset(&c->tok, "neuraldrummer2023", err);
    if (status == ND_OK) status = nd_text_corpus_read(c, path, err);
  }
  if (status != ND_OK) nd_corpus_close(c);
  else *out = c;
  return status;
}

int32_t nd_corpus_count(const nd_corpus *c) { return c->n_songs; }
const nd_tokeniser *nd_corpus_tokeniser(const nd_corpus *c) { return &c->tok; }
int32_t nd_corpus_steps(const nd_corpus *c, int32_t song) { return c->songs[song].steps; }
nd_split nd_corpus_split(const nd_corpus *c, int32_t song) { return c->songs[song].split; }
const char *nd_corpus_name(const nd_corpus *c, int32_t song) { return c->songs[song].name; }

/* Decodes bars and ticks into a grid with arrays of the right size; `ticks` is
 * NULL when they are even. false when bars or ticks do not ascend. */
static bool decode_grid(nd_grid *grid, const uint8_t *bars, const uint8_t *ticks) {
  for (int32_t b = 0; b < grid->n_bars; b++, bars += 8) {
    uint32_t step = nd_get_le32(bars);
    nd_bar bar = {(int32_t)step, (int16_t)nd_get_le16(bars + 4), (int16_t)nd_get_le16(bars + 6)};
    if (step >= (uint32_t)grid->n_steps || bar.numerator < 1 || bar.denominator < 1 ||
        (b == 0 ? step != 0 : bar.step <= grid->bars[b - 1].step))
      return false;
    grid->bars[b] = bar;
  }
  for (int32_t t = 0; t <= grid->n_steps; t++) {
    if (ticks == NULL) {
      grid->ticks[t] = nd_even_tick(grid, t);
      continue;
    }
    /* a double, by its bits; NaN fails both comparisons */
    uint64_t bits = nd_get_le64(ticks + 8 * (size_t)t);
    memcpy(&grid->ticks[t], &bits, sizeof bits);
    if (!(grid->ticks[t] <= 2.0 * INT32_MAX) ||
        (t == 0 ? grid->ticks[t] != 0 : grid->ticks[t] <= grid->ticks[t - 1]))
      return false;
  }
  return true;
}

/* Decodes the strikes, of which step t has counts[t]; false when the counts do
 * not add up or a value is out of range. */
static bool decode_strikes(nd_sequence *seq, const uint8_t *counts, const uint8_t *strikes,
                           uint32_t n_strikes) {
  uint32_t n = 0;
  for (int32_t t = 0; t < seq->grid.n_steps; t++) {
    uint32_t count = nd_get_le32(counts + 4 * (size_t)t);
    if (count > n_strikes - n) return false;
    seq->first[t] = (int32_t)n;
    n += count;
  }
  seq->first[seq->grid.n_steps] = (int32_t)n;
  if (n != n_strikes) return false;
  for (uint32_t i = 0; i < n; i++, strikes += 3) {
    if (strikes[0] > 127 || strikes[1] < 1 || strikes[1] > 127) return false;
    int offset = strikes[2] < 128 ? strikes[2] : strikes[2] - 256;
    seq->strikes[i] = (nd_strike){strikes[0], strikes[1], (int8_t)offset};
  }
  nd_sequence_derive_hits(seq);
  return true;
}

/* Decodes all metrics, or the intensity alone; the metrics of position follow
 * from the grid then. */
static bool decode_metrics(nd_sequence *seq, const uint8_t *halves, bool all) {
  if (!all) nd_metrics_position(seq->metrics, &seq->grid);
  for (int32_t t = 0; t < seq->grid.n_steps; t++)
    for (size_t m = 0; m < (all ? (size_t)ND_N_METRICS : 1); m++, halves += 2) {
      uint16_t h = nd_get_le16(halves);
      if ((h >> 10 & 31) == 31) return false;  /* infinite or NaN */
      seq->metrics[(size_t)t * ND_N_METRICS + m] = nd_half_to_float(h);
    }
  seq->has_metrics = all;
  return true;
}

static nd_status decode_song(const nd_corpus *c, const nd_song_entry *song, const uint8_t *p,
                             nd_sequence **out, nd_error *err) {
  uint32_t n = nd_get_le32(p), n_bars = nd_get_le32(p + 4), n_strikes = nd_get_le32(p + 8);
  uint32_t ppq = nd_get_le32(p + 12);
  uint32_t flags = nd_get_le32(p + 16);
  /* Sizes first: they decide how much is allocated and where to read. */
  if (n != (uint32_t)song->steps || n_bars < 1 || n_bars > n || n_strikes > INT32_MAX || ppq < 1 ||
      ppq > 0x7FFF || flags > (HAS_METRICS | EVEN_TICKS) ||
      song->size != nd_encoded_size(n, n_bars, n_strikes, flags))
    return nd_corpus_damaged(err, "sizes of a song");
  /* the parts in the order of corpus_format.h */
  const uint8_t *bars = p + SONG_SIZE, *counts = bars + 8 * (size_t)n_bars;
  const uint8_t *strikes = counts + 4 * (size_t)n, *ticks = strikes + 3 * (size_t)n_strikes;
  const uint8_t *metrics = flags & EVEN_TICKS ? ticks : ticks + 8 * ((size_t)n + 1);
  nd_grid grid = {
    .steps_per_beat = c->tok.steps_per_beat, .ppq = (int32_t)ppq,
    .n_steps = (int32_t)n, .n_bars = (int32_t)n_bars,
    .ticks = nd_calloc((size_t)n + 1, sizeof *grid.ticks),
    .bars = nd_calloc(n_bars, sizeof *grid.bars),
  };
  if (grid.ticks == NULL || grid.bars == NULL) {
    nd_grid_clear(&grid);
    return nd_nomem(err);
  }
  if (!decode_grid(&grid, bars, flags & EVEN_TICKS ? NULL : ticks)) {
    nd_grid_clear(&grid);
    return nd_corpus_damaged(err, "bars or ticks of a song");
  }
  nd_sequence *seq;
  nd_status status = nd_sequence_new(&seq, &c->tok, &grid, n_strikes, err);
  if (status != ND_OK) return status;
  if (!decode_strikes(seq, counts, strikes, n_strikes))
    status = nd_corpus_damaged(err, "strikes of a song");
  else if (!decode_metrics(seq, metrics, flags & HAS_METRICS))
    status = nd_corpus_damaged(err, "metrics of a song");
  if (status != ND_OK) nd_sequence_free(seq);
  else *out = seq;
  return status;
}

/* One read of the whole song; the checksum is verified before anything is decoded. */
nd_status nd_corpus_read_encoded(const nd_corpus *c, const nd_song_entry *entry, uint8_t **out,
                                 nd_error *err) {
  if (entry->size > SIZE_MAX) return nd_nomem(err);
  size_t size = (size_t)entry->size;
  uint8_t *bytes = malloc(size);  /* at least SONG_SIZE + 4: read_index has checked */
  nd_status status = ND_OK;
  if (bytes == NULL) return nd_nomem(err);
  if (!read_all(c->fd, bytes, size, entry->offset))
    status = read_fail(err);
  else if (nd_get_le32(bytes + size - 4) != nd_crc32_of(&c->crc, bytes, size - 4))
    status = nd_corpus_damaged(err, "checksum of a song");
  if (status == ND_OK) *out = bytes;
  else free(bytes);
  return status;
}

/* Reads by pread, which has no file position: threads may read one corpus at once. */
nd_status nd_corpus_read(const nd_corpus *c, int32_t song, nd_sequence **out, nd_error *err) {
  const nd_song_entry *entry = &c->songs[song];
  nd_sequence *seq = NULL;
  nd_status status;
  if (c->fd < 0) {
    status = nd_tokens_read(&seq, &c->tok, (const char *)c->text + entry->offset,
                            (size_t)entry->size, err);
  } else {
    uint8_t *bytes = NULL;
    status = nd_corpus_read_encoded(c, entry, &bytes, err);
    if (status == ND_OK) status = decode_song(c, entry, bytes, &seq, err);
    free(bytes);
  }
  if (status == ND_OK && nd_sequence_set_name(seq, entry->name) != ND_OK) {
    nd_sequence_free(seq);
    status = nd_nomem(err);
  }
  if (status == ND_OK) *out = seq;
  return status;
}
