/* The bottom of the path of a call: meta, impl, and where their results go.
 *
 * meta states the geometry of each output through mt_set_output; whether that makes a tensor
 * (functional), checks one (in-place) or resizes one (out=) is decided here, so meta and impl are
 * written once for all variants. A given tensor that impl cannot write directly gets a temporary
 * that is copied over afterwards. */
#include "base/error.h"
#include "dispatch/op.h"
#include "tensor/copy.h"

/* Bits of call->temporaries: one per output for a temporary of a given tensor, and above them two
 * for the memory format that a packed result is to have (0: packed). */
enum { FORMAT_SHIFT = 8 };

static int
format_result(mt_value *ret, mt_memory_format format)
{
    mt_tensor *packed = ret->u.t;
    int64_t strides[MT_MAX_DIMS];
    if (mt_format_strides(packed->ndim, packed->sizes, format, strides) < 0)
        return -1;
    mt_tensor *t = mt_empty(packed->ndim, packed->sizes, strides, (mt_dtype)packed->dtype, packed->device);
    if (!t || (!mt_is_meta(t) && mt_copy_data(t, packed) < 0)) {
        mt_xrelease(t);
        return -1;
    }
    ret->u.t = t;
    mt_release(packed);
    return 0;
}

static int
finish_temporaries(mt_call *call)
{
    const mt_op *op = call->op;
    for (int i = 0; i < op->nrets; i++) {
        mt_memory_format format = (mt_memory_format)(call->temporaries >> (FORMAT_SHIFT + 2 * i) & 3);
        if (format && format_result(&call->rets[i], format) < 0)
            return -1;
        if (!(call->temporaries >> i & 1))
            continue;
        int at = op->flags & MT_OP_INPLACE ? 0 : op->nargs - op->nouts + i;
        mt_tensor *given = call->args[at].u.t, *temporary = call->rets[i].u.t;
        call->rets[i].u.t = mt_keep(given);
        int rc = mt_is_meta(given) ? 0 : mt_copy_data(given, temporary);
        mt_release(temporary);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Tensors that say they are on a device but have no memory: wrappers, whose class was switched
 * off. */
static int
check_memory(const mt_call *call)
{
    const mt_op *op = call->op;
    for (int i = 0; i < op->nargs; i++) {
        const mt_value *v = &call->args[i];
        uint32_t n = v->tag == MT_V_TENSORS ? v->len : v->tag == MT_V_TENSOR;
        for (uint32_t k = 0; k < n; k++) {
            const mt_tensor *t = v->tag == MT_V_TENSOR ? v->u.t : v->u.ts[k];
            if (t && !mt_is_meta(t) && !mt_has_data(t))
                return mt_fail(MT_RUNTIME,
                               "%s%s%s: a wrapper subclass has no memory of its own, and "
                               "__torch_dispatch__ is switched off",
                               op->name, op->overload[0] ? "." : "", op->overload);
        }
    }
    return 0;
}

static MT_NOINLINE int
other_backend(mt_call *call, mt_keys backends)
{
    const mt_op *op = call->op;
    int highest = backends ? 63 - __builtin_clzll(backends) : -1;
    if (highest != MT_B_Meta && highest != MT_B_CPU)
        return mt_handle_missing(call);
    if (highest == MT_B_Meta && check_memory(call) < 0)
        return -1;
    if (highest == MT_B_CPU)
        return -2;
    if (op->flags & MT_OP_NO_META)
        return mt_fail(MT_NOT_IMPLEMENTED,
                       "%s%s%s: attempted to run this operator with Meta tensors, but there was no "
                       "fake impl or Meta kernel registered for this operator. You may have run "
                       "into this message while using an operator with PT2 compilation APIs "
                       "(torch.compile/torch.export); in order to use this operator with those "
                       "APIs you'll need to add a fake impl.",
                       op->name, op->overload[0] ? "." : "", op->overload);
    if (!op->meta)
        return op->impl(call);
    if (op->meta(call) < 0 || finish_temporaries(call) < 0) {
        mt_release_rets(op, call->rets);
        return -1;
    }
    return 0;
}

int
mt_handle_dense(mt_call *call)
{
    const mt_op *op = call->op;
    mt_keys backends = call->keys & MT_BACKEND_MASK;
    if (MT_UNLIKELY(backends != MT_BACKEND_BIT(CPU))) {
        int rc = other_backend(call, backends);
        if (rc != -2)
            return rc;
    }
    if (op->meta && op->meta(call) < 0)
        goto fail;
    int rc;
    if (MT_UNLIKELY(call->mark.record != NULL)) {
        mt_prof_mark kernel = mt_prof_kernel_begin(call->mark, 0);
        rc = op->impl(call);
        mt_prof_kernel_end(kernel);
    } else
        rc = op->impl(call);
    if (MT_UNLIKELY(rc < 0))
        goto fail;
    if (MT_UNLIKELY(call->temporaries) && finish_temporaries(call) < 0)
        goto fail;
    return 0;
fail:
    mt_release_rets(op, call->rets);
    return -1;
}

/* ---- outputs ------------------------------------------------------------------------------ */

int
mt_resize(mt_tensor *self, int ndim, const int64_t *sizes, const int64_t *strides)
{
    for (int d = 0; d < ndim; d++)
        if (sizes[d] < 0)
            return mt_fail(MT_RUNTIME, "Trying to create tensor with negative dimension %lld: %s",
                           (long long)sizes[d], mt_str_ints(sizes, ndim));
    int64_t numel = mt_numel_of(ndim, sizes), span = numel, bytes;
    if (numel < 0)
        return -1;
    if (strides && numel) {
        span = 1;
        for (int d = 0; d < ndim; d++)
            span += (sizes[d] - 1) * strides[d];
    }
    if (mt_mul_overflows(span + (span ? self->offset : 0), mt_itemsize(self), &bytes))
        return mt_fail(MT_RUNTIME, "Storage size calculation overflowed with sizes=%s",
                       mt_str_ints(sizes, ndim));
    if ((uint64_t)bytes > self->storage->nbytes && mt_storage_resize(self->storage, (size_t)bytes) < 0)
        return -1;
    return mt_tensor_set_geometry(self, ndim, sizes, strides);
}

int
mt_resize_output(mt_tensor *out, int ndim, const int64_t *sizes)
{
    if (out->ndim == ndim && !memcmp(out->sizes, sizes, (size_t)ndim * sizeof(int64_t)))
        return 0;
    if (out->numel != 0 &&
        mt_warn(MT_WARN_USER,
                "An output with one or more elements was resized since it had shape %s, which does "
                "not match the required output shape %s. This behavior is deprecated, and in a "
                "future PyTorch release outputs will not be resized unless they have zero "
                "elements. You can explicitly reuse an out tensor t by resizing it, inplace, to "
                "zero elements with t.resize_(0).",
                mt_shape_str(out), mt_str_ints(sizes, ndim)) < 0)
        return -1;
    return mt_resize(out, ndim, sizes, NULL);
}

static bool
overlaps_input(const mt_call *call, const mt_tensor *out, bool exact_ok)
{
    const mt_op *op = call->op;
    for (int i = 0; i < op->nargs - op->nouts; i++) {
        const mt_value *v = &call->args[i];
        if (v->tag == MT_V_TENSOR && v->u.t->storage == out->storage) {
            if (v->u.t == out && (op->flags & MT_OP_INPLACE) && exact_ok)
                continue;
            if (mt_overlap(v->u.t, out) == MT_OVERLAP_NONE)
                continue;
            if (exact_ok && mt_overlap(v->u.t, out) == MT_OVERLAP_FULL)
                continue;
            return true;
        }
        if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                if (v->u.ts[k] && v->u.ts[k]->storage == out->storage)
                    return true;
    }
    return false;
}

/* In-place or out=: `given` must take the result, directly or through a temporary. */
int
mt_check_out_dtype(const mt_tensor *out, mt_dtype dtype)
{
    if (out->dtype == dtype)
        return 0;
    const char *want = mt_dtypes[dtype].legacy_name, *got = mt_dtypes[out->dtype].legacy_name;
    return mt_fail(MT_RUNTIME, "Expected out tensor to have dtype %s, but got %s instead",
                   want ? want : mt_dtypes[dtype].name, got ? got : mt_dtypes[out->dtype].name);
}

static MT_NOINLINE int
set_given(mt_call *call, int i, int ndim, const int64_t *sizes, const int64_t *strides,
          mt_dtype dtype, mt_device device)
{
    const mt_op *op = call->op;
    bool inplace = op->flags & MT_OP_INPLACE;
    mt_value *arg = &call->args[inplace ? 0 : op->nargs - op->nouts + i];
    if (arg->tag != MT_V_TENSOR) { /* an optional out that was not given */
        mt_tensor *t = mt_empty(ndim, sizes, strides, dtype, device);
        if (!t)
            return -1;
        call->rets[i] = mt_v_tensor(t);
        return 0;
    }
    mt_tensor *given = arg->u.t;
    if (given->device.type != device.type) {
        if (!(mt_is_meta(given) && inplace))
            return mt_fail(MT_RUNTIME, "Expected all tensors to be on the same device, but found at least two devices, %s and %s!",
                           mt_device_str(device), mt_device_str(given->device));
    }
    if (given->dtype != dtype) {
        if ((op->flags & MT_OP_SAME_DTYPE_OUT) && mt_check_out_dtype(given, dtype) < 0)
            return -1;
        if (!mt_can_cast(dtype, given->dtype))
            return mt_fail(MT_RUNTIME,
                           "result type %s can't be cast to the desired output type %s",
                           mt_dtypes[dtype].scalar_name, mt_dtypes[given->dtype].scalar_name);
    }
    bool same = given->ndim == ndim && !memcmp(given->sizes, sizes, (size_t)ndim * sizeof(int64_t));
    if (inplace) {
        if (!same)
            return mt_fail(MT_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                           mt_shape_str(given), mt_str_ints(sizes, ndim));
    } else if (!same) {
        if (mt_resize_output(given, ndim, sizes) < 0)
            return -1;
        if (strides && given->numel && mt_tensor_set_geometry(given, ndim, sizes, strides) < 0)
            return -1;
    }
    if (mt_check_no_internal_overlap(given) < 0)
        return -1;
    bool pointwise = op->flags & MT_OP_POINTWISE;
    if (pointwise)
        for (int k = 0; k < op->nargs - op->nouts; k++)
            if (call->args[k].tag == MT_V_TENSOR && call->args[k].u.t != given &&
                mt_check_no_partial_overlap(given, call->args[k].u.t) < 0)
                return -1;
    bool direct = given->dtype == dtype && !mt_is_conj(given) && !mt_is_neg(given) &&
                  !overlaps_input(call, given, pointwise) &&
                  (!(op->flags & MT_OP_OUT_CONTIGUOUS) || mt_is_contiguous(given));
    if (direct) {
        call->rets[i] = mt_v_tensor(mt_keep(given));
        return 0;
    }
    mt_tensor *t = mt_empty(ndim, sizes, NULL, dtype, device);
    if (!t)
        return -1;
    call->rets[i] = mt_v_tensor(t);
    call->temporaries |= 1u << i;
    return 0;
}

int
mt_set_output(mt_call *call, int i, int ndim, const int64_t *sizes, const int64_t *strides,
              mt_dtype dtype, mt_device device)
{
    if (MT_UNLIKELY(call->op->flags & (MT_OP_INPLACE | MT_OP_OUT)))
        return set_given(call, i, ndim, sizes, strides, dtype, device);
    if (MT_UNLIKELY(call->op->flags & MT_OP_OUT_CONTIGUOUS))
        strides = NULL;
    mt_tensor *t = mt_empty(ndim, sizes, strides, dtype, device);
    if (MT_UNLIKELY(!t))
        return -1;
    call->rets[i].tag = MT_V_TENSOR;
    call->rets[i].u.t = t;
    return 0;
}

int
mt_set_output_format(mt_call *call, int i, int ndim, const int64_t *sizes, mt_dtype dtype,
                     const mt_tensor *model)
{
    mt_memory_format format = mt_suggest_format(model);
    int64_t strides[MT_MAX_DIMS];
    if (MT_LIKELY(format == MT_CONTIGUOUS || ndim != model->ndim))
        return mt_set_output(call, i, ndim, sizes, NULL, dtype, model->device);
    if ((call->op->flags & (MT_OP_INPLACE | MT_OP_OUT | MT_OP_OUT_CONTIGUOUS)) == MT_OP_OUT_CONTIGUOUS) {
        call->temporaries |= (uint32_t)format << (FORMAT_SHIFT + 2 * i);
        return mt_set_output(call, i, ndim, sizes, NULL, dtype, model->device);
    }
    if (mt_format_strides(ndim, sizes, format, strides) < 0)
        return -1;
    return mt_set_output(call, i, ndim, sizes, strides, dtype, model->device);
}

int
mt_set_output_like(mt_call *call, int i, const mt_tensor *like, mt_dtype dtype)
{
    if (MT_LIKELY(mt_is_contiguous(like)))
        return mt_set_output(call, i, like->ndim, like->sizes, NULL, dtype, like->device);
    int64_t strides[MT_MAX_DIMS];
    mt_preserved_strides(like, strides);
    return mt_set_output(call, i, like->ndim, like->sizes, strides, dtype, like->device);
}
