/* smf.c - opens neuraldrummer.smf: MIDI file bytes to Songs. A library of its
 * own, so that a host that has notes needs neither libsmf nor glib. The Songs'
 * type belongs to neuraldrummer.core, which must have been loaded. */
#include "../midi/smf.h"

#include <stdlib.h>

#include "../learn/ingest.h"
#include "lnd.h"

__attribute__((visibility("default"))) int luaopen_neuraldrummer_smf(lua_State *L);

typedef struct options { nd_midi_limits limits; int drum_channel; } options;

static options read_options(lua_State *L, int arg) {
  static const char *const keys[] = {"drum_channel", "strict",     "max_bytes",
                                     "max_events",   "max_tracks", NULL};
  lnd_opts(L, arg, keys);
  options o = {.limits = lnd_opt_limits(L, arg)};
  o.drum_channel = (int)lnd_opt_int(L, arg, "drum_channel", 0, 1, 16) - 1;
  o.limits.strict = lnd_opt_bool(L, arg, "strict", false);
  return o;
}

/* Fills the box on top, which keeps the Song from being lost if Lua raises. */
static int filled(lua_State *L, lnd_box *box, nd_song *song) {
  box->p = song;
  lnd_grew(L, song->n_bytes + song->n_notes * sizeof *song->notes);
  return 1;
}

static int smf_parse(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  const options o = read_options(L, 2);
  lnd_box *box = lnd_push(L, LND_SONG, 0);
  nd_song *song = NULL;
  nd_error err;
  if (nd_smf_parse(&song, (const uint8_t *)bytes, n, o.drum_channel, &o.limits, &err) != ND_OK)
    return lnd_fail(L, &err, NULL);
  return filled(L, box, song);
}

static int smf_load(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const options o = read_options(L, 2);
  lnd_box *box = lnd_push(L, LND_SONG, 0);
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
  return filled(L, box, song);
}

/* For core.ingest, which reads files by it on threads of its own. */
static nd_parse_song_fn *const reader = nd_smf_parse;

int luaopen_neuraldrummer_smf(lua_State *L) {
  static const luaL_Reg functions[] = {{"parse", smf_parse}, {"load", smf_load}, {NULL, NULL}};
  luaL_checkversion(L);
  lnd_check_core(L, "neuraldrummer.smf");
  luaL_newlib(L, functions);         /* smf */
  lnd_push(L, LND_READER, 0)->p = (void *)&reader;
  lua_setfield(L, -2, "reader");
  lua_pushliteral(L, ND_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
