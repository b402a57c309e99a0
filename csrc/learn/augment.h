/* augment.h - data augmentation for training a drummer: what one stretch of a
 * song is conditioned on, and which of its inputs are hidden.
 *
 * A drummer must play with and without a history, a style, fixed hits and
 * controls. So every stretch draws which of these it is shown, at the rates of
 * nd_drummer. Hiding the history (as word dropout does for language models,
 * Bowman et al. 2016) stops the network from copying its own last bar; hiding
 * metrics stops it from relying on one of them; fixed hits under a mask teach
 * it to fill gaps.
 *
 * Every function draws from the caller's generator a number of times that does
 * not depend on the song's contents, so that a process that has not read the
 * song can advance the generator just as far (nd_augmentation_skip).
 */
#ifndef ND_LEARN_AUGMENT_H
#define ND_LEARN_AUGMENT_H

#include "../play/drummer.h"

typedef struct nd_augmentation {
  bool active;                  /* false: no step's history is ever hidden */
  bool hide_history;            /* all past hits */
  bool hidden_as_empty;         /* ... and the input that tells it from silence */
  bool hide_previous_step, hide_back[ND_MAX_BACK], hide_recurrence;
  bool show_density, show_fill; /* controls of the bar */
  bool show_style;
  bool drop_metric[ND_N_METRICS];
  float style[ND_MAX_STYLE_SIZE];  /* the song's, with noise */
  /* fixed hits: the grid cells whose hits the network is given */
  bool fixed_voices[ND_MAX_VOICES];
  float fixed_bars, fixed_cells;   /* shares of bars, of single grid cells */
  int32_t fixed_opening;           /* bars from the song's start */
  int32_t gap_begin, gap_end;      /* the only bars not fixed; none if equal */
  uint32_t hash_seed;              /* chooses the fixed bars */
} nd_augmentation;

/* Draws one stretch's augmentation. `style` is the song's (nd_style_size) and
 * NULL when the song is not here; `bar` is where the stretch begins, in a song
 * of n_bars (1 when it is not here). */
void nd_augmentation_draw(nd_augmentation *a, const nd_drummer *d, nd_rng *rng,
                          const float *style, int32_t bar, int32_t n_bars);

/* Whether this step's history is hidden; one draw, or none where the whole
 * stretch's history is shown or hidden. */
bool nd_augmentation_hides_step(const nd_augmentation *a, const nd_drummer *d, nd_rng *rng);

/* mask[v] (n_voices) becomes 1 where the hit of voice v is fixed in this step. */
void nd_augmentation_mask(const nd_augmentation *a, nd_rng *rng, int32_t bar, int32_t n_voices,
                          uint8_t *mask);

/* Advances rng by what the two functions above draw for `rows` steps. */
void nd_augmentation_skip(const nd_augmentation *a, const nd_drummer *d, nd_rng *rng,
                          int32_t rows);

#endif
