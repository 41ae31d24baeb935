/* Recording, as the dispatcher, the backward engine and the allocator see it.
 *
 * One record of 64 bytes holds an operator call *and* its kernel: four time stamps, the interned
 * name, the sequence number, a pointer to side data. A thread writes into chunks of its own, so
 * recording takes no lock and, but for a fresh chunk every few thousand events, no allocation.
 * A record is reserved when the event begins and its end is filled in later: within a thread the
 * records lie in order of their beginnings, which makes the nesting a matter of one pass.
 *
 * Nothing here fails: where memory runs out the event is counted as dropped and the mark is empty.
 *
 * How an operator call is recorded (`on` is read once per call):
 *
 *     uint32_t on = mt_prof_flags();
 *     if (MT_UNLIKELY(on)) {
 *         mt_prof_mark op = mt_prof_op_begin(record->profiler_id, sequence);
 *         if (on & MT_PROF_SHAPES)
 *             mt_prof_op_inputs(op, args, record->nargs);
 *         ...
 *         mt_prof_mark k = mt_prof_kernel_begin(op, 0);
 *         (the kernel)
 *         mt_prof_kernel_end(k);
 *         ...
 *         mt_prof_op_end(op);
 *     }
 *
 * A session may start or stop between a begin and its end: an empty mark (no session at the
 * beginning) and a mark of a session that is over are both ignored. */
#pragma once

#include <time.h>

#include "base/thread.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

struct mt_value;

/* What the running session wants; 0 = nobody is recording. MT_PROF_OPS is set in every session. */
enum {
    MT_PROF_OPS = 1 << 0,
    MT_PROF_SHAPES = 1 << 1, /* call mt_prof_op_inputs */
    MT_PROF_MEMORY = 1 << 2, /* blocks of the allocator, through mt_alloc_observe */
    MT_PROF_STACKS = 1 << 3, /* the host's call stack, through mt_prof_stack_hook */
};
extern uint32_t mt_prof_on;

MT_INLINE uint32_t
mt_prof_flags(void)
{
    return __atomic_load_n(&mt_prof_on, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------ names */

/* The id of a name and an overload name ("aten::add", "Tensor"; NULL or "" for none): the same
 * pair gives the same id for the life of the process. Takes a lock and may allocate: call it once
 * and keep the id (an op record interns its name when it is made, or on its first recorded call).
 * The texts are copied, as UTF-8; ids start at 1; 0 (memory ran out) is recorded as "?". */
uint32_t mt_prof_name(const char *name, const char *overload);
uint32_t mt_prof_name_n(const char *name, size_t length, const char *overload);
/* The texts of an id, valid for ever. */
const char *mt_prof_name_text(uint32_t id, size_t *length);
const char *mt_prof_name_overload(uint32_t id);

/* ------------------------------------------------------------------ records */

typedef enum mt_prof_kind {
    MT_PROF_OP,     /* an operator: begin..end, and its kernel where kernel_begin is set */
    MT_PROF_SCOPE,  /* a user's record_function */
    MT_PROF_NODE,   /* a backward node: begin..end = the engine's evaluate_function,
                       kernel_begin..kernel_end = the node itself */
    MT_PROF_KERNEL, /* a second, third... kernel of the enclosing operator: kernel times only */
    MT_PROF_ALLOC,  /* a block: begin = time, end = address, kernel_begin = signed bytes,
                       kernel_end = bytes allocated afterwards */
} mt_prof_kind;

typedef struct mt_prof_record {
    uint64_t begin, end;               /* ticks of mt_prof_now; end 0 = not ended */
    uint64_t kernel_begin, kernel_end; /* 0 = none */
    int64_t sequence;                  /* autograd sequence number, -1 = none */
    struct mt_prof_side *side;         /* shapes, stack; NULL = none */
    uint32_t name, kernel_name;        /* mt_prof_name; kernel_name 0 = the op's own */
    uint32_t forward_thread;           /* MT_PROF_NODE: see mt_prof_node_begin */
    uint8_t kind;                      /* mt_prof_kind */
    uint8_t flags;                     /* MT_PROF_F_... */
    uint16_t thread;                   /* low bits of the thread's number */
} mt_prof_record;

enum {
    MT_PROF_F_ASYNC = 1 << 0, /* ended by another thread */
};

/* An event under way. Empty (record NULL) where nobody was recording. */
typedef struct mt_prof_mark {
    mt_prof_record *record;
    uint32_t generation; /* the session */
} mt_prof_mark;

/* ------------------------------------------------------------------ a thread's ring */

/* mt_thread.profiler; NULL until the thread records for the first time. */
typedef struct mt_prof_thread {
    mt_prof_record *next, *limit; /* the free part of the current chunk */
    uint32_t generation;          /* the session these belong to */
    uint32_t number;              /* 1 for the first thread that recorded, 2 for the second... */
    uint32_t flags;               /* of the session */
    /* the rest is private to recorder.c */
} mt_prof_thread;

/* The generation of the running session (also while it is paused), 0 without one. */
extern uint32_t mt_prof_generation;
extern bool mt_prof_use_tsc;

/* The small number of the calling thread (1 = the first that asked); for the node's
 * `forward_thread`. The same thread keeps its number for life. */
uint32_t mt_prof_thread_number(void);

/* Ticks: the time-stamp counter where it is invariant, else nanoseconds of CLOCK_MONOTONIC. */
MT_INLINE uint64_t
mt_prof_now(void)
{
#if defined(__x86_64__)
    if (MT_LIKELY(mt_prof_use_tsc))
        return __rdtsc();
#endif
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Slow path of reserving: first event of the thread in this session, or the chunk is full.
 * NULL when nobody records (any more) or memory ran out (counted as dropped). */
mt_prof_record *mt_prof_reserve(void);
/* The stack at the beginning of an event: called where the flags ask for it. */
void mt_prof_attach(mt_prof_mark mark);

MT_INLINE mt_prof_mark
mt_prof_open(mt_prof_kind kind, uint32_t name, int64_t sequence, uint32_t forward_thread)
{
    mt_prof_thread *t = mt_thread_block.profiler;
    uint32_t generation = __atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED);
    mt_prof_record *r;
    if (MT_LIKELY(t && t->generation == generation && t->next != t->limit)) {
        r = t->next;
        t->next = r + 1;
    } else if (!(r = mt_prof_reserve()))
        return (mt_prof_mark){NULL, 0};
    else
        t = mt_thread_block.profiler;
    r->end = 0;
    r->kernel_begin = 0;
    r->kernel_end = 0;
    r->sequence = sequence;
    r->side = NULL;
    r->name = name;
    r->kernel_name = 0;
    r->forward_thread = forward_thread;
    r->kind = (uint8_t)kind;
    r->flags = 0;
    r->thread = (uint16_t)t->number;
    mt_prof_mark mark = {r, generation};
    if (MT_UNLIKELY(t->flags & MT_PROF_STACKS))
        mt_prof_attach(mark);
    r->begin = mt_prof_now();
    return mark;
}

/* Whether the mark may still be written to. */
MT_INLINE bool
mt_prof_live(mt_prof_mark mark)
{
    return mark.record && mark.generation == __atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------ the dispatcher's calls */

/* An operator begins. `sequence`: with grad mode on and an autograd key in force, the number that
 * the next node of this thread will carry (its backward will be found by it); otherwise -1.
 * Call only where mt_prof_flags() is not 0. */
MT_INLINE mt_prof_mark
mt_prof_op_begin(uint32_t name, int64_t sequence)
{
    return mt_prof_open(MT_PROF_OP, name, sequence, 0);
}

MT_INLINE void
mt_prof_op_end(mt_prof_mark op)
{
    if (MT_LIKELY(mt_prof_live(op)))
        op.record->end = mt_prof_now();
}

/* Takes back an operator that turned out to be none, where the thread has recorded nothing since. */
MT_INLINE void
mt_prof_op_cancel(mt_prof_mark op)
{
    if (mt_prof_live(op) && mt_thread_block.profiler->next == op.record + 1)
        mt_thread_block.profiler->next = op.record;
}

/* A kernel of `op` begins: the loop over the data, allocation of outputs and checks excluded.
 * `kernel_name` is an mt_prof_name or 0. An op may run several, one after the other; the first
 * lies in the op's own record. End each through the mark that its begin returned. */
mt_prof_mark mt_prof_kernel_next(mt_prof_mark op, uint32_t kernel_name);

MT_INLINE mt_prof_mark
mt_prof_kernel_begin(mt_prof_mark op, uint32_t kernel_name)
{
    if (MT_UNLIKELY(!mt_prof_live(op)))
        return (mt_prof_mark){NULL, 0};
    if (MT_UNLIKELY(op.record->kernel_begin != 0))
        return mt_prof_kernel_next(op, kernel_name);
    op.record->kernel_name = kernel_name;
    op.record->kernel_begin = mt_prof_now();
    return op;
}

MT_INLINE void
mt_prof_kernel_end(mt_prof_mark kernel)
{
    if (MT_LIKELY(mt_prof_live(kernel)))
        kernel.record->kernel_end = mt_prof_now();
}

/* The arguments of `op` in the order of its schema: shapes, strides and types of tensors and the
 * values of numbers are copied before this returns. Lists are cut after 64 entries. Call it after
 * mt_prof_op_begin where the flags hold MT_PROF_SHAPES. */
void mt_prof_op_inputs(mt_prof_mark op, const struct mt_value *values, int count);

/* ------------------------------------------------------------------ the engine's calls */

/* A backward node: `name` is the node's ("AddBackward0", "torch::autograd::AccumulateGrad");
 * the events "autograd::engine::evaluate_function: NAME" and "NAME" are made of one record.
 * `sequence` as the node carries it (-1 for AccumulateGrad); `forward_thread`: mt_prof_thread_number
 * of the thread that made the node, or 0 to have it found by the sequence number.
 *
 *     begin; (input buffers, hooks) apply_begin; (the node) apply_end; (hand on gradients) end */
MT_INLINE mt_prof_mark
mt_prof_node_begin(uint32_t name, int64_t sequence, uint32_t forward_thread)
{
    return mt_prof_open(MT_PROF_NODE, name, sequence, forward_thread);
}

MT_INLINE void
mt_prof_node_apply_begin(mt_prof_mark node)
{
    if (MT_LIKELY(mt_prof_live(node)))
        node.record->kernel_begin = mt_prof_now();
}

MT_INLINE void
mt_prof_node_apply_end(mt_prof_mark node)
{
    if (MT_LIKELY(mt_prof_live(node)))
        node.record->kernel_end = mt_prof_now();
}

MT_INLINE void
mt_prof_node_end(mt_prof_mark node)
{
    mt_prof_op_end(node);
}

/* ------------------------------------------------------------------ scopes */

/* A named stretch of the program; `name` from mt_prof_name or mt_prof_scope_name (session.h). */
MT_INLINE mt_prof_mark
mt_prof_scope_begin(uint32_t name)
{
    return mt_prof_open(MT_PROF_SCOPE, name, -1, 0);
}

/* May be called by another thread than began it. */
void mt_prof_scope_end(mt_prof_mark scope);

/* ------------------------------------------------------------------ hooks of the host */

/* With MT_PROF_STACKS: an id of the host's call stack at this moment (0 = none), kept by the host for
 * as long as the session's results live. Called with the interpreter lock held by a thread that is
 * about to record. */
typedef uint32_t (*mt_prof_stack_hook_fn)(void);
extern mt_prof_stack_hook_fn mt_prof_stack_hook;
