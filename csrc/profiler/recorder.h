/* What the files of this folder share: chunks of records, a thread's log, the session. */
#pragma once

#include "profiler/names.h"
#include "profiler/session.h"

/* A piece of memory for records or side data. Its pages are given back to the system when nobody
 * needs them, but never its addresses: a thread that ends an event late writes into memory that
 * is still ours. */
typedef struct mt_prof_chunk {
    struct mt_prof_chunk *next;
    uint32_t bytes; /* whole size: small or large */
    uint32_t count; /* records in use, set when the thread leaves the chunk */
    uint64_t padding[6];
    unsigned char data[];
} mt_prof_chunk;

/* What one thread recorded in one session. */
typedef struct mt_prof_log {
    struct mt_prof_log *next;
    struct mt_prof_ring *ring;   /* of the thread, NULL once it has ended */
    mt_prof_chunk *first, *last; /* of records */
    mt_prof_chunk *side;         /* of side data, newest first */
    unsigned char *side_next, *side_limit;
    mt_prof_thread_info thread;
} mt_prof_log;

typedef struct mt_prof_instant { /* the clocks at one moment */
    uint64_t ticks;
    int64_t clock, unix_time;
} mt_prof_instant;

struct mt_prof_session {
    uint32_t generation, flags;
    bool recording, paused;
    mt_prof_instant begin, end;
    mt_prof_log *logs; /* newest first */
    uint32_t nlogs;
    mt_prof_names names;
    struct {
        uint64_t ticks;
        int64_t step;
    } * steps;
    int64_t nsteps, steps_capacity;
    uint64_t allocated, dropped;
    int32_t pid;
    double ticks_per_ns; /* set by stop */
    mt_prof_results *results;
};

/* Room for side data of `bytes` behind the fixed part, aligned to 8; NULL when memory ran out. */
mt_prof_side *mt_prof_side_new(size_t bytes);
/* Gives chunks back to the pool. */
void mt_prof_chunks_free(mt_prof_chunk *first);
/* results.c */
void mt_prof_results_free(mt_prof_results *results);
