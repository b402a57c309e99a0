/* corpus.h - many Sequences in one file (.ndc), memory-mapped when read.
 *
 * Layout (little-endian): header (magic "NDCORPUS", version, tokeniser
 * settings, counts, offset of the index), songs one after another (bars,
 * hits, offsets, metrics in half precision; each with a CRC-32), the index
 * (offset, sizes, split, name), the index's CRC. The header is written last,
 * so that a half-written file is never taken for a whole one.
 *
 * The same face reads the original's token text (saved.txt): then all songs
 * are held in memory, and only intensity of the metrics is known.
 */
#ifndef ND_MUSIC_CORPUS_H
#define ND_MUSIC_CORPUS_H

#include "sequence.h"

typedef enum nd_split { ND_TRAIN = 0, ND_VALID = 1 } nd_split;

typedef struct nd_corpus nd_corpus;
typedef struct nd_corpus_writer nd_corpus_writer;

/* Writing goes to a temporary name beside `path`; `finish` renames it there;
 * `abandon` removes it. Sequences must have the writer's settings
 * (ND_MISUSE otherwise). The writer is gone after either. */
nd_status nd_corpus_create(nd_corpus_writer **out, const char *path,
                           const nd_tokeniser *tok, nd_error *err);
nd_status nd_corpus_add(nd_corpus_writer *w, const nd_sequence *seq, nd_split split,
                        nd_error *err);
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

/* A copy of one song; its checksum is verified. */
nd_status nd_corpus_read(const nd_corpus *c, int32_t song, nd_sequence **out, nd_error *err);

#endif
