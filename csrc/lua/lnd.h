/* lnd.h - what all glue files share: userdata, errors, option tables.
 *
 * Every userdata is a `lnd_box` with one pointer: NULL while it is half-made
 * and after close ("closed first, then filled"). Its metatable is the type's
 * name below. Children keep parents alive through user values.
 *
 * Whatever allocates from Lua may run a finaliser, and that may close the very
 * object that a method works on. What is closed then is freed later: a method
 * need not look again at what it has checked. What frees a part of an object
 * refuses to work within a finaliser.
 */
#ifndef LND_H
#define LND_H

#include <lauxlib.h>
#include <lua.h>

#include "../midi/chunks.h"
#include "../music/sequence.h"

#define LND_SONG "neuraldrummer.song"
#define LND_TOKENISER "neuraldrummer.tokeniser"
#define LND_SEQUENCE "neuraldrummer.sequence"
#define LND_CORPUS "neuraldrummer.corpus"
#define LND_CORPUS_WRITER "neuraldrummer.corpus_writer"
#define LND_BATCHES "neuraldrummer.batches"
#define LND_MODEL "neuraldrummer.model"
#define LND_GENERATOR "neuraldrummer.generator"
#define LND_WORLD "neuraldrummer.world"  /* an nd_allreduce, of neuraldrummer.mpi */
/* never seen by users: work that may pause */
#define LND_PLAYING "neuraldrummer.playing"
#define LND_LIKELIHOOD "neuraldrummer.likelihood"
#define LND_HUMANISING "neuraldrummer.humanising"

/* The modules are libraries of their own, which hand each other what is in boxes.
 * Of which version and layout this one is; `core` leaves it for the others. */
const char *lnd_build(void);

/* Raises unless neuraldrummer.core has been loaded, and is of the same build as
 * the module `name`. */
void lnd_check_core(lua_State *L, const char *name);

typedef void (*lnd_release)(void *);

typedef struct lnd_box {
  const struct lnd_box *self;   /* as no userdata but ours has it */
  void *p;
  void *later;    /* closed within a finaliser, to be freed with the box */
  lnd_release release;
  uint64_t tag;   /* of the type it was made as, whatever metatable it has now */
  uint64_t id;    /* no other box has it */
  uint64_t parents[3];   /* ids of those that its first user values shall be */
} lnd_box;

/* A new, closed box on the stack with `uservalues` user values. */
lnd_box *lnd_push(lua_State *L, const char *type, int uservalues);

/* The box, closed or not; raises for another type. */
lnd_box *lnd_check_box(lua_State *L, int arg, const char *type);

/* The box's pointer; NULL for another type or a closed object. */
void *lnd_test(lua_State *L, int arg, const char *type);

/* The box's pointer; raises for another type or a closed object. */
void *lnd_check(lua_State *L, int arg, const char *type);

/* The box stands on the one at `on`, which becomes its user value `n` of 1 to 3. */
void lnd_stand(lua_State *L, int box, int n, int on);

/* What the box at `arg` stands on, pushed; raises where that was closed, or is not
 * there any more. */
lnd_box *lnd_push_parent(lua_State *L, int arg, int n);

/* The same, and nothing pushed. */
void lnd_check_parent(lua_State *L, int arg, int n);

/* Work in slices. Where a function `pause` is given, it is called between slices
 * of a few milliseconds, and may yield; the work goes on from a continuation.
 * Meanwhile anything may be closed. */

/* Multiply-adds of the next slice: all that there are when `pause` is nil. The
 * function is then to be called with those that were done, which are pushed
 * behind it; `left` are those that were not. */
double lnd_slice(lua_State *L, int pause);
void lnd_push_pause(lua_State *L, int pause, double left);

/* Raises unless there is a function, or nothing, at `arg`. */
void lnd_check_pause(lua_State *L, int arg);

/* Raises when one of the `n` objects was closed: the work itself is, where a
 * finaliser goes on with a coroutine that was given up. */
void lnd_check_open(lua_State *L, lnd_box *const *boxes, int n);

/* Whether a finaliser is running. */
bool lnd_finalising(lua_State *L);

/* Registers a type: `methods` in a table of their own behind __index, `meta`
 * (__tostring …) in the metatable. `release` frees what a box holds, never
 * NULL: from it come the method close, __close and __gc. A type whose `methods`
 * are NULL is never seen by users. Leaves nothing. */
void lnd_type(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta,
              lnd_release release);

/* ND_NOMEM and ND_MISUSE raise; anything else pushes nil and a message
 * ("what: text" when `what` is not NULL) and returns 2. */
int lnd_fail(lua_State *L, const nd_error *err, const char *what);

/* Raises when `err` is misuse or memory; else returns nothing. For calls
 * that cannot meet the world. */
int lnd_raise(lua_State *L, const nd_error *err);

/* What a type's __pairs returns: `next`, called with the object and a number
 * from 0 on, the object at index 1, and 0. */
int lnd_pairs(lua_State *L, lua_CFunction next);

/* Tells the collector that `bytes` of foreign memory came. */
void lnd_grew(lua_State *L, size_t bytes);

/* Option tables. `names` is a NULL-ended list of the known keys; an unknown
 * one raises and names the nearest. `arg` may be none or nil. Must be called
 * first; the lnd_opt_* then read one key each, with a default, raising with
 * the key's name when type or range is wrong. */
void lnd_opts(lua_State *L, int arg, const char *const *names);
bool lnd_known(const char *key, const char *const *names);
const char *lnd_nearest(const char *key, const char *const *names);
lua_Integer lnd_opt_int(lua_State *L, int arg, const char *key, lua_Integer def,
                        lua_Integer min, lua_Integer max);
double lnd_opt_num(lua_State *L, int arg, const char *key, double def, double min, double max);
bool lnd_opt_bool(lua_State *L, int arg, const char *key, bool def);
/* Pushes the value and returns its type: LUA_TNIL when it is not given. No
 * metamethod is called: one could close what was checked before. */
int lnd_opt(lua_State *L, int arg, const char *key);
/* Pushes the value, which keeps the string: a finaliser may change the table. */
const char *lnd_opt_str(lua_State *L, int arg, const char *key, const char *def);
/* Index in the NULL-ended `choices`. */
int lnd_opt_choice(lua_State *L, int arg, const char *key, int def, const char *const *choices);

/* A reader's limits: max_bytes, max_events, max_tracks. */
nd_midi_limits lnd_opt_limits(lua_State *L, int arg);

/* Objects of one file that others make too. A Sequence is taken over, also
 * when memory runs out; the tokeniser is copied. Both leave a userdata. */
int lnd_push_sequence(lua_State *L, nd_sequence *seq);
int lnd_push_tokeniser(lua_State *L, const nd_tokeniser *tok);

/* Pushes the table that settings() gives. */
int lnd_push_settings(lua_State *L, const nd_tokeniser *tok);

/* Pushes the list of the kit's voices. */
int lnd_push_voices(lua_State *L, const nd_kit *kit);

/* A method of one type that lives in another's file. */
int lnd_corpus_batches(lua_State *L);

/* The path of the corpus at `arg`, pushed; lnd_fail with it. */
const char *lnd_push_corpus_path(lua_State *L, int arg);
int lnd_fail_corpus(lua_State *L, const nd_error *err, int arg);

/* The drummer of a model, the filled batch of a batches object: raise as
 * lnd_check does, also when what they stand on was closed. */
struct nd_drummer;
struct nd_batch;
struct nd_checkpoint;
struct nd_drummer *lnd_check_drummer(lua_State *L, int arg);
struct nd_batch *lnd_check_batch(lua_State *L, int arg);

/* The style at index `at`: the model's of that number, the style of a
 * Sequence's drums, or a list of its numbers. A userdata left on the stack. */
const float *lnd_style(lua_State *L, int at, const struct nd_drummer *drummer);

/* What the model's file held beside the model, for batches that go on, and the
 * file's path ("the model" where there is none), pushed; and
 * the batches' place and streams, added to a checkpoint, which raises only
 * where the check before it does: they are for the model at index `model`. Of batches that are shared out the first
 * process has a checkpoint, and the others NULL: so says lnd_check_batches. */
const struct nd_checkpoint *lnd_model_rest(lua_State *L, int arg);
const char *lnd_push_model_path(lua_State *L, int arg);
bool lnd_check_batches(lua_State *L, int arg, int model);
nd_status lnd_batches_save(lua_State *L, int arg, struct nd_checkpoint *c, nd_error *err);

/* Seconds of a monotonic clock. */
double lnd_seconds(void);

/* Each glue file's opener: makes its type and adds its constructors to the
 * module table on top of the stack. */
void lnd_open_smf(lua_State *L);
void lnd_open_song(lua_State *L);
void lnd_open_tokeniser(lua_State *L);
void lnd_open_sequence(lua_State *L);
void lnd_open_corpus(lua_State *L);
void lnd_open_ingest(lua_State *L);
void lnd_open_batches(lua_State *L);
void lnd_open_model(lua_State *L);
void lnd_open_generator(lua_State *L);
void lnd_open_likelihood(lua_State *L);
void lnd_open_explain(lua_State *L);
void lnd_open_host(lua_State *L);
void lnd_open_lock(lua_State *L);
void lnd_open_machine(lua_State *L);
void lnd_open_humanise(lua_State *L);
void lnd_open_drums(lua_State *L);
void lnd_open_file(lua_State *L);

#endif
