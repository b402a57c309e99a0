/* A host with several Lua states, for specs: all of a script's work in each of
 * them, one after another, at once in threads, and with an allocator that
 * gives so many bytes and no more.
 *
 *   states SCRIPT.lua turns N         N states, their calls in turn
 *   states SCRIPT.lua threads N       N states, each in a thread of its own
 *   states SCRIPT.lua passed N        one state, used by N threads, one by one
 *   states SCRIPT.lua starved STEP    a state with room for so many bytes, and
 *                                     so many more, until the script is content
 *
 * SCRIPT returns a function, which is called again and again until it returns
 * true, and gives a string at the end. The strings must be the same in all.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *script;

typedef struct host {
  lua_State *L;
  pthread_t thread;
  char *result, *error;
} host;

static void open_script(host *h) {
  h->L = luaL_newstate();
  luaL_openlibs(h->L);
  if (luaL_loadfile(h->L, script) != LUA_OK || lua_pcall(h->L, 0, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(h->L, -1));
    exit(1);
  }
}

/* One call; whether the script is done. */
static int turn(host *h) {
  lua_pushvalue(h->L, 1);
  if (lua_pcall(h->L, 0, 2, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(h->L, -1));
    exit(1);
  }
  const int done = lua_toboolean(h->L, -2);
  if (done) h->result = strdup(luaL_checkstring(h->L, -1));
  lua_settop(h->L, 1);
  return done;
}

static void *whole(void *arg) {
  host *h = arg;
  open_script(h);
  while (!turn(h)) {}
  lua_close(h->L);
  return NULL;
}

static void *one_turn(void *arg) { return turn(arg) ? arg : NULL; }

/* An allocator with a limit. */
typedef struct purse { size_t left; long refused; } purse;

static void *spend(void *ud, void *p, size_t old, size_t n) {
  purse *purse = ud;
  const size_t had = p != NULL ? old : 0;
  if (n > had && n - had > purse->left) {
    purse->refused++;
    return NULL;
  }
  purse->left += had;
  purse->left -= n;
  if (n == 0) {
    free(p);
    return NULL;
  }
  return realloc(p, n);
}

static int protected_work(lua_State *L) {
  luaL_openlibs(L);
  if (luaL_loadfile(L, script) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  for (;;) {
    lua_pushvalue(L, -1);
    lua_call(L, 0, 2);
    if (lua_toboolean(L, -2)) return 0;
    lua_pop(L, 2);
  }
}

static int starved(size_t step) {
  long refused = 0;
  int states = 0;
  for (size_t room = 1 << 14;; room += step) {
    const size_t all = room;
    purse purse = {.left = room};
    lua_State *L = lua_newstate(spend, &purse);
    int ok = 0;
    states++;
    if (L != NULL) {
      lua_pushcfunction(L, protected_work);
      ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
      if (!ok && strstr(lua_tostring(L, -1), "memory") == NULL) {
        fprintf(stderr, "with %zu bytes: %s\n", room, lua_tostring(L, -1));
        return 1;
      }
      lua_close(L);
    }
    if (purse.left != all) {
      fprintf(stderr, "with %zu bytes: %zu not given back\n", room, all - purse.left);
      return 1;
    }
    refused += purse.refused;
    if (ok) break;
  }
  printf("%d states, %ld allocations refused\n", states, refused);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  script = argv[1];
  const int n = atoi(argv[3]);
  if (strcmp(argv[2], "starved") == 0) return starved((size_t)n);
  host *hosts = calloc((size_t)n, sizeof *hosts);
  if (strcmp(argv[2], "threads") == 0) {
    for (int i = 0; i < n; i++)
      if (pthread_create(&hosts[i].thread, NULL, whole, &hosts[i]) != 0) return 1;
    for (int i = 0; i < n; i++) (void)pthread_join(hosts[i].thread, NULL);
  } else if (strcmp(argv[2], "turns") == 0) {
    for (int i = 0; i < n; i++) open_script(&hosts[i]);
    for (int going = 1; going;) {
      going = 0;
      for (int i = 0; i < n; i++)
        if (hosts[i].result == NULL) going |= !turn(&hosts[i]);
    }
    for (int i = 0; i < n; i += 2) lua_close(hosts[i].L);  /* not in their order */
    for (int i = 1; i < n; i += 2) lua_close(hosts[i].L);
  } else {
    open_script(&hosts[0]);
    for (void *done = NULL; done == NULL;) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, one_turn, &hosts[0]) != 0) return 1;
      (void)pthread_join(thread, &done);
    }
    lua_close(hosts[0].L);
    for (int i = 1; i < n; i++) hosts[i].result = strdup(hosts[0].result);
  }
  for (int i = 0; i < n; i++) {
    if (hosts[i].result == NULL || strcmp(hosts[i].result, hosts[0].result) != 0) {
      fprintf(stderr, "state %d: another result\n", i + 1);
      return 1;
    }
  }
  printf("%d states, the same: %s\n", n, hosts[0].result);
  for (int i = 0; i < n; i++) free(hosts[i].result);
  free(hosts);
  return 0;
}
