/* Gives a harness the files named, one after another, without libFuzzer:
 *
 *     build/fuzz/replay-smf FILE…
 *
 * Says which file it is at when it stops there, else how many there were. */
#include "fuzz.h"

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || ftell(file) < 0) return perror(argv[i]), 2;
    size_t size = (size_t)ftell(file);
    uint8_t *bytes = malloc(size > 0 ? size : 1);  /* not one more: a sanitizer sees the end */
    rewind(file);
    if (bytes == NULL || fread(bytes, 1, size, file) != size) return perror(argv[i]), 2;
    (void)fclose(file);
    (void)fprintf(stderr, "%s\n", argv[i]);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
  }
  (void)printf("%d files\n", argc - 1);
  return 0;
}
