/* song.c - builds a Song: appends with checks, sorts, computes times, finds the drums.
 *
 * Invariants of a finished Song: notes, tempos and meters are sorted by tick; tempos
 * and meters have one item a tick and one at tick 0; every value is in the range that
 * song.h states. Arrays grow by doubling (ND_GROW), so n additions are O(n). */
#include "song.h"

#include <stdlib.h>
#include <string.h>

/* Finished at once, so that a Song can be used in every state: tempos[0] and
 * tempo_seconds[0] always exist. */
nd_song *nd_song_new(int32_t ppq) {
  nd_song *song = nd_calloc(1, sizeof *song);
  if (song == NULL) return NULL;
  song->ppq = ppq;
  song->drum_channel = -1;
  /* MIDI's defaults (SMF 1.0): 120 bpm, 4/4. They come first, so that nd_song_finish
   * replaces them by a tempo or meter that is added at tick 0. */
  if (nd_song_add_tempo(song, (nd_tempo){.us_per_quarter = 500000}, NULL) == ND_OK &&
      nd_song_add_meter(song, (nd_meter){.numerator = 4, .denominator = 4}, NULL) == ND_OK &&
      nd_song_finish(song, NULL) == ND_OK)
    return song;
  nd_song_free(song);
  return NULL;
}

/* Frees everything that the song points to, and the song. */
void nd_song_free(nd_song *song) {
  if (song == NULL) return;
  for (size_t i = 0; i < song->n_tracks; i++) free(song->track_names[i]);
  free(song->track_names);
  free(song->notes);
  free(song->tempos);
  free(song->tempo_seconds);
  free(song->meters);
  free(song->drum_tracks);
  free(song->bytes);
  free(song->repairs);
  free(song);
}

/* Ticks and durations: 28 bits, as much as a delta time can hold. */
static bool in_time(int32_t tick) { return tick >= 0 && tick <= ND_MAX_TICK; }

/* The appending functions check every range, because their callers pass on what hosts
 * and files contain; all later code relies on the ranges. Amortised O(1). */
nd_status nd_song_add_note(nd_song *song, nd_note note, nd_error *err) {
  if (!in_time(note.tick) || !in_time(note.duration))
    return nd_fail(err, ND_MISUSE, "note out of range: tick %ld, duration %ld (both 0..%ld)",
                   (long)note.tick, (long)note.duration, (long)ND_MAX_TICK);
  if (note.pitch > 127 || note.velocity < 1 || note.velocity > 127 || note.channel > 15 ||
      note.program > 127)
    return nd_fail(err, ND_MISUSE, "note out of range: pitch %d (0..127), velocity %d (1..127), "
                   "channel %d (0..15), program %d (0..127)",
                   note.pitch, note.velocity, note.channel, note.program);
  if (!ND_GROW(song->notes, song->n_notes + 1, song->notes_capacity)) return nd_nomem(err);
  song->notes[song->n_notes++] = note;
  return ND_OK;
}

/* For the MIDI parser, which checks the ranges itself and knows the count ahead. */
bool nd_song_reserve_notes(nd_song *song, size_t n) {
  return ND_GROW(song->notes, n, song->notes_capacity);
}

nd_status nd_song_add_tempo(nd_song *song, nd_tempo tempo, nd_error *err) {
  if (!in_time(tempo.tick) || tempo.us_per_quarter < 1 || tempo.us_per_quarter > 0xFFFFFF)
    return nd_fail(err, ND_MISUSE, "tempo out of range: %ld us a quarter (1..%d) at tick %ld",
                   (long)tempo.us_per_quarter, 0xFFFFFF, (long)tempo.tick);
  if (!ND_GROW(song->tempos, song->n_tempos + 1, song->tempos_capacity)) return nd_nomem(err);
  song->tempos[song->n_tempos++] = tempo;
  return ND_OK;
}

/* The limits are those of a MIDI file: a numerator of one byte, and a denominator that
 * is stored as its logarithm. */
nd_status nd_song_add_meter(nd_song *song, nd_meter meter, nd_error *err) {
  const int d = meter.denominator;
  if (!in_time(meter.tick) || meter.numerator < 1 || meter.numerator > 255 || d < 1 ||
      d > ND_MAX_DENOMINATOR || (d & (d - 1)) != 0)
    return nd_fail(err, ND_MISUSE, "meter out of range: %d/%d at tick %ld (1..255 over a power of "
                   "two up to %d)", meter.numerator, d, (long)meter.tick, ND_MAX_DENOMINATOR);
  if (!ND_GROW(song->meters, song->n_meters + 1, song->meters_capacity)) return nd_nomem(err);
  song->meters[song->n_meters++] = meter;
  return ND_OK;
}

/* Notes store their track in 16 bits. `name` need not be terminated; the copy is. */
nd_status nd_song_add_track(nd_song *song, const char *name, size_t len, nd_error *err) {
  if (song->n_tracks > UINT16_MAX) return nd_fail(err, ND_LIMIT, "more than 65536 tracks");
  if (len == SIZE_MAX || !ND_GROW(song->track_names, song->n_tracks + 1, song->tracks_capacity))
    return nd_nomem(err);
  char *copy = malloc(len + 1);
  if (copy == NULL) return nd_nomem(err);
  if (len > 0) memcpy(copy, name, len);
  copy[len] = '\0';
  song->track_names[song->n_tracks++] = copy;
  return ND_OK;
}

/* The text is copied into a zeroed array, so it is always terminated. */
nd_status nd_song_add_repair(nd_song *song, size_t offset, bool lossy, const char *text) {
  if (!ND_GROW(song->repairs, song->n_repairs + 1, song->repairs_capacity)) return ND_NOMEM;
  nd_repair *repair = &song->repairs[song->n_repairs++];
  size_t len = strlen(text);
  if (len >= sizeof repair->text) len = sizeof repair->text - 1;
  *repair = (nd_repair){.offset = offset, .lossy = lossy};
  memcpy(repair->text, text, len);
  return ND_OK;
}

/* The tick that an item begins with; memcpy, because the item's type is unknown. */
static inline int32_t tick_of(const char *item) {
  int32_t tick;
  memcpy(&tick, item, sizeof tick);
  return tick;
}

/* One past the sorted run that starts at `i` (`n` if i is n). O(length of the run). */
static inline size_t run_end(const char *items, size_t i, size_t n, size_t size) {
  if (i < n) i++;
  while (i < n && tick_of(items + i * size) >= tick_of(items + (i - 1) * size)) i++;
  return i;
}

/* Natural merge sort (Knuth, TAOCP 3, 5.2.4): each pass merges neighbouring runs
 * that are sorted already, so r sorted tracks one after another take log2 r passes of
 * O(n), and a sorted array one comparison an item. qsort would not be stable. Passes
 * alternate between `items` and a scratch array of the same size, which is allocated
 * only if there is something to merge. Inline, so that the compiler specialises it
 * for a constant size. false: out of memory, and the items are unchanged. */
static inline bool sort_items(void *items, size_t n, size_t size) {
  char *from = items, *to = NULL, *scratch = NULL;
  for (;;) {
    size_t first = run_end(from, 0, n, size);
    if (first >= n) break;
    if (scratch == NULL) {
      if ((scratch = nd_calloc(n, size)) == NULL) return false;
      to = scratch;
    }
    size_t a = 0, a_end = first, out = 0;
    while (a < n) {
      size_t b = a_end, b_end = run_end(from, b, n, size), next = b_end;
      for (; a < a_end || b < b_end; out++) {
        /* equal ticks: the left run first, which makes the sort stable */
        const bool right = a == a_end ||
                           (b < b_end && tick_of(from + b * size) < tick_of(from + a * size));
        memcpy(to + out * size, from + (right ? b++ : a++) * size, size);
      }
      a = next;
      a_end = run_end(from, a, n, size);
    }
    char *swap = from;
    from = to;
    to = swap;
  }
  if (from != (char *)items) memcpy(items, from, n * size);
  free(scratch);
  return true;
}

/* Notes are the bulk of a song; a constant size makes memcpy one or two moves. */
bool nd_sort_by_tick(void *items, size_t n, size_t size) {
  if (size == sizeof(nd_note)) return sort_items(items, n, sizeof(nd_note));
  if (size == sizeof(nd_tempo)) return sort_items(items, n, sizeof(nd_tempo));
  return sort_items(items, n, size);
}

/* Removes all but the last item of each tick; returns how many are left. The last,
 * because in a file a later event on the same tick overrides an earlier one. */
static size_t last_of_each_tick(void *items, size_t n, size_t size) {
  char *p = items;
  size_t left = 0;
  for (size_t i = 0; i < n; i++) {
    if (left > 0 && tick_of(p + (left - 1) * size) == tick_of(p + i * size)) left--;
    if (left != i) memcpy(p + left * size, p + i * size, size);
    left++;
  }
  return left;
}

/* O(n log n) at worst, O(n) when everything is sorted already. May be called again
 * after more additions. On failure the song is still valid, but perhaps unsorted. */
nd_status nd_song_finish(nd_song *song, nd_error *err) {
  if (!nd_sort_by_tick(song->notes, song->n_notes, sizeof *song->notes) ||
      !nd_sort_by_tick(song->tempos, song->n_tempos, sizeof *song->tempos) ||
      !nd_sort_by_tick(song->meters, song->n_meters, sizeof *song->meters))
    return nd_nomem(err);
  song->n_tempos = last_of_each_tick(song->tempos, song->n_tempos, sizeof *song->tempos);
  song->n_meters = last_of_each_tick(song->meters, song->n_meters, sizeof *song->meters);

  /* The time at which each tempo starts is the sum over the tempos before it. Computed
   * once, so that nd_song_seconds needs a search only. In double, rounding
   * errors are far below a tick. */
  double *seconds = nd_calloc(song->n_tempos, sizeof *seconds);
  if (seconds == NULL) return nd_nomem(err);
  for (size_t i = 1; i < song->n_tempos; i++) {
    const nd_tempo *before = &song->tempos[i - 1];
    seconds[i] = seconds[i - 1] + (double)(song->tempos[i].tick - before->tick) *
                                      before->us_per_quarter * 1e-6 / song->ppq;
  }
  free(song->tempo_seconds);
  song->tempo_seconds = seconds;
  /* both are at most 2^28, so their sum fits */
  for (size_t i = 0; i < song->n_notes; i++) {
    int32_t end = song->notes[i].tick + song->notes[i].duration;
    if (end > song->end_tick) song->end_tick = end;
  }
  return ND_OK;
}

/* O(log n_tempos). `tick` may have a fraction, and may be after the last tempo. */
double nd_song_seconds(const nd_song *song, double tick) {
  /* binary search for the tempo in force: the last that starts at or before `tick` */
  size_t low = 0, high = song->n_tempos;  /* tempos[low].tick <= tick */
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (song->tempos[middle].tick <= tick) low = middle;
    else high = middle;
  }
  const nd_tempo *tempo = &song->tempos[low];
  return song->tempo_seconds[low] +
         (tick - tempo->tick) * tempo->us_per_quarter * 1e-6 / song->ppq;
}

/* Words that name a drum kit, in the languages found in MIDI files; also in Latin-1,
 * because track names have no declared encoding. */
static const char *const drum_words[] = {
  "drum", "drums", "drumkit", "drumset", "drumz", "percussion", "percussions", "perc",
  "schlagzeug", "perkussion", "trommeln", "batterie", "batteria", "bateria", "bater\xC3\xAD" "a",
  "bater\xED" "a", "percusion", "percusi\xC3\xB3n", "percusi\xF3n", "percussione", "percussioni",
  "slagwerk", "trummor", "trommer", "perkusja", "perkuse",
};
/* A name with one of these words is not a drum kit: General MIDI has "Steel Drums",
 * "Taiko Drum", "Melodic Tom" and "Synth Drum" among its melodic programs. */
static const char *const pitched_words[] = {"steel", "taiko", "melodic", "synth", "no"};

/* Bytes above ASCII count as letters, so that a word in UTF-8 or Latin-1 is one word.
 * Not isalpha, which depends on the host's locale. */
static bool is_letter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* Whether the `len` bytes at `word` are one of the n words, ASCII case ignored. */
static bool is_one_of(const char *word, size_t len, const char *const *words, size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < len && words[i][k] != '\0' &&
           (word[k] >= 'A' && word[k] <= 'Z' ? word[k] + 32 : word[k]) == words[i][k])
      k++;
    if (k == len && words[i][k] == '\0') return true;
  }
  return false;
}

/* Whether a track name contains a word for drums and none that rules them out. Whole
 * words are compared: "percussive bass" and "conundrum" name no drums. */
static bool names_drums(const char *name) {
  bool drums = false;
  while (*name != '\0') {
    size_t len = 0;
    while (is_letter((unsigned char)name[len])) len++;
    if (is_one_of(name, len, pitched_words, sizeof pitched_words / sizeof *pitched_words))
      return false;
    if (is_one_of(name, len, drum_words, sizeof drum_words / sizeof *drum_words)) drums = true;
    name += len > 0 ? len : 1;
  }
  return drums;
}

/* Finds the drums by the names of tracks: their channel is the one with most notes
 * in tracks that are named as drums. `notes`: the notes of each channel. A track of
 * several channels contains a whole song, whatever its name, so it does not count; a
 * host's song has a name of its own, and no named tracks. */
static nd_status find_drums_by_name(nd_song *song, const size_t notes[16], nd_error *err) {
  /* of each track: whether its name says drums, and the channels of its notes */
  bool *named = nd_calloc(song->n_tracks, sizeof *named);            /* (n_tracks) */
  uint16_t *channels = nd_calloc(song->n_tracks, sizeof *channels);  /* one bit each */
  size_t drum_notes[16] = {0};
  int drums = -1;
  if (named == NULL || channels == NULL) {
    free(named);
    free(channels);
    return nd_nomem(err);
  }
  for (size_t i = 0; i < song->n_notes; i++)
    if (song->notes[i].track < song->n_tracks)
      channels[song->notes[i].track] |= (uint16_t)(1u << song->notes[i].channel);
  for (size_t t = song->hosted ? song->n_tracks : 0; t < song->n_tracks; t++)
    named[t] = channels[t] != 0 && (channels[t] & (channels[t] - 1)) == 0 &&
               names_drums(song->track_names[t]);
  for (size_t i = 0; i < song->n_notes; i++)
    if (song->notes[i].track < song->n_tracks && named[song->notes[i].track])
      drum_notes[song->notes[i].channel]++;
  /* the channel with most drum notes; of equal ones the lowest */
  for (int c = 0; c < 16; c++)
    if (drum_notes[c] > 0 && (drums < 0 || drum_notes[c] > drum_notes[drums])) drums = c;
  song->drum_channel = drums;
  song->drum_channel_guessed = drums >= 0;
  /* where other instruments share the channel, the song needs the tracks too */
  if (drums >= 0 && drum_notes[drums] < notes[drums]) song->drum_tracks = named;
  else free(named);
  free(channels);
  return ND_OK;
}

/* General MIDI reserves channel 10 for drums, so its notes decide; names are searched
 * only where that channel has none. O(notes + bytes of the names). */
nd_status nd_song_find_drums(nd_song *song, int channel, nd_error *err) {
  size_t notes[16] = {0};
  for (size_t i = 0; i < song->n_notes; i++) notes[song->notes[i].channel]++;
  free(song->drum_tracks);
  song->drum_tracks = NULL;
  song->drum_channel_guessed = false;
  song->drum_channel = channel < 0 && notes[ND_DRUM_CHANNEL] > 0 ? ND_DRUM_CHANNEL : channel;
  return song->drum_channel >= 0 ? ND_OK : find_drums_by_name(song, notes, err);
}
