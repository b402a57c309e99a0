/* live.c - plays along: gen:step for every sixteenth as it is due, its hits as MIDI on stdout.
 * cc live.c -o live $(pkg-config --cflags --libs lua5.4) -Wl,-E; ./live 120 >/dev/snd/midiC1D0 */
#include <lauxlib.h>
#include <lualib.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static const char drummer[] =
    "local nd, bass = require 'neuraldrummer', {}\n" /* what is played along to */
    "for t = 0, 126, 2 do\n"
    "  bass[#bass + 1] = { tick = t, duration = 2, pitch = 36 + t // 32 * 5, velocity = 90 }\nend\n"
    "local model = assert(nd.model.load(assert(nd.default_model 'drummer-live')))\n"
    "local heard = model:tokeniser():encode(nd.song.new { ppq = 4, notes = bass })\n"
    "local gen = nd.generator(model, { seed = 7 })\ngen:choose(heard)\n" /* a style */
    "local pitch = { kick = 36, snare = 38, closed_hat = 42, open_hat = 46, low_tom = 45,\n"
    "  mid_tom = 47, high_tom = 50, crash = 49, ride = 51 }\n"
    "return function(step)\n"
    "  for voice, velocity in pairs(gen:step(heard:metrics(step % #heard + 1))) do\n"
    "    io.write(string.char(0x99, pitch[voice], math.ceil(127 * velocity)))\n"
    "  end\nend\n";
int main(int argc, char **argv) {
  double bpm = argc > 1 ? atof(argv[1]) : 120;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_dostring(L, drummer)) return fputs(lua_tostring(L, -1), stderr), 1;
  mlockall(MCL_CURRENT | MCL_FUTURE); /* as audio threads are, where that is allowed */
  sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 50});
  struct timespec due;
  clock_gettime(CLOCK_MONOTONIC, &due);
  for (long step = 0, steps = argc > 2 ? atol(argv[2]) : 64; step < steps; step++) {
    lua_pushvalue(L, -1), lua_pushinteger(L, step);
    if (lua_pcall(L, 1, 0, 0)) return fputs(lua_tostring(L, -1), stderr), 1;
    fflush(stdout), lua_gc(L, LUA_GCSTEP, 0); /* garbage goes while nothing is due */
    for (due.tv_nsec += (long)(15e9 / bpm); due.tv_nsec >= 1000000000; due.tv_sec++)
      due.tv_nsec -= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
  }
  return lua_close(L), 0;
}
