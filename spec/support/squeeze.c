/* A host with a script in one thread, and another thread that takes all the
 * memory that there is, and gives it back, over and over:
 *
 *   squeeze SCRIPT PATH
 *
 * The script gives a function, which is called so many times with 24 MiB more
 * than the process has.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static atomic_bool over;

static void *hog(void *unused) {
  enum { BLOCKS = 4096 };
  static void *blocks[BLOCKS];
  (void)unused;
  while (!atomic_load(&over)) {
    int n = 0;
    for (size_t size = 1 << 20; size >= 64 && n < BLOCKS; size /= 4)
      while (n < BLOCKS && (blocks[n] = malloc(size)) != NULL) n++;
    (void)usleep(500);
    while (n > 0) free(blocks[--n]);
    (void)usleep(500);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  /* what is freed is given back, for the other thread to take */
  if (mallopt(M_MMAP_THRESHOLD, 1 << 16) != 1 || mallopt(M_TRIM_THRESHOLD, 1 << 16) != 1) return 3;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushstring(L, argv[2]);
  lua_setglobal(L, "path");
  if (luaL_dofile(L, argv[1]) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld", &pages) != 1) return 3;
  fclose(file);
  const rlim_t most = (rlim_t)(pages * 4096 + (24 << 20));
  if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) != 0) return 3;
  pthread_t thread;
  if (pthread_create(&thread, NULL, hog, NULL) != 0) return 3;
  int refused = 0, read = 0;
  for (int i = 0; i < 300; i++) {
    lua_pushvalue(L, -1);
    if (lua_pcall(L, 0, 0, 0) == LUA_OK) read++;
    else refused++, lua_pop(L, 1);
  }
  atomic_store(&over, 1);
  (void)pthread_join(thread, NULL);
  lua_close(L);
  printf("%d refused, %d read\n", refused, read);
  return 0;
}
