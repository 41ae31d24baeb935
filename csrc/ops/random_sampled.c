/* Samplers whose parameters are tensors. The output is new and contiguous, so elements are drawn in
 * index order whatever the parameters' strides. */
#include "base/error.h"
#include "kernels/random.h"
#include "ops/generator.h"
#include "ops_gen.h"
#include "tensor/copy.h"

/* A new contiguous tensor of a shape, filled by `draw` from the parameters expanded to it. */
static mt_tensor *
sampled(int ndim, const int64_t *sizes, mt_tensor *const *params, int n, mt_generator *generator,
        int (*draw)(mt_rng *, const mt_random_out *, const mt_random_arg *))
{
    mt_tensor *out = NULL, *wide[2] = {NULL, NULL};
    mt_random_arg args[2];
    int rc = -1;
    if (!(out = mt_empty(ndim, sizes, NULL, (mt_dtype)params[0]->dtype, params[0]->device)))
        return NULL;
    if (mt_is_meta(out))
        return out;
    for (int i = 0; i < n; i++) {
        if (!(wide[i] = aten_expand(params[i], sizes, ndim, false)))
            goto done;
        args[i] = (mt_random_arg){mt_data(wide[i]), (mt_dtype)wide[i]->dtype, wide[i]->strides};
    }
    mt_random_out to = {mt_data(out), (mt_dtype)out->dtype, ndim, sizes, NULL};
    rc = draw(mt_rng_of(generator), &to, args);
done:
    mt_xrelease(wide[0]);
    mt_xrelease(wide[1]);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}

mt_tensor *
op_poisson(mt_tensor *self, mt_generator *generator)
{
    return sampled(self->ndim, self->sizes, &self, 1, generator, mt_random_poisson);
}

mt_tensor *
op__standard_gamma(mt_tensor *self, mt_generator *generator)
{
    return sampled(self->ndim, self->sizes, &self, 1, generator, mt_random_gamma);
}

static int
draw_binomial(mt_rng *r, const mt_random_out *out, const mt_random_arg *args)
{
    return mt_random_binomial(r, out, &args[0], &args[1]);
}

mt_tensor *
op_binomial(mt_tensor *count, mt_tensor *prob, mt_generator *generator)
{
    mt_tensor *params[2] = {count, prob};
    for (int i = 0; i < 2; i++)
        if (!mt_is_floating((mt_dtype)params[i]->dtype))
            return mt_fail_null(MT_VALUE,
                                "binomial only supports floating-point dtypes for %s, got: %s",
                                i ? "prob" : "count", mt_dtypes[params[i]->dtype].scalar_name);
    if (count->dtype != prob->dtype)
        return mt_fail_null(MT_RUNTIME, "Found dtype %s but expected %s",
                            mt_dtypes[prob->dtype].scalar_name, mt_dtypes[count->dtype].scalar_name);
    int64_t sizes[MT_MAX_DIMS];
    memcpy(sizes, count->sizes, (size_t)count->ndim * sizeof(int64_t));
    int ndim = mt_broadcast(sizes, count->ndim, prob->sizes, prob->ndim);
    return ndim < 0 ? NULL : sampled(ndim, sizes, params, 2, generator, draw_binomial);
}

mt_tensor *
op__sample_dirichlet(mt_tensor *self, mt_generator *generator)
{
    mt_tensor *out = mt_empty(self->ndim, self->sizes, NULL, (mt_dtype)self->dtype, self->device);
    if (!out || mt_is_meta(out))
        return out;
    int64_t n = self->ndim ? self->sizes[self->ndim - 1] : 1;
    mt_tensor *x = mt_contiguous_data(self, false);
    int rc = x ? mt_random_dirichlet(mt_rng_of(generator), (mt_dtype)self->dtype, mt_data(out),
                                     mt_data(x), n ? self->numel / n : 0, n)
               : -1;
    mt_xrelease(x);
    if (rc < 0) {
        mt_release(out);
        return NULL;
    }
    return out;
}
