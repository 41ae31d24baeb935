/* The backward graph: nodes, edges, saved values, hooks, and the two things that connect it to
 * operators: recording a node when an operator runs, and running nodes backward.
 *
 * A node is an object of the host, like a tensor: one count, one identity (`y.grad_fn is y.grad_fn`),
 * visible to the garbage collector. Nodes own the nodes their edges point to, so a graph is freed
 * by dropping its end; freeing walks a work list, never the C stack. */
#pragma once

#include "dispatch/op.h"

typedef struct mt_node mt_node;

typedef struct mt_edge {
    mt_node *node; /* owned; NULL: no gradient is wanted here */
    uint32_t input_nr;
} mt_edge;

/* What a formula reads. A tensor is saved with the version it had; an output is saved as an alias
 * without history, since the node must not own its own result. */
typedef enum mt_saved_kind {
    MT_SAVED_NONE, MT_SAVED_INPUT, MT_SAVED_OUTPUT, MT_SAVED_GEOMETRY, MT_SAVED_VALUE,
    MT_SAVED_LIST, MT_SAVED_PACKED,
} mt_saved_kind;

typedef struct mt_saved {
    uint8_t kind;       /* mt_saved_kind */
    uint8_t is_leaf, was_view;
    uint8_t requires_grad;
    uint32_t version;
    uint32_t output_nr;
    mt_tensor *tensor;  /* owned */
    mt_version *counter; /* of the original tensor for saved outputs, owned */
    mt_node *edge;      /* with hooks: where the gradient of an input goes, owned */
    mt_value value;     /* for VALUE (deep copy), GEOMETRY (sizes), LIST */
    void *packed, *unpack; /* saved-tensor hooks: host objects */
} mt_saved;

/* Sizes, dtype and device of an input, for formulas that read no data (GEOMETRY). */
typedef struct mt_geometry {
    int ndim;
    const int64_t *sizes;
    mt_dtype dtype;
    mt_device device;
    mt_tensor *meta; /* zero-storage stand-in */
} mt_geometry;

typedef struct mt_derivative mt_derivative;

/* A formula: reads node->saved, gets one gradient per output (NULL: undefined) and fills `out`, one
 * slot per differentiable input (new references or NULL). `want` has a bit per slot that somebody
 * needs. Generated from the table. */
typedef int (*mt_formula)(mt_node *node, mt_tensor *const *grads, mt_tensor **out, uint64_t want);
/* Forward mode: tangents of the differentiable inputs (NULL: zero), result per output. */
typedef int (*mt_tangent)(mt_call *call, mt_tensor *const *tangents, mt_tensor **out);

typedef struct mt_save_spec {
    uint8_t kind;  /* mt_saved_kind: INPUT, OUTPUT, GEOMETRY, VALUE or LIST */
    uint8_t index; /* of the argument or result */
} mt_save_spec;

struct mt_derivative {
    const char *name;         /* "AddBackward0" */
    mt_formula formula;
    mt_tangent tangent;       /* NULL: not built */
    uint8_t ninputs;          /* differentiable slots; a Tensor[] argument is one slot here */
    uint8_t nsaved;
    uint8_t noutputs;         /* results that carry a gradient: the first n of `outputs` */
    uint8_t flags;
    const uint8_t *inputs;    /* argument index of each slot */
    const uint8_t *outputs;   /* result index of each differentiable result */
    const mt_save_spec *saves;
    const char *const *save_names; /* "self": shown as _saved_self */
    uint64_t reads_any;       /* slots that any formula group needs … reserved for `want` groups */
    const uint64_t *save_for; /* per save: mask of input slots whose formula reads it */
};

enum {                        /* mt_derivative.flags */
    MT_D_REDUCES_BROADCAST = 1, /* gradients are summed to the input's shape by the engine */
    MT_D_NOT_IMPLEMENTED = 2,   /* PyTorch raises "derivative for … is not implemented";
                                 * of RuntimeError where the node is called NotImplemented */
    MT_D_UNDEFINED_OK = 4,      /* formula takes NULL gradients itself */
    MT_D_LEAVES_OUT = 8,        /* a tensor argument has no formula: it must not require a gradient */
};

#define MT_NODE_EDGES 3
#define MT_NODE_SAVED 3

typedef enum mt_node_kind {
    MT_NODE_FORMULA,    /* of an operator: derivative->formula */
    MT_NODE_ACCUMULATE, /* adds into leaf.grad */
    MT_NODE_COPY_SLICES, /* in-place write on a view: autograd/inplace.c */
    MT_NODE_FUNCTION,   /* of a Python Function: host callback */
    MT_NODE_UNDEFINED,  /* error node: DelayedError, NotImplemented, Error */
    MT_NODE_IDENTITY,   /* GraphRoot and the like */
    MT_NODE_CUSTOM,     /* C callback in `custom` */
} mt_node_kind;

/* What the engine must know of each result: to check and expand incoming gradients. */
typedef struct mt_input_info {
    uint8_t dtype, ndim;
    mt_device device;
    int64_t sizes_inline[MT_INLINE_DIMS];
    int64_t *sizes; /* inline or heap */
    bool is_subclass, is_nested;
} mt_input_info;

struct mt_node {
    mt_object head;
    uint8_t kind;
    bool released;       /* saved values are gone */
    bool topological_mark;
    bool hooked;         /* any hook present */
    uint32_t nedges, nsaved, ninputs; /* ninputs: results of the forward operator */
    uint64_t sequence_nr;
    uint64_t thread_id;
    mt_edge *edges;      /* inline_edges or heap */
    mt_saved *saved;     /* inline_saved or heap */
    mt_input_info *inputs; /* inline_input or heap: one per forward result */
    const mt_derivative *derivative;
    const mt_op *op;
    mt_tensor *variable; /* ACCUMULATE: the leaf (owned) */
    void *custom;        /* by kind: COPY_SLICES, CUSTOM state; FUNCTION: NULL (the host subclass) */
    int (*apply)(mt_node *node, mt_tensor *const *grads, mt_tensor **out, uint64_t want);
    void (*release)(mt_node *node);           /* drops `custom` and saved values, may be NULL */
    const char *name;    /* "AddBackward0" */
    void *pre_hooks, *post_hooks, *tensor_pre_hooks, *retains_grad_hooks, *post_acc_hooks; /* host */
    void *metadata, *host_dict, *host_weakrefs; /* host */
    mt_node *free_next;  /* work list of the destructor */
    uint32_t *slot_of_edge; /* reserved for list arguments: NULL when edges == slots */
    mt_edge inline_edges[MT_NODE_EDGES];
    mt_saved inline_saved[MT_NODE_SAVED];
    mt_input_info inline_input;
};

/* ---- autograd data of a tensor that most tensors lack -------------------------------------- */

typedef struct mt_grad_meta {
    mt_tensor *grad;
    mt_node *accumulator;  /* weak: cleared when the node dies */
    void *hooks;           /* host: tensor pre-hooks of a leaf, moved to the accumulator */
    void *post_accumulate_hooks;
    void *backward_hooks_dict; /* host: the ordered dict behind register_hook */
    bool retains_grad;
    bool keeps_accumulator; /* `accumulator` is another leaf's and owned */
    char *name;
    struct mt_dual *tangents; /* forward mode, one per level: autograd/forward.c */
    mt_value *replay_args; /* views that as_strided cannot express: how to make them again */
    const mt_op *replay_op;
    bool busy;             /* a thread is storing into grad */
} mt_grad_meta;

mt_grad_meta *mt_grad_meta_of(mt_tensor *self); /* made on demand; NULL with the error set */
void mt_grad_meta_free(mt_grad_meta *meta);

/* The tangent of a tensor at a level of forward mode. Levels have numbers that are never used again,
 * so what is left of a closed one is not seen any more. */
typedef struct mt_dual {
    struct mt_dual *next;
    mt_tensor *tensor; /* owned */
    uint32_t id;
} mt_dual;

/* ---- nodes -------------------------------------------------------------------------------- */

mt_node *mt_node_new(mt_node_kind kind, const char *name, uint32_t nedges, uint32_t nsaved);
int mt_node_init(mt_node *node, mt_node_kind kind, const char *name, uint32_t nedges, uint32_t nsaved);
/* Adds what the engine must know of a result; returns its output number or -1. */
int64_t mt_node_add_input(mt_node *node, const mt_tensor *result);
void mt_node_release_saved(mt_node *node);
/* The count fell to zero: drops everything (work list), the host frees the block. */
void mt_node_finalize(mt_node *node);

/* The edge a consumer of `tensor` points to: its grad_fn, or the accumulator of a leaf that
 * requires a gradient, or none. New reference inside. */
int mt_gradient_edge(mt_tensor *tensor, mt_edge *edge);
mt_node *mt_accumulator(mt_tensor *leaf); /* new reference; made on demand */
/* grad_fn as Python sees it: refreshed for a view whose base was written. Borrowed, may be NULL
 * without error; -1 on failure through *ok. */
int mt_grad_fn(mt_tensor *self, mt_node **out);

/* `result` was computed by `node`: sets grad_fn, output number, requires_grad. */
int mt_set_history(mt_tensor *result, mt_node *node);
int mt_check_inplace(mt_tensor *self, bool requires_grad);
/* After an in-place write on `self` recorded as `node`: rebases history, for views on the base. */
int mt_rebase_history(mt_tensor *self, mt_node *node);

/* The node's name as error texts give it: "MulBackward0" is Mul, "MaxBackward1" Max1. */
const char *mt_node_short_name(const mt_node *node);
mt_node *mt_node_of_call(mt_call *call, uint64_t want); /* record.c, for forward mode */

/* ---- saved values ------------------------------------------------------------------------- */

int mt_save_tensor(mt_saved *slot, mt_tensor *tensor, bool is_output);
/* New reference, with history; checks the version ("one of the variables needed for gradient
 * computation has been modified by an inplace operation: …"). */
mt_tensor *mt_unpack(mt_node *node, uint32_t slot);
void mt_saved_clear(mt_saved *slot);
int mt_saved_released(const mt_node *node); /* "Trying to backward through the graph a second time" */
/* Hooks of torch.autograd.graph.saved_tensors_hooks, set by the binding. `pack` takes the hooks of
 * the thread (mt_thread.saved_hooks) and fills slot->packed and slot->unpack; `unpack` gives what
 * the user's function made of it, a new reference without history. mt_saved_hooks_on counts the
 * pairs that any thread has pushed, so that saving looks for them only where there are some. */
extern int (*mt_saved_pack)(mt_saved *slot, mt_tensor *tensor);
extern mt_tensor *(*mt_saved_unpack)(mt_saved *slot);
extern int mt_saved_hooks_on;
/* Puts a packed value in the place of a tensor that was saved without hooks. */
int mt_saved_repack(mt_saved *slot, void *packed, void *unpack);
/* The tensor in a slot, with its history; new reference. */
mt_tensor *mt_saved_open(mt_node *node, mt_saved *slot);

/* ---- the engine --------------------------------------------------------------------------- */

/* Runs backward from `roots`. `inputs` (may be NULL): only these edges are computed and captured
 * in `captured` (new references or NULL each); accumulate: into .grad of the inputs instead. */
typedef struct mt_backward_args {
    const mt_edge *roots;
    mt_tensor *const *root_grads;
    int64_t nroots;
    bool keep_graph, create_graph, accumulate;
    const mt_edge *inputs;
    int64_t ninputs;
    mt_tensor **captured;
} mt_backward_args;
int mt_backward(const mt_backward_args *args);

int64_t mt_current_graph_task_id(void); /* -1 outside */
int mt_queue_callback(int (*callback)(void *), void *state, void (*drop)(void *));

/* Calls out to Python hooks; set by the binding. grads are replaced in place. */
typedef struct mt_hook_table {
    int (*pre)(void *hooks, mt_tensor **grads, int64_t n);              /* node.register_prehook */
    int (*tensor_pre)(void *hooks, mt_tensor **grads, int64_t n);
    int (*post)(void *hooks, mt_tensor **out, int64_t nout, mt_tensor *const *in, int64_t nin);
    int (*post_accumulate)(void *hooks, mt_tensor *leaf);
} mt_hook_table;
extern mt_hook_table mt_hooks;

/* Anomaly mode (torch.autograd.set_detect_anomaly). */
extern bool mt_anomaly_mode, mt_anomaly_check_nan;
/* Called in anomaly mode when a node was made and when one failed (the error is kept); set by the
 * binding, NULL without one. */
extern void (*mt_anomaly_made)(mt_node *node);
extern void (*mt_anomaly_failed)(mt_node *node);

/* grad summed to a shape it was broadcast from (new reference). */
mt_tensor *mt_sum_to(mt_tensor *grad, int ndim, const int64_t *sizes);
