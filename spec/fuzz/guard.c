/* Any bytes through the guard: `make fuzz TARGET=guard`. What it passes must be
 * a file without a flaw, with the events of the original in the same ticks. */
#include "fuzz.h"

#include "midi/guard.h"

static const nd_midi_limits limits = {1 << 20, 100000, 512, false};

static void check_layout(const nd_midi_file *file, size_t size) {
  size_t at = file->header_end, tracks = 0, events = 0;
  must(file->start + 14 <= file->header_end && file->tail <= file->end && file->end <= size);
  must(file->ppq > 0 && file->ppq <= INT16_MAX && file->fixed_tempo >= 0);
  for (size_t i = 0; i < file->n_chunks; i++) {
    const nd_midi_chunk *chunk = &file->chunks[i];
    must(chunk->at == at && chunk->at <= chunk->body && chunk->body <= chunk->end);
    at = chunk->end;
    if (chunk->kind != ND_MIDI_TRACK) continue;
    must(chunk->body <= chunk->stop && chunk->stop <= chunk->end);
    tracks++;
    nd_midi_scan scan = {.bytes = file->bytes, .at = chunk->body, .end = chunk->stop};
    for (nd_midi_event e; scan.at < scan.end; events++) {
      must(nd_midi_next(&scan, &e) == NULL);
      must(e.at < e.body && e.body <= e.data && e.data <= e.end && e.end <= chunk->stop);
      must(e.tick >= 0 && e.tick <= ND_MAX_TICK && e.status >= 0x80);
    }
  }
  must(at == file->tail && tracks == file->n_tracks && events == file->n_events);
  must(tracks <= (size_t)limits.max_tracks && events <= limits.max_events);
}

/* Track by track, the guarded file has the original's events. */
static void check_events(const nd_midi_file *file, const nd_midi_file *safe,
                         const nd_midi_safe *parked) {
  size_t at = 0, n_parked = 0;
  for (size_t i = 0; i < safe->n_chunks; i++, at++) {
    while (file->chunks[at].kind != ND_MIDI_TRACK) at++;
    const nd_midi_chunk *from = &file->chunks[at], *to = &safe->chunks[i];
    nd_midi_scan scan = {.bytes = file->bytes, .at = from->body, .end = from->stop};
    nd_midi_scan again = {.bytes = safe->bytes, .at = to->body, .end = to->stop};
    nd_midi_event e, s;
    while (scan.at < scan.end) {
      must(nd_midi_next(&scan, &e) == NULL && nd_midi_next(&again, &s) == NULL);
      must(e.tick == s.tick && s.status != 0xF0 && !s.running && !s.bad_data);
      if (nd_midi_is_end(&e)) {
        must(nd_midi_is_end(&s));
      } else if (s.status == 0xFF) {
        must(s.type == 1 && s.end - s.data == 4 && parked->parked[n_parked].at == e.at);
        n_parked++;
      } else {
        must(s.status == e.status && s.end - s.data == e.end - e.data);
        must(memcmp(safe->bytes + s.data, file->bytes + e.data, e.end - e.data) == 0);
      }
    }
    if (!from->ended) must(nd_midi_next(&again, &s) == NULL && nd_midi_is_end(&s));
    must(again.at == again.end);
  }
  must(n_parked == parked->n_parked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nd_midi_limits strict = limits;
  nd_midi_file file, again;
  nd_midi_safe safe;
  nd_error err;
  strict.strict = true;
  bool sound = fuzz_ok(nd_midi_open(&file, data, size, &strict, NULL, &err), &err);
  if (sound) nd_midi_close(&file);
  nd_song *report = nd_song_new(96);
  must(report != NULL);
  if (fuzz_ok(nd_midi_open(&file, data, size, &limits, report, &err), &err)) {
    bool lossy = false;
    for (size_t i = 0; i < report->n_repairs; i++) lossy = lossy || report->repairs[i].lossy;
    must(sound == !lossy);
    check_layout(&file, size);
    if (fuzz_ok(nd_midi_guard(&safe, &file, &err), &err)) {
      nd_song *flaws = nd_song_new(96);
      must(flaws != NULL);
      const nd_midi_limits all = {SIZE_MAX, SIZE_MAX, UINT16_MAX, true};
      must(nd_midi_open(&again, safe.bytes, safe.n, &all, flaws, &err) == ND_OK);
      must(flaws->n_repairs == 0 && again.n_tracks == file.n_tracks && again.ppq == file.ppq);
      check_events(&file, &again, &safe);
      nd_midi_close(&again);
      nd_midi_safe_clear(&safe);
      nd_song_free(flaws);
    }
    nd_midi_close(&file);
  } else {
    must(!sound);
  }
  nd_song_free(report);
  return 0;
}
