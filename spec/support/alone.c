/* Preloaded behind a sanitizer's runtime: what the process starts is not to
 * have that runtime as well, or shells and compilers would be searched too. */
#include <stdlib.h>

__attribute__((constructor)) static void alone(void) {
  const char *others = getenv("OTHERS_PRELOAD");
  if (others != NULL && *others != '\0') (void)setenv("LD_PRELOAD", others, 1);
  else (void)unsetenv("LD_PRELOAD");
}
