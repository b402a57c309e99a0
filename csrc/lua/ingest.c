/* ingest.c - core.ingest: MIDI files to a corpus, or to token text. The engine reads
 * them on several threads, none of which touches Lua: paths and names are collected
 * before, results are pushed after. */
#include "../learn/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "../base/thread_pool.h"
#include "lnd.h"

/* The files of one call, freed by the collector if an error is raised. */
typedef struct batch { size_t n; nd_ingest_file files[]; } batch;

static void release(void *p) {
  batch *b = p;
  for (size_t i = 0; i < b->n; i++) free(b->files[i].line);
  free(b);
}

static const lnd_class ingest_class = {"neuraldrummer.ingest", release};

/* Stack indices. TEXTS is a table that keeps paths and names alive while the engine uses
 * them, although a finaliser may change the caller's tables. */
enum { FILES = 1, OPTIONS, TOKENISER, INTO, TEXTS };

/* The string in field `key` of the item on top, which TEXTS then keeps alive. */
static const char *text_field(lua_State *L, lua_Integer i, const char *key, bool needed) {
  lua_pushstring(L, key);
  int type = lua_rawget(L, -2);                           /* item,text */
  if (type != LUA_TSTRING && (needed || type != LUA_TNIL))
    luaL_error(L, "files[%I].%s: a string is needed, got %s", (LUAI_UACINT)i, key,
               luaL_typename(L, -1));
  const char *text = lua_tostring(L, -1);
  if (text != NULL) lua_rawseti(L, TEXTS, (lua_Integer)lua_rawlen(L, TEXTS) + 1);
  else lua_pop(L, 1);                                     /* item */
  return text;
}

/* Reads files[i], {path, name, split}. A file without a split gets one by its
 * content. */
static void read_item(lua_State *L, lua_Integer i, nd_ingest_file *f) {
  if (lua_rawgeti(L, FILES, i) != LUA_TTABLE)             /* item */
    luaL_error(L, "files[%I]: a table is needed, got %s", (LUAI_UACINT)i, luaL_typename(L, -1));
  f->path = text_field(L, i, "path", true);
  f->name = text_field(L, i, "name", true);
  const char *split = text_field(L, i, "split", false);
  f->split = ND_BY_CONTENT;
  for (int k = 0; split != NULL && k <= ND_VALID; k++)
    if (strcmp(split, nd_split_names[k]) == 0) f->split = k;
  if (split != NULL && f->split == ND_BY_CONTENT)
    luaL_error(L, "files[%I].split: '%s' is neither 'train' nor 'valid'", (LUAI_UACINT)i, split);
  lua_pop(L, 1);
}

/* Reads the option "pitches", a kit map's `reads`: General MIDI's pitch by the pitch of the
 * file, or false for a pitch that is not a drum. NULL when it is not given. */
static const int16_t *read_pitches(lua_State *L, int16_t *reads) {
  int type = lnd_opt(L, OPTIONS, "pitches");              /* pitches */
  if (type != LUA_TNIL && type != LUA_TTABLE)
    luaL_error(L, "option 'pitches': a table is needed, got %s", luaL_typename(L, -1));
  for (int p = 0; type == LUA_TTABLE && p < 128; p++) {
    int value = lua_rawgeti(L, -1, p), whole = 0;
    lua_Integer pitch = value == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : -1;
    if (value == LUA_TNIL) reads[p] = ND_UNKNOWN_DRUM;
    else if (value == LUA_TBOOLEAN && !lua_toboolean(L, -1)) reads[p] = ND_NO_DRUM;
    else if (whole && pitch >= 0 && pitch <= 127) reads[p] = (int16_t)pitch;
    else luaL_error(L, "option 'pitches': [%d] is neither a pitch, 0 to 127, nor false", p);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return type == LUA_TTABLE ? reads : NULL;
}

/* The object in option `key`, which is pushed, or NULL. */
static void *opt_object(lua_State *L, const char *key, const lnd_class *class) {
  int type = lnd_opt(L, OPTIONS, key);                   /* object */
  return type == LUA_TNIL ? NULL : lnd_check(L, lua_gettop(L), class);
}

/* Pushes {[i + first] = counts[i]}; counts of 0 only with `all`. */
static void push_counts(lua_State *L, const uint32_t *counts, int n, int first, bool all) {
  lua_createtable(L, all ? n : 0, 0);                     /* counts */
  for (int i = 0; i < n; i++) {
    if (counts[i] == 0 && !all) continue;
    lua_pushinteger(L, counts[i]);
    lua_rawseti(L, -2, i + first);
  }
}

/* Pushes what became of a file: {steps, split, hits, unknown, tokens}, or {message,
 * unread}. */
static void push_result(lua_State *L, const nd_ingest_file *f, const nd_ingest *in) {
  lua_createtable(L, 0, 5);                               /* result */
  if (!f->accepted) {
    lnd_set_str(L, "message", f->why.text);
    lnd_set_bool(L, "unread", f->unreadable);
    return;
  }
  lnd_set_int(L, "steps", f->steps);
  lnd_set_str(L, "split", nd_split_names[f->split]);
  push_counts(L, f->hits, in->tok->kit.n_voices, 1, true);
  lua_setfield(L, -2, "hits");
  push_counts(L, f->unknown, 128, 0, false);
  lua_setfield(L, -2, "unknown");
  if (f->line != NULL) {
    lua_pushlstring(L, f->line, f->n_line);
    lua_setfield(L, -2, "tokens");
  }
}

/* core.ingest(files, options) -> a list of results, or nil and a message. Errors of single
 * files are in their results; the call fails when the corpus cannot be written. */
static int ingest(lua_State *L) {
  static const char *const keys[] = {"tokeniser", "into", "pitches", "min_steps", "valid_every",
                                     "threads", "max_bytes", "max_events", "max_tracks", NULL};
  int16_t reads[128];
  luaL_checktype(L, FILES, LUA_TTABLE);
  luaL_checktype(L, OPTIONS, LUA_TTABLE);
  lua_settop(L, OPTIONS);
  lnd_opts(L, OPTIONS, keys);
  const nd_tokeniser *tok = opt_object(L, "tokeniser", &lnd_tokeniser);
  nd_corpus_writer *into = opt_object(L, "into", &lnd_corpus_writer);
  nd_ingest in = {
    .tok = tok,
    .into = into,
    .kit_map = read_pitches(L, reads),
    .min_steps = (int32_t)lnd_opt_int(L, OPTIONS, "min_steps", 0, 0, INT32_MAX),
    .valid_every = (int32_t)lnd_opt_int(L, OPTIONS, "valid_every", 0, 0, INT32_MAX),
    .limits = lnd_opt_limits(L, OPTIONS),
    .threads = (int32_t)lnd_opt_int(L, OPTIONS, "threads", 1, 1, ND_MAX_PARTS),
  };
  if (in.tok == NULL) return luaL_error(L, "option 'tokeniser' is missing");

  const lua_Integer n = (lua_Integer)lua_rawlen(L, FILES);
  lua_newtable(L);                                        /* texts */
  lnd_box *box = lnd_push(L, &ingest_class, NULL);        /* texts,box */
  if ((lua_Unsigned)n > INT32_MAX) return luaL_error(L, "too many files");
  batch *b = box->p = lnd_calloc(L, 1, sizeof *b + (size_t)n * sizeof b->files[0]);
  b->n = (size_t)n;
  for (lua_Integer i = 1; i <= n; i++) read_item(L, i, &b->files[i - 1]);
  nd_error err;
  if (nd_ingest_run(&in, b->files, b->n, &err) != ND_OK)
    return lnd_fail(L, &err, into == NULL ? NULL : lnd_label(L, INTO, &lnd_corpus_writer));
  lua_createtable(L, (int)n, 0);                          /* texts,box,results */
  for (lua_Integer i = 1; i <= n; i++) {
    push_result(L, &b->files[i - 1], &in);                /* texts,box,results,result */
    lua_rawseti(L, -2, i);
  }
  lnd_close(L, -2);
  return 1;
}

void lnd_open_ingest(lua_State *L) {
  lnd_type(L, &ingest_class, NULL, NULL);
  lua_pushcfunction(L, ingest);
  lua_setfield(L, -2, "ingest");                          /* core */
}
