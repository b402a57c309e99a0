/* kit.c - kits and their one-line text form "name|voice:pitch,pitch|...".
 *
 * The text form is also how built-in kits are defined, so there is one parser for
 * all kits. The separators | : , cannot be part of a name. */
#include "kit.h"

#include <stdio.h>
#include <string.h>

/* gm9 has the nine classes of Magenta's drums_rnn; basic6 and full17 are the
 * tables of the 2023 system. The first pitch of a voice is the one written. */
static const char *const built_in[] = {
  "gm9|kick:36,35|snare:38,27,28,31,32,33,34,37,39,40,56,65,66,75,85"
  "|closed_hat:42,44,54,68,69,70,71,73,78,80,22|open_hat:46,67,72,74,79,81,26"
  "|low_tom:45,29,41,43,61,64,84|mid_tom:48,47,60,63,77,86,87|high_tom:50,30,62,76,83"
  "|crash:49,52,55,57,58|ride:51,53,59,82",
  "basic6|kick:35,36|snare:38,40|closed_hat:42,44|open_hat:46|crash:49,55,57|ride:51,59",
  "full17|kick:35,36|stick:37|snare:38,40|clap:39|low_floor_tom:41|high_floor_tom:43|low_tom:45"
  "|low_mid_tom:47|high_mid_tom:48|high_tom:50|closed_hat:42|pedal_hat:44|open_hat:46"
  "|crash:49,57|ride:51,59|bell:53|splash:55",
};

/* Names may be in any language: bytes above 127 are allowed. */
static bool is_name(const char *name) {
  size_t n = strlen(name);
  if (n == 0 || n >= ND_VOICE_NAME) return false;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)name[i];
    if (c < 32 || c == 127 || c == '|' || c == ':' || c == ',') return false;
  }
  return true;
}

/* Zeroes the whole struct, names included: nd_kit_equal compares bytes. */
nd_status nd_kit_start(nd_kit *kit, const char *name, nd_error *err) {
  if (!is_name(name))
    return nd_fail(err, ND_MISUSE, "kit: its name must be 1 to %d printable bytes without | : ,",
                   ND_VOICE_NAME - 1);
  *kit = (nd_kit){.n_voices = 0};
  memcpy(kit->name, name, strlen(name));
  memset(kit->voice_of, -1, sizeof kit->voice_of);
  return ND_OK;
}

/* Works on a copy of the pitch table and changes the kit only at the end. */
nd_status nd_kit_add(nd_kit *kit, const char *voice, const int *pitches, size_t n, nd_error *err) {
  if (!is_name(voice))
    return nd_fail(err, ND_MISUSE,
                   "kit: the name of a voice must be 1 to %d printable bytes without | : ,",
                   ND_VOICE_NAME - 1);
  if (kit->n_voices == ND_MAX_VOICES)
    return nd_fail(err, ND_MISUSE, "kit: more than %d voices", ND_MAX_VOICES);
  if (nd_kit_find(kit, voice) >= 0)
    return nd_fail(err, ND_MISUSE, "kit: two voices are named '%s'", voice);
  if (n == 0) return nd_fail(err, ND_MISUSE, "kit: voice '%s' has no pitches", voice);
  int8_t voice_of[128];  /* a copy, so that a failure changes nothing */
  memcpy(voice_of, kit->voice_of, sizeof voice_of);
  for (size_t i = 0; i < n; i++) {
    if (pitches[i] < 0 || pitches[i] > 127)
      return nd_fail(err, ND_MISUSE, "kit: voice '%s': %d is not a pitch, 0 to 127", voice,
                     pitches[i]);
    if (voice_of[pitches[i]] >= 0)
      return nd_fail(err, ND_MISUSE, "kit: voice '%s': pitch %d already belongs to a voice", voice,
                     pitches[i]);
    voice_of[pitches[i]] = (int8_t)kit->n_voices;
  }
  memcpy(kit->voice_of, voice_of, sizeof voice_of);
  kit->pitch_of[kit->n_voices] = (uint8_t)pitches[0];
  memcpy(kit->voice_names[kit->n_voices], voice, strlen(voice));
  kit->n_voices++;
  return ND_OK;
}

int32_t nd_kit_find(const nd_kit *kit, const char *voice) {
  for (int32_t v = 0; v < kit->n_voices; v++)
    if (strcmp(kit->voice_names[v], voice) == 0) return v;
  return -1;
}

/* The name of a built-in kit is the first field of its text. */
nd_status nd_kit_named(nd_kit *kit, const char *name, nd_error *err) {
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
    if (strncmp(built_in[i], name, n) == 0 && built_in[i][n] == '|')
      return nd_kit_parse(kit, built_in[i], err);
  return nd_fail(err, ND_MISUSE, "no kit is named '%.40s'; known kits: gm9, basic6, full17", name);
}

/* Appends to a text of at most `size` bytes; false when it does not fit. */
static bool put(char *text, size_t size, size_t *n, const char *piece) {
  size_t length = strlen(piece);
  if (length >= size - *n) return false;
  memcpy(text + *n, piece, length + 1);
  *n += length;
  return true;
}

/* The pitch that is written comes first, the others in ascending order, so a kit
 * has one text only. */
nd_status nd_kit_format(const nd_kit *kit, char *text, size_t size, nd_error *err) {
  size_t n = 0;
  bool fits = size > 0 && put(text, size, &n, kit->name);
  for (int32_t v = 0; fits && v < kit->n_voices; v++) {
    char number[16];
    (void)snprintf(number, sizeof number, ":%d", kit->pitch_of[v]);
    fits = put(text, size, &n, "|") && put(text, size, &n, kit->voice_names[v]) &&
           put(text, size, &n, number);
    for (int p = 0; fits && p < 128; p++) {
      if (kit->voice_of[p] != v || p == kit->pitch_of[v]) continue;
      (void)snprintf(number, sizeof number, ",%d", p);
      fits = put(text, size, &n, number);
    }
  }
  return fits ? ND_OK : nd_fail(err, ND_LIMIT, "kit: the text needs more than %zu bytes", size);
}

/* Copies text up to one of `ends` and returns where it stopped; NULL when the
 * name is too long. */
static const char *read_name(char name[ND_VOICE_NAME], const char *text, const char *ends) {
  size_t n = strcspn(text, ends);
  if (n >= ND_VOICE_NAME) return NULL;
  memcpy(name, text, n);
  name[n] = '\0';
  return text + n;
}

/* Parses into `made`, so that *kit is unchanged on failure. Errors of nd_kit_add
 * (a pitch used twice, ...) are passed on, because they say more than "malformed". */
nd_status nd_kit_parse(nd_kit *kit, const char *text, nd_error *err) {
  nd_kit made;
  nd_error why;
  char name[ND_VOICE_NAME];
  const char *p = read_name(name, text, "|");
  /* A kit without voices is malformed too: nothing could be played with it. */
  if (p == NULL || nd_kit_start(&made, name, &why) != ND_OK || *p != '|') goto malformed;
  while (*p == '|') {
    int pitches[128];
    size_t n = 0;
    p = read_name(name, p + 1, "|:");
    if (p == NULL || *p != ':') goto malformed;
    /* Three digits at most, so that no number overflows; nd_kit_add checks the range. */
    do {
      int pitch = 0, digits = 0;
      for (p++; *p >= '0' && *p <= '9' && digits < 3; p++, digits++) pitch = pitch * 10 + *p - '0';
      if (digits == 0 || n == 128) goto malformed;
      pitches[n++] = pitch;
    } while (*p == ',');
    if (nd_kit_add(&made, name, pitches, n, &why) != ND_OK)
      return nd_fail(err, ND_FORMAT, "%s", why.text);
  }
  if (*p != '\0') goto malformed;
  *kit = made;
  return ND_OK;
malformed:
  return nd_fail(err, ND_FORMAT, "kit: expected name|voice:pitch,pitch|voice:...");
}

bool nd_kit_equal(const nd_kit *a, const nd_kit *b) {
  /* nd_kit_start has zeroed the bytes after the names, so bytes compare. */
  return memcmp(a, b, sizeof *a) == 0;
}
