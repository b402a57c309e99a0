/* corpus_writer.c - writes .ndc corpora.
 *
 * Songs go to the file at once; the index grows in memory and follows them; the
 * header, which says where the index is, comes last into the space left for it.
 * Until the file is renamed, nothing exists under its path. */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/file.h"
#include "corpus_format.h"

const uint8_t nd_corpus_magic[8] = {'N', 'D', 'C', 'O', 'R', 'P', 'U', 'S'};

struct nd_corpus_writer {
  nd_tokeniser tok;
  nd_crc32 crc;
  nd_file file;
  uint64_t offset;              /* where the next song goes */
  uint32_t n_songs;
  uint8_t *index;               /* (n_index) bytes of the index so far */
  size_t n_index, index_capacity;
};

/* Frees the memory; the file has been committed or abandoned. */
static void writer_free(nd_corpus_writer *w) {
  free(w->index);
  free(w);
}

/* Writes the header to `at` and returns its size. Only at the end is all of it
 * known. */
static size_t encode_header(const nd_corpus_writer *w, uint8_t *at) {
  char kit[ND_KIT_TEXT];
  (void)nd_kit_format(&w->tok.kit, kit, sizeof kit, NULL);
  size_t n_kit = strlen(kit), size = HEADER_SIZE + n_kit + 4;
  memcpy(at, nd_corpus_magic, sizeof nd_corpus_magic);
  nd_put_le32(at + AT_VERSION, ND_CORPUS_VERSION);
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
  memcpy(at + HEADER_SIZE, kit, n_kit);
  nd_put_le32(at + HEADER_SIZE + n_kit, nd_crc32_of(&w->crc, at, HEADER_SIZE + n_kit));
  return size;
}

/* The kit is formatted here only to learn the header's size. `true`: the file may
 * have one writer at a time. */
nd_status nd_corpus_create(nd_corpus_writer **out, const char *path,
                           const nd_tokeniser *tok, nd_error *err) {
  char kit[ND_KIT_TEXT];
  nd_status status = nd_kit_format(&tok->kit, kit, sizeof kit, err);
  if (status != ND_OK) return status;
  nd_corpus_writer *w = nd_calloc(1, sizeof *w);
  if (w == NULL) return nd_nomem(err);
  w->tok = *tok;
  nd_crc32_make(&w->crc);
  w->offset = HEADER_SIZE + strlen(kit) + 4;
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

static nd_status too_long(const nd_corpus_writer *w, int32_t steps, nd_error *err) {
  return nd_fail(err, ND_LIMIT, "the song has %d steps, more than the limit of %d (max_steps)",
                 steps, w->tok.max_steps);
}

/* Writes the fields of corpus_format.h to `p`, all but the CRC. Numbers of a meter
 * are non-negative 16-bit integers, stored side by side. */
static void encode_song(uint8_t *p, const nd_sequence *seq, uint32_t flags) {
  const nd_grid *grid = &seq->grid;
  int32_t n = grid->n_steps;
  nd_put_le32(p, (uint32_t)n);
  nd_put_le32(p + 4, (uint32_t)grid->n_bars);
  nd_put_le32(p + 8, (uint32_t)seq->first[n]);
  nd_put_le32(p + 12, (uint32_t)grid->ppq);
  nd_put_le32(p + 16, flags);
  p += SONG_SIZE;
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
  for (int32_t t = 0; t < n; t++, p += 2)
    nd_half_pack(p, seq->metrics + (size_t)t * ND_N_METRICS, 1);
}

/* Only reads the writer (its tokeniser and CRC tables), so several threads may
 * encode for it at once. Even ticks, which most songs have, are left out. */
nd_status nd_corpus_encode(nd_encoded_song *song, const nd_corpus_writer *w,
                           const nd_sequence *seq, nd_error *err) {
  const nd_grid *grid = &seq->grid;
  if (!nd_tokeniser_equal(&w->tok, &seq->settings))
    return nd_fail(err, ND_MISUSE, "the sequence has other tokeniser settings than the corpus");
  if (grid->n_steps > w->tok.max_steps) return too_long(w, grid->n_steps, err);
  uint32_t flags = (seq->has_metrics ? HAS_METRICS : 0u) | EVEN_TICKS;
  for (int32_t t = 0; t <= grid->n_steps; t++)
    if (grid->ticks[t] != nd_even_tick(grid, t)) flags &= ~(uint32_t)EVEN_TICKS;
  size_t size = (size_t)nd_encoded_size((uint64_t)grid->n_steps, (uint64_t)grid->n_bars,
                                        (uint64_t)seq->first[grid->n_steps], flags);
  uint8_t *bytes = malloc(size);
  if (bytes == NULL) return nd_nomem(err);
  encode_song(bytes, seq, flags);
  nd_put_le32(bytes + size - 4, nd_crc32_of(&w->crc, bytes, size - 4));
  *song = (nd_encoded_song){bytes, size, grid->n_steps};
  return ND_OK;
}

void nd_encoded_song_clear(nd_encoded_song *song) {
  free(song->bytes);
  *song = (nd_encoded_song){NULL, 0, 0};
}

/* All that can fail happens before the index changes, so a failure leaves the
 * corpus as it was. */
nd_status nd_corpus_put(nd_corpus_writer *w, const nd_encoded_song *song, const char *name,
                        nd_split split, nd_error *err) {
  if (w->n_songs == INT32_MAX)
    return nd_fail(err, ND_LIMIT, "a corpus holds at most %d songs", INT32_MAX);
  size_t n_name = strlen(name);
  /* Names are for people; a longer one is cut rather than refused. */
  if (n_name > MAX_NAME) n_name = MAX_NAME;
  if (!ND_GROW(w->index, w->n_index + ENTRY_SIZE + n_name + 4, w->index_capacity))
    return nd_nomem(err);
  nd_status status = nd_file_put(&w->file, song->bytes, song->size, err);
  if (status != ND_OK) {
    /* The next song overwrites the part that was written. */
    (void)lseek(w->file.fd, (off_t)w->offset, SEEK_SET);
    return status;
  }
  uint8_t *entry = w->index + w->n_index;
  nd_put_le64(entry, w->offset);
  nd_put_le64(entry + 8, song->size);
  nd_put_le32(entry + 16, (uint32_t)song->steps);
  nd_put_le32(entry + 20, (uint32_t)split);
  nd_put_le32(entry + 24, (uint32_t)n_name);
  memcpy(entry + ENTRY_SIZE, name, n_name);
  w->n_index += ENTRY_SIZE + n_name;
  w->offset += song->size;
  w->n_songs++;
  return ND_OK;
}

nd_status nd_corpus_add(nd_corpus_writer *w, const nd_sequence *seq, nd_split split,
                        nd_error *err) {
  nd_encoded_song song;
  nd_status status = nd_corpus_encode(&song, w, seq, err);
  if (status != ND_OK) return status;
  status = nd_corpus_put(w, &song, seq->name, split, err);
  nd_encoded_song_clear(&song);
  return status;
}

/* Index, then header, then the rename. Frees the writer in any case. */
nd_status nd_corpus_finish(nd_corpus_writer *w, nd_error *err) {
  uint8_t header[HEADER_SIZE + ND_KIT_TEXT + 4];
  size_t size = encode_header(w, header);
  if (!ND_GROW(w->index, w->n_index + 4, w->index_capacity)) {
    nd_corpus_abandon(w);
    return nd_nomem(err);
  }
  nd_put_le32(w->index + w->n_index, nd_crc32_of(&w->crc, w->index, w->n_index));
  /* A song that failed may have left bytes after the end: cut them off. */
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

/* The bytes are copied as they are, but not blindly: their checksum is verified and
 * their length compared with the index, because they get a new index entry here. */
nd_status nd_corpus_append(nd_corpus_writer *w, const nd_corpus *from, int32_t song,
                           nd_error *err) {
  const nd_song_entry *entry = &from->songs[song];
  if (from->fd < 0 || !nd_tokeniser_equal(&w->tok, &from->tok))
    return nd_fail(err, ND_MISUSE, "the songs have other tokeniser settings than the corpus");
  if (entry->steps > w->tok.max_steps)
    return too_long(w, entry->steps, err);
  uint8_t *bytes = NULL;
  nd_status status = nd_corpus_read_encoded(from, entry, &bytes, err);
  if (status == ND_OK && nd_get_le32(bytes) != (uint32_t)entry->steps)
    status = nd_corpus_damaged(err, "sizes of a song");
  if (status == ND_OK) {
    nd_encoded_song encoded = {bytes, (size_t)entry->size, entry->steps};
    status = nd_corpus_put(w, &encoded, entry->name, entry->split, err);
  }
  free(bytes);
  return status;
}
