/* comm.c - the functions of nd_allreduce in terms of MPI.
 *
 * The standard: MPI Forum, "MPI: A Message-Passing Interface Standard" (3.0 and later,
 * for non-blocking collectives). All processes must make the same calls in the same
 * order. Errors are recorded and reported by the functions that return a status. */
#include "comm.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>

/* Requests in flight. The trainer begins one a layer, far fewer than this. */
enum { MAX_REQUESTS = 64 };

struct nd_comm {
  nd_allreduce allreduce;
  MPI_Comm comm;
  MPI_Request requests[MAX_REQUESTS];
  int n_requests;
  int failure;          /* the first error code, or MPI_SUCCESS; final */
};

static bool usable(const nd_comm *c) { return c->failure == MPI_SUCCESS; }

/* After the first error nothing is sent any more: the other processes may be gone, and a
 * call could wait for them for ever. */
static void record_error(nd_comm *c, int code) {
  if (usable(c)) c->failure = code;
}

/* MPI's own text of the error; ND_OK for MPI_SUCCESS. */
static nd_status report(int code, nd_error *err) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int n = 0;
  if (code == MPI_SUCCESS) return ND_OK;
  (void)MPI_Error_string(code, text, &n);
  return nd_fail(err, ND_IO, "MPI error: %s", text);
}

/* MPI counts in ints. No layer has as many weights; the check is for other callers. */
static bool fits(nd_comm *c, size_t n) {
  if (n > (size_t)INT_MAX) record_error(c, MPI_ERR_COUNT);
  return usable(c);
}

/* Blocking; used for a few numbers a step: counts, losses, a norm's statistics. */
static void sum(void *self, double *values, size_t n) {
  nd_comm *c = self;
  if (fits(c, n))
    record_error(c, MPI_Allreduce(MPI_IN_PLACE, values, (int)n, MPI_DOUBLE, MPI_SUM, c->comm));
}

/* Blocks until every sum that was begun is complete on this process. */
static void finish_requests(nd_comm *c) {
  if (!usable(c)) return;
  record_error(c, MPI_Waitall(c->n_requests, c->requests, MPI_STATUSES_IGNORE));
  c->n_requests = 0;
}

/* Non-blocking: the gradient of a layer travels while the next one is computed. */
static void begin(void *self, float *values, size_t n) {
  nd_comm *c = self;
  if (c->n_requests == MAX_REQUESTS) finish_requests(c);
  if (!fits(c, n)) return;
  record_error(c, MPI_Iallreduce(MPI_IN_PLACE, values, (int)n, MPI_FLOAT, MPI_SUM, c->comm,
                                 &c->requests[c->n_requests]));
  if (usable(c)) c->n_requests++;
}

/* The failure of any earlier call is reported here too. */
static nd_status wait_for_all(void *self, nd_error *err) {
  nd_comm *c = self;
  finish_requests(c);
  return report(c->failure, err);
}

/* First the counts, then the values: MPI_Gatherv wants every count and offset. */
static nd_status gather(void *self, const float *mine, size_t n, float *all, size_t total,
                        nd_error *err) {
  nd_comm *c = self;
  int size = c->allreduce.size, local = (int)n;
  if (!usable(c)) return report(c->failure, err);
  if (total > (size_t)INT_MAX)
    return nd_fail(err, ND_LIMIT, "the state of a batch's streams exceeds %d numbers", INT_MAX);
  /* counts, then offsets: in numbers, not bytes; only process 0 uses them */
  int *counts = nd_calloc(2 * (size_t)size, sizeof *counts);
  if (counts == NULL) return nd_nomem(err);
  int *offsets = counts + size;
  record_error(c, MPI_Gather(&local, 1, MPI_INT, counts, 1, MPI_INT, 0, c->comm));
  for (int k = 1; k < size; k++) offsets[k] = offsets[k - 1] + counts[k - 1];
  if (usable(c))
    record_error(c, MPI_Gatherv(mine, local, MPI_FLOAT, all, counts, offsets, MPI_FLOAT, 0,
                                c->comm));
  free(counts);
  return report(c->failure, err);
}

/* After a failure MPI stays initialised, because it cannot be initialised again in the
 * same process: the caller should end it. */
nd_status nd_comm_join(nd_comm **out, nd_error *err) {
  /* MPI_Initialized may be called at any time, before MPI is initialised too */
  int joined = 0, provided = 0, rank = 0, size = 1;
  int code = MPI_Initialized(&joined);
  if (code == MPI_SUCCESS && joined)
    return nd_fail(err, ND_MISUSE, "this process has joined before; MPI allows it once");
  nd_comm *c = nd_calloc(1, sizeof *c);
  if (c == NULL) return nd_nomem(err);
  c->failure = MPI_SUCCESS;
  /* "funneled": only the thread that called this calls MPI, not the thread pool's */
  if (code == MPI_SUCCESS) code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
  /* by default MPI ends the process on any error; we want codes to report */
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  /* a copy, so that our messages never meet those of the host */
  if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &c->comm);
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(c->comm, &rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(c->comm, &size);
  if (code != MPI_SUCCESS) {
    free(c);
    return report(code, err);
  }
  c->allreduce = (nd_allreduce){.self = c, .rank = rank, .size = size, .sum = sum, .begin = begin,
                                .wait = wait_for_all, .gather = gather};
  *out = c;
  return ND_OK;
}

/* MPI_Finalize waits for the other processes, so that it is not called after an error. */
nd_status nd_comm_leave(nd_comm *c, nd_error *err) {
  finish_requests(c);
  if (usable(c)) record_error(c, MPI_Comm_free(&c->comm));
  if (usable(c)) record_error(c, MPI_Finalize());
  return report(c->failure, err);
}

void nd_comm_free(nd_comm *c) { free(c); }

/* For a process that fails alone: the others would wait for it for ever. */
void nd_comm_abort(const nd_comm *c, int status) { (void)MPI_Abort(c->comm, status); }

nd_allreduce *nd_comm_allreduce(nd_comm *c) { return &c->allreduce; }

/* All hashes are equal when the least is the greatest. The greatest is the complement of
 * the least complement, so that one call finds both. */
nd_status nd_comm_same(nd_comm *c, uint64_t hash, bool *same, nd_error *err) {
  uint64_t least[2] = {hash, ~hash};
  if (usable(c))
    record_error(c, MPI_Allreduce(MPI_IN_PLACE, least, 2, MPI_UINT64_T, MPI_MIN, c->comm));
  *same = least[0] == ~least[1];
  return report(c->failure, err);
}
