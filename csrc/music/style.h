/* style.h - how a drum track is played as a whole and bar by bar: what a
 * drummer commits to before the first hit, and what can be asked of a bar.
 *
 * A style is `nd_style_size` numbers, each in 0..1. First the `nd_style_traits`
 * that can be asked for by name: the square root of every voice's rate a step
 * over the bars that have hits; then the share of bars that repeat the bar
 * before, of hits that lie off the eighths, and of the snare's hits that are
 * back-beats (beats 2, 4, …), of bars without hits, from the first of the
 * song's bars to its last, and of fills among those with hits. Behind them the groove: the square root of every
 * voice's rate at each sixteenth of a bar, (24, voices), in which places that
 * no bar reaches repeat those of the longest. A style may have no groove: then
 * it is all ND_NO_GROOVE.
 */
#ifndef ND_MUSIC_STYLE_H
#define ND_MUSIC_STYLE_H

#include "../base/nd.h"

struct nd_sequence;

#define ND_NO_GROOVE (-1.0f)

enum {
  ND_STYLE_TRAITS = 5, ND_STYLE_PLACES = 24,
  ND_MAX_STYLE_SIZE = ND_MAX_VOICES * (1 + ND_STYLE_PLACES) + ND_STYLE_TRAITS
};

static inline int32_t nd_style_traits(int32_t voices) { return voices + ND_STYLE_TRAITS; }
static inline int32_t nd_style_size(int32_t voices) {
  return nd_style_traits(voices) + ND_STYLE_PLACES * voices;
}

/* The groove's row (voices) of a step so many steps into its bar; NULL where
 * the style has none. */
const float *nd_style_groove(const float *style, int32_t voices, int32_t into, int32_t steps_per_beat);

/* Fills `out` (nd_style_size) from the bars of which all is known: `known`
 * (n_steps, voices) is 1 there; NULL: all bars. Returns how many of them have
 * hits; with none the style is of zeros. */
int32_t nd_style_measure(const struct nd_sequence *seq, const uint8_t *known, float *out);

/* Of every bar: `density`, log2 of its hits (plus one) over the mean of the
 * bars with hits (plus one), within -3..3; `fill`, 1 where the bar's second
 * half departs from the groove and the next bar returns. Both (n_bars). */
void nd_style_bars(const struct nd_sequence *seq, float *density, float *fill);

#endif
