/* One backward pass: what the engine knows of it. */
#pragma once

#include "autograd/autograd.h"

typedef struct mt_task_entry {
    mt_node *node;         /* borrowed: the graph owns it */
    uint32_t dependencies; /* gradients that will still arrive */
    bool needed;           /* leads to a wanted input (selective tasks) */
    int32_t capture;       /* first input captured here, -1: none */
    mt_tensor *single;     /* gradient so far, for nodes of one result */
    mt_tensor **many;      /* for several */
} mt_task_entry;

typedef struct mt_ready {
    uint64_t sequence_nr, order;
    uint32_t entry;
} mt_ready;

typedef struct mt_callback {
    int (*call)(void *state);
    void *state;
    void (*drop)(void *state);
    struct mt_callback *next;
} mt_callback;

typedef struct mt_graph_task {
    const mt_backward_args *args;
    mt_task_entry *entries;
    uint32_t *index; /* hash: entry number + 1 */
    size_t mask;
    uint32_t nentries, room;
    mt_ready *ready; /* heap */
    uint32_t nready, ready_room;
    uint64_t order;
    int32_t *capture_next;
    bool selective, keep_graph;
    int64_t id;
    mt_callback *callbacks;
} mt_graph_task;

mt_task_entry *mt_task_find(mt_graph_task *task, const mt_node *node);
/* Whether the running task will run the node: 1, 0; -1 with the error set outside a task. */
int mt_task_will_run(const mt_node *node);
/* Whether the running task computes the gradients of every leaf (backward without inputs=). */
bool mt_task_is_whole(void);
/* Whether the running task was called with retain_graph. */
bool mt_task_keeps_graph(void);
/* Runs on a new C stack (another thread that takes over this one's state); set by the binding. */
extern int (*mt_run_on_fresh_stack)(int (*run)(void *), void *ctx);
