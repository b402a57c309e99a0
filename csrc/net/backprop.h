/* backprop.h - forward pass and back-propagation through time (Werbos 1990) over a
 * batch, with threads. For trainer.c only.
 *
 * The streams of a batch are independent of each other, so each thread takes some of
 * them through all layers and steps. The gradients of the weights are sums over all
 * streams: these are divided by columns. Every sum is formed by one thread in a fixed
 * order, so that results do not depend on the number of threads.
 *
 * A train_ctx is the memory of one training step: activations, masks and gradients of
 * T steps x B streams. It owns nothing: its arrays are in the trainer's arena, batch
 * and net are the caller's. Arrays are (T, B, ...) unless noted, so that the streams of
 * one thread are a contiguous range of columns at each step.
 */
#ifndef ND_NET_BACKPROP_H
#define ND_NET_BACKPROP_H

#include "../base/arena.h"
#include "../base/rng.h"
#include "../base/thread_pool.h"
#include "batch.h"
#include "net.h"

/* An LSTM layer, or a direction of the encoder. */
typedef struct train_layer {
  nd_lstm_work work;
  nd_lstm_params grad;  /* views of the gradient of its weights */
  size_t state_at;      /* where its state begins in the batch's: h (B, H), then c (B, H) */
  float *out;           /* (T, B, out_width): outputs after dropout, which the next layer reads;
                         * of the encoder's directions, columns of decoder_in */
  int32_t out_width;
  float *mask;          /* (T, B, H): dropout's; NULL without dropout */
  nd_rng mask_rng;      /* where the mask's random numbers begin */
} train_layer;

typedef struct train_head_op {
  nd_head_op op;
  float *in;        /* (rows, op.in) */
  float *saved;     /* (rows, op.in): dropout's mask, or a norm's normalised input */
  float *inverse;   /* (op.in): a norm's 1 / standard deviation */
  float *moments;   /* (2, op.in): a norm's mean and variance in this batch */
} train_head_op;

typedef struct train_ctx {
  const nd_net *net;
  nd_batch *batch;
  bool training;           /* with dropout and gradients, else only the loss */
  nd_rng *rng;             /* dropout's */
  nd_thread_pool *pool;
  float *gradient;         /* (n_trained), and views into it */
  nd_params grad;
  train_layer layer[2 + ND_MAX_LAYERS];  /* the encoder's directions, then the layers */
  int32_t n_layers;
  float *encoder_in;       /* (T, B, encoded) */
  float *decoder_in;       /* (T, B, decoder inputs): encoder outputs, other inputs */
  float *d_encoder;        /* (T, B, encoding): gradient of the encoder's outputs */
  train_head_op head[ND_MAX_HEAD_OPS];
  int32_t n_ops;
  int32_t rows;            /* of the head: T B, or B of window nets */
  float *head_out;         /* (rows, F), with dense layers */
  float *d_head, *d_swap;  /* (rows, widest): gradients between dense layers */
  const float *features;   /* (rows, F): inputs of the output layer */
  float *hits_panels;      /* its weights, packed */
  float *logits;           /* (rows, outputs); later their gradient */
  double *sums;            /* (rows) loss, or (chunks) squares of the gradient */
  float *saved_state;      /* (B, carried): the batch's state, restored after a failure */
  float scale;             /* of the loss in the gradient; 0: no gradient is wanted */
  bool backward;           /* which weights nd_lstm_pack() packs */
  int32_t gradient_from, gradient_to;  /* layers whose weights' gradients are computed */
} train_ctx;

/* Weights that Adam moves, or whose squared gradients are summed, at a time. Sums are
 * formed by chunk and then in order, so that they do not depend on the threads. */
enum { ND_TRAIN_CHUNK = 1 << 14 };
static inline int32_t nd_train_chunks(const nd_net *net) {
  return (int32_t)((net->n_trained + ND_TRAIN_CHUNK - 1) / ND_TRAIN_CHUNK);
}

/* Lays the arrays out for batches of T x B; an arena without memory only counts them.
 * Reads x->net, x->training and x->grad. */
void nd_train_ctx_lay_out(train_ctx *x, int32_t T, int32_t B, nd_arena *a);

/* Fills x->logits and returns the sum of the local streams' loss in nats. *count: grid
 * cells that count (the whole batch's when training). When training, the logits then
 * become the gradient of the mean loss. */
double nd_forward(train_ctx *x, double *count);

/* From that gradient to those of all weights, in x->gradient. Sums over processes are
 * begun and not yet complete: nd_shard_wait(). */
void nd_backward(train_ctx *x);

#endif
