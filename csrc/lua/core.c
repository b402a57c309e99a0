/* core.c - opens neuraldrummer.core: every class but the world of mpi.c. */
#include "lnd.h"

__attribute__((visibility("default"))) int luaopen_neuraldrummer_core(lua_State *L);

int luaopen_neuraldrummer_core(lua_State *L) {
  luaL_checkversion(L);
  lua_pushstring(L, lnd_build());    /* build */
  lua_setfield(L, LUA_REGISTRYINDEX, LND_BUILD);
  lua_newtable(L);                   /* core */
  lnd_set_str(L, "version", ND_VERSION);
  lnd_open_job(L);
  lnd_open_song(L);
  lnd_open_smf(L);
  lnd_open_tokeniser(L);
  lnd_open_sequence(L);
  lnd_open_corpus(L);
  lnd_open_ingest(L);
  lnd_open_model(L);
  lnd_open_batches(L);      /* adds a method to corpora */
  lnd_open_trainer(L);      /* and these two to models */
  lnd_open_checkpoint(L);
  lnd_open_generator(L);
  lnd_open_likelihood(L);
  lnd_open_explain(L);
  lnd_open_humanise(L);
  lnd_open_file(L);
  lnd_open_host(L);
  lnd_open_lock(L);
  return 1;
}
