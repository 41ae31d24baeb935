/* Operator records and the one calling convention.
 *
 * Every layer that an operator call passes has the shape `int f(mt_call *)`. A record says what the
 * operator is: its schema, its kernels, its derivative. Records are made by csrc/gen from the
 * table in ops/table (or at run time by torch.library) and read by generic handlers; no layer has
 * code per operator. */
#pragma once

#include "base/thread.h"
#include "dispatch/value.h"
#include "profiler/profiler.h"

typedef struct mt_op mt_op;
typedef struct mt_call mt_call;
typedef int (*mt_kernel)(mt_call *call);

/* Argument types of a schema. */
typedef enum mt_type {
    MT_A_TENSOR, MT_A_TENSORS, MT_A_INT, MT_A_FLOAT, MT_A_BOOL, MT_A_SCALAR, MT_A_INTS,
    MT_A_FLOATS, MT_A_BOOLS, MT_A_SCALARS, MT_A_STR, MT_A_DTYPE, MT_A_DEVICE, MT_A_LAYOUT,
    MT_A_FORMAT, MT_A_GENERATOR, MT_A_STORAGE, MT_A_OBJECT,
} mt_type;

enum {                     /* mt_arg.flags */
    MT_ARG_OPTIONAL = 1,   /* T? */
    MT_ARG_KWONLY = 2,
    MT_ARG_MUTATED = 4,    /* Tensor(a!) */
    MT_ARG_ALIASED = 8,    /* Tensor(a) */
    MT_ARG_OUT = 16,
    MT_ARG_ELEMENTS_OPTIONAL = 32, /* Tensor?[] */
    MT_ARG_HAS_DEFAULT = 64,
};

typedef struct mt_arg {
    const char *name;
    uint8_t type;      /* mt_type */
    uint8_t flags;
    int16_t list_size; /* int[2]: a single int stands for two; -1 */
    mt_value fallback; /* the default, where MT_ARG_HAS_DEFAULT */
} mt_arg;

enum {                       /* mt_op.flags */
    MT_OP_INPLACE = 1 << 0,  /* writes args[0] and returns it */
    MT_OP_OUT = 1 << 1,      /* writes the trailing out arguments and returns them */
    MT_OP_VIEW = 1 << 2,     /* rets[0] aliases args[0] */
    MT_OP_MULTI_VIEW = 1 << 3, /* returns a list of views */
    MT_OP_COMPOSITE = 1 << 4,  /* CompositeImplicit: made of other operators, no own derivative */
    MT_OP_EXPLICIT = 1 << 5,   /* CompositeExplicit: one kernel for every backend */
    MT_OP_STRUCTURED = 1 << 6, /* meta + impl */
    MT_OP_RANDOM = 1 << 7,
    MT_OP_NO_META = 1 << 8,    /* the data decide the shape */
    MT_OP_CONJ_OK = 1 << 9,    /* kernels read the lazy conjugate/negative bit themselves */
    MT_OP_FACTORY = 1 << 10,   /* makes a tensor from nothing: modes see it, keys come from device */
    MT_OP_POINTWISE = 1 << 11, /* spec is an mt_pointwise */
    MT_OP_OUT_CONTIGUOUS = 1 << 12, /* impl wants contiguous outputs */
    MT_OP_SAME_DTYPE_OUT = 1 << 13, /* out= must have the exact dtype, no cast */
    MT_OP_NONDETERMINISTIC = 1 << 14,
    MT_OP_CUSTOM = 1 << 15,    /* defined at run time */
    MT_OP_OWN_TABLE = 1 << 16, /* the handler table was changed at run time */
    MT_OP_SILENT = 1 << 17,    /* no event of its own in profiles: PyTorch calls no such operator */
    MT_OP_SILENT_SELF = 1 << 18, /* none where self is returned: PyTorch does not call it then */
};

/* How vmap runs an operator (mt_op.batch_rule). */
typedef enum mt_batch_rule {
    MT_BATCH_FALLBACK,  /* by its name (autograd/batch_rules.c), else a loop over the batch */
    MT_BATCH_POINTWISE, /* operands aligned to the right, one call */
    MT_BATCH_LOOP,      /* a loop over the batch, results stacked */
    MT_BATCH_SAME,      /* leading dimensions mean nothing to it: one call on the values */
    MT_BATCH_SHIFT,     /* dimensions counted from the left move by one, sizes get the batch */
    MT_BATCH_REDUCE,    /* like SHIFT; no dimensions given means all of an example */
    MT_BATCH_LIST,      /* joins tensors: all get the batch */
    MT_BATCH_OWN,       /* a function of batch_rules.c */
} mt_batch_rule;

struct mt_derivative;

struct mt_op {
    const char *name;     /* "aten::add" */
    const char *overload; /* "Tensor", "" */
    const char *schema;   /* "aten::add.Tensor(Tensor self, …) -> Tensor" */
    const mt_arg *args;
    uint8_t nargs, nrets;
    uint8_t nouts;         /* trailing out arguments */
    uint8_t tensor_args;   /* how many args are Tensor or Tensor? (fast path of key collection) */
    uint32_t tensor_mask;  /* args that are Tensor or Tensor? */
    uint32_t list_mask;    /* args that are Tensor[] or Tensor?[] */
    uint32_t flags;
    uint32_t list_rets;    /* mask of results that are Tensor[] */
    uint32_t nontensor_rets; /* mask of results that are numbers */
    mt_keys key_mask;      /* functionalities that do not fall through */
    mt_kernel meta, impl;  /* structured: shape checks, then the work; else meta is NULL */
    const mt_kernel *table; /* handler per functionality, MT_NUM_FUNCTIONALITIES entries */
    const void *spec;       /* of the family: mt_pointwise, mt_reduction … */
    const struct mt_derivative *derivative; /* NULL: not differentiable */
    const char *const *ret_names;
    uint32_t profiler_id;   /* interned name, 0: not yet */
    uint8_t cast_policy;    /* autocast: 0 none, 1 lower precision, 2 float32, 3 promote widest */
    uint8_t batch_rule;     /* vmap: mt_batch_rule */
    uint16_t flops_rule;
    void *host;             /* the binding's: Python kernels, OpOverload cache */
};

struct mt_call {
    const mt_op *op;
    mt_thread *thread;
    mt_keys keys;   /* what is left to dispatch on */
    mt_value *args; /* borrowed */
    mt_value *rets; /* new references, owned by the caller after success; NONE before */
    uint8_t dtype;        /* compute dtype that meta chose, for impl */
    uint32_t temporaries; /* outputs whose ret is a temporary, copied to the given tensor after impl */
    mt_prof_mark mark;    /* the profiler's, for the kernel slice */
};

/* ---- calling ------------------------------------------------------------------------------ */

/* The dispatcher: collects keys from the arguments, tells the profiler, runs the handler of the
 * highest key. 0 with rets filled, or -1 with the error set and rets NONE. */
int mt_dispatch(const mt_op *op, mt_value *args, mt_value *rets);
/* Goes on with the keys in call->keys (a handler passes the call to the layers below it). */
int mt_redispatch(mt_call *call);

MT_INLINE int
mt_redispatch_below(mt_call *call, int functionality)
{
    call->keys = mt_keys_below(call->keys, functionality);
    return mt_redispatch(call);
}

/* Runs the operator with exactly these keys (op.redispatch). */
int mt_dispatch_keys(const mt_op *op, mt_keys keys, mt_value *args, mt_value *rets);
/* OR of the keys of the tensors among the arguments; those of the device for factories. */
mt_keys mt_collect_keys(const mt_op *op, const mt_value *args);

/* Releases what rets hold (after an error in a later step). */
void mt_release_rets(const mt_op *op, mt_value *rets);

/* RAII-like guards: save, change, restore. */
typedef struct mt_key_guard { mt_keys included, excluded; } mt_key_guard;
MT_INLINE mt_key_guard
mt_exclude_keys(mt_thread *thread, mt_keys keys)
{
    mt_key_guard saved = {thread->included, thread->excluded};
    thread->excluded |= keys;
    return saved;
}
MT_INLINE void
mt_restore_keys(mt_thread *thread, mt_key_guard saved)
{
    thread->included = saved.included;
    thread->excluded = saved.excluded;
}

/* ---- outputs of structured operators ------------------------------------------------------ */

/* Functionalities that an operator with these flags answers to; the others fall through. */
#define MT_OP_KEYS(flags, cast)                                                                    \
    (MT_BACKEND_MASK | MT_KEY_BIT(Dense) | MT_KEY_BIT(Quantized) | MT_KEY_BIT(MkldnnCPU) |         \
     MT_KEY_BIT(Sparse) | MT_KEY_BIT(SparseCsr) | MT_KEY_BIT(NestedTensor) | MT_KEY_BIT(Python) |  \
     MT_AUTOGRAD_KEYS | MT_BATCHED_KEY | MT_KEY_BIT(FuncTorchGradWrapper) |                        \
     ((flags) & MT_OP_RANDOM ? MT_KEY_BIT(FuncTorchVmapMode) : 0) |                                \
     MT_KEY_BIT(PythonDispatcher) |                                                                \
     ((flags) & (MT_OP_COMPOSITE | MT_OP_CONJ_OK | MT_OP_VIEW | MT_OP_MULTI_VIEW)                  \
          ? 0                                                                                      \
          : MT_KEY_BIT(Conjugate) | MT_KEY_BIT(Negative)) |                                        \
     (((flags) & (MT_OP_INPLACE | MT_OP_OUT | MT_OP_VIEW | MT_OP_MULTI_VIEW)) &&                   \
              !((flags) & MT_OP_COMPOSITE)                                                         \
          ? MT_KEY_BIT(ADInplaceOrView)                                                            \
          : 0) |                                                                                   \
     ((cast) ? MT_KEY_BIT(AutocastCPU) : 0))

/* Called by meta: output `i` has this geometry. Functional call: makes the tensor (strides NULL:
 * contiguous). out=: resizes (with PyTorch's warning) and checks dtype and device. In-place: checks that shape and dtype
 * fit. Where the given tensor cannot be written directly (other dtype, overlap with an input,
 * strides that impl does not take) a temporary is made and copied afterwards. */
int mt_set_output(mt_call *call, int i, int ndim, const int64_t *sizes, const int64_t *strides,
                  mt_dtype dtype, mt_device device);
/* In the memory format that the model's strides suggest (channels_last after channels_last), on its
 * device. */
int mt_set_output_format(mt_call *call, int i, int ndim, const int64_t *sizes, mt_dtype dtype,
                         const mt_tensor *model);
/* Output `i` looks like `like` (sizes, preserved strides, device) with the dtype. */
int mt_set_output_like(mt_call *call, int i, const mt_tensor *like, mt_dtype dtype);
/* The tensor impl writes, borrowed. */
MT_INLINE mt_tensor *mt_out(mt_call *call, int i) { return call->rets[i].u.t; }
/* Functional, in-place or out=: what a meta function may want to know. */
MT_INLINE bool mt_is_inplace(const mt_call *call) { return call->op->flags & MT_OP_INPLACE; }
MT_INLINE bool mt_has_out(const mt_call *call) { return call->op->flags & MT_OP_OUT; }

/* 0 where an out= tensor has exactly this dtype. */
int mt_check_out_dtype(const mt_tensor *out, mt_dtype dtype);
/* resize_ of an out= tensor, with PyTorch's deprecation warning when it had elements. */
int mt_resize_output(mt_tensor *out, int ndim, const int64_t *sizes);
int mt_resize(mt_tensor *self, int ndim, const int64_t *sizes, const int64_t *strides);

/* ---- the registry ------------------------------------------------------------------------- */




/* "aten::add", "Tensor" -> record or NULL (no error). */
mt_op *mt_find_op(const char *name, const char *overload);
/* Handler tables shared by the records of one kind. */
extern const mt_kernel mt_table_default[MT_NUM_FUNCTIONALITIES];   /* Autograd, in-place, … CPU */
extern const mt_kernel mt_table_composite[MT_NUM_FUNCTIONALITIES]; /* one kernel above Autograd */
/* Gives the record a table of its own that may be changed (torch.library). */
mt_kernel *mt_own_table(mt_op *op);
int mt_register_op(mt_op *op); /* a record made at run time, kept for ever */

/* Generic handlers, one each (the files are named after the layer). */
int mt_handle_dense(mt_call *call);       /* CPU, Meta: structured or direct kernels */
int mt_handle_composite(mt_call *call);
int mt_call_alias(mt_call *call); /* kernel of another name: spec is the record that does the work */
int mt_handle_adinplaceorview(mt_call *call); /* versions and views: autograd/view.c */
int mt_handle_autograd(mt_call *call);    /* autograd/record.c */
int mt_handle_conjugate(mt_call *call);   /* dispatch/conjugate.c */
int mt_handle_negative(mt_call *call);
int mt_handle_autocast(mt_call *call);    /* dispatch/autocast.c */
int mt_handle_batched(mt_call *call);     /* autograd/vmap.c */
int mt_handle_vmap_mode(mt_call *call);   /* random operators inside vmap: autograd/vmap.c */
int mt_handle_python(mt_call *call);      /* set by the binding through mt_python_handler */
int mt_handle_missing(mt_call *call);     /* fails closed: names op, key and what is registered */
extern mt_kernel mt_python_handler;
extern mt_kernel mt_python_mode_handler;
