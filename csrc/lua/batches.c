/* batches.c - the batches userdata: out of a corpus, or of the caller's own
 * numbers. User values: 1 the corpus, 2 the model, 3 the world that shares them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../learn/sampler.h"
#include "../learn/stream_state.h"
#include "lnd.h"

typedef struct batches {
  nd_sampler *sampler;   /* NULL: the caller's own numbers */
  nd_batch own;
  bool filled;
} batches;

static void batches_free(void *p) {
  batches *b = p;
  nd_sampler_free(b->sampler);
  nd_batch_clear(&b->own);
  free(b);
}

/* Raises when the corpus or the model behind it was closed. */
static batches *check(lua_State *L, int arg) {
  batches *b = lnd_check(L, arg, LND_BATCHES);
  if (b->sampler == NULL) return b;
  lnd_check_parent(L, arg, 1);
  lnd_check_parent(L, arg, 2);
  if (nd_sampler_batch(b->sampler)->shard.comm != NULL) lnd_check_parent(L, arg, 3);
  return b;
}

static nd_batch *batch_of(batches *b) {
  return b->sampler != NULL ? nd_sampler_batch(b->sampler) : &b->own;
}

nd_batch *lnd_check_batch(lua_State *L, int arg) {
  batches *b = check(L, arg);
  if (!b->filled) luaL_argerror(L, arg, "no batch yet: call next() first");
  return batch_of(b);
}

bool lnd_check_batches(lua_State *L, int arg, int model) {
  batches *b = check(L, arg);
  if (b->sampler != NULL) {  /* else its numbers are the caller's, and not saved */
    if (lnd_push_parent(L, arg, 2) != lua_touserdata(L, model))
      luaL_error(L, "option 'batches': they are for another model");
    lua_pop(L, 1);
  }
  return nd_shard_is_main(&batch_of(b)->shard);
}

/* The net that the batches are for; it is behind them. */
static const nd_net_config *config_of(lua_State *L, int arg) {
  (void)lnd_push_parent(L, arg, 2);
  const nd_net_config *c = &lnd_check_drummer(L, -1)->net.config;
  lua_pop(L, 1);
  return c;
}

nd_status lnd_batches_save(lua_State *L, int arg, nd_checkpoint *c, nd_error *err) {
  batches *b = check(L, arg);
  if (b->sampler == NULL) return ND_OK;  /* its numbers are the caller's */
  const nd_batch *batch = batch_of(b);
  const nd_net_config *config = config_of(L, arg);
  if (c == NULL) return nd_stream_state_gather(batch, config, NULL, err);
  char *place = NULL;
  int64_t n = (int64_t)nd_stream_state_size(batch);
  float *streams = nd_calloc((size_t)n, sizeof *streams);
  if (streams == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  nd_status status = nd_stream_state_gather(batch, config, streams, err);
  if (status == ND_OK) status = nd_sampler_save(b->sampler, &place, err);
  if (status == ND_OK) status = nd_checkpoint_set_metadata(c, "batches", place, err);
  if (status == ND_OK) status = nd_checkpoint_add(c, "streams", 1, &n, streams, err);
  free(place);
  free(streams);
  return status;
}

/* The place and the streams that the model's checkpoint holds. *of_corpus: what goes
 * wrong has to do with the corpus, too. */
static nd_status go_on(batches *b, const nd_net_config *config, const nd_checkpoint *rest,
                       bool *of_corpus, nd_error *err) {
  const char *place = nd_checkpoint_string(rest, "batches");
  const nd_entry *streams = nd_checkpoint_entry(rest, "streams");
  nd_batch *batch = nd_sampler_batch(b->sampler);
  *of_corpus = false;
  if (place == NULL || streams == NULL || nd_checkpoint_string(rest, "training") == NULL)
    return nd_fail(err, ND_FORMAT, "holds no training to go on with");
  *of_corpus = true;
  nd_status status = nd_sampler_restore(b->sampler, place, err);
  if (status != ND_OK) return status;
  *of_corpus = false;
  bool sound = streams->size == nd_stream_state_size(batch);
  for (size_t i = 0; sound && i < streams->size; i++) sound = isfinite(streams->values[i]);
  if (!sound) return nd_fail(err, ND_FORMAT, "the state of its training is broken");
  nd_stream_state_take(batch, config, streams->values);
  return ND_OK;
}

static batches *push(lua_State *L, lnd_box **box) {
  *box = lnd_push(L, LND_BATCHES, 3);
  batches *b = nd_calloc(1, sizeof *b);
  if (b == NULL) luaL_error(L, "not enough memory");
  (*box)->p = b;
  return b;
}

/* corpus:batches{model = …} */
int lnd_corpus_batches(lua_State *L) {
  static const char *const names[] = {"model", "split", "batch", "steps", "seed", "shuffle",
                                      "history_dropout", "resume", "world", NULL};
  const nd_corpus *corpus = lnd_check(L, 1, LND_CORPUS);
  luaL_checktype(L, 2, LUA_TTABLE);
  lnd_opts(L, 2, names);
  lua_settop(L, 2);
  lnd_opt(L, 2, "model");                                      /* model at 3 */
  if (lua_isnil(L, 3)) return luaL_error(L, "option 'model': whose inputs are to be filled");
  nd_drummer *d = lnd_check_drummer(L, 3);
  int split = lnd_opt_choice(L, 2, "split", 0, nd_split_options);
  nd_sampler_options o = {.split = split == 2 ? -1 : split};
  o.batch = (int32_t)lnd_opt_int(L, 2, "batch", 0, 1, 65536);
  o.steps = (int32_t)lnd_opt_int(L, 2, "steps", 0, 1, 65536);
  o.seed = (uint64_t)lnd_opt_int(L, 2, "seed", 1, 0, LUA_MAXINTEGER);
  o.shuffle = lnd_opt_bool(L, 2, "shuffle", split != 1);
  o.augment = lnd_opt_bool(L, 2, "history_dropout", split != 1);
  bool resume = lnd_opt_bool(L, 2, "resume", false);
  if (lnd_opt(L, 2, "world") != LUA_TNIL) o.comm = lnd_check(L, 4, LND_WORLD);  /* world at 4 */
  lnd_box *box;
  batches *b = push(L, &box);                                       /* box */
  lnd_stand(L, -1, 1, 1);
  lnd_stand(L, -1, 2, 3);
  if (o.comm != NULL) lnd_stand(L, -1, 3, 4);
  nd_error err;
  bool of_corpus = true, of_model = false;
  nd_status status = nd_sampler_make(&b->sampler, corpus, d, &o, &err);
  if (status == ND_OK && resume) {
    of_model = true;
    status = go_on(b, &d->net.config, lnd_model_rest(L, 3), &of_corpus, &err);
  }
  if (status != ND_OK) {
    box->p = NULL;
    batches_free(b);
    if (!of_model) return lnd_fail_corpus(L, &err, 1);
    const char *path = lnd_push_model_path(L, 3);
    if (of_corpus) path = lua_pushfstring(L, "%s, of %s", path, lnd_push_corpus_path(L, 1));
    return lnd_fail(L, &err, path);
  }
  lnd_grew(L, nd_batch_bytes(batch_of(b)));
  return 1;
}

/* ------------------------------------------------------------- own numbers */

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
  lnd_box *box;
  batches *b = push(L, &box);
  nd_error err;
  if (nd_batch_make(&b->own, T, B, c->inputs, c->voices, nd_net_targets(c),
                    c->window > 0 ? 1 : T, nd_net_carried(c), &err) != ND_OK)
    return lnd_raise(L, &err);
  size_t rows = (size_t)T * (size_t)B, targets = (size_t)b->own.targets * (size_t)B;
  read_numbers(L, "x", b->own.x, rows * (size_t)c->inputs, true);
  read_numbers(L, "y", b->own.y, targets * (size_t)nd_net_targets(c), true);
  for (size_t i = 0; i < targets; i++) b->own.mask[i] = 1.0f;
  read_numbers(L, "mask", b->own.mask, targets, false);
  for (size_t i = targets; i-- > 0;)  /* one number a step serves all its voices */
    for (size_t v = (size_t)c->voices; v-- > 0;)
      b->own.mask[i * (size_t)c->voices + v] = b->own.mask[i];
  if (lnd_opt(L, 2, "reset") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 2, "option 'reset': a list is needed");
    for (int32_t s = 0; s < B; s++) {
      lua_rawgeti(L, -1, s + 1);
      b->own.reset_state[s] = lua_toboolean(L, -1) ? 1 : 0;
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  b->filled = true;
  lnd_grew(L, nd_batch_bytes(&b->own));
  return 1;
}

/* -------------------------------------------------------------------- methods */

static int batches_next(lua_State *L) {
  batches *b = check(L, 1);
  bool more = true;
  nd_error err;
  if (b->sampler != NULL && nd_sampler_next(b->sampler, &more, &err) != ND_OK) {
    b->filled = false;
    lua_getiuservalue(L, 1, 1);                                     /* corpus */
    return lnd_fail_corpus(L, &err, lua_gettop(L));
  }
  b->filled = more;
  lua_pushboolean(L, more);
  return 1;
}

static int batches_count(lua_State *L) {
  const batches *b = check(L, 1);
  lua_pushinteger(L, b->sampler != NULL ? (lua_Integer)nd_sampler_count(b->sampler) : 1);
  return 1;
}

static int batches_position(lua_State *L) {
  const batches *b = check(L, 1);
  int64_t epoch = 1, batch = 1;
  if (b->sampler != NULL) nd_sampler_position(b->sampler, &epoch, &batch);
  lua_pushinteger(L, (lua_Integer)epoch);
  lua_pushinteger(L, (lua_Integer)batch);
  return 2;
}

static int batches_shape(lua_State *L) {
  batches *b = check(L, 1);
  const nd_batch *batch = batch_of(b);
  lua_pushinteger(L, batch->steps);
  lua_pushinteger(L, batch->streams);
  lua_pushinteger(L, batch->inputs);
  lua_pushinteger(L, batch->voices);
  return 4;
}

static int batches_songs(lua_State *L) {
  const batches *b = check(L, 1);
  lua_pushinteger(L, b->sampler != NULL ? nd_sampler_songs(b->sampler) : 0);
  return 1;
}

static int batches_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_BATCHES);
  if (box->p == NULL) {
    lua_pushliteral(L, "batches: closed");
    return 1;
  }
  const nd_batch *batch = batch_of(box->p);
  lua_pushfstring(L, "batches: %d steps x %d streams, %d inputs, %d voices", batch->steps,
                  batch->streams, batch->inputs, batch->voices);
  return 1;
}

void lnd_open_batches(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", batches_next},   {"count", batches_count},
                                     {"position", batches_position}, {"shape", batches_shape},
                                     {"songs", batches_songs},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", batches_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"batch", core_batch}, {NULL, NULL}};
  lnd_type(L, LND_BATCHES, methods, meta, batches_free);
  luaL_setfuncs(L, functions, 0);
}
