/* tokeniser.c - tokenisers: the settings by which songs are laid on a grid, and which
 * notes are which voice of a kit. An nd_tokeniser is a plain struct, so that userdata
 * have copies of their own. */
#include <string.h>

#include "../music/tokens.h"
#include "push.h"

static nd_tokeniser *check(lua_State *L) { return lnd_check(L, 1, &lnd_tokeniser); }

/* Raises an error unless all keys of the table on top are in `keys`, or are whole numbers
 * if it may be a list as well. `what` is the table's name in messages. */
static void check_keys(lua_State *L, const char *what, const char *const *keys, bool list) {
  lua_pushnil(L);                                         /* table,key */
  while (lua_next(L, -2) != 0) {                          /* table,key,value */
    lua_pop(L, 1);
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (key != NULL && !lnd_has_name(key, keys))
      luaL_error(L, "%s: unknown field '%s'; did you mean '%s'?", what, key,
                 lnd_nearest(key, keys));
    else if (key == NULL && !(list && lua_isinteger(L, -1)))
      luaL_error(L, "%s: unknown field '%s'", what, luaL_tolstring(L, -1, NULL));
  }
}

/* Adds the voice on top of the stack, {name = …, pitches = {…}}, to the kit. */
static void add_voice(lua_State *L, nd_kit *kit, lua_Integer i) {
  static const char *const keys[] = {"name", "pitches", NULL};
  int pitches[128];
  size_t n = 0;
  nd_error err;
  if (lua_type(L, -1) != LUA_TTABLE || lua_getfield(L, -1, "name") != LUA_TSTRING ||
      lua_getfield(L, -2, "pitches") != LUA_TTABLE)
    luaL_error(L, "kit: voice %I: {name = \"…\", pitches = {…}} is needed", (LUAI_UACINT)i);
  const char *name = lua_tostring(L, -2);                 /* voice,name,pitches */
  const char *what = lua_pushfstring(L, "kit: voice '%s'", name);
  lua_pushvalue(L, -4);                                   /* voice,name,pitches,what,voice */
  check_keys(L, what, keys, false);
  lua_pop(L, 2);
  for (lua_Integer k = 1; lua_rawgeti(L, -1, k) != LUA_TNIL; k++) {
    int whole;
    lua_Integer pitch = lua_tointegerx(L, -1, &whole);
    if (lua_type(L, -1) != LUA_TNUMBER || !whole || pitch < 0 || pitch > 127 || n == 128)
      luaL_error(L, "kit: voice '%s': pitch %I is not a whole number, 0 to 127", name,
                 (LUAI_UACINT)k);
    pitches[n++] = (int)pitch;
    lua_pop(L, 1);
  }
  if (nd_kit_add(kit, name, pitches, n, &err) != ND_OK) lnd_raise(L, &err);
  lua_pop(L, 3);                                          /* voice */
}

/* Reads the option "kit": the name of a built-in kit, a kit_text, or a table
 * {name = …, voice, voice, …}. Without the option the kit does not change. */
static void get_kit(lua_State *L, int arg, nd_kit *kit) {
  nd_error err;
  lua_getfield(L, arg, "kit");                            /* kit */
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    break;
  case LUA_TSTRING:
    if (strchr(lua_tostring(L, -1), '|') != NULL) {       /* a kit_text */
      if (nd_kit_parse(kit, lua_tostring(L, -1), &err) != ND_OK) lnd_raise(L, &err);
    } else if (nd_kit_named(kit, lua_tostring(L, -1), &err) != ND_OK) {
      lnd_raise(L, &err);
    }
    break;
  case LUA_TTABLE:
    check_keys(L, "kit", (const char *const[]){"name", NULL}, true);
    lua_getfield(L, -1, "name");                          /* kit,name */
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "kit: a name is needed");
    if (nd_kit_start(kit, lua_tostring(L, -1), &err) != ND_OK) lnd_raise(L, &err);
    lua_pop(L, 1);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
      add_voice(L, kit, i);                               /* kit,voice */
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (kit->n_voices == 0) luaL_error(L, "kit: a voice is needed");
    break;
  default:
    luaL_error(L, "option 'kit': a name or a table is needed, got %s", luaL_typename(L, -1));
  }
  lua_pop(L, 1);
}

/* core.tokeniser{preset, kit, …} -> tokeniser. Everything that is not given is the
 * preset's. */
static int tokeniser_new(lua_State *L) {
  static const char *const names[] = {"preset", "kit", "steps_per_beat", "beat",
                                      "include_drums", "max_steps", NULL};
  static const char *const presets[] = {"drummer", "neuraldrummer2023", NULL};
  static const char *const beats[] = {"quarter", "meter", NULL};
  nd_tokeniser tok;
  nd_error err;
  lua_settop(L, 1);
  lnd_opts(L, 1, names);
  const char *preset = presets[lnd_opt_choice(L, 1, "preset", 0, presets)];
  if (nd_tokeniser_preset(&tok, preset, &err) != ND_OK) return lnd_raise(L, &err);
  if (!lua_isnil(L, 1)) get_kit(L, 1, &tok.kit);
  lua_Integer steps = lnd_opt_int(L, 1, "steps_per_beat", tok.steps_per_beat, 1, 960);
  if (steps != 2 && steps != 4 && steps != 6 && steps != 8 && steps != 12)
    return luaL_error(L, "option 'steps_per_beat': %I is not one of 2, 4, 6, 8, 12",
                      (LUAI_UACINT)steps);
  tok.steps_per_beat = (int32_t)steps;
  tok.beat = (nd_beat)lnd_opt_choice(L, 1, "beat", (int)tok.beat, beats);
  tok.include_drums = lnd_opt_bool(L, 1, "include_drums", tok.include_drums);
  tok.max_steps = (int32_t)lnd_opt_int(L, 1, "max_steps", tok.max_steps, 1, ND_MAX_STEPS);
  return lnd_push_tokeniser(L, &tok);
}

/* tokeniser:encode(song, name, max_steps) -> sequence, or nil and a message.
 * max_steps replaces the tokeniser's limit for this song only. */
static int tokeniser_encode(lua_State *L) {
  nd_tokeniser *tok = check(L);
  nd_song *song = lnd_check(L, 2, &lnd_song);
  const char *name = luaL_optstring(L, 3, NULL);
  const lua_Integer max = luaL_optinteger(L, 4, tok->max_steps);
  luaL_argcheck(L, max >= 1 && max <= ND_MAX_STEPS, 4, "max_steps is not in 1..16777216");
  nd_tokeniser limited = *tok;
  limited.max_steps = (int32_t)max;
  nd_sequence *seq;
  nd_error err;
  if (nd_sequence_encode(&seq, &limited, song, &err) != ND_OK) return lnd_fail(L, &err, name);
  if (name != NULL && nd_sequence_set_name(seq, name) != ND_OK) {
    nd_sequence_free(seq);
    return lnd_nomem(L);
  }
  return lnd_push_sequence(L, seq);
}

/* tokeniser:parse(line) -> sequence, or nil and a message with the column */
static int tokeniser_parse(lua_State *L) {
  nd_tokeniser *tok = check(L);
  size_t len;
  const char *line = luaL_checklstring(L, 2, &len);
  nd_sequence *seq;
  nd_error err;
  if (nd_tokens_read(&seq, tok, line, len, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  return lnd_push_sequence(L, seq);
}

static int tokeniser_voices(lua_State *L) { return lnd_push_voices(L, &check(L)->kit); }

static int tokeniser_settings(lua_State *L) { return lnd_push_settings(L, check(L)); }

static int tokeniser_tostring(lua_State *L) {
  const nd_tokeniser *tok = lnd_peek(L, 1, &lnd_tokeniser);
  if (tok == NULL) lua_pushliteral(L, "tokeniser (closed)");
  else lua_pushfstring(L, "tokeniser: %s, %d steps a beat%s", tok->kit.name,
                       (int)tok->steps_per_beat, tok->original ? ", original" : "");
  return 1;
}

/* == of two tokenisers with the same settings. Lua calls __eq with any two userdata of
 * which one has it, so the other may be of another class. */
static int tokeniser_eq(lua_State *L) {
  const nd_tokeniser *a = lnd_test(L, 1, &lnd_tokeniser), *b = lnd_test(L, 2, &lnd_tokeniser);
  lua_pushboolean(L, a != NULL && b != NULL && nd_tokeniser_equal(a, b));
  return 1;
}

void lnd_open_tokeniser(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"encode", tokeniser_encode}, {"parse", tokeniser_parse}, {"voices", tokeniser_voices},
    {"settings", tokeniser_settings}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
    {"__tostring", tokeniser_tostring}, {"__eq", tokeniser_eq}, {NULL, NULL},
  };
  lnd_type(L, &lnd_tokeniser, methods, meta);
  lua_pushcfunction(L, tokeniser_new);                    /* core,new */
  lua_setfield(L, -2, "tokeniser");
}
