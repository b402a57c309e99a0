#include "take.h"

#include <math.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/kernels.h"

/* A step in order: the bar's temperature is drawn if a bar begins; each take's
 * input row is made from its history and the song; the LSTM layers move on, all
 * takes in one product per matrix; the output layer gives one logit a voice; and
 * voice after voice is sampled. The result becomes the history of later steps.
 *
 * Nothing here allocates, locks or waits: nd_generator_step() runs in a host's
 * audio thread. All memory is taken by nd_generator_make() and nd_performance_make().
 *
 * The kernels sum each element of a product in the same order, whatever the
 * number of rows. Therefore a take is the same, bit by bit, alone or in a batch. */

/* ---------------------------------------------------------------------- state */

/* Streams 4, 5 (styles) and 7 of one seed are independent of each other, so that
 * the number of styles or bars does not shift which hits are drawn. The ring needs
 * no clearing: nothing before step 0 is read. */
void nd_take_reset(nd_take *t, const nd_generator_options *options) {
  memset(t, 0, offsetof(nd_take, history));
  t->options = options;
  t->style_index = -1;
  t->rng = nd_rng_seed(options->seed, 4);
  t->scale_rng = nd_rng_seed(options->seed, 7);
}

/* Floats of h, or of c, of one take in one layer. */
static size_t state_size(const nd_decoder_batch *b) {
  return (size_t)b->rows * (size_t)b->drummer->net.config.hidden;
}

/* See nd_decoder_batch for the shapes; a net without encoder has empty parts. */
static void lay_out(nd_decoder_batch *b, nd_arena *a) {
  const nd_net_config *c = &b->drummer->net.config;
  size_t n = (size_t)b->n, size = state_size(b), layers = (size_t)c->layers;
  size_t head = nd_net_head_scratch(&b->drummer->net, b->n);
  b->h = nd_arena_floats(a, layers * n * size);
  b->c = nd_arena_floats(a, layers * n * size);
  b->z = nd_arena_floats(a, n * 4 * size);
  b->x = nd_arena_floats(a, n * (size_t)c->inputs);
  b->encoder_state = nd_arena_floats(a, n * 2 * (size_t)c->encoder);
  b->encoder_z = nd_arena_floats(a, 4 * (size_t)c->encoder);
  b->feature = nd_arena_floats(a, head);
  b->scratch = nd_arena_floats(a, head);
  b->logits = nd_arena_floats(a, n * (size_t)c->voices);
}

nd_status nd_decoder_make(nd_decoder_batch *b, const nd_drummer *d, int32_t n, nd_error *err) {
  nd_arena counted = {0};
  *b = (nd_decoder_batch){.drummer = d, .n = n, .rows = 1};
  if (d->net.config.window > 0) b->rows = d->net.config.window;
  lay_out(b, &counted);
  if (!nd_arena_reserve(&b->arena, counted.used)) return nd_nomem(err);
  lay_out(b, &b->arena);
  return ND_OK;
}

void nd_decoder_reset(nd_decoder_batch *b) {
  const nd_net_config *c = &b->drummer->net.config;
  size_t states = (size_t)c->layers * (size_t)b->n * state_size(b);
  memset(b->h, 0, states * sizeof *b->h);
  memset(b->c, 0, states * sizeof *b->c);
  memset(b->encoder_state, 0, (size_t)b->n * 2 * (size_t)c->encoder * sizeof *b->encoder_state);
}

/* A layer's rows are as far apart as their batch is large, hence layer by layer. */
void nd_decoder_copy(nd_decoder_batch *to, const nd_decoder_batch *from, int32_t at) {
  const nd_net_config *c = &to->drummer->net.config;
  size_t size = state_size(to), encoder = 2 * (size_t)c->encoder;
  for (size_t l = 0; l < (size_t)c->layers; l++) {
    size_t place = (l * (size_t)from->n + (size_t)at) * size;
    memcpy(to->h + l * size, from->h + place, size * sizeof *to->h);
    memcpy(to->c + l * size, from->c + place, size * sizeof *to->c);
  }
  memcpy(to->encoder_state, from->encoder_state + (size_t)at * encoder,
         encoder * sizeof *to->encoder_state);
}

/* --------------------------------------------------------------------- inputs
 * A take's history is in two rings: hits by step, and the first step of each bar. Bars
 * are counted from 0 at the start of the take; the current one is t->bars - 1. */

/* The hits (voices) of a step in the ring. */
static uint8_t *history_row(const nd_decoder_batch *b, nd_take *t, int64_t step) {
  return t->history + step % ND_HISTORY_STEPS * b->drummer->net.config.voices;
}

/* As nd_features_history(), from the rings. A live host sets bars as it likes: a
 * bar may be longer than the ring, whose oldest steps are then unknown. */
static nd_history look_back(const nd_decoder_batch *b, nd_take *t) {
  nd_history h = {.available = true};
  const nd_features *f = &b->drummer->features;
  if (t->steps > 0) h.before = history_row(b, t, t->steps - 1);
  int64_t bar = t->bars - 1, step_in_bar = t->steps - t->bar_start[bar % ND_HISTORY_BARS];
  for (int32_t i = 0; i < f->n_back; i++) {  /* ascending: the first that is too far ends it */
    int64_t earlier = bar - f->back[i];
    if (earlier < 0 || f->back[i] >= ND_HISTORY_BARS) break;
    int64_t step = t->bar_start[earlier % ND_HISTORY_BARS] + step_in_bar;
    /* not where the earlier bar is shorter, nor where the ring was overwritten */
    if (step < t->bar_start[(earlier + 1) % ND_HISTORY_BARS] && t->steps - step <= ND_HISTORY_STEPS)
      h.back[i] = history_row(b, t, step);
  }
  return h;
}

/* NAN means "not given"; 0 would ask for average density and for no fill. */
nd_step_context nd_step_metrics(const float *metrics) {
  return (nd_step_context){.metrics = metrics, .steps_per_beat = 1, .density = NAN, .fill = NAN};
}

/* Begins a step of take `at`, and fills its input row. The first step begins a bar even
 * if the host does not say so: history and style are indexed by the place in a bar.
 *
 * The take knows its own history, except for the bar that this one repeats: only a
 * whole song shows which one that is, so it comes with the context. */
static void begin_step(nd_decoder_batch *b, int32_t at, const nd_step_io *io, bool bar) {
  nd_take *t = io->take;
  nd_step_context c = io->context;
  const nd_net_config *config = &b->drummer->net.config;
  if (bar || t->bars == 0) t->bar_start[t->bars++ % ND_HISTORY_BARS] = t->steps;
  c.history = look_back(b, t);
  c.history.recurrence = io->context.history.recurrence;
  c.step_in_bar = (int32_t)(t->steps - t->bar_start[(t->bars - 1) % ND_HISTORY_BARS]);
  c.steps_per_beat = b->drummer->tokeniser.steps_per_beat;
  if (t->has_style) c.style = t->style;
  nd_features_row(&b->drummer->features, config->voices, &c,
                  b->x + (size_t)at * (size_t)config->inputs);
}

/* The step's hits become history. */
static void end_step(const nd_decoder_batch *b, nd_take *t, const uint8_t *hits) {
  memcpy(history_row(b, t, t->steps), hits, (size_t)b->drummer->net.config.voices);
  t->steps++;
}

/* -------------------------------------------------------------------- network */

/* Live, a causal encoder takes one step. An encoder of both directions cannot:
 * its forward half runs, the backward half's output counts as zero. Adds the
 * encoder's share of the first layer to z (4H). */
static void encode_step(nd_decoder_batch *b, const nd_inference_weights *w, int32_t at,
                        const float *x, float *z) {
  const nd_net *net = &b->drummer->net;
  const nd_net_config *c = &net->config;
  float *h = b->encoder_state + (size_t)at * 2 * (size_t)c->encoder, *cell = h + c->encoder;
  memset(b->encoder_z, 0, 4 * (size_t)c->encoder * sizeof *b->encoder_z);
  nd_matmul_sparse(&w->encoder_wx[0], x, b->encoder_z);
  nd_matmul(&w->encoder_wh[0], 1, h, true, b->encoder_z);
  nd_cell_step(1, c->encoder, b->encoder_z, net->encoder[0].b, h, cell);
  if (nd_net_directions(c) == 1) nd_matmul(&w->wx_encoder, 1, h, true, z);
  else nd_gemv(c->encoder, 4 * c->hidden, h, net->lstm[0].wx, z);
}

/* z (4H) = the first layer's x wx of take `at`. `encoding` is the encoder's share
 * of that, computed beforehand, or NULL. Most other inputs are hits that are 0:
 * the product skips them. */
static void first_layer(nd_decoder_batch *b, const nd_inference_weights *w, int32_t at,
                        const float *encoding, float *z) {
  const nd_net_config *c = &b->drummer->net.config;
  const float *x = b->x + (size_t)at * (size_t)c->inputs;
  size_t width = 4 * (size_t)c->hidden;
  if (encoding != NULL) memcpy(z, encoding, width * sizeof *z);
  else memset(z, 0, width * sizeof *z);
  if (c->encoder > 0 && encoding == NULL) encode_step(b, w, at, x, z);
  nd_matmul_sparse(&w->wx_input, x + (c->encoder > 0 ? c->encoded : 0), z);
}

/* Moves all layers on by one step, for `count` takes from `first` on, io (count):
 * z = x wx, then += h wh, then the gates. Returns the top layer's outputs (count, H),
 * or NULL before the first window is complete.
 *
 * A window net reads the last W steps from zero state, one take at a time. Running W
 * steps again for each step played would cost W times as much as needed: instead W
 * states stand side by side, one for each window that this step is in, and each step
 * moves all of them on. The row (step mod W) starts anew; the row after it has by then
 * seen W steps and gives the result. The first layer's x wx is the same for all. */
static const float *advance(nd_decoder_batch *b, int32_t first, int32_t count,
                            const nd_step_io *io) {
  const nd_net *net = &b->drummer->net;
  const nd_inference_weights *w = nd_drummer_weights(b->drummer);
  bool windows = net->config.window > 0;  /* then count is 1 */
  int32_t H = net->config.hidden, rows = count * b->rows;
  size_t place = (size_t)first * state_size(b), width = 4 * (size_t)H;
  size_t row = (size_t)(io->take->steps % b->rows), next = (row + 1) % (size_t)b->rows;
  float *z = b->z + 4 * place, *h = b->h + place, *cell = b->c + place;
  for (int32_t i = 0; i < count; i++)
    first_layer(b, w, first + i, io[i].encoding, z + (size_t)i * width);
  for (int32_t r = 1; r < b->rows; r++) memcpy(z + (size_t)r * width, z, width * sizeof *z);
  for (int32_t l = 0; l < net->config.layers; l++) {
    if (l > 0) {
      const float *below = h;
      h += (size_t)b->n * state_size(b);
      cell += (size_t)b->n * state_size(b);
      nd_matmul(&w->wx[l], rows, below, false, z);
    }
    if (windows) {  /* the window that begins at this step */
      memset(h + row * (size_t)H, 0, (size_t)H * sizeof *h);
      memset(cell + row * (size_t)H, 0, (size_t)H * sizeof *cell);
    }
    nd_matmul(&w->wh[l], rows, h, true, z);
    nd_cell_step(rows, H, z, net->lstm[l].b, h, cell);
  }
  if (!windows) return h;
  return io->take->steps >= b->rows - 1 ? h + next * (size_t)H : NULL;
}

/* b->logits of `count` takes from the outputs of advance(), without the mix between
 * voices, which depends on the hits sampled. */
static void predict(nd_decoder_batch *b, int32_t first, int32_t count, const float *top) {
  const nd_drummer *d = b->drummer;
  const nd_net_config *c = &d->net.config;
  /* a copy, because the head works in place and the top layer's outputs are its state */
  memcpy(b->feature, top, (size_t)count * (size_t)c->hidden * sizeof *top);
  const float *features = nd_net_head(&d->net, count, b->feature, b->scratch);
  nd_inference_logits(&d->net, nd_drummer_weights(d), count, features,
                      b->x + (size_t)first * (size_t)c->inputs,
                      b->logits + (size_t)first * (size_t)c->voices);
}

/* ------------------------------------------------------------------- sampling */

/* Random numbers are drawn in a fixed order: one a bar from scale_rng, one a voice and
 * step from rng. Therefore a seed gives the same song, however it is sliced. */

/* Draws whether a bar is steady or free, see nd_generator_options. */
static void draw_temperature_scale(nd_take *t, const float *metrics) {
  const float free_bars = 0.35f, free_endings = 0.7f;  /* probabilities */
  /* the phase of the four-bar phrase is 3/4 where its last bar begins */
  bool ending = metrics[ND_M_PHRASE_SIN] < -0.9f;
  bool is_free = nd_rng_float(&t->scale_rng) < (ending ? free_endings : free_bars);
  float spread = t->options->temperature_spread;
  t->temperature_scale = is_free ? 1.0f + 0.75f * spread : fmaxf(1.0f - spread, 0.05f);
}

/* expf() overflows to infinity for very negative z: the result is then 0, as it
 * should be. */
static float sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }

/* Voice after voice, each given the voices before it: a hit adds its row of the
 * triangular matrix to the logits of the later voices (as in NADE, Larochelle &
 * Murray 2011). Random numbers are drawn for fixed cells too, so that fixing a
 * cell does not change what the seed draws elsewhere. */
static void sample_voices(const nd_decoder_batch *b, const nd_step_io *io, float *logits) {
  nd_take *t = io->take;
  const nd_generator_options *o = t->options;
  const nd_step_context *c = &io->context;
  const float *mix = b->drummer->net.hits.mix;
  int32_t V = b->drummer->net.config.voices;
  for (int32_t v = 0; v < V; v++) {
    float z = logits[v], temperature = o->temperature * t->temperature_scale;
    /* NaN compares false, and would silently mean "no hit" */
    if (isnan(z)) t->has_nan = true;
    t->probabilities[v] = sigmoid(z);
    bool hit = o->temperature > 0.0f ? nd_rng_float(&t->rng) < sigmoid(z / temperature)
                                     : t->probabilities[v] >= o->cutoff;
    io->hits[v] = hit && !io->silent ? o->velocity : 0;
    if (c->fixed_mask != NULL && c->fixed_mask[v]) io->hits[v] = c->fixed_hits[v];
    if (io->hits[v] > 0 && mix != NULL)
      for (int32_t u = v + 1; u < V; u++) logits[u] += mix[v * V + u];
  }
}

/* Sets the `forced` most probable voices, as the 2023 system does, whose cut-off
 * alone would leave many steps empty. A fixed cell counts, but is not changed. */
static void force_hits(const nd_step_io *io, int32_t voices) {
  const nd_take *t = io->take;
  const uint8_t *fixed_mask = io->context.fixed_mask;
  bool done[ND_MAX_VOICES] = {false};
  for (int32_t n = 0; n < t->options->forced && n < voices && !io->silent; n++) {
    int32_t best = -1;
    for (int32_t v = 0; v < voices; v++)
      if (!done[v] && (best < 0 || t->probabilities[v] > t->probabilities[best])) best = v;
    if (best < 0) break;  /* all voices are set */
    done[best] = true;
    if (fixed_mask == NULL || !fixed_mask[best]) io->hits[best] = t->options->velocity;
  }
}

/* --------------------------------------------------------------------- a step */

/* The hits that are fed are not this step's inputs, which are the history before
 * it: they only become history for the next steps. */
void nd_step_feed(nd_decoder_batch *b, int32_t at, nd_take *t, const float *metrics, bool bar,
                  const uint8_t *hits) {
  nd_step_io io = {.take = t, .context = nd_step_metrics(metrics)};
  begin_step(b, at, &io, bar);
  (void)advance(b, at, 1, &io);
  end_step(b, t, hits);
}

/* Fills io->hits; `logits` (voices) are those of predict(), or NULL: silence,
 * before the first window is complete. */
static void choose_hits(const nd_decoder_batch *b, const nd_step_io *io, float *logits) {
  int32_t V = b->drummer->net.config.voices;
  const nd_take *t = io->take;
  memset(io->hits, 0, (size_t)V);
  if (logits == NULL) return;
  sample_voices(b, io, logits);
  force_hits(io, V);
  if (t->options->playable)
    nd_playability_limit(&b->drummer->tokeniser.kit, t->probabilities, io->context.fixed_mask,
                         io->hits);
}

/* The cost is nd_net_macs() for each take, dominated by reading the weights once for all
 * of them: taking several together is what makes drafts cheap. */
void nd_step_play(nd_decoder_batch *b, nd_step_io *io, bool bar) {
  const nd_net_config *c = &b->drummer->net.config;
  int32_t count = c->window > 0 ? 1 : b->n;  /* takes that go through the net together */
  const float *top = NULL;
  for (int32_t i = 0; i < b->n; i++) {
    if (bar || io[i].take->bars == 0)
      draw_temperature_scale(io[i].take, io[i].context.metrics);
    begin_step(b, i, &io[i], bar);
  }
  for (int32_t i = 0; i < b->n; i++) {
    if (i % count == 0) top = advance(b, i, count, io + i);
    if (i % count == 0 && top != NULL) predict(b, i, count, top);
    choose_hits(b, &io[i], top != NULL ? b->logits + (size_t)i * (size_t)c->voices : NULL);
    end_step(b, io[i].take, io[i].hits);
  }
}
