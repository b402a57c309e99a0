/* Where a training step's time goes: put around the engine's functions by the
 * linker (--wrap), so that the engine itself knows nothing of it. One thread.
 * For profile.lua; see `make bench-profile`. */
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>
#include <time.h>

#include "../../csrc/learn/sampler.h"
#include "../../csrc/net/adam.h"
#include "../../csrc/net/dense.h"
#include "../../csrc/net/gemm.h"
#include "../../csrc/net/output.h"
#include "../../csrc/net/kernels.h"
#include "../../csrc/net/lstm.h"
#include "../../csrc/net/trainer.h"

enum { RECURRENT, INPUTS, GRADIENTS, CELLS, DROPOUT, PACKING, HEAD, OPTIMISER, DATA, KINDS };
static const char *const names[KINDS] = {
    "recurrent products", "input products", "weights' gradients", "activations", "dropout",
    "packing", "head and loss", "norm and Adam", "data"};

static double spent[KINDS];
static int depth;  /* what is called from within what is measured belongs to that */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double enter(void) { return depth++ == 0 ? now() : 0.0; }

static void leave(int kind, double since) {
  if (--depth == 0) spent[kind] += now() - since;
}

#define WRAP(kind, name, parameters, arguments) \
  void __real_##name parameters;                \
  void __wrap_##name parameters;                \
  void __wrap_##name parameters {               \
    double since = enter();                     \
    __real_##name arguments;                    \
    leave(kind, since);                         \
  }

WRAP(RECURRENT, nd_matmul,
     (const nd_matrix *b, int32_t m, const float *a, bool add, float *c), (b, m, a, add, c))
WRAP(INPUTS, nd_matmul_blocks,
     (const nd_matrix *b, int32_t count, size_t a_stride, size_t c_stride, int32_t m,
      const float *a, bool add, float *c),
     (b, count, a_stride, c_stride, m, a, add, c))
WRAP(GRADIENTS, nd_lstm_gradient,
     (const nd_lstm_work *w, int part, int parts, float *dwx, float *dwh, float *db),
     (w, part, parts, dwx, dwh, db))
WRAP(CELLS, nd_cell_forward,
     (int32_t rows, int32_t n, float *restrict z, const float *restrict b, const float *restrict old,
      float *restrict c, float *restrict tc, float *restrict h),
     (rows, n, z, b, old, c, tc, h))
WRAP(CELLS, nd_cell_backward,
     (int32_t rows, int32_t n, float *restrict gates, const float *restrict old,
      const float *restrict tc, const float *restrict dh, float *restrict dc),
     (rows, n, gates, old, tc, dh, dc))
WRAP(DROPOUT, nd_dropout_mask, (const nd_rng *rng, float p, size_t from, int32_t n, float *mask),
     (rng, p, from, n, mask))
WRAP(DROPOUT, nd_product,
     (int32_t n, const float *restrict a, const float *restrict b, float *restrict y), (n, a, b, y))
WRAP(DROPOUT, nd_multiply, (int32_t n, const float *restrict a, float *restrict x), (n, a, x))
WRAP(PACKING, nd_lstm_pack, (const nd_lstm_work *w, bool backward, int part, int parts),
     (w, backward, part, parts))
WRAP(PACKING, nd_hits_pack, (const nd_hits_head *head, float *panels), (head, panels))
WRAP(HEAD, nd_hits_forward,
     (const nd_hits_head *h, float *p, int32_t times, int32_t next, int32_t rows,
      const float *f, const float *x, const float *y, float *logits),
     (h, p, times, next, rows, f, x, y, logits))
WRAP(HEAD, nd_hits_backward,
     (const nd_hits_head *h, float *p, int32_t times, int32_t next, int32_t rows,
      const float *d, float *df),
     (h, p, times, next, rows, d, df))
WRAP(HEAD, nd_hits_gradient,
     (const nd_hits_head *h, int32_t rows, const float *f, const float *x, const float *y,
      const float *d, float *dw, float *db, float *dskip, float *dmix),
     (h, rows, f, x, y, d, dw, db, dskip, dmix))
WRAP(HEAD, nd_hits_loss,
     (int32_t rows, int32_t voices, const float *y, const float *mask, float *logits, float scale,
      double *sums),
     (rows, voices, y, mask, logits, scale, sums))
WRAP(OPTIMISER, nd_adam_apply,
     (const nd_adam_plan *p, size_t n, float *w, const float *g, float *m, float *v),
     (p, n, w, g, m, v))

double __real_nd_sum_squares(size_t n, const float *x);
double __wrap_nd_sum_squares(size_t n, const float *x);
double __wrap_nd_sum_squares(size_t n, const float *x) {
  double since = enter(), sum = __real_nd_sum_squares(n, x);
  leave(OPTIMISER, since);
  return sum;
}

nd_status __real_nd_sampler_next(nd_sampler *s, bool *more, nd_error *err);
nd_status __wrap_nd_sampler_next(nd_sampler *s, bool *more, nd_error *err);
nd_status __wrap_nd_sampler_next(nd_sampler *s, bool *more, nd_error *err) {
  double since = enter();
  nd_status status = __real_nd_sampler_next(s, more, err);
  leave(DATA, since);
  return status;
}

/* How many of the inputs are zero, and of eights side by side, as a tile of the
 * gradients takes them. */
static double inputs, zeros, eights, zero_eights;

nd_status __real_nd_trainer_step(nd_trainer *t, nd_batch *b, const nd_adam_options *adam,
                                 double *loss, double *norm, nd_error *err);
nd_status __wrap_nd_trainer_step(nd_trainer *t, nd_batch *b, const nd_adam_options *adam,
                                 double *loss, double *norm, nd_error *err);
nd_status __wrap_nd_trainer_step(nd_trainer *t, nd_batch *b, const nd_adam_options *adam,
                                 double *loss, double *norm, nd_error *err) {
  const float *x = b->x;
  for (int32_t row = 0; row < b->steps * b->streams; row++, x += b->inputs)
    for (int32_t i = 0; i < b->inputs; i += 8, eights++) {
      int32_t n = b->inputs - i < 8 ? b->inputs - i : 8, none = 0;
      for (int32_t j = i; j < i + n; j++) none += x[j] == 0.0f;
      inputs += n;
      zeros += none;
      zero_eights += none == n;
    }
  return __real_nd_trainer_step(t, b, adam, loss, norm, err);
}

/* {{name, seconds}, …} since the last call; shares of the inputs that are zero, one
 * by one and by eights */
static int profile_spent(lua_State *L) {
  lua_createtable(L, KINDS, 0);
  for (int i = 0; i < KINDS; i++) {
    lua_createtable(L, 2, 0);
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, 1);
    lua_pushnumber(L, spent[i]);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, i + 1);
    spent[i] = 0;
  }
  lua_pushnumber(L, zeros / inputs);
  lua_pushnumber(L, zero_eights / eights);
  return 3;
}

__attribute__((visibility("default"))) int luaopen_profile(lua_State *L);

int luaopen_profile(lua_State *L) {
  lua_pushcfunction(L, profile_spent);
  return 1;
}
