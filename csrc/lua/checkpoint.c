/* checkpoint.c - core.load_model and model:save: models as files, and with them what
 * training needs to resume. A checkpoint has the drummer's entries, and of a training
 *   adam.m, adam.v  Adam's moments
 *   "training"      Adam's step, and dropout's generator: "step state stream"
 *   "batches", "streams"   see batches.c
 *   "extra.KEY"     strings of the caller. */
#include "../net/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "model.h"

static const char extra_prefix[] = "extra.";

/* Far more than any training takes, so that the counter cannot overflow after a load. */
static const int64_t max_training_steps = INT64_MAX / 2;

/* Adds Adam's moments and counters, and the state of dropout's random numbers. */
static nd_status save_training(const lnd_model_object *m, nd_checkpoint *c, nd_error *err) {
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

/* Three decimal numbers with a space between; false for anything else, or for a number
 * beyond 64 bits. */
static bool parse_training(const char *text, int64_t *step, nd_rng *rng) {
  char *end;
  errno = 0;
  *step = strtoll(text, &end, 10);
  if (end == text || *end != ' ') return false;
  rng->state = strtoull(text = end + 1, &end, 10);
  if (end == text || *end != ' ') return false;
  rng->stream = strtoull(text = end + 1, &end, 10) | 1u;  /* a stream is odd */
  return end != text && *end == '\0' && errno == 0 && *step >= 0 && *step <= max_training_steps;
}

/* Whether an entry has n finite values that are not below `min`. */
static bool is_moment(const nd_entry *e, size_t n, float min) {
  bool good = e != NULL && e->size == n;
  for (size_t i = 0; good && i < n; i++) good = isfinite(e->values[i]) && e->values[i] >= min;
  return good;
}

/* Makes a trainer from the checkpoint, if that has the state of one. Every value is
 * checked, because a file may hold anything: a moment that is not finite would spoil
 * all weights. */
static nd_status restore_training(lnd_model_object *m, nd_error *err) {
  const char *text = nd_checkpoint_string(&m->loaded, "training");
  if (text == NULL) return ND_OK;
  const nd_entry *am = nd_checkpoint_entry(&m->loaded, "adam.m");
  const nd_entry *av = nd_checkpoint_entry(&m->loaded, "adam.v");
  size_t n = m->drummer->net.n_trained;
  int64_t step;
  nd_rng rng;
  if (!is_moment(am, n, -HUGE_VALF) || !is_moment(av, n, 0.0f) ||
      !parse_training(text, &step, &rng))
    return nd_fail(err, ND_FORMAT, "the saved state of the training is malformed");
  nd_status status = nd_trainer_make(&m->trainer, &m->drummer->net, 0, err);
  if (status != ND_OK) return status;
  memcpy(m->trainer.m, am->values, n * sizeof(float));
  memcpy(m->trainer.v, av->values, n * sizeof(float));
  m->trainer.step = step;
  m->trainer.rng = rng;
  return ND_OK;
}

/* core.load_model(path) -> model, or nil and a message */
static int core_load_model(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  nd_error err;
  lnd_model_object *m = lnd_push_model(L, path);              /* model */
  nd_status status = nd_checkpoint_read(&m->loaded, path, &err);
  if (status == ND_OK) status = nd_drummer_restore(&m->drummer, &m->loaded, &err);
  if (status == ND_OK) status = restore_training(m, &err);
  if (status != ND_OK) {
    lnd_close(L, -1);
    return lnd_fail(L, &err, path);
  }
  nd_checkpoint_drop_except(&m->loaded, "streams");  /* the trainer has copied the moments */
  lnd_grew(L, m->drummer->net.size * sizeof(float));
  return 1;
}

/* Raises an error unless the table at `arg` has strings that metadata can hold. */
static void check_extra(lua_State *L, int arg) {
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);                                             /* key */
  while (lua_next(L, arg) != 0) {                             /* key,value */
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "option 'extra': keys and values are strings");
    if (lua_rawlen(L, -2) > 100) luaL_error(L, "option 'extra': a key is longer than 100 bytes");
    if (strlen(lua_tostring(L, -2)) < lua_rawlen(L, -2) ||
        strlen(lua_tostring(L, -1)) < lua_rawlen(L, -1))
      luaL_error(L, "option 'extra': a key or value contains a zero byte");
    lua_pop(L, 1);
  }
}

/* Adds the strings of the table at `arg`, which check_extra() has seen. */
static nd_status add_extra(lua_State *L, int arg, nd_checkpoint *c, nd_error *err) {
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

/* model:save(path, {half, training, batches, extra}) -> true, or nil and a message.
 * With shared batches every process calls it and the first one writes. */
static int model_save(lua_State *L) {
  static const char *const names[] = {"half", "training", "batches", "extra", NULL};
  enum { OPTIONS = 3, BATCHES, EXTRA };
  const lnd_model_object *m = lnd_check_model(L, 1);
  const char *path = luaL_checkstring(L, 2);
  lnd_opts(L, OPTIONS, names);
  lua_settop(L, OPTIONS);
  const bool half = lnd_opt_bool(L, OPTIONS, "half", false);
  const bool training = lnd_opt_bool(L, OPTIONS, "training", false);
  const bool batches = lnd_opt(L, OPTIONS, "batches") != LUA_TNIL;   /* batches */
  const bool extra = lnd_opt(L, OPTIONS, "extra") != LUA_TNIL;       /* batches,extra */
  /* all that may raise an error comes before there is a checkpoint to leak */
  const bool writes = !batches || lnd_check_batches_of(L, BATCHES, 1);
  if (extra) check_extra(L, EXTRA);
  if (half && training)
    return luaL_error(L, "options 'half' and 'training': training resumes from full precision");
  if (training && m->trainer.net == NULL)
    return luaL_error(L, "option 'training': the model has not been trained yet");
  nd_checkpoint c = {0};
  nd_error err;
  nd_status status = batches ? lnd_batches_save(L, BATCHES, writes ? &c : NULL, &err) : ND_OK;
  if (writes) {
    if (status == ND_OK) status = nd_drummer_describe(m->drummer, &c, &err);
    if (status == ND_OK && training) status = save_training(m, &c, &err);
    if (status == ND_OK && extra) status = add_extra(L, EXTRA, &c, &err);
    if (status == ND_OK) status = nd_checkpoint_write(&c, path, half, &err);
  }
  nd_checkpoint_clear(&c);
  return lnd_result(L, status, &err, path);
}

/* model:extra(): the caller's strings of the file that it was loaded from */
static int model_extra(lua_State *L) {
  const lnd_model_object *m = lnd_check_model(L, 1);
  const size_t n = sizeof extra_prefix - 1;
  lua_newtable(L);                                            /* extra */
  for (size_t i = 0; i < m->loaded.n_strings; i++) {
    const nd_string *s = &m->loaded.strings[i];
    if (strncmp(s->key, extra_prefix, n) == 0) lnd_set_str(L, s->key + n, s->value);
  }
  return 1;
}

void lnd_open_checkpoint(lua_State *L) {
  static const luaL_Reg methods[] = {{"save", model_save}, {"extra", model_extra}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"load_model", core_load_model}, {NULL, NULL}};
  lnd_add_methods(L, &lnd_model, methods);
  luaL_setfuncs(L, functions, 0);
}
