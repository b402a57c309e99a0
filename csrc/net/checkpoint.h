/* checkpoint.h - tensors and strings in a safetensors file: an open format
 * (eight bytes of header length, a JSON header, the values, little-endian),
 * readable from Python. Float32 or half precision on disk; float32 here. */
#ifndef ND_NET_CHECKPOINT_H
#define ND_NET_CHECKPOINT_H

#include "../base/nd.h"

typedef struct nd_entry {
  char *name;
  int32_t rank;
  int64_t shape[4];
  size_t size;          /* elements */
  float *values;        /* owned */
} nd_entry;

typedef struct nd_string { char *key, *value; } nd_string;

typedef struct nd_checkpoint {
  nd_entry *entries;    size_t n_entries, entry_capacity;
  nd_string *strings;   size_t n_strings, string_capacity;   /* __metadata__, by key:
                                                              * the same strings, the same bytes */
} nd_checkpoint;

/* Copies are made. Both start from a zeroed nd_checkpoint. */
nd_status nd_checkpoint_add(nd_checkpoint *c, const char *name, int32_t rank,
                            const int64_t *shape, const float *values, nd_error *err);
/* Both as UTF-8, which the header has to be: see utf8.h. */
nd_status nd_checkpoint_set_metadata(nd_checkpoint *c, const char *key, const char *value, nd_error *err);
void nd_checkpoint_clear(nd_checkpoint *c);

/* Frees the values of all entries but `name`, which are then gone. */
void nd_checkpoint_keep(nd_checkpoint *c, const char *name);

const nd_entry *nd_checkpoint_entry(const nd_checkpoint *c, const char *name);
const char *nd_checkpoint_string(const nd_checkpoint *c, const char *key);

/* `half`: tensors of rank 2 are stored as half precision (rounded to nearest).
 * What could not be read again is not written, and the file stays as it was:
 * ND_FORMAT, naming the tensor, when a value is not finite or would not be as a
 * half; ND_LIMIT when there is more than is read. */
nd_status nd_checkpoint_write(const nd_checkpoint *c, const char *path, bool half, nd_error *err);

/* Every name, type, shape and offset is checked: tensors must tile the data
 * without gap or overlap. Anything else is ND_FORMAT with the reason. */
nd_status nd_checkpoint_read(nd_checkpoint *c, const char *path, nd_error *err);

#endif
