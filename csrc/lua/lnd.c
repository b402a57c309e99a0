#include "lnd.h"

#include <math.h>
#include <string.h>

/* FNV-1a: the same in every library that knows the type. */
static uint64_t tag_of(const char *type) {
  uint64_t tag = 0xcbf29ce484222325u;
  for (; *type != '\0'; type++) tag = (tag ^ (unsigned char)*type) * 0x100000001b3u;
  return tag;
}

lnd_box *lnd_push(lua_State *L, const char *type, int uservalues) {
  lnd_box *box = lua_newuserdatauv(L, sizeof *box, uservalues);  /* box */
  *box = (lnd_box){.tag = tag_of(type)};
  luaL_setmetatable(L, type);
  return box;
}

lnd_box *lnd_check_box(lua_State *L, int arg, const char *type) {
  lnd_box *box = luaL_checkudata(L, arg, type);
  /* debug.setmetatable gives any userdata any metatable */
  if (lua_rawlen(L, arg) != sizeof *box || box->tag != tag_of(type))
    luaL_argerror(L, arg, lua_pushfstring(L, "it has the metatable of a %s, but is none", type));
  return box;
}

void *lnd_check(lua_State *L, int arg, const char *type) {
  lnd_box *box = lnd_check_box(L, arg, type);
  if (box->p == NULL) luaL_argerror(L, arg, lua_pushfstring(L, "%s is closed", type));
  return box->p;
}

void lnd_check_behind(lua_State *L, int arg, int n) {
  lua_getiuservalue(L, arg, n);                          /* object */
  const lnd_box *box = lua_touserdata(L, -1);
  if (lua_rawlen(L, -1) != sizeof *box || box->p == NULL)
    luaL_argerror(L, arg, lua_pushfstring(L, "what it stands on is closed: %s", luaL_tolstring(L, -1, NULL)));
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

static void release(lua_State *L, void **p) {
  void *held = *p;
  *p = NULL;
  if (held != NULL) (*(lnd_release *)lua_touserdata(L, lua_upvalueindex(2)))(held);
}

/* The collector refuses all that it is asked then. */
bool lnd_finalising(lua_State *L) { return lua_gc(L, LUA_GCCOUNT) < 0; }

static int type_close(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, lua_tostring(L, lua_upvalueindex(1)));
  if (!lnd_finalising(L)) {
    release(L, &box->p);
  } else if (box->p != NULL) {
    box->later = box->p;
    box->p = NULL;
  }
  return 0;
}

static int type_collect(lua_State *L) {
  lnd_box *box = lnd_check_box(L, 1, lua_tostring(L, lua_upvalueindex(1)));
  release(L, &box->p);
  release(L, &box->later);
  return 0;
}

void lnd_type(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta,
              lnd_release free_it) {
  static const luaL_Reg close[] = {{"close", type_close}, {NULL, NULL}};
  static const luaL_Reg ends[] = {{"__gc", type_collect}, {"__close", type_close}, {NULL, NULL}};
  const int top = lua_gettop(L);
  luaL_newmetatable(L, type);            /* mt */
  luaL_setfuncs(L, meta, 0);
  lua_pushstring(L, type);               /* mt,type */
  *(lnd_release *)lua_newuserdatauv(L, sizeof free_it, 0) = free_it;  /* mt,type,release */
  lua_pushvalue(L, -3);                  /* mt,type,release,mt */
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);                  /* mt,type,release,mt,type,release */
  luaL_setfuncs(L, ends, 2);             /* mt,type,release,mt */
  lua_pop(L, 1);                         /* mt,type,release */
  lua_newtable(L);                       /* mt,type,release,methods */
  if (methods != NULL) luaL_setfuncs(L, methods, 0);
  lua_insert(L, -3);                     /* mt,methods,type,release */
  if (methods != NULL) luaL_setfuncs(L, close, 2);
  lua_settop(L, top + 2);                /* mt,methods */
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
  lua_pop(L, 1);  /* the table still holds it */
  return def;
}

int lnd_opt_choice(lua_State *L, int arg, const char *key, int def, const char *const *choices) {
  const char *given = lnd_opt_str(L, arg, key, NULL);
  if (given == NULL) return def;
  for (int i = 0; choices[i] != NULL; i++)
    if (strcmp(choices[i], given) == 0) return i;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; choices[i] != NULL; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, choices[i]);
  }
  luaL_pushresult(&b);
  return luaL_error(L, "option '%s': '%s' is none of %s", key, given, lua_tostring(L, -1));
}
