/* For functions that are made of operators: a place for their temporaries, and arithmetic with
 * numbers. */
#pragma once

#include <assert.h>

#include "ops_gen.h"

/* More than any function here holds. */
enum { MT_BAG_ROOM = 128 };

typedef struct bag {
    mt_tensor *items[MT_BAG_ROOM];
    int count;
} bag;

/* Takes t, to be released with the rest; passes NULL on. */
MT_INLINE mt_tensor *
hold(bag *b, mt_tensor *t)
{
    if (!t)
        return NULL;
    assert(b->count < MT_BAG_ROOM);
    b->items[b->count++] = t;
    return t;
}

/* Releases everything but the result, which may be among it. */
MT_INLINE mt_tensor *
finish(bag *b, mt_tensor *result)
{
    if (result)
        mt_keep(result);
    for (int i = 0; i < b->count; i++)
        mt_release(b->items[i]);
    return result;
}

/* t = value, held in the bag `b`; leaves through `done` where there is none. */
#define TRY(t, value)                                                                              \
    do {                                                                                           \
        if (!((t) = hold(&b, (value))))                                                            \
            goto done;                                                                             \
    } while (0)

/* t * x, t + x and t - x with a number; new references. */
MT_INLINE mt_tensor *
times_number(mt_tensor *t, mt_value x)
{
    mt_tensor *n = mt_wrap_scalar(x), *r = n ? aten_mul_Tensor(t, n) : NULL;
    mt_xrelease(n);
    return r;
}

MT_INLINE mt_tensor *
plus_number(mt_tensor *t, mt_value x)
{
    mt_tensor *n = mt_wrap_scalar(x), *r = n ? aten_add_Tensor(t, n, mt_v_int(1)) : NULL;
    mt_xrelease(n);
    return r;
}

MT_INLINE mt_tensor *
minus_number(mt_tensor *t, mt_value x)
{
    mt_tensor *n = mt_wrap_scalar(x), *r = n ? aten_sub_Tensor(t, n, mt_v_int(1)) : NULL;
    mt_xrelease(n);
    return r;
}
