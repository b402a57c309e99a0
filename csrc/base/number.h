/* number.h - numbers as text, with a decimal point whatever the locale: a host may
 * have set one in which printf and strtod want a comma. */
#ifndef ND_NUMBER_H
#define ND_NUMBER_H

#include <stdbool.h>

enum { ND_NUMBER = 32 };  /* characters that a number takes, with the zero behind it */

/* Digits enough to get the same float back. */
void nd_number_write(char to[ND_NUMBER], float x);

/* The whole text as a number; false when it is none. */
bool nd_number_read(const char *text, double *x);

#endif
