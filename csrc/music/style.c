/* style.c - measures styles and the controls of bars by counting hits. */
#include "style.h"

#include <math.h>
#include <string.h>

#include "sequence.h"

/* Hits of all voices from step `from` up to, without, `to`. */
static int32_t count_hits(const nd_sequence *s, int32_t from, int32_t to) {
  size_t V = (size_t)nd_sequence_voices(s);
  const uint8_t *hits = s->hits + (size_t)from * V;
  int32_t n = 0;
  for (size_t i = 0; i < (size_t)(to - from) * V; i++) n += hits[i] > 0;
  return n;
}

/* Grid cells in which two runs of `steps` steps differ; velocities do not count. */
static int32_t count_differences(const nd_sequence *s, int32_t a, int32_t b, int32_t steps) {
  size_t V = (size_t)nd_sequence_voices(s);
  const uint8_t *x = s->hits + (size_t)a * V, *y = s->hits + (size_t)b * V;
  int32_t n = 0;
  for (size_t i = 0; i < (size_t)steps * V; i++) n += (x[i] > 0) != (y[i] > 0);
  return n;
}

/* Whether two bars have the same length and the same hits. */
static bool same_bar(const nd_sequence *s, int32_t a, int32_t b) {
  int32_t from = s->grid.bars[a].step, other = s->grid.bars[b].step;
  int32_t steps = nd_grid_bar_end(&s->grid, a) - from;
  return nd_grid_bar_end(&s->grid, b) - other == steps &&
         count_differences(s, from, other, steps) == 0;
}

/* Whether a step is beat 2, 4, ... of its bar. */
static bool is_back_beat(const nd_sequence *s, int32_t step, int32_t bar) {
  int32_t step_in_bar = step - s->grid.bars[bar].step, beat = s->settings.steps_per_beat;
  return step_in_bar % beat == 0 && (step_in_bar / beat) % 2 == 1;
}

/* Whether a bar ends in a fill: its second half differs from that of the bar
 * before, while its first half does not, and the next bar is back in the groove.
 * All three bars must be equally long. */
static bool is_fill(const nd_sequence *s, int32_t b) {
  if (b == 0 || b + 1 >= s->grid.n_bars) return false;
  int32_t before = s->grid.bars[b - 1].step, from = s->grid.bars[b].step;
  int32_t after = s->grid.bars[b + 1].step, steps = after - from, half = steps / 2;
  if (from - before != steps || nd_grid_bar_end(&s->grid, b + 1) - after != steps || half < 1)
    return false;
  /* A fill has at least three hits in its second half, differs there in at least four
   * cells, and differs more than twice as much as the groove does around it. */
  int32_t ending = count_hits(s, from + half, after);
  int32_t departs = count_differences(s, from + half, before + half, steps - half);
  int32_t stays = count_differences(s, from, before, half);
  int32_t returns = count_differences(s, after + half, before + half, steps - half);
  return ending >= 3 && departs >= 4 && departs > 2 * returns && departs > 2 * stays;
}

/* Which sixteenth of its bar a step is. */
static int32_t sixteenth_of(int32_t step_in_bar, int32_t steps_per_beat) {
  return step_in_bar * 4 / steps_per_beat % ND_STYLE_SIXTEENTHS;
}

/* The first rate of the groove is negative where the style has none. */
const float *nd_style_groove(const float *style, int32_t voices, int32_t step_in_bar,
                             int32_t steps_per_beat) {
  const float *groove = style + nd_style_traits(voices);
  return groove[0] < 0.0f ? NULL : groove + sixteenth_of(step_in_bar, steps_per_beat) * voices;
}

/* Whether the mask covers the whole bar. */
static bool is_covered(const nd_sequence *s, const uint8_t *mask, int32_t bar) {
  size_t V = (size_t)nd_sequence_voices(s), from = (size_t)s->grid.bars[bar].step * V;
  size_t to = (size_t)nd_grid_bar_end(&s->grid, bar) * V;
  return mask == NULL || memchr(mask + from, 0, to - from) == NULL;
}

/* Turns counts of hits (24, voices) into square roots of rates; `steps` says how
 * many steps fell on each sixteenth. Sixteenths after the longest bar repeat its
 * beginning, so that a style learnt in 3/4 has a groove for 4/4. */
static void counts_to_groove(float *groove, const int32_t *steps, int32_t longest, int32_t V) {
  for (int32_t p = 0; p < ND_STYLE_SIXTEENTHS; p++)
    for (int32_t i = p * V; i < (p + 1) * V && steps[p] > 0; i++)
      groove[i] = sqrtf(groove[i] / (float)steps[p]);
  for (int32_t p = longest; p < ND_STYLE_SIXTEENTHS; p++)
    memcpy(groove + p * V, groove + p % longest * V, (size_t)V * sizeof *groove);
}

/* Habits that compare with a neighbouring bar count only where that bar is measured
 * too. Rates are over the steps of bars with hits, so that rests do not dilute them. */
int32_t nd_style_measure(const nd_sequence *s, const uint8_t *mask, float *out) {
  int32_t V = nd_sequence_voices(s);
  int32_t snare = s->settings.kit.voice_of[38];  /* General MIDI's acoustic snare */
  int32_t beat = s->settings.steps_per_beat, eighth = beat / 2 > 0 ? beat / 2 : 1;
  int32_t at_sixteenth[ND_STYLE_SIXTEENTHS] = {0}, played = 0, silent = 0, fills = 0, last = -1;
  int32_t longest = 0;   /* steps */
  int64_t repeated = 0, steps = 0, hits = 0, off = 0, snares = 0, backs = 0;
  float *groove = out + nd_style_traits(V);
  memset(out, 0, (size_t)nd_style_size(V) * sizeof *out);
  for (int32_t b = 0; b < s->grid.n_bars; b++) {
    int32_t from = s->grid.bars[b].step, to = nd_grid_bar_end(&s->grid, b);
    if (to <= from || !is_covered(s, mask, b)) continue;
    /* whether the bar before was measured as well */
    bool follows = last == b - 1;
    last = b;
    if (count_hits(s, from, to) == 0) {
      silent++;
      continue;
    }
    played++;
    fills += is_fill(s, b) && is_covered(s, mask, b - 1) && is_covered(s, mask, b + 1);
    steps += to - from;
    if (to - from > longest) longest = to - from;
    if (b > 0 && follows && same_bar(s, b, b - 1)) repeated++;
    for (int32_t t = from; t < to; t++) {
      int32_t sixteenth = sixteenth_of(t - from, beat);
      at_sixteenth[sixteenth]++;
      for (int32_t v = 0; v < V; v++) {
        if (s->hits[(size_t)t * (size_t)V + (size_t)v] == 0) continue;
        out[v] += 1.0f;
        groove[sixteenth * V + v] += 1.0f;
        hits++;
        if ((t - from) % eighth != 0) off++;
        if (v == snare) {
          snares++;
          if (is_back_beat(s, t, b)) backs++;
        }
      }
    }
  }
  if (played == 0) return 0;
  for (int32_t v = 0; v < V; v++) out[v] = sqrtf(out[v] / (float)steps);
  /* habits, in the order of style.h */
  out[V] = (float)repeated / (float)played;
  out[V + 1] = (float)off / (float)hits;
  out[V + 2] = snares > 0 ? (float)backs / (float)snares : 0.0f;
  out[V + 3] = (float)silent / (float)(silent + played);
  out[V + 4] = (float)fills / (float)played;
  counts_to_groove(groove, at_sixteenth, (longest * 4 + beat - 1) / beat, V);
  return played;
}

/* The +1 keeps empty bars finite and damps sparse songs. */
void nd_style_bars(const nd_sequence *s, float *density, float *fill) {
  int32_t n = s->grid.n_bars;
  int64_t hits = 0, played = 0;
  for (int32_t b = 0; b < n; b++) {
    int32_t h = count_hits(s, s->grid.bars[b].step, nd_grid_bar_end(&s->grid, b));
    density[b] = (float)h;
    hits += h;
    played += h > 0;
  }
  float mean = played > 0 ? (float)hits / (float)played : 0.0f;
  for (int32_t b = 0; b < n; b++) {
    float d = log2f((density[b] + 1.0f) / (mean + 1.0f));
    density[b] = d < -3.0f ? -3.0f : d > 3.0f ? 3.0f : d;
  }
  for (int32_t b = 0; b < n; b++) fill[b] = is_fill(s, b) ? 1.0f : 0.0f;
}
