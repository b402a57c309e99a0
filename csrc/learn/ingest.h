/* ingest.h - MIDI files to packed songs, or to lines of token text, on several
 * threads: what preprocessing does with each file. What comes out, and its
 * order, depend on the files alone and not on the threads.
 */
#ifndef ND_LEARN_INGEST_H
#define ND_LEARN_INGEST_H

#include "../midi/smf.h"
#include "../music/corpus.h"

/* What a kit map says of a pitch beside a pitch of General MIDI. */
enum { ND_NO_DRUM = -1, ND_UNKNOWN_DRUM = -2 };

typedef struct nd_ingest {
  const nd_tokeniser *tok;
  nd_midi_limits limits;     /* of the files */
  nd_corpus_writer *into;    /* of these settings; NULL: token text is made */
  const int16_t *reads;      /* (128) of a kit map; NULL: the pitches are General MIDI's */
  int32_t min_steps;         /* songs of so many steps or fewer are not kept */
  int32_t valid_every;       /* one song in so many is for validation, by content; 0: none */
  int32_t threads;           /* at most ND_MAX_PARTS */
} nd_ingest;

enum { ND_BY_CONTENT = -1 };

typedef struct nd_ingest_file {
  const char *path, *name;   /* the caller's; the name goes into the corpus */
  int split;                 /* an nd_split, or ND_BY_CONTENT, which is then decided */
  /* what comes of it */
  bool kept, unread;         /* unread: `why` is about the file, not about what is in it */
  nd_error why;              /* it isn't kept */
  int32_t steps;
  uint32_t hits[ND_MAX_VOICES], unknown[128];  /* drum notes by pitch that are no voice's */
  char *line;                /* token text, ended by a zero; to be freed */
  size_t n_line;
} nd_ingest_file;

/* Reads `n` files and writes the songs that are kept in their order. What is
 * wrong with a file is said there; ND_NOMEM, or what is wrong with the corpus,
 * ends it all. */
nd_status nd_ingest_run(const nd_ingest *in, nd_ingest_file *files, size_t n, nd_error *err);

#endif
