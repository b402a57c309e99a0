/* trainer.c - model:train_step, model:loss and model:training_bytes: a model and its
 * batches. */
#include "../net/trainer.h"

#include "batches.h"
#include "model.h"

/* The trainer is made at its first use: a model that only plays needs no gradient. */
static nd_status need_trainer(lua_State *L, lnd_model_object *m, nd_error *err) {
  nd_status status = ND_OK;
  if (m->trainer.net == NULL) {
    status = nd_trainer_make(&m->trainer, &m->drummer->net, m->seed, err);
    if (status == ND_OK) lnd_grew(L, 3 * m->drummer->net.n_trained * sizeof(float));
  }
  m->trainer.threads = m->threads;
  return status;
}

/* model:train_step(batches, {rate, clip, beta1, beta2, epsilon}) -> loss, norm */
static int model_train_step(lua_State *L) {
  static const char *const names[] = {"rate", "clip", "beta1", "beta2", "epsilon", NULL};
  lnd_model_object *m = lnd_check_model(L, 1);
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

/* model:loss(batches) -> mean loss, grid cells that count, and how many of these are
 * predicted hits (probability of at least 1/2), hits, and both */
static int model_loss(lua_State *L) {
  lnd_model_object *m = lnd_check_model(L, 1);
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
  lua_Integer predicted = 0, hits = 0, both = 0;
  for (size_t i = 0; i < rows * (size_t)c->voices && !c->touch; i++) {
    if (batch->mask[i] <= 0.0f) continue;
    bool guess = logits[i] >= 0.0f, hit = batch->y[i] > 0.5f;
    predicted += guess;
    hits += hit;
    both += guess && hit;
  }
  lua_pushnumber(L, count > 0 ? sum / (double)count : 0.0);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushinteger(L, predicted);
  lua_pushinteger(L, hits);
  lua_pushinteger(L, both);
  return 5;
}

/* model:training_bytes{batch, steps}: the weights, the trainer and one batch */
static int model_training_bytes(lua_State *L) {
  static const char *const names[] = {"batch", "steps", NULL};
  const nd_drummer *d = lnd_check_drummer(L, 1);
  const nd_net_config *c = &d->net.config;
  lnd_opts(L, 2, names);
  int32_t streams = (int32_t)lnd_opt_int(L, 2, "batch", d->batch, 1, 65536);
  int32_t steps = (int32_t)lnd_opt_int(L, 2, "steps", d->steps, 1, 65536);
  if (c->window > 0) steps = c->window;
  nd_batch batch = nd_batch_of(c, steps, streams);
  size_t bytes = d->net.size * sizeof(float) + nd_trainer_bytes(&d->net, steps, streams) +
                 nd_batch_bytes(&batch);
  lua_pushinteger(L, (lua_Integer)bytes);
  return 1;
}

void lnd_open_trainer(lua_State *L) {
  static const luaL_Reg methods[] = {{"train_step", model_train_step}, {"loss", model_loss},
                                     {"training_bytes", model_training_bytes}, {NULL, NULL}};
  lnd_add_methods(L, &lnd_model, methods);
}
