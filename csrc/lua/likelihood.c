/* likelihood.c - core.log_likelihood: how likely a model finds drums that were played. */
#include "../play/likelihood.h"

#include "direction.h"
#include "model.h"
#include "push.h"

enum { MODEL = 1, DRUMS, OPTIONS, MAX_DRUMS = 256, MAX_CASES = 65536 };

/* The cases of each Sequence of drums follow one another, one for each song and step. */
typedef struct likelihood {
  lua_Integer n;              /* Sequences of drums */
  bool list;                  /* they came as a list */
  lua_Integer songs;          /* cases a Sequence, if `song` or `song_step` is a list; or 0 */
  nd_case *cases;
  float **out;                /* (cases), (steps) each */
} likelihood;

/* Pushes element i of option `key`, or the option itself where it is not a list. */
static int push_element(lua_State *L, const char *key, lua_Integer i) {
  const int type = lnd_opt(L, OPTIONS, key);                            /* option */
  if (type != LUA_TTABLE) return type;
  lua_rawgeti(L, -1, i);                                                /* option,element */
  lua_remove(L, -2);
  return lua_type(L, -1);
}

/* Reads song i and its step for a case; c->drums are set. */
static void read_case(lua_State *L, lnd_job *job, lua_Integer i, nd_case *c) {
  if (push_element(L, "song", i) != LUA_TNIL)                           /* song */
    c->song = lnd_job_retain(L, job, lua_gettop(L), &lnd_sequence);
  if (push_element(L, "song_step", i) != LUA_TNIL) {                    /* song,step */
    const int32_t length = nd_sequence_steps(c->song != NULL ? c->song : c->drums);
    int whole;
    const lua_Integer step = lua_tointegerx(L, -1, &whole);
    if (!whole || step < 1 || step > length)
      luaL_error(L, "option 'song_step': it is not a step of the song, which has %d", (int)length);
    c->at = (int32_t)step - 1;
  }
  lua_pop(L, 2);
}

/* How many cases `song` and `song_step` make; 0 when neither is a list. */
static lua_Integer count_songs(lua_State *L) {
  static const char *const lists[] = {"song", "song_step", NULL};
  lua_Integer n = 0;
  for (int k = 0; lists[k] != NULL; k++) {
    if (lnd_opt(L, OPTIONS, lists[k]) == LUA_TTABLE) {                  /* list */
      const lua_Integer length = (lua_Integer)lua_rawlen(L, -1);
      if (length < 1 || length > MAX_CASES)
        luaL_error(L, "option '%s': a list of 1 to %d is needed", lists[k], MAX_CASES);
      if (n > 0 && length != n)
        luaL_error(L, "options 'song' and 'song_step' are lists of the same length");
      n = length;
    }
    lua_pop(L, 1);
  }
  return n;
}

/* Pushes the likelihoods: a list a case, in a list a Sequence if there are several
 * songs, in a list of all if the drums came as a list. */
static void finish(lua_State *L, lnd_job *job) {
  const likelihood *w = job->context;
  const lua_Integer songs = w->songs > 0 ? w->songs : 1;
  if (w->list) lua_createtable(L, (int)w->n, 0);                        /* [all] */
  for (lua_Integer k = 0; k < w->n; k++) {
    if (w->songs > 0) lua_createtable(L, (int)songs, 0);                /* [all,][lists] */
    for (lua_Integer i = 0; i < songs; i++) {
      const nd_case *c = &w->cases[k * songs + i];
      (void)lnd_push_numbers(L, w->out[k * songs + i], (size_t)c->steps, 1);   /* …,list */
      if (w->songs > 0) lua_rawseti(L, -2, i + 1);
    }
    if (w->list) lua_rawseti(L, -2, k + 1);
  }
}

/* Makes the cases of Sequence k, which is at index `at`. They differ in song and song step
 * alone; the results of all of them are one block. */
static void add_drums(lua_State *L, lnd_job *job, lua_Integer k, int at, const float *style) {
  const likelihood *w = job->context;
  const lua_Integer songs = w->songs > 0 ? w->songs : 1;
  const nd_sequence *drums = lnd_job_retain(L, job, at, &lnd_sequence);
  const int32_t length = nd_sequence_steps(drums);
  nd_case base = {.drums = drums, .style = style};
  base.from = (int32_t)lnd_opt_int(L, OPTIONS, "from", 1, 1, length) - 1;
  base.steps = (int32_t)lnd_opt_int(L, OPTIONS, "steps", length - base.from, 1, length - base.from);
  base.at = base.from;
  base.no_history = !lnd_opt_bool(L, OPTIONS, "history", true);
  float *values = lnd_job_alloc(L, job, (size_t)songs * (size_t)base.steps * sizeof *values);
  for (lua_Integer i = 0; i < songs; i++) {
    w->cases[k * songs + i] = base;
    w->out[k * songs + i] = values + (size_t)i * (size_t)base.steps;
    read_case(L, job, i + 1, &w->cases[k * songs + i]);
  }
}

/* The style of the options, in memory of the job. */
static const float *read_style(lua_State *L, lnd_job *job, const nd_drummer *d) {
  (void)lnd_opt(L, OPTIONS, "style");                                   /* style */
  float *style = lnd_job_alloc(L, job, ND_MAX_STYLE_SIZE * sizeof *style);
  const float *read = lnd_read_style(L, lua_gettop(L), d, style);
  lua_pop(L, 1);
  return read;
}

/* core.log_likelihood(model, seq, {…}, pause): a number a step; a list of such lists
 * when `song` or `song_step` is a list; one more list around when `seq` is one */
static int core_log_likelihood(lua_State *L) {
  static const char *const names[] = {"song", "song_step", "from", "steps", "style", "history",
                                      NULL};
  (void)lnd_check_model(L, MODEL);
  const bool list = lua_istable(L, DRUMS);
  const lua_Integer n = list ? (lua_Integer)lua_rawlen(L, DRUMS) : 1;
  if (list) luaL_argcheck(L, n >= 1 && n <= MAX_DRUMS, DRUMS, "1 to 256 sequences are needed");
  else (void)lnd_check(L, DRUMS, &lnd_sequence);
  lnd_opts(L, OPTIONS, names);
  lnd_job *job = lnd_job_begin(L, finish, sizeof(likelihood));          /* …,job */
  nd_drummer *d = ((lnd_model_object *)lnd_job_retain(L, job, MODEL, &lnd_model))->drummer;
  likelihood *w = job->context;
  *w = (likelihood){.n = n, .list = list, .songs = count_songs(L)};
  const size_t cases = (size_t)n * (size_t)(w->songs > 0 ? w->songs : 1);
  luaL_argcheck(L, cases <= MAX_CASES, DRUMS, "more than 65536 sequences times songs");
  w->cases = lnd_job_alloc(L, job, cases * sizeof *w->cases);
  w->out = lnd_job_alloc(L, job, cases * sizeof *w->out);
  const float *style = read_style(L, job, d);
  for (lua_Integer k = 0; k < n; k++) {
    if (list) (void)lua_rawgeti(L, DRUMS, k + 1);
    else lua_pushvalue(L, DRUMS);                                       /* …,job,seq */
    add_drums(L, job, k, lua_gettop(L), style);
    lua_pop(L, 1);
  }
  nd_drummer_pack(d);
  nd_likelihood *l;
  nd_error err;
  if (nd_likelihood_make(&l, d, w->cases, (int32_t)cases, w->out, &err) != ND_OK)
    return lnd_raise(L, &err);
  job->work = nd_likelihood_job(l);
  return lnd_job_run(L);
}

void lnd_open_likelihood(lua_State *L) {
  static const luaL_Reg functions[] = {{"log_likelihood", core_log_likelihood}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
