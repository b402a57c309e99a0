#include "style.h"

#include <math.h>
#include <string.h>

#include "sequence.h"

static int32_t bar_end(const nd_sequence *s, int32_t bar) {
  return bar + 1 < s->grid.n_bars ? s->grid.bars[bar + 1].step : s->grid.n_steps;
}

/* Struck cells of steps `from` to before `to`. */
static int32_t count(const nd_sequence *s, int32_t from, int32_t to) {
  size_t V = (size_t)nd_sequence_voices(s);
  const uint8_t *hits = s->hits + (size_t)from * V;
  int32_t n = 0;
  for (size_t i = 0; i < (size_t)(to - from) * V; i++) n += hits[i] > 0;
  return n;
}

/* Cells that differ between two runs of `steps` steps; hits only, not velocity. */
static int32_t differ(const nd_sequence *s, int32_t a, int32_t b, int32_t steps) {
  size_t V = (size_t)nd_sequence_voices(s);
  const uint8_t *x = s->hits + (size_t)a * V, *y = s->hits + (size_t)b * V;
  int32_t n = 0;
  for (size_t i = 0; i < (size_t)steps * V; i++) n += (x[i] > 0) != (y[i] > 0);
  return n;
}

static bool same_bar(const nd_sequence *s, int32_t a, int32_t b) {
  int32_t from = s->grid.bars[a].step, other = s->grid.bars[b].step;
  int32_t steps = bar_end(s, a) - from;
  return steps == bar_end(s, b) - other && differ(s, from, other, steps) == 0;
}

/* The voice that most kits call the snare: that of pitch 38. */
static bool back_beat(const nd_sequence *s, int32_t step, int32_t bar) {
  int32_t place = step - s->grid.bars[bar].step, beat = s->settings.steps_per_beat;
  return place % beat == 0 && (place / beat) % 2 == 1;
}

/* Whether a bar's second half departs from the groove and the next bar returns. */
static bool is_fill(const nd_sequence *s, int32_t b) {
  if (b == 0 || b + 1 >= s->grid.n_bars) return false;
  int32_t before = s->grid.bars[b - 1].step, from = s->grid.bars[b].step;
  int32_t after = s->grid.bars[b + 1].step, steps = after - from, half = steps / 2;
  if (from - before != steps || bar_end(s, b + 1) - after != steps || half < 1) return false;
  int32_t ending = count(s, from + half, after);
  int32_t departs = differ(s, from + half, before + half, steps - half);
  int32_t stays = differ(s, from, before, half);
  int32_t returns = differ(s, after + half, before + half, steps - half);
  return ending >= 3 && departs >= 4 && departs > 2 * returns && departs > 2 * stays;
}

/* Which sixteenth of a bar a step is. */
static int32_t place_of(int32_t into, int32_t steps_per_beat) {
  return into * 4 / steps_per_beat % ND_STYLE_PLACES;
}

const float *nd_style_groove(const float *style, int32_t voices, int32_t into, int32_t steps_per_beat) {
  const float *groove = style + nd_style_traits(voices);
  return groove[0] < 0.0f ? NULL : groove + place_of(into, steps_per_beat) * voices;
}

static bool all_known(const nd_sequence *s, const uint8_t *known, int32_t bar) {
  size_t V = (size_t)nd_sequence_voices(s), from = (size_t)s->grid.bars[bar].step * V;
  return known == NULL || memchr(known + from, 0, (size_t)bar_end(s, bar) * V - from) == NULL;
}

/* Counts (24, voices) at places that steps fell on `steps` times, to square
 * roots of rates; behind the `longest` bar's places those of its beginning. */
static void settle_groove(float *groove, const int32_t *steps, int32_t longest, int32_t V) {
  for (int32_t p = 0; p < ND_STYLE_PLACES; p++)
    for (int32_t i = p * V; i < (p + 1) * V && steps[p] > 0; i++)
      groove[i] = sqrtf(groove[i] / (float)steps[p]);
  for (int32_t p = longest; p < ND_STYLE_PLACES; p++)
    memcpy(groove + p * V, groove + p % longest * V, (size_t)V * sizeof *groove);
}

int32_t nd_style_measure(const nd_sequence *s, const uint8_t *known, float *out) {
  int32_t V = nd_sequence_voices(s), snare = s->settings.kit.voice_of[38];
  int32_t beat = s->settings.steps_per_beat, eighth = beat / 2 > 0 ? beat / 2 : 1;
  int32_t at_place[ND_STYLE_PLACES] = {0}, played = 0, silent = 0, fills = 0, last = -1;
  int32_t longest = 0;   /* steps */
  int64_t repeated = 0, steps = 0, hits = 0, off = 0, snares = 0, backs = 0;
  float *groove = out + nd_style_traits(V);
  memset(out, 0, (size_t)nd_style_size(V) * sizeof *out);
  for (int32_t b = 0; b < s->grid.n_bars; b++) {
    int32_t from = s->grid.bars[b].step, to = bar_end(s, b);
    if (to <= from || !all_known(s, known, b)) continue;
    bool follows = last == b - 1;
    last = b;
    if (count(s, from, to) == 0) {
      silent++;
      continue;
    }
    played++;
    fills += is_fill(s, b) && all_known(s, known, b - 1) && all_known(s, known, b + 1);
    steps += to - from;
    if (to - from > longest) longest = to - from;
    if (b > 0 && follows && same_bar(s, b, b - 1)) repeated++;
    for (int32_t t = from; t < to; t++) {
      int32_t place = place_of(t - from, beat);
      at_place[place]++;
      for (int32_t v = 0; v < V; v++) {
        if (s->hits[(size_t)t * (size_t)V + (size_t)v] == 0) continue;
        out[v] += 1.0f;
        groove[place * V + v] += 1.0f;
        hits++;
        if ((t - from) % eighth != 0) off++;
        if (v == snare) {
          snares++;
          if (back_beat(s, t, b)) backs++;
        }
      }
    }
  }
  if (played == 0) return 0;
  for (int32_t v = 0; v < V; v++) out[v] = sqrtf(out[v] / (float)steps);
  out[V] = (float)repeated / (float)played;
  out[V + 1] = (float)off / (float)hits;
  out[V + 2] = snares > 0 ? (float)backs / (float)snares : 0.0f;
  out[V + 3] = (float)silent / (float)(silent + played);
  out[V + 4] = (float)fills / (float)played;
  settle_groove(groove, at_place, (longest * 4 + beat - 1) / beat, V);
  return played;
}

void nd_style_bars(const nd_sequence *s, float *density, float *fill) {
  int32_t n = s->grid.n_bars;
  int64_t hits = 0, played = 0;
  for (int32_t b = 0; b < n; b++) {
    int32_t h = count(s, s->grid.bars[b].step, bar_end(s, b));
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
