/* The tensor: a typed, strided window on a storage, and its place in the autograd graph.
 *
 * One block holds the host's object head and this struct, so a tensor has one reference count and
 * one identity for C and Python alike. Sizes and strides of up to five dimensions lie inside.
 * The functions here know geometry only; what an operator does with it (versions, gradients,
 * keys) happens in dispatch/ and autograd/. */
#pragma once

#include "base/dtype.h"
#include "base/host.h"
#include "base/thread.h"
#include "base/keys.h"
#include "tensor/storage.h"

#define MT_INLINE_DIMS 5

/* PyTorch's DeviceType numbers. */
typedef enum mt_device_type {
    MT_CPU = 0, MT_CUDA = 1, MT_MKLDNN = 2, MT_OPENGL = 3, MT_OPENCL = 4, MT_IDEEP = 5, MT_HIP = 6,
    MT_FPGA = 7, MT_MAIA = 8, MT_XLA = 9, MT_VULKAN = 10, MT_METAL = 11, MT_XPU = 12, MT_MPS = 13,
    MT_META = 14, MT_HPU = 15, MT_VE = 16, MT_LAZY = 17, MT_IPU = 18, MT_MTIA = 19,
    MT_PRIVATEUSE1 = 20, MT_NUM_DEVICE_TYPES,
} mt_device_type;

typedef struct mt_device {
    int8_t type;  /* mt_device_type, -1: none given */
    int8_t index; /* -1: none */
} mt_device;

#define MT_NO_DEVICE ((mt_device){-1, -1})
#define MT_CPU_DEVICE ((mt_device){MT_CPU, -1})

typedef enum mt_memory_format {
    MT_FORMAT_NONE = -1, MT_CONTIGUOUS = 0, MT_PRESERVE = 1, MT_CHANNELS_LAST = 2,
    MT_CHANNELS_LAST_3D = 3,
} mt_memory_format;

enum {                                  /* mt_tensor.flags */
    MT_T_REQUIRES_GRAD = 1 << 0,        /* also set while grad_fn is */
    MT_T_CONTIGUOUS = 1 << 1,           /* geometry: kept by mt_tensor_set_geometry */
    MT_T_CHANNELS_LAST = 1 << 2,        /* is contiguous in that format */
    MT_T_CHANNELS_LAST_3D = 1 << 3,
    MT_T_DENSE = 1 << 4,                /* non-overlapping and dense */
    MT_T_HEAP_DIMS = 1 << 5,            /* sizes and strides lie in a block of their own */
    MT_T_WRAPPED_NUMBER = 1 << 6,       /* made of a Python number: weak in type promotion */
    MT_T_INFERENCE = 1 << 7,
    MT_T_VIEW = 1 << 8,                 /* differentiable view: `base` is set */
    MT_T_NO_GRAD_FN_REFRESH = 1 << 9,
    MT_T_TRACKED = 1 << 10,             /* the collector knows it */
    MT_T_SUBCLASS = 1 << 11,            /* host type is not the plain tensor type */
};

/* How a view came to be: decides which in-place writes it allows. ORDER CREATION */
typedef enum mt_creation {
    MT_MADE_DEFAULT, MT_MADE_IN_FUNCTION, MT_MADE_MULTI_OUTPUT, MT_MADE_NO_GRAD, MT_MADE_INFERENCE,
} mt_creation;

/* A version counter that several tensors share (views and their base, detach). */
typedef struct mt_version {
    intptr_t refcount;
    uint32_t count;
} mt_version;

struct mt_node;
struct mt_grad_meta;

typedef struct mt_tensor {
    mt_object head;
    mt_keys keys;
    mt_storage *storage;
    int64_t offset; /* in elements */
    int64_t numel;
    int64_t *sizes, *strides; /* ndim each, in elements */
    uint8_t dtype, ndim;
    mt_device device;
    uint32_t flags;
    uint32_t own_version;      /* while `version` is NULL */
    uint32_t output_nr;        /* which output of grad_fn */
    mt_version *version;       /* shared counter, NULL until somebody shares it */
    struct mt_node *grad_fn;   /* owned */
    struct mt_tensor *base;    /* of a view, owned */
    struct mt_grad_meta *meta; /* grad, hooks, tangents …: autograd/meta.h; NULL for most */
    uint32_t attr_version;     /* version at which a view's grad_fn was made */
    uint8_t creation;          /* mt_creation */
    uint8_t layout;            /* 0: strided */
    uint8_t batch_level;       /* vmap level of a batched tensor, 0: none (autograd/vmap.c) */
    int8_t batch_dim;          /* 0: `value` has the batch as first dimension; -1: same for all */
    struct mt_tensor *value;   /* of a batched tensor: what it stands for, owned */
    void *host_dict, *host_weakrefs; /* the binding's */
    int64_t dims[2 * MT_INLINE_DIMS];
} mt_tensor;

/* ---- making ------------------------------------------------------------------------------- */

/* Strides NULL: contiguous. Checks that numel and bytes fit; "Storage size calculation
 * overflowed" otherwise. Negative sizes fail. Uninitialised memory. */
mt_tensor *mt_empty(int ndim, const int64_t *sizes, const int64_t *strides, mt_dtype dtype,
                    mt_device device);
/* Contiguous in a memory format (channels_last needs 4 dimensions). */
mt_tensor *mt_empty_format(int ndim, const int64_t *sizes, mt_dtype dtype, mt_device device,
                           mt_memory_format format);
/* A zero-dimensional CPU tensor of a number; `wrapped` marks it weak in promotion. */
mt_tensor *mt_scalar_tensor_f64(double value, mt_dtype dtype, bool wrapped);
mt_tensor *mt_scalar_tensor_i64(int64_t value, mt_dtype dtype, bool wrapped);
/* A window on a storage (kept). No bounds check: see mt_check_bounds. */
mt_tensor *mt_tensor_on(mt_storage *storage, mt_dtype dtype, int64_t offset, int ndim,
                        const int64_t *sizes, const int64_t *strides, mt_keys keys,
                        mt_device device);
/* Another window on the storage of `self`: same dtype, device and keys; no gradient, own version.
 * The raw material of every view operator. */
mt_tensor *mt_alias(const mt_tensor *self, int64_t offset, int ndim, const int64_t *sizes,
                    const int64_t *strides);
/* The same elements: mt_alias with the geometry of self. A subclass with the Python key makes its
 * alias itself: the host sets the function. */
mt_tensor *mt_alias_same(const mt_tensor *self);
extern mt_tensor *(*mt_alias_of_subclass)(const mt_tensor *self);

/* A tensor without storage, sizes or keys: the caller fills it in. */
mt_tensor *mt_tensor_blank(void);
/* Sets sizes and strides and recomputes numel and the geometry flags. strides NULL: contiguous. */
int mt_tensor_set_geometry(mt_tensor *self, int ndim, const int64_t *sizes,
                           const int64_t *strides);
/* Drops every reference the tensor holds; the host frees the block afterwards. */
void mt_tensor_finalize(mt_tensor *self);

/* Releases grad_fn, base and the rest of its autograd data (defined in autograd/). */
void mt_tensor_drop_autograd(mt_tensor *self);

/* ---- asking ------------------------------------------------------------------------------- */

MT_INLINE void *
mt_data(const mt_tensor *self)
{
    return (char *)self->storage->data + self->offset * (int64_t)mt_dtypes[self->dtype].size;
}

/* Wrappers of tensors and meta tensors have a geometry but no memory. */
MT_INLINE bool mt_has_data(const mt_tensor *t) { return t->storage->data || !t->numel; }
MT_INLINE bool mt_is_contiguous(const mt_tensor *t) { return t->flags & MT_T_CONTIGUOUS; }

/* A view needs a gradient too when its base got one after it was taken. */
MT_INLINE bool
mt_requires_grad(const mt_tensor *t)
{
    uint32_t f = t->flags & (MT_T_REQUIRES_GRAD | MT_T_VIEW);
    return f && (f & MT_T_REQUIRES_GRAD || t->base->flags & MT_T_REQUIRES_GRAD);
}

MT_INLINE bool mt_is_meta(const mt_tensor *t) { return t->device.type == MT_META; }
MT_INLINE bool mt_is_conj(const mt_tensor *t) { return t->keys & MT_KEY_BIT(Conjugate); }
MT_INLINE bool mt_is_neg(const mt_tensor *t) { return t->keys & MT_KEY_BIT(Negative); }
MT_INLINE bool mt_is_wrapped(const mt_tensor *t) { return t->flags & MT_T_WRAPPED_NUMBER; }
MT_INLINE int64_t mt_itemsize(const mt_tensor *t) { return mt_dtypes[t->dtype].size; }

MT_INLINE bool
mt_same_shape(const mt_tensor *a, const mt_tensor *b)
{
    return a->ndim == b->ndim &&
           !memcmp(a->sizes, b->sizes, (size_t)a->ndim * sizeof(int64_t));
}

MT_INLINE bool
mt_same_strides(const mt_tensor *a, const mt_tensor *b)
{
    return a->ndim == b->ndim &&
           !memcmp(a->strides, b->strides, (size_t)a->ndim * sizeof(int64_t));
}

/* "[2, 3]" of the sizes, for error texts. */
const char *mt_shape_str(const mt_tensor *self);
mt_memory_format mt_suggest_format(const mt_tensor *self);
bool mt_is_contiguous_format(const mt_tensor *self, mt_memory_format format);
/* PyTorch's estimate used by in-place operators: 0 no, 1 yes, 2 too hard to tell. */
int mt_internal_overlap(const mt_tensor *self);
enum { MT_OVERLAP_NONE, MT_OVERLAP_FULL, MT_OVERLAP_PARTIAL, MT_OVERLAP_TOO_HARD };
int mt_overlap(const mt_tensor *a, const mt_tensor *b);
/* PyTorch's errors for writing into overlapping memory. */
int mt_check_no_internal_overlap(const mt_tensor *self);
int mt_check_no_partial_overlap(const mt_tensor *a, const mt_tensor *b);
int mt_check_no_overlap(const mt_tensor *a, const mt_tensor *b);

/* ---- versions ----------------------------------------------------------------------------- */

/* A view counts with its base; nothing is allocated for that. */
MT_INLINE uint32_t
mt_tensor_version(const mt_tensor *self)
{
    while (!self->version && self->base)
        self = self->base;
    return self->version ? self->version->count : self->own_version;
}

MT_INLINE void
mt_bump_version(mt_tensor *self)
{
    while (!self->version && self->base)
        self = self->base;
    if (self->version)
        self->version->count++;
    else
        self->own_version++;
}

/* The counter of `self`, made shareable; a new reference. */
mt_version *mt_version_share(mt_tensor *self);
/* Makes `self` count together with `other` from now on. */
int mt_share_version(mt_tensor *self, mt_tensor *other);
void mt_version_unref(mt_version *version);

/* ---- geometry helpers --------------------------------------------------------------------- */

/* dim in [-ndim, ndim) to [0, ndim); a 0-dim tensor takes 0 and -1. -1 with PyTorch's IndexError:
 * "Dimension out of range (expected to be in range of [-2, 1], but got 5)". */
int mt_wrap_dim(int64_t dim, int ndim);
/* Broadcasts shape b into a (in place, a has room for MT_MAX_DIMS); returns the new ndim or -1
 * with "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0". */
int mt_broadcast(int64_t *sizes, int ndim, const int64_t *other, int other_ndim);
/* Row-major strides of a shape (sizes of 0 count as 1). Returns numel or -1 on overflow. */
int64_t mt_contiguous_strides(int ndim, const int64_t *sizes, int64_t *strides);
/* Strides in a memory format. */
int mt_format_strides(int ndim, const int64_t *sizes, mt_memory_format format, int64_t *strides);
/* numel, or -1 with the overflow error set. */
int64_t mt_numel_of(int ndim, const int64_t *sizes);
/* Strides that a result "like" `self` gets: self's own where it is dense, else its order of
 * dimensions, packed (PyTorch's preserve_format). */
void mt_preserved_strides(const mt_tensor *self, int64_t *strides);
/* Strides with which `self` can be seen as the given shape without a copy; false if it cannot.
 * numel must agree. */
bool mt_view_strides(const mt_tensor *self, int ndim, const int64_t *sizes, int64_t *strides);
/* A shape with at most one -1 against numel; result in out. PyTorch's "shape '[2, -1]' is invalid
 * for input of size 3" errors. */
int mt_infer_size(int64_t numel, int ndim, const int64_t *sizes, int64_t *out);
/* setStorage: bytes of the window must lie inside the storage. */
int mt_check_bounds(const mt_storage *storage, mt_dtype dtype, int64_t offset, int ndim,
                    const int64_t *sizes, const int64_t *strides, const char *who);

const char *mt_device_type_name(int type);
const char *mt_device_str(mt_device device); /* "cuda:0"; a rotating buffer */
mt_keys mt_device_keys(mt_device device, bool inference);
extern mt_dtype mt_default_dtype; /* torch.get_default_dtype */
MT_INLINE mt_dtype
mt_default_complex_dtype(void)
{
    return mt_default_dtype == MT_FLOAT64 ? MT_COMPLEX128 : MT_COMPLEX64;
}
