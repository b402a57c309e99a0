#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What printf and strtod have for a point now. Not from localeconv, whose answer
 * another thread may change. */
typedef struct point { char text[ND_NUMBER]; size_t n; } point;

static point point_now(void) {
  point p;
  const int n = snprintf(p.text, sizeof p.text, "%.1f", 0.5);   /* 0 and 5, the point between */
  p.n = n > 2 && n < (int)sizeof p.text ? (size_t)n - 2 : 0;
  memmove(p.text, p.text + 1, p.n);
  p.text[p.n] = '\0';
  return p;
}

void nd_number_write(char to[ND_NUMBER], float x) {
  const point p = point_now();
  (void)snprintf(to, ND_NUMBER, "%.9g", (double)x);
  char *at = p.n > 0 ? strstr(to, p.text) : NULL;
  if (at == NULL) return;
  memmove(at + 1, at + p.n, strlen(at + p.n) + 1);
  *at = '.';
}

bool nd_number_read(const char *text, double *x) {
  static const char known[] = "+-.0123456789abcdefinpxABCDEFINPX";
  const point p = point_now();
  const size_t length = strlen(text);
  char copy[2 * ND_NUMBER], *end;
  if (length == 0 || length >= ND_NUMBER || text[strspn(text, known)] != '\0') return false;
  const char *dot = strchr(text, '.');
  (void)snprintf(copy, sizeof copy, "%.*s%s%s", (int)(dot != NULL ? (size_t)(dot - text) : length),
                 text, dot != NULL ? p.text : "", dot != NULL ? dot + 1 : "");
  *x = strtod(copy, &end);
  return *end == '\0';
}
