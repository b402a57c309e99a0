/* kit.h - percussion classes ("voices") and the pitches that belong to them.
 * Built-in kits: "basic6", "gm9" (default), "full17"; or a user's table. */
#ifndef ND_MUSIC_KIT_H
#define ND_MUSIC_KIT_H

#include "../base/nd.h"

enum { ND_VOICE_NAME = 24 };

typedef struct nd_kit {
  char name[ND_VOICE_NAME];
  int32_t n_voices;
  char voice_names[ND_MAX_VOICES][ND_VOICE_NAME];
  int8_t voice_of[128];             /* pitch -> voice, -1 when not in the kit */
  uint8_t pitch_of[ND_MAX_VOICES];  /* voice -> the pitch written back */
} nd_kit;

/* ND_MISUSE for an unknown name (the text lists the known ones). */
nd_status nd_kit_named(nd_kit *kit, const char *name, nd_error *err);

/* A kit as one line of text, "name|voice:36,35|voice:…", the first pitch of a
 * voice being the one written back; and back again. Round-trips. Used in
 * corpora, checkpoints and for users' tables. `size` bytes at `text`; needs at
 * most ND_KIT_TEXT. */
enum { ND_KIT_TEXT = 2048 };
nd_status nd_kit_format(const nd_kit *kit, char *text, size_t size, nd_error *err);
nd_status nd_kit_parse(nd_kit *kit, const char *text, nd_error *err);

/* A user's kit, voice by voice: an empty one, then its voices in order. A
 * name is 1..23 printable bytes without | : and commas, and a voice's is
 * its own; a pitch belongs to one voice. ND_MISUSE otherwise, with the kit as
 * it was. */
nd_status nd_kit_start(nd_kit *kit, const char *name, nd_error *err);
nd_status nd_kit_add(nd_kit *kit, const char *voice, const int *pitches, size_t n, nd_error *err);

/* Voice of that name, -1 when there is none. */
int32_t nd_kit_find(const nd_kit *kit, const char *voice);

bool nd_kit_equal(const nd_kit *a, const nd_kit *b);

#endif
