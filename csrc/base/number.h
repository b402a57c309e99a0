/* number.h - numbers as text with a decimal point, whatever the locale: a host may
 * have set one in which printf and strtod use a comma.
 */
#ifndef ND_NUMBER_H
#define ND_NUMBER_H

#include <stdbool.h>

enum { ND_NUMBER = 32 };  /* characters of a number's text, with the final zero */

/* Writes x with 9 significant digits, enough to read the same float back. */
void nd_number_write(char to[ND_NUMBER], float x);

/* Parses the whole of `text`, as strtod in the C locale does. false, with *x
 * undefined: it is no number, or longer than ND_NUMBER - 1. */
bool nd_number_read(const char *text, double *x);

#endif
