/* number.c - floats as text, with printf and strtod, which depend on the locale: the
 * decimal point is exchanged before or after. setlocale would change the locale of the
 * host, in all its threads. */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The decimal point that printf and strtod use now. Found by printing a number,
 * because localeconv's answer may change under us when another thread calls it. */
typedef struct point { char text[ND_NUMBER]; size_t n; } point;

static point find_point(void) {
  point p;
  const int n = snprintf(p.text, sizeof p.text, "%.1f", 0.5);  /* "0", the point, "5" */
  p.n = n > 2 && n < (int)sizeof p.text ? (size_t)n - 2 : 0;
  memmove(p.text, p.text + 1, p.n);
  p.text[p.n] = '\0';
  return p;
}

/* Prints in the host's locale, then replaces its decimal point. */
void nd_number_write(char to[ND_NUMBER], float x) {
  const point p = find_point();
  (void)snprintf(to, ND_NUMBER, "%.9g", (double)x);
  char *at = p.n > 0 ? strstr(to, p.text) : NULL;
  if (at == NULL) return;
  /* the locale's point may have several bytes */
  memmove(at + 1, at + p.n, strlen(at + p.n) + 1);
  *at = '.';
}

/* Replaces the point by the locale's, then lets strtod parse the copy. Length and
 * characters are checked before: strtod would skip blanks and accept the locale's
 * own point. */
bool nd_number_read(const char *text, double *x) {
  /* decimal, hexadecimal, inf and nan; no blanks and no locale's point */
  static const char allowed[] = "+-.0123456789abcdefinpxABCDEFINPX";
  const point p = find_point();
  const size_t length = strlen(text);
  char copy[2 * ND_NUMBER], *end;
  if (length == 0 || length >= ND_NUMBER || text[strspn(text, allowed)] != '\0') return false;
  const char *dot = strchr(text, '.');
  (void)snprintf(copy, sizeof copy, "%.*s%s%s", (int)(dot != NULL ? (size_t)(dot - text) : length),
                 text, dot != NULL ? p.text : "", dot != NULL ? dot + 1 : "");
  *x = strtod(copy, &end);
  return *end == '\0';
}
