/* sequence.c - Sequences: encoding a song, replacing its drums, and writing drums
 * back as notes.
 *
 * Strikes are the primary form of the drums. They keep what hits (the loudest
 * strike of a voice on a step) lose: pitches outside the kit, doubled notes, and
 * which of a voice's pitches was played. */
#include "sequence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "self_similarity.h"

nd_status nd_tokeniser_preset(nd_tokeniser *tok, const char *preset, nd_error *err) {
  bool original = strcmp(preset, "neuraldrummer2023") == 0;
  if (!original && strcmp(preset, "drummer") != 0)
    return nd_fail(err, ND_MISUSE, "no preset is named '%.40s'; known presets: drummer, "
                   "neuraldrummer2023", preset);
  memset(tok, 0, sizeof *tok);
  tok->steps_per_beat = original ? 2 : 4;
  tok->beat = original ? ND_BEAT_METER : ND_BEAT_QUARTER;
  tok->include_drums = tok->original = original;
  tok->max_steps = ND_DEFAULT_MAX_STEPS;
  return nd_kit_named(&tok->kit, original ? "basic6" : "gm9", err);
}

/* Decides whether a corpus and a model, or two corpora, fit together. */
bool nd_tokeniser_equal(const nd_tokeniser *a, const nd_tokeniser *b) {
  return nd_kit_equal(&a->kit, &b->kit) && a->steps_per_beat == b->steps_per_beat &&
         a->beat == b->beat && a->include_drums == b->include_drums && a->original == b->original;
}

/* Takes the grid over first, so that every path after it frees the grid once. */
nd_status nd_sequence_new(nd_sequence **out, const nd_tokeniser *tok, nd_grid *grid,
                          size_t n_strikes, nd_error *err) {
  nd_sequence *s = nd_calloc(1, sizeof *s);
  if (s == NULL) {
    nd_grid_clear(grid);
    return nd_nomem(err);
  }
  s->settings = *tok;
  s->grid = *grid;
  *grid = (nd_grid){.n_steps = 0};
  size_t n = (size_t)s->grid.n_steps, cells = n * (size_t)tok->kit.n_voices;
  s->hits = nd_calloc(cells, 1);
  s->offsets = nd_calloc(cells, 1);
  s->metrics = nd_calloc(n, ND_N_METRICS * sizeof *s->metrics);
  s->first = nd_calloc(n + 1, sizeof *s->first);
  s->strikes = nd_calloc(n_strikes, sizeof *s->strikes);
  s->name = nd_calloc(1, 1);
  if (s->hits == NULL || s->offsets == NULL || s->metrics == NULL || s->first == NULL ||
      s->strikes == NULL || s->name == NULL) {
    nd_sequence_free(s);
    return nd_nomem(err);
  }
  *out = s;
  return ND_OK;
}

void nd_sequence_free(nd_sequence *seq) {
  if (seq == NULL) return;
  nd_grid_clear(&seq->grid);
  free(seq->hits);
  free(seq->offsets);
  free(seq->metrics);
  free(seq->first);
  free(seq->strikes);
  free(seq->name);
  free(seq);
}

/* Drums outside the kit have no voice and leave no hit. */
void nd_sequence_derive_hits(nd_sequence *seq) {
  size_t voices = (size_t)nd_sequence_voices(seq);
  for (int32_t t = 0; t < seq->grid.n_steps; t++) {
    uint8_t *hits = seq->hits + (size_t)t * voices;
    int8_t *offsets = seq->offsets + (size_t)t * voices;
    memset(hits, 0, voices);
    memset(offsets, 0, voices);
    for (int32_t i = seq->first[t]; i < seq->first[t + 1]; i++) {
      const nd_strike *strike = &seq->strikes[i];
      int8_t voice = seq->settings.kit.voice_of[strike->pitch];
      if (voice < 0 || strike->velocity <= hits[voice]) continue;
      hits[voice] = strike->velocity;
      offsets[voice] = strike->offset;
    }
  }
}

/* The old name stays when memory runs out. */
nd_status nd_sequence_set_name(nd_sequence *seq, const char *name) {
  size_t n = strlen(name) + 1;
  char *copy = nd_calloc(n, 1);
  if (copy == NULL) return ND_NOMEM;
  memcpy(copy, name, n);
  free(seq->name);
  seq->name = copy;
  return ND_OK;
}

/* For Lua's garbage collector, which should know how much memory is behind a
 * userdata. An estimate: what malloc adds is not counted. */
size_t nd_sequence_bytes(const nd_sequence *seq) {
  size_t n = (size_t)seq->grid.n_steps, voices = (size_t)nd_sequence_voices(seq);
  size_t step = 2 * voices + ND_N_METRICS * sizeof(float) + sizeof(int32_t) + sizeof(double);
  return sizeof *seq + n * step + (size_t)seq->grid.n_bars * sizeof(nd_bar) +
         (size_t)seq->first[n] * sizeof(nd_strike);
}

/* Which drum notes become strikes: all, or those of one track and program. The
 * 2023 system uses the last of the song's drum instruments, as pretty_midi lists
 * them: of the last track that has drums, the program whose first note ended
 * last. pretty_midi drops notes without duration. */
typedef struct drum_track { bool all; uint16_t track; uint8_t program; } drum_track;

/* `original` false: every drum note is a strike. */
static drum_track choose_drum_track(const nd_song *song, bool original) {
  drum_track d = {.all = !original};
  int64_t ends[128];  /* first end of a note, by program */
  /* pretty_midi makes an instrument when it sees the first end of one of its notes, so
   * the program whose first note ends last is its last instrument. */
  int64_t latest = -1;
  for (size_t i = 0; original && i < song->n_notes; i++)
    if (nd_song_is_drum(song, &song->notes[i]) && song->notes[i].duration > 0 &&
        song->notes[i].track >= d.track)
      d.track = song->notes[i].track;
  for (int p = 0; p < 128; p++) ends[p] = INT64_MAX;
  for (size_t i = 0; original && i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    int64_t end = (int64_t)note->tick + note->duration;
    if (nd_song_is_drum(song, note) && note->duration > 0 && note->track == d.track &&
        end < ends[note->program])
      ends[note->program] = end;
  }
  for (int p = 0; p < 128; p++)
    if (ends[p] != INT64_MAX && ends[p] > latest) {
      latest = ends[p];
      d.program = (uint8_t)p;
    }
  return d;
}

static bool is_strike(const drum_track *d, const nd_song *song, const nd_note *note) {
  return nd_song_is_drum(song, note) &&
         (d->all ||
          (note->track == d->track && note->program == d->program && note->duration > 0));
}

/* The tick where the song ends: the last end of a note, drums left out; in a song
 * of drums alone the last onset, because drums have no musical duration. */
static int32_t find_end(const nd_song *song) {
  int64_t end = 0, drums = 0;
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    int64_t stop = (int64_t)note->tick + (note->duration > 0 ? note->duration : 1);
    if (!nd_song_is_drum(song, note)) {
      if (stop > end) end = stop;
    } else if ((int64_t)note->tick + 1 > drums) {
      drums = (int64_t)note->tick + 1;
    }
  }
  if (end == 0) end = drums;
  return end > INT32_MAX ? INT32_MAX : (int32_t)end;
}

/* The grid and intensities of the 2023 system, found by running it: it counts
 * onsets up to the last one, or to four bars after the last downbeat where that
 * is earlier; stores them one step early; and repeats the last one five times.
 * The song then has four steps more, or as many as its drums need. */
static nd_status build_original(nd_grid *grid, double **intensity, const nd_song *song,
                              const nd_tokeniser *tok, const drum_track *d, nd_error *err) {
  int64_t end = 1;
  for (size_t i = 0; i < song->n_notes; i++) {
    int64_t stop = (int64_t)song->notes[i].tick + song->notes[i].duration;
    if (stop > end && song->notes[i].duration > 0) end = stop;
  }
  int64_t limit = end + 20 * (int64_t)song->ppq;
  if (limit > INT32_MAX)
    return nd_fail(err, ND_LIMIT, "the song is too long: its last note ends at tick %lld",
                   (long long)end);
  nd_status status = nd_grid_make(grid, song, (int32_t)limit, tok->steps_per_beat, tok->beat,
                                  tok->max_steps, err);
  if (status != ND_OK) return status;
  int32_t onsets = 0, drums = 0;  /* one past the last step with any onset, with a strike */
  double *x = nd_calloc((size_t)grid->n_steps + 8, sizeof *x);
  if (x == NULL) {
    nd_grid_clear(grid);
    return nd_nomem(err);
  }
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    int32_t step = nd_grid_step(grid, note->tick, NULL);
    if (step >= grid->n_steps || note->duration == 0) continue;
    if (step + 1 > onsets) onsets = step + 1;
    if (step + 1 > drums && is_strike(d, song, note)) drums = step + 1;
    if (tok->include_drums || !nd_song_is_drum(song, note)) x[step]++;
  }
  /* The last downbeat before the end of the song, and the length of the bar before it:
   * four such bars after the downbeat the 2023 system stops counting. */
  int32_t last = nd_grid_bar(grid, nd_grid_step(grid, (double)end - 1, NULL));
  while (last > 0 && grid->ticks[grid->bars[last].step] >= (double)end) last--;
  int32_t bar = last > 0 ? grid->bars[last].step - grid->bars[last - 1].step : grid->n_steps;
  int64_t counted = (int64_t)grid->bars[last].step + 4 * (int64_t)bar - 1;
  int32_t m = counted < onsets ? (int32_t)counted : onsets;
  if (m < 1) m = 1;
  /* x[1] .. x[n] are normalised. Step 0 has no onset count of its own: intensity is
   * stored one step early, so it repeats the first. */
  int32_t n = m + 4;
  for (int32_t t = m; t < n + 1; t++) x[t] = x[m - 1];
  nd_metrics_normalise(x + 1, (size_t)n);
  x[0] = x[1];
  if (drums > n) n = drums;
  for (int32_t t = m + 5; t < n; t++) x[t] = 0;
  if (n < grid->n_steps) nd_grid_cut(grid, n);
  *intensity = x;
  return ND_OK;
}

/* Fills the strikes from the drum notes, which come in order of time. */
static void add_strikes(nd_sequence *seq, const nd_song *song, const drum_track *d) {
  int32_t n = 0, t = 0;
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    float offset;
    if (!is_strike(d, song, note)) continue;
    int32_t step = nd_grid_step(&seq->grid, note->tick, &offset);
    if (step >= seq->grid.n_steps) break;
    while (t <= step) seq->first[t++] = n;
    float fine = fminf(roundf(offset * 256), 127);  /* +0.5 would not fit an int8_t */
    seq->strikes[n++] = (nd_strike){note->pitch, note->velocity, (int8_t)fine};
  }
  /* the steps after the last strike are empty */
  while (t <= seq->grid.n_steps) seq->first[t++] = n;
  nd_sequence_derive_hits(seq);
}

/* Order matters: the 2023 system's intensities replace the measured ones after the
 * other metrics have been measured. */
nd_status nd_sequence_encode(nd_sequence **out, const nd_tokeniser *tok,
                             const nd_song *song, nd_error *err) {
  if (song->n_notes == 0) return nd_fail(err, ND_FORMAT, "the song has no notes");
  if (song->n_notes > INT32_MAX) return nd_fail(err, ND_LIMIT, "the song has too many notes");
  drum_track d = choose_drum_track(song, tok->original);
  nd_grid grid;
  double *intensity = NULL;
  size_t n_strikes = 0;
  nd_sequence *seq = NULL;
  nd_status status = tok->original
    ? build_original(&grid, &intensity, song, tok, &d, err)
    : nd_grid_make(&grid, song, find_end(song), tok->steps_per_beat, tok->beat, tok->max_steps,
                   err);
  if (status != ND_OK) return status;
  for (size_t i = 0; i < song->n_notes; i++) n_strikes += is_strike(&d, song, &song->notes[i]);
  status = nd_sequence_new(&seq, tok, &grid, n_strikes, err);
  if (status == ND_OK)
    status = nd_metrics_measure(seq->metrics, song, &seq->grid, tok->include_drums, err);
  if (status == ND_OK) status = nd_similarity_metrics(seq->metrics, &seq->grid, err);
  if (status == ND_OK) {
    if (intensity != NULL) nd_metrics_set_intensity(seq->metrics, &seq->grid, intensity);
    add_strikes(seq, song, &d);
    seq->has_metrics = true;
    *out = seq;
  } else {
    nd_sequence_free(seq);
  }
  free(intensity);
  return status;
}

/* The caller fills the drums. The name is copied too, for error messages. */
nd_status nd_sequence_blank(nd_sequence **out, const nd_sequence *like) {
  nd_grid grid;
  nd_sequence *seq;
  nd_status status = nd_grid_copy(&grid, &like->grid);
  if (status == ND_OK) status = nd_sequence_new(&seq, &like->settings, &grid, 0, NULL);
  if (status != ND_OK) return status;
  memcpy(seq->metrics, like->metrics,
         (size_t)like->grid.n_steps * ND_N_METRICS * sizeof *seq->metrics);
  seq->has_metrics = like->has_metrics;
  status = nd_sequence_set_name(seq, like->name);
  if (status == ND_OK) *out = seq;
  else nd_sequence_free(seq);
  return status;
}

/* Whether a strike is fixed on a step with this mask (voices). A pitch outside the
 * kit belongs to no voice; it is fixed when the whole step is. */
static bool is_fixed(const nd_kit *kit, const uint8_t *mask, uint8_t pitch) {
  int8_t voice = kit->voice_of[pitch];
  if (voice >= 0) return mask[voice] != 0;
  for (int32_t v = 0; v < kit->n_voices; v++)
    if (mask[v] == 0) return false;
  return true;
}

/* New strikes are built beside the old ones: a failure changes nothing, and `fixed`
 * may be `seq` itself. */
nd_status nd_sequence_set_masked(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets,
                                 const nd_sequence *fixed, const uint8_t *mask) {
  const nd_kit *kit = &seq->settings.kit;
  size_t voices = (size_t)kit->n_voices, steps = (size_t)seq->grid.n_steps;
  /* an upper bound: every strike of `fixed`, and one for every hit */
  size_t capacity = fixed != NULL ? (size_t)fixed->first[steps] : 0;
  for (size_t i = 0; i < steps * voices; i++) {
    if (hits[i] > 127) return ND_MISUSE;
    capacity += hits[i] > 0;
  }
  if (capacity > INT32_MAX) return ND_LIMIT;
  nd_strike *strikes = nd_calloc(capacity, sizeof *strikes);
  if (strikes == NULL) return ND_NOMEM;
  int32_t n = 0;
  for (size_t t = 0; t < steps; t++) {
    const uint8_t *row = mask != NULL ? mask + t * voices : NULL;
    int32_t from = row != NULL ? fixed->first[t] : 0, to = row != NULL ? fixed->first[t + 1] : 0;
    seq->first[t] = n;
    for (int32_t i = from; i < to; i++)
      if (is_fixed(kit, row, fixed->strikes[i].pitch)) strikes[n++] = fixed->strikes[i];
    for (size_t v = 0; v < voices; v++) {
      size_t cell = t * voices + v;
      if (hits[cell] == 0 || (row != NULL && row[v] != 0)) continue;
      int8_t offset = 0;
      if (offsets != NULL) offset = offsets[cell];
      strikes[n++] = (nd_strike){kit->pitch_of[v], hits[cell], offset};
    }
  }
  seq->first[steps] = n;
  free(seq->strikes);
  seq->strikes = strikes;
  nd_sequence_derive_hits(seq);
  return ND_OK;
}

nd_status nd_sequence_set_hits(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets) {
  return nd_sequence_set_masked(seq, hits, offsets, NULL, NULL);
}

/* Checks all bars and counts their strikes first, then copies. */
nd_status nd_sequence_bars(nd_sequence **out, const nd_sequence *like, const nd_sequence *from,
                           const int32_t *bars, nd_error *err) {
  const nd_grid *to = &like->grid, *grid = &from->grid;
  size_t capacity = 0;
  if (!nd_kit_equal(&like->settings.kit, &from->settings.kit))
    return nd_fail(err, ND_MISUSE, "the sequences have different kits");
  for (int32_t b = 0; b < to->n_bars; b++) {
    if (bars[b] < 0) continue;
    if (bars[b] >= grid->n_bars)
      return nd_fail(err, ND_MISUSE, "bar %d, to copy drums from, does not exist", bars[b] + 1);
    int32_t steps = nd_grid_bar_end(to, b) - to->bars[b].step;
    int32_t start = grid->bars[bars[b]].step, stop = nd_grid_bar_end(grid, bars[b]);
    if (stop - start != steps)
      return nd_fail(err, ND_MISUSE, "bar %d has %d steps, but bar %d, to copy drums from, has %d",
                     b + 1, steps, bars[b] + 1, stop - start);
    capacity += (size_t)(from->first[stop] - from->first[start]);
  }
  if (capacity > INT32_MAX) return nd_fail(err, ND_LIMIT, "more than %d drum notes", INT32_MAX);
  nd_sequence *seq;
  if (nd_sequence_blank(&seq, like) != ND_OK) return nd_nomem(err);
  nd_strike *strikes = nd_calloc(capacity, sizeof *strikes);
  if (strikes == NULL) {
    nd_sequence_free(seq);
    return nd_nomem(err);
  }
  free(seq->strikes);
  seq->strikes = strikes;
  int32_t n = 0;
  for (int32_t b = 0; b < to->n_bars; b++)
    for (int32_t t = to->bars[b].step; t < nd_grid_bar_end(to, b); t++) {
      seq->first[t] = n;
      if (bars[b] < 0) continue;
      int32_t source = grid->bars[bars[b]].step + t - to->bars[b].step;
      for (int32_t i = from->first[source]; i < from->first[source + 1]; i++)
        strikes[n++] = from->strikes[i];
    }
  seq->first[to->n_steps] = n;
  nd_sequence_derive_hits(seq);
  *out = seq;
  return ND_OK;
}

/* A strike's tick is rounded to the nearest; it may fall before its step. */
nd_status nd_sequence_notes(const nd_sequence *seq, nd_song *song, int channel,
                            double length, nd_error *err) {
  const nd_grid *grid = &seq->grid;
  if (song->ppq != grid->ppq)
    return nd_fail(err, ND_MISUSE, "the song has %d ticks per beat, but the sequence has %d",
                   song->ppq, grid->ppq);
  for (int32_t t = 0; t < grid->n_steps; t++) {
    double step = grid->ticks[t + 1] - grid->ticks[t];
    for (int32_t i = seq->first[t]; i < seq->first[t + 1]; i++) {
      const nd_strike *strike = &seq->strikes[i];
      /* The last bar may extend beyond the largest tick of a MIDI file. */
      double tick = fmin(fmax(rint(grid->ticks[t] + step * strike->offset / 256), 0), ND_MAX_TICK);
      double duration = fmin(fmax(rint(step * length), 1), ND_MAX_TICK - tick);
      nd_note note = {
        .tick = (int32_t)tick, .duration = (int32_t)duration,
        .pitch = strike->pitch, .velocity = strike->velocity, .channel = (uint8_t)channel,
      };
      nd_status status = nd_song_add_note(song, note, err);
      if (status != ND_OK) return status;
    }
  }
  return ND_OK;
}
