/* Values that outlive a call, lists of tensors, numbers. */
#include "dispatch/value.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>

mt_list
mt_list_new(int64_t count)
{
    mt_list list = {calloc(count > 0 ? (size_t)count : 1, sizeof(mt_tensor *)), count};
    if (!list.items)
        mt_fail(MT_MEMORY, "not enough memory for a list of %lld tensors", (long long)count);
    return list;
}

void
mt_list_free(mt_list *list)
{
    if (!list->items)
        return;
    for (int64_t i = 0; i < list->count; i++)
        mt_xrelease(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

static int
copy_block(mt_value *out, const void *data, size_t size)
{
    void *block = malloc(size ? size : 1);
    if (!block) {
        out->tag = MT_V_NONE;
        return mt_fail(MT_MEMORY, "not enough memory for saved arguments");
    }
    if (size)
        memcpy(block, data, size);
    out->u.p = block;
    return 0;
}

int
mt_value_copy(mt_value *out, mt_value in)
{
    *out = in;
    switch (in.tag) {
    case MT_V_TENSOR: mt_keep(in.u.t); return 0;
    case MT_V_COMPLEX: return copy_block(out, in.u.c, 2 * sizeof(double));
    case MT_V_INTS:
    case MT_V_BOOLS: return copy_block(out, in.u.is, in.len * sizeof(int64_t));
    case MT_V_FLOATS: return copy_block(out, in.u.fs, in.len * sizeof(double));
    case MT_V_STR: {
        char *text = malloc((size_t)in.len + 1);
        if (!text) {
            out->tag = MT_V_NONE;
            return mt_fail(MT_MEMORY, "not enough memory for saved arguments");
        }
        memcpy(text, in.u.s, in.len);
        text[in.len] = 0;
        out->u.s = text;
        return 0;
    }
    case MT_V_TENSORS:
        if (copy_block(out, in.u.ts, in.len * sizeof(mt_tensor *)) < 0)
            return -1;
        for (uint32_t i = 0; i < in.len; i++)
            (void)mt_xkeep(in.u.ts[i]);
        return 0;
    case MT_V_SCALARS: {
        mt_value *block = calloc(in.len ? in.len : 1, sizeof *block);
        if (!block) {
            out->tag = MT_V_NONE;
            return mt_fail(MT_MEMORY, "not enough memory for saved arguments");
        }
        out->u.vs = block;
        for (uint32_t i = 0; i < in.len; i++)
            if (mt_value_copy(&block[i], in.u.vs[i]) < 0) {
                mt_value_clear(out);
                return -1;
            }
        return 0;
    }
    case MT_V_STORAGE: mt_storage_keep(in.u.p); return 0;
    case MT_V_GENERATOR:
    case MT_V_OBJECT:
        if (mt_the_host.ref_keep)
            mt_the_host.ref_keep(in.u.p);
        return 0;
    default: return 0;
    }
}

void
mt_value_clear(mt_value *value)
{
    mt_value v = *value;
    value->tag = MT_V_NONE;
    switch (v.tag) {
    case MT_V_TENSOR: mt_release(v.u.t); return;
    case MT_V_COMPLEX:
    case MT_V_INTS:
    case MT_V_BOOLS:
    case MT_V_FLOATS:
    case MT_V_STR: free(v.u.p); return;
    case MT_V_TENSORS:
        for (uint32_t i = 0; i < v.len; i++)
            mt_xrelease(v.u.ts[i]);
        free(v.u.p);
        return;
    case MT_V_SCALARS:
        for (uint32_t i = 0; i < v.len; i++)
            mt_value_clear((mt_value *)&v.u.vs[i]);
        free(v.u.p);
        return;
    case MT_V_STORAGE: mt_storage_unref(v.u.p); return;
    case MT_V_GENERATOR:
    case MT_V_OBJECT:
        if (mt_the_host.ref_release)
            mt_the_host.ref_release(v.u.p);
        return;
    default: return;
    }
}

mt_tensor *
mt_wrap_scalar(mt_scalar s)
{
    switch (s.tag) {
    case MT_V_BOOL: return mt_scalar_tensor_i64(s.u.i, MT_BOOL, true);
    case MT_V_INT: return mt_scalar_tensor_i64(s.u.i, MT_INT64, true);
    case MT_V_FLOAT: return mt_scalar_tensor_f64(s.u.f, MT_FLOAT64, true);
    default: {
        mt_tensor *t = mt_scalar_to_tensor(s, MT_COMPLEX128);
        if (t)
            t->flags |= MT_T_WRAPPED_NUMBER;
        return t;
    }
    }
}

mt_tensor *
mt_scalar_to_tensor(mt_scalar s, mt_dtype dtype)
{
    if (s.tag == MT_V_COMPLEX) {
        mt_tensor *t = mt_scalar_tensor_f64(s.u.c[0], dtype, false);
        if (t && dtype == MT_COMPLEX64)
            ((float *)mt_data(t))[1] = (float)s.u.c[1];
        else if (t && dtype == MT_COMPLEX128)
            ((double *)mt_data(t))[1] = s.u.c[1];
        return t;
    }
    if (s.tag == MT_V_FLOAT)
        return mt_scalar_tensor_f64(s.u.f, dtype, false);
    return mt_scalar_tensor_i64(s.u.i, dtype, false);
}

/* ---- numbers ------------------------------------------------------------------------------ */

static double _Complex
as_complex(mt_scalar s)
{
    double _Complex z;
    double parts[2] = {mt_scalar_f64(s), mt_scalar_imag(s)};
    memcpy(&z, parts, sizeof z);
    return z;
}

static mt_scalar
from_complex(double _Complex z, double room[2])
{
    memcpy(room, &z, sizeof z);
    return mt_v_complex(room);
}

mt_scalar
mt_scalar_neg(mt_scalar a, double room[2])
{
    if (a.tag == MT_V_COMPLEX)
        return from_complex(-as_complex(a), room);
    return a.tag == MT_V_FLOAT ? mt_v_float(-a.u.f) : mt_v_int(-a.u.i);
}

mt_scalar
mt_scalar_conj(mt_scalar a, double room[2])
{
    return a.tag == MT_V_COMPLEX ? from_complex(conj(as_complex(a)), room) : a;
}

mt_scalar
mt_scalar_log(mt_scalar a, double room[2])
{
    return a.tag == MT_V_COMPLEX ? from_complex(clog(as_complex(a)), room)
                                 : mt_v_float(log(mt_scalar_f64(a)));
}

#define ARITHMETIC(name, complex_expr, float_expr, int_expr)                                       \
    mt_scalar mt_scalar_##name(mt_scalar a, mt_scalar b, double room[2])                           \
    {                                                                                              \
        if (a.tag == MT_V_COMPLEX || b.tag == MT_V_COMPLEX) {                                      \
            double _Complex x = as_complex(a), y = as_complex(b);                                  \
            return from_complex(complex_expr, room);                                               \
        }                                                                                          \
        if (a.tag == MT_V_FLOAT || b.tag == MT_V_FLOAT) {                                          \
            double x = mt_scalar_f64(a), y = mt_scalar_f64(b);                                     \
            return mt_v_float(float_expr);                                                         \
        }                                                                                          \
        int64_t x = a.u.i, y = b.u.i;                                                              \
        return int_expr;                                                                           \
    }
ARITHMETIC(add, x + y, x + y, mt_v_int((int64_t)((uint64_t)x + (uint64_t)y)))
ARITHMETIC(sub, x - y, x - y, mt_v_int((int64_t)((uint64_t)x - (uint64_t)y)))
ARITHMETIC(mul, x *y, x *y, mt_v_int((int64_t)((uint64_t)x * (uint64_t)y)))
ARITHMETIC(div, x / y, x / y, mt_v_float((double)x / (double)y))
ARITHMETIC(pow, cpow(x, y), pow(x, y), mt_v_float(pow((double)x, (double)y)))
