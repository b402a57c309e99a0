/* corpus_format.h - the .ndc file's layout, shared by its writer and its reader;
 * no part of corpus.h's interface. All integers are little-endian.
 *
 *   header   8  magic "NDCORPUS"
 *            4  version                     4  size of the header, CRC included
 *            8  offset of the index         8  size of the index, CRC included
 *            8  size of the file            4  number of songs
 *            4  steps per beat              4  beat: 0 quarter, 1 the meter's
 *            4  flags                       4  max_steps
 *            4  metrics per step            4  bytes of the kit's text
 *            .  the kit's text              4  CRC-32 of all the above
 *   songs    one after another, each
 *            4  steps   4  bars   4  strikes   4  ticks per quarter note   4  flags
 *            8  per bar: first step (4), numerator (2), denominator (2)
 *            4  per step: its number of strikes
 *            3  per strike: pitch, velocity, offset in 1/256 step
 *            8  per step and one more: its tick, a double; not with EVEN_TICKS
 *            2  per step and metric: half precision; without HAS_METRICS only
 *               the intensity of each step
 *            4  CRC-32 of the song
 *   index    28 per song: offset (8), size (8), steps (4), split (4), length of
 *               the name (4); followed by the name
 *            4  CRC-32 of the index
 */
#ifndef ND_MUSIC_CORPUS_FORMAT_H
#define ND_MUSIC_CORPUS_FORMAT_H

#include "../base/bytes.h"
#include "corpus.h"

enum {
  ND_CORPUS_VERSION = 1,
  /* fields of the header */
  AT_VERSION = 8, AT_HEADER = 12, AT_INDEX = 16, AT_INDEX_SIZE = 24, AT_FILE = 32,
  AT_SONGS = 40, AT_STEPS_PER_BEAT = 44, AT_BEAT = 48, AT_FLAGS = 52, AT_MAX_STEPS = 56,
  AT_METRICS = 60, AT_KIT = 64, HEADER_SIZE = 68,
  INCLUDE_DRUMS = 1, ORIGINAL = 2,       /* AT_FLAGS */
  SONG_SIZE = 20,                        /* fields of a song */
  HAS_METRICS = 1, EVEN_TICKS = 2,       /* a song's flags */
  ENTRY_SIZE = 28, MAX_NAME = 4096       /* entry of the index, without and of its name */
};

extern const uint8_t nd_corpus_magic[8];

typedef struct nd_song_entry {
  uint64_t offset, size;   /* in the file; of token text, in the text */
  char *name;
  int32_t steps;
  nd_split split;
} nd_song_entry;

struct nd_corpus {
  nd_tokeniser tok;
  nd_crc32 crc;
  int fd;                  /* -1: token text */
  uint8_t *text;           /* the whole token text; NULL: an .ndc file */
  nd_song_entry *songs;
  int32_t n_songs;
  uint8_t *names;          /* the bytes that the entries' names point into */
};

/* The tick of a step on an even grid. Written files leave such ticks out. */
static inline double nd_even_tick(const nd_grid *grid, int32_t step) {
  return (double)step * grid->ppq / grid->steps_per_beat;
}

/* Bytes of an encoded song. In 64 bits, so that no count from a malicious file
 * makes it overflow. */
static inline uint64_t nd_encoded_size(uint64_t steps, uint64_t bars, uint64_t strikes,
                                       uint32_t flags) {
  uint64_t tick = flags & EVEN_TICKS ? 0 : 8, metrics = flags & HAS_METRICS ? ND_N_METRICS : 1;
  return SONG_SIZE + 8 * bars + 3 * strikes + (4 + 2 * metrics) * steps + tick * (steps + 1) + 4;
}

/* A song's bytes from the file, malloc'd, with its checksum verified. */
nd_status nd_corpus_read_encoded(const nd_corpus *c, const nd_song_entry *entry, uint8_t **out,
                                 nd_error *err);

/* "the corpus is damaged: WHAT", ND_FORMAT. */
nd_status nd_corpus_damaged(nd_error *err, const char *what);

/* Reads token text from a file into an empty corpus of c->tok's settings. Every
 * line is checked, so that later reading cannot fail on its syntax. */
nd_status nd_text_corpus_read(nd_corpus *c, const char *path, nd_error *err);

#endif
