/* The boxed value: 16 bytes, a tag and a payload. Arguments of every operator call are values. */
#pragma once

#include "tensor/tensor.h"

typedef enum mt_tag {
    MT_V_NONE,
    MT_V_TENSOR,  /* t */
    MT_V_BOOL,    /* i */
    MT_V_INT,     /* i */
    MT_V_FLOAT,   /* f */
    MT_V_COMPLEX, /* c: two doubles elsewhere */
    MT_V_INTS,    /* is, len */
    MT_V_FLOATS,  /* fs, len */
    MT_V_BOOLS,   /* is, len */
    MT_V_TENSORS, /* ts, len; entries may be NULL where the schema says Tensor?[] */
    MT_V_SCALARS, /* vs, len */
    MT_V_STR,     /* s, len */
    MT_V_DTYPE,   /* i: mt_dtype */
    MT_V_DEVICE,  /* d */
    MT_V_LAYOUT,  /* i */
    MT_V_FORMAT,  /* i: mt_memory_format */
    MT_V_GENERATOR, /* p: mt_generator */
    MT_V_STORAGE, /* p: mt_storage */
    MT_V_OBJECT,  /* p: a host object that the core only passes on */
} mt_tag;

typedef struct mt_value {
    uint8_t tag;
    uint8_t pad[3];
    uint32_t len;
    union {
        mt_tensor *t;
        int64_t i;
        double f;
        const double *c;
        const int64_t *is;
        const double *fs;
        mt_tensor **ts;
        const struct mt_value *vs;
        const char *s;
        mt_device d;
        void *p;
    } u;
} mt_value;

/* A number argument (PyTorch's Scalar): BOOL, INT, FLOAT, COMPLEX, or NONE where optional. */
typedef mt_value mt_scalar;

MT_INLINE mt_value mt_v_none(void) { return (mt_value){.tag = MT_V_NONE}; }
MT_INLINE mt_value mt_v_tensor(mt_tensor *t)
{
    return (mt_value){.tag = t ? MT_V_TENSOR : MT_V_NONE, .u.t = t};
}
MT_INLINE mt_value mt_v_bool(bool b) { return (mt_value){.tag = MT_V_BOOL, .u.i = b}; }
MT_INLINE mt_value mt_v_int(int64_t i) { return (mt_value){.tag = MT_V_INT, .u.i = i}; }
MT_INLINE mt_value mt_v_float(double f) { return (mt_value){.tag = MT_V_FLOAT, .u.f = f}; }
MT_INLINE mt_value mt_v_complex(const double *c) { return (mt_value){.tag = MT_V_COMPLEX, .u.c = c}; }
MT_INLINE mt_value mt_v_ints(const int64_t *is, int64_t n)
{
    return (mt_value){.tag = MT_V_INTS, .len = (uint32_t)n, .u.is = is};
}
MT_INLINE mt_value mt_v_bools(const int64_t *is, int64_t n)
{
    return (mt_value){.tag = MT_V_BOOLS, .len = (uint32_t)n, .u.is = is};
}
MT_INLINE mt_value mt_v_scalars(const mt_value *vs, int64_t n)
{
    return (mt_value){.tag = MT_V_SCALARS, .len = (uint32_t)n, .u.vs = vs};
}
MT_INLINE mt_value mt_v_floats(const double *fs, int64_t n)
{
    return (mt_value){.tag = MT_V_FLOATS, .len = (uint32_t)n, .u.fs = fs};
}
MT_INLINE mt_value mt_v_tensors(mt_tensor *const *ts, int64_t n)
{
    return (mt_value){.tag = MT_V_TENSORS, .len = (uint32_t)n, .u.ts = (mt_tensor **)ts};
}
MT_INLINE mt_value mt_v_str(const char *s)
{
    return (mt_value){.tag = s ? MT_V_STR : MT_V_NONE, .len = s ? (uint32_t)strlen(s) : 0, .u.s = s};
}
MT_INLINE mt_value mt_v_dtype(mt_dtype d)
{
    return (mt_value){.tag = d == MT_DTYPE_NONE ? MT_V_NONE : MT_V_DTYPE, .u.i = d};
}
MT_INLINE mt_value mt_v_device(mt_device d)
{
    return (mt_value){.tag = d.type < 0 ? MT_V_NONE : MT_V_DEVICE, .u.d = d};
}
MT_INLINE mt_value mt_v_format(mt_memory_format f)
{
    return (mt_value){.tag = f < 0 ? MT_V_NONE : MT_V_FORMAT, .u.i = f};
}
MT_INLINE mt_value mt_v_layout(int64_t layout)
{
    return (mt_value){.tag = layout < 0 ? MT_V_NONE : MT_V_LAYOUT, .u.i = layout};
}
MT_INLINE mt_value mt_v_pointer(mt_tag tag, void *p)
{
    return (mt_value){.tag = p ? tag : MT_V_NONE, .u.p = p};
}

MT_INLINE mt_tensor *mt_v_tensor_or_null(mt_value v)
{
    return v.tag == MT_V_TENSOR ? v.u.t : NULL;
}

/* Reading optional arguments. */
MT_INLINE bool mt_is_none(mt_value v) { return v.tag == MT_V_NONE; }
MT_INLINE double mt_scalar_f64(mt_scalar s)
{
    return s.tag == MT_V_FLOAT ? s.u.f : s.tag == MT_V_COMPLEX ? s.u.c[0] : (double)s.u.i;
}
MT_INLINE int64_t mt_scalar_i64(mt_scalar s)
{
    return s.tag == MT_V_FLOAT ? (int64_t)s.u.f : s.tag == MT_V_COMPLEX ? (int64_t)s.u.c[0] : s.u.i;
}
MT_INLINE double mt_scalar_imag(mt_scalar s) { return s.tag == MT_V_COMPLEX ? s.u.c[1] : 0.0; }
/* Category of a number in promotion: 0 bool, 1 int, 2 float, 3 complex. */
MT_INLINE int mt_scalar_category(mt_scalar s) { return s.tag - MT_V_BOOL; }
MT_INLINE bool mt_scalar_is_zero(mt_scalar s)
{
    return mt_scalar_f64(s) == 0.0 && mt_scalar_imag(s) == 0.0;
}
MT_INLINE bool mt_scalar_equals(mt_scalar s, double value)
{
    return mt_scalar_f64(s) == value && mt_scalar_imag(s) == 0.0;
}

/* A list of tensors as a result: `items` is one heap block, every entry a new reference. */
typedef struct mt_list {
    mt_tensor **items;
    int64_t count;
} mt_list;
mt_list mt_list_new(int64_t count); /* items zeroed; items NULL with the error set on failure */
void mt_list_free(mt_list *list);

/* Deep copies for values that outlive a call (saved by a node, replayed by a view): lists and
 * strings are copied to the heap, tensors and host objects kept. */
int mt_value_copy(mt_value *out, mt_value in);
void mt_value_clear(mt_value *value);

/* Arithmetic on numbers, with Python's promotion; `room` holds a complex result. */
mt_scalar mt_scalar_neg(mt_scalar a, double room[2]);
mt_scalar mt_scalar_conj(mt_scalar a, double room[2]);
mt_scalar mt_scalar_log(mt_scalar a, double room[2]);
mt_scalar mt_scalar_add(mt_scalar a, mt_scalar b, double room[2]);
mt_scalar mt_scalar_sub(mt_scalar a, mt_scalar b, double room[2]);
mt_scalar mt_scalar_mul(mt_scalar a, mt_scalar b, double room[2]);
mt_scalar mt_scalar_div(mt_scalar a, mt_scalar b, double room[2]);
mt_scalar mt_scalar_pow(mt_scalar a, mt_scalar b, double room[2]);

/* 0-dim wrapped tensor of a number (dtype: bool, int64, default float or complex). */
mt_tensor *mt_wrap_scalar(mt_scalar s);
/* The same with a given dtype, not wrapped. */
mt_tensor *mt_scalar_to_tensor(mt_scalar s, mt_dtype dtype);
