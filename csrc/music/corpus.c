#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/bytes.h"
#include "../base/file.h"
#include "tokens.h"

static const char magic[8] = {'N', 'D', 'C', 'O', 'R', 'P', 'U', 'S'};

enum {
  VERSION = 1,
  /* header: the fields below, the kit's text, the CRC of both */
  AT_VERSION = 8, AT_HEADER = 12, AT_INDEX = 16, AT_INDEX_SIZE = 24, AT_FILE = 32,
  AT_SONGS = 40, AT_STEPS_PER_BEAT = 44, AT_BEAT = 48, AT_FLAGS = 52, AT_MAX_STEPS = 56,
  AT_METRICS = 60, AT_KIT = 64, HEADER = 68,
  INCLUDE_DRUMS = 1, ORIGINAL = 2,        /* AT_FLAGS */
  /* song: the fields below; per bar 8 bytes; per step 4 for its number of
   * strikes; per strike 3; per step 8 for its tick unless they are even; per
   * step all metrics, or the intensity; the CRC */
  SONG = 20, HAS_METRICS = 1, EVEN_TICKS = 2,
  /* entry of the index: offset, size, steps, split, length of the name */
  ENTRY = 28, MAX_NAME = 4096
};

static nd_status nomem(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

/* False with errno 0 when the file ends first. */
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

static nd_status read_fail(nd_error *err) {
  return errno == 0 ? nd_fail(err, ND_FORMAT, "the file is cut short") : nd_io_fail(err);
}

/* ------------------------------------------------------------------ writing */

struct nd_corpus_writer {
  nd_tokeniser tok;
  nd_crc32 crc;
  nd_file file;
  uint64_t offset;              /* where the next song goes */
  uint32_t n_songs;
  uint8_t *index, *buffer;      /* the buffer is the song being packed */
  size_t n_index, index_capacity, buffer_capacity;
};

static void writer_free(nd_corpus_writer *w) {
  free(w->index);
  free(w->buffer);
  free(w);
}

/* The header with everything that is known at the end; `at` has room for it. */
static size_t pack_header(const nd_corpus_writer *w, uint8_t *at) {
  char kit[ND_KIT_TEXT];
  (void)nd_kit_format(&w->tok.kit, kit, sizeof kit, NULL);
  size_t n_kit = strlen(kit), size = HEADER + n_kit + 4;
  memcpy(at, magic, sizeof magic);
  nd_put_le32(at + AT_VERSION, VERSION);
  nd_put_le32(at + AT_HEADER, (uint32_t)size);
  nd_put_le64(at + AT_INDEX, w->offset);
  nd_put_le64(at + AT_INDEX_SIZE, w->n_index + 4);
  nd_put_le64(at + AT_FILE, w->offset + w->n_index + 4);
  nd_put_le32(at + AT_SONGS, w->n_songs);
  nd_put_le32(at + AT_STEPS_PER_BEAT, (uint32_t)w->tok.steps_per_beat);
  nd_put_le32(at + AT_BEAT, (uint32_t)w->tok.beat);
  nd_put_le32(at + AT_FLAGS, (w->tok.include_drums ? INCLUDE_DRUMS : 0u) |
                       (w->tok.original ? ORIGINAL : 0u));
  nd_put_le32(at + AT_MAX_STEPS, (uint32_t)w->tok.max_steps);
  nd_put_le32(at + AT_METRICS, ND_N_METRICS);
  nd_put_le32(at + AT_KIT, (uint32_t)n_kit);
  memcpy(at + HEADER, kit, n_kit);
  nd_put_le32(at + HEADER + n_kit, nd_crc32_of(&w->crc, at, HEADER + n_kit));
  return size;
}

nd_status nd_corpus_create(nd_corpus_writer **out, const char *path,
                           const nd_tokeniser *tok, nd_error *err) {
  char kit[ND_KIT_TEXT];
  nd_status status = nd_kit_format(&tok->kit, kit, sizeof kit, err);
  if (status != ND_OK) return status;
  nd_corpus_writer *w = nd_calloc(1, sizeof *w);
  if (w == NULL) return nomem(err);
  w->tok = *tok;
  nd_crc32_make(&w->crc);
  w->offset = HEADER + strlen(kit) + 4;
  status = nd_file_begin(&w->file, path, true, err);
  if (status != ND_OK) {
    writer_free(w);
    return status;
  }
  if (lseek(w->file.fd, (off_t)w->offset, SEEK_SET) < 0) {
    status = nd_io_fail(err);
    nd_corpus_abandon(w);
    return status;
  }
  *out = w;
  return ND_OK;
}

static double even_tick(const nd_grid *grid, int32_t step) {
  return (double)step * grid->ppq / grid->steps_per_beat;
}

/* Bytes of a packed song; 64-bit, so that no hostile count overflows. */
static uint64_t song_size(uint64_t steps, uint64_t bars, uint64_t strikes, uint32_t flags) {
  uint64_t tick = flags & EVEN_TICKS ? 0 : 8, metrics = flags & HAS_METRICS ? ND_N_METRICS : 1;
  return SONG + 8 * bars + 3 * strikes + (4 + 2 * metrics) * steps + tick * (steps + 1) + 4;
}

static void pack_song(uint8_t *p, const nd_sequence *seq, uint32_t flags) {
  const nd_grid *grid = &seq->grid;
  int32_t n = grid->n_steps;
  nd_put_le32(p, (uint32_t)n);
  nd_put_le32(p + 4, (uint32_t)grid->n_bars);
  nd_put_le32(p + 8, (uint32_t)seq->first[n]);
  nd_put_le32(p + 12, (uint32_t)grid->ppq);
  nd_put_le32(p + 16, flags);
  p += SONG;
  for (int32_t b = 0; b < grid->n_bars; b++, p += 8) {
    const nd_bar *bar = &grid->bars[b];
    nd_put_le32(p, (uint32_t)bar->step);
    nd_put_le32(p + 4, (uint32_t)(uint16_t)bar->numerator |
                           (uint32_t)(uint16_t)bar->denominator << 16);
  }
  for (int32_t t = 0; t < n; t++, p += 4)
    nd_put_le32(p, (uint32_t)(seq->first[t + 1] - seq->first[t]));
  for (int32_t i = 0; i < seq->first[n]; i++, p += 3) {
    p[0] = seq->strikes[i].pitch;
    p[1] = seq->strikes[i].velocity;
    p[2] = (uint8_t)seq->strikes[i].offset;
  }
  for (int32_t t = 0; !(flags & EVEN_TICKS) && t <= n; t++, p += 8) {
    uint64_t bits;
    memcpy(&bits, &grid->ticks[t], sizeof bits);
    nd_put_le64(p, bits);
  }
  if (flags & HAS_METRICS) {
    nd_half_pack(p, seq->metrics, (size_t)n * ND_N_METRICS);
    return;
  }
  for (int32_t t = 0; t < n; t++, p += 2) nd_half_pack(p, seq->metrics + (size_t)t * ND_N_METRICS, 1);
}

/* Into a buffer that grows. */
static nd_status pack_into(uint8_t **buffer, size_t *capacity, nd_encoded_song *packed,
                           const nd_corpus_writer *w, const nd_sequence *seq, nd_error *err) {
  const nd_grid *grid = &seq->grid;
  if (!nd_tokeniser_equal(&w->tok, &seq->settings))
    return nd_fail(err, ND_MISUSE, "the sequence has other tokeniser settings than the corpus");
  if (grid->n_steps > w->tok.max_steps)
    return nd_fail(err, ND_LIMIT, "%d steps, over the limit of %d (max_steps)", grid->n_steps,
                   w->tok.max_steps);
  uint32_t flags = (seq->has_metrics ? HAS_METRICS : 0u) | EVEN_TICKS;
  for (int32_t t = 0; t <= grid->n_steps; t++)
    if (grid->ticks[t] != even_tick(grid, t)) flags &= ~(uint32_t)EVEN_TICKS;
  size_t size = (size_t)song_size((uint64_t)grid->n_steps, (uint64_t)grid->n_bars,
                                  (uint64_t)seq->first[grid->n_steps], flags);
  if (!ND_GROW(*buffer, size, *capacity)) return nomem(err);
  pack_song(*buffer, seq, flags);
  nd_put_le32(*buffer + size - 4, nd_crc32_of(&w->crc, *buffer, size - 4));
  *packed = (nd_encoded_song){*buffer, size, grid->n_steps};
  return ND_OK;
}

nd_status nd_corpus_encode(nd_encoded_song *packed, const nd_corpus_writer *w, const nd_sequence *seq,
                         nd_error *err) {
  uint8_t *buffer = NULL;
  size_t capacity = 0;
  return pack_into(&buffer, &capacity, packed, w, seq, err);
}

void nd_encoded_song_clear(nd_encoded_song *packed) {
  free(packed->bytes);
  *packed = (nd_encoded_song){NULL, 0, 0};
}

nd_status nd_corpus_put(nd_corpus_writer *w, const nd_encoded_song *packed, const char *song_name,
                        nd_split split, nd_error *err) {
  if (w->n_songs == INT32_MAX) return nd_fail(err, ND_LIMIT, "the corpus is full");
  size_t name = strlen(song_name);
  if (name > MAX_NAME) name = MAX_NAME;
  if (!ND_GROW(w->index, w->n_index + ENTRY + name + 4, w->index_capacity))
    return nomem(err);
  nd_status status = nd_file_put(&w->file, packed->bytes, packed->size, err);
  if (status != ND_OK) {
    /* a later song overwrites what was written of this one */
    (void)lseek(w->file.fd, (off_t)w->offset, SEEK_SET);
    return status;
  }
  uint8_t *entry = w->index + w->n_index;
  nd_put_le64(entry, w->offset);
  nd_put_le64(entry + 8, packed->size);
  nd_put_le32(entry + 16, (uint32_t)packed->steps);
  nd_put_le32(entry + 20, (uint32_t)split);
  nd_put_le32(entry + 24, (uint32_t)name);
  memcpy(entry + ENTRY, song_name, name);
  w->n_index += ENTRY + name;
  w->offset += packed->size;
  w->n_songs++;
  return ND_OK;
}

nd_status nd_corpus_add(nd_corpus_writer *w, const nd_sequence *seq, nd_split split,
                        nd_error *err) {
  nd_encoded_song packed;
  nd_status status = pack_into(&w->buffer, &w->buffer_capacity, &packed, w, seq, err);
  return status == ND_OK ? nd_corpus_put(w, &packed, seq->name, split, err) : status;
}

nd_status nd_corpus_finish(nd_corpus_writer *w, nd_error *err) {
  uint8_t header[HEADER + ND_KIT_TEXT + 4];
  size_t size = pack_header(w, header);
  if (!ND_GROW(w->index, w->n_index + 4, w->index_capacity)) {
    nd_corpus_abandon(w);
    return nomem(err);
  }
  nd_put_le32(w->index + w->n_index, nd_crc32_of(&w->crc, w->index, w->n_index));
  /* a failed song may have left bytes behind the end */
  nd_status status = nd_file_put(&w->file, w->index, w->n_index + 4, err);
  if (status == ND_OK && (ftruncate(w->file.fd, (off_t)(w->offset + w->n_index + 4)) != 0 ||
                          lseek(w->file.fd, 0, SEEK_SET) < 0))
    status = nd_io_fail(err);
  if (status == ND_OK) status = nd_file_put(&w->file, header, size, err);
  if (status != ND_OK) {
    nd_corpus_abandon(w);
    return status;
  }
  status = nd_file_commit(&w->file, err);
  writer_free(w);
  return status;
}

void nd_corpus_abandon(nd_corpus_writer *w) {
  if (w == NULL) return;
  nd_file_abandon(&w->file);
  writer_free(w);
}

/* ------------------------------------------------------------------ reading */

typedef struct song_entry {
  uint64_t offset, size;   /* in the file; of token text, in the text */
  char *name;
  int32_t steps;
  nd_split split;
} song_entry;

struct nd_corpus {
  nd_tokeniser tok;
  nd_crc32 crc;
  int fd;                  /* -1: token text */
  uint8_t *text;
  song_entry *songs;
  int32_t n_songs;
  uint8_t *names;          /* what the entries' names point into */
};

void nd_corpus_close(nd_corpus *c) {
  if (c == NULL) return;
  if (c->fd >= 0) (void)close(c->fd);
  free(c->text);
  free(c->songs);
  free(c->names);
  free(c);
}

static nd_status damaged(nd_error *err, const char *what) {
  return nd_fail(err, ND_FORMAT, "the corpus is damaged: %s", what);
}

static nd_status read_header(nd_corpus *c, uint64_t file_size, uint64_t *start, uint64_t *index,
                             uint64_t *index_size, nd_error *err) {
  uint8_t h[HEADER + ND_KIT_TEXT + 4];
  char kit[ND_KIT_TEXT];
  if (file_size < HEADER + 4) return nd_fail(err, ND_FORMAT, "the file is cut short");
  if (!read_all(c->fd, h, HEADER, 0)) return read_fail(err);
  if (nd_get_le32(h + AT_VERSION) != VERSION)
    return nd_fail(err, ND_FORMAT, "corpus version %u, this program reads %d",
                   (unsigned)nd_get_le32(h + AT_VERSION), VERSION);
  uint32_t n_kit = nd_get_le32(h + AT_KIT);
  if (n_kit >= ND_KIT_TEXT || nd_get_le32(h + AT_HEADER) != HEADER + n_kit + 4)
    return damaged(err, "sizes of the header");
  if (!read_all(c->fd, h + HEADER, n_kit + 4, HEADER)) return read_fail(err);
  if (nd_get_le32(h + HEADER + n_kit) != nd_crc32_of(&c->crc, h, HEADER + n_kit))
    return damaged(err, "checksum of the header");
  if (nd_get_le64(h + AT_FILE) != file_size)
    return nd_fail(err, ND_FORMAT, "the file has %ju bytes and should have %ju",
                   (uintmax_t)file_size, (uintmax_t)nd_get_le64(h + AT_FILE));
  *start = HEADER + n_kit + 4;
  *index = nd_get_le64(h + AT_INDEX);
  *index_size = nd_get_le64(h + AT_INDEX_SIZE);
  if (*index < *start || *index > file_size || *index_size != file_size - *index)
    return damaged(err, "place of the index");
  memcpy(kit, h + HEADER, n_kit);
  kit[n_kit] = '\0';
  nd_tokeniser *tok = &c->tok;
  uint32_t steps_per_beat = nd_get_le32(h + AT_STEPS_PER_BEAT), beat = nd_get_le32(h + AT_BEAT);
  uint32_t flags = nd_get_le32(h + AT_FLAGS), max_steps = nd_get_le32(h + AT_MAX_STEPS);
  uint32_t n_songs = nd_get_le32(h + AT_SONGS);
  if (nd_kit_parse(&tok->kit, kit, err) != ND_OK || tok->kit.n_voices == 0)
    return damaged(err, "its kit");
  if (steps_per_beat < 1 || steps_per_beat > 960 || beat > ND_BEAT_METER || max_steps < 1 ||
      max_steps > ND_MAX_STEPS || flags > (INCLUDE_DRUMS | ORIGINAL) || n_songs > INT32_MAX)
    return damaged(err, "its settings");
  if (nd_get_le32(h + AT_METRICS) != ND_N_METRICS)
    return nd_fail(err, ND_FORMAT, "the corpus has %u metrics a step, this program %d",
                   (unsigned)nd_get_le32(h + AT_METRICS), ND_N_METRICS);
  tok->steps_per_beat = (int32_t)steps_per_beat;
  tok->beat = (nd_beat)beat;
  tok->include_drums = flags & INCLUDE_DRUMS;
  tok->original = flags & ORIGINAL;
  tok->max_steps = (int32_t)max_steps;
  c->n_songs = (int32_t)n_songs;
  return ND_OK;
}

/* Takes the index apart; its songs must lie one behind the other from `start`
 * up to the index itself, so that no offset can lead astray. */
static nd_status read_index(nd_corpus *c, uint64_t start, uint64_t index, uint64_t index_size,
                            nd_error *err) {
  uint64_t n_songs = (uint64_t)c->n_songs;
  if (index_size < 4 || (index_size - 4) / ENTRY < n_songs ||
      index_size - 4 > n_songs * (ENTRY + MAX_NAME) || index_size > SIZE_MAX)
    return damaged(err, "size of the index");
  size_t size = (size_t)index_size - 4;
  /* one byte more ends the last name */
  c->names = nd_calloc(size + 5, 1);
  c->songs = nd_calloc((size_t)n_songs, sizeof *c->songs);
  if (c->names == NULL || c->songs == NULL) return nomem(err);
  if (!read_all(c->fd, c->names, size + 4, index)) return read_fail(err);
  if (nd_get_le32(c->names + size) != nd_crc32_of(&c->crc, c->names, size))
    return damaged(err, "checksum of the index");
  size_t at = 0;
  for (int32_t i = 0; i < c->n_songs; i++) {
    song_entry *song = &c->songs[i];
    if (size - at < ENTRY) return damaged(err, "entries of the index");
    const uint8_t *entry = c->names + at;
    uint32_t steps = nd_get_le32(entry + 16), split = nd_get_le32(entry + 20);
    uint32_t n_name = nd_get_le32(entry + 24);
    song->offset = nd_get_le64(entry);
    song->size = nd_get_le64(entry + 8);
    at += ENTRY;
    if (song->offset != start || song->size > index - start || song->size < SONG + 4 ||
        steps < 1 || steps > (uint32_t)c->tok.max_steps || steps > song->size ||
        split > ND_VALID || n_name > MAX_NAME || n_name > size - at)
      return damaged(err, "entries of the index");
    start += song->size;
    song->steps = (int32_t)steps;
    song->split = (nd_split)split;
    /* moved onto its entry, which has been read, to make room for the zero */
    song->name = (char *)c->names + at - ENTRY;
    memmove(song->name, c->names + at, n_name);
    song->name[n_name] = '\0';
    at += n_name;
  }
  if (at != size || start != index) return damaged(err, "entries of the index");
  return ND_OK;
}

/* Each line is checked once, so that a malformed text is refused at once. */
static nd_status read_text(nd_corpus *c, const char *path, nd_error *err) {
  enum { NAME = 32 };
  size_t n = 0, capacity = 0, line = 0;
  const size_t limit = SIZE_MAX > UINT32_MAX ? (size_t)16 * ND_MAX_FILE_BYTES : ND_MAX_FILE_BYTES;
  nd_status status = nd_file_read(path, limit, &c->text, &n, err);
  for (size_t at = 0, next; status == ND_OK && at < n; at = next) {
    const uint8_t *end = memchr(c->text + at, '\n', n - at);
    size_t stop = end != NULL ? (size_t)(end - c->text) : n;
    const char *text = (const char *)c->text + at;
    next = stop + 1;
    line++;
    bool empty = true;
    for (size_t i = at; i < stop; i++)
      empty = empty && (c->text[i] == ' ' || c->text[i] == '\r');
    if (empty) continue;
    nd_error why;
    song_entry song = {.offset = at, .size = stop - at, .split = ND_TRAIN};
    status = nd_tokens_check(&c->tok, text, stop - at, &song.steps, &why);
    if (status != ND_OK) return nd_fail(err, status, "line %zu: %s", line, why.text);
    if (c->n_songs == INT32_MAX) return nd_fail(err, ND_LIMIT, "too many songs");
    if (!ND_GROW(c->songs, (size_t)c->n_songs + 1, capacity)) return nomem(err);
    c->songs[c->n_songs++] = song;
  }
  if (status != ND_OK) return status;
  if (c->n_songs == 0) return nd_fail(err, ND_FORMAT, "neither a corpus nor token text: no songs");
  c->names = nd_calloc((size_t)c->n_songs, NAME);
  if (c->names == NULL) return nomem(err);
  line = 1;
  for (int32_t i = 0; i < c->n_songs; i++) {
    song_entry *song = &c->songs[i];
    uint64_t from = i > 0 ? c->songs[i - 1].offset : 0;
    for (uint64_t k = from; k < song->offset; k++) line += c->text[k] == '\n';
    song->name = (char *)c->names + (size_t)i * NAME;
    (void)snprintf(song->name, NAME, "line %zu", line);
  }
  return ND_OK;
}

nd_status nd_corpus_open(nd_corpus **out, const char *path, const nd_tokeniser *tok,
                         nd_error *err) {
  nd_corpus *c = nd_calloc(1, sizeof *c);
  if (c == NULL) return nomem(err);
  nd_crc32_make(&c->crc);
  nd_status status = ND_OK;
  uint8_t start[sizeof magic];
  struct stat st;
  c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (c->fd < 0 || fstat(c->fd, &st) != 0) {
    status = nd_io_fail(err);
  } else if (!S_ISREG(st.st_mode)) {
    status = nd_fail(err, ND_IO, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
  } else if (read_all(c->fd, start, sizeof start, 0) && memcmp(start, magic, sizeof magic) == 0) {
    uint64_t songs, index, index_size;
    status = read_header(c, (uint64_t)st.st_size, &songs, &index, &index_size, err);
    if (status == ND_OK) status = read_index(c, songs, index, index_size, err);
  } else {
    (void)close(c->fd);
    c->fd = -1;
    if (tok != NULL) c->tok = *tok;
    else status = nd_tokeniser_preset(&c->tok, "neuraldrummer2023", err);
    if (status == ND_OK) status = read_text(c, path, err);
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

/* The grid of a packed song of checked size; false when it is no grid. */
static bool unpack_grid(nd_grid *grid, const uint8_t *bars, const uint8_t *ticks) {
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
      grid->ticks[t] = even_tick(grid, t);
      continue;
    }
    uint64_t bits = nd_get_le64(ticks + 8 * (size_t)t);
    memcpy(&grid->ticks[t], &bits, sizeof bits);
    if (!(grid->ticks[t] <= 2.0 * INT32_MAX) ||
        (t == 0 ? grid->ticks[t] != 0 : grid->ticks[t] <= grid->ticks[t - 1]))
      return false;
  }
  return true;
}

static bool unpack_strikes(nd_sequence *seq, const uint8_t *counts, const uint8_t *strikes,
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
  nd_sequence_settle(seq);
  return true;
}

static bool unpack_metrics(nd_sequence *seq, const uint8_t *halves, bool all) {
  if (!all) nd_metrics_place(seq->metrics, &seq->grid);
  for (int32_t t = 0; t < seq->grid.n_steps; t++)
    for (size_t m = 0; m < (all ? (size_t)ND_N_METRICS : 1); m++, halves += 2) {
      uint16_t h = nd_get_le16(halves);
      if ((h >> 10 & 31) == 31) return false;  /* infinite, or no number */
      seq->metrics[(size_t)t * ND_N_METRICS + m] = nd_half_to_float(h);
    }
  seq->has_metrics = all;
  return true;
}

static nd_status unpack_song(const nd_corpus *c, const song_entry *song, const uint8_t *p,
                             nd_sequence **out, nd_error *err) {
  uint32_t n = nd_get_le32(p), n_bars = nd_get_le32(p + 4), n_strikes = nd_get_le32(p + 8);
  uint32_t ppq = nd_get_le32(p + 12);
  uint32_t flags = nd_get_le32(p + 16);
  /* sizes first: they decide what is allocated and where to read */
  if (n != (uint32_t)song->steps || n_bars < 1 || n_bars > n || n_strikes > INT32_MAX || ppq < 1 ||
      ppq > 0x7FFF || flags > (HAS_METRICS | EVEN_TICKS) ||
      song->size != song_size(n, n_bars, n_strikes, flags))
    return damaged(err, "sizes of a song");
  const uint8_t *bars = p + SONG, *counts = bars + 8 * (size_t)n_bars;
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
    return nomem(err);
  }
  if (!unpack_grid(&grid, bars, flags & EVEN_TICKS ? NULL : ticks)) {
    nd_grid_clear(&grid);
    return damaged(err, "bars or ticks of a song");
  }
  nd_sequence *seq;
  nd_status status = nd_sequence_new(&seq, &c->tok, &grid, n_strikes, err);
  if (status != ND_OK) return status;
  if (!unpack_strikes(seq, counts, strikes, n_strikes))
    status = damaged(err, "strikes of a song");
  else if (!unpack_metrics(seq, metrics, flags & HAS_METRICS))
    status = damaged(err, "metrics of a song");
  if (status != ND_OK) nd_sequence_free(seq);
  else *out = seq;
  return status;
}

/* A packed song as it lies in the file, malloc'd, of the right checksum. */
static nd_status read_packed(const nd_corpus *c, const song_entry *entry, uint8_t **out,
                             nd_error *err) {
  if (entry->size > SIZE_MAX) return nomem(err);
  size_t size = (size_t)entry->size;
  uint8_t *packed = malloc(size);  /* at least SONG + 4 */
  nd_status status = ND_OK;
  if (packed == NULL) return nomem(err);
  if (!read_all(c->fd, packed, size, entry->offset))
    status = read_fail(err);
  else if (nd_get_le32(packed + size - 4) != nd_crc32_of(&c->crc, packed, size - 4))
    status = damaged(err, "checksum of a song");
  if (status == ND_OK) *out = packed;
  else free(packed);
  return status;
}

nd_status nd_corpus_read(const nd_corpus *c, int32_t song, nd_sequence **out, nd_error *err) {
  const song_entry *entry = &c->songs[song];
  nd_sequence *seq = NULL;
  nd_status status;
  if (c->fd < 0) {
    status = nd_tokens_read(&seq, &c->tok, (const char *)c->text + entry->offset,
                            (size_t)entry->size, err);
  } else {
    uint8_t *packed = NULL;
    status = read_packed(c, entry, &packed, err);
    if (status == ND_OK) status = unpack_song(c, entry, packed, &seq, err);
    free(packed);
  }
  if (status == ND_OK && nd_sequence_set_name(seq, entry->name) != ND_OK) {
    nd_sequence_free(seq);
    status = nomem(err);
  }
  if (status == ND_OK) *out = seq;
  return status;
}

nd_status nd_corpus_append(nd_corpus_writer *w, const nd_corpus *from, int32_t song,
                           nd_error *err) {
  const song_entry *entry = &from->songs[song];
  if (from->fd < 0 || !nd_tokeniser_equal(&w->tok, &from->tok))
    return nd_fail(err, ND_MISUSE, "the songs have other tokeniser settings than the corpus");
  if (entry->steps > w->tok.max_steps)
    return nd_fail(err, ND_LIMIT, "%d steps, over the limit of %d (max_steps)", entry->steps,
                   w->tok.max_steps);
  uint8_t *bytes = NULL;
  nd_status status = read_packed(from, entry, &bytes, err);
  if (status == ND_OK && nd_get_le32(bytes) != (uint32_t)entry->steps)
    status = damaged(err, "sizes of a song");
  if (status == ND_OK) {
    nd_encoded_song packed = {bytes, (size_t)entry->size, entry->steps};
    status = nd_corpus_put(w, &packed, entry->name, entry->split, err);
  }
  free(bytes);
  return status;
}
