/* push.h - Sequences, tokenisers and what is in them as Lua values. Each function
 * leaves one value on the stack and returns 1. */
#ifndef LND_PUSH_H
#define LND_PUSH_H

#include "lnd.h"

/* Takes the Sequence over, also when an error is raised. */
int lnd_push_sequence(lua_State *L, nd_sequence *seq);

/* A copy of the tokeniser. */
int lnd_push_tokeniser(lua_State *L, const nd_tokeniser *tok);

/* The table that settings() returns; the list of the kit's voices. */
int lnd_push_settings(lua_State *L, const nd_tokeniser *tok);
int lnd_push_voices(lua_State *L, const nd_kit *kit);

/* A list of n numbers, every `stride`-th of `values`. */
int lnd_push_numbers(lua_State *L, const float *values, size_t n, size_t stride);

#endif
