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

void nd_style_measure(const nd_sequence *s, float *out) {
  int32_t V = nd_sequence_voices(s), snare = s->settings.kit.voice_of[38];
  int32_t eighth = s->settings.steps_per_beat / 2 > 0 ? s->settings.steps_per_beat / 2 : 1;
  int64_t played = 0, repeated = 0, steps = 0, hits = 0, off = 0, snares = 0, backs = 0;
  memset(out, 0, (size_t)nd_style_size(V) * sizeof *out);
  for (int32_t b = 0; b < s->grid.n_bars; b++) {
    int32_t from = s->grid.bars[b].step, to = bar_end(s, b);
    if (to <= from || count(s, from, to) == 0) continue;
    played++;
    steps += to - from;
    if (b > 0 && same_bar(s, b, b - 1)) repeated++;
    for (int32_t t = from; t < to; t++)
      for (int32_t v = 0; v < V; v++) {
        if (s->hits[(size_t)t * (size_t)V + (size_t)v] == 0) continue;
        out[v] += 1.0f;
        hits++;
        if ((t - from) % eighth != 0) off++;
        if (v == snare) {
          snares++;
          if (back_beat(s, t, b)) backs++;
        }
      }
  }
  if (hits == 0) return;
  for (int32_t v = 0; v < V; v++) out[v] = sqrtf(out[v] / (float)steps);
  out[V] = (float)repeated / (float)played;
  out[V + 1] = (float)off / (float)hits;
  out[V + 2] = snares > 0 ? (float)backs / (float)snares : 0.0f;
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
    fill[b] = 0.0f;
  }
  for (int32_t b = 1; b + 1 < n; b++) {
    int32_t before = s->grid.bars[b - 1].step, from = s->grid.bars[b].step;
    int32_t after = s->grid.bars[b + 1].step, steps = after - from, half = steps / 2;
    if (from - before != steps || bar_end(s, b + 1) - after != steps || half < 1) continue;
    int32_t ending = count(s, from + half, after);
    int32_t departs = differ(s, from + half, before + half, steps - half);
    int32_t stays = differ(s, from, before, half), returns = differ(s, after + half, before + half, steps - half);
    if (ending >= 3 && departs >= 4 && departs > 2 * returns && departs > 2 * stays) fill[b] = 1.0f;
  }
}
