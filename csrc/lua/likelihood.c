/* likelihood.c - core.log_likelihood: how likely a model finds drums that were played. */
#include <string.h>

#include "../net/blas.h"
#include "../play/likelihood.h"
#include "lnd.h"

enum { MODEL = 1, DRUMS, OPTIONS, PAUSE, JUDGING, WORK, ANCHORS, MOST = 256 };

/* Keeps what is at the top of the stack, and pops it. */
static void anchor(lua_State *L) {
  lua_rawseti(L, ANCHORS, (lua_Integer)lua_rawlen(L, ANCHORS) + 1);
}

/* `style`: a Sequence whose drums have it, an index among the model's, its
 * numbers, or false and nil: not given. */
static const float *read_style(lua_State *L, int arg, const nd_drummer *d) {
  int type = lnd_opt(L, arg, "style"), at = lua_gettop(L);        /* style */
  if (type == LUA_TNIL || (type == LUA_TBOOLEAN && !lua_toboolean(L, at))) return NULL;
  return lnd_style(L, at, d);
}

/* Element i of option `key`, or the option itself where it is no list; pushed. */
static int element(lua_State *L, int arg, const char *key, lua_Integer i) {
  int type = lua_isnil(L, arg) ? (lua_pushnil(L), LUA_TNIL) : lnd_opt(L, arg, key);
  if (type != LUA_TTABLE) return type;
  type = lua_rawgeti(L, -1, i);
  lua_remove(L, -2);
  return type;
}

/* The box of the song, or NULL. It is kept: a pause may change the list. */
static lnd_box *read_case(lua_State *L, int arg, lua_Integer i, nd_case *c) {
  lnd_box *song = NULL;
  if (element(L, arg, "song", i) != LUA_TNIL) {
    c->song = lnd_check(L, lua_gettop(L), LND_SEQUENCE);
    song = lua_touserdata(L, -1);
  }
  anchor(L);
  if (element(L, arg, "song_step", i) != LUA_TNIL) {
    int32_t length = nd_sequence_steps(c->song != NULL ? c->song : c->drums);
    int ok;
    lua_Integer at = lua_tointegerx(L, -1, &ok);
    if (!ok || at < 1 || at > length) luaL_error(L, "option 'song_step': it is not a step of the song");
    c->at = (int32_t)at - 1;
  }
  lua_pop(L, 1);
  return song;
}

/* How many cases `song` and `at` make; 0 when neither is a list. */
static lua_Integer count_cases(lua_State *L, int arg) {
  static const char *const lists[] = {"song", "song_step", NULL};
  lua_Integer n = 0;
  for (int k = 0; lists[k] != NULL && !lua_isnil(L, arg); k++) {
    if (lnd_opt(L, arg, lists[k]) == LUA_TTABLE) {
      lua_Integer many = (lua_Integer)lua_rawlen(L, -1);
      if (many < 1 || many > 65536) luaL_error(L, "option '%s': 1 to 65536 are needed", lists[k]);
      if (n > 0 && many != n) luaL_error(L, "options 'song' and 'song_step' are lists of the same length");
      n = many;
    }
    lua_pop(L, 1);
  }
  return n;
}

/* What a judging works with: Lua's own memory, at WORK; the cases of each
 * Sequence one after another. */
typedef struct work {
  lua_Integer n;              /* Sequences of drums */
  bool list;                  /* they are a list */
  lua_Integer many;           /* hearings, where `song` or `at` is a list, or 0 */
  const float *style;
  nd_case *cases;
  float **out;
  lnd_box **boxes;            /* of all that it stands on */
  int n_boxes;
} work;

/* The likelihoods of one case, a number a step. */
static void push_case(lua_State *L, const work *w, lua_Integer i) {
  lua_createtable(L, w->cases[i].steps, 0);                             /* list */
  for (int32_t t = 0; t < w->cases[i].steps; t++) {
    lua_pushnumber(L, (lua_Number)w->out[i][t]);
    lua_rawseti(L, -2, t + 1);
  }
}

static int likelihood_on(lua_State *L, int called, lua_KContext context) {
  lnd_box *box = lua_touserdata(L, JUDGING);
  const work *w = lua_touserdata(L, WORK);
  (void)called;
  for (bool more = true; more;) {
    double products = lnd_slice(L, PAUSE);
    nd_error err;
    lnd_check_open(L, &box, 1);
    lnd_check_open(L, w->boxes, w->n_boxes);
    int former = nd_blas_threads(1);
    nd_status status = nd_likelihood_advance(box->p, &products, &more, &err);
    (void)nd_blas_threads(former);
    if (status != ND_OK) return lnd_raise(L, &err);
    if (more) {
      lnd_push_pause(L, PAUSE, products);
      lua_callk(L, 1, 0, context, likelihood_on);
    }
  }
  nd_likelihood *done = box->p;
  box->p = NULL;
  nd_likelihood_free(done);
  lua_Integer hearings = w->many > 0 ? w->many : 1;
  if (w->list) lua_createtable(L, (int)w->n, 0);                        /* [all] */
  for (lua_Integer k = 0; k < w->n; k++) {
    if (w->many > 0) lua_createtable(L, (int)w->many, 0);               /* [all,][lists] */
    for (lua_Integer i = 0; i < hearings; i++) {
      push_case(L, w, k * hearings + i);                                /* [all,][lists,]list */
      if (w->many > 0) lua_rawseti(L, -2, i + 1);
    }
    if (w->list) lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

/* The cases of the Sequence at the top of the stack; `songs` are the boxes of
 * what is heard with it. */
static void add_drums(lua_State *L, work *w, lua_Integer k) {
  int at = lua_gettop(L);
  const nd_sequence *drums = lnd_check(L, at, LND_SEQUENCE);
  int32_t length = nd_sequence_steps(drums);
  lua_Integer hearings = w->many > 0 ? w->many : 1;
  nd_case base = {.drums = drums};
  w->boxes[w->n_boxes++] = lua_touserdata(L, at);
  base.from = (int32_t)lnd_opt_int(L, OPTIONS, "from", 1, 1, length) - 1;
  base.steps = (int32_t)lnd_opt_int(L, OPTIONS, "steps", length - base.from, 1, length - base.from);
  base.at = base.from;
  base.no_history = !lnd_opt_bool(L, OPTIONS, "history", true);
  base.style = w->style;
  float *values = lua_newuserdatauv(L, (size_t)hearings * (size_t)base.steps * sizeof *values, 0);
  anchor(L);
  for (lua_Integer i = 0; i < hearings; i++) {
    nd_case *c = &w->cases[k * hearings + i];
    *c = base;
    lnd_box *song = read_case(L, OPTIONS, i + 1, c);
    if (song != NULL) w->boxes[w->n_boxes++] = song;
    w->out[k * hearings + i] = values + (size_t)i * (size_t)base.steps;
  }
}

/* core.log_likelihood(model, seq, {…}, pause): a number a step, or a list of such lists
 * when `song` or `at` is a list; one more list around when `seq` is one */
static int core_log_likelihood(lua_State *L) {
  static const char *const names[] = {"song", "song_step", "from", "steps", "style", "history", NULL};
  nd_drummer *d = lnd_check_drummer(L, MODEL);
  bool list = lua_istable(L, DRUMS);
  lua_Integer n = list ? (lua_Integer)lua_rawlen(L, DRUMS) : 1;
  if (list) luaL_argcheck(L, n >= 1 && n <= MOST, DRUMS, "1 to 256 sequences are needed");
  else (void)lnd_check(L, DRUMS, LND_SEQUENCE);
  lnd_opts(L, OPTIONS, names);
  lua_settop(L, PAUSE);
  lnd_check_pause(L, PAUSE);
  lnd_box *box = lnd_push(L, LND_LIKELIHOOD, 0);                           /* judging */
  work *w = lua_newuserdatauv(L, sizeof *w, 0);                         /* work */
  lua_newtable(L);                                                      /* anchors */
  *w = (work){.n = n, .list = list, .many = count_cases(L, OPTIONS)};
  size_t cases = (size_t)n * (size_t)(w->many > 0 ? w->many : 1);
  luaL_argcheck(L, cases <= 65536, DRUMS, "more than 65536 cases");
  w->cases = lua_newuserdatauv(L, cases * sizeof *w->cases, 0);
  anchor(L);
  w->out = lua_newuserdatauv(L, cases * sizeof *w->out, 0);
  anchor(L);
  w->boxes = lua_newuserdatauv(L, (1 + (size_t)n + cases) * sizeof *w->boxes, 0);
  anchor(L);
  w->boxes[w->n_boxes++] = lua_touserdata(L, MODEL);
  if (!lua_isnil(L, OPTIONS)) w->style = read_style(L, OPTIONS, d);     /* style[,numbers] */
  while (lua_gettop(L) > ANCHORS) anchor(L);
  for (lua_Integer k = 0; k < n; k++) {
    if (list) (void)lua_rawgeti(L, DRUMS, k + 1);
    else lua_pushvalue(L, DRUMS);                                       /* seq */
    add_drums(L, w, k);
    anchor(L);
  }
  nd_drummer_pack(d);
  nd_likelihood *made;
  nd_error err;
  if (nd_likelihood_make(&made, d, w->cases, (int32_t)cases, w->out, &err) != ND_OK)
    return lnd_raise(L, &err);
  box->p = made;
  return likelihood_on(L, LUA_OK, 0);
}

static void likelihood_free(void *p) { nd_likelihood_free(p); }

void lnd_open_likelihood(lua_State *L) {
  static const luaL_Reg functions[] = {{"log_likelihood", core_log_likelihood}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  lnd_type(L, LND_LIKELIHOOD, NULL, none, likelihood_free);
  luaL_setfuncs(L, functions, 0);
}
