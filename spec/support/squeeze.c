/* A host with a script in one thread, and another thread that takes all the
 * memory that there is, and gives it back:
 *
 *   squeeze SCRIPT PATH
 *
 * The script gives a function, which is called with 24 MiB more than the process
 * has: while the other thread takes them and gives them back over and over, while
 * it holds them all, and while it rests. How many calls were refused of each.
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

enum { RESTS, TAKES_AND_GIVES, HOLDS, ENDS };

/* what the other thread shall do; what it has come to do */
static atomic_int wanted = RESTS, done = RESTS;

static void *hog(void *unused) {
  enum { BLOCKS = 4096 };
  static void *blocks[BLOCKS];
  int n = 0;
  (void)unused;
  for (int now; (now = atomic_load(&wanted)) != ENDS;) {
    if (now != RESTS)
      for (size_t size = 1 << 20; size >= 64 && n < BLOCKS; size /= 4)
        while (n < BLOCKS && (blocks[n] = malloc(size)) != NULL) n++;
    if (now == HOLDS) atomic_store(&done, HOLDS);
    (void)usleep(500);
    if (now == HOLDS) continue;
    while (n > 0) free(blocks[--n]);
    atomic_store(&done, now);
    (void)usleep(500);
  }
  while (n > 0) free(blocks[--n]);
  return NULL;
}

/* How many of so many calls are refused while the other thread does `what`. */
static int refused(lua_State *L, int what, int calls) {
  int n = 0;
  atomic_store(&wanted, what);
  while (atomic_load(&done) != what) (void)usleep(100);
  for (int i = 0; i < calls; i++) {
    lua_pushvalue(L, -1);
    if (lua_pcall(L, 0, 0, 0) == LUA_OK) continue;
    n++;
    lua_pop(L, 1);
  }
  return n;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  /* what is freed is for the other thread to take: given back, or in one heap */
  if (mallopt(M_MMAP_THRESHOLD, 1 << 16) != 1 || mallopt(M_TRIM_THRESHOLD, 1 << 16) != 1 ||
      mallopt(M_ARENA_MAX, 1) != 1)
    return 3;
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
  enum { ROUNDS = 30, RACES = 10 };
  int raced = 0, held = 0, rested = 0;
  for (int i = 0; i < ROUNDS; i++) {
    raced += refused(L, TAKES_AND_GIVES, RACES);
    held += refused(L, HOLDS, 1);
    rested += refused(L, RESTS, 1);
  }
  atomic_store(&wanted, ENDS);
  (void)pthread_join(thread, NULL);
  lua_close(L);
  printf("%d of %d, %d of %d, %d of %d\n", raced, ROUNDS * RACES, held, ROUNDS, rested, ROUNDS);
  return 0;
}
