/* Short-time Fourier transforms: windowed frames of a signal, transformed, and back by adding them
 * up where they overlap. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "ops/bag.h"
#include "ops_gen.h"
#include "tensor/copy.h"

enum { TEXT = 512 };

/* ---- how the errors show the call ------------------------------------------------------------- */

static int
show_tensor(char *text, size_t room, const mt_tensor *t, bool braces)
{
    const mt_dtype_info *d = &mt_dtypes[t->dtype];
    int n = d->legacy_name ? snprintf(text, room, "torch.%sTensor", d->scalar_name)
                           : snprintf(text, room, "CPU%sType", d->scalar_name);
    n += snprintf(text + n, room - (size_t)n, braces ? "{[" : "[");
    for (int i = 0; i < t->ndim && n < (int)room - 40; i++)
        n += snprintf(text + n, room - (size_t)n, i ? ", %lld" : "%lld", (long long)t->sizes[i]);
    return n + snprintf(text + n, room - (size_t)n, braces ? "]}" : "]");
}

static const char *
show_flag(mt_value v)
{
    return mt_is_none(v) ? "None" : v.u.i ? "1" : "0";
}

static void
show_start(char *text, const char *name, const mt_tensor *self, int64_t n_fft, int64_t hop, int64_t win,
           const mt_tensor *window)
{
    int n = snprintf(text, TEXT, "%s(", name);
    n += show_tensor(text + n, TEXT - (size_t)n, self, false);
    n += snprintf(text + n, TEXT - (size_t)n, ", n_fft=%lld, hop_length=%lld, win_length=%lld, window=", (long long)n_fft,
                  (long long)hop, (long long)win);
    if (window)
        show_tensor(text + n, TEXT - (size_t)n, window, true);
    else
        snprintf(text + n, TEXT - (size_t)n, "None");
}

/* ---- windows ---------------------------------------------------------------------------------- */

/* The window with zeros on both sides, in the middle of n_fft places; ones without a window. */
static mt_tensor *
centred_window(const mt_tensor *self, mt_tensor *window, int64_t win, int64_t n_fft)
{
    bag b = {0};
    mt_tensor *w = window, *r = NULL;
    if (!w) {
        if (win == n_fft && mt_is_complex((mt_dtype)self->dtype) == false)
            return aten_ones(&win, 1, (mt_dtype)self->dtype, -1, self->device, mt_v_none());
        TRY(w, aten_ones(&win, 1, mt_is_complex((mt_dtype)self->dtype) ? mt_dtypes[self->dtype].to_real : (mt_dtype)self->dtype, -1,
                         self->device, mt_v_none()));
    }
    int64_t left = (n_fft - win) / 2, pad[] = {left, n_fft - win - left};
    TRY(r, win == n_fft ? mt_keep(w) : aten_constant_pad_nd(w, pad, 2, mt_v_int(0)));
done:
    return finish(&b, r);
}

/* ---- forward ---------------------------------------------------------------------------------- */

mt_tensor *
op_stft(mt_tensor *self, int64_t n_fft, mt_value hop_length, mt_value win_length, mt_tensor *window, bool normalized,
        mt_value onesided, mt_value return_complex, mt_value align_to_window)
{
    int64_t hop = mt_is_none(hop_length) ? n_fft >> 2 : hop_length.u.i, win = mt_is_none(win_length) ? n_fft : win_length.u.i;
    bool align = !mt_is_none(align_to_window) && align_to_window.u.i;
    bool is_complex = mt_is_complex((mt_dtype)self->dtype) || (window && mt_is_complex((mt_dtype)window->dtype));
    if (!window && mt_warn(MT_WARN_USER, "A window was not provided. A rectangular window will be applied,which is known to "
                                         "cause spectral leakage. Other windows such as torch.hann_window or "
                                         "torch.hamming_window are recommended to reduce spectral leakage.To suppress this "
                                         "warning and use a rectangular window, explicitly set "
                                         "`window=torch.ones(n_fft, device=<device>)`.") < 0)
        return NULL;
    if (mt_is_none(return_complex)) {
        if (!is_complex)
            return mt_fail_null(MT_RUNTIME, "stft requires the return_complex parameter be given for real inputs, and will "
                                            "further require that return_complex=True in a future PyTorch release.");
        return_complex = mt_v_bool(true);
    } else if (!return_complex.u.i &&
               mt_warn(MT_WARN_USER, "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
                                     "return complex tensors for all inputs, and return_complex=False will raise an "
                                     "error.\nNote: you can still call torch.view_as_real on the complex output to recover "
                                     "the old return format.") < 0)
        return NULL;

    char text[TEXT];
    show_start(text, "stft", self, n_fft, hop, win, window);
    size_t used = strlen(text);
    snprintf(text + used, TEXT - used, ", normalized=%d, onesided=%s, return_complex=%s, align_to_window=%s) ", normalized,
             show_flag(onesided), show_flag(return_complex), show_flag(align_to_window));
    if (!mt_is_floating((mt_dtype)self->dtype) && !mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "%s: expected a tensor of floating point or complex values", text);
    if (self->ndim > 2 || self->ndim < 1)
        return mt_fail_null(MT_RUNTIME, "%s: expected a 1D or 2D tensor", text);
    int64_t length = self->sizes[self->ndim - 1];
    if (n_fft <= 0 || n_fft > length)
        return mt_fail_null(MT_RUNTIME, "%s: expected 0 < n_fft < %lld, but got n_fft=%lld", text, (long long)length,
                            (long long)n_fft);
    if (hop <= 0)
        return mt_fail_null(MT_RUNTIME, "%s: expected hop_length > 0, but got hop_length=%lld", text, (long long)hop);
    if (win <= 0 || win > n_fft)
        return mt_fail_null(MT_RUNTIME, "%s: expected 0 < win_length <= n_fft, but got win_length=%lld", text, (long long)win);
    if (window && (window->ndim != 1 || window->sizes[0] != win)) {
        char shape[128];
        int n = 0;
        shape[0] = 0;
        for (int i = 0; i < window->ndim && n < 100; i++)
            n += snprintf(shape + n, sizeof shape - (size_t)n, i ? ", %lld" : "%lld", (long long)window->sizes[i]);
        return mt_fail_null(MT_RUNTIME, "%s: expected a 1D window tensor of size equal to win_length=%lld, but got window with "
                                        "size [%s]", text, (long long)win, shape);
    }

    bag b = {0};
    mt_tensor *x, *w, *frames, *r = NULL;
    TRY(x, self->ndim == 1 ? aten_unsqueeze(self, 0) : mt_keep(self));
    if (align && win < n_fft) {
        /* frames begin where their windows do: what lies outside of these is multiplied by 0 */
        int64_t left = (n_fft - win) / 2, pad[] = {left, n_fft - win - left};
        TRY(x, aten_constant_pad_nd(x, pad, 2, mt_v_int(0)));
    }
    TRY(frames, aten_unfold(x, 1, n_fft, hop));
    if (window || win < n_fft) {
        TRY(w, centred_window(self, window, win, n_fft));
        TRY(frames, aten_mul_Tensor(frames, w));
    }
    is_complex = mt_is_complex((mt_dtype)frames->dtype);
    bool half = mt_is_none(onesided) ? !is_complex : onesided.u.i;
    int64_t last = 2, mode = normalized ? 1 : 0;
    if (half && is_complex) {
        mt_fail(MT_RUNTIME, "Cannot have onesided output if window or input is complex");
        goto done;
    }
    TRY(r, is_complex ? aten__fft_c2c(frames, &last, 1, mode, true) : aten__fft_r2c(frames, &last, 1, mode, half));
    TRY(r, aten_transpose_int(r, 1, 2));
    if (self->ndim == 1)
        TRY(r, aten_squeeze_dim(r, 0));
    if (!return_complex.u.i)
        TRY(r, aten_view_as_real(r));
done:
    return finish(&b, r);
}

/* ---- inverse ---------------------------------------------------------------------------------- */

/* What the frames of squared windows add up to must not vanish. */
static int
check_envelope(mt_tensor *envelope, const char *text)
{
    if (mt_is_meta(envelope))
        return 0;
    mt_tensor *size = aten_abs(envelope), *least = size ? aten_min(size) : NULL;
    mt_tensor *good = least ? aten_gt_Scalar(least, mt_v_float(1e-11)) : NULL;
    int rc = !good ? -1 : *(uint8_t *)mt_data(good) ? 0
             : mt_fail(MT_RUNTIME, "%s window overlap add min: 1\n[ CPUBoolType{} ]", text);
    mt_xrelease(size);
    mt_xrelease(least);
    mt_xrelease(good);
    return rc;
}

mt_tensor *
op_istft(mt_tensor *self, int64_t n_fft, mt_value hop_length, mt_value win_length, mt_tensor *window, bool center,
         bool normalized, mt_value onesided, mt_value length, bool return_complex)
{
    int64_t hop = mt_is_none(hop_length) ? n_fft >> 2 : hop_length.u.i, win = mt_is_none(win_length) ? n_fft : win_length.u.i;
    if (!window && mt_warn(MT_WARN_USER, "A window was not provided. A rectangular window will be applied.Please provide the "
                                         "same window used by stft to make the inversion lossless.To suppress this warning "
                                         "and use a rectangular window, explicitly set "
                                         "`window=torch.ones(n_fft, device=<device>)`.") < 0)
        return NULL;
    char text[TEXT];
    show_start(text, "istft", self, n_fft, hop, win, window);
    size_t used = strlen(text);
    char wanted[24] = "None";
    if (!mt_is_none(length))
        snprintf(wanted, sizeof wanted, "%lld", (long long)length.u.i);
    snprintf(text + used, TEXT - used, ", center=%d, normalized=%d, onesided=%s, length=%s, return_complex=%d)", center,
             normalized, show_flag(onesided), wanted, return_complex);
    if (!mt_is_complex((mt_dtype)self->dtype))
        return mt_fail_null(MT_RUNTIME, "istft requires a complex-valued input tensor matching the output from stft with "
                                        "return_complex=True.");
    if (self->numel == 0)
        return mt_fail_null(MT_RUNTIME, "%s : input tensor cannot be empty.", text);
    if (self->ndim != 2 && self->ndim != 3) {
        if (self->ndim < 2) {
            mt_wrap_dim(-3, self->ndim + 1);
            return NULL;
        }
        return mt_fail_null(MT_RUNTIME, "%s : expected a tensor with 3 or 4 dimensions, but got %d", text, self->ndim + 1);
    }
    int64_t n_frames = self->sizes[self->ndim - 1], bins = self->sizes[self->ndim - 2];
    bool half = mt_is_none(onesided) ? bins != n_fft : onesided.u.i;
    if (half && n_fft / 2 + 1 != bins)
        return mt_fail_null(MT_RUNTIME, "%s : expected the frequency dimension (3rd to the last) of the input tensor to match "
                                        "n_fft / 2 + 1 when onesided=True, but got %lld", text, (long long)bins);
    if (!half && n_fft != bins)
        return mt_fail_null(MT_RUNTIME, "%s : expected the frequency dimension (3rd to the last) of the input tensor to match "
                                        "n_fft when onesided=False, but got %lld", text, (long long)bins);
    if (!(0 < hop && hop <= win))
        return mt_fail_null(MT_RUNTIME, "%s : expected 0 < hop_length <= win_length", text);
    if (!(0 < win && win <= n_fft))
        return mt_fail_null(MT_RUNTIME, "%s : expected 0 < win_length <= n_fft", text);
    if (window && (window->ndim != 1 || window->sizes[0] != win))
        return mt_fail_null(MT_RUNTIME, "%s : Invalid window shape. window has to be 1D and length of `win_length`", text);
    if (return_complex && half)
        return mt_fail_null(MT_RUNTIME, "Cannot have onesided output if window or input is complex");
    if (!return_complex && window && mt_is_complex((mt_dtype)window->dtype))
        return mt_fail_null(MT_RUNTIME, "Complex windows are incompatible with return_complex=False");

    bag b = {0};
    int64_t last = 2, mode = normalized ? 1 : 2, all = n_fft + hop * (n_frames - 1);
    mt_tensor *x, *w, *y, *t, *r = NULL, *envelope;
    TRY(w, centred_window(self, window, win, n_fft));
    TRY(x, self->ndim == 2 ? aten_unsqueeze(self, 0) : mt_keep(self));
    TRY(x, aten_transpose_int(x, 1, 2));
    if (return_complex)
        TRY(y, aten__fft_c2c(x, &last, 1, mode, false));
    else {
        if (!half)
            TRY(x, aten_narrow(x, -1, 0, n_fft / 2 + 1));
        TRY(y, aten__fft_c2r(x, &last, 1, mode, n_fft));
    }
    TRY(y, aten_mul_Tensor(y, w));
    int64_t added[] = {x->sizes[0], all}, one[] = {1, all}, frames[] = {1, n_frames, n_fft};
    TRY(y, aten_unfold_backward(y, added, 2, 1, n_fft, hop));
    TRY(t, aten_mul_Tensor(w, w));
    TRY(t, aten_expand(t, frames, 3, false));
    TRY(envelope, aten_unfold_backward(t, one, 2, 1, n_fft, hop));
    int64_t start = center ? n_fft / 2 : 0, end = !mt_is_none(length) ? start + length.u.i : center ? all - n_fft / 2 : all;
    int64_t kept = MT_MAX(MT_MIN(end, all) - MT_MIN(start, all), 0);
    TRY(y, aten_narrow(y, 1, MT_MIN(start, all), kept));
    TRY(envelope, aten_narrow(envelope, 1, MT_MIN(start, all), kept));
    if (check_envelope(envelope, text) < 0)
        goto done;
    TRY(y, aten_div_Tensor(y, envelope));
    if (self->ndim == 2)
        TRY(y, aten_squeeze_dim(y, 0));
    if (end > all) {
        if (mt_warn(MT_WARN_USER, "The length of signal is shorter than the length parameter. Result is being padded with zeros "
                                  "in the tail. Please check your center and hop_length settings.") < 0)
            goto done;
        int64_t pad[] = {0, end - all};
        TRY(y, aten_constant_pad_nd(y, pad, 2, mt_v_int(0)));
    }
    r = y;
done:
    return finish(&b, r);
}
