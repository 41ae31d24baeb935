/* Window functions: sums of cosines, a triangle, Kaiser's. A periodic window is one longer, its last
 * element left out. */
#include <math.h>

#include "base/error.h"
#include "ops_gen.h"
#include "tensor/copy.h"

typedef enum shape { COSINES, TRIANGLE, KAISER } shape;

/* I0 by its power series: terms fall off once they pass x / 2. */
static double
bessel_i0(double x)
{
    double sum = 1, term = 1, q = 0.25 * x * x;
    for (int k = 1; k < 500 && term > sum * 1e-18; k++) {
        term *= q / ((double)k * k);
        sum += term;
    }
    return sum;
}

/* COSINES: c[0] - c[1] cos(t) + c[2] cos(2 t); KAISER: c[0] is beta. */
static mt_tensor *
window(const char *name, int64_t length, bool periodic, shape kind, const double *c, mt_dtype dtype, mt_device device)
{
    mt_dtype t = dtype == MT_DTYPE_NONE ? mt_default_dtype : dtype;
    if (!mt_is_floating(t))
        return mt_fail_null(MT_RUNTIME,
                            "%s expects floating point dtypes, got: TensorOptions(dtype=%s, device=%s, layout=Strided "
                            "(default), requires_grad=false (default), pinned_memory=false, memory_format=(nullopt))",
                            name, mt_dtypes[t].legacy_name ? mt_dtypes[t].legacy_name : mt_dtypes[t].name,
                            device.type < 0 ? "cpu" : mt_device_str(device));
    if (length < 0)
        return mt_fail_null(MT_RUNTIME, "%s requires non-negative window_length, got window_length=%lld", name,
                            (long long)length);
    if (device.type == MT_META)
        return mt_empty(1, &length, NULL, t, device);
    mt_tensor *w = mt_empty(1, &length, NULL, MT_FLOAT64, MT_CPU_DEVICE);
    if (!w)
        return NULL;
    double *x = mt_data(w), last = (double)(periodic ? length : length - 1);
    for (int64_t i = 0; i < length; i++) {
        if (length == 1) {
            x[i] = 1;
            continue;
        }
        double at = (double)i / last, turn = 2 * M_PI * at, away = 2 * at - 1;
        if (kind == COSINES)
            x[i] = c[0] - c[1] * cos(turn) + c[2] * cos(2 * turn);
        else if (kind == TRIANGLE)
            x[i] = 1 - fabs(away);
        else
            x[i] = bessel_i0(c[0] * sqrt(MT_MAX(1 - away * away, 0.0))) / bessel_i0(c[0]);
    }
    if (t == MT_FLOAT64)
        return w;
    mt_tensor *r = mt_empty(1, &length, NULL, t, MT_CPU_DEVICE);
    if (r && mt_copy_data(r, w) < 0) {
        mt_release(r);
        r = NULL;
    }
    mt_release(w);
    return r;
}

static const double hann[] = {0.5, 0.5, 0}, hamming[] = {0.54, 0.46, 0}, blackman[] = {0.42, 0.5, 0.08};
static const double kaiser[] = {12, 0, 0};

#define OPTIONS mt_dtype dtype, int64_t layout, mt_device device, mt_value pin_memory
#define BOTH(name, kind, c)                                                                        \
    mt_tensor *op_##name##_window(int64_t window_length, OPTIONS)                                  \
    {                                                                                              \
        (void)layout, (void)pin_memory;                                                            \
        return window(#name "_window", window_length, true, kind, c, dtype, device);               \
    }                                                                                              \
    mt_tensor *op_##name##_window_periodic(int64_t window_length, bool periodic, OPTIONS)          \
    {                                                                                              \
        (void)layout, (void)pin_memory;                                                            \
        return window(#name "_window", window_length, periodic, kind, c, dtype, device);           \
    }
BOTH(hann, COSINES, hann)
BOTH(hamming, COSINES, hamming)
BOTH(blackman, COSINES, blackman)
BOTH(bartlett, TRIANGLE, NULL)
BOTH(kaiser, KAISER, kaiser)

mt_tensor *
op_hamming_window_periodic_alpha(int64_t window_length, bool periodic, double alpha, OPTIONS)
{
    (void)layout, (void)pin_memory;
    return window("hamming_window", window_length, periodic, COSINES, (double[]){alpha, 0.46, 0}, dtype, device);
}

mt_tensor *
op_hamming_window_periodic_alpha_beta(int64_t window_length, bool periodic, double alpha, double beta, OPTIONS)
{
    (void)layout, (void)pin_memory;
    return window("hamming_window", window_length, periodic, COSINES, (double[]){alpha, beta, 0}, dtype, device);
}

mt_tensor *
op_kaiser_window_beta(int64_t window_length, bool periodic, double beta, OPTIONS)
{
    (void)layout, (void)pin_memory;
    return window("kaiser_window", window_length, periodic, KAISER, (double[]){beta, 0, 0}, dtype, device);
}
