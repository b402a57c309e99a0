#include "step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/kernels.h"
#include "playability.h"

/* A step in order: the bar's temperature is drawn if a bar begins; each take's
 * input row is made from its history and the song; the LSTM layers move on, all
 * takes in one product per matrix; the output layer gives one logit a voice; and
 * voice after voice is sampled. The result becomes the history of later steps.
 *
 * Nothing here allocates, locks or waits: nd_generator_step() runs in a host's
 * audio thread. All memory is taken by nd_take_make() and nd_decoder_make().
 *
 * The kernels sum each element of a product in the same order, whatever the
 * number of rows. Therefore a take is the same, bit by bit, alone or in a batch. */

/* ---------------------------------------------------------------------- state */

nd_status nd_take_make(nd_take *t, const nd_generator_options *options, int32_t voices,
                       nd_error *err) {
  *t = (nd_take){.options = options};
  t->history = nd_calloc((size_t)ND_HISTORY_STEPS * (size_t)voices, 1);
  if (t->history == NULL) return nd_nomem(err);
  nd_take_reset(t);
  return ND_OK;
}

void nd_take_clear(nd_take *t) {
  free(t->history);
  t->history = NULL;
}

/* Streams 4, 5 (styles) and 7 of one seed are independent of each other, so that
 * the number of styles or bars does not shift which hits are drawn. The ring needs
 * no clearing: nothing before step 0 is read. */
void nd_take_reset(nd_take *t) {
  memset(t->probabilities, 0, sizeof t->probabilities);
  t->has_nan = false;
  t->has_style = false;
  t->style_index = -1;
  t->temperature_scale = 0.0f;  /* drawn when the first bar begins */
  t->rng = nd_rng_seed(t->options->seed, 4);
  t->scale_rng = nd_rng_seed(t->options->seed, 7);
  t->steps = t->bars = 0;
}

/* See nd_decoder_batch for the shapes; a net without encoder has empty parts. */
static void lay_out(nd_decoder_batch *b, nd_arena *a) {
  const nd_net_config *c = &b->drummer->net.config;
  size_t n = (size_t)b->n, rows = (size_t)b->rows, H = (size_t)c->hidden;
  size_t head = nd_net_head_scratch(&b->drummer->net, b->n);
  b->h = nd_arena_floats(a, (size_t)c->layers * rows * H);
  b->c = nd_arena_floats(a, (size_t)c->layers * rows * H);
  b->z = nd_arena_floats(a, rows * 4 * H);
  b->x = nd_arena_floats(a, n * (size_t)c->inputs);
  b->encoder_state = nd_arena_floats(a, n * 2 * (size_t)c->encoder);
  b->encoder_z = nd_arena_floats(a, 4 * (size_t)c->encoder);
  b->feature = nd_arena_floats(a, head);
  b->scratch = nd_arena_floats(a, head);
  b->logits = nd_arena_floats(a, n * (size_t)c->voices);
}

nd_status nd_decoder_make(nd_decoder_batch *b, const nd_drummer *d, int32_t n, nd_error *err) {
  int32_t window = d->net.config.window;
  *b = (nd_decoder_batch){.drummer = d, .n = n, .rows = window > 0 ? window : n};
  nd_arena counted = {0};
  lay_out(b, &counted);
  if (!nd_arena_reserve(&b->arena, counted.used)) return nd_nomem(err);
  lay_out(b, &b->arena);
  return ND_OK;
}

void nd_decoder_clear(nd_decoder_batch *b) { nd_arena_clear(&b->arena); }

/* Floats of h, or of c, of one layer. */
static size_t layer_size(const nd_decoder_batch *b) {
  return (size_t)b->rows * (size_t)b->drummer->net.config.hidden;
}

void nd_decoder_reset(nd_decoder_batch *b) {
  const nd_net_config *c = &b->drummer->net.config;
  size_t states = (size_t)c->layers * layer_size(b);
  memset(b->h, 0, states * sizeof *b->h);
  memset(b->c, 0, states * sizeof *b->c);
  memset(b->encoder_state, 0, (size_t)b->n * 2 * (size_t)c->encoder * sizeof *b->encoder_state);
}

/* A layer's rows are as far apart as their batch is large, hence layer by layer. */
void nd_decoder_copy(nd_decoder_batch *to, const nd_decoder_batch *from, int32_t at) {
  const nd_net_config *c = &to->drummer->net.config;
  size_t size = layer_size(to), apart = layer_size(from), first = (size_t)at * (size_t)c->hidden;
  size_t encoder = 2 * (size_t)c->encoder;
  for (size_t l = 0; l < (size_t)c->layers; l++) {
    memcpy(to->h + l * size, from->h + l * apart + first, size * sizeof *to->h);
    memcpy(to->c + l * size, from->c + l * apart + first, size * sizeof *to->c);
  }
  memcpy(to->encoder_state, from->encoder_state + (size_t)at * encoder,
         encoder * sizeof *to->encoder_state);
}

/* --------------------------------------------------------------------- inputs */

static uint8_t *history_row(const nd_decoder_batch *b, const nd_take *t, int64_t step) {
  return t->history +
         (size_t)(step % ND_HISTORY_STEPS) * (size_t)b->drummer->net.config.voices;
}

/* As nd_features_history(), from the rings. A live host sets bars as it likes: a
 * bar may be longer than the ring, whose oldest steps are then unknown. */
static nd_history look_back(const nd_decoder_batch *b, const nd_take *t) {
  nd_history h = {.available = true};
  const nd_features *f = &b->drummer->features;
  if (t->steps > 0) h.before = history_row(b, t, t->steps - 1);
  int64_t bar = t->bars - 1, step_in_bar = t->steps - t->bar_start[bar % ND_HISTORY_BARS];
  for (int32_t i = 0; i < f->n_back; i++) {
    int64_t earlier = bar - f->back[i];
    if (earlier < 0 || f->back[i] >= ND_HISTORY_BARS) break;
    int64_t step = t->bar_start[earlier % ND_HISTORY_BARS] + step_in_bar;
    if (step < t->bar_start[(earlier + 1) % ND_HISTORY_BARS] && t->steps - step <= ND_HISTORY_STEPS)
      h.back[i] = history_row(b, t, step);
  }
  return h;
}

nd_step_context nd_step_metrics(const float *metrics) {
  return (nd_step_context){.metrics = metrics, .steps_per_beat = 1, .density = NAN, .fill = NAN};
}

/* The first step begins a bar even if the host does not say so: history and style
 * are indexed by the place in a bar. */
static void begin_step(nd_take *t, bool bar) {
  if (bar || t->bars == 0) t->bar_start[t->bars++ % ND_HISTORY_BARS] = t->steps;
}

static void end_step(const nd_decoder_batch *b, nd_take *t, const uint8_t *hits) {
  memcpy(history_row(b, t, t->steps), hits, (size_t)b->drummer->net.config.voices);
  t->steps++;
}

/* Fills the input row of take `at`. The take knows its own history, except for the
 * bar that this one repeats: only a whole song shows which one that is, so it comes
 * with the context. */
static void fill_inputs(nd_decoder_batch *b, int32_t at, const nd_take *t,
                        const nd_step_context *context) {
  nd_step_context c = *context;
  const nd_net_config *config = &b->drummer->net.config;
  c.history = look_back(b, t);
  c.history.recurrence = context->history.recurrence;
  c.step_in_bar = (int32_t)(t->steps - t->bar_start[(t->bars - 1) % ND_HISTORY_BARS]);
  c.steps_per_beat = b->drummer->tokeniser.steps_per_beat;
  if (t->has_style) c.style = t->style;
  nd_features_row(&b->drummer->features, config->voices, &c,
                  b->x + (size_t)at * (size_t)config->inputs);
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

/* Moves all layers of a streaming net on by one step, for `count` takes from `first`
 * on; encodings by io (NULL: live). z (count, 4H) is x wx, then += h wh, then the
 * gates. Returns features (count, F). */
static const float *advance_stream(nd_decoder_batch *b, const nd_inference_weights *w,
                                   int32_t first, int32_t count, const nd_step_io *io) {
  const nd_net *net = &b->drummer->net;
  int32_t H = net->config.hidden;
  size_t width = 4 * (size_t)H, offset = (size_t)first * (size_t)H;
  float *z = b->z + 4 * offset, *h = b->h + offset, *cell = b->c + offset;
  for (int32_t i = 0; i < count; i++)
    first_layer(b, w, first + i, io != NULL ? io[i].encoding : NULL, z + (size_t)i * width);
  for (int32_t l = 0; l < net->config.layers; l++) {
    if (l > 0) {
      const float *below = h;
      h += layer_size(b);
      cell += layer_size(b);
      nd_matmul(&w->wx[l], count, below, false, z);
    }
    nd_matmul(&w->wh[l], count, h, true, z);
    nd_cell_step(count, H, z, net->lstm[l].b, h, cell);
  }
  memcpy(b->feature, h, (size_t)count * (size_t)H * sizeof *h);
  return nd_net_head(net, count, b->feature, b->scratch);
}

/* A window net reads the last W steps from zero state. Running W steps again for
 * each step played would cost W times as much as needed: instead W states stand
 * side by side, one for each window that this step is in, and each step moves
 * all of them on. The row (step mod W) starts anew; the row after it has by then
 * seen W steps and gives the result. The first layer's x wx is the same for all
 * windows. Returns features (1, F), or NULL before the first window is complete. */
static const float *advance_window(nd_decoder_batch *b, const nd_inference_weights *w,
                                   int64_t step) {
  const nd_net *net = &b->drummer->net;
  int32_t W = b->rows, H = net->config.hidden;
  size_t width = 4 * (size_t)H, newest = (size_t)(step % W) * (size_t)H;
  size_t oldest = (size_t)((step + 1) % W) * (size_t)H;
  float *h = b->h;
  first_layer(b, w, 0, NULL, b->z);
  for (int32_t r = 1; r < W; r++) memcpy(b->z + (size_t)r * width, b->z, width * sizeof *b->z);
  for (int32_t l = 0; l < net->config.layers; l++) {
    float *cell = b->c + (size_t)l * layer_size(b);
    const float *below = h;
    h = b->h + (size_t)l * layer_size(b);
    memset(h + newest, 0, (size_t)H * sizeof *h);
    memset(cell + newest, 0, (size_t)H * sizeof *cell);
    if (l > 0) nd_gemm(ND_N, ND_N, W, 4 * H, H, below, net->lstm[l].wx, 0.0f, b->z);
    nd_lstm_step(&net->lstm[l], W, b->z, h, cell);
  }
  if (step < W - 1) return NULL;
  memcpy(b->feature, h + oldest, (size_t)H * sizeof *h);
  return nd_net_head(net, 1, b->feature, b->scratch);
}

/* ------------------------------------------------------------------- sampling */

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
    done[best] = true;
    if (fixed_mask == NULL || !fixed_mask[best]) io->hits[best] = t->options->velocity;
  }
}

/* --------------------------------------------------------------------- a step */

/* The hits that are fed are not this step's inputs, which are the history before
 * it: they only become history for the next steps. */
void nd_step_feed(nd_decoder_batch *b, int32_t at, nd_take *t, const float *metrics, bool bar,
                  const uint8_t *hits) {
  nd_step_context context = nd_step_metrics(metrics);
  nd_inference_weights borrowed;
  const nd_inference_weights *w = nd_drummer_weights(b->drummer, &borrowed);
  begin_step(t, bar);
  fill_inputs(b, at, t, &context);
  if (b->drummer->net.config.window > 0) (void)advance_window(b, w, t->steps);
  else (void)advance_stream(b, w, at, 1, NULL);
  end_step(b, t, hits);
}

void nd_step_play(nd_decoder_batch *b, nd_step_io *io, bool bar) {
  const nd_drummer *d = b->drummer;
  size_t V = (size_t)d->net.config.voices;
  nd_inference_weights borrowed;
  const nd_inference_weights *w = nd_drummer_weights(d, &borrowed);
  for (int32_t i = 0; i < b->n; i++) {
    if (bar || io[i].take->bars == 0)
      draw_temperature_scale(io[i].take, io[i].context.metrics);
    begin_step(io[i].take, bar);
    fill_inputs(b, i, io[i].take, &io[i].context);
  }
  const float *features = d->net.config.window > 0 ? advance_window(b, w, io->take->steps)
                                                   : advance_stream(b, w, 0, b->n, io);
  /* without the mix between voices, which depends on the hits sampled */
  if (features != NULL) nd_inference_logits(&d->net, w, b->n, features, b->x, b->logits);
  for (int32_t i = 0; i < b->n; i++) {
    nd_take *t = io[i].take;
    if (features != NULL) {
      sample_voices(b, &io[i], b->logits + (size_t)i * V);
      force_hits(&io[i], (int32_t)V);
      if (t->options->playable)
        nd_playability_limit(&d->tokeniser.kit, t->probabilities, io[i].context.fixed_mask,
                             io[i].hits);
    } else {
      memset(io[i].hits, 0, V);
    }
    end_step(b, t, io[i].hits);
  }
}
