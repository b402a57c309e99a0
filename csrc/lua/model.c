/* model.c - the model userdata: a drummer, and its trainer once it learns. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../learn/nca.h"
#include "../net/trainer.h"
#include "../play/drummer.h"
#include "lnd.h"

typedef struct model {
  nd_drummer *drummer;
  nd_trainer trainer;      /* .net is NULL until the first training call */
  nd_checkpoint rest;      /* what a loaded file holds beside the drummer */
  uint64_t seed;
  int threads;
} model;

static const char extra_prefix[] = "extra.";

static model *check(lua_State *L, int arg) { return lnd_check(L, arg, LND_MODEL); }

nd_drummer *lnd_check_drummer(lua_State *L, int arg) { return check(L, arg)->drummer; }

const nd_checkpoint *lnd_model_rest(lua_State *L, int arg) { return &check(L, arg)->rest; }

static void model_free(void *p) {
  model *m = p;
  nd_trainer_clear(&m->trainer);
  nd_drummer_free(m->drummer);
  nd_checkpoint_clear(&m->rest);
  free(m);
}

const char *lnd_push_model_path(lua_State *L, int arg) {
  if (lua_getiuservalue(L, arg, 1) == LUA_TSTRING) return lua_tostring(L, -1);
  lua_pop(L, 1);
  return lua_pushliteral(L, "the model");
}

/* A closed box, and a model in it whose drummer is still to come. Its user value
 * is the path that it was loaded from. */
static model *push(lua_State *L) {
  lnd_box *box = lnd_push(L, LND_MODEL, 1);
  model *m = nd_calloc(1, sizeof *m);
  if (m == NULL) luaL_error(L, "not enough memory");
  m->threads = 1;
  m->seed = 1;
  box->p = m;
  return m;
}

static int core_model(lua_State *L) {
  static const char *const names[] = {"preset", "tokeniser", "layers", "hidden", "window",
                                      "dropout", "seed", "inputs", "voices", "encoder", "causal",
                                      "encoded", NULL};
  lnd_opts(L, 1, names);
  nd_drummer_options o = nd_drummer_defaults;
  o.layers = (int32_t)lnd_opt_int(L, 1, "layers", -1, 1, ND_MAX_LAYERS);
  o.hidden = (int32_t)lnd_opt_int(L, 1, "hidden", -1, 1, ND_MAX_UNITS);
  o.window = (int32_t)lnd_opt_int(L, 1, "window", -1, 0, ND_MAX_WINDOW);
  o.inputs = (int32_t)lnd_opt_int(L, 1, "inputs", -1, 1, ND_MAX_INPUTS);
  o.voices = (int32_t)lnd_opt_int(L, 1, "voices", -1, 1, ND_MAX_VOICES);
  o.encoder = (int32_t)lnd_opt_int(L, 1, "encoder", -1, 0, ND_MAX_UNITS);
  o.encoded = (int32_t)lnd_opt_int(L, 1, "encoded", -1, 1, ND_MAX_INPUTS);
  o.causal = lnd_opt_bool(L, 1, "causal", false) ? 1 : -1;
  o.dropout = (float)lnd_opt_num(L, 1, "dropout", -1.0, 0.0, 0.99);
  o.seed = (uint64_t)lnd_opt_int(L, 1, "seed", 1, 0, LUA_MAXINTEGER);
  lua_settop(L, 1);
  if (lnd_opt(L, 1, "tokeniser") != LUA_TNIL)                   /* tokeniser at 2 */
    o.tokeniser = lnd_check(L, 2, LND_TOKENISER);
  o.preset = lnd_opt_str(L, 1, "preset", "drummer");            /* preset at 3 */
  nd_error err;
  model *m = push(L);
  m->seed = o.seed;
  nd_drummer *d;
  if (nd_drummer_make(&d, &o, &err) != ND_OK) {
    model_free(m);
    ((lnd_box *)lua_touserdata(L, -1))->p = NULL;
    return lnd_raise(L, &err);
  }
  m->drummer = d;
  lnd_grew(L, d->net.size * sizeof(float));
  return 1;
}

/* ----------------------------------------------------------------- checkpoints */

/* What training needs to go on: Adam's moments, counters, dropout's state. */
static nd_status save_training(const model *m, nd_checkpoint *c, nd_error *err) {
  const nd_trainer *t = &m->trainer;
  int64_t n = (int64_t)m->drummer->net.n_trained;
  char text[96];
  (void)snprintf(text, sizeof text, "%" PRId64 " %" PRIu64 " %" PRIu64, t->step, t->rng.state,
                 t->rng.stream);
  nd_status status = nd_checkpoint_add(c, "adam.m", 1, &n, t->m, err);
  if (status == ND_OK) status = nd_checkpoint_add(c, "adam.v", 1, &n, t->v, err);
  if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "training", text, err);
  return status;
}

/* Of Adam that a file may tell of: no training gets there, nor counts beyond its type. */
static const int64_t most_steps = INT64_MAX / 2;

static nd_status restore_training(model *m, nd_error *err) {
  const char *text = nd_checkpoint_string(&m->rest, "training");
  if (text == NULL) return ND_OK;
  const nd_entry *am = nd_checkpoint_entry(&m->rest, "adam.m");
  const nd_entry *av = nd_checkpoint_entry(&m->rest, "adam.v");
  size_t n = m->drummer->net.n_trained;
  int64_t step;
  uint64_t state, stream;
  int used = 0;
  if (am == NULL || av == NULL || am->size != n || av->size != n ||
      sscanf(text, "%" SCNd64 " %" SCNu64 " %" SCNu64 "%n", &step, &state, &stream, &used) != 3 ||
      text[used] != '\0' || step < 0 || step > most_steps)
    return nd_fail(err, ND_FORMAT, "the state of its training is broken");
  for (size_t i = 0; i < n; i++)
    if (!isfinite(am->values[i]) || !(av->values[i] >= 0.0f) || !isfinite(av->values[i]))
      return nd_fail(err, ND_FORMAT, "the state of its training is broken");
  nd_status status = nd_trainer_make(&m->trainer, &m->drummer->net, 0, err);
  if (status != ND_OK) return status;
  memcpy(m->trainer.m, am->values, n * sizeof(float));
  memcpy(m->trainer.v, av->values, n * sizeof(float));
  m->trainer.step = step;
  m->trainer.rng = (nd_rng){state, stream | 1u};
  return ND_OK;
}

static int core_load_model(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  nd_error err;
  model *m = push(L);
  nd_status status = nd_checkpoint_read(&m->rest, path, &err);
  if (status == ND_OK) status = nd_drummer_restore(&m->drummer, &m->rest, &err);
  if (status == ND_OK) status = restore_training(m, &err);
  if (status != ND_OK) {
    model_free(m);
    ((lnd_box *)lua_touserdata(L, -1))->p = NULL;
    return lnd_fail(L, &err, path);
  }
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  nd_checkpoint_drop_except(&m->rest, "streams");
  lnd_grew(L, m->drummer->net.size * sizeof(float));
  return 1;
}

/* `extra` strings of a table at `arg`. */
static nd_status say_extra(lua_State *L, int arg, nd_checkpoint *c, nd_error *err) {
  nd_status status = ND_OK;
  lua_pushnil(L);                                             /* key */
  while (status == ND_OK && lua_next(L, arg) != 0) {          /* key,value */
    char key[128];
    (void)snprintf(key, sizeof key, "%s%s", extra_prefix, lua_tostring(L, -2));
    status = nd_checkpoint_set_metadata(c, key, lua_tostring(L, -1), err);
    lua_pop(L, 1);
  }
  return status;
}

static void check_extra(lua_State *L, int arg) {
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "option 'extra': keys and values are strings");
    if (lua_rawlen(L, -2) > 100) luaL_error(L, "option 'extra': a key is too long");
    if (strlen(lua_tostring(L, -2)) < lua_rawlen(L, -2) ||
        strlen(lua_tostring(L, -1)) < lua_rawlen(L, -1))
      luaL_error(L, "option 'extra': no key or value has a zero in it");
    lua_pop(L, 1);
  }
}

static int model_save(lua_State *L) {
  static const char *const names[] = {"half", "training", "batches", "extra", NULL};
  model *m = check(L, 1);
  const char *path = luaL_checkstring(L, 2);
  lnd_opts(L, 3, names);
  bool half = lnd_opt_bool(L, 3, "half", false), training = lnd_opt_bool(L, 3, "training", false);
  lua_settop(L, 3);
  bool given = !lua_isnil(L, 3), batches = false, extra = false, writes = true;
  if (given) {
    batches = lnd_opt(L, 3, "batches") != LUA_TNIL;      /* batches at 4 */
    if (batches) writes = lnd_check_batches(L, 4, 1);  /* before a checkpoint is there to be lost */
    extra = lnd_opt(L, 3, "extra") != LUA_TNIL;          /* extra at 5 */
    if (extra) {
      luaL_checktype(L, 5, LUA_TTABLE);
      check_extra(L, 5);
    }
  }
  if (half && training) return luaL_error(L, "option 'half': a training goes on from full precision");
  if (training && m->trainer.net == NULL) return luaL_error(L, "option 'training': it has not learnt yet");
  nd_checkpoint c = {0};
  nd_error err;
  nd_status status = ND_OK;
  if (batches) status = lnd_batches_save(L, 4, writes ? &c : NULL, &err);
  if (status == ND_OK && !writes) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (status == ND_OK) status = nd_drummer_describe(m->drummer, &c, &err);
  if (status == ND_OK && training) status = save_training(m, &c, &err);
  if (status == ND_OK && extra) status = say_extra(L, 5, &c, &err);
  if (status == ND_OK) status = nd_checkpoint_write(&c, path, half, &err);
  nd_checkpoint_clear(&c);
  if (status != ND_OK) return lnd_fail(L, &err, path);
  lua_pushboolean(L, 1);
  return 1;
}

/* model:is_finite(): true, or nil and which weight no checkpoint could hold */
static int model_is_finite(lua_State *L) {
  const model *m = check(L, 1);
  const nd_trainer *t = &m->trainer;
  nd_error err;
  nd_status status = nd_net_check(&m->drummer->net, &err);
  for (size_t i = 0; status == ND_OK && t->net != NULL && i < t->net->n_trained; i++)
    if (!isfinite(t->m[i]) || !isfinite(t->v[i]))
      status = nd_fail(&err, ND_FORMAT, "the gradient's mean square of weight %zu is not finite", i);
  if (status != ND_OK) return lnd_fail(L, &err, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static int model_extra(lua_State *L) {
  model *m = check(L, 1);
  lua_newtable(L);
  for (size_t i = 0; i < m->rest.n_strings; i++) {
    const nd_string *s = &m->rest.strings[i];
    if (strncmp(s->key, extra_prefix, sizeof extra_prefix - 1) != 0) continue;
    lua_pushstring(L, s->value);
    lua_setfield(L, -2, s->key + sizeof extra_prefix - 1);
  }
  return 1;
}

/* -------------------------------------------------------------------- settings */

static void set_integer(lua_State *L, const char *key, lua_Integer v) {
  lua_pushinteger(L, v);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double v) {
  lua_pushnumber(L, v);
  lua_setfield(L, -2, key);
}

static int model_config(lua_State *L) {
  const nd_drummer *d = check(L, 1)->drummer;
  const nd_net_config *c = &d->net.config;
  lua_newtable(L);
  lua_pushstring(L, d->preset);
  lua_setfield(L, -2, "preset");
  lua_pushstring(L, nd_features_names[d->features.kind]);
  lua_setfield(L, -2, "features");
  set_integer(L, "inputs", c->inputs);
  set_integer(L, "voices", c->voices);
  set_integer(L, "layers", c->layers);
  set_integer(L, "hidden", c->hidden);
  set_integer(L, "window", c->window);
  set_integer(L, "encoder", c->encoder);
  set_integer(L, "encoded", c->encoded);
  lua_pushboolean(L, c->causal);
  lua_setfield(L, -2, "causal");
  set_integer(L, "styles", d->styles.n);
  set_integer(L, "steps", d->steps);
  set_integer(L, "batch", d->batch);
  set_integer(L, "parameters", (lua_Integer)d->net.n_trained);
  set_number(L, "macs", nd_net_macs(&d->net));
  nd_inference_weights borrowed;
  const nd_inference_weights *weights = nd_drummer_weights(d, &borrowed);
  set_integer(L, "step_bytes", (lua_Integer)nd_inference_weights_bytes(weights, c->causal));
  set_number(L, "dropout", c->window > 0 ? (double)c->head_dropout : (double)c->dropout);
  set_number(L, "temperature", (double)d->temperature);
  set_number(L, "cutoff", (double)d->cutoff);
  set_integer(L, "forced", d->forced);
  lua_newtable(L);                                            /* config,look_back */
  for (int32_t k = 0; k < d->features.n_back; k++) {
    lua_pushinteger(L, d->features.back[k]);
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "look_back");
  return 1;
}

static int model_tokeniser(lua_State *L) {
  return lnd_push_tokeniser(L, &check(L, 1)->drummer->tokeniser);
}

static int model_threads(lua_State *L) {
  model *m = check(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= 256, 2, "threads are in 1..256");
  m->threads = (int)n;
  return 0;
}

/* ---------------------------------------------------------------------- styles */

/* model:learn_styles(corpus, split, most): how many */
static int model_learn_styles(lua_State *L) {
  model *m = check(L, 1);
  const nd_corpus *corpus = lnd_check(L, 2, LND_CORPUS);
  int split = luaL_checkoption(L, 3, "train", nd_split_options);
  lua_Integer most = luaL_optinteger(L, 4, ND_MAX_STYLES);
  luaL_argcheck(L, most >= 1 && most <= ND_MAX_STYLES, 4, "a number of styles is in 1..4096");
  nd_error err;
  if (lnd_finalising(L)) return luaL_error(L, "styles cannot be learnt within a finaliser");
  if (!nd_kit_equal(&nd_corpus_tokeniser(corpus)->kit, &m->drummer->tokeniser.kit))
    return luaL_argerror(L, 2, "the corpus has another kit than the model");
  nd_styles learnt = {.n = 0};
  nd_status status = nd_styles_learn(&learnt, corpus, split == 2 ? -1 : split, (int32_t)most, &err);
  if (status == ND_OK) status = nd_nca_learn(&learnt, 1, &err);
  if (status != ND_OK) {
    nd_styles_clear(&learnt);
    return lnd_fail_corpus(L, &err, 2);
  }
  nd_styles_replace(&m->drummer->styles, &learnt);
  lua_pushinteger(L, m->drummer->styles.n);
  return 1;
}

/* model:styles(seq): {{index, name, weight}, …}, in the model's order */
static int model_styles(lua_State *L) {
  const nd_styles *s = &check(L, 1)->drummer->styles;
  const nd_sequence *seq = lua_isnoneornil(L, 2) ? NULL : lnd_check(L, 2, LND_SEQUENCE);
  float *weights = lua_newuserdatauv(L, (size_t)(s->n + 1) * sizeof *weights, 0);
  nd_error err;
  for (int32_t i = 0; i < s->n; i++) weights[i] = 1.0f / (float)s->n;
  if (seq != NULL && nd_styles_weights(s, seq, weights, &err) != ND_OK) return lnd_raise(L, &err);
  lua_createtable(L, s->n, 0);                                /* list */
  const char *name = s->names;
  for (int32_t i = 0; i < s->n; i++) {
    size_t n = strcspn(name, "\n");
    lua_createtable(L, 0, 3);                                 /* list,style */
    set_integer(L, "index", i + 1);
    set_number(L, "weight", (double)weights[i]);
    lua_pushlstring(L, name, n);
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, i + 1);
    name += n + 1;
  }
  return 1;
}

/* -------------------------------------------------------------------- learning */

static nd_status need_trainer(lua_State *L, model *m, nd_error *err) {
  nd_status status = ND_OK;
  if (m->trainer.net == NULL) {
    status = nd_trainer_make(&m->trainer, &m->drummer->net, m->seed, err);
    if (status == ND_OK) lnd_grew(L, 3 * m->drummer->net.n_trained * sizeof(float));
  }
  m->trainer.threads = m->threads;
  return status;
}

static int model_train_step(lua_State *L) {
  static const char *const names[] = {"rate", "clip", "beta1", "beta2", "epsilon", NULL};
  model *m = check(L, 1);
  nd_batch *batch = lnd_check_batch(L, 2);
  nd_adam_options o = nd_adam_defaults;
  lnd_opts(L, 3, names);
  o.rate = (float)lnd_opt_num(L, 3, "rate", (double)o.rate, 0.0, 10.0);
  o.clip = (float)lnd_opt_num(L, 3, "clip", (double)o.clip, 0.0, 1e9);
  o.beta1 = (float)lnd_opt_num(L, 3, "beta1", (double)o.beta1, 0.0, 0.9999999);
  o.beta2 = (float)lnd_opt_num(L, 3, "beta2", (double)o.beta2, 0.0, 0.9999999);
  o.epsilon = (float)lnd_opt_num(L, 3, "epsilon", (double)o.epsilon, 1e-30, 1.0);
  nd_error err;
  double loss = 0, norm = 0;
  nd_status status = need_trainer(L, m, &err);
  nd_drummer_unpack(m->drummer);  /* the step changes the weights */
  if (status == ND_OK) status = nd_trainer_step(&m->trainer, batch, &o, &loss, &norm, &err);
  if (status != ND_OK) return lnd_fail(L, &err, NULL);
  lua_pushnumber(L, loss);
  lua_pushnumber(L, norm);
  return 2;
}

static int model_loss(lua_State *L) {
  model *m = check(L, 1);
  nd_batch *batch = lnd_check_batch(L, 2);
  nd_error err;
  double sum = 0;
  int64_t count = 0;
  const nd_net_config *c = &m->drummer->net.config;
  size_t rows = (size_t)batch->targets * (size_t)batch->streams;
  float *logits = lua_newuserdatauv(L, rows * (size_t)nd_net_outputs(c) * sizeof *logits, 0);
  nd_status status = need_trainer(L, m, &err);
  if (status == ND_OK) status = nd_trainer_loss(&m->trainer, batch, &sum, &count, logits, &err);
  if (status != ND_OK) return lnd_fail(L, &err, NULL);
  lua_Integer guessed = 0, struck = 0, both = 0;
  for (size_t i = 0; i < rows * (size_t)c->voices && !c->touch; i++) {
    if (batch->mask[i] <= 0.0f) continue;
    bool guess = logits[i] >= 0.0f, hit = batch->y[i] > 0.5f;
    guessed += guess;
    struck += hit;
    both += guess && hit;
  }
  lua_pushnumber(L, count > 0 ? sum / (double)count : 0.0);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushinteger(L, guessed);
  lua_pushinteger(L, struck);
  lua_pushinteger(L, both);
  return 5;
}

/* model:training_bytes{batch, steps}: the weights, what a trainer adds, a batch */
static int model_training_bytes(lua_State *L) {
  static const char *const names[] = {"batch", "steps", NULL};
  const nd_drummer *d = check(L, 1)->drummer;
  const nd_net_config *c = &d->net.config;
  lnd_opts(L, 2, names);
  int32_t streams = (int32_t)lnd_opt_int(L, 2, "batch", d->batch, 1, 65536);
  int32_t steps = (int32_t)lnd_opt_int(L, 2, "steps", d->steps, 1, 65536);
  if (c->window > 0) steps = c->window;
  nd_batch batch = {.steps = steps, .streams = streams, .inputs = c->inputs, .voices = c->voices,
                    .targets = c->window > 0 ? 1 : steps, .y_width = nd_net_targets(c),
                    .carried = nd_net_carried(c)};
  size_t bytes = d->net.size * sizeof(float) + nd_trainer_bytes(&d->net, steps, streams) +
                 nd_batch_bytes(&batch);
  lua_pushinteger(L, (lua_Integer)bytes);
  return 1;
}

/* --------------------------------------------------------------------- tensors */

static const nd_tensor *check_tensor(lua_State *L, const model *m, int arg) {
  const char *name = luaL_checkstring(L, arg);
  const nd_tensor *t = nd_net_tensor(&m->drummer->net, name);
  if (t == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "no tensor '%s'", name));
  return t;
}

static int push_values(lua_State *L, const nd_tensor *t, const float *values) {
  lua_createtable(L, t->size > 1 << 26 ? 0 : (int)t->size, 0);
  for (size_t i = 0; i < t->size; i++) {
    lua_pushnumber(L, (lua_Number)values[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_createtable(L, 2, 0);
  for (int32_t k = 0; k < t->rank; k++) {
    lua_pushinteger(L, t->shape[k]);
    lua_rawseti(L, -2, k + 1);
  }
  return 2;
}

static int model_tensor(lua_State *L) {
  model *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  return push_values(L, t, m->drummer->net.block + t->offset);
}

static int model_gradient(lua_State *L) {
  model *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  luaL_argcheck(L, t->trained, 2, "it is a running statistic, which has no gradient");
  if (m->trainer.net == NULL) return luaL_error(L, "no gradient before a training step");
  return push_values(L, t, m->trainer.gradient + t->offset);
}

static int model_set_tensor(lua_State *L) {
  model *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, lua_rawlen(L, 3) == t->size, 3,
                lua_pushfstring(L, "%I values are needed", (LUAI_UACINT)t->size));
  for (size_t i = 0; i < t->size; i++) {  /* all are looked at before one is set */
    double v = lua_rawgeti(L, 3, (lua_Integer)i + 1) == LUA_TNUMBER ? lua_tonumber(L, -1) : HUGE_VAL;
    if (!(v >= -3e38 && v <= 3e38))
      return luaL_argerror(L, 3, lua_pushfstring(L, "value %I is not a finite number", (LUAI_UACINT)i + 1));
    lua_pop(L, 1);
  }
  nd_drummer_unpack(m->drummer);
  for (size_t i = 0; i < t->size; i++) {
    lua_rawgeti(L, 3, (lua_Integer)i + 1);
    m->drummer->net.block[t->offset + i] = (float)lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return 0;
}

static int model_tensors(lua_State *L) {
  const nd_net *net = &check(L, 1)->drummer->net;
  lua_createtable(L, net->n_tensors, 0);
  for (int32_t i = 0; i < net->n_tensors; i++) {
    lua_pushstring(L, net->tensors[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int model_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_MODEL);
  const model *m = box->p;
  if (m == NULL) {
    lua_pushliteral(L, "model: closed");
    return 1;
  }
  const nd_net_config *c = &m->drummer->net.config;
  lua_pushfstring(L, "model: %s, %d x LSTM %d, %d inputs, %d voices, %I parameters",
                  m->drummer->preset, c->layers, c->hidden, c->inputs, c->voices,
                  (LUAI_UACINT)m->drummer->net.n_trained);
  return 1;
}

void lnd_open_model(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"save", model_save},           {"extra", model_extra},
      {"is_finite", model_is_finite}, {"config", model_config},
      {"tokeniser", model_tokeniser},
      {"train_step", model_train_step}, {"loss", model_loss},
      {"training_bytes", model_training_bytes},
      {"tensor", model_tensor},       {"gradient", model_gradient},
      {"set_tensor", model_set_tensor}, {"tensors", model_tensors},
      {"learn_styles", model_learn_styles}, {"styles", model_styles},
      {"threads", model_threads},     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", model_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"model", core_model}, {"load_model", core_load_model},
                                       {NULL, NULL}};
  lnd_type(L, LND_MODEL, methods, meta, model_free);
  luaL_setfuncs(L, functions, 0);
}
