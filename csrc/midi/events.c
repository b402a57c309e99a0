/* events.c - the event scanner: one pass, no allocation, O(1) a channel event and
 * O(1) a meta or sysex event, whose payload is skipped by its length.
 *
 * Invariants after each call: scan->at <= scan->end, scan->tick <= ND_MAX_TICK, and
 * scan->running is 0 or a channel status. Every offset of an event is within the
 * bytes up to scan->end, so callers need no checks of their own.
 *
 * Source: Standard MIDI Files 1.0 (RP-001), "Track Chunks", and the MIDI 1.0 Detailed
 * Specification, "Running Status". */
#include "events.h"

/* A variable-length quantity (RP-001): 7 bits a byte, most
 * significant first, the top bit set in all bytes but the last. At most 4 bytes, so
 * values have 28 bits. Advances *at past what was read, also on a fault; the caller
 * has a copy of the scan's own position. */
static nd_midi_fault read_vlq(const nd_midi_scan *scan, size_t *at, uint32_t *value) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    if (*at >= scan->end) return ND_MIDI_TRUNCATED;
    const uint8_t byte = scan->bytes[(*at)++];
    v = v << 7 | (byte & 0x7Fu);
    if (byte < 0x80) {
      *value = v;
      return ND_MIDI_OK;
    }
  }
  return ND_MIDI_LONG_NUMBER;
}

/* Data bytes of a channel or system event; -1 for an undefined status (MIDI 1.0
 * Detailed Specification, summary of status bytes). System messages do not belong in
 * files, but some files have them; a reader that did not know their length would lose
 * the rest of the track. */
static int data_bytes(uint8_t status) {
  switch (status < 0xF0 ? status & 0xF0 : status) {
    case 0x80: case 0x90: case 0xA0: case 0xB0: case 0xE0: case 0xF2: return 2;
    case 0xC0: case 0xD0: case 0xF1: case 0xF3: return 1;
    case 0xF4: case 0xF5: case 0xFD: return -1;
    default: return 0;
  }
}

/* Works on a copy `e` and on a local position, and stores them only at the end, so
 * that a fault leaves scan and event as they were: the caller reports or cuts at
 * scan->at, the beginning of the event that is at fault. */
nd_midi_fault nd_midi_next(nd_midi_scan *scan, nd_midi_event *event) {
  nd_midi_event e = {.at = scan->at};
  size_t at = scan->at;
  nd_midi_fault fault = read_vlq(scan, &at, &e.delta);
  if (fault != ND_MIDI_OK) return fault;
  /* tick <= ND_MAX_TICK always, so the difference is not negative */
  if (e.delta > (uint32_t)(ND_MAX_TICK - scan->tick)) return ND_MIDI_LATE;
  e.tick = scan->tick + (int32_t)e.delta;
  e.body = at;
  if (at >= scan->end) return ND_MIDI_TRUNCATED;
  /* running status: a data byte here repeats the last channel event's status */
  if (scan->bytes[at] >= 0x80) {
    e.status = scan->bytes[at++];
  } else {
    if (scan->running == 0) return ND_MIDI_NO_STATUS;
    e.status = scan->running;
    e.running = true;
  }

  uint32_t length;
  if (e.status == 0xFF || e.status == 0xF0 || e.status == 0xF7) {
    /* meta and sysex events state their length */
    if (e.status == 0xFF) {
      if (at >= scan->end) return ND_MIDI_TRUNCATED;
      e.type = scan->bytes[at++];
    }
    fault = read_vlq(scan, &at, &length);
    if (fault != ND_MIDI_OK) return fault;
  } else {
    const int n = data_bytes(e.status);
    if (n < 0) return ND_MIDI_UNDEFINED;
    length = (uint32_t)n;
  }
  /* compared without a sum, which a length near 2^28 could overflow on 32 bits */
  e.data = at;
  if (length > scan->end - at) return ND_MIDI_TRUNCATED;
  e.end = at + length;
  if (e.status < 0xF0) {
    /* the event stays one of 1 or 2 data bytes even if they are bad: resuming at the
     * bad byte, as if it were a status, would invent events */
    for (size_t i = e.data; i < e.end; i++) e.bad_data = e.bad_data || scan->bytes[i] > 0x7F;
    scan->running = e.status;
  }
  scan->at = e.end;
  scan->tick = e.tick;
  *event = e;
  return ND_MIDI_OK;
}

/* Payload: microseconds a quarter note, 24 bits. 0 would stop time, so it is invalid. */
bool nd_midi_tempo(const uint8_t *bytes, const nd_midi_event *e, int32_t *us_per_quarter) {
  if (e->status != 0xFF || e->type != 0x51 || e->end - e->data != 3) return false;
  const uint8_t *p = bytes + e->data;
  *us_per_quarter = p[0] << 16 | p[1] << 8 | p[2];
  return *us_per_quarter > 0;
}

/* Payload: numerator, denominator as a power of two, and two bytes about the
 * metronome, which are not used. */
bool nd_midi_meter(const uint8_t *bytes, const nd_midi_event *e, nd_meter *meter) {
  if (e->status != 0xFF || e->type != 0x58 || e->end - e->data != 4) return false;
  const uint8_t *p = bytes + e->data;
  if (p[0] == 0 || p[1] > 7) return false;  /* 1 << 7 is ND_MAX_DENOMINATOR */
  *meter = (nd_meter){.tick = e->tick, .numerator = p[0], .denominator = (int16_t)(1 << p[1])};
  return true;
}
