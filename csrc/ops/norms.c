/* Normalisation: (x - mean) / sqrt(var + eps) * weight + bias over different sets of dimensions. */
#include <stdio.h>

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
                 const mt_tensor *bias)
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
            len += (size_t)snprintf(text + len, sizeof text - len, ", %lld", (long long)shape[i]);
        return mt_fail(MT_RUNTIME,
                       "Given normalized_shape=%s, expected input with shape [%s], but got input of "
                       "size%s",
                       mt_str_ints(shape, n), text, mt_shape_str(x));
    }
    return 0;
}

int
op_native_layer_norm(mt_tensor *input, const int64_t *shape, int64_t n, mt_tensor *weight,
                     mt_tensor *bias, double eps, mt_tensor **ret0, mt_tensor **ret1,
                     mt_tensor **ret2)
{
    int64_t dims[MT_MAX_DIMS];
    if (check_normalized(input, shape, n, weight, bias) < 0)
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

mt_tensor *
op_rms_norm(mt_tensor *input, const int64_t *shape, int64_t n, mt_tensor *weight, mt_value eps)
{
    int64_t dims[MT_MAX_DIMS];
    if (check_normalized(input, shape, n, weight, NULL) < 0)
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
    int64_t per = input->sizes[0] * num_groups;
    int64_t shape[3] = {input->sizes[0], num_groups, per ? input->numel / per : 0}, dim = 2;
    mt_tensor *grouped = aten_reshape(input, shape, 3), *mean = NULL, *rstd = NULL;
    mt_tensor *s = grouped ? standardise(grouped, &dim, 1, eps, &mean, &rstd) : NULL;
    mt_tensor *x = s ? aten_reshape(s, input->sizes, input->ndim) : NULL;
    mt_tensor *w = x && weight ? along(weight, input, 1) : NULL;
    mt_tensor *b = x && bias ? along(bias, input, 1) : NULL;
    if (x)
        x = affine(x, w, b);
    mt_tensor *made[] = {grouped, mean, rstd, s, w, b};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return x;
}

/* running = (1 - momentum) * running + momentum * now */
static int
update_running(mt_tensor *running, mt_tensor *now, double momentum)
{
    mt_thread *thread = mt_this_thread();
    bool grad_mode = thread->grad_mode;
    thread->grad_mode = false;
    mt_tensor *flat = aten_reshape(now, running->sizes, running->ndim);
    mt_tensor *keep = flat ? mt_wrap_scalar(mt_v_float(1 - momentum)) : NULL;
    int rc = keep ? aten_mul__Tensor(running, keep) : -1;
    if (rc == 0)
        rc = aten_add__Tensor(running, flat, mt_v_float(momentum));
    thread->grad_mode = grad_mode;
    mt_xrelease(flat);
    mt_xrelease(keep);
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
    mt_tensor *mean = NULL, *var = NULL, *rstd = NULL, *c = NULL, *x = NULL, *w = NULL, *b = NULL;
    if (training) {
        int64_t dims[MT_MAX_DIMS], n = 0;
        for (int d = 0; d < input->ndim; d++)
            if (d != 1)
                dims[n++] = d;
        if (aten_var_mean_correction(input, dims, n, mt_v_int(0), true, &var, &mean) < 0)
            goto done;
        if (running_mean && update_running(running_mean, mean, momentum) < 0)
            goto done;
        if (running_var) {
            /* the running variance is the unbiased one */
            double count = channels ? (double)input->numel / (double)channels : 0;
            mt_tensor *d = aten_detach(var);
            mt_tensor *f = d ? mt_wrap_scalar(mt_v_float(count / (count - 1))) : NULL;
            mt_tensor *u = f ? aten_mul_Tensor(d, f) : NULL;
            int rc = u ? update_running(running_var, u, momentum) : -1;
            mt_xrelease(d);
            mt_xrelease(f);
            mt_xrelease(u);
            if (rc < 0)
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
    if (weight && !(w = along(weight, input, 1)))
        goto done;
    if (bias && !(b = along(bias, input, 1)))
        goto done;
    x = affine(aten_mul_Tensor(c, rstd), w, b);
done:
    mt_xrelease(mean);
    mt_xrelease(var);
    mt_xrelease(rstd);
    mt_xrelease(c);
    mt_xrelease(w);
    mt_xrelease(b);
    return x;
}

mt_tensor *
op_instance_norm(mt_tensor *input, mt_tensor *weight, mt_tensor *bias, mt_tensor *running_mean,
                 mt_tensor *running_var, bool use_input_stats, double momentum, double eps,
                 bool cudnn_enabled)
{
    if (input->ndim < 3)
        return mt_fail_null(MT_RUNTIME, "instance_norm: expected at least 3-D input, got %d-D", input->ndim);
    if (!use_input_stats || running_mean)
        return aten_batch_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum,
                               eps, cudnn_enabled);
    int64_t dims[MT_MAX_DIMS];
    for (int d = 2; d < input->ndim; d++)
        dims[d - 2] = d;
    mt_tensor *mean = NULL, *rstd = NULL;
    mt_tensor *x = standardise(input, dims, input->ndim - 2, eps, &mean, &rstd);
    mt_tensor *w = x && weight ? along(weight, input, 1) : NULL, *b = x && bias ? along(bias, input, 1) : NULL;
    if (x)
        x = affine(x, w, b);
    mt_xrelease(mean);
    mt_xrelease(rstd);
    mt_xrelease(w);
    mt_xrelease(b);
    return x;
}
