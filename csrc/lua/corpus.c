/* corpus.c - core.create_corpus and core.open_corpus. */
#include "../music/corpus.h"

#include "lnd.h"

/* The path is the box's user value: errors name it. */
static lnd_box *push_named(lua_State *L, const char *type) {
  lnd_box *box = lnd_push(L, type, 1);                    /* box */
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return box;
}

/* The path of the corpus or writer at `arg`; left on the stack. */
const char *lnd_push_corpus_path(lua_State *L, int arg) {
  return lua_getiuservalue(L, arg, 1) == LUA_TSTRING ? lua_tostring(L, -1) : "corpus";
}

int lnd_fail_corpus(lua_State *L, const nd_error *err, int arg) {
  return lnd_fail(L, err, lnd_push_corpus_path(L, arg));
}

static int fail(lua_State *L, const nd_error *err) { return lnd_fail_corpus(L, err, 1); }

/* Of a song of the corpus at `arg`; leaves nothing but what it returns. */
static int fail_song(lua_State *L, const nd_error *err, int arg, lua_Integer song) {
  const char *path = lnd_push_corpus_path(L, arg);
  int results = lnd_fail(L, err, lua_pushfstring(L, "%s: song %I", path, (LUAI_UACINT)song));
  lua_remove(L, -results - 1);
  lua_remove(L, -results - 1);
  return results;
}

/* ------------------------------------------------------------------- writer */

static int writer_new(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const nd_tokeniser *tok = lnd_check(L, 2, LND_TOKENISER);
  lnd_box *box = push_named(L, LND_CORPUS_WRITER);        /* box */
  nd_corpus_writer *w;
  nd_error err;
  if (nd_corpus_create(&w, path, tok, &err) != ND_OK) return lnd_fail(L, &err, path);
  box->p = w;
  return 1;
}

static int writer_add(lua_State *L) {
  nd_corpus_writer *w = lnd_check(L, 1, LND_CORPUS_WRITER);
  const nd_sequence *seq = lnd_check(L, 2, LND_SEQUENCE);
  int split = luaL_checkoption(L, 3, "train", nd_split_names);
  nd_error err;
  if (nd_corpus_add(w, seq, (nd_split)split, &err) != ND_OK) return fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* writer:append(corpus, first, last): songs of another corpus, as they are */
static int writer_append(lua_State *L) {
  nd_corpus_writer *w = lnd_check(L, 1, LND_CORPUS_WRITER);
  const nd_corpus *from = lnd_check(L, 2, LND_CORPUS);
  lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, nd_corpus_count(from));
  nd_error err;
  luaL_argcheck(L, first >= 1, 3, "no such song");
  luaL_argcheck(L, last <= nd_corpus_count(from), 4, "no such song");
  for (lua_Integer i = first; i <= last; i++) {
    nd_status status = nd_corpus_append(w, from, (int32_t)i - 1, &err);
    /* of what is read, not of what is written */
    if (status == ND_FORMAT) return fail_song(L, &err, 2, i);
    if (status != ND_OK) return fail(L, &err);
  }
  lua_pushboolean(L, true);
  return 1;
}

static int writer_finish(lua_State *L) {
  nd_corpus_writer *w = lnd_check(L, 1, LND_CORPUS_WRITER);
  if (lnd_finalising(L)) return luaL_error(L, "a corpus cannot be finished within a finaliser");
  lnd_box *box = lua_touserdata(L, 1);
  nd_error err;
  box->p = NULL;  /* it is gone after this, well or not */
  if (nd_corpus_finish(w, &err) != ND_OK) return fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static void writer_release(void *w) { nd_corpus_abandon(w); }

static int writer_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_CORPUS_WRITER);
  lua_pushstring(L, box->p != NULL ? "corpus writer" : "corpus writer (closed)");
  return 1;
}

/* ------------------------------------------------------------------- corpus */

static nd_corpus *check(lua_State *L) { return lnd_check(L, 1, LND_CORPUS); }

static int32_t check_song(lua_State *L, const nd_corpus *c) {
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 1 && i <= nd_corpus_count(c), 2, "no such song");
  return (int32_t)(i - 1);
}

static int corpus_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const nd_tokeniser *tok = lua_isnoneornil(L, 2) ? NULL : lnd_check(L, 2, LND_TOKENISER);
  lnd_box *box = push_named(L, LND_CORPUS);               /* box */
  nd_corpus *c;
  nd_error err;
  if (nd_corpus_open(&c, path, tok, &err) != ND_OK) return lnd_fail(L, &err, path);
  box->p = c;
  return 1;
}

/* The Sequence of a song, or nil and a message. */
static int push_song(lua_State *L, nd_corpus *c, int32_t song) {
  nd_sequence *seq;
  nd_error err;
  if (nd_corpus_read(c, song, &seq, &err) == ND_OK) return lnd_push_sequence(L, seq);
  return fail_song(L, &err, 1, (lua_Integer)song + 1);
}

static int corpus_song(lua_State *L) {
  nd_corpus *c = check(L);
  return push_song(L, c, check_song(L, c));
}

static int corpus_next(lua_State *L) {
  nd_corpus *c = check(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || i >= nd_corpus_count(c)) return 0;
  lua_pushinteger(L, i + 1);
  return 1 + push_song(L, c, (int32_t)i);
}

static int corpus_pairs(lua_State *L) { return lnd_pairs(L, corpus_next); }

static int corpus_info(lua_State *L) {
  nd_corpus *c = check(L);
  int32_t song = check_song(L, c);
  lua_createtable(L, 0, 3);                               /* info */
  lua_pushstring(L, nd_corpus_name(c, song));
  lua_setfield(L, -2, "name");
  lua_pushinteger(L, nd_corpus_steps(c, song));
  lua_setfield(L, -2, "steps");
  lua_pushstring(L, nd_split_names[nd_corpus_split(c, song)]);
  lua_setfield(L, -2, "split");
  return 1;
}

static int corpus_path(lua_State *L) {
  (void)check(L);
  (void)lnd_push_corpus_path(L, 1);
  return 1;
}

static int corpus_settings(lua_State *L) {
  return lnd_push_settings(L, nd_corpus_tokeniser(check(L)));
}

static int corpus_tokeniser(lua_State *L) {
  return lnd_push_tokeniser(L, nd_corpus_tokeniser(check(L)));
}

static void corpus_release(void *c) { nd_corpus_close(c); }

static int corpus_len(lua_State *L) {
  lua_pushinteger(L, nd_corpus_count(check(L)));
  return 1;
}

static int corpus_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_CORPUS);
  const nd_corpus *c = box->p;
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
    {"add", writer_add}, {"append", writer_append}, {"finish", writer_finish}, {NULL, NULL},
  };
  static const luaL_Reg writer_meta[] = {
    {"__tostring", writer_tostring}, {NULL, NULL},
  };
  static const luaL_Reg methods[] = {
    {"song", corpus_song}, {"info", corpus_info}, {"settings", corpus_settings},
    {"path", corpus_path}, {"tokeniser", corpus_tokeniser}, {"batches", lnd_corpus_batches},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
    {"__len", corpus_len}, {"__tostring", corpus_tostring}, {"__pairs", corpus_pairs}, {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
    {"create_corpus", writer_new}, {"open_corpus", corpus_open}, {NULL, NULL},
  };
  lnd_type(L, LND_CORPUS_WRITER, writer_methods, writer_meta, writer_release);
  lnd_type(L, LND_CORPUS, methods, meta, corpus_release);
  luaL_setfuncs(L, functions, 0);                         /* core */
}
