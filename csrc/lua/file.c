/* file.c - core.create_file and core.byte_less: files that Lua writes as the engine
 * writes its own, and an order of names that no locale changes. */
#include "../base/file.h"

#include <stdlib.h>
#include <string.h>

#include "lnd.h"

#define LND_FILE_WRITER "neuraldrummer.file_writer"

typedef struct writer {
  nd_file file;
  nd_error failed;  /* the first failure, where its status is one: nothing is put after it */
  size_t n;         /* of the bytes that wait */
  char bytes[1 << 16];
} writer;

static void put(writer *w, const char *bytes, size_t n) {
  if (w->failed.status == ND_OK)
    w->failed.status = nd_file_put(&w->file, bytes, n, &w->failed);
}

static void flush(writer *w) {
  put(w, w->bytes, w->n);
  w->n = 0;
}

/* The path is the box's user value. */
static int fail(lua_State *L, const nd_error *err) {
  const char *path = lua_getiuservalue(L, 1, 1) == LUA_TSTRING ? lua_tostring(L, -1) : "file";
  return lnd_fail(L, err, path);
}

/* core.create_file(path) -> writer, or nil and a message */
static int file_create(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lnd_box *box = lnd_push(L, LND_FILE_WRITER, 1);         /* box */
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  writer *w = nd_calloc(1, sizeof *w);
  nd_error err;
  if (w == NULL) return luaL_error(L, "not enough memory");
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
  (void)lnd_check(L, 1, LND_FILE_WRITER);
  for (int i = 2; i <= last; i++) (void)luaL_checkstring(L, i);
  /* numbers have become strings, and a finaliser may have run */
  writer *w = lnd_check(L, 1, LND_FILE_WRITER);
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
  if (err.status != ND_OK) return fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static void file_release(void *p) {
  writer *w = p;
  nd_file_abandon(&w->file);
  free(w);
}

static int file_finish(lua_State *L) {
  writer *w = lnd_check(L, 1, LND_FILE_WRITER);
  lnd_box *box = lua_touserdata(L, 1);
  box->p = NULL;  /* it is gone after this, well or not */
  flush(w);
  nd_error err = w->failed;
  if (err.status != ND_OK) {
    file_release(w);
    return fail(L, &err);
  }
  nd_status status = nd_file_commit(&w->file, &err);
  free(w);
  if (status != ND_OK) return fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static int file_tostring(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, LND_FILE_WRITER);
  lua_pushstring(L, box->p != NULL ? "file writer" : "file writer (closed)");
  return 1;
}

/* core.byte_less(a, b): byte by byte, where Lua's own < asks the locale */
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
    {"create_file", file_create}, {"byte_less", byte_less}, {"hash", hash}, {NULL, NULL}};
  lnd_type(L, LND_FILE_WRITER, methods, meta, file_release);
  luaL_setfuncs(L, functions, 0);                         /* core */
}
