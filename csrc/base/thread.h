/* The one thread-local block of the core. A call fetches its address once and carries it along
 * (mt_call.thread), since even a cheap thread-local access costs more than a load. It stays below
 * 256 bytes because it lives in the scarce static TLS space. */
#pragma once

#include "base/base.h"

struct mt_node;
struct mt_graph_task;
struct mt_prof_thread;
struct mt_transform;

#define MT_FW_LEVELS 12

typedef struct mt_thread {
    uint64_t included, excluded; /* dispatch keys forced on and off (dispatch/keys.h) */
    uint64_t sequence_nr;        /* stamped on autograd nodes at creation */
    bool grad_mode;              /* torch.is_grad_enabled() */
    bool inference_mode;
    bool forward_grad_mode;
    bool view_replay_disabled;
    bool overrides_disabled;      /* __torch_function__ switched off (DisableTorchFunction) */
    bool subclass_overrides_disabled; /* the same for subclasses only, modes stay on */
    uint8_t fw_level;             /* forward-mode levels that are open */
    bool in_backward;
    uint32_t function_modes;      /* depth of the __torch_function__ mode stack */
    uint32_t dispatch_modes;      /* depth of the __torch_dispatch__ mode stack */
    struct mt_node *current_node; /* node whose apply runs now (borrowed) */
    struct mt_graph_task *graph_task;
    struct mt_transform *transform; /* innermost vmap/grad level (dispatch/transform.h) */
    struct mt_prof_thread *profiler;
    void *saved_hooks;            /* host: stack of (pack, unpack), NULL: none */
    char *saved_hooks_off;        /* why saved-tensor hooks are forbidden, NULL: they are not */
    uint32_t reentrant_depth;
    uint8_t autocast_dtype; /* of the CPU */
    bool autocast_cache;
    uint16_t autocast_nesting;
    uint16_t differentiating;     /* gradient transforms (func.grad, vjp, jvp) that are open */
    uint32_t fw_ids[MT_FW_LEVELS]; /* their numbers, outermost first */
    bool ready; /* mt_thread_init has run */
} mt_thread;

extern MT_TLS mt_thread mt_thread_block;

void mt_thread_init(mt_thread *thread);

/* The calling thread's block, with PyTorch's defaults on first use. */
MT_INLINE mt_thread *
mt_this_thread(void)
{
    mt_thread *thread = &mt_thread_block;
    if (MT_UNLIKELY(!thread->ready))
        mt_thread_init(thread);
    return thread;
}
