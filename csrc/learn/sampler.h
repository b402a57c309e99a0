/* sampler.h - batches for training, out of a corpus.
 *
 * Streaming nets: B streams walk through whole songs, T steps a batch, state
 * carried from stretch to stretch; a stream that ends takes the next song of
 * the queue, which is shuffled anew for each pass. The end of a song pads the
 * stretch (mask 0). While training the walk goes on from epoch to epoch; else
 * every song is seen once an epoch, and streams without a song stay masked.
 *
 * Window nets: B windows of random songs at random places; an epoch is
 * songs / B batches, as in the 2023 system.
 *
 * The order depends on the seed alone, and the place can be saved and put
 * back, so that a training goes on as if never stopped.
 *
 * Where processes share a training, each walks along with all streams but
 * reads and fills its own alone: the batch is its share of the one that a
 * single process would have, whatever their number.
 */
#ifndef ND_LEARN_SAMPLER_H
#define ND_LEARN_SAMPLER_H

#include "../music/corpus.h"
#include "../net/batch.h"
#include "../play/drummer.h"

typedef struct nd_sampler nd_sampler;

typedef struct nd_sampler_options {
  int32_t split;          /* ND_TRAIN, ND_VALID, or -1: all songs */
  int32_t batch, steps;   /* 0: the drummer's own */
  uint64_t seed;
  bool shuffle;           /* and walk on from epoch to epoch */
  bool erase;             /* history dropout, and lessons: what is given and asked,
                           * all by the drummer's shares */
  const nd_allreduce *comm;  /* shares the batches out; NULL: they are whole */
} nd_sampler_options;

/* `corpus`, `drummer` and the communicator must outlive the sampler. ND_FORMAT when no song of
 * the split is long enough, ND_MISUSE when the corpus was tokenised otherwise
 * than the drummer hears, or there are more processes than streams. */
nd_status nd_sampler_make(nd_sampler **out, const nd_corpus *corpus, const nd_drummer *drummer,
                          const nd_sampler_options *options, nd_error *err);
void nd_sampler_free(nd_sampler *s);

/* Fills the batch; *more is false when the epoch was over instead (and the
 * next call begins the next one). Where a song cannot be read, the batch is
 * spoilt, and the next call tries again from the same place. */
nd_status nd_sampler_next(nd_sampler *s, bool *more, nd_error *err);
nd_batch *nd_sampler_batch(nd_sampler *s);

int64_t nd_sampler_count(const nd_sampler *s);   /* batches an epoch */
void nd_sampler_place(const nd_sampler *s, int64_t *epoch, int64_t *batch);  /* from 1 */
int32_t nd_sampler_songs(const nd_sampler *s);

/* The place as one line (malloc'd), and back. The streams' carried state is
 * in the batch and saved with it. ND_FORMAT when the line fits not. */
nd_status nd_sampler_save(const nd_sampler *s, char **text, nd_error *err);
nd_status nd_sampler_restore(nd_sampler *s, const char *text, nd_error *err);

#endif
