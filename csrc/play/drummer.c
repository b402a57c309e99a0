#include "drummer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/number.h"

static const char format_name[] = "neuraldrummer 1";

const nd_drummer_options nd_drummer_defaults = {
    "drummer", NULL, -1, -1, -1, -1, -1, -1, -1, -1, -1.0f, 1};

static nd_status preset(nd_drummer *d, nd_net_config *net, const char *name, nd_error *err) {
  bool touch = strcmp(name, "touch") == 0;
  nd_status status = nd_tokeniser_preset(&d->tokeniser, touch ? "drummer" : name, err);
  if (status != ND_OK) return status;
  (void)snprintf(d->preset, sizeof d->preset, "%s", name);
  *net = (nd_net_config){0};
  if (strcmp(name, "neuraldrummer2023") == 0) {
    d->features = (nd_features){.kind = ND_FEATURES_ORIGINAL};
    net->layers = 3;
    net->hidden = 512;
    net->window = 8;
    net->n_dense = 2;
    net->dense[0] = 256;
    net->dense[1] = 128;
    net->norm = true;
    net->head_dropout = 0.3f;
    d->steps = net->window;
    d->batch = 50;
    d->cutoff = 0.2f;
    d->forced = 1;
    return ND_OK;
  }
  if (touch) {
    d->features = (nd_features){.kind = ND_FEATURES_TOUCH};
    net->layers = 1;
    net->hidden = 64;
    net->encoder = 48;
    net->skip = true;
    net->touch = true;
    net->dropout = 0.2f;
    d->steps = 128;
    d->batch = 32;
    return ND_OK;
  }
  d->features = (nd_features){.kind = ND_FEATURES_WHOLE, .n_back = 4, .back = {1, 2, 4, 8}};
  net->layers = 2;
  net->hidden = 192;
  net->encoder = 128;
  net->skip = true;
  net->mix = true;
  net->dropout = 0.3f;
  d->steps = 128;
  d->batch = 32;
  d->history_all = 0.3f;
  d->history_secret = 0.0f;
  d->history_back = 0.15f;
  d->history_step = 0.1f;
  d->given = 0.5f;
  d->style_given = 0.6f;
  d->groove_given = 0.7f;
  d->asked = 0.5f;
  d->style_noise = 0.05f;
  d->deaf = 0.05f;
  d->temperature = 0.75f;
  d->temperature_spread = 0.8f;
  d->cutoff = 0.5f;
  return ND_OK;
}

nd_status nd_drummer_make(nd_drummer **out, const nd_drummer_options *o, nd_error *err) {
  nd_drummer *d = nd_calloc(1, sizeof *d);
  if (d == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  nd_net_config net;
  nd_status status = preset(d, &net, o->preset, err);
  if (status == ND_OK) {
    if (o->tokeniser != NULL) d->tokeniser = *o->tokeniser;
    if (o->layers >= 0) net.layers = o->layers;
    if (o->hidden >= 0) net.hidden = o->hidden;
    if (o->window >= 0) net.window = d->steps = o->window;
    if (o->dropout >= 0.0f) net.dropout = net.head_dropout = o->dropout;
    if (strcmp(d->preset, "neuraldrummer2023") == 0) net.dropout = 0.0f;
    if (o->encoder >= 0) net.encoder = o->encoder;
    if (o->causal >= 0) net.causal = d->features.causal = o->causal > 0;
    if (net.encoder == 0 && d->features.kind == ND_FEATURES_WHOLE)
      d->features.kind = ND_FEATURES_DRUMMER;
    net.voices = d->tokeniser.kit.n_voices;
    net.inputs = nd_features_inputs(&d->features, net.voices);
    net.encoded = nd_features_encoded(&d->features, net.voices);
    if (o->inputs > 0 || o->voices > 0) {
      d->features = (nd_features){.kind = ND_FEATURES_RAW};
      if (o->inputs > 0) net.inputs = o->inputs;
      if (o->voices > 0) net.voices = o->voices;
      if (o->encoder < 0) net.encoder = 0;
      net.encoded = net.encoder == 0 ? 0 : o->encoded;
    }
    if (d->steps < 1) status = nd_fail(err, ND_MISUSE, "window: a '%s' net needs one", d->preset);
  }
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

void nd_drummer_pack(nd_drummer *d) {
  if (d->packed == NULL && d->net.config.window == 0) d->packed = nd_inference_weights_pack(&d->net);
}

void nd_drummer_unpack(nd_drummer *d) {
  nd_inference_weights_free(d->packed);
  d->packed = NULL;
}

const nd_inference_weights *nd_drummer_weights(const nd_drummer *d, nd_inference_weights *borrowed) {
  if (d->packed != NULL) return d->packed;
  nd_inference_weights_borrow(&d->net, borrowed);
  return borrowed;
}

/* ------------------------------------------------------------------ settings
 * Every setting is one string of the checkpoint's metadata: one table says
 * how each is written, read and bounded. */

typedef enum setting_kind { INTEGER, NUMBER, FLAG, TEXT } setting_kind;

typedef struct setting {
  const char *key;
  setting_kind kind;
  void *value;          /* int32_t, float, bool, char[] */
  double min, max;
  size_t size;          /* of TEXT */
  bool optional;        /* files of the first version have it not: 0 */
} setting;

enum { MAX_SETTINGS = 48, LIST_TEXT = 96 };

/* Texts that stand for lists and enumerations while they are on disk. */
typedef struct texts {
  char kit[ND_KIT_TEXT], dense[LIST_TEXT], back[LIST_TEXT], metrics[640];
  char features[16], beat[16];
} texts;

static int32_t list_settings(nd_drummer *d, nd_net_config *c, texts *t, setting *s) {
  int32_t n = 0;
#define TEXT_(key, field) s[n++] = (setting){key, TEXT, t->field, 0, 0, sizeof t->field, false}
#define INT_(key, field, min, max) s[n++] = (setting){key, INTEGER, &(field), min, max, 0, false}
#define NUM_(key, field, min, max) s[n++] = (setting){key, NUMBER, &(field), min, max, 0, false}
#define FLAG_(key, field) s[n++] = (setting){key, FLAG, &(field), 0, 1, 0, false}
#define LATER_ s[n - 1].optional = true
  s[n++] = (setting){"preset", TEXT, d->preset, 0, 0, sizeof d->preset, false};
  TEXT_("kit", kit);
  TEXT_("beat", beat);
  INT_("steps_per_beat", d->tokeniser.steps_per_beat, 1, 48);
  FLAG_("include_drums", d->tokeniser.include_drums);
  FLAG_("original", d->tokeniser.original);
  INT_("max_steps", d->tokeniser.max_steps, 1, ND_MAX_STEPS);
  TEXT_("features", features);
  TEXT_("look_back", back);
  TEXT_("metrics", metrics);
  INT_("inputs", c->inputs, 1, ND_MAX_INPUTS);
  INT_("voices", c->voices, 1, ND_MAX_VOICES);
  INT_("layers", c->layers, 1, ND_MAX_LAYERS);
  INT_("hidden", c->hidden, 1, ND_MAX_UNITS);
  INT_("window", c->window, 0, ND_MAX_WINDOW);
  TEXT_("dense", dense);
  FLAG_("norm", c->norm);
  FLAG_("skip", c->skip);
  FLAG_("mix", c->mix);
  NUM_("dropout", c->dropout, 0, 0.99);
  NUM_("head_dropout", c->head_dropout, 0, 0.99);
  INT_("steps", d->steps, 1, 1 << 16);
  INT_("batch", d->batch, 1, 1 << 16);
  NUM_("history_all", d->history_all, 0, 1);
  NUM_("history_back", d->history_back, 0, 1);
  NUM_("history_step", d->history_step, 0, 1);
  NUM_("temperature", d->temperature, 0, 100);
  NUM_("cutoff", d->cutoff, 0, 1);
  INT_("forced", d->forced, 0, ND_MAX_VOICES);
  INT_("encoder", c->encoder, 0, ND_MAX_UNITS), LATER_;
  INT_("encoded", c->encoded, 0, ND_MAX_INPUTS), LATER_;
  FLAG_("causal", c->causal), LATER_;
  FLAG_("touch", c->touch), LATER_;
  NUM_("mood", d->temperature_spread, 0, 1), LATER_;
  NUM_("given", d->given, 0, 1), LATER_;
  NUM_("history_secret", d->history_secret, 0, 1), LATER_;
  NUM_("style_given", d->style_given, 0, 1), LATER_;
  NUM_("groove_given", d->groove_given, 0, 1), LATER_;
  NUM_("asked", d->asked, 0, 1), LATER_;
  NUM_("style_noise", d->style_noise, 0, 1), LATER_;
  NUM_("deaf", d->deaf, 0, 1), LATER_;
#undef TEXT_
#undef INT_
#undef NUM_
#undef FLAG_
#undef LATER_
  return n;
}

static void join(char *text, size_t size, const int32_t *list, int32_t n) {
  size_t used = 0;
  text[0] = '\0';
  for (int32_t i = 0; i < n && used < size; i++) {
    int put = snprintf(text + used, size - used, i > 0 ? ",%d" : "%d", list[i]);
    used += put > 0 ? (size_t)put : 0;
  }
}

static bool split(const char *text, int32_t *list, int32_t max, int32_t lowest, int32_t *n) {
  *n = 0;
  while (*text != '\0') {
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *n >= max || v < lowest || v > ND_MAX_UNITS) return false;
    list[(*n)++] = (int32_t)v;
    if (*end == ',') end++;
    else if (*end != '\0') return false;
    text = end;
  }
  return true;
}

static void all_metrics(char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < ND_N_METRICS && used < size; i++) {
    int put = snprintf(text + used, size - used, i > 0 ? ",%s" : "%s", nd_metric_name(i));
    used += put > 0 ? (size_t)put : 0;
  }
}

static const char *const feature_names[] = {"drummer", "original", "raw", "whole", "touch", NULL};

nd_status nd_drummer_describe(const nd_drummer *given, nd_checkpoint *c, nd_error *err) {
  nd_drummer d = *given;  /* the table below takes no const */
  nd_net_config net = d.net.config;
  texts t;
  setting list[MAX_SETTINGS];
  nd_status status = nd_net_check(&given->net, err);
  if (status == ND_OK) status = nd_kit_format(&d.tokeniser.kit, t.kit, sizeof t.kit, err);
  if (status != ND_OK) return status;
  join(t.dense, sizeof t.dense, net.dense, net.n_dense);
  join(t.back, sizeof t.back, d.features.back, d.features.n_back);
  all_metrics(t.metrics, sizeof t.metrics);
  (void)snprintf(t.features, sizeof t.features, "%s", feature_names[d.features.kind]);
  (void)snprintf(t.beat, sizeof t.beat, "%s", d.tokeniser.beat == ND_BEAT_METER ? "meter" : "quarter");
  int32_t n = list_settings(&d, &net, &t, list);
  status = nd_checkpoint_set_metadata(c, "format", format_name, err);
  for (int32_t i = 0; i < n && status == ND_OK; i++) {
    char number[ND_NUMBER];
    const char *value = number;
    switch (list[i].kind) {
      case INTEGER: (void)snprintf(number, sizeof number, "%d", *(int32_t *)list[i].value); break;
      case NUMBER: nd_number_write(number, *(float *)list[i].value); break;
      case FLAG: value = *(bool *)list[i].value ? "true" : "false"; break;
      case TEXT: value = list[i].value; break;
    }
    status = nd_checkpoint_set_metadata(c, list[i].key, value, err);
  }
  if (status == ND_OK && given->styles.n > 0) {
    const nd_styles *s = &given->styles;
    int64_t style[2] = {s->n, s->size}, song[2] = {s->n, ND_SONG_TRAITS};
    int64_t near[2] = {ND_SONG_TRAITS, ND_STYLES_PROJECTED};
    status = nd_checkpoint_add(c, "styles.style", 2, style, s->style, err);
    if (status == ND_OK) status = nd_checkpoint_add(c, "styles.song", 2, song, s->song, err);
    if (status == ND_OK) status = nd_checkpoint_add(c, "styles.near", 2, near, s->near, err);
    if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "styles", s->names, err);
  }
  for (int32_t i = 0; i < given->net.n_tensors && status == ND_OK; i++) {
    const nd_tensor *x = &given->net.tensors[i];
    int64_t shape[2] = {x->shape[0], x->shape[1]};
    status = nd_checkpoint_add(c, x->name, x->rank, shape, given->net.block + x->offset, err);
  }
  return status;
}

static nd_status read_setting(const setting *s, const char *text, nd_error *err) {
  if (text == NULL && s->optional) return ND_OK;
  if (text == NULL) return nd_fail(err, ND_FORMAT, "setting '%s' is missing", s->key);
  if (s->kind == TEXT) {
    if (strlen(text) >= s->size) return nd_fail(err, ND_FORMAT, "setting '%s' is too long", s->key);
    memcpy(s->value, text, strlen(text) + 1);
    return ND_OK;
  }
  if (s->kind == FLAG) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
      return nd_fail(err, ND_FORMAT, "setting '%s': '%.20s' is neither true nor false", s->key, text);
    *(bool *)s->value = yes;
    return ND_OK;
  }
  double v;
  /* what is kept as a float is written as one: 0.99 as 0.99000001 */
  double max = s->kind == NUMBER ? (double)(float)s->max : s->max;
  if (!nd_number_read(text, &v) || !(v >= s->min && (s->kind == NUMBER ? (double)(float)v : v) <= max) ||
      (s->kind == INTEGER && v != floor(v)))
    return nd_fail(err, ND_FORMAT, "setting '%s': '%.20s' is not in %g..%g", s->key, text, s->min, s->max);
  if (s->kind == INTEGER) *(int32_t *)s->value = (int32_t)v;
  else *(float *)s->value = (float)v;
  return ND_OK;
}

static nd_status read_texts(nd_drummer *d, nd_net_config *net, const texts *t, nd_error *err) {
  char metrics[sizeof t->metrics];
  nd_error kit;
  if (nd_kit_parse(&d->tokeniser.kit, t->kit, &kit) != ND_OK)
    return nd_fail(err, ND_FORMAT, "setting 'kit': %.200s", kit.text);
  if (!split(t->dense, net->dense, ND_MAX_DENSE, 1, &net->n_dense))
    return nd_fail(err, ND_FORMAT, "setting 'dense' is broken");
  if (!split(t->back, d->features.back, ND_MAX_BACK, 1, &d->features.n_back))
    return nd_fail(err, ND_FORMAT, "setting 'look_back' is broken");
  int kind = 0;
  while (feature_names[kind] != NULL && strcmp(t->features, feature_names[kind]) != 0) kind++;
  if (feature_names[kind] == NULL) return nd_fail(err, ND_FORMAT, "setting 'features' is unknown: '%s'", t->features);
  d->features.kind = (nd_features_kind)kind;
  d->features.causal = net->causal;
  all_metrics(metrics, sizeof metrics);
  if ((kind == ND_FEATURES_DRUMMER || kind == ND_FEATURES_WHOLE) && strcmp(metrics, t->metrics) != 0)
    return nd_fail(err, ND_FORMAT, "the model hears other metrics than this version measures");
  if (strcmp(t->beat, "meter") != 0 && strcmp(t->beat, "quarter") != 0)
    return nd_fail(err, ND_FORMAT, "setting 'beat' is unknown: '%s'", t->beat);
  d->tokeniser.beat = t->beat[0] == 'm' ? ND_BEAT_METER : ND_BEAT_QUARTER;
  if (kind != ND_FEATURES_RAW && (net->voices != d->tokeniser.kit.n_voices ||
                                  net->inputs != nd_features_inputs(&d->features, net->voices) ||
                                  net->encoded != nd_features_encoded(&d->features, net->voices)))
    return nd_fail(err, ND_FORMAT, "its inputs and voices do not fit its kit and features");
  return ND_OK;
}

/* A copy of a tensor's values. */
static nd_status copy_values(float **to, const nd_entry *e, nd_error *err) {
  for (size_t i = 0; i < e->size; i++)
    if (!isfinite(e->values[i])) return nd_fail(err, ND_FORMAT, "its styles are not finite");
  if (!nd_all_in_range(e->size, e->values))
    return nd_fail(err, ND_FORMAT, "its styles are none that are learnt: too large");
  *to = nd_calloc(e->size, sizeof **to);
  if (*to == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  memcpy(*to, e->values, e->size * sizeof **to);
  return ND_OK;
}

static bool is_matrix(const nd_entry *e, int64_t rows, int64_t columns) {
  return e != NULL && e->rank == 2 && e->shape[0] == rows && e->shape[1] == columns;
}

static nd_status restore_styles(nd_drummer *d, const nd_checkpoint *c, nd_error *err) {
  const nd_entry *style = nd_checkpoint_entry(c, "styles.style");
  const nd_entry *song = nd_checkpoint_entry(c, "styles.song");
  const nd_entry *near = nd_checkpoint_entry(c, "styles.near");
  const char *names = nd_checkpoint_string(c, "styles");
  if (style == NULL && song == NULL && near == NULL && names == NULL) return ND_OK;
  int32_t voices = d->tokeniser.kit.n_voices, size = nd_style_size(voices);
  int64_t lines = 0, n = style != NULL ? style->shape[0] : 0;
  for (const char *p = names; p != NULL && *p != '\0'; p++) lines += *p == '\n';
  if (n < 1 || n > 1 << 20 || lines != n || !is_matrix(style, n, size) ||
      !is_matrix(song, n, ND_SONG_TRAITS) || !is_matrix(near, ND_SONG_TRAITS, ND_STYLES_PROJECTED))
    return nd_fail(err, ND_FORMAT, "its styles are broken");
  nd_styles *s = &d->styles;
  nd_status status = copy_values(&s->style, style, err);
  if (status == ND_OK) status = copy_values(&s->song, song, err);
  if (status == ND_OK) status = copy_values(&s->near, near, err);
  if (status != ND_OK) return status;
  s->names = nd_calloc(strlen(names) + 1, 1);
  if (s->names == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  memcpy(s->names, names, strlen(names));
  s->n = (int32_t)n;
  s->voices = voices;
  s->size = size;
  return ND_OK;
}

nd_status nd_drummer_restore(nd_drummer **out, const nd_checkpoint *c, nd_error *err) {
  const char *format = nd_checkpoint_string(c, "format");
  if (format == NULL || strncmp(format, "neuraldrummer ", 14) != 0)
    return nd_fail(err, ND_FORMAT, "not a drummer: its metadata names no format of ours");
  if (strcmp(format, format_name) != 0)
    return nd_fail(err, ND_FORMAT, "format '%.40s' is not '%s'", format, format_name);
  nd_drummer *d = nd_calloc(1, sizeof *d);
  texts *t = nd_calloc(1, sizeof *t);
  setting list[MAX_SETTINGS];
  nd_net_config net = {0};
  nd_status status = ND_OK;
  if (d == NULL || t == NULL) status = nd_fail(err, ND_NOMEM, "out of memory");
  int32_t n = status == ND_OK ? list_settings(d, &net, t, list) : 0;
  for (int32_t i = 0; i < n && status == ND_OK; i++)
    status = read_setting(&list[i], nd_checkpoint_string(c, list[i].key), err);
  if (status == ND_OK) status = read_texts(d, &net, t, err);
  free(t);
  if (status == ND_OK) {
    nd_error why;
    if (nd_net_declare(&d->net, &net, &why) != ND_OK)
      status = nd_fail(err, ND_FORMAT, "%s", why.text);
  }
  if (status == ND_OK && net.window > 0 && d->steps != net.window)
    status = nd_fail(err, ND_FORMAT, "setting 'steps': %d is not the window, %d", d->steps, net.window);
  /* memory is taken only for what the file really holds */
  for (int32_t i = 0; status == ND_OK && i < d->net.n_tensors; i++) {
    const nd_tensor *x = &d->net.tensors[i];
    const nd_entry *e = nd_checkpoint_entry(c, x->name);
    if (e == NULL)
      status = nd_fail(err, ND_FORMAT, "tensor %s is missing", x->name);
    else if (e->rank != x->rank || e->shape[0] != x->shape[0] ||
             (x->rank == 2 && e->shape[1] != x->shape[1]))
      status = nd_fail(err, ND_FORMAT, "tensor %s has another shape than its settings say", x->name);
  }
  if (status == ND_OK) status = nd_net_allocate(&d->net, err);
  for (int32_t i = 0; status == ND_OK && i < d->net.n_tensors; i++) {
    const nd_tensor *x = &d->net.tensors[i];
    memcpy(d->net.block + x->offset, nd_checkpoint_entry(c, x->name)->values,
           x->size * sizeof *d->net.block);
  }
  if (status == ND_OK) status = nd_net_check(&d->net, err);
  if (status == ND_OK) status = restore_styles(d, c, err);
  if (status != ND_OK) {
    nd_drummer_free(d);
    return status;
  }
  *out = d;
  return ND_OK;
}
