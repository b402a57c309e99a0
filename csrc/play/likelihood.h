/* likelihood.h - how probable a drummer finds recorded drums: the
 * log-likelihood of the drums of one Sequence together with the music of
 * another, or of its own. By how much it exceeds the likelihood under other
 * songs tells how well the drums fit the song.
 *
 * Teacher forcing: the recorded hits are the history, and each voice of a step
 * is conditioned on the voices before it. No cell is fixed for the network.
 */
#ifndef ND_PLAY_LIKELIHOOD_H
#define ND_PLAY_LIKELIHOOD_H

#include "../base/job.h"
#include "drummer.h"

typedef struct nd_case {
  const nd_sequence *drums;
  int32_t from, steps;       /* the excerpt of the drums */
  const nd_sequence *song;   /* whose metrics are used; NULL: those of `drums` */
  int32_t at;                /* the song's step that goes with `from`; the song is repeated
                              * from its beginning after its end */
  const float *style;        /* (nd_style_size); NULL: not given */
  bool no_history;           /* the hits before each step are hidden */
} nd_case;

typedef struct nd_likelihood nd_likelihood;

/* Starts work on `n` cases: values[i] (cases[i].steps) gets the log-likelihood
 * of each step's hits, in nats. Beat, bar and phrase are those of the drums'
 * grid, whichever song is used. `cases`, `values` and all they point to are the
 * caller's and must stay until the job is freed.
 *
 * Cases without history that share song, style and grid, as several takes for
 * one song do, share one run of the network. ND_MISUSE when kit or grid are
 * not the drummer's, or the excerpt is not within the drums. */
nd_status nd_likelihood_make(nd_likelihood **out, const nd_drummer *d, const nd_case *cases,
                             int32_t n, float *const *values, nd_error *err);

/* The work in slices, which fails with ND_FORMAT when a likelihood is not finite. The job
 * frees the nd_likelihood. */
nd_job nd_likelihood_job(nd_likelihood *l);

/* Fills x (steps, inputs) with the input rows of a case. */
nd_status nd_likelihood_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err);

#endif
