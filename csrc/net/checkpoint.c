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

static void free_entry(nd_entry *e) {
  free(e->name);
  free(e->values);
}

/* The element count cannot overflow: the values are in memory already. */
nd_status nd_checkpoint_add(nd_checkpoint *c, const char *name, int32_t rank,
                            const int64_t *shape, const float *values, nd_error *err) {
  if (!ND_GROW(c->entries, c->n_entries + 1, c->entry_capacity)) return nd_nomem(err);
  nd_entry e = {.rank = rank, .size = 1};
  for (int32_t i = 0; i < rank; i++) {
    e.shape[i] = shape[i];
    e.size *= (size_t)shape[i];
  }
  e.name = copy_text(name);
  e.values = nd_calloc(e.size, sizeof *e.values);
  if (e.name == NULL || e.values == NULL) {
    free_entry(&e);
    return nd_nomem(err);
  }
  if (e.size > 0) memcpy(e.values, values, e.size * sizeof *values);
  c->entries[c->n_entries++] = e;
  return ND_OK;
}

/* Adds a string; owns key and value (NULL: the copy failed) even when it fails.
 * Strings stay sorted (insertion sort: there are a few dozen), so that equal
 * checkpoints are equal files, whatever the order in which a Lua table is walked. */
static nd_status add_string(nd_checkpoint *c, char *key, char *value, nd_error *err) {
  if (key == NULL || value == NULL || !ND_GROW(c->strings, c->n_strings + 1, c->string_capacity)) {
    free(key);
    free(value);
    return nd_nomem(err);
  }
  size_t at = c->n_strings++;
  for (; at > 0 && strcmp(c->strings[at - 1].key, key) > 0; at--)
    c->strings[at] = c->strings[at - 1];
  c->strings[at] = (nd_string){key, value};
  return ND_OK;
}

nd_status nd_checkpoint_set_metadata(nd_checkpoint *c, const char *key, const char *value,
                                     nd_error *err) {
  return add_string(c, copy_text(key), copy_text(value), err);
}

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
 * stack. It stops at the first violation; functions return false then, and p is where
 * it is. */
static const char out_of_memory[] = "out of memory";  /* compared by address */

typedef struct json {
  const char *p, *end, *start;
  const char *error;   /* NULL: none so far; else the first */
} json;

static bool fail_json(json *j, const char *why) {
  if (j->error == NULL) j->error = why;
  return false;
}

static void skip_space(json *j) {
  while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

/* Skips `ch` if it is next. */
static bool accept(json *j, char ch) {
  skip_space(j);
  if (j->p >= j->end || *j->p != ch) return false;
  j->p++;
  return true;
}

/* Four hexadecimal digits; -1 when they are not. */
static int hex4(const char *s) {
  int v = 0;
  for (int i = 0; i < 4; i++) {
    char ch = s[i];
    int d = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
            : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
    if (d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

/* The code point of an escape \uXXXX, or of a surrogate pair \uD8XX\uDCXX, whose first
 * \u is read already; 0 when malformed. A lone surrogate is returned as it is, and
 * becomes U+FFFD later. */
static uint32_t read_code_point(json *j) {
  if (j->end - j->p < 4) return 0;
  int unit = hex4(j->p);
  j->p += 4;
  if (unit >= 0xD800 && unit < 0xDC00 && j->end - j->p >= 6 && j->p[0] == '\\' && j->p[1] == 'u') {
    int low = hex4(j->p + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      j->p += 6;
      return 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    }
  }
  return unit > 0 ? (uint32_t)unit : 0;
}

/* A string, unescaped, as a malloc'd copy in valid UTF-8; NULL on error. It may not
 * contain a zero byte, escaped or not, because names and values are C strings. */
static char *read_string(json *j) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (!accept(j, '"')) return (void)fail_json(j, "expected a string"), NULL;
  /* no escape is shorter than what it stands for */
  char *to = malloc((size_t)(j->end - j->p) + 1);
  if (to == NULL) return (void)fail_json(j, out_of_memory), NULL;
  size_t n = 0;
  while (j->error == NULL && j->p < j->end && *j->p != '"') {
    char ch = *j->p++;
    if (ch == '\0') break;
    if (ch != '\\') {
      to[n++] = ch;
      continue;
    }
    if (j->p >= j->end) break;
    ch = *j->p++;
    const char *at = ch != '\0' ? strchr(escapes, ch) : NULL;
    uint32_t c = at == NULL && ch == 'u' ? read_code_point(j) : 0;
    if (at != NULL) to[n++] = meanings[at - escapes];
    else if (c != 0) n += nd_utf8_put(to + n, c);
    else fail_json(j, "invalid escape sequence");
  }
  if (j->error == NULL && !accept(j, '"')) fail_json(j, "unterminated string");
  char *copy = j->error == NULL ? nd_utf8_copy(to, n) : NULL;
  if (copy == NULL) fail_json(j, out_of_memory);  /* unless there is an error already */
  free(to);
  return copy;
}

/* A whole number of up to 18 digits, which fit in 64 bits. A longer one fails at its
 * 19th digit, where the caller expects ',' or ']'. */
static bool read_integer(json *j, int64_t *out) {
  skip_space(j);
  int64_t v = 0;
  int digits = 0;
  while (j->p < j->end && *j->p >= '0' && *j->p <= '9' && digits < 18) {
    v = v * 10 + (*j->p++ - '0');
    digits++;
  }
  *out = v;
  return digits > 0 || fail_json(j, "expected a whole number");
}

/* [1, 2, …] of at most `max` numbers */
static bool read_integers(json *j, int64_t *out, int32_t max, int32_t *n) {
  *n = 0;
  if (!accept(j, '[')) return fail_json(j, "expected a list");
  if (accept(j, ']')) return true;
  do {
    if (*n >= max) return fail_json(j, "list too long");
    if (!read_integer(j, &out[*n])) return false;
    ++*n;
  } while (accept(j, ','));
  return accept(j, ']') || fail_json(j, "unterminated list");
}

/* A tensor as the header describes it. */
typedef struct slot {
  char *name;
  int32_t rank;
  int64_t shape[4];
  int64_t from, to;   /* bytes within the data */
  bool half;
} slot;

/* {"dtype":"F32","shape":[…],"data_offsets":[from,to]}, keys in any order. */
static bool read_slot(json *j, slot *s) {
  bool dtype = false, shape = false, offsets = false;
  if (!accept(j, '{')) return fail_json(j, "expected the description of a tensor");
  do {
    char *key = read_string(j);
    if (key == NULL) return false;
    bool ok = accept(j, ':') || fail_json(j, "expected ':'");
    if (ok && strcmp(key, "dtype") == 0) {
      char *type = read_string(j);
      s->half = type != NULL && strcmp(type, "F16") == 0;
      dtype = type != NULL && (s->half || strcmp(type, "F32") == 0);
      if (type != NULL && !dtype) fail_json(j, "unsupported dtype; F32 and F16 can be read");
      free(type);
    } else if (ok && strcmp(key, "shape") == 0) {
      shape = read_integers(j, s->shape, 4, &s->rank);
    } else if (ok && strcmp(key, "data_offsets") == 0) {
      int64_t pair[2] = {0};
      int32_t n;
      offsets = read_integers(j, pair, 2, &n) && n == 2;
      s->from = pair[0];
      s->to = pair[1];
      if (j->error == NULL && !offsets) fail_json(j, "expected two offsets");
    } else if (ok) {
      fail_json(j, "unknown key");
    }
    free(key);
    if (j->error != NULL) return false;
  } while (accept(j, ','));
  if (!accept(j, '}') || !dtype || !shape || !offsets)
    return fail_json(j, "incomplete description of a tensor");
  return true;
}

/* The metadata: {"key":"value", ...}, added to the checkpoint. */
static bool read_strings(json *j, nd_checkpoint *c) {
  if (!accept(j, '{')) return fail_json(j, "expected an object of strings");
  if (accept(j, '}')) return true;
  do {
    if (c->n_strings >= MAX_ENTRIES) return fail_json(j, "too many strings");
    char *key = read_string(j), *value = NULL;
    if (key != NULL && (accept(j, ':') || fail_json(j, "expected ':'"))) value = read_string(j);
    if (value == NULL) {
      free(key);
      return false;
    }
    if (add_string(c, key, value, NULL) != ND_OK) return fail_json(j, out_of_memory);
  } while (accept(j, ','));
  return accept(j, '}') || fail_json(j, "unterminated metadata");
}

/* The header: metadata and slots in any order. The caller frees the slots and their
 * names, also when it fails. */
static bool read_header(json *j, nd_checkpoint *c, slot **slots, size_t *n_slots) {
  size_t capacity = 0;
  if (!accept(j, '{')) return fail_json(j, "expected an object");
  if (accept(j, '}')) return true;
  do {
    char *name = read_string(j);
    if (name == NULL) return false;
    bool ok = accept(j, ':') || fail_json(j, "expected ':'");
    if (ok && strcmp(name, "__metadata__") == 0) {
      free(name);
      if (!read_strings(j, c)) return false;
      continue;
    }
    if (ok && *n_slots >= MAX_ENTRIES) ok = fail_json(j, "too many tensors");
    if (ok && !ND_GROW(*slots, *n_slots + 1, capacity)) ok = fail_json(j, out_of_memory);
    if (!ok) {
      free(name);
      return false;
    }
    slot *s = &(*slots)[(*n_slots)++];
    memset(s, 0, sizeof *s);
    s->name = name;
    if (!read_slot(j, s)) return false;
  } while (accept(j, ','));
  if (!accept(j, '}')) return fail_json(j, "unterminated header");
  skip_space(j);
  return j->p == j->end || fail_json(j, "unexpected text after the header");
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
  int64_t size = s->half ? 2 : 4;
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
  size_t n = (size_t)(s->to - s->from) / (s->half ? 2 : 4);
  float *values = nd_calloc(n, sizeof *values);
  if (values == NULL) return nd_nomem(err);
  if (s->half) {
    nd_halves_to_floats(n, data + s->from, values);
  } else {
    for (size_t k = 0; k < n; k++) {
      uint32_t bits = nd_get_le32(data + s->from + 4 * k);
      memcpy(&values[k], &bits, sizeof bits);
    }
  }
  nd_status status = nd_checkpoint_add(c, s->name, s->rank, s->shape, values, err);
  free(values);
  return status;
}

/* Reads the values of the listed tensors, which must tile the data without gaps. */
static nd_status read_tensors(nd_checkpoint *c, slot *slots, size_t n, const uint8_t *data,
                              int64_t size, nd_error *err) {
  if (n > 1) qsort(slots, n, sizeof *slots, by_offset);
  int64_t at = 0;
  for (size_t i = 0; i < n; i++) {
    nd_status status = check_slot(&slots[i], at, size, err);
    if (status != ND_OK) return status;
    if (nd_checkpoint_entry(c, slots[i].name) != NULL)
      return nd_fail(err, ND_FORMAT, "tensor %.60s occurs twice", slots[i].name);
    status = add_values(c, &slots[i], data, err);
    if (status != ND_OK) return status;
    at = slots[i].to;
  }
  if (at != size)
    return nd_fail(err, ND_FORMAT, "%lld bytes after the last tensor", (long long)(size - at));
  return ND_OK;
}

nd_status nd_checkpoint_read(nd_checkpoint *c, const char *path, nd_error *err) {
  uint8_t *bytes = NULL, head[LENGTH_BYTES];
  size_t n = 0;
  /* a file of another kind is refused by its first bytes, however large it is */
  nd_status status = nd_file_head(path, head, sizeof head, &n, err);
  if (status != ND_OK) return status;
  if (n < sizeof head || nd_get_le64(head) > MAX_HEADER)
    return nd_fail(err, ND_FORMAT, "not a safetensors file");
  status = nd_file_read(path, max_bytes, &bytes, &n, err);
  if (status != ND_OK) return status;
  const uint64_t length = n < LENGTH_BYTES + 2 ? 0 : nd_get_le64(bytes);  /* "{}" at least */
  if (length < 2 || length > MAX_HEADER || length > n - LENGTH_BYTES) {
    free(bytes);
    return nd_fail(err, ND_FORMAT, "not a safetensors file");
  }
  slot *slots = NULL;
  size_t n_slots = 0;
  const char *header = (const char *)bytes + LENGTH_BYTES;
  json j = {.p = header, .end = header + length, .start = header};
  if (read_header(&j, c, &slots, &n_slots))
    status = read_tensors(c, slots, n_slots, bytes + LENGTH_BYTES + length,
                          (int64_t)(n - LENGTH_BYTES - length), err);
  else if (j.error == out_of_memory)
    status = nd_nomem(err);
  else
    status = nd_fail(err, ND_FORMAT, "malformed header at byte %zu: %s",
                     (size_t)(j.p - j.start) + LENGTH_BYTES, j.error);
  for (size_t i = 0; i < n_slots; i++) free(slots[i].name);
  free(slots);
  free(bytes);
  if (status != ND_OK) nd_checkpoint_clear(c);
  return status;
}
