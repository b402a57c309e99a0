/* likelihood.h - how likely a drummer finds drums that were played: the drums of
 * one Sequence, and the song that is heard with them, which may be another.
 * The likelihood under the own song, in excess of that under other songs, says
 * how well the drums fit.
 *
 * Teacher-forced: the hits that were played are the history, and voices of one
 * step are judged one after another, each given those before it. Nothing is
 * given to an encoder, which reads all that is heard of the stretch.
 */
#ifndef ND_PLAY_LIKELIHOOD_H
#define ND_PLAY_LIKELIHOOD_H

#include "drummer.h"

typedef struct nd_case {
  const nd_sequence *drums;
  int32_t from, steps;       /* the stretch judged */
  const nd_sequence *song;   /* whose music is heard; NULL: that of `drums` */
  int32_t at;                /* its step heard with `from`; it goes round at its end */
  const float *style;        /* (nd_style_size); NULL: not given */
  bool no_history;           /* what was played before is not told */
} nd_case;

/* Cases side by side, in slices: out[i] (cases[i].steps) gets the log-likelihood
 * of each step's hits in nats. Places in beat, bar and phrase are those of the
 * drums' own grid, whatever song is heard. Cases without history whose songs,
 * styles and grids are the same, as those of several takes for a song are, cost
 * hardly more than one of them. ND_MISUSE when kit or grid are not the drummer's.
 *
 * `cases`, what they point to, and `out` stay until the end. */
typedef struct nd_likelihood nd_likelihood;

nd_status nd_likelihood_make(nd_likelihood **out, const nd_drummer *d, const nd_case *cases, int32_t n,
                          float *const *values, nd_error *err);

/* As nd_performance_advance() of generator.h. */
nd_status nd_likelihood_advance(nd_likelihood *j, double *products, bool *more, nd_error *err);
void nd_likelihood_free(nd_likelihood *j);

/* All input rows (steps, inputs) of a case. */
nd_status nd_likelihood_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err);

#endif
