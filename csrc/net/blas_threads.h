/* blas_threads.h - how many threads OpenBLAS may use for our products.
 *
 * OpenBLAS has one count for the whole process, which a host may have set for its
 * own work. Between nd_blas_begin() and nd_blas_end() the count is ours; the last
 * end puts back what the first begin found. The calls nest, and several host threads
 * may make them at a time: the number of users is counted under a lock.
 *
 * Limits: while calls overlap, the count of the latest begin is in force for all of
 * them. That changes how fast products are, and not whether they are right. A host
 * that sets the count itself between begin and end loses that setting.
 */
#ifndef ND_NET_BLAS_THREADS_H
#define ND_NET_BLAS_THREADS_H

void nd_blas_begin(int threads);   /* at least 1 */
void nd_blas_end(void);

#endif
