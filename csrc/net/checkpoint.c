#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/file.h"
#include "../base/half.h"
#include "../base/utf8.h"

/* Of what is read, and so of what is written. */
enum { MAX_HEADER = 16 << 20, MAX_ENTRIES = 4096 };
static const size_t max_bytes = (size_t)1 << 32;

static char *copy_text(const char *s) { return nd_utf8_copy(s, strlen(s)); }

static nd_status no_memory(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

nd_status nd_checkpoint_add(nd_checkpoint *c, const char *name, int32_t rank,
                            const int64_t *shape, const float *values, nd_error *err) {
  if (!ND_GROW(c->entries, c->n_entries + 1, c->entry_capacity)) return no_memory(err);
  nd_entry e = {.rank = rank, .size = 1};
  for (int32_t i = 0; i < rank; i++) {
    e.shape[i] = shape[i];
    e.size *= (size_t)shape[i];
  }
  e.name = copy_text(name);
  e.values = nd_calloc(e.size, sizeof *e.values);
  if (e.name == NULL || e.values == NULL) {
    free(e.name);
    free(e.values);
    return no_memory(err);
  }
  if (e.size > 0) memcpy(e.values, values, e.size * sizeof *values);
  c->entries[c->n_entries++] = e;
  return ND_OK;
}

static nd_status say(nd_checkpoint *c, char *key, char *value, nd_error *err) {
  if (key == NULL || value == NULL || !ND_GROW(c->strings, c->n_strings + 1, c->string_capacity)) {
    free(key);
    free(value);
    return no_memory(err);
  }
  size_t at = c->n_strings++;
  for (; at > 0 && strcmp(c->strings[at - 1].key, key) > 0; at--)
    c->strings[at] = c->strings[at - 1];
  c->strings[at] = (nd_string){key, value};
  return ND_OK;
}

nd_status nd_checkpoint_set_metadata(nd_checkpoint *c, const char *key, const char *value, nd_error *err) {
  return say(c, copy_text(key), copy_text(value), err);
}

void nd_checkpoint_keep(nd_checkpoint *c, const char *name) {
  size_t kept = 0;
  for (size_t i = 0; i < c->n_entries; i++) {
    if (strcmp(c->entries[i].name, name) == 0) {
      c->entries[kept++] = c->entries[i];
      continue;
    }
    free(c->entries[i].name);
    free(c->entries[i].values);
  }
  c->n_entries = kept;
}

void nd_checkpoint_clear(nd_checkpoint *c) {
  for (size_t i = 0; i < c->n_entries; i++) {
    free(c->entries[i].name);
    free(c->entries[i].values);
  }
  for (size_t i = 0; i < c->n_strings; i++) {
    free(c->strings[i].key);
    free(c->strings[i].value);
  }
  free(c->entries);
  free(c->strings);
  memset(c, 0, sizeof *c);
}

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

/* -------------------------------------------------------------------- writing */

typedef struct text { char *p; size_t n, capacity; bool failed; } text;

static void put(text *t, const char *s, size_t n) {
  if (t->failed || !ND_GROW(t->p, t->n + n, t->capacity)) {
    t->failed = true;
    return;
  }
  memcpy(t->p + t->n, s, n);
  t->n += n;
}

static void puts_(text *t, const char *s) { put(t, s, strlen(s)); }

static void put_quoted(text *t, const char *s) {
  puts_(t, "\"");
  for (; *s != '\0'; s++) {
    unsigned char ch = (unsigned char)*s;
    char escaped[8];
    if (ch == '"' || ch == '\\') (void)snprintf(escaped, sizeof escaped, "\\%c", ch);
    else if (ch < 0x20) (void)snprintf(escaped, sizeof escaped, "\\u%04x", ch);
    else (void)snprintf(escaped, sizeof escaped, "%c", ch);
    puts_(t, escaped);
  }
  puts_(t, "\"");
}

/* What is not finite, or would not be as a half, could not be read again. */
static nd_status check_values(const nd_entry *e, bool two, nd_error *err) {
  for (size_t k = 0; k < e->size; k++) {
    const float x = e->values[k];
    if (!isfinite(x))
      return nd_fail(err, ND_FORMAT, "value %zu of tensor %.60s is not finite", k, e->name);
    if (two && !isfinite(nd_half_round(x)))
      return nd_fail(err, ND_FORMAT, "value %zu of tensor %.60s, %g, is beyond half precision", k,
                     e->name, (double)x);
  }
  return ND_OK;
}

nd_status nd_checkpoint_write(const nd_checkpoint *c, const char *path, bool half, nd_error *err) {
  if (c->n_entries > MAX_ENTRIES || c->n_strings > MAX_ENTRIES)
    return nd_fail(err, ND_LIMIT, "more than %d tensors or strings", MAX_ENTRIES);
  for (size_t i = 0; i < c->n_entries; i++) {
    const nd_entry *e = &c->entries[i];
    nd_status status = check_values(e, half && e->rank == 2, err);
    if (status != ND_OK) return status;
  }
  text t = {0};
  char number[96];
  size_t offset = 0;
  put(&t, "\0\0\0\0\0\0\0\0", 8);
  puts_(&t, "{\"__metadata__\":{");
  for (size_t i = 0; i < c->n_strings; i++) {
    if (i > 0) puts_(&t, ",");
    put_quoted(&t, c->strings[i].key);
    puts_(&t, ":");
    put_quoted(&t, c->strings[i].value);
  }
  puts_(&t, "}");
  for (size_t i = 0; i < c->n_entries; i++) {
    const nd_entry *e = &c->entries[i];
    bool two = half && e->rank == 2;
    size_t bytes = e->size * (two ? 2 : 4);
    puts_(&t, ",");
    put_quoted(&t, e->name);
    puts_(&t, two ? ":{\"dtype\":\"F16\",\"shape\":[" : ":{\"dtype\":\"F32\",\"shape\":[");
    for (int32_t k = 0; k < e->rank; k++) {
      (void)snprintf(number, sizeof number, k > 0 ? ",%lld" : "%lld", (long long)e->shape[k]);
      puts_(&t, number);
    }
    (void)snprintf(number, sizeof number, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes);
    puts_(&t, number);
    offset += bytes;
  }
  puts_(&t, "}");
  while (!t.failed && t.n % 8 != 0) puts_(&t, " ");  /* values start aligned */
  if (!t.failed && (t.n - 8 > MAX_HEADER || offset > max_bytes - t.n)) {
    free(t.p);
    return nd_fail(err, ND_LIMIT, t.n - 8 > MAX_HEADER
                                      ? "its strings are longer than a checkpoint's may be"
                                      : "its tensors are larger than a checkpoint's may be");
  }
  if (!t.failed) nd_put_le64((uint8_t *)t.p, t.n - 8);
  for (size_t i = 0; i < c->n_entries && !t.failed; i++) {
    const nd_entry *e = &c->entries[i];
    if (!(half && e->rank == 2)) {
      put(&t, (const char *)e->values, e->size * sizeof *e->values);
      continue;
    }
    if (!ND_GROW(t.p, t.n + 2 * e->size, t.capacity)) {
      t.failed = true;
      break;
    }
    for (size_t k = 0; k < e->size; k++) {
      uint16_t h = nd_half_from_float(e->values[k]);
      memcpy(t.p + t.n + 2 * k, &h, 2);
    }
    t.n += 2 * e->size;
  }
  nd_status status = t.failed ? no_memory(err) : nd_file_write(path, t.p, t.n, err);
  free(t.p);
  return status;
}

/* -------------------------------------------------------------------- reading */

/* A reader of the JSON that safetensors headers consist of: objects, strings,
 * arrays of whole numbers. Stops at the first thing that is not. */
static const char out_of_memory[] = "out of memory";  /* what is wrong, told by its address */

typedef struct json { const char *p, *end, *start; const char *wrong; } json;

static bool fail_json(json *j, const char *why) {
  if (j->wrong == NULL) j->wrong = why;
  return false;
}

static void blank(json *j) {
  while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

static bool take(json *j, char ch) {
  blank(j);
  if (j->p >= j->end || *j->p != ch) return false;
  j->p++;
  return true;
}

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

/* A string, unescaped in a buffer of its own, of UTF-8 whatever it was. */
static char *string(json *j) {
  if (!take(j, '"')) return (void)fail_json(j, "a string is missing"), NULL;
  char *to = malloc((size_t)(j->end - j->p) + 1);
  if (to == NULL) return (void)fail_json(j, out_of_memory), NULL;
  size_t n = 0;
  while (j->p < j->end && *j->p != '"') {
    char ch = *j->p++;
    if (ch == '\0') break;
    if (ch != '\\') {
      to[n++] = ch;
      continue;
    }
    if (j->p >= j->end) break;
    ch = *j->p++;
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *at = ch != '\0' ? strchr(from, ch) : NULL;
    if (at != NULL) {
      to[n++] = into[at - from];
    } else if (ch == 'u' && j->end - j->p >= 4) {
      int v = hex4(j->p);
      j->p += 4;
      uint32_t c = (uint32_t)v;
      if (v >= 0xD800 && v < 0xDC00 && j->end - j->p >= 6 && j->p[0] == '\\' && j->p[1] == 'u') {
        int low = hex4(j->p + 2);
        if (low >= 0xDC00 && low < 0xE000) {
          c = 0x10000 + (((uint32_t)v - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
          j->p += 6;
        }
      }
      if (v < 1) {
        fail_json(j, "a bad escape");
        break;
      }
      n += nd_utf8_put(to + n, c);
    } else {
      fail_json(j, "a bad escape");
      break;
    }
  }
  if (j->wrong == NULL && !take(j, '"')) fail_json(j, "a string has no end");
  if (j->wrong != NULL) {
    free(to);
    return NULL;
  }
  char *fitted = nd_utf8_copy(to, n);
  free(to);
  return fitted != NULL ? fitted : ((void)fail_json(j, out_of_memory), NULL);
}

static bool whole(json *j, int64_t *out) {
  blank(j);
  int64_t v = 0;
  int digits = 0;
  while (j->p < j->end && *j->p >= '0' && *j->p <= '9' && digits < 18) {
    v = v * 10 + (*j->p++ - '0');
    digits++;
  }
  *out = v;
  return digits > 0 || fail_json(j, "a whole number is missing");
}

/* [1, 2, …] of at most `max` numbers */
static bool numbers(json *j, int64_t *out, int32_t max, int32_t *n) {
  *n = 0;
  if (!take(j, '[')) return fail_json(j, "a list is missing");
  if (take(j, ']')) return true;
  do {
    if (*n >= max) return fail_json(j, "a list is too long");
    if (!whole(j, &out[*n])) return false;
    ++*n;
  } while (take(j, ','));
  return take(j, ']') || fail_json(j, "a list has no end");
}

/* A tensor as the header has it, before its values are read. */
typedef struct slot { char *name; int32_t rank; int64_t shape[4], from, to; bool half; } slot;

static bool read_slot(json *j, slot *s) {
  bool dtype = false, shape = false, offsets = false;
  if (!take(j, '{')) return fail_json(j, "a tensor is not described");
  do {
    char *key = string(j);
    if (key == NULL) return false;
    bool ok = take(j, ':') || fail_json(j, "':' is missing");
    if (ok && strcmp(key, "dtype") == 0) {
      char *type = string(j);
      s->half = type != NULL && strcmp(type, "F16") == 0;
      dtype = type != NULL && (s->half || strcmp(type, "F32") == 0);
      if (type != NULL && !dtype) fail_json(j, "a type other than F32 and F16");
      free(type);
    } else if (ok && strcmp(key, "shape") == 0) {
      shape = numbers(j, s->shape, 4, &s->rank);
    } else if (ok && strcmp(key, "data_offsets") == 0) {
      int64_t pair[2] = {0};
      int32_t n;
      offsets = numbers(j, pair, 2, &n) && n == 2;
      s->from = pair[0];
      s->to = pair[1];
      if (j->wrong == NULL && !offsets) fail_json(j, "two offsets are needed");
    } else if (ok) {
      fail_json(j, "an unknown key");
    }
    free(key);
    if (j->wrong != NULL) return false;
  } while (take(j, ','));
  if (!take(j, '}') || !dtype || !shape || !offsets)
    return fail_json(j, "a tensor is not fully described");
  return true;
}

static bool read_strings(json *j, nd_checkpoint *c) {
  if (!take(j, '{')) return fail_json(j, "metadata is not an object");
  if (take(j, '}')) return true;
  do {
    if (c->n_strings >= MAX_ENTRIES) return fail_json(j, "too many strings");
    char *key = string(j);
    if (key == NULL) return false;
    if (!take(j, ':')) {
      free(key);
      return fail_json(j, "':' is missing");
    }
    char *value = string(j);
    if (value == NULL) {
      free(key);
      return false;
    }
    if (say(c, key, value, NULL) != ND_OK) return fail_json(j, out_of_memory);
  } while (take(j, ','));
  return take(j, '}') || fail_json(j, "metadata has no end");
}

static bool read_header(json *j, nd_checkpoint *c, slot **slots, size_t *n_slots) {
  size_t capacity = 0;
  if (!take(j, '{')) return fail_json(j, "not an object");
  if (take(j, '}')) return true;
  do {
    char *name = string(j);
    if (name == NULL) return false;
    bool ok = take(j, ':') || fail_json(j, "':' is missing");
    if (ok && strcmp(name, "__metadata__") == 0) {
      free(name);
      if (!read_strings(j, c)) return false;
      continue;
    }
    if (ok && *n_slots >= MAX_ENTRIES) ok = fail_json(j, "too many tensors");
    if (ok && !ND_GROW(*slots, *n_slots + 1, capacity))
      ok = fail_json(j, out_of_memory);
    if (!ok) {
      free(name);
      return false;
    }
    slot *s = &(*slots)[(*n_slots)++];
    memset(s, 0, sizeof *s);
    s->name = name;
    if (!read_slot(j, s)) return false;
  } while (take(j, ','));
  if (!take(j, '}')) return fail_json(j, "no end");
  blank(j);
  return j->p == j->end || fail_json(j, "something after its end");
}

static int by_offset(const void *a, const void *b) {
  const slot *x = a, *y = b;
  if (x->from != y->from) return x->from < y->from ? -1 : 1;
  return x->to < y->to ? -1 : x->to > y->to;
}

/* Checks that a slot's bytes are what its shape says and tile the data. */
static nd_status check_slot(const slot *s, int64_t at, int64_t data, nd_error *err) {
  int64_t size = s->half ? 2 : 4;
  for (int32_t k = 0; k < s->rank; k++) {
    if (s->shape[k] > 0 && size > data / s->shape[k])
      return nd_fail(err, ND_FORMAT, "tensor %.60s is larger than the file", s->name);
    size *= s->shape[k];
  }
  if (s->from != at || s->to < s->from || s->to > data)
    return nd_fail(err, ND_FORMAT, "tensor %.60s: offsets leave a gap, overlap, or pass the end", s->name);
  if (s->to - s->from != size)
    return nd_fail(err, ND_FORMAT, "tensor %.60s: its bytes do not match its shape", s->name);
  return ND_OK;
}

static nd_status take_values(nd_checkpoint *c, const slot *s, const uint8_t *data, nd_error *err) {
  size_t n = (size_t)(s->to - s->from) / (s->half ? 2 : 4);
  float *values = nd_calloc(n, sizeof *values);
  if (values == NULL) return no_memory(err);
  if (s->half) {
    nd_halves_to_floats(n, data + s->from, values);
  } else if (n > 0) {
    memcpy(values, data + s->from, n * 4);
  }
  nd_status status = nd_checkpoint_add(c, s->name, s->rank, s->shape, values, err);
  free(values);
  return status;
}

nd_status nd_checkpoint_read(nd_checkpoint *c, const char *path, nd_error *err) {
  uint8_t *bytes = NULL, head[8];
  size_t n = 0;
  /* what is of another kind, or says that its header is huge, is not read */
  nd_status status = nd_file_head(path, head, sizeof head, &n, err);
  if (status != ND_OK) return status;
  if (n < sizeof head || nd_get_le64(head) > MAX_HEADER)
    return nd_fail(err, ND_FORMAT, "not a safetensors file");
  status = nd_file_read(path, max_bytes, &bytes, &n, err);
  if (status != ND_OK) return status;
  const uint64_t length = n < 10 ? 0 : nd_get_le64(bytes);
  if (length < 2 || length > MAX_HEADER || length > n - 8) {
    free(bytes);
    return nd_fail(err, ND_FORMAT, "not a safetensors file");
  }
  slot *slots = NULL;
  size_t n_slots = 0;
  json j = {(char *)bytes + 8, (char *)bytes + 8 + length, (char *)bytes + 8, NULL};
  if (!read_header(&j, c, &slots, &n_slots))
    status = j.wrong == out_of_memory
                 ? no_memory(err)
                 : nd_fail(err, ND_FORMAT, "its header is broken at byte %zu: %s",
                           (size_t)(j.p - j.start) + 8, j.wrong);
  if (status == ND_OK && n_slots > 1) qsort(slots, n_slots, sizeof *slots, by_offset);
  int64_t at = 0, data = (int64_t)(n - 8 - length);
  for (size_t i = 0; i < n_slots && status == ND_OK; i++) {
    status = check_slot(&slots[i], at, data, err);
    if (status == ND_OK && nd_checkpoint_entry(c, slots[i].name) != NULL)
      status = nd_fail(err, ND_FORMAT, "tensor %.60s stands there twice", slots[i].name);
    if (status == ND_OK) status = take_values(c, &slots[i], bytes + 8 + length, err);
    at = slots[i].to;
  }
  if (status == ND_OK && at != data)
    status = nd_fail(err, ND_FORMAT, "%lld bytes after the last tensor", (long long)(data - at));
  for (size_t i = 0; i < n_slots; i++) free(slots[i].name);
  free(slots);
  free(bytes);
  if (status != ND_OK) nd_checkpoint_clear(c);
  return status;
}
