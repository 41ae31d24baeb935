/* Sorted, merged dimensions and a position counted in elements: a chunk finds its place by dividing
 * that position, so no state is carried from one chunk to the next. */
#include "kernels/random_walk.h"

int64_t
mt_random_numel(const mt_random_out *out)
{
    int64_t numel = 1;
    for (int d = 0; d < out->ndim; d++)
        numel *= out->sizes[d];
    return numel;
}

bool
mt_random_is_contiguous(const mt_random_out *out)
{
    if (!out->strides || !mt_random_numel(out))
        return true;
    int64_t expected = 1;
    for (int d = out->ndim - 1; d >= 0; d--) {
        if (out->sizes[d] == 1)
            continue;
        if (out->strides[d] != expected)
            return false;
        expected *= out->sizes[d];
    }
    return true;
}

mt_random_out
mt_random_as_real(const mt_random_out *out, int64_t shape[2][MT_MAX_DIMS + 1])
{
    mt_random_out real = *out;
    real.dtype = mt_dtypes[out->dtype].to_real;
    for (int d = 0; d < out->ndim; d++) {
        shape[0][d] = out->sizes[d];
        if (out->strides)
            shape[1][d] = 2 * out->strides[d];
    }
    shape[0][out->ndim] = 2;
    shape[1][out->ndim] = 1;
    real.sizes = shape[0];
    real.strides = out->strides ? shape[1] : NULL;
    real.ndim = out->ndim + 1;
    return real;
}

static void
open_operand(mt_random_walk *w, const mt_random_out *out, int operand, const void *data,
             mt_dtype dtype, const int64_t *strides)
{
    int64_t row_major = 1, size = (int64_t)mt_dtype_size(dtype);
    w->data[operand] = (char *)data;
    w->dtype[operand] = dtype;
    for (int d = out->ndim - 1, kept = w->ndim - 1; d >= 0; d--) {
        if (out->sizes[d] == 1)
            continue;
        w->strides[operand][kept--] = size * (strides ? strides[d] : row_major);
        row_major *= out->sizes[d];
    }
}

static void
swap_dims(mt_random_walk *w, int a, int b)
{
    int64_t size = w->sizes[a];
    w->sizes[a] = w->sizes[b];
    w->sizes[b] = size;
    for (int k = 0; k < w->operands; k++) {
        int64_t stride = w->strides[k][a];
        w->strides[k][a] = w->strides[k][b];
        w->strides[k][b] = stride;
    }
}

/* Dimension d continues where the dimensions merged so far end, in every operand. */
static bool
continues(const mt_random_walk *w, int last, int d)
{
    for (int k = 0; k < w->operands; k++)
        if (w->strides[k][d] != w->strides[k][last] * w->sizes[last])
            return false;
    return true;
}

static void
walk_open(mt_random_walk *w, const mt_random_out *out, int num_args, const mt_random_arg *args)
{
    w->numel = mt_random_numel(out);
    w->operands = 1 + num_args;
    w->ndim = 0;
    for (int d = 0; d < out->ndim; d++)
        if (out->sizes[d] != 1)
            w->sizes[w->ndim++] = out->sizes[d];
    open_operand(w, out, 0, out->data, out->dtype, out->strides);
    for (int k = 0; k < num_args; k++)
        open_operand(w, out, 1 + k, args[k].data, args[k].dtype, args[k].strides);

    /* Fastest dimension first: reversed, then an insertion sort by the output's strides. */
    for (int d = 0; d < w->ndim / 2; d++)
        swap_dims(w, d, w->ndim - 1 - d);
    for (int d = 1; d < w->ndim; d++)
        for (int e = d; e > 0 && w->strides[0][e] < w->strides[0][e - 1]; e--)
            swap_dims(w, e, e - 1);

    int last = 0;
    for (int d = 1; d < w->ndim; d++) {
        if (continues(w, last, d)) {
            w->sizes[last] *= w->sizes[d];
            continue;
        }
        last++;
        w->sizes[last] = w->sizes[d];
        for (int k = 0; k < w->operands; k++)
            w->strides[k][last] = w->strides[k][d];
    }
    if (w->ndim == 0) { /* one element */
        w->sizes[0] = 1;
        for (int k = 0; k < w->operands; k++)
            w->strides[k][0] = (int64_t)mt_dtype_size(w->dtype[k]);
    }
    w->ndim = w->ndim ? last + 1 : 1;
    w->packed = w->ndim == 1 && w->strides[0][0] == (int64_t)mt_dtype_size(out->dtype);
}

/* Moves elements `at` to `at + n` of the walk between an operand and packed memory. */
static void
walk_move(const mt_random_walk *w, int operand, void *packed, int64_t at, int64_t n,
          bool to_operand)
{
    const int64_t *strides = w->strides[operand];
    size_t size = mt_dtype_size(w->dtype[operand]);
    int64_t index[MT_MAX_DIMS + 1];
    char *place = w->data[operand];
    for (int d = 0; d < w->ndim; d++) {
        index[d] = at % w->sizes[d];
        at /= w->sizes[d];
        place += index[d] * strides[d];
    }
    for (char *p = packed;;) {
        int64_t run = MT_MIN(n, w->sizes[0] - index[0]);
        if (to_operand)
            mt_scatter(place, strides[0], p, run, size);
        else
            mt_gather(p, place, strides[0], run, size);
        p += run * (int64_t)size;
        n -= run;
        if (n == 0)
            return;
        place -= index[0] * strides[0];
        index[0] = 0;
        for (int d = 1; d < w->ndim; d++) {
            place += strides[d];
            if (++index[d] < w->sizes[d])
                break;
            place -= index[d] * strides[d];
            index[d] = 0;
        }
    }
}

int
mt_random_fill(mt_rng *r, const mt_random_out *out, int num_args, const mt_random_arg *args,
               mt_dtype made, mt_random_maker maker, const void *how)
{
    mt_random_walk walk;
    walk_open(&walk, out, num_args, args);
    if (walk.numel == 0)
        return 0;
    mt_convert convert = mt_converter(out->dtype, made), to_double[MT_RANDOM_ARGS];
    for (int k = 0; k < num_args; k++)
        to_double[k] = mt_converter(MT_FLOAT64, args[k].dtype);
    size_t size = mt_dtype_size(out->dtype);
    _Alignas(16) char values[MT_RANDOM_CHUNK * sizeof(double)];
    _Alignas(16) char other[MT_RANDOM_CHUNK * sizeof(double)];
    double doubles[MT_RANDOM_ARGS][MT_RANDOM_CHUNK];
    const double *parameters[MT_RANDOM_ARGS] = {doubles[0], doubles[1]};

    for (int64_t at = 0; at < walk.numel; at += MT_RANDOM_CHUNK) {
        int64_t n = MT_MIN(MT_RANDOM_CHUNK, walk.numel - at);
        for (int k = 0; k < num_args; k++) {
            walk_move(&walk, 1 + k, other, at, n, false);
            to_double[k](doubles[k], other, n);
        }
        char *place = walk.data[0] + (size_t)at * size;
        void *first = walk.packed && made == out->dtype ? place : values;
        if (maker(r, how, parameters, first, n) < 0)
            return -1;
        void *last = first;
        if (made != out->dtype) {
            last = walk.packed ? place : other;
            convert(last, first, n);
        }
        if (!walk.packed)
            walk_move(&walk, 0, last, at, n, true);
    }
    return 0;
}

int
mt_random_unsupported(const char *name, mt_dtype dtype)
{
    return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                   mt_dtypes[dtype].scalar_name);
}

int64_t
mt_random_to_int64(double value)
{
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

int32_t
mt_random_to_int32(double value)
{
    return value > -0x1.00000002p31 && value < 0x1p31 ? (int32_t)value : INT32_MIN;
}

const char *
mt_random_type_name(mt_dtype dtype)
{
    switch (dtype) {
    case MT_BOOL: return "bool";
    case MT_UINT8: return "unsigned char";
    case MT_INT8: return "signed char";
    case MT_INT16: return "short int";
    case MT_INT32: return "int";
    case MT_INT64: return "long int";
    case MT_UINT16: return "short unsigned int";
    case MT_UINT32: return "unsigned int";
    case MT_UINT64: return "long unsigned int";
    case MT_FLOAT16: return "c10::Half";
    case MT_BFLOAT16: return "c10::BFloat16";
    case MT_FLOAT32: return "float";
    case MT_FLOAT64: return "double";
    case MT_COMPLEX64: return "c10::complex<float>";
    case MT_COMPLEX128: return "c10::complex<double>";
    default: return "unknown";
    }
}
