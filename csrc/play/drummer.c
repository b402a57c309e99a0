#include "drummer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "../base/number.h"
#include "../base/utf8.h"

/* A model's life: configure() turns a preset and the caller's changes into a
 * configuration, the net is declared (which checks it), allocated and initialised;
 * or else all of this comes from a checkpoint. Nothing here runs while playing.
 *
 * A checkpoint is the whole model: settings as strings, the net's tensors, and the
 * styles. It may come from a stranger. Reading therefore trusts nothing: first the
 * settings, each within its bounds; then the configuration as a whole; then the
 * shapes of all tensors; only then is memory taken, which is in proportion to what
 * the file really contains; last, the values. The work is linear in the file's size.
 *
 * What was written can be read again, bit by bit: numbers are written with enough
 * digits, and nd_drummer_describe() checks the values as nd_drummer_restore() does. */

/* Of the metadata's "format". The number rises when keys or tensors change
 * their meaning: a checkpoint of another number is refused, not converted. */
static const char format_prefix[] = "neuraldrummer ";
static const char format_name[] = "neuraldrummer 2";

/* -1, or a number that no option can have, leaves the preset's value. */
const nd_drummer_options nd_drummer_defaults = {.preset = "drummer", .layers = -1, .hidden = -1,
                                                .window = -1, .encoder = -1, .causal = -1,
                                                .inputs = -1, .voices = -1, .encoded = -1,
                                                .dropout = -1.0f, .seed = 1};

/* -------------------------------------------------------------------- presets */

/* Everything of a drummer but its kit and its net's inputs, which configure() adds.
 * A field that is not named is 0: no window, no encoder, nothing augmented. The names
 * are stored in checkpoints and must not change. */
static const nd_drummer presets[] = {
    /* the default: an encoder that sees the whole song, and a decoder over it that plays
     * step by step, with its own hits as history */
    {.preset = "drummer",
     .features = {.kind = ND_FEATURES_WHOLE, .n_back = 4, .back = {1, 2, 4, 8}},
     .steps = 128, .batch = 32,
     /* History dropout: without it the network copies the bar before, ignores
      * the song, and repeats its own first mistakes (exposure bias). */
     .history_all = 0.3f, .history_back = 0.15f, .history_step = 0.1f,
     /* Directions are given in part of the excerpts only, so that the network can play
      * with and without each of them. */
     .fixed_given = 0.5f, .style_given = 0.6f, .groove_given = 0.7f,
     .controls_given = 0.5f, .style_noise = 0.05f, .metric_dropout = 0.05f,
     /* Below 1: improbable hits are drawn less often than the network's probabilities
      * say. The spread makes some bars steadier than others. */
     .temperature = 0.75f, .temperature_spread = 0.8f, .cutoff = 0.5f,
     .net.config = {.layers = 2, .hidden = 192, .encoder = 128, .skip = true, .mix = true,
                    .dropout = 0.3f}},
    /* the 2023 system: three stateless LSTM layers over a window of eight steps, then
     * two dense layers with batch normalisation */
    {.preset = "neuraldrummer2023", .features = {.kind = ND_FEATURES_ORIGINAL},
     .steps = 8, .batch = 50, .cutoff = 0.2f, .forced = 1,
     .net.config = {.layers = 3, .hidden = 512, .window = 8, .n_dense = 2, .dense = {256, 128},
                    .norm = true, .head_dropout = 0.3f}},
    /* velocities and offsets of hits that are known: a small net is enough, and sampling
     * needs no temperature, because the outputs are distributions */
    {.preset = "touch", .features = {.kind = ND_FEATURES_TOUCH}, .steps = 128, .batch = 32,
     .net.config = {.layers = 1, .hidden = 64, .encoder = 48, .skip = true, .touch = true,
                    .dropout = 0.2f}}};

/* In no order: they are found by name. */
enum { N_PRESETS = sizeof presets / sizeof *presets };

/* Copies the preset and adds its kit and grid. ND_MISUSE for an unknown name. */
static nd_status from_preset(nd_drummer *d, const char *name, nd_error *err) {
  for (int32_t i = 0; i < N_PRESETS; i++)
    if (strcmp(presets[i].preset, name) == 0) *d = presets[i];
  if (d->features.kind == ND_FEATURES_TOUCH) name = "drummer";  /* whose kit and grid it has */
  return nd_tokeniser_preset(&d->tokeniser, name, err);  /* fails for an unknown name */
}

/* The preset with the caller's changes. The net's inputs and outputs follow from kit
 * and features, unless the caller makes a raw net. Only then are weights made: for
 * the final configuration, never for the preset's own. */
static nd_status configure(nd_drummer *d, const nd_drummer_options *o, nd_error *err) {
  nd_status status = from_preset(d, o->preset, err);
  if (status != ND_OK) return status;
  nd_net_config *net = &d->net.config;
  if (o->tokeniser != NULL) d->tokeniser = *o->tokeniser;
  if (o->layers >= 0) net->layers = o->layers;
  if (o->hidden >= 0) net->hidden = o->hidden;
  /* a batch of a window net consists of whole windows */
  if (o->window >= 0) net->window = d->steps = o->window;
  if (o->dropout >= 0.0f) net->dropout = net->head_dropout = o->dropout;
  /* the 2023 system drops out in its head alone */
  if (strcmp(d->preset, "neuraldrummer2023") == 0) net->dropout = 0.0f;
  if (o->encoder >= 0) net->encoder = o->encoder;
  if (o->causal >= 0) net->causal = d->features.causal = o->causal > 0;
  /* without an encoder nothing can see the whole song */
  if (net->encoder == 0 && d->features.kind == ND_FEATURES_WHOLE)
    d->features.kind = ND_FEATURES_DRUMMER;
  nd_layout layout = nd_features_layout(&d->features, d->tokeniser.kit.n_voices);
  net->voices = d->tokeniser.kit.n_voices;
  net->inputs = layout.inputs;
  net->encoded = layout.encoded;
  /* a raw net's rows mean what the caller wants: only their widths are known */
  if (o->inputs > 0 || o->voices > 0) {
    d->features = (nd_features){.kind = ND_FEATURES_RAW};
    if (o->inputs > 0) net->inputs = o->inputs;
    if (o->voices > 0) net->voices = o->voices;
    if (o->encoder < 0) net->encoder = 0;
    net->encoded = net->encoder == 0 ? 0 : o->encoded;
  }
  if (d->steps < 1)
    return nd_fail(err, ND_MISUSE, "option 'window': a '%s' model needs at least 1", d->preset);
  return ND_OK;
}

/* Checks the configuration in d->net.config and lists its tensors, without memory for
 * them. ND_MISUSE when settings contradict each other. */
static nd_status declare_net(nd_drummer *d, nd_error *err) {
  nd_net_config config = d->net.config;  /* a copy: nd_net_declare() overwrites the net */
  return nd_net_declare(&d->net, &config, err);
}

/* The net's memory stays where it is as long as the drummer lives, so that the
 * unpacked weights are listed once. */
static nd_status allocate_net(nd_drummer *d, nd_error *err) {
  nd_status status = nd_net_allocate(&d->net, err);
  if (status == ND_OK) nd_inference_weights_borrow(&d->net, &d->unpacked);
  return status;
}

/* ND_MISUSE, or ND_NOMEM for the weights, which are by far the largest part. */
nd_status nd_drummer_make(nd_drummer **out, const nd_drummer_options *o, nd_error *err) {
  nd_drummer *d = nd_calloc(1, sizeof *d);
  if (d == NULL) return nd_nomem(err);
  nd_status status = configure(d, o, err);
  if (status == ND_OK) status = declare_net(d, err);
  if (status == ND_OK) status = allocate_net(d, err);
  if (status == ND_OK) {
    nd_net_initialise(&d->net, o->seed);
    *out = d;
  } else {
    nd_drummer_free(d);
  }
  return status;
}

void nd_drummer_free(nd_drummer *d) {
  if (d == NULL) return;
  nd_drummer_unpack(d);
  nd_net_clear(&d->net);
  nd_styles_clear(&d->styles);
  free(d);
}

/* NULL when memory is short: then nd_drummer_weights() goes on returning the unpacked
 * weights. */
void nd_drummer_pack(nd_drummer *d) {
  if (d->packed == NULL && d->net.config.window == 0)
    d->packed = nd_inference_weights_pack(&d->net);
}

/* Before weights change: packed ones are a copy. */
void nd_drummer_unpack(nd_drummer *d) {
  nd_inference_weights_free(d->packed);
  d->packed = NULL;
}

/* ------------------------------------------------------------- what it accepts */

/* The grid's beat, for messages. */
static const char *beat_word(nd_beat beat) {
  return beat == ND_BEAT_METER ? "beat of the meter" : "quarter note";
}

/* Kits are compared as a whole, names of voices included: voices are the network's
 * outputs. */
nd_status nd_drummer_accepts(const nd_drummer *d, const nd_tokeniser *settings, const char *what,
                             nd_error *err) {
  const nd_tokeniser *ours = &d->tokeniser;
  if (!nd_kit_equal(&settings->kit, &ours->kit))
    return nd_fail(err, ND_MISUSE, "%s has kit '%s', the model plays '%s'", what,
                   settings->kit.name, ours->kit.name);
  if (settings->steps_per_beat != ours->steps_per_beat || settings->beat != ours->beat)
    return nd_fail(err, ND_MISUSE, "%s has %d steps per %s, the model needs %d per %s", what,
                   settings->steps_per_beat, beat_word(settings->beat), ours->steps_per_beat,
                   beat_word(ours->beat));
  return ND_OK;
}

/* Callers check this before kit and grid, which mean nothing for a raw net. */
nd_status nd_drummer_predicts_hits(const nd_drummer *d, nd_error *err) {
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features: it cannot read a sequence");
  if (d->net.config.touch)
    return nd_fail(err, ND_MISUSE, "a touch model predicts velocities and offsets, not hits");
  return ND_OK;
}

/* One message for every place where a NaN shows. */
nd_status nd_drummer_is_corrupt(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the model produced NaN probabilities; its weights are corrupt");
}

/* ------------------------------------------------------------------- settings
 * Every setting is one string of the checkpoint's metadata. One table says where
 * each stands in the drummer, how it is written and what it may be, so that reader
 * and writer cannot differ. Settings are read in the table's order: METRICS needs
 * to know the features. */

/* How a setting is stored in nd_drummer, and its text. */
typedef enum setting_kind {
  INTEGER, NUMBER,   /* int32_t, float: min..max */
  TEXT,              /* char[max] */
  FLAG, CHOICE,      /* bool, an enumeration: by its name */
  LIST,              /* int32_t[max], its length at `count`: "1,2,4"; "" if empty */
  KIT,               /* nd_kit, as nd_kit_format() writes it */
  METRICS            /* no value: the names of this version's metrics */
} setting_kind;

/* One row of the table. Fields that its kind does not need are 0. */
typedef struct setting {
  const char *key;
  setting_kind kind;
  size_t at, count;         /* offsets in nd_drummer */
  double min, max;          /* inclusive */
  const char *const *names; /* of CHOICE, by value, ended by NULL */
} setting;

/* The words of checkpoints, which must not change. */
static const char *const flag_names[] = {"false", "true", NULL};
static const char *const beat_names[] = {
    [ND_BEAT_QUARTER] = "quarter", [ND_BEAT_METER] = "meter", [ND_BEAT_METER + 1] = NULL};

/* Where a setting stands in an nd_drummer, and in its net's configuration. */
#define AT(field) .at = offsetof(nd_drummer, field)
#define NET(field) AT(net.config.field)

/* A key that is renamed, a new one and a changed meaning each need another format_name. */
static const setting settings[] = {
    {.key = "preset", TEXT, AT(preset), .max = sizeof((nd_drummer *)NULL)->preset},
    /* the Sequences that it takes: kit and grid */
    {.key = "kit", KIT, AT(tokeniser.kit)},
    {.key = "beat", CHOICE, AT(tokeniser.beat), .names = beat_names},
    {.key = "steps_per_beat", INTEGER, AT(tokeniser.steps_per_beat), .min = 1, .max = 48},
    {.key = "include_drums", FLAG, AT(tokeniser.include_drums)},
    {.key = "original", FLAG, AT(tokeniser.original)},
    {.key = "max_steps", INTEGER, AT(tokeniser.max_steps), .min = 1, .max = ND_MAX_STEPS},
    /* what a row of inputs consists of */
    {.key = "features", CHOICE, AT(features.kind), .names = nd_features_names},
    {.key = "look_back", LIST, AT(features.back), .count = offsetof(nd_drummer, features.n_back),
     .max = ND_MAX_BACK},
    {.key = "metrics", METRICS},
    /* the network; bounds that depend on each other are nd_net_config_check()'s */
    {.key = "inputs", INTEGER, NET(inputs), .min = 1, .max = ND_MAX_INPUTS},
    {.key = "voices", INTEGER, NET(voices), .min = 1, .max = ND_MAX_VOICES},
    {.key = "layers", INTEGER, NET(layers), .min = 1, .max = ND_MAX_LAYERS},
    {.key = "hidden", INTEGER, NET(hidden), .min = 1, .max = ND_MAX_UNITS},
    {.key = "window", INTEGER, NET(window), .max = ND_MAX_WINDOW},
    {.key = "encoder", INTEGER, NET(encoder), .max = ND_MAX_UNITS},
    {.key = "encoded", INTEGER, NET(encoded), .max = ND_MAX_INPUTS},
    {.key = "dense", LIST, NET(dense), .count = offsetof(nd_drummer, net.config.n_dense),
     .max = ND_MAX_DENSE},
    {.key = "causal", FLAG, NET(causal)},
    {.key = "norm", FLAG, NET(norm)},
    {.key = "skip", FLAG, NET(skip)},
    {.key = "mix", FLAG, NET(mix)},
    {.key = "touch", FLAG, NET(touch)},
    {.key = "dropout", NUMBER, NET(dropout), .max = 0.99},
    {.key = "head_dropout", NUMBER, NET(head_dropout), .max = 0.99},
    /* training: shape of a batch, then probabilities of augmentations */
    {.key = "steps", INTEGER, AT(steps), .min = 1, .max = 1 << 16},
    {.key = "batch", INTEGER, AT(batch), .min = 1, .max = 1 << 16},
    {.key = "history_all", NUMBER, AT(history_all), .max = 1},
    {.key = "history_hidden", NUMBER, AT(history_hidden), .max = 1},
    {.key = "history_back", NUMBER, AT(history_back), .max = 1},
    {.key = "history_step", NUMBER, AT(history_step), .max = 1},
    {.key = "fixed_given", NUMBER, AT(fixed_given), .max = 1},
    {.key = "style_given", NUMBER, AT(style_given), .max = 1},
    {.key = "groove_given", NUMBER, AT(groove_given), .max = 1},
    {.key = "controls_given", NUMBER, AT(controls_given), .max = 1},
    {.key = "style_noise", NUMBER, AT(style_noise), .max = 1},
    {.key = "metric_dropout", NUMBER, AT(metric_dropout), .max = 1},
    /* defaults for playing */
    {.key = "temperature", NUMBER, AT(temperature), .max = 100},
    {.key = "temperature_spread", NUMBER, AT(temperature_spread), .max = 1},
    {.key = "cutoff", NUMBER, AT(cutoff), .max = 1},
    {.key = "forced", INTEGER, AT(forced), .max = ND_MAX_VOICES}};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

/* Enumerations are read and written through an int32_t pointer. */
_Static_assert(sizeof(nd_beat) == sizeof(int32_t) && sizeof(nd_features_kind) == sizeof(int32_t),
               "an enumeration is as large as an int32_t");

/* -------------------------------------------------------------------- writing */

/* Appends the setting's value as text, with a terminating zero. Numbers do not depend on
 * the host's locale. An allocation that fails leaves b->failed set. */
static void write_value(nd_buffer *b, const setting *s, const nd_drummer *d) {
  const void *value = (const char *)d + s->at;  /* of the type that s->kind says */
  const int32_t *integers = value;
  char text[ND_KIT_TEXT] = "";
  switch (s->kind) {
    case INTEGER: nd_buffer_print(b, "%d", *integers); break;
    case NUMBER: nd_number_write(text, *(const float *)value); break;
    case TEXT: nd_buffer_print(b, "%s", (const char *)value); break;
    case FLAG: nd_buffer_print(b, "%s", flag_names[*(const bool *)value]); break;
    case CHOICE: nd_buffer_print(b, "%s", s->names[*integers]); break;
    case KIT: (void)nd_kit_format(value, text, sizeof text, NULL); break;  /* always fits */
    case LIST:
      for (int32_t i = 0; i < *(const int32_t *)((const char *)d + s->count); i++)
        nd_buffer_print(b, i > 0 ? ",%d" : "%d", integers[i]);
      break;
    case METRICS:
      for (int32_t m = 0; m < ND_N_METRICS; m++)
        nd_buffer_print(b, m > 0 ? ",%s" : "%s", nd_metric_name(m));
      break;
  }
  nd_buffer_put(b, text, strlen(text) + 1);
}

/* The tensors of the styles, for the sizes that `s` has; values may be NULL when only
 * names and shapes are needed. Reader and writer share the list. */
typedef struct style_tensor { const char *name; int64_t shape[2]; float *values; } style_tensor;
enum { STYLE_TENSORS = 3 };

static void list_styles(const nd_styles *s, style_tensor list[STYLE_TENSORS]) {
  list[0] = (style_tensor){"styles.style", {s->n, s->size}, s->style};
  list[1] = (style_tensor){"styles.song", {s->n, ND_SONG_TRAITS}, s->song};
  list[2] = (style_tensor){"styles.projection", {ND_SONG_TRAITS, ND_STYLES_PROJECTED},
                           s->projection};
}

/* A model without styles has neither the tensors nor the names. */
static nd_status write_styles(nd_checkpoint *c, const nd_styles *s, nd_error *err) {
  style_tensor list[STYLE_TENSORS];
  if (s->n == 0) return ND_OK;
  list_styles(s, list);
  nd_status status = nd_checkpoint_set_metadata(c, "styles", s->names, err);
  for (int i = 0; i < STYLE_TENSORS && status == ND_OK; i++)
    status = nd_checkpoint_add(c, list[i].name, 2, list[i].shape, list[i].values, err);
  return status;
}

/* Values are checked first: a training that diverged must not replace a good file by one
 * that cannot be read. */
nd_status nd_drummer_describe(const nd_drummer *d, nd_checkpoint *c, nd_error *err) {
  nd_buffer text = {0};  /* of one setting after another */
  nd_status status = nd_net_check(&d->net, err);
  if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "format", format_name, err);
  for (int32_t i = 0; i < N_SETTINGS && status == ND_OK; i++) {
    text.n = 0;
    write_value(&text, &settings[i], d);
    if (text.failed) status = nd_nomem(err);
    else status = nd_checkpoint_set_metadata(c, settings[i].key, (const char *)text.bytes, err);
  }
  free(text.bytes);
  if (status == ND_OK) status = write_styles(c, &d->styles, err);
  for (int32_t i = 0; i < d->net.n_tensors && status == ND_OK; i++) {
    const nd_tensor *x = &d->net.tensors[i];
    int64_t shape[2] = {x->shape[0], x->shape[1]};
    status = nd_checkpoint_add(c, x->name, x->rank, shape, d->net.block + x->offset, err);
  }
  return status;
}

/* -------------------------------------------------------------------- reading
 * A checkpoint may come from anywhere: nothing in it is believed before it was
 * checked, and memory is taken only for tensors that the file really has. */

/* Numbers between commas, 1..ND_MAX_UNITS, at most `max` of them: look-back in bars or
 * units of dense layers. Empty text is an empty list; false for other text. */
static bool read_list(const char *text, int32_t *list, int32_t max, int32_t *n) {
  char *end = NULL;
  for (*n = 0; *text != '\0'; text = *end == ',' ? end + 1 : end) {
    long v = strtol(text, &end, 10);
    if (end == text || *n >= max || v < 1 || v > ND_MAX_UNITS) return false;
    if (*end != ',' && *end != '\0') return false;
    list[(*n)++] = (int32_t)v;
  }
  return true;
}

/* The index of a name in a list that NULL ends, or -1. */
static int32_t read_name(const char *text, const char *const *names) {
  for (int32_t i = 0; names[i] != NULL; i++)
    if (strcmp(text, names[i]) == 0) return i;
  return -1;
}

/* Comparisons are written so that NaN fails them. A float is written with the digits of
 * a float (0.99 as 0.99000001), so the bound has to be rounded to one as well. */
static bool read_number(const setting *s, const char *text, void *value) {
  double v;
  if (!nd_number_read(text, &v) || !(v >= s->min)) return false;
  if (s->kind == INTEGER) {
    if (!(v <= s->max) || v != floor(v)) return false;
    *(int32_t *)value = (int32_t)v;
    return true;
  }
  *(float *)value = (float)v;
  return (float)v <= (float)s->max;
}

/* Whether the text lists this version's metrics, separated by commas: the order of
 * inputs is part of what the weights mean, so a file that was made for others must not
 * load, even where the sizes agree. Models whose inputs are not metrics do not care. */
static bool read_metrics(const nd_drummer *d, const char *text) {
  if (d->features.kind != ND_FEATURES_DRUMMER && d->features.kind != ND_FEATURES_WHOLE) return true;
  for (int32_t m = 0; m < ND_N_METRICS; m++) {
    size_t n = strlen(nd_metric_name(m));
    if (strncmp(text, nd_metric_name(m), n) != 0) return false;
    text += n;
    if (m + 1 < ND_N_METRICS && *text++ != ',') return false;
  }
  return *text == '\0';
}

/* Reads one setting into its place in the drummer. The text is quoted in messages, but
 * cut: it may be long. ND_FORMAT when it is missing (NULL) or not valid. */
static nd_status read_setting(nd_drummer *d, const setting *s, const char *text, nd_error *err) {
  void *value = (char *)d + s->at;
  int32_t choice;
  bool valid = false;
  if (text == NULL) return nd_fail(err, ND_FORMAT, "setting '%s' is missing", s->key);
  switch (s->kind) {
    case INTEGER:
    case NUMBER: valid = read_number(s, text, value); break;
    case TEXT:
      valid = strlen(text) < (size_t)s->max;
      if (valid) memcpy(value, text, strlen(text) + 1);
      break;
    case FLAG:
    case CHOICE:
      choice = read_name(text, s->kind == FLAG ? flag_names : s->names);
      valid = choice >= 0;
      if (s->kind == FLAG) *(bool *)value = choice > 0;
      else *(int32_t *)value = choice;
      break;
    case LIST:
      valid = read_list(text, value, (int32_t)s->max, (int32_t *)((char *)d + s->count));
      break;
    case KIT: valid = nd_kit_parse(value, text, NULL) == ND_OK; break;
    case METRICS:
      if (read_metrics(d, text)) return ND_OK;
      return nd_fail(err, ND_FORMAT,
                     "the model was trained on other metrics than this version has");
  }
  if (valid) return ND_OK;
  if (s->kind == INTEGER || s->kind == NUMBER)
    return nd_fail(err, ND_FORMAT, "setting '%s': '%.20s' is not in %g..%g", s->key, text, s->min,
                   s->max);
  return nd_fail(err, ND_FORMAT, "setting '%s': the value '%.100s' is not valid", s->key, text);
}

/* All settings, each within its bounds. Then the net's sizes must be those that kit and
 * features give: otherwise its inputs would mean something else than in training, or
 * a row would not fit into the memory that is made for it. */
static nd_status read_settings(nd_drummer *d, const nd_checkpoint *c, nd_error *err) {
  nd_status status = ND_OK;
  for (int32_t i = 0; i < N_SETTINGS && status == ND_OK; i++)
    status = read_setting(d, &settings[i], nd_checkpoint_string(c, settings[i].key), err);
  if (status != ND_OK) return status;
  const nd_net_config *net = &d->net.config;
  d->features.causal = net->causal;
  nd_layout layout = nd_features_layout(&d->features, net->voices);
  if (d->features.kind != ND_FEATURES_RAW &&
      (net->voices != d->tokeniser.kit.n_voices || net->inputs != layout.inputs ||
       net->encoded != layout.encoded))
    return nd_fail(err, ND_FORMAT,
                   "settings 'inputs', 'encoded' and 'voices' do not match 'kit' and 'features'");
  return ND_OK;
}

/* Whether a stored tensor has a rank (1 or 2) and shape; `columns` counts for 2 only. */
static bool has_shape(const nd_entry *e, int32_t rank, int64_t rows, int64_t columns) {
  return e->rank == rank && e->shape[0] == rows && (rank < 2 || e->shape[1] == columns);
}

/* Shapes are compared before any memory is taken for tensors: a small file that claims
 * a huge network fails here. */
static nd_status read_network(nd_drummer *d, const nd_checkpoint *c, nd_error *err) {
  nd_error why;
  nd_net *net = &d->net;
  if (declare_net(d, &why) != ND_OK)
    return nd_fail(err, ND_FORMAT, "%s", why.text);  /* the file's fault, not the caller's */
  /* training would read windows of another length than the net has */
  if (net->config.window > 0 && d->steps != net->config.window)
    return nd_fail(err, ND_FORMAT, "setting 'steps': %d differs from setting 'window', %d",
                   d->steps, net->config.window);
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *x = &net->tensors[i];
    const nd_entry *e = nd_checkpoint_entry(c, x->name);
    if (e == NULL) return nd_fail(err, ND_FORMAT, "tensor %s is missing", x->name);
    if (!has_shape(e, x->rank, x->shape[0], x->shape[1]))
      return nd_fail(err, ND_FORMAT, "tensor %s does not have the shape that the settings give it",
                     x->name);
  }
  /* every tensor is there: the memory is no more than the file already needed */
  nd_status status = allocate_net(d, err);
  if (status != ND_OK) return status;
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *x = &net->tensors[i];
    memcpy(net->block + x->offset, nd_checkpoint_entry(c, x->name)->values,
           x->size * sizeof *net->block);
  }
  return nd_net_check(net, err);
}

/* A checkpoint has all tensors of the styles and one name a style, or none of these. The
 * number of names, lines of one string, says how many styles there should be. On failure
 * nd_drummer_free() frees what was read. */
static nd_status read_styles(nd_drummer *d, const nd_checkpoint *c, nd_error *err) {
  int32_t voices = d->tokeniser.kit.n_voices, n = 0, present = 0;
  const nd_entry *entries[STYLE_TENSORS];
  style_tensor list[STYLE_TENSORS];
  const char *names = nd_checkpoint_string(c, "styles");
  for (const char *p = names; p != NULL && *p != '\0'; p++) n += *p == '\n';
  bool match = n > 0 && n <= 1 << 20;  /* a bound that keeps sizes far from overflow */
  list_styles(&(nd_styles){.n = n, .size = nd_style_size(voices)}, list);
  /* names and shapes first, for the sizes that the names and the kit give */
  for (int i = 0; i < STYLE_TENSORS; i++) {
    const nd_entry *e = entries[i] = nd_checkpoint_entry(c, list[i].name);
    present += e != NULL;
    match = match && e != NULL && has_shape(e, 2, list[i].shape[0], list[i].shape[1]);
  }
  if (present == 0 && names == NULL) return ND_OK;
  if (!match)
    return nd_fail(err, ND_FORMAT, "the styles are incomplete, or their shapes do not match");
  nd_status status = nd_styles_allocate(&d->styles, n, voices, err);
  if (status != ND_OK) return status;
  d->styles.n = n;
  list_styles(&d->styles, list);
  for (int i = 0; i < STYLE_TENSORS; i++) {
    const nd_entry *e = entries[i];
    if (!nd_all_in_range(e->size, e->values))
      return nd_fail(err, ND_FORMAT, "tensor %s has values that are not finite or out of range",
                     e->name);
    memcpy(list[i].values, e->values, e->size * sizeof *e->values);
  }
  d->styles.names = nd_utf8_copy(names, strlen(names));
  return d->styles.names != NULL ? ND_OK : nd_nomem(err);
}

/* Any failure frees everything: a model is restored whole or not at all. */
nd_status nd_drummer_restore(nd_drummer **out, const nd_checkpoint *c, nd_error *err) {
  /* a file of another program and one of another version need different advice */
  const char *format = nd_checkpoint_string(c, "format");
  if (format == NULL || strncmp(format, format_prefix, sizeof format_prefix - 1) != 0)
    return nd_fail(err, ND_FORMAT, "not a Neural Drummer model: its metadata has no such 'format'");
  if (strcmp(format, format_name) != 0)
    return nd_fail(err, ND_FORMAT, "format '%.40s' cannot be read: this version reads '%s'", format,
                   format_name);
  nd_drummer *d = nd_calloc(1, sizeof *d);
  if (d == NULL) return nd_nomem(err);
  nd_status status = read_settings(d, c, err);
  if (status == ND_OK) status = read_network(d, c, err);
  if (status == ND_OK) status = read_styles(d, c, err);
  if (status == ND_OK) *out = d;
  else nd_drummer_free(d);
  return status;
}
