/* model.c - the model userdata: a drummer's settings, styles and tensors. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../learn/nca.h"
#include "../music/corpus.h"
#include "push.h"

static lnd_model_object *check(lua_State *L, int arg) { return lnd_check_model(L, arg); }

/* Also of a model that is half-made: each of the parts may be missing. The trainer refers
 * to the drummer's network, so it is freed first. */
static void release(void *p) {
  lnd_model_object *m = p;
  nd_trainer_clear(&m->trainer);
  nd_drummer_free(m->drummer);
  nd_checkpoint_clear(&m->loaded);
  free(m);
}

const lnd_class lnd_model = {"neuraldrummer.model", release};

lnd_model_object *lnd_push_model(lua_State *L, const char *path) {
  lnd_box *box = lnd_push(L, &lnd_model, path);               /* model */
  lnd_model_object *m = lnd_calloc(L, 1, sizeof *m);
  m->threads = 1;
  m->seed = 1;
  return box->p = m;
}

/* core.model{…} -> model with random weights. -1 means "the preset's" to the engine. */
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
  if (lnd_opt(L, 1, "tokeniser") != LUA_TNIL)                 /* options,tokeniser */
    o.tokeniser = lnd_check(L, 2, &lnd_tokeniser);
  o.preset = lnd_opt_str(L, 1, "preset", "drummer");          /* options,tokeniser,preset */
  lnd_model_object *m = lnd_push_model(L, NULL);              /* …,model */
  m->seed = o.seed;
  nd_error err;
  if (nd_drummer_make(&m->drummer, &o, &err) != ND_OK) {
    lnd_close(L, -1);
    return lnd_raise(L, &err);
  }
  lnd_grew(L, m->drummer->net.size * sizeof(float));
  return 1;
}

/* model:is_finite(): true, or nil and the first value that no checkpoint could hold */
static int model_is_finite(lua_State *L) {
  const lnd_model_object *m = check(L, 1);
  const nd_trainer *t = &m->trainer;
  nd_error err;
  nd_status status = nd_net_check(&m->drummer->net, &err);
  for (size_t i = 0; status == ND_OK && t->net != NULL && i < t->net->n_trained; i++)
    if (!isfinite(t->m[i]) || !isfinite(t->v[i]))
      status = nd_fail(&err, ND_FORMAT, "the gradient's mean square of weight %zu is not finite",
                       i);
  return lnd_result(L, status, &err, NULL);
}

/* model:config() -> a table of settings and sizes */
static int model_config(lua_State *L) {
  const nd_drummer *d = check(L, 1)->drummer;
  const nd_net_config *c = &d->net.config;
  lua_newtable(L);                                            /* config */
  lnd_set_str(L, "preset", d->preset);
  lnd_set_str(L, "features", nd_features_names[d->features.kind]);
  lnd_set_int(L, "inputs", c->inputs);
  lnd_set_int(L, "voices", c->voices);
  lnd_set_int(L, "layers", c->layers);
  lnd_set_int(L, "hidden", c->hidden);
  lnd_set_int(L, "window", c->window);
  lnd_set_int(L, "encoder", c->encoder);
  lnd_set_int(L, "encoded", c->encoded);
  lnd_set_bool(L, "causal", c->causal);
  lnd_set_int(L, "styles", d->styles.n);
  lnd_set_int(L, "steps", d->steps);
  lnd_set_int(L, "batch", d->batch);
  lnd_set_int(L, "parameters", (lua_Integer)d->net.n_trained);
  lnd_set_num(L, "macs", nd_net_macs(&d->net));
  const nd_inference_weights *weights = nd_drummer_weights(d);
  lnd_set_int(L, "step_bytes", (lua_Integer)nd_inference_weights_bytes(weights, c->causal));
  lnd_set_num(L, "dropout", c->window > 0 ? (double)c->head_dropout : (double)c->dropout);
  lnd_set_num(L, "temperature", (double)d->temperature);
  lnd_set_num(L, "cutoff", (double)d->cutoff);
  lnd_set_int(L, "forced", d->forced);
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

/* model:threads(n): for training */
static int model_threads(lua_State *L) {
  lnd_model_object *m = check(L, 1);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= 256, 2, "the number of threads is not in 1..256");
  m->threads = (int)n;
  return 0;
}

/* ------------------------------------------------------------------------ styles */

/* model:learn_styles(corpus, split, max) -> how many. New styles are learnt beside the old
 * ones and replace them only at the end, so that a failure changes nothing. Performances
 * that are paused notice the replacement and fail. */
static int model_learn_styles(lua_State *L) {
  lnd_model_object *m = check(L, 1);
  const nd_corpus *corpus = lnd_check(L, 2, &lnd_corpus);
  int split = luaL_checkoption(L, 3, "train", nd_split_options);
  lua_Integer max = luaL_optinteger(L, 4, ND_MAX_STYLES);
  if (max < 1 || max > ND_MAX_STYLES)
    return luaL_argerror(L, 4, lua_pushfstring(L, "the number of styles is not in 1..%d",
                                               ND_MAX_STYLES));
  nd_error err;
  /* a generator may be in the middle of reading the styles that this replaces */
  if (lnd_finalising(L)) return luaL_error(L, "styles cannot be learnt within a finaliser");
  if (!nd_kit_equal(&nd_corpus_tokeniser(corpus)->kit, &m->drummer->tokeniser.kit))
    return luaL_argerror(L, 2, "the corpus has another kit than the model");
  nd_styles learnt = {.n = 0};
  nd_status status =
      nd_styles_learn(&learnt, corpus, split > ND_VALID ? -1 : split, (int32_t)max, &err);
  if (status == ND_OK) status = nd_nca_learn(&learnt, 1, &err);
  if (status != ND_OK) {
    nd_styles_clear(&learnt);
    return lnd_fail(L, &err, lnd_label(L, 2, &lnd_corpus));
  }
  nd_styles_replace(&m->drummer->styles, &learnt);
  lua_pushinteger(L, m->drummer->styles.n);
  return 1;
}

/* model:styles(seq): {{index, name, weight}, …}, in the model's order */
static int model_styles(lua_State *L) {
  const nd_styles *s = &check(L, 1)->drummer->styles;
  const nd_sequence *seq = lua_isnoneornil(L, 2) ? NULL : lnd_check(L, 2, &lnd_sequence);
  float *weights = lua_newuserdatauv(L, (size_t)(s->n + 1) * sizeof *weights, 0);
  nd_error err;
  for (int32_t i = 0; i < s->n; i++) weights[i] = 1.0f / (float)s->n;
  if (seq != NULL && nd_styles_weights(s, seq, weights, &err) != ND_OK) return lnd_raise(L, &err);
  lua_createtable(L, s->n, 0);                                /* list */
  const char *name = s->names;  /* all names, each ended by a newline */
  for (int32_t i = 0; i < s->n; i++) {
    size_t n = strcspn(name, "\n");
    lua_createtable(L, 0, 3);                                 /* list,style */
    lnd_set_int(L, "index", i + 1);
    lnd_set_num(L, "weight", (double)weights[i]);
    lua_pushlstring(L, name, n);                              /* list,style,name */
    lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, i + 1);
    name += n + 1;
  }
  return 1;
}

/* ----------------------------------------------------------------------- tensors */

/* The tensor whose name is at `arg`. */
static const nd_tensor *check_tensor(lua_State *L, const lnd_model_object *m, int arg) {
  const char *name = luaL_checkstring(L, arg);
  const nd_tensor *t = nd_net_tensor(&m->drummer->net, name);
  if (t == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "no tensor '%s'", name));
  return t;
}

/* Pushes the values as a flat list, and the shape. */
static int push_values(lua_State *L, const nd_tensor *t, const float *values) {
  (void)lnd_push_numbers(L, values, t->size, 1);              /* values */
  lua_createtable(L, 2, 0);                                   /* values,shape */
  for (int32_t k = 0; k < t->rank; k++) {
    lua_pushinteger(L, t->shape[k]);
    lua_rawseti(L, -2, k + 1);
  }
  return 2;
}

/* model:tensor(name) -> values, shape */
static int model_tensor(lua_State *L) {
  const lnd_model_object *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  return push_values(L, t, m->drummer->net.block + t->offset);
}

/* model:gradient(name) -> values, shape; of the last train_step() */
static int model_gradient(lua_State *L) {
  const lnd_model_object *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  luaL_argcheck(L, t->trained, 2, "a running statistic has no gradient");
  if (m->trainer.net == NULL) return luaL_error(L, "there is no gradient before a training step");
  return push_values(L, t, m->trainer.gradient + t->offset);
}

/* model:set_tensor(name, values). Packed copies of the weights are dropped first, or
 * players would go on with the old values. */
static int model_set_tensor(lua_State *L) {
  lnd_model_object *m = check(L, 1);
  const nd_tensor *t = check_tensor(L, m, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, lua_rawlen(L, 3) == t->size, 3,
                lua_pushfstring(L, "%I values are needed", (LUAI_UACINT)t->size));
  for (size_t i = 0; i < t->size; i++) {  /* check all before setting one */
    const int type = lua_rawgeti(L, 3, (lua_Integer)i + 1);
    double v = type == LUA_TNUMBER ? lua_tonumber(L, -1) : HUGE_VAL;
    if (!(v >= -3e38 && v <= 3e38))
      return luaL_argerror(L, 3, lua_pushfstring(L, "value %I is not a finite number",
                                                 (LUAI_UACINT)i + 1));
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

/* model:tensors() -> names */
static int model_tensors(lua_State *L) {
  const nd_net *net = &check(L, 1)->drummer->net;
  lua_createtable(L, net->n_tensors, 0);                      /* list */
  for (int32_t i = 0; i < net->n_tensors; i++) {
    lua_pushstring(L, net->tensors[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int model_tostring(lua_State *L) {
  const lnd_model_object *m = lnd_peek(L, 1, &lnd_model);
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
    {"is_finite", model_is_finite}, {"config", model_config}, {"tokeniser", model_tokeniser},
    {"threads", model_threads}, {"learn_styles", model_learn_styles}, {"styles", model_styles},
    {"tensor", model_tensor}, {"gradient", model_gradient}, {"set_tensor", model_set_tensor},
    {"tensors", model_tensors}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", model_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"model", core_model}, {NULL, NULL}};
  lnd_type(L, &lnd_model, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
