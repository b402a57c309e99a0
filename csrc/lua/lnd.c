/* lnd.c - userdata, errors and option tables of the bindings: see lnd.h. */
#include "lnd.h"

#include <stdlib.h>
#include <string.h>

#ifndef LND_LAYOUT
#define LND_LAYOUT "unknown"  /* a checksum of the headers, which make defines */
#endif

/* ------------------------------------------------------------------------ boxes */

/* What a userdata holds. */
typedef struct handle {
  const struct handle *self;   /* its own address: no other library's userdata has that */
  uint64_t tag;                /* of its class, whatever metatable it has now */
  lnd_box *box;                /* NULL: closed */
  lnd_box *deferred;           /* closed within a finaliser, dropped with the userdata */
} handle;

/* The same in every library that knows the class. */
static uint64_t tag_of(const lnd_class *class) { return nd_hash(class->name, strlen(class->name)); }

/* Gives the userdata on top its metatable, if that is still the class's own. */
static void set_metatable(lua_State *L, const lnd_class *class) {
  const char *name = NULL;
  if (luaL_getmetatable(L, class->name) == LUA_TTABLE) {         /* object,mt */
    lua_pushliteral(L, "__name");
    lua_rawget(L, -2);                                           /* object,mt,name */
    name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
  }
  if (name == NULL || strcmp(name, class->name) != 0)
    luaL_error(L, "internal metatable of %s was modified", class->name);
  lua_setmetatable(L, -2);                                       /* object */
}

/* The userdata comes first, and empty, because each of the steps may raise an error for
 * want of memory: then the collector finds a userdata that it can release. */
lnd_box *lnd_push(lua_State *L, const lnd_class *class, const char *label) {
  handle *h = lua_newuserdatauv(L, sizeof *h, 0);                /* object */
  *h = (handle){.self = h, .tag = tag_of(class)};
  set_metatable(L, class);  /* before there is anything to release */
  const size_t n = label != NULL ? strlen(label) : 0;
  lnd_box *box = lnd_calloc(L, 1, sizeof *box + n + 1);
  box->release = class->release;
  box->owners = 1;
  if (n > 0) memcpy(box->label, label, n);
  h->box = box;
  return box;
}

/* NULL for a value that is not one of our userdata. Foreign userdata of the same size do
 * not begin with their own address. */
static handle *handle_at(lua_State *L, int at) {
  handle *h = lua_touserdata(L, at);
  return h != NULL && lua_rawlen(L, at) == sizeof *h && h->self == h ? h : NULL;
}

/* The userdata at `arg`: its metatable must be the class's, as Lua's own check says,
 * and so must be the tag that it was made with. */
static handle *check_handle(lua_State *L, int arg, const lnd_class *class) {
  (void)luaL_checkudata(L, arg, class->name);
  handle *h = handle_at(L, arg);
  if (h == NULL || h->tag != tag_of(class))
    luaL_argerror(L, arg, lua_pushfstring(L, "it has the metatable of %s but is another object",
                                          class->name));
  return h;
}

void *lnd_peek(lua_State *L, int arg, const lnd_class *class) {
  const handle *h = check_handle(L, arg, class);
  return h->box != NULL ? h->box->p : NULL;
}

void *lnd_test(lua_State *L, int arg, const lnd_class *class) {
  const handle *h = handle_at(L, arg);
  return h != NULL && h->tag == tag_of(class) && h->box != NULL ? h->box->p : NULL;
}

static lnd_box *check_box(lua_State *L, int arg, const lnd_class *class) {
  lnd_box *box = check_handle(L, arg, class)->box;
  if (box == NULL || box->p == NULL)
    luaL_argerror(L, arg, lua_pushfstring(L, "%s is closed", class->name));
  return box;
}

void *lnd_check(lua_State *L, int arg, const lnd_class *class) {
  return check_box(L, arg, class)->p;
}

/* Also of an object that a finaliser closed meanwhile, for messages about it. */
const char *lnd_label(lua_State *L, int arg, const lnd_class *class) {
  const handle *h = check_handle(L, arg, class);
  const lnd_box *box = h->box != NULL ? h->box : h->deferred;
  return box != NULL ? box->label : "";
}

/* A userdata gives up its share only once, so that counts cannot be unbalanced from
 * Lua. */
lnd_box *lnd_retain(lua_State *L, int arg, const lnd_class *class) {
  lnd_box *box = check_box(L, arg, class);
  box->owners++;
  return box;
}

void lnd_release(lnd_box *box) {
  if (box == NULL || --box->owners > 0) return;
  if (box->p != NULL) box->release(box->p);
  free(box);
}

void *lnd_take(lua_State *L, int arg, const lnd_class *class) {
  lnd_box *box = check_box(L, arg, class);
  void *p = box->p;
  box->p = NULL;
  return p;
}

/* The collector answers no question while it runs finalisers. */
bool lnd_finalising(lua_State *L) { return lua_gc(L, LUA_GCCOUNT) < 0; }

/* Gives up the userdata's share, or leaves that to the collector while a finaliser
 * runs: the binding that the finaliser interrupted may be using the object. */
static void close_handle(lua_State *L, handle *h) {
  lnd_box *box = h->box;
  h->box = NULL;
  if (lnd_finalising(L) && box != NULL) h->deferred = box;
  else lnd_release(box);
}

void lnd_close(lua_State *L, int index) { close_handle(L, lua_touserdata(L, index)); }

/* close() and __close of the class whose name is the upvalue. A program that replaces
 * the upvalue can do no more than call another class's close(). */
static int type_close(lua_State *L) {
  const lnd_class class = {luaL_checkstring(L, lua_upvalueindex(1)), NULL};
  close_handle(L, check_handle(L, 1, &class));
  return 0;
}

/* Whether the collector calls, and not a program that got hold of __gc. */
static bool collected(lua_State *L) {
  lua_Debug call;
  return lua_getstack(L, 0, &call) != 0 && lua_getinfo(L, "n", &call) != 0 && call.name != NULL &&
         strcmp(call.name, "__gc") == 0 && strcmp(call.namewhat, "metamethod") == 0;
}

/* __gc of every class. It relies on the userdata alone: the metatable may have been
 * changed. */
static int type_collect(lua_State *L) {
  handle *h = handle_at(L, 1);
  luaL_argcheck(L, h != NULL, 1, "an object of neuraldrummer expected");
  close_handle(L, h);
  if (collected(L)) {
    lnd_release(h->deferred);
    h->deferred = NULL;
  }
  return 0;
}

/* A userdata's methods are a table of their own, so that __gc and the other metamethods
 * cannot be called as methods. */
void lnd_type(lua_State *L, const lnd_class *class, const luaL_Reg *methods, const luaL_Reg *meta) {
  luaL_newmetatable(L, class->name);     /* mt */
  if (meta != NULL) luaL_setfuncs(L, meta, 0);
  lua_pushcfunction(L, type_collect);
  lua_setfield(L, -2, "__gc");
  lua_pushstring(L, class->name);
  lua_pushcclosure(L, type_close, 1);    /* mt,close */
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__close");
  lua_newtable(L);                       /* mt,close,methods */
  if (methods != NULL) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "close");
  }
  lua_setfield(L, -3, "__index");        /* mt,close */
  lua_pop(L, 1);                         /* mt */
  lua_pushliteral(L, "locked");          /* getmetatable(x) gives no way in */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void lnd_add_methods(lua_State *L, const lnd_class *class, const luaL_Reg *methods) {
  luaL_getmetatable(L, class->name);     /* mt */
  lua_getfield(L, -1, "__index");        /* mt,methods */
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}

int lnd_pairs(lua_State *L, lua_CFunction next) {
  luaL_checkany(L, 1);
  lua_pushcfunction(L, next);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/* Lua's collector sees only the userdata, so it would let hundreds of models pile up
 * before a cycle. A step of as many KiB as were allocated outside paces it. */
void lnd_grew(lua_State *L, size_t bytes) {
  size_t kib = bytes / 1024;
  if (kib > 0) (void)lua_gc(L, LUA_GCSTEP, kib > 1000000 ? 1000000 : (int)kib);
}

void *lnd_calloc(lua_State *L, size_t n, size_t size) {
  void *p = nd_calloc(n, size);
  if (p == NULL) lnd_nomem(L);
  return p;
}

const char *lnd_build(void) { return ND_VERSION ", layout " LND_LAYOUT; }

/* Called by mpi.so, whose boxes and classes core.so will read. */
void lnd_check_core(lua_State *L, const char *name) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, LND_BUILD) == LUA_TNIL)   /* build */
    luaL_error(L, "%s needs neuraldrummer.core to be loaded before it", name);
  const char *core = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "another version";
  if (strcmp(core, lnd_build()) != 0)
    luaL_error(L, "%s is of %s but neuraldrummer.core of %s: build both again", name, lnd_build(),
               core);
  lua_pop(L, 1);
}

/* ----------------------------------------------------------------------- errors */

int lnd_nomem(lua_State *L) { return luaL_error(L, "not enough memory"); }

int lnd_raise(lua_State *L, const nd_error *err) {
  return err->status == ND_NOMEM ? lnd_nomem(L) : luaL_error(L, "%s", err->text);
}

int lnd_fail(lua_State *L, const nd_error *err, const char *what) {
  if (err->status == ND_NOMEM || err->status == ND_MISUSE) return lnd_raise(L, err);
  lua_pushnil(L);
  if (what != NULL) lua_pushfstring(L, "%s: %s", what, err->text);
  else lua_pushstring(L, err->text);
  return 2;
}

int lnd_result(lua_State *L, nd_status status, const nd_error *err, const char *what) {
  if (status != ND_OK) return lnd_fail(L, err, what);
  lua_pushboolean(L, 1);
  return 1;
}

/* ----------------------------------------------------------------------- tables */

void lnd_set_int(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

void lnd_set_num(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

void lnd_set_str(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

void lnd_set_bool(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

/* Levenshtein's edit distance: the least number of letters to insert, delete or replace.
 * It keeps one row of the table of distances between prefixes. Longer names than any option
 * has count as far away. */
static int distance(const char *a, const char *b) {
  enum { LONGEST = 40 };
  size_t n = strlen(a), m = strlen(b);
  int row[LONGEST + 1];
  if (n > LONGEST || m > LONGEST) return LONGEST;
  for (size_t j = 0; j <= m; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[m];
}

const char *lnd_nearest(const char *key, const char *const *names) {
  const char *nearest = NULL;
  int best = 1000;
  for (; *names != NULL; names++) {
    int d = distance(key, *names);
    if (d < best) {
      best = d;
      nearest = *names;
    }
  }
  return nearest;
}

bool lnd_has_name(const char *key, const char *const *names) {
  while (*names != NULL && strcmp(*names, key) != 0) names++;
  return *names != NULL;
}

/* Strings only, because lua_tostring() would change a number that is a key, and confuse
 * lua_next(). */
void lnd_opts(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);                                        /* key */
  while (lua_next(L, arg) != 0) {                        /* key,value */
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, arg, "the keys of an option table are strings");
    const char *key = lua_tostring(L, -1);
    if (!lnd_has_name(key, names))
      luaL_error(L, "unknown option '%s'; did you mean '%s'?", key, lnd_nearest(key, names));
  }
}

/* A raw access: a metamethod could change or close what the binding has read before. */
int lnd_opt(lua_State *L, int arg, const char *key) {
  if (lua_isnoneornil(L, arg)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  lua_pushstring(L, key);
  return lua_rawget(L, arg);
}

lua_Integer lnd_opt_int(lua_State *L, int arg, const char *key, lua_Integer def, lua_Integer min,
                        lua_Integer max) {
  if (lnd_opt(L, arg, key) != LUA_TNIL) {
    int ok = 0;
    def = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &ok) : 0;
    if (!ok)
      luaL_error(L, "option '%s': a whole number is needed, got %s", key, luaL_typename(L, -1));
    if (def < min || def > max)
      luaL_error(L, "option '%s': %I is not in %I..%I", key, (LUAI_UACINT)def, (LUAI_UACINT)min,
                 (LUAI_UACINT)max);
  }
  lua_pop(L, 1);
  return def;
}

double lnd_opt_num(lua_State *L, int arg, const char *key, double def, double min, double max) {
  if (lnd_opt(L, arg, key) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "option '%s': a number is needed, got %s", key, luaL_typename(L, -1));
    def = lua_tonumber(L, -1);
    if (!(def >= min && def <= max))  /* NaN too */
      luaL_error(L, "option '%s': %f is not in %f..%f", key, def, min, max);
  }
  lua_pop(L, 1);
  return def;
}

bool lnd_opt_bool(lua_State *L, int arg, const char *key, bool def) {
  if (lnd_opt(L, arg, key) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TBOOLEAN)
      luaL_error(L, "option '%s': true or false is needed, got %s", key, luaL_typename(L, -1));
    def = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return def;
}

const char *lnd_opt_str(lua_State *L, int arg, const char *key, const char *def) {
  if (lnd_opt(L, arg, key) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "option '%s': a string is needed, got %s", key, luaL_typename(L, -1));
    def = lua_tostring(L, -1);
  }
  return def;
}

int lnd_opt_choice(lua_State *L, int arg, const char *key, int def, const char *const *choices) {
  const char *value = lnd_opt_str(L, arg, key, NULL);     /* value */
  int chosen = value == NULL ? def : -1;
  for (int i = 0; value != NULL && chosen < 0 && choices[i] != NULL; i++)
    if (strcmp(choices[i], value) == 0) chosen = i;
  if (chosen >= 0 || value == NULL) {
    lua_pop(L, 1);
    return chosen;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; choices[i] != NULL; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, choices[i]);
  }
  luaL_pushresult(&b);
  return luaL_error(L, "option '%s': '%s' is not one of %s", key, value, lua_tostring(L, -1));
}
