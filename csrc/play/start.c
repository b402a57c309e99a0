#include "take.h"

#include <math.h>

/* What a take is shown before it plays: a generator without history would have to begin
 * a song as if drums had never been played.
 *
 * The 2023 system is shown a window of hits before it plays: silence, a count-in of
 * four hat strokes, a basic beat, or random hits. The same starts are available to
 * streaming nets, for two bars. A prime is the user's own choice: the drums of
 * another song, so that this one goes on from there. */

/* General MIDI pitches, and the velocity that history is shown (the network sees hits). */
enum { KICK = 35, SNARE = 38, CLOSED_HAT = 42, VELOCITY = 100 };

/* Sets a hit where the kit has a voice for the pitch. */
static void set_hit(const nd_kit *kit, uint8_t *hits, uint8_t pitch) {
  int32_t v = kit->voice_of[pitch];
  if (v >= 0) hits[v] = VELOCITY;
}

/* Hits of step `step` of `n`, as the 2023 system lays them out on its eighths;
 * steps between eighths stay empty. */
static void start_hits(const nd_tokeniser *settings, nd_take *t, int32_t step, int32_t n,
                       uint8_t *hits) {
  const nd_kit *kit = &settings->kit;
  int32_t steps_per_eighth = settings->steps_per_beat / 2 > 0 ? settings->steps_per_beat / 2 : 1;
  if (step % steps_per_eighth != 0) return;
  int32_t eighth = step / steps_per_eighth;
  switch (t->options->start) {
    case ND_START_BLANK: break;  /* silence, which is history too */
    case ND_START_COUNT_IN:  /* quarters of the last bar only */
      if (step >= n - 8 * steps_per_eighth && eighth % 2 == 0) set_hit(kit, hits, CLOSED_HAT);
      break;
    case ND_START_BASIC:  /* kick on 1 and 3, snare on 2 and 4, hats on all eighths */
      if (eighth % 4 == 0) set_hit(kit, hits, KICK);
      if (eighth % 4 == 2) set_hit(kit, hits, SNARE);
      set_hit(kit, hits, CLOSED_HAT);
      break;
    case ND_START_RANDOM: {  /* the take's own numbers: a reset draws the same again */
      uint32_t count = 1 + nd_rng_below(&t->rng, 4);
      for (uint32_t i = 0; i < count; i++)
        hits[nd_rng_below(&t->rng, (uint32_t)kit->n_voices)] = VELOCITY;
      break;
    }
  }
}

/* Metrics of a step of 4/4 without notes: only its position in beat, bar and phrase
 * is known. */
static void start_metrics(int32_t steps_per_beat, nd_start start, int32_t step, float *metrics) {
  double phase = 6.283185307179586 / (4.0 * steps_per_beat) * step;  /* of the bar */
  /* intensity is in standard deviations: the count-in comes before the band */
  metrics[ND_M_INTENSITY] = start == ND_START_COUNT_IN ? -2.0f : 0.0f;
  metrics[ND_M_BEAT_SIN] = (float)sin(4.0 * phase);
  metrics[ND_M_BEAT_COS] = (float)cos(4.0 * phase);
  metrics[ND_M_BAR_SIN] = (float)sin(phase);
  metrics[ND_M_BAR_COS] = (float)cos(phase);
  metrics[ND_M_PHRASE_SIN] = (float)sin(phase / 4.0);
  metrics[ND_M_PHRASE_COS] = (float)cos(phase / 4.0);
  metrics[ND_M_DOWNBEAT] = step % (4 * steps_per_beat) == 0 ? 1.0f : 0.0f;
  metrics[ND_M_ON_BEAT] = step % steps_per_beat == 0 ? 1.0f : 0.0f;
  metrics[ND_M_METER] = 1.0f;
}

/* How many steps there are. A window net needs at least a window, less the step that it
 * plays; a streaming net needs none for a blank start. */
static int32_t count_steps(const nd_generator *g) {
  int32_t window = g->drummer->net.config.window;
  if (g->prime != NULL) {
    int32_t n = nd_sequence_steps(g->prime);
    return n < window - 1 ? window - 1 : n;
  }
  if (window > 1) return window;
  return g->options.start == ND_START_BLANK ? 0 : 8 * g->drummer->tokeniser.steps_per_beat;
}

/* A prime that is shorter than a window is preceded by silence, so that the first window
 * is complete when playing begins. */
bool nd_start_feed(const nd_generator *g, nd_decoder_batch *b, int32_t at, nd_take *t,
                   int32_t step) {
  const nd_tokeniser *settings = &g->drummer->tokeniser;
  const nd_sequence *prime = g->prime;
  uint8_t hits[ND_MAX_VOICES] = {0};
  float metrics[ND_N_METRICS] = {0};
  /* the step of the prime: negative in the silence before it, and without a prime */
  int32_t n = count_steps(g), of_prime = prime != NULL ? step - n + nd_sequence_steps(prime) : -1;
  if (step >= n) return false;
  if (of_prime >= 0) {
    const nd_grid *grid = &prime->grid;
    nd_step_feed(b, at, t, prime->metrics + (size_t)of_prime * ND_N_METRICS,
                 grid->bars[nd_grid_bar(grid, of_prime)].step == of_prime,
                 prime->hits + (size_t)of_prime * (size_t)nd_sequence_voices(prime));
    return true;
  }
  if (prime == NULL) {
    start_metrics(settings->steps_per_beat, g->options.start, step, metrics);
    start_hits(settings, t, step, n, hits);
  }
  nd_step_feed(b, at, t, metrics, prime == NULL && step % (4 * settings->steps_per_beat) == 0,
               hits);
  return true;
}
