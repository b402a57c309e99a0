/* kit.h - a drum kit: percussion classes ("voices") and the MIDI pitches that
 * belong to each. Built in are "gm9" (default), "basic6" and "full17"; users may
 * define their own. A kit is a plain value: it owns no memory and is copied by
 * assignment. */
#ifndef ND_MUSIC_KIT_H
#define ND_MUSIC_KIT_H

#include "../base/nd.h"

enum { ND_VOICE_NAME = 24 };  /* bytes of a name, with its zero */

typedef struct nd_kit {
  char name[ND_VOICE_NAME];
  int32_t n_voices;
  char voice_names[ND_MAX_VOICES][ND_VOICE_NAME];
  int8_t voice_of[128];             /* by pitch; -1: not in the kit */
  uint8_t pitch_of[ND_MAX_VOICES];  /* by voice: the pitch that is written */
} nd_kit;

/* A built-in kit. ND_MISUSE for an unknown name, with the known ones. */
nd_status nd_kit_named(nd_kit *kit, const char *name, nd_error *err);

/* A kit as one line of text, "name|voice:36,35|voice:...", and back, without
 * loss. Corpora and checkpoints hold it. Formatting needs at most ND_KIT_TEXT of
 * the `size` bytes at `text` (ND_LIMIT if they do not suffice). */
enum { ND_KIT_TEXT = 2048 };
nd_status nd_kit_format(const nd_kit *kit, char *text, size_t size, nd_error *err);
nd_status nd_kit_parse(nd_kit *kit, const char *text, nd_error *err);

/* Builds a kit: start makes an empty one, add appends a voice with its `n`
 * pitches. Names are 1..23 printable bytes without | : and commas; names of
 * voices are distinct, and so are pitches. Fails with ND_MISUSE; the kit is then
 * as it was. */
nd_status nd_kit_start(nd_kit *kit, const char *name, nd_error *err);
nd_status nd_kit_add(nd_kit *kit, const char *voice, const int *pitches, size_t n, nd_error *err);

/* The index of a voice; -1: there is none of this name. */
int32_t nd_kit_find(const nd_kit *kit, const char *voice);

bool nd_kit_equal(const nd_kit *a, const nd_kit *b);

#endif
