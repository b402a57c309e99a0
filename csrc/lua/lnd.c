#include "lnd.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#ifndef LND_LAYOUT
#define LND_LAYOUT "unknown"  /* what is compiled by hand is not told of others' */
#endif

const char *lnd_build(void) { return ND_VERSION ", layout " LND_LAYOUT; }

void lnd_check_core(lua_State *L, const char *name) {
  if (luaL_getmetatable(L, LND_SONG) != LUA_TTABLE)  /* mt */
    luaL_error(L, "%s needs neuraldrummer.core to be loaded before it", name);
  lua_pushliteral(L, "build");
  lua_rawget(L, -2);                                 /* mt,build */
  const char *core = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "another version";
  if (strcmp(core, lnd_build()) != 0)
    luaL_error(L, "%s is of %s, and neuraldrummer.core of %s: both are to be built anew", name,
               lnd_build(), core);
  lua_pop(L, 2);
}

/* The same in every library that knows the type. */
static uint64_t tag_of(const char *type) { return nd_hash(type, strlen(type)); }

/* A program with the debug library can put anything in the place of a metatable, a
 * user value or an upvalue. What stands there is looked at before it is used. */

static uint64_t next_id(uint64_t tag) {
  static atomic_uint_fast64_t made;
  return tag ^ (atomic_fetch_add(&made, 1) + 1);
}

/* What a type's metatable holds, and what closes has for its upvalue. */
typedef struct lnd_kind {
  uint64_t tag;
  const char *type;
  lnd_release release;
} lnd_kind;

static const lnd_kind *check_kind(lua_State *L, int at) {
  const lnd_kind *kind = lua_touserdata(L, at);
  if (kind == NULL || lua_rawlen(L, at) != sizeof *kind || kind->tag != tag_of("kind"))
    luaL_error(L, "what belongs to a type was replaced");
  return kind;
}

lnd_box *lnd_push(lua_State *L, const char *type, int uservalues) {
  lnd_box *box = lua_newuserdatauv(L, sizeof *box, uservalues);  /* box */
  if (luaL_getmetatable(L, type) != LUA_TTABLE)                  /* box,mt */
    luaL_error(L, "the metatable of %s was replaced", type);
  lua_pushliteral(L, "kind");
  lua_rawget(L, -2);                                             /* box,mt,kind */
  const lnd_kind *kind = check_kind(L, -1);
  if (strcmp(kind->type, type) != 0) luaL_error(L, "the metatable of %s was replaced", type);
  const uint64_t tag = tag_of(type);
  *box = (lnd_box){.self = box, .release = kind->release, .tag = tag, .id = next_id(tag)};
  lua_pop(L, 1);
  lua_setmetatable(L, -2);                                       /* box */
  return box;
}

/* NULL where no box is. */
static lnd_box *box_at(lua_State *L, int at) {
  lnd_box *box = lua_touserdata(L, at);
  return box != NULL && lua_rawlen(L, at) == sizeof *box && box->self == box ? box : NULL;
}

lnd_box *lnd_check_box(lua_State *L, int arg, const char *type) {
  (void)luaL_checkudata(L, arg, type);
  lnd_box *box = box_at(L, arg);
  if (box == NULL || box->tag != tag_of(type))
    luaL_argerror(L, arg, lua_pushfstring(L, "it has the metatable of a %s, but is none", type));
  return box;
}

void *lnd_test(lua_State *L, int arg, const char *type) {
  const lnd_box *box = box_at(L, arg);
  return box != NULL && box->tag == tag_of(type) ? box->p : NULL;
}

void *lnd_check(lua_State *L, int arg, const char *type) {
  lnd_box *box = lnd_check_box(L, arg, type);
  if (box->p == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "%s is closed", type));
  return box->p;
}

void lnd_stand(lua_State *L, int box, int n, int on) {
  lnd_box *child = lua_touserdata(L, box);
  const lnd_box *parent = lua_touserdata(L, on);
  child->parents[n - 1] = parent->id;
  lua_pushvalue(L, on);                                  /* parent */
  lua_setiuservalue(L, box < 0 ? box - 1 : box, n);
}

lnd_box *lnd_push_parent(lua_State *L, int arg, int n) {
  const lnd_box *child = lua_touserdata(L, arg);
  lua_getiuservalue(L, arg, n);                          /* parent */
  lnd_box *parent = box_at(L, -1);
  bool same = parent != NULL && parent->id == child->parents[n - 1];
  if (!same || parent->p == NULL)
    luaL_argerror(L, arg, lua_pushfstring(L, "what it stands on %s: %s", same ? "is closed"
                  : "was replaced", luaL_tolstring(L, -1, NULL)));
  return parent;
}

void lnd_check_parent(lua_State *L, int arg, int n) {
  (void)lnd_push_parent(L, arg, n);
  lua_pop(L, 1);
}

/* A few milliseconds' worth on a machine of today. */
static const double slice = 3e7;

double lnd_slice(lua_State *L, int pause) {
  return lua_isnoneornil(L, pause) ? HUGE_VAL : slice;
}

void lnd_push_pause(lua_State *L, int pause, double left) {
  lua_pushvalue(L, pause);                 /* pause */
  lua_pushnumber(L, slice - left);         /* pause,done */
}

void lnd_check_pause(lua_State *L, int arg) {
  if (!lua_isnoneornil(L, arg)) luaL_checktype(L, arg, LUA_TFUNCTION);
}

void lnd_check_open(lua_State *L, lnd_box *const *boxes, int n) {
  for (int i = 0; i < n; i++)
    if (boxes[i]->p == NULL) luaL_error(L, "what is worked with was closed meanwhile");
}

static void release(lnd_box *box, void **p) {
  void *held = *p;
  *p = NULL;
  if (held != NULL) box->release(held);
}

/* The collector refuses all that it is asked then. */
bool lnd_finalising(lua_State *L) { return lua_gc(L, LUA_GCCOUNT) < 0; }

static void close_box(lua_State *L, lnd_box *box) {
  if (!lnd_finalising(L)) {
    release(box, &box->p);
  } else if (box->p != NULL) {
    box->later = box->p;
    box->p = NULL;
  }
}

static int type_close(lua_State *L) {
  close_box(L, lnd_check_box(L, 1, check_kind(L, lua_upvalueindex(1))->type));
  return 0;
}

/* Called by the collector, and not by somebody who got hold of __gc. */
static bool collected(lua_State *L) {
  lua_Debug call;
  return lua_getstack(L, 0, &call) != 0 && lua_getinfo(L, "n", &call) != 0 && call.name != NULL &&
         strcmp(call.name, "__gc") == 0 && strcmp(call.namewhat, "metamethod") == 0;
}

/* Needs nothing that could have been replaced meanwhile. */
static int type_collect(lua_State *L) {
  lnd_box *box = box_at(L, 1);
  luaL_argcheck(L, box != NULL, 1, "no object of neuraldrummer");
  close_box(L, box);
  if (collected(L)) release(box, &box->later);
  return 0;
}

void lnd_type(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta,
              lnd_release free_it) {
  static const luaL_Reg closes[] = {{"close", type_close}, {NULL, NULL}};
  luaL_newmetatable(L, type);            /* mt */
  luaL_setfuncs(L, meta, 0);
  lua_pushcfunction(L, type_collect);
  lua_setfield(L, -2, "__gc");
  lnd_kind *kind = lua_newuserdatauv(L, sizeof *kind, 0);
  *kind = (lnd_kind){tag_of("kind"), type, free_it};  /* mt,kind */
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "kind");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, type_close, 1);
  lua_setfield(L, -3, "__close");
  lua_newtable(L);                       /* mt,kind,methods */
  if (methods != NULL) luaL_setfuncs(L, methods, 0);
  lua_insert(L, -2);                     /* mt,methods,kind */
  if (methods != NULL) luaL_setfuncs(L, closes, 1);
  else lua_pop(L, 1);                    /* mt,methods */
  /* a type with an __index function of its own takes the methods as field */
  if (lua_getfield(L, -2, "__index") == LUA_TNIL) {  /* mt,methods,nil */
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");      /* mt */
  } else {
    lua_pop(L, 1);
    lua_setfield(L, -2, "methods");      /* mt */
  }
  lua_pushliteral(L, "locked");          /* getmetatable(x) gives no way in */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

int lnd_raise(lua_State *L, const nd_error *err) {
  if (err->status == ND_NOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "%s", err->text);
}

int lnd_fail(lua_State *L, const nd_error *err, const char *what) {
  if (err->status == ND_NOMEM || err->status == ND_MISUSE) return lnd_raise(L, err);
  lua_pushnil(L);
  if (what != NULL) lua_pushfstring(L, "%s: %s", what, err->text);
  else lua_pushstring(L, err->text);
  return 2;
}

int lnd_pairs(lua_State *L, lua_CFunction next) {
  luaL_checkany(L, 1);
  lua_pushcfunction(L, next);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

void lnd_grew(lua_State *L, size_t bytes) {
  size_t kib = bytes / 1024;
  if (kib > 0) (void)lua_gc(L, LUA_GCSTEP, kib > 1000000 ? 1000000 : (int)kib);
}

/* Levenshtein distance, bounded by the short names that options have. */
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

bool lnd_known(const char *key, const char *const *names) {
  while (*names != NULL && strcmp(*names, key) != 0) names++;
  return *names != NULL;
}

void lnd_opts(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);                                        /* key */
  while (lua_next(L, arg) != 0) {                        /* key,value */
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, arg, "options are named: a key is not a string");
    const char *key = lua_tostring(L, -1);
    if (!lnd_known(key, names))
      luaL_error(L, "unknown option '%s'; did you mean '%s'?", key, lnd_nearest(key, names));
  }
}

int lnd_opt(lua_State *L, int arg, const char *key) {
  if (lua_isnoneornil(L, arg)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  lua_pushstring(L, key);
  return lua_rawget(L, arg);
}

lua_Integer lnd_opt_int(lua_State *L, int arg, const char *key, lua_Integer def,
                        lua_Integer min, lua_Integer max) {
  if (lnd_opt(L, arg, key) != LUA_TNIL) {
    int ok = 0;
    def = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &ok) : 0;
    if (!ok) luaL_error(L, "option '%s': a whole number is needed, got %s", key, luaL_typename(L, -1));
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
  const char *given = lnd_opt_str(L, arg, key, NULL);
  int chosen = given == NULL ? def : -1;
  for (int i = 0; given != NULL && chosen < 0 && choices[i] != NULL; i++)
    if (strcmp(choices[i], given) == 0) chosen = i;
  if (given == NULL || chosen >= 0) {
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
  return luaL_error(L, "option '%s': '%s' is none of %s", key, given, lua_tostring(L, -1));
}
