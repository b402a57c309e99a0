/* tokens.c - token text. Reading makes two passes over a line: the first checks it
 * and counts, so that the second cannot fail and memory is allocated once. */
#include "tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"

/* Decimals are put together from integers, because printf and strtod follow the
 * host's locale, which may have a decimal comma.
 *
 * One decimal, rounded half to even like Python's round; small negative values
 * are "-0.0", as the 2023 system writes them. */
static void put_intensity(nd_buffer *t, float x) {
  double tenths = nearbyint(fmin(fabs((double)x), 65504) * 10);
  if (!(tenths >= 0)) tenths = 0;
  nd_buffer_print(t, "%s%u.%u", signbit(x) ? "i-" : "i", (unsigned)tenths / 10,
                  (unsigned)tenths % 10);
}

/* The last step has no successor and repeats its own intensity. */
nd_status nd_tokens_write(const nd_sequence *seq, char **line, size_t *len, nd_error *err) {
  nd_buffer t = {0};
  int32_t n_steps = seq->grid.n_steps;
  for (int32_t step = 0; step < n_steps; step++) {
    for (int32_t i = seq->first[step]; i < seq->first[step + 1]; i++)
      nd_buffer_print(&t, "%d,", seq->strikes[i].pitch);
    int32_t next = step + 1 < n_steps ? step + 1 : step;
    put_intensity(&t, seq->metrics[(size_t)next * ND_N_METRICS + ND_M_INTENSITY]);
    nd_buffer_print(&t, step + 1 < n_steps ? ",-1," : ",-1");
  }
  nd_buffer_put(&t, "", 1);  /* the terminating zero */
  if (t.failed) {
    free(t.bytes);
    return nd_nomem(err);
  }
  *line = (char *)t.bytes;
  *len = t.n - 1;
  return ND_OK;
}

/* Parses the token at *at and moves *at past it and its comma. Returns its kind:
 * 'p', a pitch; 'i', an intensity; '-', the end of a step; 0: malformed. Digits
 * are limited, so that no number overflows. */
static char next_token(const char *line, size_t len, size_t *at, int *pitch, double *intensity) {
  size_t i = *at, start;
  char kind = 'p';
  while (i < len && line[i] == ' ') i++;
  if (i < len && line[i] == 'i') {
    kind = 'i';
    i++;
  }
  /* A minus belongs to -1, the end of a step, or to a negative intensity. */
  bool minus = i < len && line[i] == '-';
  if (minus) i++;
  double value = 0, unit = 1;
  if (kind == 'i' && len - i >= 3 && memcmp(line + i, "nan", 3) == 0) {
    i += 3;  /* the 2023 system divides by a deviation of 0 in a song of even intensity */
  } else {
    /* at most six digits: enough for 65504, the largest intensity */
    for (start = i; i < len && line[i] >= '0' && line[i] <= '9' && i - start < 6; i++)
      value = value * 10 + (line[i] - '0');
    if (i == start) return 0;
    if (kind == 'i' && i < len && line[i] == '.') {
      for (start = ++i; i < len && line[i] >= '0' && line[i] <= '9' && i - start < 20; i++)
        value += (line[i] - '0') * (unit /= 10);
      if (i == start) return 0;
    }
  }
  if (kind == 'p') {
    if (minus && value != 1) return 0;
    if (!minus && value > 127) return 0;
    *pitch = (int)value;
    if (minus) kind = '-';
  } else {
    if (value > 65504) return 0;
    *intensity = minus ? -value : value;
  }
  while (i < len && line[i] == ' ') i++;
  if (i < len && line[i++] != ',') return 0;
  *at = i;
  return kind;
}

/* The length without line ends and spaces at the end. */
static size_t trim(const char *line, size_t len) {
  while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' ')) len--;
  return len;
}

/* Counts steps and strikes, or reports the column of the first malformed token. */
static nd_status count_tokens(const char *line, size_t len, int32_t max_steps, int32_t *n_steps,
                        size_t *n_strikes, nd_error *err) {
  int32_t steps = 0;
  size_t strikes = 0;
  bool open = false, has_intensity = false;
  for (size_t at = 0; at < len;) {
    size_t column = at + 1;
    int pitch;
    double intensity;
    char kind = next_token(line, len, &at, &pitch, &intensity);
    bool repeated = kind == 'i' && has_intensity;
    if (kind == 0 || repeated)
      return nd_fail(err, ND_FORMAT, "column %zu: %s", column,
                     repeated ? "a second intensity in one step"
                              : "expected a pitch 0..127, an intensity (i0.5) or -1");
    strikes += kind == 'p';
    has_intensity = kind == 'i' || (has_intensity && kind != '-');
    open = kind != '-';
    if (steps == max_steps)
      return nd_fail(err, ND_LIMIT, "the line has more than %d steps (max_steps)", max_steps);
    steps += kind == '-';
  }
  if (open) steps++;  /* the final -1 may be missing */
  if (steps == 0) return nd_fail(err, ND_FORMAT, "the line has no steps");
  *n_steps = steps;
  *n_strikes = strikes;
  return ND_OK;
}

nd_status nd_tokens_check(const nd_tokeniser *tok, const char *line, size_t len,
                          int32_t *n_steps, nd_error *err) {
  size_t n_strikes;
  return count_tokens(line, trim(line, len), tok->max_steps, n_steps, &n_strikes, err);
}

/* The grid is even and in 4/4; positions follow from it, energy is set back to 0. */
nd_status nd_tokens_read(nd_sequence **out, const nd_tokeniser *tok, const char *line,
                         size_t len, nd_error *err) {
  len = trim(line, len);
  int32_t n_steps = 0;
  size_t n_strikes = 0;
  nd_status status = count_tokens(line, len, tok->max_steps, &n_steps, &n_strikes, err);
  if (status != ND_OK) return status;
  enum { PPQ = 320 };  /* of files that the 2023 system writes */
  nd_grid grid;
  nd_sequence *seq;
  double *intensity = nd_calloc((size_t)n_steps + 1, sizeof *intensity);
  if (intensity == NULL) return nd_nomem(err);
  status = nd_grid_even(&grid, n_steps, tok->steps_per_beat, PPQ, err);
  if (status == ND_OK) status = nd_sequence_new(&seq, tok, &grid, n_strikes, err);
  if (status != ND_OK) {
    free(intensity);
    return status;
  }
  /* The intensity of a line's step t belongs to step t + 1. */
  int32_t step = 0, n = 0;
  for (size_t at = 0; at < len;) {
    int pitch = 0;
    char kind = next_token(line, len, &at, &pitch, &intensity[step + 1]);
    if (kind == 'p') seq->strikes[n++] = (nd_strike){(uint8_t)pitch, 127, 0};
    else if (kind == '-') seq->first[++step] = n;
  }
  if (step < n_steps) seq->first[n_steps] = n;
  intensity[0] = intensity[1];
  nd_metrics_position(seq->metrics, &seq->grid);
  nd_metrics_set_intensity(seq->metrics, &seq->grid, intensity);
  free(intensity);
  /* Energy follows from intensity, but the text stands for intensity alone. */
  for (int32_t t = 0; t < n_steps; t++)
    seq->metrics[(size_t)t * ND_N_METRICS + ND_M_ENERGY] = 0;
  nd_sequence_derive_hits(seq);
  *out = seq;
  return ND_OK;
}
