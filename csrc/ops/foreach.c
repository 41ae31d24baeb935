/* Lists of tensors: checks, and forms whose numbers arrive packed in a tensor. */
#include "ops/foreach.h"

#include "base/alloc.h"
#include "base/error.h"
#include "dispatch/op.h"
#include "ops_gen.h"
#include "tensor/copy.h"

int
mt_check_foreach(int64_t count)
{
    return count ? 0 : mt_fail(MT_RUNTIME, "Tensor list must have at least one tensor.");
}

int
mt_check_foreach_tensors(int64_t count, int64_t other)
{
    if (count == other)
        return 0;
    return mt_fail(MT_RUNTIME,
                   "Tensor lists must have the same number of tensors, got %lld and %lld",
                   (long long)count, (long long)other);
}

int
mt_check_foreach_scalars(int64_t count, int64_t numbers)
{
    if (count == numbers)
        return 0;
    return mt_fail(MT_RUNTIME, "Tensor list must have same number of elements as scalar list.");
}

int
mt_check_foreach_scalar(const mt_tensor *scalar)
{
    if (scalar->ndim == 0 && scalar->numel == 1)
        return 0;
    return mt_fail(MT_RUNTIME,
                   "scalar tensor expected to be 0 dim but it has %d dimensions and %lld elements.",
                   scalar->ndim, (long long)scalar->numel);
}

/* The elements of a vector as `count` numbers: *numbers and *room are blocks to free. */
static int
unpack(mt_tensor *packed, int64_t count, mt_value **numbers, mt_tensor **doubles)
{
    if (packed->ndim != 1)
        return mt_fail(MT_RUNTIME, "Expected packed scalar Tensor to be of dimension 1. Got %d instead.",
                       packed->ndim);
    if (packed->numel != count)
        return mt_fail(MT_RUNTIME,
                       "Expected length of scalars to match input of length %lld but got %lld instead.",
                       (long long)count, (long long)packed->numel);
    bool is_complex = mt_is_complex(packed->dtype), is_float = mt_is_floating(packed->dtype);
    mt_dtype dtype = is_complex ? MT_COMPLEX128 : is_float ? MT_FLOAT64 : MT_INT64;
    *doubles = mt_empty(1, packed->sizes, NULL, dtype, MT_CPU_DEVICE);
    *numbers = mt_alloc((size_t)(count ? count : 1) * sizeof **numbers);
    if (!*doubles || !*numbers || mt_copy_data(*doubles, packed) < 0)
        return -1;
    const char *data = mt_data(*doubles);
    for (int64_t i = 0; i < count; i++)
        (*numbers)[i] = is_complex ? mt_v_complex((const double *)data + 2 * i)
                        : is_float ? mt_v_float(((const double *)data)[i])
                                   : mt_v_int(((const int64_t *)data)[i]);
    return 0;
}

typedef int (*listed)(mt_tensor *const *self, int64_t self_n, mt_tensor *const *tensor1,
                      int64_t tensor1_n, mt_tensor *const *tensor2, int64_t tensor2_n,
                      const mt_value *scalars, int64_t scalars_n, mt_list *made);

static int
with_packed(mt_tensor *const *self, int64_t self_n, mt_tensor *const *tensor1, int64_t tensor1_n,
            mt_tensor *const *tensor2, int64_t tensor2_n, mt_tensor *scalars, listed op,
            mt_list *made)
{
    mt_value *numbers = NULL;
    mt_tensor *doubles = NULL;
    int rc = -1;
    if (mt_check_foreach(self_n) == 0 && unpack(scalars, self_n, &numbers, &doubles) == 0)
        rc = op(self, self_n, tensor1, tensor1_n, tensor2, tensor2_n, numbers, self_n, made);
    mt_xrelease(doubles);
    mt_free(numbers, (size_t)(self_n ? self_n : 1) * sizeof *numbers);
    return rc;
}

#define PACKED(name)                                                                               \
    static int name##__list(mt_tensor *const *self, int64_t self_n, mt_tensor *const *tensor1,     \
                            int64_t tensor1_n, mt_tensor *const *tensor2, int64_t tensor2_n,       \
                            const mt_value *scalars, int64_t scalars_n, mt_list *made)             \
    {                                                                                              \
        (void)made;                                                                                \
        return aten__foreach_##name##__ScalarList(self, self_n, tensor1, tensor1_n, tensor2,       \
                                                  tensor2_n, scalars, scalars_n);                  \
    }                                                                                              \
    int op__foreach_##name##_Tensor(mt_tensor *const *self, int64_t self_n,                        \
                                    mt_tensor *const *tensor1, int64_t tensor1_n,                  \
                                    mt_tensor *const *tensor2, int64_t tensor2_n,                  \
                                    mt_tensor *scalars, mt_list *made)                             \
    {                                                                                              \
        return with_packed(self, self_n, tensor1, tensor1_n, tensor2, tensor2_n, scalars,          \
                           aten__foreach_##name##_ScalarList, made);                               \
    }                                                                                              \
    int op__foreach_##name##__Tensor(mt_tensor *const *self, int64_t self_n,                       \
                                     mt_tensor *const *tensor1, int64_t tensor1_n,                 \
                                     mt_tensor *const *tensor2, int64_t tensor2_n,                 \
                                     mt_tensor *scalars)                                           \
    {                                                                                              \
        return with_packed(self, self_n, tensor1, tensor1_n, tensor2, tensor2_n, scalars,          \
                           name##__list, NULL);                                                    \
    }
PACKED(addcdiv)
PACKED(addcmul)
