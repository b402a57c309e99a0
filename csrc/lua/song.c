/* song.c - Songs: notes in time, from a MIDI file (smf.c) or from a host's table, and
 * back to a MIDI file. Channels, tracks and list items are numbered from 1 in Lua and
 * from 0 in the engine. */
#include "../music/song.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/file.h"
#include "../midi/splice.h"
#include "../music/sequence.h"
#include "lnd.h"

static nd_song *check(lua_State *L) { return lnd_check(L, 1, &lnd_song); }

static void release(void *song) { nd_song_free(song); }

const lnd_class lnd_song = {"neuraldrummer.song", release};

/* ---------------------------------------------------------- from a host's table */

/* The list being read, and which of its items, for messages. */
typedef struct item { const char *list; lua_Integer index; } item;

/* The whole number in field `key` of the table on top, in min..max, or `def` when the
 * field is nil. A `def` below `min` means that the field is required. */
static lua_Integer int_field(lua_State *L, item at, const char *key, lua_Integer def,
                             lua_Integer min, lua_Integer max) {
  int ok = 1;
  lua_Integer value = def;
  if (lua_getfield(L, -1, key) != LUA_TNIL) {
    value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &ok) : (ok = 0);
    if (!ok)
      luaL_error(L, "%s[%I].%s: a whole number is needed, got %s", at.list, (LUAI_UACINT)at.index,
                 key, lua_type(L, -1) == LUA_TNUMBER ? luaL_tolstring(L, -1, NULL)
                                                     : luaL_typename(L, -1));
    if (value < min || value > max)
      luaL_error(L, "%s[%I].%s: %I is not in %I..%I", at.list, (LUAI_UACINT)at.index, key,
                 (LUAI_UACINT)value, (LUAI_UACINT)min, (LUAI_UACINT)max);
  } else if (def < min) {
    luaL_error(L, "%s[%I].%s is missing", at.list, (LUAI_UACINT)at.index, key);
  }
  lua_pop(L, 1);
  return value;
}

/* Raises an error unless the item on top is a table with known keys only. */
static void check_item(lua_State *L, item at, const char *const *keys) {
  if (!lua_istable(L, -1))
    luaL_error(L, "%s[%I]: a table is needed, got %s", at.list, (LUAI_UACINT)at.index,
               luaL_typename(L, -1));
  lua_pushnil(L);                        /* item,key */
  while (lua_next(L, -2) != 0) {         /* item,key,value */
    lua_pop(L, 1);                       /* item,key */
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (key == NULL)
      luaL_error(L, "%s[%I]: unknown field '%s'", at.list, (LUAI_UACINT)at.index,
                 luaL_tolstring(L, -1, NULL));
    else if (!lnd_has_name(key, keys))
      luaL_error(L, "%s[%I]: unknown field '%s'; did you mean '%s'?", at.list,
                 (LUAI_UACINT)at.index, key, lnd_nearest(key, keys));
  }
}

typedef nd_status (*add_item)(lua_State *L, item at, nd_song *song, nd_error *err);

/* Adds notes[i]. Ticks and durations are limited so that no sum overflows 32 bits.
 * Tracks are made as far as the highest one that a note names. */
static nd_status add_note(lua_State *L, item at, nd_song *song, nd_error *err) {
  static const char *const keys[] = {"tick",    "duration", "pitch", "velocity",
                                     "channel", "program",  "track", NULL};
  check_item(L, at, keys);
  nd_note note = {
    .tick = (int32_t)int_field(L, at, "tick", -1, 0, ND_MAX_TICK),
    .duration = (int32_t)int_field(L, at, "duration", -1, 0, ND_MAX_TICK),
    .pitch = (uint8_t)int_field(L, at, "pitch", -1, 0, 127),
    .velocity = (uint8_t)int_field(L, at, "velocity", 0, 1, 127),
    .channel = (uint8_t)(int_field(L, at, "channel", 1, 1, 16) - 1),
    .program = (uint8_t)int_field(L, at, "program", 0, 0, 127),
    .track = (uint16_t)(int_field(L, at, "track", 1, 1, ND_MAX_TRACKS) - 1),
  };
  if (note.tick > ND_MAX_TICK - note.duration)
    luaL_error(L, "notes[%I]: the note ends after tick %I, the last one", (LUAI_UACINT)at.index,
               (LUAI_UACINT)ND_MAX_TICK);
  while (song->n_tracks <= note.track) {
    nd_status status = nd_song_add_track(song, "", 0, err);
    if (status != ND_OK) return status;
  }
  return nd_song_add_note(song, note, err);
}

/* Adds tempos[i]. MIDI stores microseconds of a quarter note in 24 bits, which limits
 * bpm. */
static nd_status add_tempo(lua_State *L, item at, nd_song *song, nd_error *err) {
  static const char *const keys[] = {"tick", "bpm", NULL};
  check_item(L, at, keys);
  const int32_t tick = (int32_t)int_field(L, at, "tick", -1, 0, ND_MAX_TICK);
  if (lua_getfield(L, -1, "bpm") != LUA_TNUMBER)
    luaL_error(L, "tempos[%I].bpm: a number is needed, got %s", (LUAI_UACINT)at.index,
               luaL_typename(L, -1));
  const double us = 60e6 / lua_tonumber(L, -1);
  if (!(us >= 0.5 && us < 0xFFFFFF + 0.5))  /* NaN too */
    luaL_error(L, "tempos[%I].bpm: %f is not in 3.5763..60000000", (LUAI_UACINT)at.index,
               lua_tonumber(L, -1));
  lua_pop(L, 1);
  return nd_song_add_tempo(song, (nd_tempo){.tick = tick, .us_per_quarter = (int32_t)lround(us)},
                           err);
}

/* Adds meters[i]. MIDI stores the denominator as a power of two. */
static nd_status add_meter(lua_State *L, item at, nd_song *song, nd_error *err) {
  static const char *const keys[] = {"tick", "numerator", "denominator", NULL};
  check_item(L, at, keys);
  const int32_t tick = (int32_t)int_field(L, at, "tick", -1, 0, ND_MAX_TICK);
  const lua_Integer numerator = int_field(L, at, "numerator", 0, 1, 255);
  const lua_Integer denominator = int_field(L, at, "denominator", 0, 1, ND_MAX_DENOMINATOR);
  if ((denominator & (denominator - 1)) != 0)
    luaL_error(L, "meters[%I].denominator: %I is not a power of two", (LUAI_UACINT)at.index,
               (LUAI_UACINT)denominator);
  return nd_song_add_meter(song,
                           (nd_meter){.tick = tick, .numerator = (int16_t)numerator,
                                      .denominator = (int16_t)denominator},
                           err);
}

/* Adds every item of the list `key` of the table at index 1. */
static void add_list(lua_State *L, const char *key, bool needed, nd_song *song, add_item add) {
  nd_error err;
  const int type = lua_getfield(L, 1, key);                      /* list */
  if (type == LUA_TNIL && !needed) {
    lua_pop(L, 1);
    return;
  }
  if (type != LUA_TTABLE)
    luaL_error(L, "option '%s': a list is needed, got %s", key, luaL_typename(L, -1));
  const lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);                                       /* list,item */
    if (add(L, (item){key, i}, song, &err) != ND_OK) lnd_raise(L, &err);
    lua_pop(L, 1);                                               /* list */
  }
  lua_pop(L, 1);
}

/* Bytes of a Song that matter to the collector. */
static size_t memory(const nd_song *song) {
  return song->n_bytes + song->n_notes * sizeof *song->notes;
}

/* core.song{ppq, notes, tempos, meters, name, drum_channel} -> song. The box owns the
 * Song from the start, because any of the many checks may raise an error. */
static int core_song(lua_State *L) {
  static const char *const keys[] = {"ppq",  "notes",        "tempos", "meters",
                                     "name", "drum_channel", NULL};
  nd_error err;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lnd_opts(L, 1, keys);
  const lua_Integer ppq = lnd_opt_int(L, 1, "ppq", 0, 1, 32767);
  if (ppq == 0) return luaL_error(L, "option 'ppq' is missing");
  const int drums = (int)lnd_opt_int(L, 1, "drum_channel", 0, 1, 16) - 1;
  const char *name = lnd_opt_str(L, 1, "name", "");  /* name */

  lnd_box *box = lnd_push(L, &lnd_song, NULL);
  nd_song *song = box->p = nd_song_new((int32_t)ppq);
  if (song == NULL) return lnd_nomem(L);
  song->hosted = true;
  if (nd_song_add_track(song, name, strlen(name), &err) != ND_OK) return lnd_raise(L, &err);
  add_list(L, "notes", true, song, add_note);
  add_list(L, "tempos", false, song, add_tempo);
  add_list(L, "meters", false, song, add_meter);
  if (nd_song_finish(song, &err) != ND_OK || nd_song_find_drums(song, drums, &err) != ND_OK)
    return lnd_raise(L, &err);
  lnd_grew(L, memory(song));
  return 1;
}

/* --------------------------------------------------------------------- queries */

/* song:ppq() -> ticks of a quarter note */
static int song_ppq(lua_State *L) {
  lua_pushinteger(L, check(L)->ppq);
  return 1;
}

/* Pushes {tick, duration, pitch, velocity, channel, program, track}, numbered from 1. */
static void push_note(lua_State *L, const nd_note *note) {
  lua_createtable(L, 0, 7);               /* note */
  lnd_set_int(L, "tick", note->tick);
  lnd_set_int(L, "duration", note->duration);
  lnd_set_int(L, "pitch", note->pitch);
  lnd_set_int(L, "velocity", note->velocity);
  lnd_set_int(L, "channel", note->channel + 1);
  lnd_set_int(L, "program", note->program);
  lnd_set_int(L, "track", note->track + 1);
}

/* song:notes(which) -> list; `which` is "all", "drums" or "others" */
static int song_notes(lua_State *L) {
  static const char *const choices[] = {"all", "drums", "others", NULL};
  const nd_song *song = check(L);
  const int which = luaL_checkoption(L, 2, "all", choices);
  lua_Integer n = 0;
  lua_newtable(L);                        /* list */
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (which != 0 && nd_song_is_drum(song, note) != (which == 1)) continue;
    push_note(L, note);                   /* list,note */
    lua_rawseti(L, -2, ++n);              /* list */
  }
  return 1;
}

/* The iterator of pairs(song): object, i -> i + 1, note */
static int song_next(lua_State *L) {
  const nd_song *song = check(L);
  const lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 0 || (lua_Unsigned)i >= song->n_notes) return 0;
  lua_pushinteger(L, i + 1);
  push_note(L, &song->notes[i]);
  return 2;
}

static int song_pairs(lua_State *L) { return lnd_pairs(L, song_next); }

static int song_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->n_notes);
  return 1;
}

/* song:pitches() -> {[36] = 212, …}: drum notes by pitch */
static int song_pitches(lua_State *L) {
  const nd_song *song = check(L);
  lua_Integer counts[128] = {0};
  for (size_t i = 0; i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i])) counts[song->notes[i].pitch]++;
  lua_newtable(L);                        /* pitches */
  for (int p = 0; p < 128; p++) {
    if (counts[p] == 0) continue;
    lua_pushinteger(L, counts[p]);
    lua_rawseti(L, -2, p);
  }
  return 1;
}

/* The pitch in field `key` of the table at `arg`, or `pitch` when the field is nil. The
 * access is raw: a metamethod could close the objects in use. */
static uint8_t pitch_from(lua_State *L, int arg, lua_Integer key, uint8_t pitch) {
  if (lua_rawgeti(L, arg, key) != LUA_TNIL) {
    int whole = 0;
    lua_Integer p = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : -1;
    if (!whole || p < 0 || p > 127)
      luaL_error(L, "pitches[%I]: a pitch, 0 to 127, is needed", (LUAI_UACINT)key);
    pitch = (uint8_t)p;
  }
  lua_pop(L, 1);
  return pitch;
}

/* song:with_pitches(map) -> a copy whose drum notes have other pitches. Tracks are
 * copied before notes, which refer to them. */
static int song_with_pitches(lua_State *L) {
  const nd_song *song = check(L);
  uint8_t map[128];
  nd_error err;
  luaL_checktype(L, 2, LUA_TTABLE);
  for (int p = 0; p < 128; p++) map[p] = pitch_from(L, 2, p, (uint8_t)p);
  lnd_box *box = lnd_push(L, &lnd_song, NULL);
  nd_song *made = box->p = nd_song_new(song->ppq);
  if (made == NULL) return lnd_nomem(L);
  nd_status status = ND_OK;
  for (size_t i = 0; status == ND_OK && i < song->n_tracks; i++)
    status = nd_song_add_track(made, song->track_names[i], strlen(song->track_names[i]), &err);
  for (size_t i = 0; status == ND_OK && i < song->n_notes; i++) {
    nd_note note = song->notes[i];
    if (nd_song_is_drum(song, &note)) note.pitch = map[note.pitch];
    status = nd_song_add_note(made, note, &err);
  }
  for (size_t i = 0; status == ND_OK && i < song->n_tempos; i++)
    status = nd_song_add_tempo(made, song->tempos[i], &err);
  for (size_t i = 0; status == ND_OK && i < song->n_meters; i++)
    status = nd_song_add_meter(made, song->meters[i], &err);
  made->hosted = song->hosted;
  made->end_tick = song->end_tick;
  if (status == ND_OK) status = nd_song_finish(made, &err);
  /* a guess is made again, with the same result: it depends on names and channels */
  if (status == ND_OK)
    status = nd_song_find_drums(made, song->drum_channel_guessed ? -1 : song->drum_channel, &err);
  if (status != ND_OK) return lnd_raise(L, &err);
  lnd_grew(L, memory(made));
  return 1;
}

/* song:tempos() -> {{tick, bpm}, …} */
static int song_tempos(lua_State *L) {
  const nd_song *song = check(L);
  lua_newtable(L);
  for (size_t i = 0; i < song->n_tempos; i++) {
    lua_createtable(L, 0, 2);
    lnd_set_int(L, "tick", song->tempos[i].tick);
    lnd_set_num(L, "bpm", 60e6 / song->tempos[i].us_per_quarter);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* song:meters() -> {{tick, numerator, denominator}, …} */
static int song_meters(lua_State *L) {
  const nd_song *song = check(L);
  lua_newtable(L);
  for (size_t i = 0; i < song->n_meters; i++) {
    lua_createtable(L, 0, 3);
    lnd_set_int(L, "tick", song->meters[i].tick);
    lnd_set_int(L, "numerator", song->meters[i].numerator);
    lnd_set_int(L, "denominator", song->meters[i].denominator);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* song:tracks() -> names, "" for a track without one */
static int song_tracks(lua_State *L) {
  const nd_song *song = check(L);
  lua_newtable(L);
  for (size_t i = 0; i < song->n_tracks; i++) {
    lua_pushstring(L, song->track_names[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* song:repairs() -> {{offset, lossy, text}, …}: what the reader repaired */
static int song_repairs(lua_State *L) {
  const nd_song *song = check(L);
  lua_newtable(L);
  for (size_t i = 0; i < song->n_repairs; i++) {
    lua_createtable(L, 0, 3);
    lnd_set_int(L, "offset", (lua_Integer)song->repairs[i].offset);
    lnd_set_bool(L, "lossy", song->repairs[i].lossy);
    lnd_set_str(L, "text", song->repairs[i].text);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* song:drum_channel() -> channel from 1, or nil; whether it was guessed */
static int song_drum_channel(lua_State *L) {
  const nd_song *song = check(L);
  if (song->drum_channel >= 0) lua_pushinteger(L, song->drum_channel + 1);
  else lua_pushnil(L);
  lua_pushboolean(L, song->drum_channel_guessed);
  return 2;
}

/* song:seconds() -> duration at the song's tempos */
static int song_seconds(lua_State *L) {
  const nd_song *song = check(L);
  lua_pushnumber(L, nd_song_seconds(song, song->end_tick));
  return 1;
}

/* song:length() -> duration in ticks */
static int song_length(lua_State *L) {
  lua_pushinteger(L, check(L)->end_tick);
  return 1;
}

/* song: 5 tracks, 1203 notes, 3:12, drums on channel 10 */
static int song_tostring(lua_State *L) {
  const nd_song *song = lnd_peek(L, 1, &lnd_song);
  if (song == NULL) {
    lua_pushliteral(L, "song (closed)");
    return 1;
  }
  const lua_Integer s = (lua_Integer)(nd_song_seconds(song, song->end_tick) + 0.5);
  lua_pushfstring(L, "song: %I track%s, %I note%s, %I:%d%d, ", (LUAI_UACINT)song->n_tracks,
                  song->n_tracks == 1 ? "" : "s", (LUAI_UACINT)song->n_notes,
                  song->n_notes == 1 ? "" : "s", (LUAI_UACINT)(s / 60), (int)(s % 60 / 10),
                  (int)(s % 10));
  if (song->drum_channel < 0)
    lua_pushliteral(L, "no drums");
  else
    lua_pushfstring(L, "drums on channel %d%s", song->drum_channel + 1,
                    song->drum_channel_guessed ? " (guessed)" : "");
  lua_concat(L, 2);
  return 1;
}

/* --------------------------------------------------------------- back to a file */

/* song:with_drums(drums, {…}) -> song. The drums become notes of a scratch Song
 * first, whose velocities and pitches are then changed and which the splicer merges
 * with the song. */
static int song_with_drums(lua_State *L) {
  static const char *const keys[] = {"keep_drums", "drums_alone", "length",
                                     "velocity",   "track_name",  "tail",
                                     "pitches",    NULL};
  enum { DRUMS = 2, OPTIONS, NAME, PITCHES, MADE };
  const nd_song *song = check(L);
  const nd_sequence *seq = lnd_check(L, DRUMS, &lnd_sequence);
  nd_error err;
  lua_settop(L, OPTIONS);
  lnd_opts(L, OPTIONS, keys);
  const char *name = lnd_opt_str(L, OPTIONS, "track_name", "Drums");   /* name */
  const nd_splice_options options = {
    .retain_drums = lnd_opt_bool(L, OPTIONS, "keep_drums", false),
    .drums_alone = lnd_opt_bool(L, OPTIONS, "drums_alone", false),
    .track_name = name,
    .tail_ticks = (int32_t)(lnd_opt_num(L, OPTIONS, "tail", 0, 0, 64) * song->ppq),
  };
  const double length = lnd_opt_num(L, OPTIONS, "length", 0.5, 1e-3, 1024);
  const double velocity = lnd_opt_num(L, OPTIONS, "velocity", 1, 0, 127);
  const int pitches = lnd_opt(L, OPTIONS, "pitches");                  /* name,pitches */
  if (pitches != LUA_TNIL && pitches != LUA_TTABLE)
    return luaL_error(L, "option 'pitches': a table is needed, got %s", luaL_typename(L, PITCHES));
  if (seq->grid.ppq != song->ppq)
    return luaL_error(L, "the drums have %d ticks a beat, the song %d", (int)seq->grid.ppq,
                      (int)song->ppq);

  lnd_box *made = lnd_push(L, &lnd_song, NULL);     /* name,pitches,made */
  lnd_box *scratch = lnd_push(L, &lnd_song, NULL);  /* name,pitches,made,scratch */
  nd_song *drums = scratch->p = nd_song_new(song->ppq);
  if (drums == NULL) return lnd_nomem(L);
  nd_status status =
      nd_sequence_notes(seq, drums, nd_song_channel_for_drums(song), length, &err);
  for (size_t i = 0; status == ND_OK && i < drums->n_notes; i++) {
    const double v = drums->notes[i].velocity * velocity;
    nd_note *note = &drums->notes[i];
    note->velocity = (uint8_t)(v < 1 ? 1 : v > 127 ? 127 : lround(v));
    if (pitches != LUA_TNIL)
      note->pitch = pitch_from(L, PITCHES, 128 * ((lua_Integer)note->tick + 1) + note->pitch,
                               pitch_from(L, PITCHES, note->pitch, note->pitch));
  }
  nd_song *result = NULL;
  if (status == ND_OK) status = nd_splice_song(&result, song, drums, &options, &err);
  nd_song_free(drums);
  scratch->p = NULL;
  if (status != ND_OK) return lnd_raise(L, &err);
  made->p = result;
  lnd_grew(L, memory(result));
  lua_settop(L, MADE);
  return 1;
}

/* The song with its file's bytes: `song` itself when it was read from a file, else a
 * new song, which the caller frees. On failure *file is `song`. */
static nd_status song_file(nd_song *song, nd_song **file, nd_error *err) {
  const nd_splice_options all = {.retain_drums = true};
  *file = song;
  return song->bytes != NULL ? ND_OK : nd_splice_song(file, song, NULL, &all, err);
}

/* song:bytes() -> the whole MIDI file as a string */
static int song_bytes(lua_State *L) {
  nd_song *song = check(L), *file;
  nd_error err;
  lnd_box *scratch = lnd_push(L, &lnd_song, NULL);  /* owns the file while Lua copies it */
  if (song_file(song, &file, &err) != ND_OK) return lnd_raise(L, &err);
  if (file != song) scratch->p = file;
  lua_pushlstring(L, (const char *)file->bytes, file->n_bytes);
  nd_song_free(scratch->p);
  scratch->p = NULL;
  return 1;
}

/* song:save(path) -> true, or nil and a message */
static int song_save(lua_State *L) {
  nd_song *song = check(L), *file;
  const char *path = luaL_checkstring(L, 2);
  nd_error err;
  nd_status status = song_file(song, &file, &err);
  if (status == ND_OK) status = nd_file_write(path, file->bytes, file->n_bytes, &err);
  if (file != song) nd_song_free(file);
  return lnd_result(L, status, &err, path);
}

void lnd_open_song(lua_State *L) {
  static const luaL_Reg methods[] = {
    {"ppq", song_ppq},           {"notes", song_notes},
    {"pitches", song_pitches},   {"with_pitches", song_with_pitches},
    {"tempos", song_tempos},     {"meters", song_meters},
    {"tracks", song_tracks},     {"repairs", song_repairs},
    {"drum_channel", song_drum_channel},
    {"seconds", song_seconds},   {"length", song_length},
    {"with_drums", song_with_drums},
    {"bytes", song_bytes},       {"save", song_save},
    {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
    {"__tostring", song_tostring},
    {"__len", song_len},  {"__pairs", song_pairs}, {NULL, NULL},
  };
  lnd_type(L, &lnd_song, methods, meta);
  lua_pushcfunction(L, core_song);
  lua_setfield(L, -2, "song");
}
