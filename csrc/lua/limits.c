/* limits.c - what a MIDI file may have at most, as options: of neuraldrummer.smf,
 * and of core.ingest. */
#include "lnd.h"

nd_midi_limits lnd_opt_limits(lua_State *L, int arg) {
  nd_midi_limits limits = nd_midi_default_limits;
  limits.max_bytes = (size_t)lnd_opt_int(L, arg, "max_bytes", ND_MAX_FILE_BYTES, 0, INT32_MAX);
  limits.max_events = (size_t)lnd_opt_int(L, arg, "max_events", ND_MAX_EVENTS, 0, INT32_MAX);
  limits.max_tracks = (int32_t)lnd_opt_int(L, arg, "max_tracks", ND_MAX_TRACKS, 0, UINT16_MAX);
  return limits;
}
