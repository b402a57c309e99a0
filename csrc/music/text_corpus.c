/* text_corpus.c - token text behind the interface of a corpus. The text stays in
 * memory and its lines are the songs; nd_corpus_read tokenises a line when it is
 * asked for. tokens.h describes a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/file.h"
#include "corpus_format.h"
#include "tokens.h"

/* Whether a line holds no song: spaces, or the carriage return of a Windows file. */
static bool is_blank(const uint8_t *line, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (line[i] != ' ' && line[i] != '\r') return false;
  return true;
}

/* Names each song "line N". Blank lines count, so that an editor finds it. */
static nd_status name_songs(nd_corpus *c, nd_error *err) {
  enum { NAME_SIZE = 32 };
  size_t line = 1;
  c->names = nd_calloc((size_t)c->n_songs, NAME_SIZE);
  if (c->names == NULL) return nd_nomem(err);
  for (int32_t i = 0; i < c->n_songs; i++) {
    nd_song_entry *song = &c->songs[i];
    uint64_t from = i > 0 ? c->songs[i - 1].offset : 0;
    for (uint64_t k = from; k < song->offset; k++) line += c->text[k] == '\n';
    song->name = (char *)c->names + (size_t)i * NAME_SIZE;
    (void)snprintf(song->name, NAME_SIZE, "line %zu", line);
  }
  return ND_OK;
}

/* Checks every line now: a malformed text is refused when it is opened, not in the
 * middle of a training. */
nd_status nd_text_corpus_read(nd_corpus *c, const char *path, nd_error *err) {
  size_t n = 0, capacity = 0, line = 0;
  /* A text is large: an hour of music has a megabyte. Offsets must fit a size_t. */
  const size_t limit = SIZE_MAX > UINT32_MAX ? (size_t)16 * ND_MAX_FILE_BYTES : ND_MAX_FILE_BYTES;
  nd_status status = nd_file_read(path, limit, &c->text, &n, err);
  for (size_t at = 0, next; status == ND_OK && at < n; at = next) {
    const uint8_t *end = memchr(c->text + at, '\n', n - at);
    size_t stop = end != NULL ? (size_t)(end - c->text) : n;
    const char *text = (const char *)c->text + at;
    next = stop + 1;
    line++;
    if (is_blank(c->text + at, stop - at)) continue;
    nd_error why;
    nd_song_entry song = {.offset = at, .size = stop - at, .split = ND_TRAIN};
    status = nd_tokens_check(&c->tok, text, stop - at, &song.steps, &why);
    if (status != ND_OK) return nd_fail(err, status, "line %zu: %s", line, why.text);
    if (c->n_songs == INT32_MAX) return nd_fail(err, ND_LIMIT, "more than %d songs", INT32_MAX);
    if (!ND_GROW(c->songs, (size_t)c->n_songs + 1, capacity)) return nd_nomem(err);
    c->songs[c->n_songs++] = song;
  }
  if (status != ND_OK) return status;
  if (c->n_songs == 0)
    return nd_fail(err, ND_FORMAT, "neither a corpus nor token text: the file has no songs");
  return name_songs(c, err);
}
