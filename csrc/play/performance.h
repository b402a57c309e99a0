/* performance.h - plays whole songs: several takes of one model side by side,
 * each with its own direction, in slices.
 *
 * Takes share matrix products, and the encoder runs once for all takes whose
 * direction gives it the same input. Each take comes out as its generator
 * would play it alone.
 */
#ifndef ND_PLAY_PERFORMANCE_H
#define ND_PLAY_PERFORMANCE_H

#include "../base/job.h"
#include "generator.h"

typedef struct nd_performance nd_performance;

/* Starts n >= 1 takes of a song. generators (n), directions (n), all they point to
 * and the song are the caller's and must stay until the job is freed. The generators
 * are unchanged until nd_performance_end().
 *
 * ND_MISUSE when the song's kit or grid are not the model's, when a model without
 * encoder is given a direction, for generators of several models, or for one
 * generator twice. */
nd_status nd_performance_make(nd_performance **out, nd_generator *const *generators, int32_t n,
                              const nd_sequence *song, const nd_direction *directions,
                              nd_error *err);

/* The work in slices, which fails with ND_MISUSE when the model's styles were replaced
 * after the start. The job frees the performance: at any time, half-way too. */
nd_job nd_performance_job(nd_performance *p);

/* After the last slice: makes the results, in which fixed cells are as they were
 * given, and moves the takes' states to their generators, which then have the song
 * as their history. ND_FORMAT when probabilities were NaN. */
nd_status nd_performance_end(nd_performance *p, nd_error *err);

/* Take i's drums, which the caller then owns; NULL the second time. */
nd_sequence *nd_performance_result(nd_performance *p, int32_t i);

#endif
