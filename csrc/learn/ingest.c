#include "ingest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../music/tokens.h"
#include "../base/thread_pool.h"

/* Of content, as files.hash in Lua: FNV-1a over words of eight bytes, four at a
 * time, the last four padded with zeros. */
static uint64_t fingerprint(const uint8_t *bytes, size_t n) {
  const uint64_t prime = 0x100000001b3u;
  uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)n;
  uint8_t rest[32] = {0};
  size_t whole = n / 32 * 32;
  if (n > whole) memcpy(rest, bytes + whole, n - whole);
  for (size_t at = 0; at <= whole; at += 32) {
    const uint8_t *p = at < whole ? bytes + at : rest;
    for (int word = 0; word < 4; word++, p += 8) {
      uint64_t x = 0;
      for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
      hash = (hash ^ x) * prime;
      /* a product moves bits only upwards */
      if (at == whole || word == 3) hash ^= hash >> 29;
    }
  }
  return hash;
}

/* The drums' pitches become General MIDI's; what the map does not know, or what
 * is no drum, goes under pitches that are no drum there, each its own. */
static void read_kit(const int16_t *reads, nd_song *song, uint32_t *unknown) {
  uint32_t counts[128] = {0};
  uint8_t to[128], spare[61];
  int n_spare = 0, used = 0;
  for (int p = 127; p >= 88; p--) spare[n_spare++] = (uint8_t)p;
  for (int p = 0; p <= 20; p++) spare[n_spare++] = (uint8_t)p;
  for (size_t i = 0; i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i])) counts[song->notes[i].pitch]++;
  for (int p = 0; p < 128; p++) {
    to[p] = (uint8_t)p;
    if (reads[p] >= 0) {
      to[p] = (uint8_t)reads[p];
    } else if (counts[p] > 0) {
      to[p] = spare[used];
      if (used + 1 < n_spare) used++;
      if (reads[p] == ND_UNKNOWN_DRUM) unknown[p] = counts[p];
    }
  }
  for (size_t i = 0; i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i])) song->notes[i].pitch = to[song->notes[i].pitch];
}

static void count_unknown(const nd_kit *kit, const nd_song *song, uint32_t *unknown) {
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (kit->voice_of[note->pitch] < 0 && nd_song_is_drum(song, note)) unknown[note->pitch]++;
  }
}

/* Strokes by voice; of all. */
static uint32_t count_hits(const nd_sequence *seq, uint32_t *hits) {
  size_t voices = (size_t)nd_sequence_voices(seq);
  uint32_t all = 0;
  for (int32_t t = 0; t < seq->grid.n_steps; t++)
    for (size_t v = 0; v < voices; v++) {
      uint32_t struck = seq->hits[(size_t)t * voices + v] > 0;
      hits[v] += struck;
      all += struck;
    }
  return all;
}

static nd_status keep(const nd_ingest *in, nd_ingest_file *f, const nd_sequence *seq,
                      nd_encoded_song *packed) {
  f->steps = nd_sequence_steps(seq);
  if (f->steps <= in->min_steps)
    return nd_fail(&f->why, ND_FORMAT, "%d steps or fewer", in->min_steps);
  uint32_t hits = count_hits(seq, f->hits);
  /* pitches outside the kit are in token text, so there they count as drums */
  if (in->into == NULL) return nd_tokens_write(seq, &f->line, &f->n_line, &f->why);
  if (hits == 0) return nd_fail(&f->why, ND_FORMAT, "no drums of the kit");
  return nd_corpus_encode(packed, in->into, seq, &f->why);
}

static nd_status read_file(const nd_ingest *in, nd_ingest_file *f, nd_encoded_song *packed) {
  uint8_t *bytes = NULL;
  size_t n = 0;
  nd_song *song = NULL;
  nd_sequence *seq = NULL;
  nd_status status = nd_midi_read(f->path, &in->limits, &bytes, &n, &f->why);
  f->unread = status == ND_IO;
  if (status == ND_OK && f->split == ND_BY_CONTENT) {
    uint64_t every = (uint64_t)in->valid_every;
    f->split = every > 0 && (fingerprint(bytes, n) >> 8) % every == 0 ? ND_VALID : ND_TRAIN;
  }
  if (status == ND_OK) status = nd_smf_parse(&song, bytes, n, -1, &in->limits, &f->why);
  free(bytes);
  if (status == ND_OK && song->drum_channel < 0) status = nd_fail(&f->why, ND_FORMAT, "no drums");
  if (status == ND_OK) {
    if (in->reads != NULL) read_kit(in->reads, song, f->unknown);
    else count_unknown(&in->tok->kit, song, f->unknown);
    status = nd_sequence_encode(&seq, in->tok, song, &f->why);
  }
  if (status == ND_OK) status = keep(in, f, seq, packed);
  nd_sequence_free(seq);
  nd_song_free(song);
  f->kept = status == ND_OK;
  return status;
}

typedef struct job {
  const nd_ingest *in;
  nd_ingest_file *files;
  nd_encoded_song *packed;
  bool *done;
  size_t n, written;         /* written: files that are done with, in their order */
  atomic_size_t next;
  atomic_bool stopped;
  pthread_mutex_t lock;      /* of what follows from a file that is done */
  nd_error *err;
  nd_status status;
} job;

static void stop(job *j, const nd_error *err) {
  if (j->status != ND_OK) return;
  j->status = err->status;
  if (j->err != NULL) *j->err = *err;
  atomic_store(&j->stopped, true);
}

/* Whoever is done with a file writes what has become ready by it. */
static void write_ready(job *j) {
  for (; j->written < j->n && j->done[j->written] && j->status == ND_OK; j->written++) {
    nd_encoded_song *packed = &j->packed[j->written];
    nd_ingest_file *f = &j->files[j->written];
    nd_error err;
    if (packed->bytes == NULL) continue;
    if (nd_corpus_put(j->in->into, packed, f->name, (nd_split)f->split, &err) != ND_OK)
      stop(j, &err);
    nd_encoded_song_clear(packed);
  }
}

static void work(void *at, int part, int parts) {
  job *j = at;
  (void)part;
  (void)parts;
  while (!atomic_load(&j->stopped)) {
    size_t i = atomic_fetch_add(&j->next, 1);
    if (i >= j->n) break;
    nd_status status = read_file(j->in, &j->files[i], &j->packed[i]);
    (void)pthread_mutex_lock(&j->lock);
    if (status == ND_NOMEM || status == ND_MISUSE) stop(j, &j->files[i].why);
    j->done[i] = true;
    write_ready(j);
    (void)pthread_mutex_unlock(&j->lock);
  }
}

nd_status nd_ingest_run(const nd_ingest *in, nd_ingest_file *files, size_t n, nd_error *err) {
  job j = {.in = in, .files = files, .n = n, .err = err, .status = ND_OK};
  j.packed = nd_calloc(n, sizeof *j.packed);
  j.done = nd_calloc(n, sizeof *j.done);
  if (j.packed == NULL || j.done == NULL || pthread_mutex_init(&j.lock, NULL) != 0) {
    free(j.packed);
    free(j.done);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  int parts = (size_t)in->threads < n ? in->threads : (int)n;
  nd_thread_pool *crew = nd_thread_pool_make(parts);
  nd_thread_pool_run(crew, work, &j);
  nd_thread_pool_end(crew);
  for (size_t i = 0; i < n; i++) nd_encoded_song_clear(&j.packed[i]);
  (void)pthread_mutex_destroy(&j.lock);
  free(j.packed);
  free(j.done);
  return j.status;
}
