/* metrics.h - what the drummer hears at each step of the song.
 *
 * All are of the step itself (not one step early, as token text stores
 * intensity), computed from the song without its drums (intensity counts
 * drums too when the tokeniser's include_drums is set), scaled so that a
 * network can take them as they are, and rounded to half precision, so that a
 * corpus stores them without loss. Steps of silence have zeros where there is
 * nothing to measure.
 */
#ifndef ND_MUSIC_METRICS_H
#define ND_MUSIC_METRICS_H

#include "../base/half.h"
#include "grid.h"

enum nd_metric {
  ND_M_INTENSITY,   /* note onsets, outliers mended, minus mean, over sd */
  ND_M_ONSETS_LOW,  /* ln(1 + onsets) of pitches below 48 */
  ND_M_ONSETS_MID,  /* ... 48..71 */
  ND_M_ONSETS_HIGH, /* ... 72 and up */
  ND_M_BASS,        /* 1 where the bass (GM 32-39, else the lowest line) strikes */
  ND_M_LOUDNESS,    /* mean velocity of the onsets, 0..1 */
  ND_M_SOUNDING,    /* ln(1 + notes sounding) */
  ND_M_HARMONY,     /* 1 - cosine of the pitch classes of this beat and the last */
  ND_M_TEMPO,       /* log2(bpm / 120) */
  ND_M_BEAT_SIN, ND_M_BEAT_COS,      /* place in the beat (quarter) */
  ND_M_BAR_SIN, ND_M_BAR_COS,        /* place in the bar */
  ND_M_PHRASE_SIN, ND_M_PHRASE_COS,  /* place in the four-bar phrase */
  ND_M_DOWNBEAT,    /* 1 on the first step of a bar */
  ND_M_ON_BEAT,     /* 1 on a beat */
  ND_M_METER,       /* quarters in the bar, over 4 */
  ND_M_ENERGY,      /* smoothed onsets: mean intensity of the bar */
  ND_M_PLAYING,     /* 1 from the song's first note to its last, else 0 */
  ND_M_MELODY,      /* 1 where the highest note that sounds strikes */
  ND_M_ENDINGS,     /* ln(1 + notes that end there) */
  ND_M_ROOT,        /* 1 where the bass strikes another pitch class than it last did */
  ND_M_GUITARS,     /* ln(1 + notes sounding) of GM 25-32, counted from 1, */
  ND_M_STRINGS,     /* ... of strings and voices, 41-56 */
  ND_M_WINDS,       /* ... of brass, reeds and pipes, 57-80 */
  ND_M_SYNTHS,      /* ... of synthesisers, 81-104 */
  ND_M_CONTRAST,    /* of the bar: 1 - likeness to the bar before (likeness.h) */
  ND_M_RECURRENCE,  /* of the bar: similarity to the earlier bar that it repeats */
  ND_M_NOVELTY,     /* of the bar: how much the next bars differ from the last ones */
  ND_M_PROGRESS,    /* share of the song that is gone, from its first note to its last */
  ND_N_METRICS
};

/* Whether it says where in its bars a step is, not what the song does there. */
bool nd_metric_is_place(int metric);

/* Whether it cannot be known while the song is still being played. */
bool nd_metric_is_ahead(int metric);

/* "intensity", "onsets_low", …; NULL past the end. */
const char *nd_metric_name(int metric);

/* Fills `out` (n_steps, ND_N_METRICS), which is all zeros. */
nd_status nd_metrics_measure(float *out, const nd_song *song, const nd_grid *grid,
                             bool include_drums, nd_error *err);

/* What follows from the grid alone: places in beat, bar and phrase, downbeats,
 * beats and meter of all its steps. Part of nd_metrics_measure. */
void nd_metrics_place(float *out, const nd_grid *grid);

/* Sets the intensity of every step (n_steps), and with it each bar's energy. */
void nd_metrics_set_intensity(float *out, const nd_grid *grid, const double *intensity);

/* The original system's intensity of `n` onset counts, in place: values not
 * strictly inside mean ± 2 sd (population) become the mean of the nearest
 * inliers before and after; then (x - mean) / sd of the result; zeros when all are
 * alike. */
void nd_metrics_normalise(double *x, size_t n);

#endif
