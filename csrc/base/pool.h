/* The thread pool: one parallel loop, the only way the core uses more than one core.
 *
 * Started on first use, gone in a forked child (which starts its own on first use). The bits of a
 * result must not depend on how many threads there are: a caller cuts its work by `grain` and the
 * shape alone, and every chunk writes its own outputs. */
#pragma once

#include "base/base.h"

/* Runs body(ctx, begin, end) over disjoint ranges that cover [0, count). Chunk boundaries are
 * multiples of `grain` (>= 1) counted from 0, so they do not depend on the thread count; one call
 * may get several adjoining chunks. Runs inline where count <= grain, with one thread, or when
 * called from inside another parallel loop or while another thread's loop has the pool. body must
 * not fail, allocate tensors or call back into the interpreter; it runs with the interpreter lock
 * released when `mt_host` has a lock and the loop is really shared. */
typedef void (*mt_parallel_body)(void *ctx, int64_t begin, int64_t end);
void mt_parallel_for(int64_t count, int64_t grain, mt_parallel_body body, void *ctx);

/* Element-steps of simple work below which a second thread does not pay. */
#define MT_GRAIN 32768

/* torch.get_num_threads. At first the number of CPUs, or less if MKL_NUM_THREADS or (where that is
 * not set) OMP_NUM_THREADS says so. */
int mt_num_threads(void);
/* -1 with an error for n < 1: "set_num_threads expects a positive integer". */
int mt_set_num_threads(int n);
bool mt_in_parallel(void);
/* Which of the loop's threads this is, below mt_num_threads(); 0 outside of a parallel loop and
 * for the calling thread. */
int mt_thread_index(void);
void mt_pool_stop(void);   /* joins the workers; the next loop starts them again */
