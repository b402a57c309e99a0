/* mpi.c - opens neuraldrummer.mpi: the processes of an MPI job ("world"), which can
 * share batches. It is a library of its own because it alone links MPI. */
#include "../mpi/comm.h"

#include <string.h>

#include "lnd.h"

__attribute__((visibility("default"))) int luaopen_neuraldrummer_mpi(lua_State *L);

/* Without leaving: the processes that wait for this one are ended by MPI. */
static void release(void *p) { nd_comm_free(((nd_allreduce *)p)->self); }

static const lnd_class world_class = {LND_WORLD, release};

static const nd_allreduce *check(lua_State *L) { return lnd_check(L, 1, &world_class); }

static nd_comm *check_world(lua_State *L) { return check(L)->self; }

/* mpi.join() -> world, or nil and a message */
static int mpi_join(lua_State *L) {
  lnd_box *box = lnd_push(L, &world_class, NULL);     /* world */
  nd_comm *world = NULL;
  nd_error err;
  if (nd_comm_join(&world, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  box->p = nd_comm_allreduce(world);
  return 1;
}

/* world:rank() -> this process, from 1 */
static int world_rank(lua_State *L) {
  lua_pushinteger(L, check(L)->rank + 1);
  return 1;
}

/* world:size() -> the number of processes */
static int world_size(lua_State *L) {
  lua_pushinteger(L, check(L)->size);
  return 1;
}

/* world:sum(numbers) -> each number added up over all processes */
static int world_sum(lua_State *L) {
  const nd_allreduce *r = check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, 2);
  luaL_argcheck(L, n <= 4096, 2, "at most 4096 numbers at once");
  double *values = lua_newuserdatauv(L, (size_t)n * sizeof *values + 1, 0);
  for (lua_Unsigned i = 0; i < n; i++) {
    luaL_argcheck(L, lua_rawgeti(L, 2, (lua_Integer)i + 1) == LUA_TNUMBER, 2, "numbers are needed");
    values[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  nd_error err;
  r->sum(r->self, values, (size_t)n);
  if (r->wait(r->self, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  lua_createtable(L, (int)n, 0);      /* sums */
  for (lua_Unsigned i = 0; i < n; i++) {
    lua_pushnumber(L, values[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* world:any(here) -> whether it is true in any process; a sum of ones and zeros */
static int world_any(lua_State *L) {
  const nd_allreduce *r = check(L);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  double so = lua_toboolean(L, 2) ? 1.0 : 0.0;
  nd_error err;
  r->sum(r->self, &so, 1);
  if (r->wait(r->self, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  lua_pushboolean(L, so > 0.0);
  return 1;
}

/* world:same(text) -> whether the text is the same in all processes, by its hash */
static int world_same(lua_State *L) {
  nd_comm *world = check_world(L);
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  bool same = false;
  nd_error err;
  if (nd_comm_same(world, nd_hash(text, n), &same, &err) != ND_OK) return lnd_fail(L, &err, NULL);
  lua_pushboolean(L, same);
  return 1;
}

/* world:abort(status): ends all processes */
static int world_abort(lua_State *L) {
  const nd_comm *world = check_world(L);
  lua_Integer status = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, status >= 1 && status <= 125, 2, "a status is in 1..125");
  nd_comm_abort(world, (int)status);
  return luaL_error(L, "MPI did not end the processes");
}

/* world:leave() -> true, or nil and a message. All processes wait for each other. */
static int world_leave(lua_State *L) {
  nd_comm *world = check_world(L);
  if (lnd_finalising(L)) return luaL_error(L, "a world cannot be left within a finaliser");
  nd_error err;
  nd_status status = nd_comm_leave(world, &err);
  (void)lnd_take(L, 1, &world_class);  /* batches that share the world see that it is gone */
  nd_comm_free(world);
  return lnd_result(L, status, &err, NULL);
}

static int world_tostring(lua_State *L) {
  const nd_allreduce *r = lnd_peek(L, 1, &world_class);
  if (r == NULL) lua_pushliteral(L, "world: closed");
  else lua_pushfstring(L, "world: process %d of %d", r->rank + 1, r->size);
  return 1;
}

int luaopen_neuraldrummer_mpi(lua_State *L) {
  static const luaL_Reg methods[] = {{"rank", world_rank},   {"size", world_size},
                                     {"sum", world_sum},     {"any", world_any},
                                     {"same", world_same},   {"abort", world_abort},
                                     {"leave", world_leave}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", world_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"join", mpi_join}, {NULL, NULL}};
  luaL_checkversion(L);
  lnd_check_core(L, "neuraldrummer.mpi");
  lnd_type(L, &world_class, methods, meta);
  luaL_newlib(L, functions);         /* mpi */
  lnd_set_str(L, "version", ND_VERSION);
  return 1;
}
