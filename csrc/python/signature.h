/* What the argument matcher reads: Python signatures made from the operator table. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "dispatch/op.h"

enum {                            /* mtpy_param.flags */
    MTPY_KWONLY = 1,
    MTPY_NONE_OK = 2,             /* None is accepted (and means "not given") */
    MTPY_HAS_DEFAULT = 4,
    MTPY_NUMBER_OK = 8,           /* a Tensor parameter that also takes a Python number */
    MTPY_ELEMENTS_OPTIONAL = 16,  /* a list of tensors that may hold None */
    MTPY_DEPRECATED = 32,         /* of signatures */
};

#define MTPY_OUT (-2)             /* mtpy_param.arg: the out= parameter */
#define MTPY_REQUIRES_GRAD (-3)

typedef struct mtpy_param {
    const char *name;
    uint8_t type;  /* mt_type */
    uint8_t flags;
    int16_t size;  /* int[2] */
    int16_t arg;   /* schema argument, or one of the negative numbers above */
    mt_value fallback;
} mtpy_param;

typedef struct mtpy_signature {
    const char *text; /* "(Tensor input, Tensor other, *, Number alpha = 1, Tensor out = None)" */
    const mtpy_param *params;
    uint8_t nparams, npositional;
    uint8_t flags;
    mt_op *op, *out_op; /* out_op: called when out= is given */
} mtpy_signature;

typedef enum mtpy_namespace {
    MTPY_NS_FUNCTION, MTPY_NS_METHOD, MTPY_NS_NN, MTPY_NS_LINALG, MTPY_NS_FFT, MTPY_NS_SPECIAL,
} mtpy_namespace;

typedef struct mtpy_packet {
    const char *name;
    const mtpy_signature *signatures;
    uint16_t count;
    uint8_t space; /* mtpy_namespace */
} mtpy_packet;

/* Matches the arguments against the packet's signatures, dispatches, wraps the results. `self` is
 * NULL for functions. */
PyObject *mtpy_call(const mtpy_packet *packet, PyObject *self, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames);
