/* corpus.c - core.create_corpus and core.open_corpus. The label of a corpus and of a
 * writer is its path, which messages begin with. */
#include "../music/corpus.h"

#include "push.h"

/* Fails for a song of the corpus at `arg`. */
static int fail_song(lua_State *L, const nd_error *err, int arg, lua_Integer song) {
  const char *what = lua_pushfstring(L, "%s: song %I", lnd_label(L, arg, &lnd_corpus),
                                     (LUAI_UACINT)song);  /* what */
  const int results = lnd_fail(L, err, what);             /* what,nil,message */
  lua_remove(L, -results - 1);  /* an iterator returns what lies below as well */
  return results;
}

/* ------------------------------------------------------------------------ writer */

static void release_writer(void *w) { nd_corpus_abandon(w); }

const lnd_class lnd_corpus_writer = {"neuraldrummer.corpus_writer", release_writer};

static nd_corpus_writer *check_writer(lua_State *L) { return lnd_check(L, 1, &lnd_corpus_writer); }

static const char *writer_path(lua_State *L) { return lnd_label(L, 1, &lnd_corpus_writer); }

/* core.create_corpus(path, tokeniser) -> writer, or nil and a message */
static int create_corpus(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const nd_tokeniser *tok = lnd_check(L, 2, &lnd_tokeniser);
  lnd_box *box = lnd_push(L, &lnd_corpus_writer, path);   /* writer */
  nd_corpus_writer *w;
  nd_error err;
  if (nd_corpus_create(&w, path, tok, &err) != ND_OK) return lnd_fail(L, &err, path);
  box->p = w;
  return 1;
}

/* writer:add(sequence, split) -> true, or nil and a message */
static int writer_add(lua_State *L) {
  nd_corpus_writer *w = check_writer(L);
  const nd_sequence *seq = lnd_check(L, 2, &lnd_sequence);
  int split = luaL_checkoption(L, 3, "train", nd_split_names);
  nd_error err;
  return lnd_result(L, nd_corpus_add(w, seq, (nd_split)split, &err), &err, writer_path(L));
}

/* writer:append(corpus, first, last): copies songs of another corpus */
static int writer_append(lua_State *L) {
  nd_corpus_writer *w = check_writer(L);
  const nd_corpus *from = lnd_check(L, 2, &lnd_corpus);
  lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, nd_corpus_count(from));
  nd_error err;
  luaL_argcheck(L, first >= 1, 3, "songs are numbered from 1");
  luaL_argcheck(L, last <= nd_corpus_count(from), 4, "the corpus has fewer songs");
  for (lua_Integer i = first; i <= last; i++) {
    nd_status status = nd_corpus_append(w, from, (int32_t)i - 1, &err);
    if (status == ND_FORMAT) return fail_song(L, &err, 2, i);  /* the fault of what is read */
    if (status != ND_OK) return lnd_fail(L, &err, writer_path(L));
  }
  lua_pushboolean(L, true);
  return 1;
}

/* writer:finish() -> true, or nil and a message */
static int writer_finish(lua_State *L) {
  (void)check_writer(L);
  if (lnd_finalising(L)) return luaL_error(L, "a corpus cannot be finished within a finaliser");
  nd_error err;
  /* the engine frees the writer, whether it fails or not */
  nd_status status = nd_corpus_finish(lnd_take(L, 1, &lnd_corpus_writer), &err);
  return lnd_result(L, status, &err, writer_path(L));
}

static int writer_tostring(lua_State *L) {
  const bool open = lnd_peek(L, 1, &lnd_corpus_writer) != NULL;
  lua_pushstring(L, open ? "corpus writer" : "corpus writer (closed)");
  return 1;
}

/* ------------------------------------------------------------------------ corpus */

static void release_corpus(void *c) { nd_corpus_close(c); }

const lnd_class lnd_corpus = {"neuraldrummer.corpus", release_corpus};

static nd_corpus *check(lua_State *L) { return lnd_check(L, 1, &lnd_corpus); }

/* The song number at argument 2, 1..songs, as an index from 0. */
static int32_t check_song(lua_State *L, const nd_corpus *c) {
  lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 1 || i > nd_corpus_count(c))
    luaL_argerror(L, 2, lua_pushfstring(L, "there is no song %I: the corpus has %d", (LUAI_UACINT)i,
                                        (int)nd_corpus_count(c)));
  return (int32_t)(i - 1);
}

/* core.open_corpus(path, tokeniser) -> corpus, or nil and a message */
static int open_corpus(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const nd_tokeniser *tok = lua_isnoneornil(L, 2) ? NULL : lnd_check(L, 2, &lnd_tokeniser);
  lnd_box *box = lnd_push(L, &lnd_corpus, path);          /* corpus */
  nd_corpus *c;
  nd_error err;
  if (nd_corpus_open(&c, path, tok, &err) != ND_OK) return lnd_fail(L, &err, path);
  box->p = c;
  return 1;
}

/* Pushes the song, or nil and a message. */
static int push_song(lua_State *L, nd_corpus *c, int32_t song) {
  nd_sequence *seq;
  nd_error err;
  if (nd_corpus_read(c, song, &seq, &err) == ND_OK) return lnd_push_sequence(L, seq);
  return fail_song(L, &err, 1, (lua_Integer)song + 1);
}

/* corpus:song(i) -> sequence, or nil and a message */
static int corpus_song(lua_State *L) {
  nd_corpus *c = check(L);
  return push_song(L, c, check_song(L, c));
}

/* The iterator of pairs(corpus): object, i -> i + 1, sequence */
static int corpus_next(lua_State *L) {
  nd_corpus *c = check(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || i >= nd_corpus_count(c)) return 0;
  lua_pushinteger(L, i + 1);
  return 1 + push_song(L, c, (int32_t)i);
}

static int corpus_pairs(lua_State *L) { return lnd_pairs(L, corpus_next); }

/* corpus:info(i) -> {name, steps, split}, from the index alone */
static int corpus_info(lua_State *L) {
  const nd_corpus *c = check(L);
  int32_t song = check_song(L, c);
  lua_createtable(L, 0, 3);                               /* info */
  lnd_set_str(L, "name", nd_corpus_name(c, song));
  lnd_set_int(L, "steps", nd_corpus_steps(c, song));
  lnd_set_str(L, "split", nd_split_names[nd_corpus_split(c, song)]);
  return 1;
}

/* corpus:path() -> the path that it was opened by */
static int corpus_path(lua_State *L) {
  (void)check(L);
  lua_pushstring(L, lnd_label(L, 1, &lnd_corpus));
  return 1;
}

static int corpus_settings(lua_State *L) {
  return lnd_push_settings(L, nd_corpus_tokeniser(check(L)));
}

static int corpus_tokeniser(lua_State *L) {
  return lnd_push_tokeniser(L, nd_corpus_tokeniser(check(L)));
}

static int corpus_len(lua_State *L) {
  lua_pushinteger(L, nd_corpus_count(check(L)));
  return 1;
}

static int corpus_tostring(lua_State *L) {
  const nd_corpus *c = lnd_peek(L, 1, &lnd_corpus);
  if (c == NULL) {
    lua_pushliteral(L, "corpus (closed)");
    return 1;
  }
  lua_Integer steps = 0;
  for (int32_t i = 0; i < nd_corpus_count(c); i++) steps += nd_corpus_steps(c, i);
  lua_pushfstring(L, "corpus: %d songs, %I steps, %s", (int)nd_corpus_count(c),
                  (LUAI_UACINT)steps, nd_corpus_tokeniser(c)->kit.name);
  return 1;
}

void lnd_open_corpus(lua_State *L) {
  static const luaL_Reg writer_methods[] = {
    {"add", writer_add}, {"append", writer_append}, {"finish", writer_finish}, {NULL, NULL}};
  static const luaL_Reg writer_meta[] = {{"__tostring", writer_tostring}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
    {"song", corpus_song}, {"info", corpus_info}, {"settings", corpus_settings},
    {"path", corpus_path}, {"tokeniser", corpus_tokeniser}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", corpus_len}, {"__tostring", corpus_tostring},
                                  {"__pairs", corpus_pairs}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"create_corpus", create_corpus}, {"open_corpus", open_corpus}, {NULL, NULL}};
  lnd_type(L, &lnd_corpus_writer, writer_methods, writer_meta);
  lnd_type(L, &lnd_corpus, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
