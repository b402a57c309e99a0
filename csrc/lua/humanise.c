/* humanise.c - core.humanise: velocities and offsets for hits that are known. */
#include "../play/humanise.h"

#include "direction.h"
#include "model.h"
#include "push.h"

enum { MODEL = 1, SEQUENCE, OPTIONS };

typedef struct humanise {
  nd_humanise *h;
  float amount;
  uint64_t seed;
  const uint8_t *mask;
} humanise;

/* Pushes the humanised Sequence. */
static void finish(lua_State *L, lnd_job *job) {
  const humanise *w = job->context;
  nd_sequence *out;
  nd_error err;
  if (nd_humanise_end(w->h, w->amount, w->seed, w->mask, &out, &err) != ND_OK) lnd_raise(L, &err);
  (void)lnd_push_sequence(L, out);
}

/* core.humanise(model, seq, {amount, seed, mask}, pause) -> sequence */
static int core_humanise(lua_State *L) {
  static const char *const names[] = {"amount", "seed", "mask", NULL};
  (void)lnd_check_model(L, MODEL);
  (void)lnd_check(L, SEQUENCE, &lnd_sequence);
  lnd_opts(L, OPTIONS, names);
  lnd_job *job = lnd_job_begin(L, finish, sizeof(humanise));
  nd_drummer *d = ((lnd_model_object *)lnd_job_retain(L, job, MODEL, &lnd_model))->drummer;
  const nd_sequence *seq = lnd_job_retain(L, job, SEQUENCE, &lnd_sequence);
  humanise *w = job->context;
  w->amount = (float)lnd_opt_num(L, OPTIONS, "amount", 1.0, 0.0, 1.0);
  w->seed = (uint64_t)lnd_opt_int(L, OPTIONS, "seed", 1, 0, LUA_MAXINTEGER);
  w->mask = lnd_opt_mask(L, OPTIONS, job, seq);
  nd_drummer_pack(d);
  nd_error err;
  if (nd_humanise_make(&w->h, d, seq, &err) != ND_OK) return lnd_raise(L, &err);
  job->work = nd_humanise_job(w->h);
  return lnd_job_run(L);
}

void lnd_open_humanise(lua_State *L) {
  static const luaL_Reg functions[] = {{"humanise", core_humanise}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
