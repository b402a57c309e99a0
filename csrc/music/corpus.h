/* corpus.h - many Sequences in one file (.ndc), which may be larger than memory.
 * corpus_format.h describes the layout.
 *
 * The writer writes the header last and renames the finished file to its path,
 * so that a half-written file is never taken for a whole one. Everything is
 * covered by a CRC-32. Hits and offsets are not stored: they follow from the
 * strikes. Metrics are stored in half precision without loss, because they are
 * rounded to it when they are measured.
 *
 * The reader uses pread, not a memory map: if a mapped file is cut short by
 * another program, the next access ends the process with SIGBUS. The system's
 * page cache keeps it fast, and only the index stays in memory.
 *
 * nd_corpus_open also reads token text (the 2023 system's saved.txt). The text
 * is then in memory; intensity is the only metric known; all songs are for
 * training and are named by their lines.
 */
#ifndef ND_MUSIC_CORPUS_H
#define ND_MUSIC_CORPUS_H

#include "sequence.h"

typedef enum nd_split { ND_TRAIN = 0, ND_VALID = 1 } nd_split;

/* By nd_split, ended by NULL; the options also have "all", at index 2. */
extern const char *const nd_split_names[];    /* "train", "valid" */
extern const char *const nd_split_options[];  /* "train", "valid", "all" */

typedef struct nd_corpus nd_corpus;
typedef struct nd_corpus_writer nd_corpus_writer;

/* Begins a corpus. It is written under a temporary name beside `path`; finish
 * renames it, abandon removes it, and both free the writer. A second writer of
 * the same path fails with ND_IO while the first one lives. */
nd_status nd_corpus_create(nd_corpus_writer **out, const char *path,
                           const nd_tokeniser *tok, nd_error *err);

/* Adds a song. Fails with ND_MISUSE when it was made by another tokeniser. */
nd_status nd_corpus_add(nd_corpus_writer *w, const nd_sequence *seq, nd_split split,
                        nd_error *err);

/* The same in two steps. Encoding is thread-safe; its result is freed by
 * nd_encoded_song_clear. A name is cut after 4096 bytes. */
typedef struct nd_encoded_song { uint8_t *bytes; size_t size; int32_t steps; } nd_encoded_song;
nd_status nd_corpus_encode(nd_encoded_song *song, const nd_corpus_writer *w,
                           const nd_sequence *seq, nd_error *err);
nd_status nd_corpus_put(nd_corpus_writer *w, const nd_encoded_song *song, const char *name,
                        nd_split split, nd_error *err);
void nd_encoded_song_clear(nd_encoded_song *song);

/* Copies a song from another corpus byte for byte. Fails with ND_MISUSE when
 * the corpora have different tokenisers, with ND_FORMAT when the song is
 * damaged. */
nd_status nd_corpus_append(nd_corpus_writer *w, const nd_corpus *from, int32_t song, nd_error *err);
nd_status nd_corpus_finish(nd_corpus_writer *w, nd_error *err);
void nd_corpus_abandon(nd_corpus_writer *w);  /* NULL is allowed */

/* Opens a corpus or token text. `tok` describes token text, which does not
 * store its settings; NULL means the neuraldrummer2023 preset. The index is
 * checked here, each song when it is read. */
nd_status nd_corpus_open(nd_corpus **out, const char *path, const nd_tokeniser *tok,
                         nd_error *err);
void nd_corpus_close(nd_corpus *c);

/* Songs are counted from 0; `song` must exist. */
int32_t nd_corpus_count(const nd_corpus *c);
const nd_tokeniser *nd_corpus_tokeniser(const nd_corpus *c);
int32_t nd_corpus_steps(const nd_corpus *c, int32_t song);
nd_split nd_corpus_split(const nd_corpus *c, int32_t song);
const char *nd_corpus_name(const nd_corpus *c, int32_t song);

/* A new Sequence, owned by the caller. Several threads may read one corpus. */
nd_status nd_corpus_read(const nd_corpus *c, int32_t song, nd_sequence **out, nd_error *err);

#endif
