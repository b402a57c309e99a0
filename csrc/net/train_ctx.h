/* train_ctx.h - the memory of one training step: activations, masks and gradients
 * of a batch of T steps x B streams. For trainer.c and backprop.c only.
 *
 * The context borrows everything: the arrays are in the trainer's arena, the batch
 * and the net are the caller's. Arrays are (T, B, ...) unless noted, so that the
 * streams of one thread are a contiguous range of columns at each step.
 */
#ifndef ND_NET_TRAIN_CTX_H
#define ND_NET_TRAIN_CTX_H

#include "../base/thread_pool.h"
#include "trainer.h"

typedef struct train_layer {
  nd_lstm_work work;
  float *out;       /* (T, B, H): outputs after dropout, the next layer's input; the
                     * encoder's directions write to columns of decoder_in instead */
  float *mask;      /* (T, B, H): dropout's; NULL without dropout */
  nd_rng mask_rng;  /* where the mask's random numbers begin */
} train_layer;

typedef struct train_head_op {
  nd_head_op op;
  float *in;        /* (rows, op.in) */
  float *saved;     /* (rows, op.in): dropout's mask, or a norm's normalised input */
  float *inverse;   /* (op.in): a norm's 1 / standard deviation */
  float *moments;   /* (2, op.in): a norm's mean and variance in this batch */
} train_head_op;

typedef struct train_ctx {
  nd_trainer *trainer;
  nd_batch *batch;
  nd_thread_pool *pool;
  train_layer encoder[2], layer[ND_MAX_LAYERS];
  float *encoder_in;       /* (T, B, encoded) */
  float *decoder_in;       /* (T, B, decoder inputs): encoder outputs, other inputs */
  float *d_encoder;        /* (T, B, encoding): gradient of the encoder's outputs */
  train_head_op head[ND_MAX_HEAD_OPS];
  int32_t n_ops;
  int32_t rows;            /* of the head: T B, or B of window nets */
  float *head_out;         /* (rows, F), with dense layers */
  float *d_head, *d_swap;  /* (rows, widest): gradients between dense layers */
  const float *features;   /* (rows, F): inputs of the output layer */
  float *hits_packed;      /* its weights, packed */
  float *logits;           /* (rows, outputs); later their gradient */
  double *sums;            /* (rows) loss, or (chunks) squares of the gradient */
  float *saved_state;      /* (B, carried): the batch's state, restored after a failure */
  float scale;             /* of the loss in the gradient; 0: no gradient is wanted */
  bool backward;           /* which weights nd_lstm_pack() packs */
  int32_t gradient_from, gradient_to;  /* layers whose weights' gradients are computed */
  nd_adam_plan plan;
} train_ctx;

/* Weights that Adam moves, or whose squared gradients are summed, at a time. Sums
 * are formed by chunk and then in order, so that they do not depend on the number
 * of threads. */
enum { TRAIN_CHUNK = 1 << 14 };
int32_t nd_train_chunks(const nd_net *net);

/* Lays the arrays out; an arena without memory only counts them. */
void nd_train_ctx_lay_out(train_ctx *x, const nd_net *net, int32_t T, int32_t B, bool training,
                          nd_arena *a);

/* Forward pass over the local streams: fills x->logits and returns the sum of their
 * loss in nats. *count: grid cells that count (the whole batch's when training).
 * When training, the logits become the gradient of the mean loss. */
double nd_train_forward(train_ctx *x, bool training, double *count);

/* Backward pass: from the gradient of the logits to that of every weight, in the
 * trainer's gradient. Sums over processes are begun, not awaited. */
void nd_train_backward(train_ctx *x);

#endif
