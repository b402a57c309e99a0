/* checkpoint.c - reads and writes safetensors files.
 *
 *   8 bytes   length of the header, little-endian
 *   header    {"__metadata__":{"key":"value",...},
 *              "name":{"dtype":"F32","shape":[...],"data_offsets":[from,to]},...}
 *   data      the tensors' values, one after another, without gaps
 *
 * A file may come from anywhere, so nothing in it is trusted: sizes are checked before
 * memory is allocated for them, and the parser accepts no more JSON than headers
 * need. The writer refuses what the reader would. */
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "../base/bytes.h"
#include "../base/file.h"
#include "../base/half.h"
#include "../base/utf8.h"

/* Limits of what is read, and therefore of what is written. A file that claims more is
 * refused before memory is allocated for it. */
enum { MAX_HEADER = 16 << 20, MAX_ENTRIES = 4096, LENGTH_BYTES = 8 };
static const size_t max_bytes = (size_t)1 << 32;

static char *copy_text(const char *s) { return nd_utf8_copy(s, strlen(s)); }

/* Names are made valid UTF-8 when they are added, so that the header is valid JSON. */
static void free_entry(nd_entry *e) {
  free(e->name);
  free(e->values);
}

/* Appends an entry with zeroed values; NULL when out of memory. The element count cannot
 * overflow: the caller has as many values in memory, or in a file that was read. */
static nd_entry *append_entry(nd_checkpoint *c, const char *name, int32_t rank,
                              const int64_t *shape) {
  if (!ND_GROW(c->entries, c->n_entries + 1, c->entry_capacity)) return NULL;
  nd_entry e = {.name = copy_text(name), .rank = rank, .size = 1};
  for (int32_t i = 0; i < rank; i++) {
    e.shape[i] = shape[i];
    e.size *= (size_t)shape[i];
  }
  e.values = nd_calloc(e.size, sizeof *e.values);
  if (e.name == NULL || e.values == NULL) {
    free_entry(&e);
    return NULL;
  }
  c->entries[c->n_entries] = e;
  return &c->entries[c->n_entries++];
}

nd_status nd_checkpoint_add(nd_checkpoint *c, const char *name, int32_t rank,
                            const int64_t *shape, const float *values, nd_error *err) {
  nd_entry *e = append_entry(c, name, rank, shape);
  if (e == NULL) return nd_nomem(err);
  if (e->size > 0) memcpy(e->values, values, e->size * sizeof *values);
  return ND_OK;
}

/* Strings stay sorted (insertion sort: there are a few dozen), so that equal
 * checkpoints are equal files, whatever the order in which a Lua table is walked. */
nd_status nd_checkpoint_set_metadata(nd_checkpoint *c, const char *key, const char *value,
                                     nd_error *err) {
  nd_string s = {copy_text(key), copy_text(value)};
  if (s.key == NULL || s.value == NULL ||
      !ND_GROW(c->strings, c->n_strings + 1, c->string_capacity)) {
    free(s.key);
    free(s.value);
    return nd_nomem(err);
  }
  /* shift the greater keys up by one */
  size_t at = c->n_strings++;
  for (; at > 0 && strcmp(c->strings[at - 1].key, s.key) > 0; at--)
    c->strings[at] = c->strings[at - 1];
  c->strings[at] = s;
  return ND_OK;
}

/* The others move up; the array keeps its size, which is small beside the values. */
void nd_checkpoint_drop_except(nd_checkpoint *c, const char *name) {
  size_t n = 0;
  for (size_t i = 0; i < c->n_entries; i++) {
    if (strcmp(c->entries[i].name, name) == 0) c->entries[n++] = c->entries[i];
    else free_entry(&c->entries[i]);
  }
  c->n_entries = n;
}

/* Leaves an empty checkpoint, which can be used again. */
void nd_checkpoint_clear(nd_checkpoint *c) {
  for (size_t i = 0; i < c->n_entries; i++) free_entry(&c->entries[i]);
  for (size_t i = 0; i < c->n_strings; i++) {
    free(c->strings[i].key);
    free(c->strings[i].value);
  }
  free(c->entries);
  free(c->strings);
  memset(c, 0, sizeof *c);
}

/* Linear search: a model has a few dozen tensors and strings, and each is looked up once
 * when it is loaded. */
const nd_entry *nd_checkpoint_entry(const nd_checkpoint *c, const char *name) {
  for (size_t i = 0; i < c->n_entries; i++)
    if (strcmp(c->entries[i].name, name) == 0) return &c->entries[i];
  return NULL;
}

const char *nd_checkpoint_string(const nd_checkpoint *c, const char *key) {
  for (size_t i = 0; i < c->n_strings; i++)
    if (strcmp(c->strings[i].key, key) == 0) return c->strings[i].value;
  return NULL;
}

/* -------------------------------------------------------------------- writing
 * The whole file is built in memory, then written at once: nd_file_write() replaces
 * the old file only when the new one is complete. */

/* For text without characters that need an escape. */
static void put_text(nd_buffer *t, const char *s) { nd_buffer_put(t, s, strlen(s)); }

/* A JSON string. Quotes, backslashes and control characters must be escaped; the rest is
 * UTF-8 already (copy_text). */
static void put_quoted(nd_buffer *t, const char *s) {
  put_text(t, "\"");
  for (; *s != '\0'; s++) {
    unsigned char ch = (unsigned char)*s;
    if (ch < 0x20) nd_buffer_print(t, "\\u%04x", ch);
    else nd_buffer_print(t, ch == '"' || ch == '\\' ? "\\%c" : "%c", ch);
  }
  put_text(t, "\"");
}

/* Only what can be read again is written: values must be finite, as halves too (the
 * largest half is 65504; what rounds to more would become infinite). */
static nd_status check_values(const nd_entry *e, bool half, nd_error *err) {
  for (size_t k = 0; k < e->size; k++) {
    const float x = e->values[k];
    if (!isfinite(x))
      return nd_fail(err, ND_FORMAT, "tensor %.60s: the value at index %zu is not finite",
                     e->name, k);
    if (half && !isfinite(nd_half_round(x)))
      return nd_fail(err, ND_FORMAT, "tensor %.60s: value %g at index %zu exceeds half precision",
                     e->name, (double)x, k);
  }
  return ND_OK;
}

/* Matrices can be stored as halves. Biases are small, and a norm's statistics need the
 * precision. */
static bool as_half(const nd_entry *e, bool half) { return half && e->rank == 2; }

static size_t stored_bytes(const nd_entry *e, bool half) {
  return e->size * (as_half(e, half) ? 2 : 4);
}

/* "lstm.1.wx":{"dtype":"F32","shape":[135,768],"data_offsets":[0,414720]}; offsets count
 * from the end of the header. */
static void put_entry_header(nd_buffer *t, const nd_entry *e, bool half, size_t offset) {
  put_quoted(t, e->name);
  put_text(t, as_half(e, half) ? ":{\"dtype\":\"F16\"" : ":{\"dtype\":\"F32\"");
  put_text(t, ",\"shape\":[");
  for (int32_t k = 0; k < e->rank; k++)
    nd_buffer_print(t, k > 0 ? ",%lld" : "%lld", (long long)e->shape[k]);
  nd_buffer_print(t, "],\"data_offsets\":[%zu,%zu]}", offset, offset + stored_bytes(e, half));
}

/* {"__metadata__":{"key":"value", ...},"tensor":{...}, ...}, padded with spaces so that
 * the values start at a multiple of 8 bytes. Returns the size of the values. */
static size_t put_header(nd_buffer *t, const nd_checkpoint *c, bool half) {
  size_t offset = 0;
  put_text(t, "{\"__metadata__\":{");
  for (size_t i = 0; i < c->n_strings; i++) {
    if (i > 0) put_text(t, ",");
    put_quoted(t, c->strings[i].key);
    put_text(t, ":");
    put_quoted(t, c->strings[i].value);
  }
  put_text(t, "}");
  for (size_t i = 0; i < c->n_entries; i++) {
    put_text(t, ",");
    put_entry_header(t, &c->entries[i], half, offset);
    offset += stored_bytes(&c->entries[i], half);
  }
  put_text(t, "}");
  while (!t->failed && t->n % 8 != 0) put_text(t, " ");
  return offset;
}

/* Little-endian whatever the host; on a little-endian one compilers turn the loop into
 * plain copies. */
static void put_values(nd_buffer *t, const nd_entry *e, bool half) {
  uint8_t *to = nd_buffer_extend(t, stored_bytes(e, half));
  if (to == NULL) return;
  if (as_half(e, half)) {
    nd_half_pack(to, e->values, e->size);
    return;
  }
  for (size_t k = 0; k < e->size; k++, to += 4) {
    uint32_t bits;
    memcpy(&bits, &e->values[k], sizeof bits);
    nd_put_le32(to, bits);
  }
}

/* Values are checked before anything is built: a training that diverged must not replace
 * the last good file. */
nd_status nd_checkpoint_write(const nd_checkpoint *c, const char *path, bool half, nd_error *err) {
  if (c->n_entries > MAX_ENTRIES || c->n_strings > MAX_ENTRIES)
    return nd_fail(err, ND_LIMIT, "more than %d tensors or strings", MAX_ENTRIES);
  for (size_t i = 0; i < c->n_entries; i++) {
    nd_status status = check_values(&c->entries[i], as_half(&c->entries[i], half), err);
    if (status != ND_OK) return status;
  }
  /* failures of memory are noticed once, at the end; limits before the values are put */
  nd_buffer t = {0};
  nd_buffer_put(&t, "\0\0\0\0\0\0\0\0", LENGTH_BYTES);  /* the header's length, known below */
  size_t values = put_header(&t, c, half);
  nd_status status = ND_OK;
  if (!t.failed && t.n - LENGTH_BYTES > MAX_HEADER)
    status = nd_fail(err, ND_LIMIT, "the metadata is larger than %d MiB", MAX_HEADER >> 20);
  else if (!t.failed && values > max_bytes - t.n)
    status = nd_fail(err, ND_LIMIT, "the tensors are larger than %zu GiB", max_bytes >> 30);
  if (status == ND_OK && !t.failed) nd_put_le64(t.bytes, t.n - LENGTH_BYTES);
  for (size_t i = 0; i < c->n_entries && status == ND_OK && !t.failed; i++)
    put_values(&t, &c->entries[i], half);
  if (status == ND_OK) status = t.failed ? nd_nomem(err) : nd_file_write(path, t.bytes, t.n, err);
  free(t.bytes);
  return status;
}

/* -------------------------------------------------------------------- reading */

/* A recursive-descent parser for the JSON subset of safetensors headers: objects,
 * strings, arrays of whole numbers. Nesting is fixed, so that no input can exhaust the
 * stack. It stops at the first violation: `error` is set then, p is where it is, and
 * whatever the functions return is not used. */
static const char out_of_memory[] = "out of memory";  /* compared by address */

/* The text is not terminated: every look at *p is preceded by a comparison with end. */
typedef struct json {
  const char *p, *end;
  const char *error;   /* NULL: none so far; else the first */
} json;

/* The first error is the cause, and those after it its consequences. */
static void fail_json(json *j, const char *why) {
  if (j->error == NULL) j->error = why;
}

/* White space of JSON: RFC 8259, section 2. */
static void skip_space(json *j) {
  while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

/* Skips `ch` if it is next. After an error nothing is accepted any more, so that loops
 * end and only the first error is reported. */
static bool accept(json *j, char ch) {
  skip_space(j);
  if (j->error != NULL || j->p >= j->end || *j->p != ch) return false;
  j->p++;
  return true;
}

/* Fails with the message `why` unless `ch` is next. */
static void expect(json *j, char ch, const char *why) {
  if (!accept(j, ch)) fail_json(j, why);
}

/* Four hexadecimal digits; -1 when they are not, or the text ends before them. */
static int read_hex4(json *j) {
  char digits[5] = "";
  if (j->end - j->p < 4) return -1;
  memcpy(digits, j->p, 4);
  j->p += 4;
  return strspn(digits, "0123456789abcdefABCDEF") == 4 ? (int)strtol(digits, NULL, 16) : -1;
}

/* The code point of an escape \uXXXX, or of a surrogate pair \uD8XX\uDCXX (RFC 8259,
 * section 7), whose first \u is read already; 0 when malformed. A lone surrogate is
 * returned as it is, and becomes U+FFFD later. */
static uint32_t read_code_point(json *j) {
  int unit = read_hex4(j);
  if (unit >= 0xD800 && unit < 0xDC00 && j->end - j->p >= 6 && j->p[0] == '\\' && j->p[1] == 'u') {
    json ahead = {.p = j->p + 2, .end = j->end};
    int low = read_hex4(&ahead);
    if (low >= 0xDC00 && low < 0xE000) {
      j->p = ahead.p;
      return 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    }
  }
  return unit > 0 ? (uint32_t)unit : 0;
}

/* The character of an escape whose backslash is read already, to `to`; returns its bytes. */
static size_t read_escape(json *j, char *to) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  char ch = j->p < j->end ? *j->p++ : '\0';
  const char *at = ch != '\0' ? strchr(escapes, ch) : NULL;
  uint32_t c = ch == 'u' ? read_code_point(j) : at != NULL ? (uint32_t)meanings[at - escapes] : 0;
  if (c == 0) fail_json(j, "invalid escape sequence");
  return nd_utf8_put(to, c);
}

/* A string, unescaped, as a malloc'd copy in valid UTF-8; NULL on error. It may not
 * contain a zero byte, escaped or not, because names and values are C strings. */
static char *read_string(json *j) {
  expect(j, '"', "expected a string");
  /* no escape is shorter than what it stands for */
  char *to = malloc((size_t)(j->end - j->p) + 1);
  size_t n = 0;
  if (to == NULL) fail_json(j, out_of_memory);
  while (j->error == NULL && j->p < j->end && *j->p != '"' && *j->p != '\0') {
    char ch = *j->p++;
    if (ch == '\\') n += read_escape(j, to + n);
    else to[n++] = ch;
  }
  expect(j, '"', "unterminated string");
  char *copy = j->error == NULL ? nd_utf8_copy(to, n) : NULL;
  if (copy == NULL) fail_json(j, out_of_memory);  /* unless there is an error already */
  free(to);
  return copy;
}

/* A whole number of up to 18 digits, which fit in 64 bits. A longer one fails at its
 * 19th digit, where the caller expects ',' or ']'. */
static int64_t read_integer(json *j) {
  skip_space(j);
  /* neither signs nor fractions: shapes and offsets have none */
  const char *start = j->p;
  int64_t v = 0;
  while (j->p < j->end && *j->p >= '0' && *j->p <= '9' && j->p - start < 18)
    v = v * 10 + (*j->p++ - '0');
  if (j->p == start) fail_json(j, "expected a whole number");
  return v;
}

/* [1, 2, …] of at most `max` numbers; returns their count. */
static int32_t read_integers(json *j, int64_t *out, int32_t max) {
  int32_t n = 0;
  expect(j, '[', "expected a list");
  if (accept(j, ']')) return 0;
  do {
    if (n == max) fail_json(j, "list too long");
    else out[n++] = read_integer(j);
  } while (accept(j, ','));
  expect(j, ']', "unterminated list");
  return n;
}

/* {"key":value, ...}: `read_value` reads the value of each key into `to`. `start` and
 * `end` are the messages where a brace is missing. */
static void read_object(json *j, const char *start, const char *end,
                        void (*read_value)(json *j, const char *key, void *to), void *to) {
  expect(j, '{', start);
  if (accept(j, '}')) return;
  do {
    char *key = read_string(j);
    expect(j, ':', "expected ':'");
    if (j->error == NULL) read_value(j, key, to);
    free(key);
  } while (accept(j, ','));
  expect(j, '}', end);
}

/* A tensor as the header describes it. */
typedef struct slot {
  char *name;
  int32_t width;      /* bytes of a value: 2 or 4; 0 until the type is read */
  int32_t rank;       /* -1 until the shape is read */
  int64_t shape[4];
  int64_t from, to;   /* bytes within the data; to is -1 until they are read */
} slot;

/* One of {"dtype":"F32","shape":[…],"data_offsets":[from,to]}, which come in any order. */
static void read_property(json *j, const char *key, void *to) {
  slot *s = to;
  if (strcmp(key, "dtype") == 0) {
    char *type = read_string(j);
    if (type != NULL) s->width = strcmp(type, "F16") == 0 ? 2 : strcmp(type, "F32") == 0 ? 4 : 0;
    if (s->width == 0) fail_json(j, "unsupported dtype; F32 and F16 can be read");
    free(type);
  } else if (strcmp(key, "shape") == 0) {
    s->rank = read_integers(j, s->shape, 4);
  } else if (strcmp(key, "data_offsets") == 0) {
    int64_t offsets[2] = {0};
    if (read_integers(j, offsets, 2) != 2) fail_json(j, "expected two offsets");
    s->from = offsets[0];
    s->to = offsets[1];
  } else {
    fail_json(j, "unknown key");
  }
}

/* Two strings of the same key are both added; nd_checkpoint_string() finds the first. */
static void read_metadata(json *j, const char *key, void *to) {
  nd_checkpoint *c = to;
  if (c->n_strings >= MAX_ENTRIES) fail_json(j, "too many strings");
  char *value = read_string(j);
  if (value != NULL && nd_checkpoint_set_metadata(c, key, value, NULL) != ND_OK)
    fail_json(j, out_of_memory);
  free(value);
}

/* Slots are collected first, and values read afterwards, because the header may list
 * tensors in another order than the data has them. */
typedef struct header {
  nd_checkpoint *checkpoint;   /* gets the metadata */
  slot *slots;
  size_t n, capacity;
} header;

/* One member of the header: the metadata, or a tensor of that name. */
static void read_slot(json *j, const char *name, void *to) {
  header *h = to;
  if (strcmp(name, "__metadata__") == 0) {
    read_object(j, "expected an object of strings", "unterminated metadata", read_metadata,
                h->checkpoint);
    return;
  }
  if (h->n >= MAX_ENTRIES) fail_json(j, "too many tensors");
  else if (!ND_GROW(h->slots, h->n + 1, h->capacity)) fail_json(j, out_of_memory);
  if (j->error != NULL) return;
  slot *s = &h->slots[h->n++];
  *s = (slot){.name = copy_text(name), .rank = -1, .to = -1};
  if (s->name == NULL) fail_json(j, out_of_memory);
  read_object(j, "expected the description of a tensor", "incomplete description of a tensor",
              read_property, s);
  if (s->width == 0 || s->rank < 0 || s->to < 0)
    fail_json(j, "incomplete description of a tensor");
}

/* The metadata goes to the checkpoint, the tensors' descriptions to h->slots, which the
 * caller frees with their names, also when it fails. */
static nd_status read_header(const char *text, size_t length, header *h, nd_error *err) {
  /* errors are positions in the header; users count from the start of the file */
  json j = {.p = text, .end = text + length};
  read_object(&j, "expected an object", "unterminated header", read_slot, h);
  skip_space(&j);
  if (j.p < j.end) fail_json(&j, "unexpected text after the header");
  if (j.error == out_of_memory) return nd_nomem(err);
  if (j.error == NULL) return ND_OK;
  return nd_fail(err, ND_FORMAT, "malformed header at byte %zu: %s",
                 (size_t)(j.p - text) + LENGTH_BYTES, j.error);
}

/* By position in the data, the order in which tensors must tile it; empty ones first. */
static int by_offset(const void *a, const void *b) {
  const slot *x = a, *y = b;
  if (x->from != y->from) return x->from < y->from ? -1 : 1;
  return x->to < y->to ? -1 : x->to > y->to;
}

/* Checks that a tensor's bytes follow those of the one before (at `at`), and are as
 * many as its shape says. */
static nd_status check_slot(const slot *s, int64_t at, int64_t data, nd_error *err) {
  int64_t size = s->width;
  for (int32_t k = 0; k < s->rank; k++) {
    /* the division keeps the product from overflowing */
    if (s->shape[k] > 0 && size > data / s->shape[k])
      return nd_fail(err, ND_FORMAT, "tensor %.60s is larger than the file", s->name);
    size *= s->shape[k];
  }
  if (s->from != at || s->to < s->from || s->to > data)
    return nd_fail(err, ND_FORMAT, "tensor %.60s: offsets leave a gap, overlap, or pass the end",
                   s->name);
  if (s->to - s->from != size)
    return nd_fail(err, ND_FORMAT, "tensor %.60s: the size of its data does not match its shape",
                   s->name);
  return ND_OK;
}

/* Reads by bytes: the data need not be aligned in the file. */
static nd_status add_values(nd_checkpoint *c, const slot *s, const uint8_t *data, nd_error *err) {
  nd_entry *e = append_entry(c, s->name, s->rank, s->shape);
  if (e == NULL) return nd_nomem(err);
  if (s->width == 2) nd_halves_to_floats(e->size, data + s->from, e->values);
  for (size_t k = 0; s->width == 4 && k < e->size; k++) {
    uint32_t bits = nd_get_le32(data + s->from + 4 * k);
    memcpy(&e->values[k], &bits, sizeof bits);
  }
  return ND_OK;
}

/* Reads the values of the listed tensors, which must tile the data without gaps. */
static nd_status read_tensors(const header *h, const uint8_t *data, int64_t size, nd_error *err) {
  if (h->n > 1) qsort(h->slots, h->n, sizeof *h->slots, by_offset);
  /* sorted by offset, tensors tile the data when each begins where the one before ends;
   * this also finds overlaps, which could otherwise multiply the memory that a small
   * file asks for */
  int64_t at = 0;
  for (size_t i = 0; i < h->n; i++) {
    const slot *s = &h->slots[i];
    nd_status status = check_slot(s, at, size, err);
    if (status == ND_OK && nd_checkpoint_entry(h->checkpoint, s->name) != NULL)
      status = nd_fail(err, ND_FORMAT, "tensor %.60s occurs twice", s->name);
    if (status == ND_OK) status = add_values(h->checkpoint, s, data, err);
    if (status != ND_OK) return status;
    at = s->to;
  }
  if (at != size)
    return nd_fail(err, ND_FORMAT, "%lld bytes after the last tensor", (long long)(size - at));
  return ND_OK;
}

/* What was read stays only if all of it is valid. */
nd_status nd_checkpoint_read(nd_checkpoint *c, const char *path, nd_error *err) {
  uint8_t *bytes = NULL, head[LENGTH_BYTES];
  size_t n = 0;
  /* a file of another kind is refused by its first bytes, however large it is */
  nd_status status = nd_file_head(path, head, sizeof head, &n, err);
  if (status != ND_OK) return status;
  const uint64_t length = n < sizeof head ? 0 : nd_get_le64(head);
  if (length >= 2 && length <= MAX_HEADER) status = nd_file_read(path, max_bytes, &bytes, &n, err);
  if (status != ND_OK) return status;
  /* the file may have been replaced since its first bytes were read */
  if (bytes == NULL || n < LENGTH_BYTES || length > n - LENGTH_BYTES) {  /* 2: "{}" at least */
    free(bytes);
    return nd_fail(err, ND_FORMAT, "not a safetensors file");
  }
  header h = {.checkpoint = c};
  const uint8_t *text = bytes + LENGTH_BYTES, *data = text + length;
  status = read_header((const char *)text, (size_t)length, &h, err);
  if (status == ND_OK) status = read_tensors(&h, data, (int64_t)(bytes + n - data), err);
  for (size_t i = 0; i < h.n; i++) free(h.slots[i].name);
  free(h.slots);
  free(bytes);
  if (status != ND_OK) nd_checkpoint_clear(c);
  return status;
}
