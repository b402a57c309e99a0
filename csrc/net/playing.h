/* playing.h - what a streaming net multiplies by while it plays, kept
 * (kept.h); and its encoder, reading in slices, songs side by side. */
#ifndef ND_NET_PLAYING_H
#define ND_NET_PLAYING_H

#include "kept.h"
#include "net.h"

typedef struct nd_weights {
  nd_kept read_wx[2], read_wh[2];      /* the encoder's: forwards, backwards */
  nd_kept front, rest;                 /* the first layer's wx: the rows of the encoder's
                                        * reading (none without one), and the others */
  nd_kept wx[ND_MAX_LAYERS], wh[ND_MAX_LAYERS];   /* wx[0] is not there */
  nd_kept out, skip;                   /* of the head */
} nd_weights;

/* Keeps the weights in net->kept, if they are not kept yet; to be called before
 * something is played, and nothing where memory is short. What changes weights
 * must call nd_net_forget() first. Window nets keep none. */
void nd_net_keep(nd_net *net);
void nd_net_forget(nd_net *net);

/* What is kept, or else the weights themselves, listed in *plain. */
const nd_weights *nd_net_weights(const nd_net *net, nd_weights *plain);

/* Bytes of weights that are read for each step played, but for the rows of inputs
 * that are not 0: of a song that was read before, or live. */
size_t nd_net_step_bytes(const nd_net *net, bool live);

/* Logits (rows, outputs) before voices see each other: features (rows, F) of
 * nd_net_head(), x (rows, inputs). */
void nd_net_logits(const nd_net *net, const nd_weights *w, int32_t rows, const float *features,
                   const float *x, float *logits);

/* The encoder over whole songs, `n` of them side by side. Song i has steps[i]
 * rows of inputs at x[i], `apart` floats from one to the next, of which the
 * first `encoded` are read; out[i] gets (steps, encoding). All these are the
 * caller's, and stay until the end. */
typedef struct nd_encoder_run {
  const nd_net *net;
  int32_t n, longest;
  const int32_t *steps;
  const float *const *x;
  size_t apart;
  float *const *out;
  int32_t reader, at;       /* where it is; reader counts up to nd_net_readers() */
  float *block, *h, *c;     /* (n, encoder) */
  float *in, *z;            /* of some steps: (…, n, encoded), (…, n, 4 encoder) */
} nd_encoder_run;

nd_status nd_encoder_run_make(nd_encoder_run *r, const nd_net *net, int32_t n, const int32_t *steps,
                          const float *const *x, size_t apart, float *const *out, nd_error *err);

/* Reads on for about so many multiply-adds, and at least a few steps; what is
 * left of them, negative or 0 when it is not done. */
double nd_encoder_run_advance(nd_encoder_run *r, double products);
bool nd_encoder_run_done(const nd_encoder_run *r);
void nd_encoder_run_clear(nd_encoder_run *r);

#endif
