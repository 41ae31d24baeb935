/* Filling a tensor with one number. */
#include "base/pool.h"
#include "kernels/convert.h"
#include "ops/pointwise.h"
#include "tensor/iter.h"

typedef struct fill {
    char value[16];
    size_t size;
} fill;

static void
run_fill(void *ctx, char **ptrs, const int64_t *strides, int64_t n)
{
    const fill *f = ctx;
    if (strides[0] == (int64_t)f->size) {
        bool zero = true;
        for (size_t i = 0; i < f->size; i++)
            zero &= f->value[i] == 0;
        if (zero)
            memset(ptrs[0], 0, (size_t)n * f->size);
        else
            mt_gather(ptrs[0], f->value, 0, n, f->size);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(ptrs[0] + i * strides[0], f->value, f->size);
}

int
mt_fill_data(mt_tensor *self, mt_scalar value)
{
    if (self->numel == 0 || mt_is_meta(self))
        return 0;
    mt_tensor *t = mt_scalar_to_tensor(value, (mt_dtype)self->dtype);
    if (!t)
        return -1;
    fill f = {.size = (size_t)mt_itemsize(self)};
    memcpy(f.value, mt_data(t), f.size);
    mt_release(t);
    mt_iter it;
    mt_iter_init(&it, 1, &self, self->ndim, self->sizes);
    mt_iter_simplify(&it);
    mt_iter_run(&it, run_fill, &f, MT_GRAIN);
    return 0;
}
