/* humanise.c - core.humanise: velocities and offsets for hits that are mask. */
#include "../net/blas.h"
#include "../play/humanise.h"
#include "lnd.h"

enum { MODEL = 1, SEQUENCE, OPTIONS, PAUSE, HUMANISING, WORK, MASK };

typedef struct work {
  float amount;
  uint64_t seed;
  const uint8_t *mask;
  lnd_box *boxes[2];     /* of the model and the sequence */
} work;

static int humanise_on(lua_State *L, int called, lua_KContext context) {
  lnd_box *box = lua_touserdata(L, HUMANISING);
  const work *w = lua_touserdata(L, WORK);
  (void)called;
  for (bool more = true; more;) {
    double products = lnd_slice(L, PAUSE);
    lnd_check_open(L, &box, 1);
    lnd_check_open(L, w->boxes, 2);
    int former = nd_blas_threads(1);
    nd_error wrong;
    nd_status went = nd_humanise_advance(box->p, &products, &more, &wrong);
    (void)nd_blas_threads(former);
    if (went != ND_OK) return lnd_raise(L, &wrong);
    if (more) {
      lnd_push_pause(L, PAUSE, products);
      lua_callk(L, 1, 0, context, humanise_on);
    }
  }
  nd_sequence *out;
  nd_error err;
  nd_humanise *done = box->p;
  nd_status status = nd_humanise_end(done, w->amount, w->seed, w->mask, &out, &err);
  box->p = NULL;
  nd_humanise_free(done);
  if (status != ND_OK) return lnd_raise(L, &err);
  return lnd_push_sequence(L, out);
}

/* core.humanise(model, seq, {amount, seed, mask}, pause) -> sequence */
static int core_humanise(lua_State *L) {
  static const char *const names[] = {"amount", "seed", "mask", NULL};
  nd_drummer *touch = lnd_check_drummer(L, MODEL);
  const nd_sequence *seq = lnd_check(L, SEQUENCE, LND_SEQUENCE);
  lnd_opts(L, OPTIONS, names);
  lua_settop(L, PAUSE);
  lnd_check_pause(L, PAUSE);
  lnd_box *box = lnd_push(L, LND_HUMANISING, 0);                      /* humanising */
  work *w = lua_newuserdatauv(L, sizeof *w, 0);                     /* work */
  *w = (work){.boxes = {lua_touserdata(L, MODEL), lua_touserdata(L, SEQUENCE)}};
  w->amount = (float)lnd_opt_num(L, OPTIONS, "amount", 1.0, 0.0, 1.0);
  w->seed = (uint64_t)lnd_opt_int(L, OPTIONS, "seed", 1, 0, LUA_MAXINTEGER);
  if (!lua_isnil(L, OPTIONS) && lnd_opt(L, OPTIONS, "mask") != LUA_TNIL) {   /* mask */
    size_t n = 0, cells = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
    if (lua_type(L, MASK) != LUA_TSTRING) return luaL_error(L, "option 'mask': a string is needed");
    w->mask = (const uint8_t *)lua_tolstring(L, MASK, &n);
    if (n != cells) return luaL_error(L, "option 'mask': %I bytes are needed", (LUAI_UACINT)cells);
  }
  nd_drummer_pack(touch);
  nd_humanise *made;
  nd_error err;
  if (nd_humanise_make(&made, touch, seq, &err) != ND_OK) return lnd_raise(L, &err);
  box->p = made;
  return humanise_on(L, LUA_OK, 0);
}

static void humanising_free(void *p) { nd_humanise_free(p); }

void lnd_open_humanise(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  lnd_type(L, LND_HUMANISING, NULL, none, humanising_free);
  lua_pushcfunction(L, core_humanise);
  lua_setfield(L, -2, "humanise");
}
