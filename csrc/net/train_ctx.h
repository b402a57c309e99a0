/* train_ctx.h - the memory of one training step: activations, masks and gradients
 * of a batch of T steps x B streams. For trainer.c and backprop.c only.
 *
 * The context owns nothing: its arrays are in the trainer's arena, batch and net are
 * the caller's. Arrays are (T, B, ...) unless noted, so that the streams of one
 * thread are a contiguous range of columns at each step.
 */
#ifndef ND_NET_TRAIN_CTX_H
#define ND_NET_TRAIN_CTX_H

#include "../base/arena.h"
#include "../base/rng.h"
#include "../base/thread_pool.h"
#include "batch.h"
#include "net.h"

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
  const nd_net *net;
  nd_batch *batch;
  bool training;           /* with dropout and gradients, else only the loss */
  nd_rng *rng;             /* dropout's */
  nd_thread_pool *pool;
  float *gradient;         /* (n_trained), and views into it */
  nd_params grad;
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
  float *hits_panels;      /* its weights, packed */
  float *logits;           /* (rows, outputs); later their gradient */
  double *sums;            /* (rows) loss, or (chunks) squares of the gradient */
  float *saved_state;      /* (B, carried): the batch's state, restored after a failure */
  float scale;             /* of the loss in the gradient; 0: no gradient is wanted */
  bool backward;           /* which weights nd_lstm_pack() packs */
  int32_t gradient_from, gradient_to;  /* layers whose weights' gradients are computed */
} train_ctx;

/* Lays the arrays out for batches of T x B, and at least `sums` doubles; an arena
 * without memory only counts them. Reads x->net and x->training. */
void nd_train_ctx_lay_out(train_ctx *x, int32_t T, int32_t B, size_t sums, nd_arena *a);

#endif
