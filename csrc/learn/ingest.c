/* ingest.c - preprocessing on several threads.
 *
 * Threads take the next file from a shared counter. Reading and encoding run in
 * parallel; writing is serialised under one lock and in the order of the files. */
#include "ingest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../music/tokens.h"
#include "../base/thread_pool.h"

/* Hash of a file's bytes, which decides its split: FNV-1a over little-endian
 * words of eight bytes, the last group of four padded with zeros. */
static uint64_t hash_content(const uint8_t *bytes, size_t n) {
  const uint64_t prime = 0x100000001b3u;
  uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)n;
  uint8_t tail[32] = {0};
  size_t whole = n / 32 * 32;
  if (n > whole) memcpy(tail, bytes + whole, n - whole);
  for (size_t at = 0; at <= whole; at += 32) {
    const uint8_t *p = at < whole ? bytes + at : tail;
    for (int word = 0; word < 4; word++, p += 8) {
      uint64_t x = 0;
      for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
      hash = (hash ^ x) * prime;
      /* A product carries bits only upwards; the shift mixes them down. */
      if (at == whole || word == 3) hash ^= hash >> 29;
    }
  }
  return hash;
}

/* Translates the drums' pitches to General MIDI by a kit map. Pitches that the
 * map does not know, or that it calls no drum, are moved to pitches that are no
 * drum in General MIDI (88-127, 0-20), each to its own as long as there are
 * enough, so that none is mistaken for a drum. */
static void apply_kit_map(const int16_t *map, nd_song *song, uint32_t *unknown) {
  uint32_t counts[128] = {0};
  uint8_t to[128], unused[61];
  int n_unused = 0, next = 0;
  for (int p = 127; p >= 88; p--) unused[n_unused++] = (uint8_t)p;
  for (int p = 0; p <= 20; p++) unused[n_unused++] = (uint8_t)p;
  for (size_t i = 0; i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i])) counts[song->notes[i].pitch]++;
  for (int p = 0; p < 128; p++) {
    to[p] = (uint8_t)p;
    if (map[p] >= 0) {
      to[p] = (uint8_t)map[p];
    } else if (counts[p] > 0) {
      to[p] = unused[next];
      if (next + 1 < n_unused) next++;
      if (map[p] == ND_UNKNOWN_DRUM) unknown[p] = counts[p];
    }
  }
  for (size_t i = 0; i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i])) song->notes[i].pitch = to[song->notes[i].pitch];
}

/* Counts drum notes on pitches that belong to no voice of the kit. */
static void count_unknown(const nd_kit *kit, const nd_song *song, uint32_t *unknown) {
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (kit->voice_of[note->pitch] < 0 && nd_song_is_drum(song, note)) unknown[note->pitch]++;
  }
}

/* Adds the hits of each voice to hits[]; returns their sum. */
static uint32_t count_hits(const nd_sequence *seq, uint32_t *hits) {
  size_t voices = (size_t)nd_sequence_voices(seq);
  uint32_t sum = 0;
  for (int32_t t = 0; t < seq->grid.n_steps; t++)
    for (size_t v = 0; v < voices; v++) {
      uint32_t struck = seq->hits[(size_t)t * voices + v] > 0;
      hits[v] += struck;
      sum += struck;
    }
  return sum;
}

/* Encodes a song that is accepted, as token text or for the corpus. */
static nd_status encode(const nd_ingest *in, nd_ingest_file *f, const nd_sequence *seq,
                        nd_encoded_song *encoded) {
  f->steps = nd_sequence_steps(seq);
  /* without the song's own length: reports group songs by this text */
  if (f->steps <= in->min_steps)
    return nd_fail(&f->why, ND_FORMAT, "no longer than %d steps", in->min_steps);
  uint32_t hits = count_hits(seq, f->hits);
  /* Token text holds pitches outside the kit too, so it needs no hit of the kit. */
  if (in->into == NULL) return nd_tokens_write(seq, &f->line, &f->n_line, &f->why);
  if (hits == 0) return nd_fail(&f->why, ND_FORMAT, "no drums of the kit");
  return nd_corpus_encode(encoded, in->into, seq, &f->why);
}

/* Reads one file from its bytes to its encoded song. `why` gets the reason when the
 * song is not accepted. */
static nd_status read_file(const nd_ingest *in, nd_ingest_file *f, nd_encoded_song *encoded) {
  uint8_t *bytes = NULL;
  size_t n = 0;
  nd_song *song = NULL;
  nd_sequence *seq = NULL;
  nd_status status = nd_midi_read(f->path, &in->limits, &bytes, &n, &f->why);
  f->unreadable = status == ND_IO;
  if (status == ND_OK && f->split == ND_BY_CONTENT) {
    uint64_t every = (uint64_t)in->valid_every;
    /* by content, so that copies of a song under two names are not split up */
    f->split = every > 0 && (hash_content(bytes, n) >> 8) % every == 0 ? ND_VALID : ND_TRAIN;
  }
  if (status == ND_OK) status = nd_smf_parse(&song, bytes, n, -1, &in->limits, &f->why);
  free(bytes);
  if (status == ND_OK && song->drum_channel < 0) status = nd_fail(&f->why, ND_FORMAT, "no drums");
  if (status == ND_OK) {
    if (in->kit_map != NULL) apply_kit_map(in->kit_map, song, f->unknown);
    else count_unknown(&in->tok->kit, song, f->unknown);
    status = nd_sequence_encode(&seq, in->tok, song, &f->why);
  }
  if (status == ND_OK) status = encode(in, f, seq, encoded);
  nd_sequence_free(seq);
  nd_song_free(song);
  f->accepted = status == ND_OK;
  return status;
}

typedef struct job {
  const nd_ingest *in;
  nd_ingest_file *files;
  nd_encoded_song *encoded;  /* (n) songs read but not yet written */
  bool *done;                /* (n) */
  size_t n, written;         /* files; how many of them, in order, are dealt with */
  atomic_size_t next;        /* the next file that a thread takes */
  atomic_bool stopped;
  pthread_mutex_t lock;      /* guards encoded, done, written, err and status */
  nd_error *err;
  nd_status status;
} job;

/* Keeps the first error that ends the whole run. */
static void stop(job *j, const nd_error *err) {
  if (j->status != ND_OK) return;
  j->status = err->status;
  if (j->err != NULL) *j->err = *err;
  atomic_store(&j->stopped, true);
}

/* Writes the songs that are next in order. The thread that finishes a file
 * writes everything that waited for it, so that the corpus is the same for any
 * number of threads. */
static void write_ready(job *j) {
  for (; j->written < j->n && j->done[j->written] && j->status == ND_OK; j->written++) {
    nd_encoded_song *song = &j->encoded[j->written];
    nd_ingest_file *f = &j->files[j->written];
    nd_error err;
    if (song->bytes == NULL) continue;
    if (nd_corpus_put(j->in->into, song, f->name, (nd_split)f->split, &err) != ND_OK)
      stop(j, &err);
    nd_encoded_song_clear(song);
  }
}

/* One thread: takes files until none is left. */
static void work(void *at, int part, int parts) {
  job *j = at;
  (void)part;
  (void)parts;
  while (!atomic_load(&j->stopped)) {
    size_t i = atomic_fetch_add(&j->next, 1);
    if (i >= j->n) break;
    nd_status status = read_file(j->in, &j->files[i], &j->encoded[i]);
    (void)pthread_mutex_lock(&j->lock);
    if (status == ND_NOMEM || status == ND_MISUSE) stop(j, &j->files[i].why);
    j->done[i] = true;
    write_ready(j);
    (void)pthread_mutex_unlock(&j->lock);
  }
}

/* Songs that were encoded but not written, after an error, are freed here. */
nd_status nd_ingest_run(const nd_ingest *in, nd_ingest_file *files, size_t n, nd_error *err) {
  job j = {.in = in, .files = files, .n = n, .err = err, .status = ND_OK};
  j.encoded = nd_calloc(n, sizeof *j.encoded);
  j.done = nd_calloc(n, sizeof *j.done);
  if (j.encoded == NULL || j.done == NULL || pthread_mutex_init(&j.lock, NULL) != 0) {
    free(j.encoded);
    free(j.done);
    return nd_nomem(err);
  }
  int parts = (size_t)in->threads < n ? in->threads : (int)n;
  nd_thread_pool *pool = nd_thread_pool_make(parts);
  nd_thread_pool_run(pool, work, &j);
  nd_thread_pool_end(pool);
  for (size_t i = 0; i < n; i++) nd_encoded_song_clear(&j.encoded[i]);
  (void)pthread_mutex_destroy(&j.lock);
  free(j.encoded);
  free(j.done);
  return j.status;
}
