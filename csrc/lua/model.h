/* model.h - what a model userdata holds, for the bindings that train, save and play
 * it. */
#ifndef LND_MODEL_H
#define LND_MODEL_H

#include "../net/trainer.h"
#include "../play/drummer.h"
#include "lnd.h"

typedef struct lnd_model_object {
  nd_drummer *drummer;
  nd_trainer trainer;      /* .net is NULL until the first training call */
  nd_checkpoint loaded;    /* the entries of the loaded file that are not the drummer's */
  uint64_t seed;           /* of dropout */
  int threads;             /* for training, from 1 */
} lnd_model_object;

/* A new model on the stack without a drummer: the caller makes that, or closes the
 * model. `path`: the file it comes from, or NULL. */
lnd_model_object *lnd_push_model(lua_State *L, const char *path);

static inline lnd_model_object *lnd_check_model(lua_State *L, int arg) {
  return lnd_check(L, arg, &lnd_model);
}

static inline nd_drummer *lnd_check_drummer(lua_State *L, int arg) {
  return lnd_check_model(L, arg)->drummer;
}

#endif
