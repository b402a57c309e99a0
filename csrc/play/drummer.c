#include "drummer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/number.h"

/* Of the metadata's "format". The number rises when keys or tensors change
 * their meaning: a checkpoint of another number is refused, not converted. */
static const char format_prefix[] = "neuraldrummer ";
static const char format_name[] = "neuraldrummer 2";

const nd_drummer_options nd_drummer_defaults = {.preset = "drummer", .layers = -1, .hidden = -1,
                                                .window = -1, .encoder = -1, .causal = -1,
                                                .inputs = -1, .voices = -1, .encoded = -1,
                                                .dropout = -1.0f, .seed = 1};

/* -------------------------------------------------------------------- presets */

typedef struct preset {
  nd_drummer drummer;   /* its name, features and settings; its net is not there yet */
  nd_net_config net;
} preset;

static const preset presets[] = {
    {.drummer = {.preset = "drummer",
                 .features = {.kind = ND_FEATURES_WHOLE, .n_back = 4, .back = {1, 2, 4, 8}},
                 .steps = 128, .batch = 32,
                 /* History dropout: without it the network copies the bar before, ignores
                  * the song, and repeats its own first mistakes (exposure bias). */
                 .history_all = 0.3f, .history_back = 0.15f, .history_step = 0.1f,
                 .fixed_given = 0.5f, .style_given = 0.6f, .groove_given = 0.7f,
                 .controls_given = 0.5f, .style_noise = 0.05f, .metric_dropout = 0.05f,
                 .temperature = 0.75f, .temperature_spread = 0.8f, .cutoff = 0.5f},
     .net = {.layers = 2, .hidden = 192, .encoder = 128, .skip = true, .mix = true,
             .dropout = 0.3f}},
    /* the 2023 system: three stateless LSTM layers over a window of eight steps, then
     * two dense layers with batch normalisation */
    {.drummer = {.preset = "neuraldrummer2023", .features = {.kind = ND_FEATURES_ORIGINAL},
                 .steps = 8, .batch = 50, .cutoff = 0.2f, .forced = 1},
     .net = {.layers = 3, .hidden = 512, .window = 8, .n_dense = 2, .dense = {256, 128},
             .norm = true, .head_dropout = 0.3f}},
    {.drummer = {.preset = "touch", .features = {.kind = ND_FEATURES_TOUCH}, .steps = 128,
                 .batch = 32},
     .net = {.layers = 1, .hidden = 64, .encoder = 48, .skip = true, .touch = true,
             .dropout = 0.2f}}};
enum { N_PRESETS = sizeof presets / sizeof *presets };

static nd_status from_preset(nd_drummer *d, nd_net_config *net, const char *name, nd_error *err) {
  for (int32_t i = 0; i < N_PRESETS; i++)
    if (strcmp(presets[i].drummer.preset, name) == 0) {
      *d = presets[i].drummer;
      *net = presets[i].net;
    }
  if (d->features.kind == ND_FEATURES_TOUCH) name = "drummer";
  return nd_tokeniser_preset(&d->tokeniser, name, err);  /* fails for an unknown name */
}

/* Weights are made for the final configuration, never for the preset's own.
 *
 * The preset with the caller's changes; `net` becomes consistent with the kit
 * and the features, unless the caller makes a raw net. */
static nd_status configure(nd_drummer *d, nd_net_config *net, const nd_drummer_options *o,
                           nd_error *err) {
  nd_status status = from_preset(d, net, o->preset, err);
  if (status != ND_OK) return status;
  if (o->tokeniser != NULL) d->tokeniser = *o->tokeniser;
  if (o->layers >= 0) net->layers = o->layers;
  if (o->hidden >= 0) net->hidden = o->hidden;
  if (o->window >= 0) net->window = d->steps = o->window;
  if (o->dropout >= 0.0f) net->dropout = net->head_dropout = o->dropout;
  /* the 2023 system drops out in its head alone */
  if (strcmp(d->preset, "neuraldrummer2023") == 0) net->dropout = 0.0f;
  if (o->encoder >= 0) net->encoder = o->encoder;
  if (o->causal >= 0) net->causal = d->features.causal = o->causal > 0;
  if (net->encoder == 0 && d->features.kind == ND_FEATURES_WHOLE)
    d->features.kind = ND_FEATURES_DRUMMER;
  net->voices = d->tokeniser.kit.n_voices;
  net->inputs = nd_features_inputs(&d->features, net->voices);
  net->encoded = nd_features_encoded(&d->features, net->voices);
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

nd_status nd_drummer_make(nd_drummer **out, const nd_drummer_options *o, nd_error *err) {
  nd_drummer *d = nd_calloc(1, sizeof *d);
  if (d == NULL) return nd_nomem(err);
  nd_net_config net = {0};
  nd_status status = configure(d, &net, o, err);
  if (status == ND_OK) status = nd_net_declare(&d->net, &net, err);
  if (status == ND_OK) status = nd_net_allocate(&d->net, err);
  if (status != ND_OK) {
    free(d);
    return status;
  }
  nd_net_initialise(&d->net, o->seed);
  *out = d;
  return ND_OK;
}

void nd_drummer_free(nd_drummer *d) {
  if (d == NULL) return;
  nd_drummer_unpack(d);
  nd_net_clear(&d->net);
  nd_styles_clear(&d->styles);
  free(d);
}

/* When packing fails for lack of memory, playing goes on with unpacked weights. */
void nd_drummer_pack(nd_drummer *d) {
  if (d->packed == NULL && d->net.config.window == 0)
    d->packed = nd_inference_weights_pack(&d->net);
}

void nd_drummer_unpack(nd_drummer *d) {
  nd_inference_weights_free(d->packed);
  d->packed = NULL;
}

const nd_inference_weights *nd_drummer_weights(const nd_drummer *d,
                                               nd_inference_weights *borrowed) {
  if (d->packed != NULL) return d->packed;
  nd_inference_weights_borrow(&d->net, borrowed);
  return borrowed;
}

/* ------------------------------------------------------------- what it accepts */

static const char *beat_word(nd_beat beat) {
  return beat == ND_BEAT_METER ? "beat of the meter" : "quarter note";
}

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

nd_status nd_drummer_predicts_hits(const nd_drummer *d, nd_error *err) {
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features: it cannot read a sequence");
  if (d->net.config.touch)
    return nd_fail(err, ND_MISUSE, "a touch model predicts velocities and offsets, not hits");
  return ND_OK;
}

nd_status nd_drummer_is_corrupt(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the model produced NaN probabilities; its weights are corrupt");
}

/* ------------------------------------------------------------------- settings
 * Every setting is one string of the checkpoint's metadata. One list says how
 * each is written, read and bounded, so that reader and writer cannot differ. */

typedef enum setting_kind { INTEGER, NUMBER, FLAG, TEXT } setting_kind;

typedef struct setting {
  const char *key;
  setting_kind kind;
  void *value;          /* int32_t, float, bool, char[] */
  double min, max;      /* of INTEGER and NUMBER, inclusive */
  size_t size;          /* of TEXT, in bytes with the terminating zero */
} setting;

enum { MAX_SETTINGS = 48, LIST_TEXT = 96 };

typedef struct setting_list {
  setting items[MAX_SETTINGS];
  int32_t n;
} setting_list;

/* Lists and enumerations have no C type of a setting: on their way to and
 * from the disk they are text. */
typedef struct setting_texts {
  char kit[ND_KIT_TEXT], dense[LIST_TEXT], back[LIST_TEXT], metrics[640];
  char features[16], beat[16];
} setting_texts;

static void add(setting_list *l, setting s) { l->items[l->n++] = s; }

#define TEXT_OF(key, field) add(l, (setting){key, TEXT, field, 0, 0, sizeof field})
#define INTEGER_OF(key, field, min, max) add(l, (setting){key, INTEGER, &field, min, max, 0})
#define NUMBER_OF(key, field, max) add(l, (setting){key, NUMBER, &field, 0, max, 0})
#define FLAG_OF(key, field) add(l, (setting){key, FLAG, &field, 0, 1, 0})

static void list_network(setting_list *l, nd_net_config *c, setting_texts *t) {
  INTEGER_OF("inputs", c->inputs, 1, ND_MAX_INPUTS);
  INTEGER_OF("voices", c->voices, 1, ND_MAX_VOICES);
  INTEGER_OF("layers", c->layers, 1, ND_MAX_LAYERS);
  INTEGER_OF("hidden", c->hidden, 1, ND_MAX_UNITS);
  INTEGER_OF("window", c->window, 0, ND_MAX_WINDOW);
  INTEGER_OF("encoder", c->encoder, 0, ND_MAX_UNITS);
  INTEGER_OF("encoded", c->encoded, 0, ND_MAX_INPUTS);
  TEXT_OF("dense", t->dense);
  FLAG_OF("causal", c->causal);
  FLAG_OF("norm", c->norm);
  FLAG_OF("skip", c->skip);
  FLAG_OF("mix", c->mix);
  FLAG_OF("touch", c->touch);
  NUMBER_OF("dropout", c->dropout, 0.99);
  NUMBER_OF("head_dropout", c->head_dropout, 0.99);
}

static void list_settings(setting_list *l, nd_drummer *d, nd_net_config *c, setting_texts *t) {
  l->n = 0;
  TEXT_OF("preset", d->preset);
  TEXT_OF("kit", t->kit);
  TEXT_OF("beat", t->beat);
  INTEGER_OF("steps_per_beat", d->tokeniser.steps_per_beat, 1, 48);
  FLAG_OF("include_drums", d->tokeniser.include_drums);
  FLAG_OF("original", d->tokeniser.original);
  INTEGER_OF("max_steps", d->tokeniser.max_steps, 1, ND_MAX_STEPS);
  TEXT_OF("features", t->features);
  TEXT_OF("look_back", t->back);
  TEXT_OF("metrics", t->metrics);
  list_network(l, c, t);
  INTEGER_OF("steps", d->steps, 1, 1 << 16);
  INTEGER_OF("batch", d->batch, 1, 1 << 16);
  NUMBER_OF("history_all", d->history_all, 1);
  NUMBER_OF("history_hidden", d->history_hidden, 1);
  NUMBER_OF("history_back", d->history_back, 1);
  NUMBER_OF("history_step", d->history_step, 1);
  NUMBER_OF("fixed_given", d->fixed_given, 1);
  NUMBER_OF("style_given", d->style_given, 1);
  NUMBER_OF("groove_given", d->groove_given, 1);
  NUMBER_OF("controls_given", d->controls_given, 1);
  NUMBER_OF("style_noise", d->style_noise, 1);
  NUMBER_OF("metric_dropout", d->metric_dropout, 1);
  NUMBER_OF("temperature", d->temperature, 100);
  NUMBER_OF("temperature_spread", d->temperature_spread, 1);
  NUMBER_OF("cutoff", d->cutoff, 1);
  INTEGER_OF("forced", d->forced, 0, ND_MAX_VOICES);
}

/* -------------------------------------------------------------------- writing */

/* Numbers, or without any the names of the first `n` metrics, between commas. */
static void join(char *text, size_t size, const int32_t *numbers, int32_t n) {
  size_t used = 0;
  text[0] = '\0';
  for (int32_t i = 0; i < n && used < size; i++) {
    const char *comma = i > 0 ? "," : "";
    int put = numbers != NULL
                  ? snprintf(text + used, size - used, "%s%d", comma, numbers[i])
                  : snprintf(text + used, size - used, "%s%s", comma, nd_metric_name(i));
    used += put > 0 ? (size_t)put : 0;
  }
}

static nd_status write_texts(setting_texts *t, const nd_drummer *d, nd_error *err) {
  const nd_net_config *c = &d->net.config;
  join(t->dense, sizeof t->dense, c->dense, c->n_dense);
  join(t->back, sizeof t->back, d->features.back, d->features.n_back);
  /* all names, so that a version with other metrics refuses the checkpoint */
  join(t->metrics, sizeof t->metrics, NULL, ND_N_METRICS);
  (void)snprintf(t->features, sizeof t->features, "%s", nd_features_names[d->features.kind]);
  (void)snprintf(t->beat, sizeof t->beat, "%s",
                 d->tokeniser.beat == ND_BEAT_METER ? "meter" : "quarter");
  return nd_kit_format(&d->tokeniser.kit, t->kit, sizeof t->kit, err);
}

static nd_status write_setting(nd_checkpoint *c, const setting *s, nd_error *err) {
  char number[ND_NUMBER];
  const char *value = number;
  switch (s->kind) {
    case INTEGER: (void)snprintf(number, sizeof number, "%d", *(int32_t *)s->value); break;
    case NUMBER: nd_number_write(number, *(float *)s->value); break;
    case FLAG: value = *(bool *)s->value ? "true" : "false"; break;
    case TEXT: value = s->value; break;
  }
  return nd_checkpoint_set_metadata(c, s->key, value, err);
}

/* Styles are three tensors and their names, or none of them. */
static nd_status write_styles(nd_checkpoint *c, const nd_styles *s, nd_error *err) {
  int64_t style[2] = {s->n, s->size}, song[2] = {s->n, ND_SONG_TRAITS};
  int64_t projection[2] = {ND_SONG_TRAITS, ND_STYLES_PROJECTED};
  if (s->n == 0) return ND_OK;
  nd_status status = nd_checkpoint_add(c, "styles.style", 2, style, s->style, err);
  if (status == ND_OK) status = nd_checkpoint_add(c, "styles.song", 2, song, s->song, err);
  if (status == ND_OK)
    status = nd_checkpoint_add(c, "styles.projection", 2, projection, s->projection, err);
  if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "styles", s->names, err);
  return status;
}

nd_status nd_drummer_describe(const nd_drummer *drummer, nd_checkpoint *c, nd_error *err) {
  nd_drummer d = *drummer;  /* a copy: the list of settings points to what may be written */
  nd_net_config net = d.net.config;
  setting_texts t;
  setting_list list;
  nd_status status = nd_net_check(&drummer->net, err);
  if (status == ND_OK) status = write_texts(&t, drummer, err);
  if (status != ND_OK) return status;
  list_settings(&list, &d, &net, &t);
  status = nd_checkpoint_set_metadata(c, "format", format_name, err);
  for (int32_t i = 0; i < list.n && status == ND_OK; i++)
    status = write_setting(c, &list.items[i], err);
  if (status == ND_OK) status = write_styles(c, &drummer->styles, err);
  for (int32_t i = 0; i < drummer->net.n_tensors && status == ND_OK; i++) {
    const nd_tensor *x = &drummer->net.tensors[i];
    int64_t shape[2] = {x->shape[0], x->shape[1]};
    status = nd_checkpoint_add(c, x->name, x->rank, shape, drummer->net.block + x->offset, err);
  }
  return status;
}

/* -------------------------------------------------------------------- reading
 * A checkpoint may come from anywhere: nothing in it is believed before it was
 * checked, and memory is taken only for tensors that the file really has. */

/* Numbers separated by commas, "" being none of them; false for other text. */
static bool split(const char *text, int32_t *list, int32_t max, int32_t *n) {
  *n = 0;
  while (*text != '\0') {
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *n >= max || v < 1 || v > ND_MAX_UNITS) return false;
    list[(*n)++] = (int32_t)v;
    if (*end == ',') end++;
    else if (*end != '\0') return false;
    text = end;
  }
  return true;
}

static nd_status read_number(const setting *s, const char *text, nd_error *err) {
  /* A float is written with the digits of a float (0.99 as 0.99000001), so the
   * bound has to be rounded to one as well. */
  bool is_float = s->kind == NUMBER;
  double v, max = is_float ? (double)(float)s->max : s->max;
  if (!nd_number_read(text, &v) || !(v >= s->min && (is_float ? (double)(float)v : v) <= max) ||
      (!is_float && v != floor(v)))
    return nd_fail(err, ND_FORMAT, "setting '%s': '%.20s' is not in %g..%g", s->key, text, s->min,
                   s->max);
  if (is_float) *(float *)s->value = (float)v;
  else *(int32_t *)s->value = (int32_t)v;
  return ND_OK;
}

static nd_status read_setting(const setting *s, const char *text, nd_error *err) {
  if (text == NULL) return nd_fail(err, ND_FORMAT, "setting '%s' is missing", s->key);
  if (s->kind == TEXT) {
    if (strlen(text) >= s->size)
      return nd_fail(err, ND_FORMAT, "setting '%s' is too long", s->key);
    memcpy(s->value, text, strlen(text) + 1);
    return ND_OK;
  }
  if (s->kind == FLAG) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
      return nd_fail(err, ND_FORMAT, "setting '%s': '%.20s' is neither true nor false", s->key,
                     text);
    *(bool *)s->value = yes;
    return ND_OK;
  }
  return read_number(s, text, err);
}

/* The order of inputs is part of what the weights mean: a file that was made for
 * other metrics, voices or look-back must not load, even where the sizes agree. */
static nd_status read_features(nd_drummer *d, const nd_net_config *net, const setting_texts *t,
                               nd_error *err) {
  char metrics[sizeof t->metrics];
  int kind = 0;
  while (nd_features_names[kind] != NULL && strcmp(t->features, nd_features_names[kind]) != 0)
    kind++;
  if (nd_features_names[kind] == NULL)
    return nd_fail(err, ND_FORMAT, "setting 'features' is unknown: '%s'", t->features);
  d->features.kind = (nd_features_kind)kind;
  d->features.causal = net->causal;
  join(metrics, sizeof metrics, NULL, ND_N_METRICS);
  if ((kind == ND_FEATURES_DRUMMER || kind == ND_FEATURES_WHOLE) &&
      strcmp(metrics, t->metrics) != 0)
    return nd_fail(err, ND_FORMAT, "the model was trained on other metrics than this version has");
  if (kind != ND_FEATURES_RAW && (net->voices != d->tokeniser.kit.n_voices ||
                                  net->inputs != nd_features_inputs(&d->features, net->voices) ||
                                  net->encoded != nd_features_encoded(&d->features, net->voices)))
    return nd_fail(err, ND_FORMAT,
                   "settings 'inputs', 'encoded' and 'voices' do not match 'kit' and 'features'");
  return ND_OK;
}

static nd_status read_texts(nd_drummer *d, nd_net_config *net, const setting_texts *t,
                            nd_error *err) {
  nd_error kit;
  if (nd_kit_parse(&d->tokeniser.kit, t->kit, &kit) != ND_OK)
    return nd_fail(err, ND_FORMAT, "setting 'kit': %.200s", kit.text);
  if (!split(t->dense, net->dense, ND_MAX_DENSE, &net->n_dense))
    return nd_fail(err, ND_FORMAT, "setting 'dense': '%.40s' is no list of sizes", t->dense);
  if (!split(t->back, d->features.back, ND_MAX_BACK, &d->features.n_back))
    return nd_fail(err, ND_FORMAT, "setting 'look_back': '%.40s' is no list of bars", t->back);
  if (strcmp(t->beat, "meter") != 0 && strcmp(t->beat, "quarter") != 0)
    return nd_fail(err, ND_FORMAT, "setting 'beat' is unknown: '%s'", t->beat);
  d->tokeniser.beat = t->beat[0] == 'm' ? ND_BEAT_METER : ND_BEAT_QUARTER;
  return read_features(d, net, t, err);
}

/* Copies the values of a styles tensor to new memory. */
static nd_status copy_values(float **to, const nd_entry *e, nd_error *err) {
  for (size_t i = 0; i < e->size; i++)
    if (!isfinite(e->values[i]))
      return nd_fail(err, ND_FORMAT, "tensor %s has values that are not finite", e->name);
  if (!nd_all_in_range(e->size, e->values))
    return nd_fail(err, ND_FORMAT, "tensor %s has values out of range", e->name);
  *to = nd_calloc(e->size, sizeof **to);
  if (*to == NULL) return nd_nomem(err);
  memcpy(*to, e->values, e->size * sizeof **to);
  return ND_OK;
}

static bool is_matrix(const nd_entry *e, int64_t rows, int64_t columns) {
  return e != NULL && e->rank == 2 && e->shape[0] == rows && e->shape[1] == columns;
}

static nd_status read_styles(nd_drummer *d, const nd_checkpoint *c, nd_error *err) {
  const nd_entry *style = nd_checkpoint_entry(c, "styles.style");
  const nd_entry *song = nd_checkpoint_entry(c, "styles.song");
  const nd_entry *projection = nd_checkpoint_entry(c, "styles.projection");
  const char *names = nd_checkpoint_string(c, "styles");
  if (style == NULL && song == NULL && projection == NULL && names == NULL) return ND_OK;
  int32_t voices = d->tokeniser.kit.n_voices, size = nd_style_size(voices);
  int64_t lines = 0, n = style != NULL ? style->shape[0] : 0;
  for (const char *p = names; p != NULL && *p != '\0'; p++) lines += *p == '\n';
  if (n < 1 || n > 1 << 20 || lines != n || !is_matrix(style, n, size) ||
      !is_matrix(song, n, ND_SONG_TRAITS) ||
      !is_matrix(projection, ND_SONG_TRAITS, ND_STYLES_PROJECTED))
    return nd_fail(err, ND_FORMAT, "the styles are incomplete, or their shapes do not match");
  nd_styles *s = &d->styles;
  nd_status status = copy_values(&s->style, style, err);
  if (status == ND_OK) status = copy_values(&s->song, song, err);
  if (status == ND_OK) status = copy_values(&s->projection, projection, err);
  if (status != ND_OK) return status;
  s->names = nd_calloc(strlen(names) + 1, 1);
  if (s->names == NULL) return nd_nomem(err);
  memcpy(s->names, names, strlen(names));
  s->n = (int32_t)n;
  s->voices = voices;
  s->size = size;
  return ND_OK;
}

/* Before any memory is taken for tensors: a small file that claims a huge network
 * fails here. */
static nd_status check_shapes(const nd_net *net, const nd_checkpoint *c, nd_error *err) {
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *x = &net->tensors[i];
    const nd_entry *e = nd_checkpoint_entry(c, x->name);
    if (e == NULL) return nd_fail(err, ND_FORMAT, "tensor %s is missing", x->name);
    if (e->rank != x->rank || e->shape[0] != x->shape[0] ||
        (x->rank == 2 && e->shape[1] != x->shape[1]))
      return nd_fail(err, ND_FORMAT, "tensor %s does not have the shape that the settings give it",
                     x->name);
  }
  return ND_OK;
}

static nd_status read_network(nd_drummer *d, const nd_net_config *config, const nd_checkpoint *c,
                              nd_error *err) {
  nd_error why;
  nd_net *net = &d->net;
  if (nd_net_declare(net, config, &why) != ND_OK)
    return nd_fail(err, ND_FORMAT, "%s", why.text);  /* the file's fault, not the caller's */
  if (config->window > 0 && d->steps != config->window)
    return nd_fail(err, ND_FORMAT, "setting 'steps': %d differs from setting 'window', %d",
                   d->steps, config->window);
  nd_status status = check_shapes(net, c, err);
  if (status == ND_OK) status = nd_net_allocate(net, err);
  if (status != ND_OK) return status;
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *x = &net->tensors[i];
    memcpy(net->block + x->offset, nd_checkpoint_entry(c, x->name)->values,
           x->size * sizeof *net->block);
  }
  return nd_net_check(net, err);
}

static nd_status read_settings(nd_drummer *d, nd_net_config *net, const nd_checkpoint *c,
                               nd_error *err) {
  setting_texts *t = nd_calloc(1, sizeof *t);
  setting_list list;
  nd_status status = ND_OK;
  if (t == NULL) return nd_nomem(err);
  list_settings(&list, d, net, t);
  for (int32_t i = 0; i < list.n && status == ND_OK; i++)
    status = read_setting(&list.items[i], nd_checkpoint_string(c, list.items[i].key), err);
  if (status == ND_OK) status = read_texts(d, net, t, err);
  free(t);
  return status;
}

nd_status nd_drummer_restore(nd_drummer **out, const nd_checkpoint *c, nd_error *err) {
  const char *format = nd_checkpoint_string(c, "format");
  if (format == NULL || strncmp(format, format_prefix, sizeof format_prefix - 1) != 0)
    return nd_fail(err, ND_FORMAT, "not a Neural Drummer model: its metadata has no such 'format'");
  if (strcmp(format, format_name) != 0)
    return nd_fail(err, ND_FORMAT, "format '%.40s' cannot be read: this version reads '%s'", format,
                   format_name);
  nd_drummer *d = nd_calloc(1, sizeof *d);
  if (d == NULL) return nd_nomem(err);
  nd_net_config net = {0};
  nd_status status = read_settings(d, &net, c, err);
  if (status == ND_OK) status = read_network(d, &net, c, err);
  if (status == ND_OK) status = read_styles(d, c, err);
  if (status != ND_OK) {
    nd_drummer_free(d);
    return status;
  }
  *out = d;
  return ND_OK;
}
