/* What generated formulas call besides operators. */
#pragma once

#include "autograd/autograd.h"

/* *slot = value, old one released, new one kept; value may be NULL. */
MT_INLINE void
mt_assign(mt_tensor **slot, mt_tensor *value)
{
    mt_tensor *old = *slot;
    if (value)
        mt_keep(value);
    *slot = value;
    if (old)
        mt_release(old);
}

MT_INLINE int64_t
mt_size_at(const mt_tensor *t, int64_t dim)
{
    if (dim < 0)
        dim += t->ndim;
    return dim >= 0 && dim < t->ndim ? t->sizes[dim] : 1;
}

/* Saved value k of the node into *slot (a new reference, NULL where None was saved). */
int mt_unpack_to(mt_node *node, uint32_t k, mt_tensor **slot);
int mt_unpack_list(mt_node *node, uint32_t k, mt_list *list);
/* Gradients of a Tensor[] argument: out[i] = items[i] (new references). */
void mt_grads_from_list(mt_tensor **out, mt_tensor *const *items, int64_t count);
/* *sum += value, in forward mode: takes NULL as zero. */
int mt_tangent_add(mt_tensor **sum, mt_tensor *value);
/* The in-place and out= forms of composites: result into self, or into out (resized). */
int mt_copy_result(mt_tensor *self, mt_tensor *result);
int mt_copy_to_out(mt_tensor *out, mt_tensor *result, const char *op);
