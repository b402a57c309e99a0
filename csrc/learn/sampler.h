/* sampler.h - training batches from a corpus.
 *
 * Streaming networks: B streams walk through whole songs, T steps a batch, and
 * the network's state is carried from stretch to stretch (truncated
 * back-propagation through time). A stream whose song ends takes the next one
 * of a queue, which is shuffled again for each walk through the corpus. Rows
 * after the end of a song are zero and have mask 0. In training the walk goes
 * on from epoch to epoch; otherwise each epoch shows every song once, and
 * streams without a song are masked.
 *
 * Window networks: B windows from random places of random songs. An epoch is
 * songs / B batches, as in the 2023 system.
 *
 * The order depends on the seed alone. The position can be saved and restored,
 * so that an interrupted training continues with the same batches.
 *
 * Several processes: each walks along all streams but reads and fills only its
 * own. Together they have the batch that one process would have.
 */
#ifndef ND_LEARN_SAMPLER_H
#define ND_LEARN_SAMPLER_H

#include "../music/corpus.h"
#include "../net/batch.h"
#include "../play/drummer.h"

typedef struct nd_sampler nd_sampler;

typedef struct nd_sampler_options {
  int32_t split;          /* ND_TRAIN, ND_VALID, or -1: all songs */
  int32_t batch, steps;   /* B and T; 0: the drummer's own */
  uint64_t seed;
  bool shuffle;           /* shuffle the songs, and walk on across epochs */
  bool augment;           /* see augment.h, at the drummer's rates */
  const nd_allreduce *comm;     /* the processes that share batches; NULL: one */
} nd_sampler_options;

/* `corpus`, `drummer` and `comm` must outlive the sampler. Fails with
 * ND_FORMAT when no song of the split is long enough; with ND_MISUSE when the
 * corpus and the drummer have different kits or grids, or there are more
 * processes than streams. */
nd_status nd_sampler_make(nd_sampler **out, const nd_corpus *corpus, const nd_drummer *drummer,
                          const nd_sampler_options *options, nd_error *err);
void nd_sampler_free(nd_sampler *s);

/* Fills the batch. *more is false when the epoch has ended instead; the next
 * call begins the next epoch. When a song cannot be read, the batch is invalid
 * and the next call tries again from the same position. */
nd_status nd_sampler_next(nd_sampler *s, bool *more, nd_error *err);
nd_batch *nd_sampler_batch(nd_sampler *s);

int64_t nd_sampler_count(const nd_sampler *s);   /* batches an epoch */
int32_t nd_sampler_songs(const nd_sampler *s);   /* songs of the split */

/* The epoch (from 1) and how many of its batches are done. */
void nd_sampler_position(const nd_sampler *s, int64_t *epoch, int64_t *batch);

/* The position as one line of text (malloc'd), and back. The state that
 * streams carry is in the batch and is saved separately. Restoring fails with
 * ND_FORMAT when the line is malformed or belongs to other options; the
 * position is then undefined. */
nd_status nd_sampler_save(const nd_sampler *s, char **text, nd_error *err);
nd_status nd_sampler_restore(nd_sampler *s, const char *text, nd_error *err);

#endif
