/* Batched tensors and the open levels of vmap. See vmap.c. */
#pragma once

#include "dispatch/op.h"

typedef enum mt_randomness { MT_RANDOM_ERROR, MT_RANDOM_SAME, MT_RANDOM_DIFFERENT } mt_randomness;

/* An open level; mt_thread.transform is the innermost one. */
typedef struct mt_transform {
    struct mt_transform *outer;
    int64_t size;       /* of the batch */
    uint8_t level;      /* 1 for the outermost */
    uint8_t randomness; /* mt_randomness */
} mt_transform;

/* Opens a level; its number, or -1 with the error set. Levels are closed innermost first. */
int mt_vmap_open(int64_t size, mt_randomness randomness);
void mt_vmap_close(void);

/* A tensor that stands for the slices of `value` along its first dimension (dim 0), or for `value`
 * itself in every example (dim -1). New reference. */
mt_tensor *mt_batched(mt_tensor *value, int level, int dim);
/* The highest level among the tensors of a call, 0 without a batched one. */
int mt_call_level(const mt_call *call);
/* "vmap: It looks like you're calling …": for what needs the number in a batched tensor. */
int mt_vmap_no_item(void);

/* The thread as it was outside of a level, until it steps in again. */
typedef struct mt_outside {
    mt_thread *thread;
    struct mt_transform *transform;
    mt_key_guard keys;
} mt_outside;
mt_outside mt_vmap_step_out(mt_thread *thread, int level);
void mt_vmap_step_in(mt_outside saved);

/* ---- what rules work on ------------------------------------------------------------------- */

#define MT_BATCH_ARGS 64
#define MT_BATCH_HELD 64

typedef struct mt_batch {
    mt_call *call;
    const mt_op *op;
    int level;
    int64_t size;
    mt_value args[MT_BATCH_ARGS];       /* the call's, batched tensors replaced by their values */
    bool batched[MT_BATCH_ARGS];        /* tensor arguments whose value has the batch dimension */
    bool any;                           /* one of them, or of a list, has */
    mt_value rets[8];                   /* of the rule: values with the batch in front */
    bool plain;                         /* results have no batch dimension */
    mt_tensor *held[MT_BATCH_HELD];     /* temporaries, released at the end */
    int nheld;
    mt_list lists[4];                   /* temporaries */
    int nlists;
    int64_t ints[6][MT_MAX_DIMS + 2];   /* rewritten lists of numbers */
    int nints;
} mt_batch;

/* Takes over a temporary; NULL stays NULL (an error). */
mt_tensor *mt_batch_hold(mt_batch *b, mt_tensor *made);
/* Dimensions of a tensor argument as the user sees it. */
MT_INLINE int
mt_batch_rank(const mt_batch *b, int i)
{
    return b->args[i].tag == MT_V_TENSOR ? b->args[i].u.t->ndim - b->batched[i] : 0;
}
/* Gives the argument a batch dimension if it has none. */
int mt_batch_expand(mt_batch *b, int i);
int mt_batch_loop(mt_batch *b);
/* PyTorch's error for a write of a batch into a tensor that has none. */
int mt_vmap_refuse_write(const char *name, const char *where);
/* Runs the rule of the operator; fills b->rets. */
int mt_batch_run(mt_batch *b);
