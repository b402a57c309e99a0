/* Included before each file of csrc (but nd.c) by clang-tidy and -fanalyzer.
 * They look into one file at a time, and would have to guess that nd_fail
 * returns the status it was given, and luaL_error never. */
#define _XOPEN_SOURCE 700  /* before the first header: what the files ask for */
#include "base/nd.h"

#define nd_fail(err, status, ...) ((void)nd_fail((err), (status), __VA_ARGS__), (status))
#define luaL_error(...) (luaL_error(__VA_ARGS__), __builtin_unreachable(), 0)
