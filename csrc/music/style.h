/* style.h - how a drum track is played as a whole and bar by bar: what a
 * drummer commits to before the first hit, and what can be asked of a bar.
 *
 * A style is `nd_style_size` numbers, each about 0..1: the square root of
 * every voice's rate a step over the bars that have hits; then the share of
 * bars that repeat the bar before, of hits that lie off the eighths, and of
 * the snare's hits that are back-beats (beats 2, 4, …).
 */
#ifndef ND_MUSIC_STYLE_H
#define ND_MUSIC_STYLE_H

#include "../nd.h"

struct nd_sequence;

enum { ND_STYLE_TRAITS = 3 };

static inline int32_t nd_style_size(int32_t voices) { return voices + ND_STYLE_TRAITS; }

/* Fills `out` (nd_style_size). A silent sequence has a style of zeros. */
void nd_style_measure(const struct nd_sequence *seq, float *out);

/* Of every bar: `density`, log2 of its hits (plus one) over the mean of the
 * bars with hits (plus one), within -3..3; `fill`, 1 where the bar's second
 * half departs from the groove and the next bar returns. Both (n_bars). */
void nd_style_bars(const struct nd_sequence *seq, float *density, float *fill);

#endif
