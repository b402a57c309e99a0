/* file.c - core.create_file: files that Lua code writes as the engine writes its own,
 * whole or not at all; and core.byte_less, an order of names that no locale changes. */
#include "../base/file.h"

#include <stdlib.h>
#include <string.h>

#include "lnd.h"

/* Lua code writes in small pieces, which are collected in a buffer. */
typedef struct writer {
  nd_file file;
  nd_error failed;  /* the first failure: nothing is written after it */
  size_t n;         /* bytes in the buffer */
  char bytes[1 << 16];
} writer;

static void release(void *p) {
  writer *w = p;
  nd_file_abandon(&w->file);
  free(w);
}

static const lnd_class file_writer = {"neuraldrummer.file_writer", release};

/* Passes bytes on to the file, unless an earlier write failed. */
static void put(writer *w, const char *bytes, size_t n) {
  if (w->failed.status == ND_OK)
    w->failed.status = nd_file_put(&w->file, bytes, n, &w->failed);
}

static void flush(writer *w) {
  put(w, w->bytes, w->n);
  w->n = 0;
}

/* core.create_file(path) -> writer, or nil and a message */
static int create_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lnd_box *box = lnd_push(L, &file_writer, path);         /* writer */
  writer *w = lnd_calloc(L, 1, sizeof *w);
  nd_error err;
  if (nd_file_begin(&w->file, path, true, &err) != ND_OK) {
    free(w);
    return lnd_fail(L, &err, path);
  }
  box->p = w;
  return 1;
}

/* writer:write(...): strings and numbers, as io's files take them */
static int file_write(lua_State *L) {
  const int last = lua_gettop(L);
  (void)lnd_check(L, 1, &file_writer);
  for (int i = 2; i <= last; i++) (void)luaL_checkstring(L, i);
  /* That made strings of numbers, so a finaliser may have finished this writer. */
  writer *w = lnd_check(L, 1, &file_writer);
  for (int i = 2; i <= last; i++) {
    size_t n;
    const char *bytes = lua_tolstring(L, i, &n);
    if (n > sizeof w->bytes - w->n) flush(w);
    if (n > sizeof w->bytes) {
      put(w, bytes, n);
    } else {
      memcpy(w->bytes + w->n, bytes, n);
      w->n += n;
    }
  }
  const nd_error err = w->failed;
  return lnd_result(L, err.status, &err, lnd_label(L, 1, &file_writer));
}

/* writer:finish() -> true, or nil and the first failure. The writer is closed either
 * way. */
static int file_finish(lua_State *L) {
  writer *w = lnd_take(L, 1, &file_writer);
  flush(w);
  nd_error err = w->failed;
  nd_status status = err.status;
  if (status == ND_OK) status = nd_file_commit(&w->file, &err);
  else nd_file_abandon(&w->file);
  free(w);
  return lnd_result(L, status, &err, lnd_label(L, 1, &file_writer));
}

static int file_tostring(lua_State *L) {
  const bool open = lnd_peek(L, 1, &file_writer) != NULL;
  lua_pushstring(L, open ? "file writer" : "file writer (closed)");
  return 1;
}

/* core.byte_less(a, b): by bytes, where Lua's < uses the locale's order */
static int byte_less(lua_State *L) {
  size_t n, m;
  const char *a = luaL_checklstring(L, 1, &n), *b = luaL_checklstring(L, 2, &m);
  const int order = memcmp(a, b, n < m ? n : m);
  lua_pushboolean(L, order < 0 || (order == 0 && n < m));
  return 1;
}

/* core.hash(bytes): a fingerprint, not for secrets */
static int hash(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)nd_hash(bytes, n));
  return 1;
}

void lnd_open_file(lua_State *L) {
  static const luaL_Reg methods[] = {{"write", file_write}, {"finish", file_finish}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", file_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"create_file", create_file}, {"byte_less", byte_less}, {"hash", hash}, {NULL, NULL}};
  lnd_type(L, &file_writer, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
