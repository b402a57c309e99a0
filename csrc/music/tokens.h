/* tokens.h - token text, the original system's saved.txt: one song a line,
 * per step its drum pitches and one "i" intensity, steps ended by -1:
 * "42,36,i0.0,-1,42,i0.6,-1,…". The intensity on step t is that of step
 * t + 1 (stored one step early). */
#ifndef ND_MUSIC_TOKENS_H
#define ND_MUSIC_TOKENS_H

#include "sequence.h"

/* A malloc'd line without its newline; the caller frees it. */
nd_status nd_tokens_write(const nd_sequence *seq, char **line, size_t *len, nd_error *err);

/* Checks a line as nd_tokens_read does and counts its steps. */
nd_status nd_tokens_check(const nd_tokeniser *tok, const char *line, size_t len,
                          int32_t *n_steps, nd_error *err);

/* Tolerates spaces and a missing last "-1"; anything else malformed is
 * ND_FORMAT with the column. Velocities become 127; bars are 4/4. A step
 * without an intensity has 0, as in the original's network. */
nd_status nd_tokens_read(nd_sequence **out, const nd_tokeniser *tok, const char *line,
                         size_t len, nd_error *err);

#endif
