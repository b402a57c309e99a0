/* train_ctx.c - the arrays of one training step, in the trainer's arena.
 *
 * The functions run twice: with an arena that only counts, where every array is NULL,
 * and with the reserved one. They must take the same arrays both times; pointers into
 * arrays are formed only when there are arrays. */
#include "backprop.h"

/* Appends a layer, with its trace, which back-propagation needs whole, and its mask. Of
 * `work`, layer, sizes, inputs and gradients are set. */
static train_layer *add_layer(train_ctx *x, nd_lstm_work work, nd_lstm_params grad, nd_arena *a) {
  train_layer *y = &x->layer[x->n_layers++];
  size_t B = (size_t)work.streams, H = (size_t)work.layer.hidden;
  *y = (train_layer){.work = work, .grad = grad};
  y->work.trace = nd_lstm_trace_take(a, work.layer.hidden, work.steps, work.streams);
  y->work.panels = nd_arena_floats(a, nd_lstm_panels_size(work.layer.inputs, work.layer.hidden));
  if (x->training && x->net->config.dropout > 0.0f)
    y->mask = nd_arena_floats(a, (size_t)work.steps * B * H);
  return y;
}

/* The encoder's directions share one gradient of outputs (`dh`) and of cells
 * (`dc`): a thread finishes one direction before it starts the other. They are
 * apart from the layers', because another thread may still be at those. */
static void lay_out_encoder(train_ctx *x, int32_t T, int32_t B, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  size_t rows = (size_t)T * (size_t)B, He = (size_t)c->encoder;
  x->encoder_in = nd_arena_floats(a, rows * (size_t)c->encoded);
  x->decoder_in = nd_arena_floats(a, rows * (size_t)nd_net_decoder_inputs(c));
  nd_lstm_work work = {.steps = T, .streams = B, .x = x->encoder_in};
  if (x->training) {
    work.dh = nd_arena_floats(a, rows * He);
    work.dc = nd_arena_floats(a, (size_t)B * He);
    x->d_encoder = nd_arena_floats(a, rows * (size_t)nd_net_encoding(c));
  }
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    work.layer = x->net->encoder[k];
    work.backwards = k == 1;
    train_layer *y = add_layer(x, work, x->grad.encoder[k], a);
    y->state_at = 2 * (size_t)c->layers * (size_t)c->hidden * (size_t)B;
    y->out_width = nd_net_decoder_inputs(c);
    if (x->decoder_in != NULL) y->out = x->decoder_in + (size_t)k * He;
  }
}

/* The layers share one gradient of outputs and of cells: dx of a layer is dh of the one
 * below, which overwrites it in place. Without dropout a layer's outputs are read from
 * its trace. */
static void lay_out_layers(train_ctx *x, int32_t T, int32_t B, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  /* the first layer's dx is the gradient of the encoder's outputs; data need none */
  size_t outputs = (size_t)T * (size_t)B * (size_t)c->hidden;
  nd_lstm_work work = {.steps = T, .streams = B, .x = x->decoder_in, .dx = x->d_encoder,
                       .dx_width = nd_net_encoding(c)};
  if (x->training) {
    work.dh = nd_arena_floats(a, outputs);
    work.dc = nd_arena_floats(a, (size_t)B * (size_t)c->hidden);
  }
  for (int32_t l = 0; l < c->layers; l++) {
    work.layer = x->net->lstm[l];
    train_layer *y = add_layer(x, work, x->grad.lstm[l], a);
    y->state_at = 2 * (size_t)l * (size_t)c->hidden * (size_t)B;
    y->out_width = c->hidden;
    if (x->training && c->dropout > 0.0f) y->out = nd_arena_floats(a, outputs);
    else if (y->work.trace.h != NULL) y->out = nd_lstm_outputs(&y->work);
    work.x = y->out;
    work.dx = work.dh;
    work.dx_width = c->hidden;
  }
}

/* Each operation's input is the one before's output. The backward pass needs the input of
 * a dense layer, the mask of a dropout, and the normalised input of a norm. Gradients
 * go back and forth between two arrays, wide enough for any layer. */
static void lay_out_head(train_ctx *x, size_t rows, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  nd_head_op ops[ND_MAX_HEAD_OPS];
  size_t widest = rows * (size_t)nd_head_widest(c);
  x->n_ops = nd_head_ops(c, ops);
  for (int32_t k = 0; k < x->n_ops; k++) {
    train_head_op *h = &x->head[k];
    h->op = ops[k];
    h->in = nd_arena_floats(a, rows * (size_t)ops[k].in);
    if (ops[k].kind == ND_HEAD_DENSE) continue;
    h->saved = nd_arena_floats(a, rows * (size_t)ops[k].in);
    if (ops[k].kind == ND_HEAD_DROPOUT) continue;
    h->inverse = nd_arena_floats(a, (size_t)ops[k].in);
    if (x->training) h->moments = nd_arena_floats(a, 2 * (size_t)ops[k].in);
  }
  if (x->n_ops == 0) return;
  /* the output of the last operation; those before write to the next one's `in` */
  x->head_out = nd_arena_floats(a, rows * (size_t)nd_net_features(c));
  if (!x->training) return;
  x->d_head = nd_arena_floats(a, widest);
  x->d_swap = nd_arena_floats(a, widest);
}

/* Evaluation needs neither gradients nor masks: less memory, and a training that follows
 * makes the arena grow once. */
void nd_train_ctx_lay_out(train_ctx *x, int32_t T, int32_t B, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  size_t chunks = (size_t)nd_train_chunks(x->net);
  size_t rows = (size_t)(c->window > 0 ? 1 : T) * (size_t)B;
  x->rows = (int32_t)rows;  /* a batch for which this overflows is only counted */
  if (x->training) x->saved_state = nd_arena_floats(a, (size_t)B * (size_t)nd_net_carried(c));
  x->n_layers = 0;
  if (c->encoder > 0) lay_out_encoder(x, T, B, a);
  lay_out_layers(x, T, B, a);
  lay_out_head(x, rows, a);
  x->hits_panels = nd_arena_floats(a, nd_hits_panels_size(&x->net->hits));
  x->logits = nd_arena_floats(a, rows * (size_t)nd_net_outputs(c));
  x->sums = nd_arena_take(a, rows > chunks ? rows : chunks, sizeof *x->sums);
}
