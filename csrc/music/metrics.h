/* metrics.h - what the network sees of the accompaniment at each step.
 *
 * Every metric describes its own step (token text stores intensity one step
 * early, but that is undone on reading). Metrics are computed from the song
 * without its drums; only intensity counts drums too, when the tokeniser says
 * so. They are scaled to the order of 1, as a network needs, and rounded to
 * half precision, so that a corpus stores them without loss. Where there is
 * nothing to measure a metric is 0.
 */
#ifndef ND_MUSIC_METRICS_H
#define ND_MUSIC_METRICS_H

#include "../base/half.h"
#include "grid.h"

enum nd_metric {
  ND_M_INTENSITY,   /* note onsets, outliers replaced, minus mean, over sd */
  ND_M_ONSETS_LOW,  /* ln(1 + onsets) of pitches below 48 */
  ND_M_ONSETS_MID,  /* ... 48..71 */
  ND_M_ONSETS_HIGH, /* ... 72 and up */
  ND_M_BASS,        /* 1 where a bass note starts (GM 33-40, else the lowest note) */
  ND_M_LOUDNESS,    /* mean velocity of the onsets, 0..1 */
  ND_M_SOUNDING,    /* ln(1 + notes sounding) */
  ND_M_HARMONY,     /* 1 - cosine of the pitch classes of this beat and the last */
  ND_M_TEMPO,       /* log2(bpm / 120) */
  ND_M_BEAT_SIN, ND_M_BEAT_COS,      /* position in the beat (quarter note) */
  ND_M_BAR_SIN, ND_M_BAR_COS,        /* position in the bar */
  ND_M_PHRASE_SIN, ND_M_PHRASE_COS,  /* position in the four-bar phrase */
  ND_M_DOWNBEAT,    /* 1 on the first step of a bar */
  ND_M_ON_BEAT,     /* 1 on a beat */
  ND_M_METER,       /* quarters in the bar, over 4 */
  ND_M_ENERGY,      /* mean intensity of the bar */
  ND_M_PLAYING,     /* 1 from the song's first note to its last, else 0 */
  ND_M_MELODY,      /* 1 where the highest sounding note starts */
  ND_M_ENDINGS,     /* ln(1 + notes that end there) */
  ND_M_ROOT,        /* 1 where the bass moves to another pitch class */
  ND_M_GUITARS,     /* ln(1 + notes sounding) of GM 25-32, counted from 1, */
  ND_M_STRINGS,     /* ... of strings and voices, 41-56 */
  ND_M_WINDS,       /* ... of brass, reeds and pipes, 57-80 */
  ND_M_SYNTHS,      /* ... of synthesisers, 81-104 */
  ND_M_CONTRAST,    /* of the bar: 1 - similarity to the bar before */
  ND_M_RECURRENCE,  /* of the bar: similarity to the earlier bar that it repeats */
  ND_M_NOVELTY,     /* of the bar: how much the next bars differ from the last ones */
  ND_M_PROGRESS,    /* share of the song that is gone, from its first note to its last */
  ND_N_METRICS
};

/* Whether a metric gives the step's position in beat, bar or phrase, or whether
 * the song plays at all, and nothing about what it plays. */
bool nd_metric_is_position(int metric);

/* Whether a metric needs the rest of the song: a causal model goes without. */
bool nd_metric_needs_future(int metric);

/* "intensity", "onsets_low", …; NULL past the end. */
const char *nd_metric_name(int metric);
int nd_metric_find(const char *name);  /* -1: no metric has this name */

/* Fills `out` (n_steps, ND_N_METRICS), which holds zeros, except contrast,
 * recurrence and novelty (nd_similarity_metrics). Fails with ND_NOMEM only. */
nd_status nd_metrics_measure(float *out, const nd_song *song, const nd_grid *grid,
                             bool include_drums, nd_error *err);

/* Sets the metrics that follow from the grid alone: positions, downbeats, beats
 * and meter. nd_metrics_measure includes them. */
void nd_metrics_position(float *out, const nd_grid *grid);

/* Sets every step's intensity (n_steps) and every bar's energy. */
void nd_metrics_set_intensity(float *out, const nd_grid *grid, const double *intensity);

/* The 2023 system's intensity, in place: n onset counts, in which values not
 * strictly within mean ± 2 standard deviations (population) are replaced by the
 * mean of the nearest inliers before and after; then minus the mean, over the
 * standard deviation. All zeros when the counts are equal. */
void nd_metrics_normalise(double *x, size_t n);

#endif
