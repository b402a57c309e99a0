/* ingest.h - preprocessing: reads MIDI files on several threads and makes each
 * a song of a corpus or a line of token text. The result and its order depend
 * on the files and options alone, not on the threads.
 */
#ifndef ND_LEARN_INGEST_H
#define ND_LEARN_INGEST_H

#include "../midi/smf.h"
#include "../music/corpus.h"

/* What a kit map holds for a pitch that is no General MIDI drum: the map says
 * that it is no drum, or does not know it. */
enum { ND_NO_DRUM = -1, ND_UNKNOWN_DRUM = -2 };

typedef struct nd_ingest {
  const nd_tokeniser *tok;
  nd_midi_limits limits;     /* of each file */
  nd_corpus_writer *into;    /* of the same tokeniser; NULL: make token text */
  const int16_t *kit_map;    /* (128) General MIDI pitches; NULL: they are already */
  int32_t min_steps;         /* only songs with more steps are accepted */
  int32_t valid_every;       /* one song in this many is for validation; 0: none */
  int32_t threads;           /* 1..ND_MAX_PARTS */
} nd_ingest;

enum { ND_BY_CONTENT = -1 };

/* One file. The caller sets the first part, nd_ingest_run the rest. */
typedef struct nd_ingest_file {
  const char *path, *name;   /* the caller's; the corpus stores the name */
  int split;                 /* nd_split; ND_BY_CONTENT is replaced by a choice
                              * that a hash of the file's bytes makes */
  bool accepted;
  bool unreadable;           /* an I/O error, not a fault of the song */
  nd_error why;              /* why it was not accepted */
  int32_t steps;
  uint32_t hits[ND_MAX_VOICES];  /* by voice */
  uint32_t unknown[128];     /* drum notes on pitches of no voice, by pitch */
  char *line;                /* (n_line) token text and a zero; caller frees it */
  size_t n_line;
} nd_ingest_file;

/* Reads `n` files and writes the accepted songs in their order. Each file's
 * errors are in its `why`; only ND_NOMEM, ND_MISUSE and errors of the corpus
 * writer end the run and are returned. */
nd_status nd_ingest_run(const nd_ingest *in, nd_ingest_file *files, size_t n, nd_error *err);

#endif
