/* Any bytes through guard, libsmf and splice: `make fuzz TARGET=smf`. What is
 * read must be in range and in order; what is spliced must be read again
 * without a repair, with the same notes besides the drums.
 */
#include "fuzz.h"

#include "midi/smf.h"
#include "midi/splice.h"

static nd_song *parse(const uint8_t *bytes, size_t n, bool strict) {
  const nd_midi_limits limits = {1 << 20, 100000, 512, strict};
  nd_song *song = NULL;
  nd_error err = {.status = ND_OK};
  nd_status status = nd_smf_parse(&song, bytes, n, -1, &limits, &err);
  must(fuzz_ok(status, &err) == (song != NULL));
  return song;
}

static void check(const nd_song *song) {
  must(song->ppq > 0 && song->n_tempos > 0 && song->n_meters > 0);
  must(song->tempos[0].tick == 0 && song->meters[0].tick == 0);
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    must(note->tick >= 0 && note->duration >= 0 && note->tick + note->duration <= song->end_tick);
    must(i == 0 || song->notes[i - 1].tick <= note->tick);
    must(note->track < song->n_tracks && note->velocity > 0);
  }
  for (size_t i = 1; i < song->n_tempos; i++) must(song->tempos[i - 1].tick < song->tempos[i].tick);
  for (size_t i = 1; i < song->n_meters; i++) must(song->meters[i - 1].tick < song->meters[i].tick);
}

/* Every kind of splice, read again. */
static void splice(const nd_song *song, const nd_splice_options *options) {
  nd_song *drums = nd_song_new(song->ppq), *made = NULL, *again;
  must(drums != NULL);
  for (int32_t i = 0; i < 4; i++)
    must(nd_song_add_note(drums,
                          (nd_note){.tick = i * 10, .duration = 5, .pitch = 38, .velocity = 99,
                                    .channel = (uint8_t)nd_song_channel_for_drums(song)},
                          NULL) == ND_OK);
  must(nd_song_finish(drums, NULL) == ND_OK);
  must(nd_splice_song(&made, song, drums, options, NULL) == ND_OK);
  check(made);
  again = parse(made->bytes, made->n_bytes, false);
  if (again != NULL) {  /* NULL: one track or a few events over the limit */
    must(again->n_notes == made->n_notes && again->n_tracks == made->n_tracks);
    for (size_t i = 0; i < made->n_notes; i++)
      must(again->notes[i].tick == made->notes[i].tick &&
           again->notes[i].pitch == made->notes[i].pitch &&
           again->notes[i].track == made->notes[i].track);
    must(song->n_repairs > 0 || again->n_repairs == 0);
    must(again->n_tempos == made->n_tempos && again->n_meters == made->n_meters);
    nd_song_free(again);
  }
  nd_song_free(made);
  nd_song_free(drums);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nd_song *song = parse(data, size, false), *strict = parse(data, size, true);
  must(strict == NULL || song != NULL);
  nd_song_free(strict);
  if (song == NULL) return 0;
  check(song);
  splice(song, NULL);
  splice(song, &(nd_splice_options){.retain_drums = true});
  splice(song, &(nd_splice_options){.drums_alone = true});
  free(song->bytes);  /* as a host's song */
  song->bytes = NULL;
  song->drum_channel = 3;
  splice(song, NULL);
  nd_song_free(song);
  return 0;
}
