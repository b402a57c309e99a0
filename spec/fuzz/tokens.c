/* Token text and the text of kits: `make fuzz TARGET=tokens`. A first line that
 * is a kit is taken for the tokeniser's; the rest is token text. */
#include "fuzz.h"

#include "music/tokens.h"

static void check_kit(const nd_kit *kit) {
  char text[ND_KIT_TEXT];
  nd_kit again;
  nd_error err;
  must(kit->n_voices >= 1 && kit->n_voices <= ND_MAX_VOICES);
  for (int32_t v = 0; v < kit->n_voices; v++) {
    must(kit->voice_of[kit->pitch_of[v]] == v);
    must(nd_kit_find(kit, kit->voice_names[v]) == v);
  }
  must(nd_kit_format(kit, text, sizeof text, &err) == ND_OK);
  must(nd_kit_parse(&again, text, &err) == ND_OK && nd_kit_equal(kit, &again));
}

static void check(const nd_sequence *seq, const nd_tokeniser *tok) {
  char *line, *once_more;
  size_t len, len_again;
  nd_sequence *again;
  must(nd_tokens_write(seq, &line, &len, NULL) == ND_OK);
  must(nd_tokens_read(&again, tok, line, len, NULL) == ND_OK);
  must(nd_sequence_steps(again) == nd_sequence_steps(seq));
  must(nd_tokens_write(again, &once_more, &len_again, NULL) == ND_OK);
  must(len == len_again && memcmp(line, once_more, len) == 0);
  nd_song *song = nd_song_new(seq->grid.ppq);
  must(song != NULL && nd_sequence_notes(seq, song, ND_DRUM_CHANNEL, 1, NULL) == ND_OK);
  must(nd_song_finish(song, NULL) == ND_OK);
  nd_song_free(song);
  nd_sequence_free(again);
  free(line);
  free(once_more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nd_tokeniser tok;
  nd_error err;
  const char *presets[] = {"drummer", "neuraldrummer2023"};
  must(nd_tokeniser_preset(&tok, presets[size % 2], &err) == ND_OK);
  tok.max_steps = 1000;
  char *text = fuzz_text(data, size), *line = text;
  char *end = memchr(text, '\n', size);
  if (end != NULL) {
    *end = '\0';
    if (fuzz_ok(nd_kit_parse(&tok.kit, text, &err), &err)) {
      check_kit(&tok.kit);
      line = end + 1;
    }
    *end = '\n';
  }
  nd_sequence *seq;
  size_t len = size - (size_t)(line - text);
  int32_t steps = 0;
  bool good = fuzz_ok(nd_tokens_check(&tok, line, len, &steps, &err), &err);
  must(fuzz_ok(nd_tokens_read(&seq, &tok, line, len, &err), &err) == good);
  if (good) {
    must(steps >= 1 && steps <= tok.max_steps && nd_sequence_steps(seq) == steps);
    check(seq, &tok);
    nd_sequence_free(seq);
  }
  free(text);
  return 0;
}
