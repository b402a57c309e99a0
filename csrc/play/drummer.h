/* drummer.h - a whole drummer: a network with the settings that it hears and
 * plays by, the presets, and its checkpoint. Read-only while it plays. */
#ifndef ND_PLAY_DRUMMER_H
#define ND_PLAY_DRUMMER_H

#include "../music/features.h"
#include "../music/sequence.h"
#include "../net/checkpoint.h"
#include "../net/inference_weights.h"
#include "styles.h"

typedef struct nd_drummer {
  char preset[24];
  nd_tokeniser tokeniser;
  nd_features features;
  nd_net net;
  nd_inference_weights *packed;  /* nd_drummer_pack(), or NULL */
  nd_styles styles;              /* to choose among; may be none */
  /* how it is taught */
  int32_t steps, batch;          /* a batch: B stretches of T steps */
  float history_all;             /* share of stretches with all history erased */
  float history_secret;          /* ... of these, that look as if nothing had been played */
  float history_back;            /* ... with one look-back input erased */
  float history_step;            /* share of steps with all history erased */
  float given;                   /* share of stretches with some drums given */
  float style_given, asked;      /* ... with the style, with density or fills */
  float groove_given;            /* share of those told the style that are told its groove */
  float style_noise;             /* deviation of what blurs the style's numbers */
  float deaf;                    /* share of stretches in which a metric is not heard */
  /* how it plays unless told otherwise */
  float temperature;             /* 0: by cut-off */
  float temperature_spread;      /* between bars: generator.h */
  float cutoff;
  int32_t forced;
} nd_drummer;

/* What a caller may change of a preset; negative or NULL: the preset's own. */
typedef struct nd_drummer_options {
  const char *preset;            /* "drummer", "neuraldrummer2023", "touch" */
  const nd_tokeniser *tokeniser;
  int32_t layers, hidden, window;
  int32_t encoder;               /* units a direction; 0: hears no more than the step */
  int32_t causal;                /* 1: the encoder hears the past only */
  int32_t inputs, voices;        /* > 0: a raw net without features, */
  int32_t encoded;               /* so many of whose inputs are the encoder's */
  float dropout;
  uint64_t seed;
} nd_drummer_options;

extern const nd_drummer_options nd_drummer_defaults;

nd_status nd_drummer_make(nd_drummer **out, const nd_drummer_options *options, nd_error *err);
void nd_drummer_free(nd_drummer *d);

/* Packs the weights for inference, unless they are packed already; when memory is
 * short they stay unpacked, and inference is slower. Window nets have no use for
 * it. Weights must not change while they are packed: nd_drummer_unpack() first. */
void nd_drummer_pack(nd_drummer *d);
void nd_drummer_unpack(nd_drummer *d);

/* The packed weights, or else the net's own, listed in *borrowed. */
const nd_inference_weights *nd_drummer_weights(const nd_drummer *d, nd_inference_weights *borrowed);

/* Adds settings and tensors to a checkpoint, or makes a drummer of one. All
 * settings, tensor names, shapes and values are checked (ND_FORMAT): no
 * checkpoint is made of weights that would not be taken out of it. Entries
 * and strings that are not the drummer's are left alone. */
nd_status nd_drummer_describe(const nd_drummer *d, nd_checkpoint *c, nd_error *err);
nd_status nd_drummer_restore(nd_drummer **out, const nd_checkpoint *c, nd_error *err);

#endif
