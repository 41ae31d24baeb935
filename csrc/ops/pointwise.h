/* Elementwise operators: one description per operator, one driver for all.
 *
 * A loop works on contiguous arrays of the compute dtype and nothing else, so a kernel costs one
 * function per dtype. The driver promotes, broadcasts, gathers strided operands and converts
 * dtypes through small buffers, and hands whole arrays over where that is possible. */
#pragma once

#include "dispatch/op.h"
#include "kernels/convert.h"
#include "tensor/copy.h"

/* A number argument as kernels read it. */
typedef struct mt_param {
    double f, im;
    int64_t i;
} mt_param;

/* ptrs: outputs, then inputs; n elements each. */
typedef void (*mt_loop)(void *const *ptrs, int64_t n, const mt_param *params);

typedef enum mt_promotion {
    MT_PROMOTE_DEFAULT,          /* result and compute dtype: the promoted dtype of the inputs */
    MT_PROMOTE_INT_TO_FLOAT,     /* integers become the default dtype */
    MT_PROMOTE_TO_BOOL,          /* computed in the promoted dtype, result bool */
    MT_PROMOTE_COMPLEX_TO_FLOAT, /* complex input, real result */
    MT_PROMOTE_BOOL_TO_LONG,     /* bool inputs become int64 */
    MT_PROMOTE_NONE,             /* the dtype of the first input; all must agree */
} mt_promotion;

typedef struct mt_pointwise {
    uint8_t ninputs, nparams, nouts;
    uint8_t inputs[6], params[6]; /* argument numbers */
    uint8_t npromote, promote_with[6]; /* arguments that decide the dtype; none: the inputs */
    uint8_t promote;              /* mt_promotion */
    uint8_t result;               /* fixed result dtype, or MT_DTYPE_NONE */
    uint32_t dtypes;              /* compute dtypes that have a loop */
    const char *kernel_name;      /* in "\"add_cpu\" not implemented for 'Bool'" */
    const mt_loop *loops[MT_NUM_ISAS]; /* per dtype; NULL entries fall to the level below */
    int (*check)(mt_call *call, mt_dtype common); /* further checks of the arguments, or NULL */
} mt_pointwise;

#if defined(__x86_64__)
#define MT_AVX2(table) table
#define MT_AVX512(table) table
#else
#define MT_AVX2(table) NULL
#define MT_AVX512(table) NULL
#endif

/* Checks that the table names (mt_pointwise.check). */
int mt_check_alpha(mt_call *call, mt_dtype common);     /* add, sub: alpha against the dtype */
int mt_check_approximate(mt_call *call, mt_dtype common); /* gelu: "none" or "tanh" */
int mt_check_lambda(mt_call *call, mt_dtype common);    /* softshrink: not below zero */
int mt_check_divisor(mt_call *call, mt_dtype common);   /* no integer division by zero */
int mt_check_exponent(mt_call *call, mt_dtype common);  /* no negative integer powers */
int mt_check_one_dtype(mt_call *call, mt_dtype common); /* both tensors must have the same, not complex */
int mt_check_clamp(mt_call *call, mt_dtype common);     /* a bound must be given */

int mt_pointwise_meta(mt_call *call);
int mt_pointwise_impl(mt_call *call);

/* torch.result_type over tensors and numbers (other values are skipped); MT_DTYPE_NONE with the
 * error set where there is no promotion. */
mt_dtype mt_result_type(const mt_value *values, const uint8_t *which, int n);

/* Strides that an elementwise result over these operands gets; true when they are the contiguous
 * ones. All operands broadcast to the shape. */
bool mt_elementwise_strides(mt_tensor *const *operands, int n, int ndim, const int64_t *sizes,
                            int64_t *strides);

/* The best loop of a table for this CPU, NULL if the dtype has none. */
mt_loop mt_pick_loop(const mt_loop *const loops[MT_NUM_ISAS], mt_dtype dtype);

/* Fills with one number. */
int mt_fill_data(mt_tensor *self, mt_scalar value);
