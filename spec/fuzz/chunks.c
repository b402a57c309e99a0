/* Any bytes through layout and slices: `make fuzz TARGET=chunks`. Each slice must be
 * a file without a flaw, with the events of the original on the same ticks. */
#include "fuzz.h"

#include "midi/slices.h"

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
      must(nd_midi_next(&scan, &e) == ND_MIDI_OK);
      must(e.at < e.body && e.body <= e.data && e.data <= e.end && e.end <= chunk->stop);
      must(e.tick >= 0 && e.tick <= ND_MAX_TICK && e.status >= 0x80);
    }
  }
  must(at == file->tail && tracks == file->n_tracks && events == file->n_events);
  must(tracks <= (size_t)limits.max_tracks && events <= limits.max_events);
}

static bool is_meta(const nd_midi_event *e) {
  return e->status == 0xFF && (e->type == 0x03 || e->type == 0x51 || e->type == 0x58);
}

static bool is_channel_event(const nd_midi_event *e) {
  return !e->bad_data && (nd_midi_is_note(e) || (e->status & 0xF0) == 0xC0);
}

/* The track's next event that is wanted. */
static bool next_wanted(nd_midi_scan *scan, nd_midi_event *e, bool (*wanted)(const nd_midi_event *)) {
  while (scan->at < scan->end) {
    must(nd_midi_next(scan, e) == ND_MIDI_OK);
    if (nd_midi_is_end(e)) return false;
    if (wanted(e)) return true;
  }
  return false;
}

/* A slice is a file without a flaw, and has the track's next events, on their
 * ticks, and an end of track. */
static void check_slice(const nd_midi_slicer *slicer, nd_midi_scan *track) {
  nd_midi_file slice;
  nd_error err;
  nd_song *flaws = nd_song_new(96);
  const nd_midi_limits strict = {SIZE_MAX, SIZE_MAX, UINT16_MAX, true};
  must(flaws != NULL && slicer->n <= sizeof slicer->bytes);
  must(nd_midi_open(&slice, slicer->bytes, slicer->n, &strict, flaws, &err) == ND_OK);
  must(flaws->n_repairs == 0 && slice.n_tracks == 1 && slice.ppq == slicer->file->ppq);
  must(slice.n_events == slicer->n_events + 1 && slicer->n_events > 0 &&
       slicer->n_events <= ND_SANDBOX_EVENTS);
  nd_midi_scan scan = {.bytes = slicer->bytes, .at = slice.chunks[0].body,
                       .end = slice.chunks[0].stop};
  nd_midi_event e, s;
  for (size_t i = 0; i < slicer->n_events; i++) {
    must(next_wanted(track, &e, is_channel_event) && nd_midi_next(&scan, &s) == ND_MIDI_OK);
    must(slicer->base + s.tick == e.tick && s.status == e.status && !s.running && !s.bad_data);
    must(s.end - s.data == e.end - e.data);
    must(memcmp(slicer->bytes + s.data, slicer->file->bytes + e.data, e.end - e.data) == 0);
  }
  must(nd_midi_next(&scan, &s) == ND_MIDI_OK && nd_midi_is_end(&s) && scan.at == scan.end);
  nd_midi_close(&slice);
  nd_song_free(flaws);
}

/* Track by track, what libsmf and the reader are given is what the file has. */
static void check_tracks(const nd_midi_file *file) {
  static nd_midi_slicer slicer;
  for (size_t i = 0; i < file->n_chunks; i++) {
    const nd_midi_chunk *chunk = &file->chunks[i];
    if (chunk->kind != ND_MIDI_TRACK) continue;
    nd_midi_scan events = {.bytes = file->bytes, .at = chunk->body, .end = chunk->stop};
    nd_midi_scan metas = events, all = events;
    nd_midi_event e, p;
    nd_midi_slicer_begin(&slicer, file, chunk);
    for (nd_midi_part part; (part = nd_midi_slicer_next(&slicer, &e)) != ND_MIDI_DONE;) {
      if (part == ND_MIDI_SLICE) check_slice(&slicer, &events);
      else must(next_wanted(&metas, &p, is_meta) && p.at == e.at && p.tick == e.tick);
    }
    must(!next_wanted(&events, &e, is_channel_event) && !next_wanted(&metas, &e, is_meta));
    while (all.at < all.end) {
      must(nd_midi_next(&all, &e) == ND_MIDI_OK);
      if (nd_midi_is_end(&e)) break;
    }
    must(slicer.scan.tick == all.tick);
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
