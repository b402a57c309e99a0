/* tokens.h - token text, the format of the 2023 system's saved.txt: one song a
 * line; for each step the pitches of its drums and one intensity "i", ended by
 * -1: "42,36,i0.0,-1,42,i0.6,-1,...". The intensity written at step t is that of
 * step t + 1. */
#ifndef ND_MUSIC_TOKENS_H
#define ND_MUSIC_TOKENS_H

#include "sequence.h"

/* *line gets a malloc'd line of *len bytes, without a newline and ended by a
 * zero; the caller frees it. Fails with ND_NOMEM only. */
nd_status nd_tokens_write(const nd_sequence *seq, char **line, size_t *len, nd_error *err);

/* Makes the checks of nd_tokens_read and counts the steps. */
nd_status nd_tokens_check(const nd_tokeniser *tok, const char *line, size_t len,
                          int32_t *n_steps, nd_error *err);

/* Reads a line. Spaces and a missing final "-1" are tolerated; any other
 * malformed token is ND_FORMAT with its column. Velocities are 127 and all bars
 * 4/4, because the text has neither. A step without an intensity has 0, which is
 * what the 2023 network sees. */
nd_status nd_tokens_read(nd_sequence **out, const nd_tokeniser *tok, const char *line,
                         size_t len, nd_error *err);

#endif
