/* checkpoint.h - tensors and strings in a safetensors file: an open format, readable
 * from Python. Eight bytes with the header's length, the header in JSON, the values;
 * all numbers little-endian. Values are float32 or half precision on disk, float32
 * here. https://github.com/huggingface/safetensors
 *
 * A checkpoint owns copies of everything that is added to it. It starts as a zeroed
 * nd_checkpoint and ends with nd_checkpoint_clear().
 */
#ifndef ND_NET_CHECKPOINT_H
#define ND_NET_CHECKPOINT_H

#include "../base/nd.h"

typedef struct nd_entry {
  char *name;
  int32_t rank;
  int64_t shape[4];
  size_t size;          /* elements */
  float *values;
} nd_entry;

typedef struct nd_string { char *key, *value; } nd_string;

typedef struct nd_checkpoint {
  nd_entry *entries;    size_t n_entries, entry_capacity;
  nd_string *strings;   size_t n_strings, string_capacity;  /* __metadata__, sorted by key */
} nd_checkpoint;

/* Adds a tensor of rank 0..4. ND_NOMEM. */
nd_status nd_checkpoint_add(nd_checkpoint *c, const char *name, int32_t rank,
                            const int64_t *shape, const float *values, nd_error *err);

/* Adds a string. Bytes that are not UTF-8, which JSON requires, are replaced:
 * utf8.h. ND_NOMEM. */
nd_status nd_checkpoint_set_metadata(nd_checkpoint *c, const char *key, const char *value,
                                     nd_error *err);
void nd_checkpoint_clear(nd_checkpoint *c);

/* Frees all tensors except the one called `name`. */
void nd_checkpoint_drop_except(nd_checkpoint *c, const char *name);

/* NULL when there is none of that name. */
const nd_entry *nd_checkpoint_entry(const nd_checkpoint *c, const char *name);
const char *nd_checkpoint_string(const nd_checkpoint *c, const char *key);

/* Writes the file, replacing an old one only when the new one is complete. `half`:
 * tensors of rank 2 are stored in half precision, rounded to nearest. Nothing is
 * written that could not be read again: ND_FORMAT, naming the tensor, when a value
 * is not finite or exceeds the range of halves; ND_LIMIT when the file would be too
 * large. ND_IO, ND_NOMEM. */
nd_status nd_checkpoint_write(const nd_checkpoint *c, const char *path, bool half, nd_error *err);

/* Reads a file into an empty checkpoint. Every name, type, shape and offset is
 * checked: the tensors must tile the data without gaps or overlap. ND_FORMAT with
 * the reason otherwise, ND_IO, ND_NOMEM; the checkpoint is empty then. */
nd_status nd_checkpoint_read(nd_checkpoint *c, const char *path, nd_error *err);

#endif
