/* lnd.h - what the bindings share: userdata, errors, option tables, paused work.
 *
 * Ownership. The object behind a userdata lies in a box that counts its owners:
 * the userdata is one, and every object that uses it (a generator its model,
 * batches their corpus) is another. Closing a userdata, by close(), a <close>
 * variable or the collector, gives up the userdata's share only, so that
 * nothing which is in use is freed. No Lua value is needed to keep an object
 * alive, hence none can be taken away.
 *
 * Trust. A program with the debug library can give any userdata any metatable
 * and call any finaliser. So a userdata is ours only if it holds its own address
 * and the tag of its class, whatever its metatable; metatables are never read
 * back for anything but their name.
 *
 * Finalisers. An allocation from Lua may run a finaliser, which may close the
 * object that a binding works on. What is closed within a finaliser is therefore
 * released only when its userdata is collected: after lnd_check() a binding may
 * use the object until it returns. A function that replaces a part of an object
 * refuses to work within a finaliser (lnd_finalising).
 *
 * Units. Songs, bars, steps, voices and channels are numbered from 1 in Lua and from 0
 * in the engine; velocities are 0..1 in Lua. Bindings convert where a value enters
 * or leaves, and nowhere else.
 *
 * Notation. A comment at the end of a line, such as list,item in a comment's marks,
 * names the values on top of the stack after that line, the top one last.
 *
 * Errors. Misuse and failed allocations raise an error. I/O errors and malformed
 * files return nil and a message (lnd_fail).
 */
#ifndef LND_H
#define LND_H

#include <lauxlib.h>
#include <lua.h>

#include "../midi/chunks.h"
#include "../music/sequence.h"

/* -------------------------------------------------------------------- userdata */

/* A class of userdata. `release` frees an object, never NULL. */
typedef struct lnd_class {
  const char *name;   /* of the metatable in the registry */
  void (*release)(void *object);
} lnd_class;

extern const lnd_class lnd_song, lnd_tokeniser, lnd_sequence, lnd_corpus, lnd_corpus_writer,
    lnd_batches, lnd_model, lnd_generator;

#define LND_WORLD "neuraldrummer.world"   /* an nd_allreduce, of neuraldrummer.mpi */

/* The owners' common box. */
typedef struct lnd_box {
  void *p;           /* the object; NULL: not made yet, or taken out */
  void (*release)(void *object);
  int owners;
  char label[];      /* for messages, e.g. the path it was opened by; may be "" */
} lnd_box;

/* A new userdata on the stack and its box, still empty ("closed"): the caller
 * makes the object and stores it in `p`. If an error is raised before, nothing
 * leaks. `label` may be NULL. */
lnd_box *lnd_push(lua_State *L, const lnd_class *class, const char *label);

/* The object of the userdata at `arg`. Raises an error for another type of value
 * or a closed object. lnd_peek() returns NULL for a closed one; lnd_test() also
 * for any other value. */
void *lnd_check(lua_State *L, int arg, const lnd_class *class);
void *lnd_peek(lua_State *L, int arg, const lnd_class *class);
void *lnd_test(lua_State *L, int arg, const lnd_class *class);

/* The label of the object at `arg`, "" for a closed one. */
const char *lnd_label(lua_State *L, int arg, const lnd_class *class);

/* A share of the object at `arg`, which the caller gives up with lnd_release().
 * Raises an error as lnd_check() does. */
lnd_box *lnd_retain(lua_State *L, int arg, const lnd_class *class);
void lnd_release(lnd_box *box);   /* NULL is fine */

/* Takes the object out of its box: it is the caller's, and closed for all others. */
void *lnd_take(lua_State *L, int arg, const lnd_class *class);

/* Closes the userdata at `index`, as close() does. */
void lnd_close(lua_State *L, int index);

/* Whether a finaliser is running. */
bool lnd_finalising(lua_State *L);

/* Registers a class in this Lua state: `methods` (and close) behind __index,
 * `meta` in the metatable. NULL methods: users never see such an object.
 * Leaves nothing on the stack. */
void lnd_type(lua_State *L, const lnd_class *class, const luaL_Reg *methods, const luaL_Reg *meta);

/* Adds methods that live in another file than their class. */
void lnd_add_methods(lua_State *L, const lnd_class *class, const luaL_Reg *methods);

/* What a class's __pairs returns: `next`, called with the object and an index
 * from 0, the object at index 1, and 0. */
int lnd_pairs(lua_State *L, lua_CFunction next);

/* Tells the collector that `bytes` were allocated outside of Lua. */
void lnd_grew(lua_State *L, size_t bytes);

/* n * size zeroed bytes, to be freed; raises an error without memory. */
void *lnd_calloc(lua_State *L, size_t n, size_t size);

/* The modules are libraries of their own and exchange boxes, so that they must
 * agree on their layout. lnd_check_core() raises an error unless
 * neuraldrummer.core is loaded, from the same build as the module `name`. */
#define LND_BUILD "nd.build"   /* where the registry has core's lnd_build() */
const char *lnd_build(void);
void lnd_check_core(lua_State *L, const char *name);

/* ---------------------------------------------------------------------- errors */

/* ND_NOMEM and ND_MISUSE raise an error. Any other status pushes nil and a
 * message ("what: text" unless `what` is NULL) and returns 2. */
int lnd_fail(lua_State *L, const nd_error *err, const char *what);

/* Pushes true for ND_OK and returns 1; else as lnd_fail(). */
int lnd_result(lua_State *L, nd_status status, const nd_error *err, const char *what);

/* Raises `err` as an error, whatever its status. Never returns. */
int lnd_raise(lua_State *L, const nd_error *err);
int lnd_nomem(lua_State *L);

/* ---------------------------------------------------------------------- tables */

/* Set a field of the table on top of the stack. */
void lnd_set_int(lua_State *L, const char *key, lua_Integer value);
void lnd_set_num(lua_State *L, const char *key, double value);
void lnd_set_str(lua_State *L, const char *key, const char *value);
void lnd_set_bool(lua_State *L, const char *key, bool value);

/* Option tables. lnd_opts() comes first: it raises an error for a key that is not
 * in the NULL-ended list `names`, naming the nearest. Each lnd_opt_* then reads
 * one key, or returns `def`; it raises an error that names the key for a wrong
 * type or range. `arg` may be none or nil. No metamethod is called. */
void lnd_opts(lua_State *L, int arg, const char *const *names);
lua_Integer lnd_opt_int(lua_State *L, int arg, const char *key, lua_Integer def, lua_Integer min,
                        lua_Integer max);
double lnd_opt_num(lua_State *L, int arg, const char *key, double def, double min, double max);
bool lnd_opt_bool(lua_State *L, int arg, const char *key, bool def);
/* Index in the NULL-ended `choices`. */
int lnd_opt_choice(lua_State *L, int arg, const char *key, int def, const char *const *choices);
/* Pushes the value and returns its type, LUA_TNIL when it is not given. */
int lnd_opt(lua_State *L, int arg, const char *key);
/* Pushes the value, which keeps the string alive: a finaliser may change the table. */
const char *lnd_opt_str(lua_State *L, int arg, const char *key, const char *def);
nd_midi_limits lnd_opt_limits(lua_State *L, int arg);   /* max_bytes, max_events, max_tracks */

bool lnd_has_name(const char *key, const char *const *names);
const char *lnd_nearest(const char *key, const char *const *names);

/* Each file's opener: registers its classes and adds its functions to the module
 * table on top of the stack. */
void lnd_open_song(lua_State *L);
void lnd_open_smf(lua_State *L);
void lnd_open_tokeniser(lua_State *L);
void lnd_open_sequence(lua_State *L);
void lnd_open_corpus(lua_State *L);
void lnd_open_ingest(lua_State *L);
void lnd_open_batches(lua_State *L);
void lnd_open_model(lua_State *L);
void lnd_open_trainer(lua_State *L);
void lnd_open_checkpoint(lua_State *L);
void lnd_open_generator(lua_State *L);
void lnd_open_likelihood(lua_State *L);
void lnd_open_explain(lua_State *L);
void lnd_open_job(lua_State *L);
void lnd_open_host(lua_State *L);
void lnd_open_lock(lua_State *L);
void lnd_open_humanise(lua_State *L);
void lnd_open_file(lua_State *L);

#endif
