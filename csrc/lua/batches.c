/* batches.c - the batches userdata: batches of a corpus, or one of the caller's own
 * numbers. In a checkpoint, "batches" is the sampler's position and the tensor
 * "streams" the recurrent state of all streams. */
#include "batches.h"

#include <math.h>
#include <stdlib.h>

#include "../learn/sampler.h"
#include "../learn/stream_state.h"
#include "model.h"

typedef struct batches {
  nd_sampler *sampler;           /* NULL: the caller's own numbers */
  lnd_box *corpus, *model, *world;   /* shares of what the sampler uses; world may be NULL */
  nd_batch single;               /* the caller's own numbers */
  bool filled;
} batches;

/* The sampler uses corpus, model and world, so it is freed before their shares. */
static void release(void *p) {
  batches *b = p;
  nd_sampler_free(b->sampler);
  nd_batch_clear(&b->single);
  lnd_release(b->corpus);
  lnd_release(b->model);
  lnd_release(b->world);
  free(b);
}

const lnd_class lnd_batches = {"neuraldrummer.batches", release};

/* As mpi.so names it: only ever looked at here. */
static const lnd_class world_class = {LND_WORLD, NULL};

/* Batches whose world was left must not be used: their sums would go to a
 * communicator that has been freed. */
static batches *check(lua_State *L, int arg) {
  batches *b = lnd_check(L, arg, &lnd_batches);
  if (b->world != NULL && b->world->p == NULL)
    luaL_argerror(L, arg, "the processes that share these batches have left their world");
  return b;
}

static nd_batch *batch_of(batches *b) {
  return b->sampler != NULL ? nd_sampler_batch(b->sampler) : &b->single;
}

/* After next() returned false or failed, the batch has stale numbers. */
nd_batch *lnd_check_batch(lua_State *L, int arg) {
  batches *b = check(L, arg);
  if (!b->filled) luaL_argerror(L, arg, "no batch yet: call next() first");
  return batch_of(b);
}

/* A checkpoint with the position of batches for another model could not be resumed: they
 * may have other sizes, and their streams' state belongs to other weights. */
bool lnd_check_batches_of(lua_State *L, int arg, int model) {
  batches *b = check(L, arg);
  if (b->sampler != NULL && b->model->p != lnd_check(L, model, &lnd_model))
    luaL_error(L, "option 'batches': they are for another model");
  return nd_shard_is_main(&batch_of(b)->shard);
}

/* The network that they are for. */
static const nd_net_config *config_of(const batches *b) {
  return &((const lnd_model_object *)b->model->p)->drummer->net.config;
}

/* The sampler's position goes into the metadata, the recurrent state of all streams into
 * a tensor. Collecting the streams of all processes is a collective operation. */
nd_status lnd_batches_save(lua_State *L, int arg, nd_checkpoint *c, nd_error *err) {
  batches *b = check(L, arg);
  if (b->sampler == NULL) return ND_OK;  /* the caller has the numbers */
  const nd_batch *batch = batch_of(b);
  if (c == NULL) return nd_stream_state_gather(batch, config_of(b), NULL, err);
  char *position = NULL;
  int64_t n = (int64_t)nd_stream_state_size(batch);
  float *streams = nd_calloc((size_t)n, sizeof *streams);
  if (streams == NULL) return nd_nomem(err);
  nd_status status = nd_stream_state_gather(batch, config_of(b), streams, err);
  if (status == ND_OK) status = nd_sampler_save(b->sampler, &position, err);
  if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "batches", position, err);
  if (status == ND_OK) status = nd_checkpoint_add(c, "streams", 1, &n, streams, err);
  free(position);
  free(streams);
  return status;
}

/* Restores what lnd_batches_save() saved. *of_corpus: the error concerns the corpus,
 * too, and not the checkpoint alone. */
static nd_status resume(batches *b, const nd_checkpoint *c, bool *of_corpus, nd_error *err) {
  const char *position = nd_checkpoint_string(c, "batches");
  const nd_entry *streams = nd_checkpoint_entry(c, "streams");
  nd_batch *batch = nd_sampler_batch(b->sampler);
  *of_corpus = false;
  if (position == NULL || streams == NULL || nd_checkpoint_string(c, "training") == NULL)
    return nd_fail(err, ND_FORMAT, "has no saved training to resume");
  nd_status status = nd_sampler_restore(b->sampler, position, err);
  *of_corpus = status != ND_OK;
  if (status != ND_OK) return status;
  bool good = streams->size == nd_stream_state_size(batch);
  for (size_t i = 0; good && i < streams->size; i++) good = isfinite(streams->values[i]);
  if (!good) return nd_fail(err, ND_FORMAT, "the saved state of the training is malformed");
  nd_stream_state_take(batch, config_of(b), streams->values);
  return ND_OK;
}

/* Pushes batches that are still empty. */
static batches *push(lua_State *L) {
  lnd_box *box = lnd_push(L, &lnd_batches, NULL);                   /* batches */
  return box->p = lnd_calloc(L, 1, sizeof(batches));
}

/* Nil and a message that begins with the files concerned. */
static int fail_new(lua_State *L, const nd_error *err, bool resuming, bool of_corpus) {
  const char *corpus = lnd_label(L, 1, &lnd_corpus), *model = lnd_label(L, 3, &lnd_model);
  lnd_close(L, -1);
  if (!resuming) return lnd_fail(L, err, corpus);
  if (model[0] == '\0') model = "the model";
  return lnd_fail(L, err, of_corpus ? lua_pushfstring(L, "%s, of %s", model, corpus) : model);
}

/* corpus:batches{model = …} */
static int corpus_batches(lua_State *L) {
  static const char *const names[] = {"model", "split", "batch", "steps", "seed", "shuffle",
                                      "history_dropout", "resume", "world", NULL};
  enum { CORPUS = 1, OPTIONS, MODEL, WORLD };
  (void)lnd_check(L, CORPUS, &lnd_corpus);
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  lnd_opts(L, OPTIONS, names);
  lua_settop(L, OPTIONS);
  if (lnd_opt(L, OPTIONS, "model") == LUA_TNIL)                     /* model */
    return luaL_error(L, "option 'model' is missing: batches are made for its inputs");
  (void)lnd_check_drummer(L, MODEL);
  int split = lnd_opt_choice(L, OPTIONS, "split", ND_TRAIN, nd_split_options);
  nd_sampler_options o = {.split = split <= ND_VALID ? split : -1};
  o.batch = (int32_t)lnd_opt_int(L, OPTIONS, "batch", 0, 1, 65536);
  o.steps = (int32_t)lnd_opt_int(L, OPTIONS, "steps", 0, 1, 65536);
  o.seed = (uint64_t)lnd_opt_int(L, OPTIONS, "seed", 1, 0, LUA_MAXINTEGER);
  o.shuffle = lnd_opt_bool(L, OPTIONS, "shuffle", split != ND_VALID);
  o.augment = lnd_opt_bool(L, OPTIONS, "history_dropout", split != ND_VALID);
  const bool resuming = lnd_opt_bool(L, OPTIONS, "resume", false);
  const bool shared = lnd_opt(L, OPTIONS, "world") != LUA_TNIL;     /* model,world */
  batches *b = push(L);                                             /* model,world,batches */
  b->corpus = lnd_retain(L, CORPUS, &lnd_corpus);
  b->model = lnd_retain(L, MODEL, &lnd_model);
  if (shared) b->world = lnd_retain(L, WORLD, &world_class);
  o.comm = shared ? b->world->p : NULL;
  const lnd_model_object *m = b->model->p;
  nd_error err;
  bool of_corpus = true;
  nd_status status = nd_sampler_make(&b->sampler, b->corpus->p, m->drummer, &o, &err);
  if (status != ND_OK) return fail_new(L, &err, false, true);
  if (resuming) status = resume(b, &m->loaded, &of_corpus, &err);
  if (status != ND_OK) return fail_new(L, &err, true, of_corpus);
  lnd_grew(L, nd_batch_bytes(batch_of(b)));
  return 1;
}

/* ------------------------------------------------------------------- own numbers */

/* Reads a list of n numbers from an option of the table at index 2. */
static void read_numbers(lua_State *L, const char *key, float *to, size_t n, bool needed) {
  if (lnd_opt(L, 2, key) == LUA_TNIL && !needed) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_istable(L, -1) || lua_rawlen(L, -1) != n)
    luaL_error(L, "option '%s': a list of %I numbers is needed", key, (LUAI_UACINT)n);
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TNUMBER)
      luaL_error(L, "option '%s': value %I is not a number", key, (LUAI_UACINT)i + 1);
    to[i] = (float)lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* core.batch(model, {steps, batch, x, y, mask, reset}) */
static int core_batch(lua_State *L) {
  static const char *const names[] = {"steps", "batch", "x", "y", "mask", "reset", NULL};
  const nd_net_config *c = &lnd_check_drummer(L, 1)->net.config;
  luaL_checktype(L, 2, LUA_TTABLE);
  lnd_opts(L, 2, names);
  lua_settop(L, 2);
  int32_t T = (int32_t)lnd_opt_int(L, 2, "steps", c->window > 0 ? c->window : 1, 1, 65536);
  int32_t B = (int32_t)lnd_opt_int(L, 2, "batch", 1, 1, 65536);
  batches *b = push(L);                                             /* batches */
  nd_batch *batch = &b->single;
  nd_error err;
  if (nd_batch_make(batch, c, T, B, &err) != ND_OK) return lnd_raise(L, &err);
  size_t rows = (size_t)T * (size_t)B, targets = (size_t)batch->targets * (size_t)B;
  read_numbers(L, "x", batch->x, rows * (size_t)c->inputs, true);
  read_numbers(L, "y", batch->y, targets * (size_t)nd_net_targets(c), true);
  for (size_t i = 0; i < targets; i++) batch->mask[i] = 1.0f;
  read_numbers(L, "mask", batch->mask, targets, false);
  /* one number a step serves all its voices: spread from the end, in place */
  for (size_t i = targets; i-- > 0;)
    for (size_t v = (size_t)c->voices; v-- > 0;)
      batch->mask[i * (size_t)c->voices + v] = batch->mask[i];
  if (lnd_opt(L, 2, "reset") != LUA_TNIL) {                         /* batches,reset */
    if (!lua_istable(L, -1)) return luaL_error(L, "option 'reset': a list is needed");
    for (int32_t s = 0; s < B; s++) {
      lua_rawgeti(L, -1, s + 1);
      batch->reset_state[s] = lua_toboolean(L, -1) ? 1 : 0;
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  b->filled = true;
  lnd_grew(L, nd_batch_bytes(batch));
  return 1;
}

/* ----------------------------------------------------------------------- methods */

/* batches:next() -> whether there is one more in this epoch */
static int batches_next(lua_State *L) {
  batches *b = check(L, 1);
  bool more = true;
  nd_error err;
  if (b->sampler != NULL && nd_sampler_next(b->sampler, &more, &err) != ND_OK) {
    b->filled = false;
    return lnd_fail(L, &err, b->corpus->label);
  }
  b->filled = more;
  lua_pushboolean(L, more);
  return 1;
}

/* batches:count() -> batches of an epoch */
static int batches_count(lua_State *L) {
  const batches *b = check(L, 1);
  lua_pushinteger(L, b->sampler != NULL ? (lua_Integer)nd_sampler_count(b->sampler) : 1);
  return 1;
}

/* batches:position() -> epoch and batch, from 1 */
static int batches_position(lua_State *L) {
  const batches *b = check(L, 1);
  int64_t epoch = 1, batch = 1;
  if (b->sampler != NULL) nd_sampler_position(b->sampler, &epoch, &batch);
  lua_pushinteger(L, (lua_Integer)epoch);
  lua_pushinteger(L, (lua_Integer)batch);
  return 2;
}

/* batches:shape() -> steps, streams, inputs, voices */
static int batches_shape(lua_State *L) {
  const nd_batch *batch = batch_of(check(L, 1));
  lua_pushinteger(L, batch->steps);
  lua_pushinteger(L, batch->streams);
  lua_pushinteger(L, batch->inputs);
  lua_pushinteger(L, batch->voices);
  return 4;
}

/* batches:songs() -> songs of the split; 0 without a corpus */
static int batches_songs(lua_State *L) {
  const batches *b = check(L, 1);
  lua_pushinteger(L, b->sampler != NULL ? nd_sampler_songs(b->sampler) : 0);
  return 1;
}

static int batches_tostring(lua_State *L) {
  batches *b = lnd_peek(L, 1, &lnd_batches);
  if (b == NULL) {
    lua_pushliteral(L, "batches: closed");
    return 1;
  }
  const nd_batch *batch = batch_of(b);
  lua_pushfstring(L, "batches: %d steps x %d streams, %d inputs, %d voices", batch->steps,
                  batch->streams, batch->inputs, batch->voices);
  return 1;
}

void lnd_open_batches(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"next", batches_next}, {"count", batches_count}, {"position", batches_position},
    {"shape", batches_shape}, {"songs", batches_songs}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", batches_tostring}, {NULL, NULL}};
  static const luaL_Reg of_corpus[] = {{"batches", corpus_batches}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"batch", core_batch}, {NULL, NULL}};
  lnd_type(L, &lnd_batches, methods, meta);
  lnd_add_methods(L, &lnd_corpus, of_corpus);
  luaL_setfuncs(L, functions, 0);
}
