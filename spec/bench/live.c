/* live.c - how evenly examples/hosts/live.c plays: how long after a step was due
 * its hits were there, as a histogram. `make bench-live` builds and runs it:
 *   live 120 64     64 steps at 120 bpm;  live 0 1000000  one after another */
#include <lauxlib.h>
#include <lualib.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
int main(int argc, char **argv) {
  double bpm = argc > 1 ? atof(argv[1]) : 120, worst = 0, own_worst = 0;
  long steps = argc > 2 ? atol(argv[2]) : 64, bins[16] = {0};
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_dostring(L, "local nd, bass, rows = require 'neuraldrummer', {}, {}\n"
      "for t = 0, 126, 2 do\n"
      "  bass[#bass + 1] = { tick = t, duration = 2, pitch = 36 + t // 32 * 5, velocity = 90 }\n"
      "end\n"
      "local model = assert(nd.model.load(assert(nd.default_model 'drummer-live')))\n"
      "local heard = model:tokeniser():encode(nd.song.new { ppq = 4, notes = bass })\n"
      "for t = 1, #heard do rows[t] = heard:metrics(t) end\n"
      "local gen = nd.generator(model, { seed = 7 })\n"
      "gen:choose(heard)\n"
      "return function(step) return gen:step(rows[step % #rows + 1]) end"))
    return fprintf(stderr, "%s\n", lua_tostring(L, -1)), 1;
  lua_gc(L, LUA_GCSTOP);
  /* as audio threads are: before all others, and never waiting for memory */
  if (bpm > 0 && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 50}))
    puts("(without real-time priority: other programs come in between)");
  (void)mlockall(MCL_CURRENT | MCL_FUTURE);
  double start = now(CLOCK_MONOTONIC) + 0.01;
  for (long step = 0; step < steps; step++) {
    double due = bpm > 0 ? start + (double)step * 15 / bpm : now(CLOCK_MONOTONIC);
    struct timespec at = {(time_t)due, (long)(1e9 * (due - (double)(time_t)due))};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    double own = now(CLOCK_THREAD_CPUTIME_ID);
    lua_pushvalue(L, -1);
    lua_pushinteger(L, step);
    if (lua_pcall(L, 1, 1, 0)) return fprintf(stderr, "%s\n", lua_tostring(L, -1)), 1;
    double late = now(CLOCK_MONOTONIC) - due;
    own = now(CLOCK_THREAD_CPUTIME_ID) - own;
    int bin = 0;
    while (bin < 15 && late > 8e-6 * (double)(1 << bin)) bin++;
    bins[bin]++;
    if (late > worst) worst = late;
    if (own > own_worst) own_worst = own;
    lua_pop(L, 1);              /* the hits, by voice: here a host would sound them */
    lua_gc(L, LUA_GCSTEP, 0);   /* garbage is collected when nothing is due */
  }
  for (int bin = 0; bin < 16; bin++)
    if (bins[bin] > 0)
      printf("up to %6d us %9ld  %.*s\n", 8 << bin, bins[bin], (int)(50 * bins[bin] / steps) + 1,
             "###################################################");
  printf("worst: %.0f us; of the processor's time: %.0f us\n", worst * 1e6, own_worst * 1e6);
  lua_close(L);
  return 0;
}
