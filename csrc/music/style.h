/* style.h - measures how a drum track is played: its style as a whole, which a
 * drummer chooses before the first hit, and the controls of each bar.
 *
 * A style is a vector of nd_style_size numbers in 0..1:
 *   voices         square root of each voice's rate: hits per step, over the bars
 *                  that have hits. The root spreads the many small rates.
 *   5 habits       share of bars that repeat the bar before; share of hits that
 *                  are off the eighths; share of snare hits on back-beats
 *                  (beats 2, 4, ...); share of bars without hits; share of
 *                  fills among the bars with hits
 *   (24, voices)   groove: square root of each voice's rate at each sixteenth of
 *                  the bar. A style may have none: then all are ND_NO_GROOVE.
 * Rates and habits, the nd_style_traits, can be set by name.
 */
#ifndef ND_MUSIC_STYLE_H
#define ND_MUSIC_STYLE_H

#include "../base/nd.h"

struct nd_sequence;

#define ND_NO_GROOVE (-1.0f)

enum {
  ND_STYLE_TRAITS = 5, ND_STYLE_SIXTEENTHS = 24,
  ND_MAX_STYLE_SIZE = ND_MAX_VOICES * (1 + ND_STYLE_SIXTEENTHS) + ND_STYLE_TRAITS
};

static inline int32_t nd_style_traits(int32_t voices) { return voices + ND_STYLE_TRAITS; }
static inline int32_t nd_style_size(int32_t voices) {
  return nd_style_traits(voices) + ND_STYLE_SIXTEENTHS * voices;
}

/* The groove's rates (voices) at a step of the bar, counted from 0; NULL when the
 * style has no groove. Points into `style`. */
const float *nd_style_groove(const float *style, int32_t voices, int32_t step_in_bar,
                             int32_t steps_per_beat);

/* Fills `out` (nd_style_size) from the bars that `mask` (n_steps, voices) covers
 * entirely with non-zero bytes; NULL: from all bars. Returns how many of these
 * have hits; if none has, `out` is all zeros. */
int32_t nd_style_measure(const struct nd_sequence *seq, const uint8_t *mask, float *out);

/* The controls of every bar, both (n_bars): density is log2((hits + 1) / (mean + 1)),
 * where mean is that of the bars with hits, limited to -3..3; fill is 1 where the
 * bar ends in a fill, else 0. */
void nd_style_bars(const struct nd_sequence *seq, float *density, float *fill);

#endif
