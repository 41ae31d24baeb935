/* What entry points ask before they run: does somebody take the call over? See overrides.c. */
#pragma once

#include "python/python.h"

/* Whether a method of `self` may be taken over: the cheap question in front of every call. */
MT_INLINE bool
mtpy_overriding(PyObject *self)
{
    return !mtpy_is_plain_tensor(self) || mt_this_thread()->function_modes;
}

/* Whether the object's type overrides operators (__torch_function__, not switched off). */
bool mtpy_has_torch_function(PyObject *o);

/* Offers Tensor.name(self, *args, **kwargs) to modes and to the class of self. args is a tuple or
 * NULL, kwargs a dict or NULL. true: *result is the outcome (NULL with an exception); false: nobody
 * overrides. */
bool mtpy_override_method(PyObject *self, const char *name, PyObject *args, PyObject *kwargs,
                          PyObject **result);
/* The same for an attribute; access is "__get__", "__set__" or "__delete__", value that of a set. */
bool mtpy_override_property(PyObject *self, const char *name, const char *access, PyObject *value,
                            PyObject **result);

/* First statement of a method that is no operator. */
#define MTPY_OFFER(self, name, args, kwargs)                                                       \
    do {                                                                                           \
        PyObject *outcome_;                                                                        \
        if (MT_UNLIKELY(mtpy_overriding(self)) &&                                                  \
            mtpy_override_method(self, name, args, kwargs, &outcome_))                             \
            return outcome_;                                                                       \
    } while (0)
