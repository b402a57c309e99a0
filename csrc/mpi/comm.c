#include "comm.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>

/* A net has fewer tensors, and what is begun are runs of whole ones. */
enum { MAX_BEGUN = 64 };

struct nd_comm {
  nd_allreduce reducer;
  MPI_Comm comm;
  MPI_Request begun[MAX_BEGUN];
  int n_begun;
  int failure;          /* MPI's code of what failed first, or MPI_SUCCESS */
};

static void note(nd_comm *w, int code) {
  if (w->failure == MPI_SUCCESS) w->failure = code;
}

static nd_status failed(int code, nd_error *err) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int n = 0;
  (void)MPI_Error_string(code, text, &n);
  return nd_fail(err, ND_IO, "the processes lost each other: %s", text);
}

/* MPI counts in ints. */
static int piece(size_t n) { return n < (size_t)INT_MAX ? (int)n : INT_MAX; }

static void sum(void *self, double *values, size_t n) {
  nd_comm *w = self;
  while (n > 0 && w->failure == MPI_SUCCESS) {
    int some = piece(n);
    note(w, MPI_Allreduce(MPI_IN_PLACE, values, some, MPI_DOUBLE, MPI_SUM, w->comm));
    values += some;
    n -= (size_t)some;
  }
}

static void finish_begun(nd_comm *w) {
  note(w, MPI_Waitall(w->n_begun, w->begun, MPI_STATUSES_IGNORE));
  w->n_begun = 0;
}

static void begin(void *self, float *values, size_t n) {
  nd_comm *w = self;
  while (n > 0 && w->failure == MPI_SUCCESS) {
    int some = piece(n);
    if (w->n_begun == MAX_BEGUN) finish_begun(w);
    note(w, MPI_Iallreduce(MPI_IN_PLACE, values, some, MPI_FLOAT, MPI_SUM, w->comm,
                           &w->begun[w->n_begun]));
    if (w->failure == MPI_SUCCESS) w->n_begun++;
    values += some;
    n -= (size_t)some;
  }
}

static nd_status wait_for_all(void *self, nd_error *err) {
  nd_comm *w = self;
  if (w->failure == MPI_SUCCESS) finish_begun(w);
  return w->failure == MPI_SUCCESS ? ND_OK : failed(w->failure, err);
}

static nd_status gather(void *self, const float *mine, size_t n, float *all, size_t total,
                        nd_error *err) {
  nd_comm *w = self;
  int size = w->reducer.size, here = (int)n;
  if (w->failure != MPI_SUCCESS) return failed(w->failure, err);
  if (total > (size_t)INT_MAX) return nd_fail(err, ND_LIMIT, "the streams of a batch are too many");
  int *counts = nd_calloc(2 * (size_t)size, sizeof *counts);
  if (counts == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  int *at = counts + size;
  note(w, MPI_Gather(&here, 1, MPI_INT, counts, 1, MPI_INT, 0, w->comm));
  for (int k = 1; k < size; k++) at[k] = at[k - 1] + counts[k - 1];
  if (w->failure == MPI_SUCCESS)
    note(w, MPI_Gatherv(mine, here, MPI_FLOAT, all, counts, at, MPI_FLOAT, 0, w->comm));
  free(counts);
  return w->failure == MPI_SUCCESS ? ND_OK : failed(w->failure, err);
}

nd_status nd_comm_join(nd_comm **out, nd_error *err) {
  int before = 0, provided = 0;
  int code = MPI_Initialized(&before);
  if (code == MPI_SUCCESS && before)
    return nd_fail(err, ND_MISUSE, "this process has joined others before, and can do so once");
  nd_comm *w = nd_calloc(1, sizeof *w);
  if (w == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  w->failure = MPI_SUCCESS;
  /* the threads of a training never call MPI */
  if (code == MPI_SUCCESS) code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  /* MPI ends the process on any error unless it is told not to */
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &w->comm);
  int rank = 0, size = 1;
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(w->comm, &rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(w->comm, &size);
  if (code != MPI_SUCCESS) {
    free(w);
    return failed(code, err);
  }
  w->reducer = (nd_allreduce){w, rank, size, sum, begin, wait_for_all, gather};
  *out = w;
  return ND_OK;
}

nd_status nd_comm_leave(nd_comm *w, nd_error *err) {
  if (w->failure == MPI_SUCCESS) finish_begun(w);
  if (w->failure == MPI_SUCCESS) note(w, MPI_Comm_free(&w->comm));
  if (w->failure == MPI_SUCCESS) note(w, MPI_Finalize());
  return w->failure == MPI_SUCCESS ? ND_OK : failed(w->failure, err);
}

void nd_comm_free(nd_comm *w) { free(w); }

void nd_comm_abort(const nd_comm *w, int status) { (void)MPI_Abort(w->comm, status); }

nd_allreduce *nd_comm_allreduce(nd_comm *w) { return &w->reducer; }

nd_status nd_comm_same(nd_comm *w, uint64_t hash, bool *same, nd_error *err) {
  uint64_t least = hash, most = hash;
  if (w->failure == MPI_SUCCESS)
    note(w, MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_UINT64_T, MPI_MIN, w->comm));
  if (w->failure == MPI_SUCCESS)
    note(w, MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_UINT64_T, MPI_MAX, w->comm));
  *same = least == most;
  return w->failure == MPI_SUCCESS ? ND_OK : failed(w->failure, err);
}
