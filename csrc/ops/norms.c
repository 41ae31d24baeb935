/* Normalisation: (x - mean) / sqrt(var + eps) * weight + bias over different sets of dimensions. */
#include <stdio.h>

#include "autograd/autograd.h"
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

/* A view of a per-channel or per-feature tensor that broadcasts against x. */
static mt_tensor *
along(mt_tensor *t, const mt_tensor *x, int dim)
{
    int64_t shape[MT_MAX_DIMS];
    for (int d = 0; d < x->ndim; d++)
        shape[d] = d == dim ? -1 : 1;
    return aten_reshape(t, shape, x->ndim);
}

/* x * weight + bias, each optional; consumes x. */
static mt_tensor *
affine(mt_tensor *x, mt_tensor *weight, mt_tensor *bias)
{
    if (x && weight) {
        mt_tensor *t = aten_mul_Tensor(x, weight);
        mt_release(x);
        x = t;
    }
    if (x && bias) {
        mt_tensor *t = aten_add_Tensor(x, bias, mt_v_int(1));
        mt_release(x);
        x = t;
    }
    return x;
}

/* 1 / sqrt(var + eps) */
static mt_tensor *
reciprocal_deviation(mt_tensor *var, double eps)
{
    mt_tensor *e = mt_wrap_scalar(mt_v_float(eps)), *s = e ? aten_add_Tensor(var, e, mt_v_int(1)) : NULL;
    mt_tensor *r = s ? aten_rsqrt(s) : NULL;
    mt_xrelease(e);
    mt_xrelease(s);
    return r;
}

/* (x - mean) * rstd over the dimensions; mean and rstd keep them. */
static mt_tensor *
standardise(mt_tensor *x, const int64_t *dims, int64_t n, double eps, mt_tensor **mean,
            mt_tensor **rstd)
{
    mt_tensor *var = NULL, *c = NULL, *r = NULL;
    *mean = *rstd = NULL;
    if (aten_var_mean_correction(x, dims, n, mt_v_int(0), true, &var, mean) == 0 &&
        (*rstd = reciprocal_deviation(var, eps)) && (c = aten_sub_Tensor(x, *mean, mt_v_int(1))))
        r = aten_mul_Tensor(c, *rstd);
    mt_xrelease(var);
    mt_xrelease(c);
    return r;
}

static int
check_normalized(const mt_tensor *x, const int64_t *shape, int64_t n, const mt_tensor *weight,
                 const mt_tensor *bias, const char *after_star)
{
    if (n < 1)
        return mt_fail(MT_RUNTIME,
                       "Expected normalized_shape to be at least 1-dimensional, i.e., containing at "
                       "least one element, but got normalized_shape = %s",
                       mt_str_ints(shape, n));
    const mt_tensor *both[2] = {weight, bias};
    for (int i = 0; i < 2; i++)
        if (both[i] && (both[i]->ndim != n || memcmp(both[i]->sizes, shape, (size_t)n * sizeof(int64_t))))
            return mt_fail(MT_RUNTIME,
                           "Expected %s to be of same shape as normalized_shape, but got %s of shape %s "
                           "and normalized_shape = %s",
                           i ? "bias" : "weight", i ? "bias" : "weight", mt_shape_str(both[i]),
                           mt_str_ints(shape, n));
    if (x->ndim < n || memcmp(x->sizes + x->ndim - n, shape, (size_t)n * sizeof(int64_t))) {
        char text[256] = "*";
        size_t len = 1;
        for (int64_t i = 0; i < n && len < sizeof text - 24; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%lld", i ? ", " : after_star,
                                    (long long)shape[i]);
        return mt_fail(MT_RUNTIME,
                       "Given normalized_shape=%s, expected input with shape [%s], but got input of "
                       "size%s",
                       mt_str_ints(shape, n), text, mt_shape_str(x));
    }
    return 0;
}

/* Gradients of y = x_hat * weight + bias with x_hat = (x - mean) * rstd over `dims`:
 *   dx = rstd * (g - mean(g) - x_hat * mean(g * x_hat)),  g = grad * weight.
 * mean and rstd keep the dimensions. With `frozen`, they do not depend on x: dx = rstd * g. */
static int
standardise_backward(mt_tensor *grad, mt_tensor *x, const int64_t *dims, int64_t n, mt_tensor *mean,
                     mt_tensor *rstd, mt_tensor *weight, bool frozen, bool want_x,
                     mt_tensor **dx, mt_tensor **product)
{
    mt_tensor *c = aten_sub_Tensor(x, mean, mt_v_int(1)), *x_hat = c ? aten_mul_Tensor(c, rstd) : NULL;
    mt_tensor *g = NULL, *gm = NULL, *gx = NULL, *gxm = NULL, *part = NULL, *all = NULL, *sum = NULL;
    int rc = -1;
    if (!x_hat)
        goto done;
    if (product && !(*product = aten_mul_Tensor(grad, x_hat)))
        goto done;
    if (want_x) {
        if (!(g = weight ? aten_mul_Tensor(grad, weight) : mt_keep(grad)))
            goto done;
        if (frozen)
            sum = mt_keep(g);
        else if ((gm = aten_mean_dim(g, dims, n, true, MT_DTYPE_NONE)) && (gx = aten_mul_Tensor(g, x_hat)) &&
                 (gxm = aten_mean_dim(gx, dims, n, true, MT_DTYPE_NONE)) && (part = aten_mul_Tensor(x_hat, gxm)) &&
                 (all = aten_add_Tensor(part, gm, mt_v_int(1))))
            sum = aten_sub_Tensor(g, all, mt_v_int(1));
        if (!sum || !(*dx = aten_mul_Tensor(sum, rstd)))
            goto done;
    }
    rc = 0;
done:;
    mt_tensor *made[] = {c, x_hat, g, gm, gx, gxm, part, all, sum};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return rc;
}

/* Whether somebody may take derivatives of what is computed from x now: a graph, tangents, or
 * either of them inside a batch. */
static bool
is_followed(const mt_tensor *x)
{
    return (mt_this_thread()->grad_mode && mt_requires_grad(x)) || (x->meta && x->meta->tangents) ||
           (x->keys & MT_BATCHED_KEY);
}

/* Mean and reciprocal deviation again, as functions of x: where the gradient is itself followed,
 * the saved ones would be constants. New references. */
static int
statistics(mt_tensor *x, const int64_t *dims, int64_t n, double eps, mt_tensor **mean, mt_tensor **rstd)
{
    mt_tensor *var = NULL;
    *mean = *rstd = NULL;
    if (aten_var_mean_correction(x, dims, n, mt_v_int(0), true, &var, mean) == 0)
        *rstd = reciprocal_deviation(var, eps);
    mt_xrelease(var);
    return *rstd ? 0 : -1;
}

/* Sum over the dimensions, seen as `shape`; NULL shape: as it is. Consumes t. */
static mt_tensor *
summed(mt_tensor *t, const int64_t *dims, int64_t n)
{
    mt_tensor *r = !t ? NULL : n ? aten_sum_dim_IntList(t, dims, n, false, MT_DTYPE_NONE) : mt_keep(t);
    mt_xrelease(t);
    return r;
}

int
op_native_layer_norm(mt_tensor *input, const int64_t *shape, int64_t n, mt_tensor *weight,
                     mt_tensor *bias, double eps, mt_tensor **ret0, mt_tensor **ret1,
                     mt_tensor **ret2)
{
    int64_t dims[MT_MAX_DIMS];
    if (check_normalized(input, shape, n, weight, bias, ", ") < 0)
        return -1;
    for (int64_t i = 0; i < n; i++)
        dims[i] = input->ndim - n + i;
    *ret0 = affine(standardise(input, dims, n, eps, ret1, ret2), weight, bias);
    if (*ret0)
        return 0;
    mt_xrelease(*ret1);
    mt_xrelease(*ret2);
    *ret1 = *ret2 = NULL;
    return -1;
}

/* eps is not an argument; it follows from the saved reciprocal deviation and the variance. */
static int
recorded_statistics(mt_tensor *x, const int64_t *dims, int64_t n, mt_tensor *saved, mt_tensor **mean,
                    mt_tensor **rstd)
{
    mt_tensor *var = NULL, *square = NULL, *inverse = NULL, *fixed = NULL, *eps = NULL, *sum = NULL, *s = NULL;
    *mean = *rstd = NULL;
    if (aten_var_mean_correction(x, dims, n, mt_v_int(0), true, &var, mean) == 0 && (s = aten_detach(saved)) &&
        (square = aten_mul_Tensor(s, s)) && (inverse = aten_reciprocal(square)) && (fixed = aten_detach(var)) &&
        (eps = aten_sub_Tensor(inverse, fixed, mt_v_int(1))) && (sum = aten_add_Tensor(var, eps, mt_v_int(1))))
        *rstd = aten_rsqrt(sum);
    mt_tensor *made[] = {var, square, inverse, fixed, eps, sum, s};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return *rstd ? 0 : -1;
}

int
op_native_layer_norm_backward(mt_tensor *grad, mt_tensor *input, const int64_t *shape, int64_t n,
                              mt_tensor *mean, mt_tensor *rstd, mt_tensor *weight, mt_tensor *bias,
                              const int64_t *mask, int64_t mask_n, mt_tensor **ret0, mt_tensor **ret1,
                              mt_tensor **ret2)
{
    int64_t dims[MT_MAX_DIMS], outer[MT_MAX_DIMS];
    int lead = (int)(input->ndim - n);
    mt_tensor *m = NULL, *r = NULL, *product = NULL;
    (void)shape;
    (void)mask_n;
    (void)bias;
    for (int d = 0; d < input->ndim; d++)
        *(d < lead ? &outer[d] : &dims[d - lead]) = d;
    int rc = 0;
    if (is_followed(input))
        rc = recorded_statistics(input, dims, n, rstd, &m, &r);
    else {
        m = mt_keep(mean);
        r = mt_keep(rstd);
    }
    if (rc == 0)
        rc = standardise_backward(grad, input, dims, n, m, r, weight, false, mask[0], ret0,
                                  mask[1] ? &product : NULL);
    if (rc == 0 && mask[1])
        rc = (*ret1 = summed(mt_keep(product), outer, lead)) ? 0 : -1;
    if (rc == 0 && mask[2])
        rc = (*ret2 = summed(mt_keep(grad), outer, lead)) ? 0 : -1;
    mt_xrelease(m);
    mt_xrelease(r);
    mt_xrelease(product);
    return rc;
}

mt_tensor *
op_rms_norm(mt_tensor *input, const int64_t *shape, int64_t n, mt_tensor *weight, mt_value eps)
{
    int64_t dims[MT_MAX_DIMS];
    if (check_normalized(input, shape, n, weight, NULL, "") < 0)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        dims[i] = input->ndim - n + i;
    double e = !mt_is_none(eps)                ? mt_scalar_f64(eps)
               : input->dtype == MT_FLOAT64    ? 0x1p-52
               : input->dtype == MT_FLOAT16    ? 0x1p-10
               : input->dtype == MT_BFLOAT16   ? 0x1p-7
                                               : 0x1p-23;
    mt_tensor *sq = aten_mul_Tensor(input, input);
    mt_tensor *mean = sq ? aten_mean_dim(sq, dims, n, true, MT_DTYPE_NONE) : NULL;
    mt_tensor *r = mean ? reciprocal_deviation(mean, e) : NULL;
    mt_tensor *y = r ? affine(aten_mul_Tensor(input, r), weight, NULL) : NULL;
    mt_xrelease(sq);
    mt_xrelease(mean);
    mt_xrelease(r);
    return y;
}

mt_tensor *
op_group_norm(mt_tensor *input, int64_t num_groups, mt_tensor *weight, mt_tensor *bias, double eps,
              bool cudnn_enabled)
{
    (void)cudnn_enabled;
    if (input->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "Expected at least 2 dimensions for input tensor but received %d",
                            input->ndim);
    int64_t channels = input->sizes[1];
    if (num_groups <= 0)
        return mt_fail_null(MT_RUNTIME, "Expected num groups to be greater than 0, got %lld",
                            (long long)num_groups);
    if (channels % num_groups)
        return mt_fail_null(MT_RUNTIME,
                            "Expected number of channels in input to be divisible by num_groups, but got "
                            "input of shape %s and num_groups=%lld",
                            mt_shape_str(input), (long long)num_groups);
    mt_tensor *both[2] = {weight, bias};
    for (int i = 0; i < 2; i++)
        if (both[i] && (both[i]->ndim != 1 || both[i]->numel != channels))
            return mt_fail_null(MT_RUNTIME,
                                "Expected %s to be a vector of size equal to the number of channels in "
                                "input, but got %s of shape %s and input of shape %s",
                                i ? "bias" : "weight", i ? "bias" : "weight", mt_shape_str(both[i]),
                                mt_shape_str(input));
    int64_t n = input->sizes[0], area = n > 0 && channels > 0 ? input->numel / (n * channels) : 0;
    mt_tensor *out = NULL, *mean = NULL, *rstd = NULL;
    mt_tensor *x = aten_contiguous(input, mt_suggest_format(input));
    if (x)
        aten_native_group_norm(x, weight, bias, n, channels, area, num_groups, eps, &out, &mean, &rstd);
    mt_xrelease(x);
    mt_xrelease(mean);
    mt_xrelease(rstd);
    return out;
}

int
op_native_group_norm(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, int64_t n, int64_t c,
                     int64_t area, int64_t groups, double eps, mt_tensor **ret0, mt_tensor **ret1,
                     mt_tensor **ret2)
{
    int64_t shape[3] = {n, groups, n > 0 ? n * c * area / (n * groups) : 0}, dim = 2, flat[2] = {n, groups};
    mt_tensor *grouped = aten_reshape(input, shape, 3), *mean = NULL, *rstd = NULL;
    mt_tensor *s = grouped ? standardise(grouped, &dim, 1, eps, &mean, &rstd) : NULL;
    mt_tensor *x = s ? aten_reshape(s, input->sizes, input->ndim) : NULL;
    mt_tensor *w = x && weight ? along(weight, input, 1) : NULL;
    mt_tensor *b = x && bias ? along(bias, input, 1) : NULL;
    *ret0 = x ? affine(x, w, b) : NULL;
    *ret1 = *ret0 ? aten_view(mean, flat, 2) : NULL;
    *ret2 = *ret1 ? aten_view(rstd, flat, 2) : NULL;
    mt_tensor *made[] = {grouped, mean, rstd, s, w, b};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return *ret2 ? 0 : -1;
}

int
op__group_norm_backward(mt_tensor *grad, mt_tensor *input, mt_tensor *mean, mt_tensor *rstd,
                        mt_tensor *weight, mt_tensor *bias, int64_t groups, double eps,
                        const int64_t *mask, int64_t mask_n, mt_tensor **ret0, mt_tensor **ret1,
                        mt_tensor **ret2)
{
    int64_t n = input->sizes[0], c = input->sizes[1], count = n > 0 ? input->numel / (n * groups) : 0;
    int64_t shape[3] = {n, groups, count}, dim = 2, kept[3] = {n, groups, 1}, others[MT_MAX_DIMS], left = 0;
    mt_tensor *x = NULL, *g = NULL, *w = NULL, *gw = NULL, *m = NULL, *r = NULL, *d = NULL, *product = NULL, *p = NULL;
    (void)mask_n;
    (void)bias;
    (void)c;
    for (int i = 0; i < input->ndim; i++)
        if (i != 1)
            others[left++] = i;
    int rc = -1;
    if (!(x = aten_reshape(input, shape, 3)) || !(g = aten_reshape(grad, shape, 3)))
        goto done;
    if (weight && !(w = along(weight, input, 1)))
        goto done;
    if (!(gw = w ? aten_mul_Tensor(grad, w) : mt_keep(grad)))
        goto done;
    mt_tensor *grouped = aten_reshape(gw, shape, 3);
    if (grouped && is_followed(input))
        rc = statistics(x, &dim, 1, eps, &m, &r);
    else if (grouped)
        rc = (m = aten_view(mean, kept, 3)) && (r = aten_view(rstd, kept, 3)) ? 0 : -1;
    if (rc == 0 && mask[0])
        rc = standardise_backward(grouped, x, &dim, 1, m, r, NULL, false, true, &d, NULL);
    mt_xrelease(grouped);
    if (rc == 0 && mask[0])
        rc = (*ret0 = aten_reshape(d, input->sizes, input->ndim)) ? 0 : -1;
    if (rc == 0 && mask[1]) {
        rc = standardise_backward(g, x, &dim, 1, m, r, NULL, false, false, NULL, &product);
        p = rc == 0 ? aten_reshape(product, input->sizes, input->ndim) : NULL;
        rc = p && (*ret1 = summed(mt_keep(p), others, left)) ? 0 : -1;
    }
    if (rc == 0 && mask[2])
        rc = (*ret2 = summed(mt_keep(grad), others, left)) ? 0 : -1;
done:;
    mt_tensor *made[] = {x, g, w, gw, m, r, d, product, p};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return rc;
}

int
op_native_group_norm_backward(mt_tensor *grad, mt_tensor *input, mt_tensor *mean, mt_tensor *rstd,
                              mt_tensor *weight, int64_t n, int64_t c, int64_t area, int64_t groups,
                              const int64_t *mask, int64_t mask_n, mt_tensor **ret0, mt_tensor **ret1,
                              mt_tensor **ret2)
{
    (void)n;
    (void)c;
    (void)area;
    return op__group_norm_backward(grad, input, mean, rstd, weight, NULL, groups, 1e-5, mask, mask_n, ret0, ret1,
                                   ret2);
}

/* running = (1 - momentum) * running + momentum * now. Statistics belong to the layer and not to the
 * graph: the write does not count as a new version. */
static int
update_running(mt_tensor *running, mt_tensor *now, double momentum)
{
    mt_thread *thread = mt_this_thread();
    bool grad_mode = thread->grad_mode;
    thread->grad_mode = false;
    mt_tensor *flat = aten_reshape(now, running->sizes, running->ndim), *old = NULL, *sum = NULL;
    mt_tensor *keep = flat ? mt_wrap_scalar(mt_v_float(1 - momentum)) : NULL;
    if (keep && (old = aten_mul_Tensor(running, keep)))
        sum = aten_add_Tensor(old, flat, mt_v_float(momentum));
    int rc = sum ? mt_copy_data(running, sum) : -1;
    thread->grad_mode = grad_mode;
    mt_xrelease(flat);
    mt_xrelease(keep);
    mt_xrelease(old);
    mt_xrelease(sum);
    return rc;
}

static int
check_channels(const mt_tensor *t, int64_t channels, const char *name)
{
    if (t && t->numel != channels)
        return mt_fail(MT_RUNTIME, "%s should contain %lld elements not %lld", name,
                       (long long)channels, (long long)t->numel);
    return 0;
}

int
op_native_batch_norm(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, mt_tensor *running_mean,
                     mt_tensor *running_var, bool training, double momentum, double eps,
                     mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    int64_t channels = input->sizes[1], dims[MT_MAX_DIMS], n = 0, none = 0;
    mt_tensor *mean = NULL, *var = NULL, *rstd = NULL, *c = NULL, *x = NULL, *w = NULL, *b = NULL;
    int rc = -1;
    for (int d = 0; d < input->ndim; d++)
        if (d != 1)
            dims[n++] = d;
    if (training) {
        if (aten_var_mean_correction(input, dims, n, mt_v_int(0), true, &var, &mean) < 0)
            goto done;
        /* an empty batch has no statistics to keep */
        if (running_mean && input->numel && update_running(running_mean, mean, momentum) < 0)
            goto done;
        if (running_var && input->numel) {
            /* the running variance is the unbiased one */
            double count = channels ? (double)input->numel / (double)channels : 0;
            mt_tensor *f = mt_wrap_scalar(mt_v_float(count / (count - 1)));
            mt_tensor *u = f ? aten_mul_Tensor(var, f) : NULL;
            int updated = u ? update_running(running_var, u, momentum) : -1;
            mt_xrelease(f);
            mt_xrelease(u);
            if (updated < 0)
                goto done;
        }
    } else {
        mean = along(running_mean, input, 1);
        var = mean ? along(running_var, input, 1) : NULL;
        if (!var)
            goto done;
    }
    if (!(rstd = reciprocal_deviation(var, eps)) || !(c = aten_sub_Tensor(input, mean, mt_v_int(1))))
        goto done;
    if ((weight && !(w = along(weight, input, 1))) || (bias && !(b = along(bias, input, 1))))
        goto done;
    if (!(x = affine(aten_mul_Tensor(c, rstd), w, b)))
        goto done;
    if (x->dtype != input->dtype) { /* halves with float32 weights stay halves */
        mt_tensor *t = aten_to_dtype(x, (mt_dtype)input->dtype, false, false, MT_FORMAT_NONE);
        mt_release(x);
        if (!(x = t))
            goto done;
    }
    *ret1 = training ? aten_reshape(mean, &channels, 1) : aten_new_empty(input, &none, 1, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
    *ret2 = !*ret1 ? NULL : training ? aten_reshape(rstd, &channels, 1) : aten_new_empty(input, &none, 1, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
    if (*ret2) {
        *ret0 = mt_keep(x);
        rc = 0;
    }
done:;
    mt_tensor *made[] = {mean, var, rstd, c, x, w, b};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return rc;
}

int
op__batch_norm_backward(mt_tensor *grad, mt_tensor *input, mt_tensor *weight, mt_tensor *bias,
                        mt_tensor *running_mean, mt_tensor *running_var, mt_tensor *save_mean,
                        mt_tensor *save_invstd, bool train, double eps, const int64_t *mask,
                        int64_t mask_n, mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    int64_t dims[MT_MAX_DIMS], n = 0;
    mt_tensor *m = NULL, *r = NULL, *w = NULL, *product = NULL;
    int rc = -1;
    (void)mask_n;
    (void)bias;
    for (int d = 0; d < input->ndim; d++)
        if (d != 1)
            dims[n++] = d;
    if (!train) {
        mt_tensor *var = (m = along(running_mean, input, 1)) ? along(running_var, input, 1) : NULL;
        r = var ? reciprocal_deviation(var, eps) : NULL;
        mt_xrelease(var);
        rc = r ? 0 : -1;
    } else if (is_followed(input))
        rc = statistics(input, dims, n, eps, &m, &r);
    else
        rc = (m = along(save_mean, input, 1)) && (r = along(save_invstd, input, 1)) ? 0 : -1;
    if (rc == 0 && weight)
        rc = (w = along(weight, input, 1)) ? 0 : -1;
    if (rc == 0)
        rc = standardise_backward(grad, input, dims, n, m, r, w, !train, mask[0], ret0, mask[1] ? &product : NULL);
    if (rc == 0 && mask[1])
        rc = (*ret1 = summed(mt_keep(product), dims, n)) ? 0 : -1;
    if (rc == 0 && mask[2])
        rc = (*ret2 = summed(mt_keep(grad), dims, n)) ? 0 : -1;
    mt_xrelease(m);
    mt_xrelease(r);
    mt_xrelease(w);
    mt_xrelease(product);
    return rc;
}

mt_tensor *
op_batch_norm(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, mt_tensor *running_mean,
              mt_tensor *running_var, bool training, double momentum, double eps,
              bool cudnn_enabled)
{
    (void)cudnn_enabled;
    if (input->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "batch_norm: expected at least 2-D input, got %d-D", input->ndim);
    int64_t channels = input->sizes[1];
    if (!training && (!running_mean || !running_var))
        return mt_fail_null(MT_RUNTIME, "Expected running_mean and running_var to be defined when training "
                                        "is False");
    if (check_channels(running_mean, channels, "running_mean") < 0 ||
        check_channels(running_var, channels, "running_var") < 0 ||
        check_channels(weight, channels, "weight") < 0 || check_channels(bias, channels, "bias") < 0)
        return NULL;
    mt_tensor *out = NULL, *mean = NULL, *rstd = NULL;
    aten_native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, &out, &mean, &rstd);
    mt_xrelease(mean);
    mt_xrelease(rstd);
    return out;
}

/* A vector per channel, once for each of n samples; NULL for none. */
static mt_tensor *
repeated(mt_tensor *t, int64_t n)
{
    return t ? aten_repeat(t, &n, 1) : NULL;
}

/* t = mean over the samples of the repeated statistics. */
static int
gather_running(mt_tensor *t, mt_tensor *each, int64_t n, int64_t channels)
{
    int64_t shape[2] = {n, channels}, dim = 0;
    mt_thread *thread = mt_this_thread();
    bool grad_mode = thread->grad_mode;
    thread->grad_mode = false;
    mt_tensor *v = aten_view(each, shape, 2), *m = v ? aten_mean_dim(v, &dim, 1, false, MT_DTYPE_NONE) : NULL;
    int rc = m ? mt_copy_data(t, m) : -1;
    thread->grad_mode = grad_mode;
    mt_xrelease(v);
    mt_xrelease(m);
    return rc;
}

/* Samples become channels of one sample. */
mt_tensor *
op_instance_norm(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, mt_tensor *running_mean,
                 mt_tensor *running_var, bool use_input_stats, double momentum, double eps,
                 bool cudnn_enabled)
{
    if (!use_input_stats && (!running_mean || !running_var))
        return mt_fail_null(MT_RUNTIME, "Expected running_mean and running_var to be defined when "
                                        "use_input_stats is false");
    if (input->ndim < 2)
        return mt_fail_null(MT_RUNTIME, "instance_norm: expected at least 2-D input, got %d-D", input->ndim);
    int64_t n = input->sizes[0], c = input->sizes[1], shape[MT_MAX_DIMS];
    memcpy(shape, input->sizes, input->ndim * sizeof(int64_t));
    shape[0] = 1;
    shape[1] = n * c;
    mt_tensor *given[4] = {weight, bias, running_mean, running_var}, *each[4] = {NULL}, *x = NULL, *y = NULL, *r = NULL;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 4; i++)
        rc = (each[i] = repeated(given[i], n)) || !given[i] ? 0 : -1;
    if (rc == 0 && (x = aten_contiguous(input, MT_CONTIGUOUS))) {
        mt_tensor *flat = aten_view(x, shape, input->ndim);
        y = flat ? aten_batch_norm(flat, each[0], each[1], each[2], each[3], use_input_stats, momentum, eps, cudnn_enabled)
                 : NULL;
        mt_xrelease(flat);
    }
    for (int i = 2; y && i < 4 && use_input_stats; i++)
        if (given[i] && gather_running(given[i], each[i], n, c) < 0) {
            mt_release(y);
            y = NULL;
        }
    r = y ? aten_view(y, input->sizes, input->ndim) : NULL;
    for (int i = 0; i < 4; i++)
        mt_xrelease(each[i]);
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}
