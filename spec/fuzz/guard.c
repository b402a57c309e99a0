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

static bool is_parked(const nd_midi_event *e) {
  return e->status == 0xFF && (e->type == 0x03 || e->type == 0x51 || e->type == 0x58);
}

static bool is_heard(const nd_midi_event *e) {
  return !e->bad_data && (nd_midi_is_note(e) || (e->status & 0xF0) == 0xC0);
}

/* The track's next event that is wanted. */
static bool next_wanted(nd_midi_scan *scan, nd_midi_event *e, bool (*wanted)(const nd_midi_event *)) {
  while (scan->at < scan->end) {
    must(nd_midi_next(scan, e) == NULL);
    if (nd_midi_is_end(e)) return false;
    if (wanted(e)) return true;
  }
  return false;
}

/* A slice is a file without a flaw, and has the track's next events, on their
 * ticks, and an end of track. */
static void check_slice(const nd_midi_guard *guard, nd_midi_scan *track) {
  nd_midi_file slice;
  nd_error err;
  nd_song *flaws = nd_song_new(96);
  const nd_midi_limits strict = {SIZE_MAX, SIZE_MAX, UINT16_MAX, true};
  must(flaws != NULL && guard->n <= sizeof guard->bytes);
  must(nd_midi_open(&slice, guard->bytes, guard->n, &strict, flaws, &err) == ND_OK);
  must(flaws->n_repairs == 0 && slice.n_tracks == 1 && slice.ppq == guard->file->ppq);
  must(slice.n_events == guard->n_events + 1 && guard->n_events > 0 &&
       guard->n_events <= ND_MIDI_SLICE);
  nd_midi_scan scan = {.bytes = guard->bytes, .at = slice.chunks[0].body,
                       .end = slice.chunks[0].stop};
  nd_midi_event e, s;
  for (size_t i = 0; i < guard->n_events; i++) {
    must(next_wanted(track, &e, is_heard) && nd_midi_next(&scan, &s) == NULL);
    must(guard->base + s.tick == e.tick && s.status == e.status && !s.running && !s.bad_data);
    must(s.end - s.data == e.end - e.data);
    must(memcmp(guard->bytes + s.data, guard->file->bytes + e.data, e.end - e.data) == 0);
  }
  must(nd_midi_next(&scan, &s) == NULL && nd_midi_is_end(&s) && scan.at == scan.end);
  nd_midi_close(&slice);
  nd_song_free(flaws);
}

/* Track by track, what libsmf and the reader are given is what the file has. */
static void check_tracks(const nd_midi_file *file) {
  static nd_midi_guard guard;
  for (size_t i = 0; i < file->n_chunks; i++) {
    const nd_midi_chunk *chunk = &file->chunks[i];
    if (chunk->kind != ND_MIDI_TRACK) continue;
    nd_midi_scan heard = {.bytes = file->bytes, .at = chunk->body, .end = chunk->stop};
    nd_midi_scan parked = heard, all = heard;
    nd_midi_event e, p;
    nd_midi_guard_begin(&guard, file, chunk);
    for (nd_midi_found found; (found = nd_midi_guard_next(&guard, &e)) != ND_MIDI_DONE;) {
      if (found == ND_MIDI_NOTES) check_slice(&guard, &heard);
      else must(next_wanted(&parked, &p, is_parked) && p.at == e.at && p.tick == e.tick);
    }
    must(!next_wanted(&heard, &e, is_heard) && !next_wanted(&parked, &e, is_parked));
    while (all.at < all.end) {
      must(nd_midi_next(&all, &e) == NULL);
      if (nd_midi_is_end(&e)) break;
    }
    must(guard.scan.tick == all.tick);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nd_midi_limits strict = limits;
  nd_midi_file file;
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
    check_tracks(&file);
    nd_midi_close(&file);
  } else {
    must(!sound);
  }
  nd_song_free(report);
  return 0;
}
