/* push.c - Sequences and tokenisers as Lua values: several files return them. */
#include "push.h"

#include <stdlib.h>

static void release_sequence(void *seq) { nd_sequence_free(seq); }

const lnd_class lnd_sequence = {"neuraldrummer.sequence", release_sequence};
const lnd_class lnd_tokeniser = {"neuraldrummer.tokeniser", free};

/* Runs protected: a Sequence without an owner must not be lost. The box comes along as a
 * light userdata. */
static int push_empty(lua_State *L) {
  lua_pushlightuserdata(L, lnd_push(L, &lnd_sequence, NULL));   /* sequence,box */
  return 2;
}

int lnd_push_sequence(lua_State *L, nd_sequence *seq) {
  /* Making the userdata may raise an error, and nothing else owns the Sequence yet. */
  if (!lua_checkstack(L, 3)) {
    nd_sequence_free(seq);
    return luaL_error(L, "stack overflow");
  }
  lua_pushcfunction(L, push_empty);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK) {                        /* sequence,box */
    nd_sequence_free(seq);
    return lua_error(L);
  }
  ((lnd_box *)lua_touserdata(L, -1))->p = seq;
  lua_pop(L, 1);                                                /* sequence */
  lnd_grew(L, nd_sequence_bytes(seq));
  return 1;
}

int lnd_push_tokeniser(lua_State *L, const nd_tokeniser *tok) {
  lnd_box *box = lnd_push(L, &lnd_tokeniser, NULL);             /* tokeniser */
  nd_tokeniser *copy = box->p = lnd_calloc(L, 1, sizeof *copy);
  *copy = *tok;
  return 1;
}

int lnd_push_settings(lua_State *L, const nd_tokeniser *tok) {
  char kit[ND_KIT_TEXT];
  nd_error err;
  if (nd_kit_format(&tok->kit, kit, sizeof kit, &err) != ND_OK) return lnd_raise(L, &err);
  lua_createtable(L, 0, 7);                                     /* settings */
  lnd_set_str(L, "kit", tok->kit.name);
  lnd_set_str(L, "kit_text", kit);
  lnd_set_int(L, "steps_per_beat", tok->steps_per_beat);
  lnd_set_str(L, "beat", tok->beat == ND_BEAT_METER ? "meter" : "quarter");
  lnd_set_bool(L, "include_drums", tok->include_drums);
  lnd_set_bool(L, "original", tok->original);
  lnd_set_int(L, "max_steps", tok->max_steps);
  return 1;
}

int lnd_push_voices(lua_State *L, const nd_kit *kit) {
  lua_createtable(L, kit->n_voices, 0);                         /* voices */
  for (int32_t v = 0; v < kit->n_voices; v++) {
    lua_pushstring(L, kit->voice_names[v]);
    lua_rawseti(L, -2, v + 1);
  }
  return 1;
}

int lnd_push_numbers(lua_State *L, const float *values, size_t n, size_t stride) {
  lua_createtable(L, n > 1 << 26 ? 0 : (int)n, 0);              /* list */
  for (size_t i = 0; i < n; i++) {
    lua_pushnumber(L, (lua_Number)values[i * stride]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
