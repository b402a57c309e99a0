/* corpus.h - many Sequences in one file (.ndc), larger than memory if need be.
 *
 * Layout (little-endian): header (magic "NDCORPUS", version, tokeniser
 * settings, counts, offset of the index; with a CRC-32), songs one after
 * another (bars, strikes, metrics in half precision; each with a CRC-32), the
 * index (offset, size, steps, split, name; with a CRC-32). Hits and offsets
 * follow from the strikes. The header is written last and the file takes its
 * name after that, so that a half-written file is never taken for a whole one.
 *
 * Songs are read with pread and not through a memory map: a file that is cut
 * short while it is mapped ends the process with SIGBUS. The system's page
 * cache does the rest, and nothing but the index stays in memory.
 *
 * The same face reads the original's token text (saved.txt): then the text is
 * held in memory, and only intensity of the metrics is known. All its songs
 * are for training; they are named by their lines.
 */
#ifndef ND_MUSIC_CORPUS_H
#define ND_MUSIC_CORPUS_H

#include "sequence.h"

typedef enum nd_split { ND_TRAIN = 0, ND_VALID = 1 } nd_split;

typedef struct nd_corpus nd_corpus;
typedef struct nd_corpus_writer nd_corpus_writer;

/* One writer a path: a second is refused (ND_IO) while the first lives.
 * Writing goes to a temporary name beside `path`; `finish` renames it there;
 * `abandon` removes it. Sequences must have the writer's settings
 * (ND_MISUSE otherwise). The writer is gone after either. */
nd_status nd_corpus_create(nd_corpus_writer **out, const char *path,
                           const nd_tokeniser *tok, nd_error *err);
nd_status nd_corpus_add(nd_corpus_writer *w, const nd_sequence *seq, nd_split split,
                        nd_error *err);
/* The same in two steps, of which the first may be done on many threads at
 * once: a song as its bytes in the file (freed by clear), and its writing. */
typedef struct nd_encoded_song { uint8_t *bytes; size_t size; int32_t steps; } nd_encoded_song;
nd_status nd_corpus_encode(nd_encoded_song *packed, const nd_corpus_writer *w, const nd_sequence *seq,
                         nd_error *err);
nd_status nd_corpus_put(nd_corpus_writer *w, const nd_encoded_song *packed, const char *name,
                        nd_split split, nd_error *err);
void nd_encoded_song_clear(nd_encoded_song *packed);

/* A song of another corpus of the same settings as it is; what is damaged is
 * refused. */
nd_status nd_corpus_append(nd_corpus_writer *w, const nd_corpus *from, int32_t song, nd_error *err);
nd_status nd_corpus_finish(nd_corpus_writer *w, nd_error *err);
void nd_corpus_abandon(nd_corpus_writer *w);

/* `tok` is for token text, which does not carry its settings; NULL means the
 * neuraldrummer2023 preset. */
nd_status nd_corpus_open(nd_corpus **out, const char *path, const nd_tokeniser *tok,
                         nd_error *err);
void nd_corpus_close(nd_corpus *c);

int32_t nd_corpus_count(const nd_corpus *c);
const nd_tokeniser *nd_corpus_tokeniser(const nd_corpus *c);
int32_t nd_corpus_steps(const nd_corpus *c, int32_t song);
nd_split nd_corpus_split(const nd_corpus *c, int32_t song);
const char *nd_corpus_name(const nd_corpus *c, int32_t song);

/* A copy of one song; its checksum is verified. One corpus may be read from
 * many threads. */
nd_status nd_corpus_read(const nd_corpus *c, int32_t song, nd_sequence **out, nd_error *err);

#endif
