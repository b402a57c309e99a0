/* drummer.h - a model: a network together with the settings that it is trained
 * and played with, the presets that it is made from, and its checkpoint.
 *
 * An nd_drummer owns its network and its styles. While it plays it is
 * read-only, so that any number of generators may share one; training,
 * learning styles and closing are the caller's to keep apart from playing.
 */
#ifndef ND_PLAY_DRUMMER_H
#define ND_PLAY_DRUMMER_H

#include "../music/features.h"
#include "../music/sequence.h"
#include "../net/checkpoint.h"
#include "../net/inference_weights.h"
#include "styles.h"

typedef struct nd_drummer {
  char preset[24];
  nd_tokeniser tokeniser;        /* kit and grid of the Sequences that it takes */
  nd_features features;
  nd_net net;
  nd_inference_weights unpacked; /* the net's own */
  nd_inference_weights *packed;  /* by nd_drummer_pack(), or NULL */
  nd_styles styles;              /* to choose among; may be empty */
  /* Training. A batch is `batch` excerpts of `steps` steps. The others are
   * probabilities, 0..1, with which each excerpt (or step) is augmented, so
   * that the network learns to play with and without each input. */
  int32_t steps, batch;
  float history_all;             /* all history of an excerpt is erased */
  float history_hidden;          /* ... of those, also the flag that there is history */
  float history_back;            /* one look-back input is erased */
  float history_step;            /* all history of one step is erased */
  float fixed_given;             /* some of the drums are given as fixed hits */
  float style_given;             /* the excerpt's own style is given */
  float groove_given;            /* ... of those, together with its groove */
  float controls_given;          /* density is given; likewise fills */
  float style_noise;             /* standard deviation of noise added to a given style */
  float metric_dropout;          /* one metric is erased; for each metric */
  /* Defaults for playing, see nd_generator_options. */
  float temperature;             /* 0: by cut-off */
  float temperature_spread;
  float cutoff;
  int32_t forced;
} nd_drummer;

/* Changes to a preset. A negative number or NULL leaves the preset's value. */
typedef struct nd_drummer_options {
  const char *preset;            /* "drummer", "neuraldrummer2023", "touch" */
  const nd_tokeniser *tokeniser;
  int32_t layers, hidden, window;
  int32_t encoder;               /* units per direction; 0: no encoder, the net is causal */
  int32_t causal;                /* 1: the encoder runs forwards only; 0: both ways */
  int32_t inputs, voices;        /* > 0: a raw net, whose rows come from the caller */
  int32_t encoded;               /* of a raw net's inputs, how many the encoder takes */
  float dropout;
  uint64_t seed;                 /* of the first weights */
} nd_drummer_options;

extern const nd_drummer_options nd_drummer_defaults;

/* A new drummer with random first weights; the caller frees it. ND_MISUSE for
 * an unknown preset or values out of range. */
nd_status nd_drummer_make(nd_drummer **out, const nd_drummer_options *options, nd_error *err);
void nd_drummer_free(nd_drummer *d);

/* Packs the weights for inference, unless they are packed already. When memory is
 * short they stay unpacked, and inference is slower. Window nets do not use them.
 * Weights must not change while they are packed: nd_drummer_unpack() first. */
void nd_drummer_pack(nd_drummer *d);
void nd_drummer_unpack(nd_drummer *d);

static inline const nd_inference_weights *nd_drummer_weights(const nd_drummer *d) {
  return d->packed != NULL ? d->packed : &d->unpacked;
}

/* ND_MISUSE, with `what` ("the song", …) at the start of the message, unless
 * `settings` have the drummer's kit and grid. */
nd_status nd_drummer_accepts(const nd_drummer *d, const nd_tokeniser *settings, const char *what,
                             nd_error *err);

/* ND_MISUSE for a drummer that does not predict hits from a Sequence: a raw
 * net, which has no features, or a touch net, which predicts velocities. */
nd_status nd_drummer_predicts_hits(const nd_drummer *d, nd_error *err);

/* Sets *err to ND_FORMAT: probabilities were NaN. Weights that are finite, which
 * loading checks, can still be so absurd that products of them are not. */
nd_status nd_drummer_is_corrupt(nd_error *err);

/* Writes settings and tensors into a checkpoint, and makes a drummer from one.
 * Both check every setting, tensor name, shape and value (ND_FORMAT): what was
 * written can be read again. Entries and strings with other names are left
 * alone. The drummer of nd_drummer_restore is the caller's to free. */
nd_status nd_drummer_describe(const nd_drummer *d, nd_checkpoint *c, nd_error *err);
nd_status nd_drummer_restore(nd_drummer **out, const nd_checkpoint *c, nd_error *err);

#endif
