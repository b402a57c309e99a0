#include "train_ctx.h"

/* The encoder's directions share one gradient of outputs (`dh`) and of cells
 * (`dc`): a thread finishes one direction before it starts the other. They are
 * apart from the layers', because another thread may still be at those. */
static void lay_out_encoder(train_ctx *x, int32_t T, int32_t B, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  size_t rows = (size_t)T * (size_t)B, He = (size_t)c->encoder;
  float *dh = x->training ? nd_arena_floats(a, rows * He) : NULL;
  float *dc = x->training ? nd_arena_floats(a, (size_t)B * He) : NULL;
  x->encoder_in = nd_arena_floats(a, rows * (size_t)c->encoded);
  x->decoder_in = nd_arena_floats(a, rows * (size_t)nd_net_decoder_inputs(c));
  if (x->training) x->d_encoder = nd_arena_floats(a, rows * (size_t)nd_net_encoding(c));
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    train_layer *e = &x->encoder[k];
    e->work = (nd_lstm_work){.layer = x->net->encoder[k], .steps = T, .streams = B,
                             .backwards = k == 1, .x = x->encoder_in, .dh = dh, .dc = dc};
    e->work.trace = nd_lstm_trace_take(a, c->encoder, T, B);
    e->work.panels = nd_arena_floats(a, nd_lstm_panels_size(c->encoded, c->encoder));
    if (x->training && c->dropout > 0.0f) e->mask = nd_arena_floats(a, rows * He);
  }
}

/* Per layer the trace, which back-propagation needs whole, and with dropout the outputs
 * once more and the mask. The layers share one gradient of outputs and of cells. */
static void lay_out_layers(train_ctx *x, int32_t T, int32_t B, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  size_t outputs = (size_t)T * (size_t)B * (size_t)c->hidden;
  float *dh = x->training ? nd_arena_floats(a, outputs) : NULL;
  float *dc = x->training ? nd_arena_floats(a, (size_t)B * (size_t)c->hidden) : NULL;
  for (int32_t l = 0; l < c->layers; l++) {
    train_layer *y = &x->layer[l];
    /* dx of a layer is dh of the one below, which overwrites it in place */
    y->work = (nd_lstm_work){.layer = x->net->lstm[l], .steps = T, .streams = B,
                             .x = l == 0 ? x->decoder_in : x->layer[l - 1].out, .dh = dh, .dc = dc,
                             .dx = l == 0 ? x->d_encoder : dh,
                             .dx_width = l == 0 ? nd_net_encoding(c) : c->hidden};
    y->work.trace = nd_lstm_trace_take(a, c->hidden, T, B);
    y->work.panels = nd_arena_floats(a, nd_lstm_panels_size(x->net->lstm[l].inputs, c->hidden));
    if (x->training && c->dropout > 0.0f) {
      y->out = nd_arena_floats(a, outputs);
      y->mask = nd_arena_floats(a, outputs);
    } else if (y->work.trace.h != NULL) {
      y->out = nd_lstm_outputs(&y->work);
    }
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
  x->head_out = nd_arena_floats(a, rows * (size_t)nd_net_features(c));
  if (!x->training) return;
  x->d_head = nd_arena_floats(a, widest);
  x->d_swap = nd_arena_floats(a, widest);
}

/* Evaluation needs neither gradients nor masks: less memory, and a training that follows
 * makes the arena grow once. */
void nd_train_ctx_lay_out(train_ctx *x, int32_t T, int32_t B, size_t sums, nd_arena *a) {
  const nd_net_config *c = &x->net->config;
  size_t rows = (size_t)(c->window > 0 ? 1 : T) * (size_t)B;
  x->rows = (int32_t)rows;  /* a batch for which this overflows is only counted */
  if (x->training) x->saved_state = nd_arena_floats(a, (size_t)B * (size_t)nd_net_carried(c));
  if (c->encoder > 0) lay_out_encoder(x, T, B, a);
  lay_out_layers(x, T, B, a);
  lay_out_head(x, rows, a);
  x->hits_panels = nd_arena_floats(a, nd_hits_panels_size(&x->net->hits));
  x->logits = nd_arena_floats(a, rows * (size_t)nd_net_outputs(c));
  x->sums = nd_arena_take(a, rows > sums ? rows : sums, sizeof *x->sums);
}
