/* smf.c - core.parse_song and core.load_song: MIDI files to Songs; and the limits
 * of a MIDI file as options, which core.ingest has too. */
#include "../midi/smf.h"

#include <stdlib.h>

#include "lnd.h"

typedef struct options { nd_midi_limits limits; int drum_channel; } options;

nd_midi_limits lnd_opt_limits(lua_State *L, int arg) {
  nd_midi_limits limits = nd_midi_default_limits;
  limits.max_bytes = (size_t)lnd_opt_int(L, arg, "max_bytes", ND_MAX_FILE_BYTES, 0, INT32_MAX);
  limits.max_events = (size_t)lnd_opt_int(L, arg, "max_events", ND_MAX_EVENTS, 0, INT32_MAX);
  limits.max_tracks = (int32_t)lnd_opt_int(L, arg, "max_tracks", ND_MAX_TRACKS, 0, UINT16_MAX);
  return limits;
}

static options read_options(lua_State *L, int arg) {
  static const char *const keys[] = {"drum_channel", "strict",     "max_bytes",
                                     "max_events",   "max_tracks", NULL};
  lnd_opts(L, arg, keys);
  options o = {.limits = lnd_opt_limits(L, arg)};
  /* 1..16 in Lua; 0 in Lua, -1 here: to be found */
  o.drum_channel = (int)lnd_opt_int(L, arg, "drum_channel", 0, 1, 16) - 1;
  o.limits.strict = lnd_opt_bool(L, arg, "strict", false);
  return o;
}

/* Fills the box on top, which frees the Song if Lua raises an error. */
static int fill(lua_State *L, lnd_box *box, nd_song *song) {
  box->p = song;
  lnd_grew(L, song->n_bytes + song->n_notes * sizeof *song->notes);
  return 1;
}

/* core.parse_song(bytes, options) */
static int parse_song(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  const options o = read_options(L, 2);
  lnd_box *box = lnd_push(L, &lnd_song, NULL);
  nd_song *song = NULL;
  nd_error err;
  if (nd_smf_parse(&song, (const uint8_t *)bytes, n, o.drum_channel, &o.limits, &err) != ND_OK)
    return lnd_fail(L, &err, NULL);
  return fill(L, box, song);
}

/* core.load_song(path, options) */
static int load_song(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const options o = read_options(L, 2);
  lnd_box *box = lnd_push(L, &lnd_song, NULL);
  nd_song *song = NULL;
  uint8_t *bytes = NULL;
  size_t n = 0;
  nd_error err;
  nd_status status = nd_midi_read(path, &o.limits, &bytes, &n, &err);
  if (status == ND_OK) {
    status = nd_smf_parse(&song, bytes, n, o.drum_channel, &o.limits, &err);
    free(bytes);
  }
  if (status != ND_OK) return lnd_fail(L, &err, path);
  return fill(L, box, song);
}

void lnd_open_smf(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"parse_song", parse_song}, {"load_song", load_song}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
