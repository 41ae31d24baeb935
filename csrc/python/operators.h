/* Operators as Python objects, and calls that cross from the core to Python and back. */
#pragma once

#include "python/overrides.h"
#include "python/signature.h"

/* What the binding keeps of an operator (mt_op.host). */
typedef struct mtpy_op {
    PyObject *overload; /* the OpOverload, or NULL */
    PyObject *kernels;  /* dict: runtime or alias key -> (function or None, with_keyset); or NULL */
    const mt_kernel *builtin; /* the handlers before Python changed them */
    mtpy_packet packet;
    mtpy_signature signature;
} mtpy_op;

/* Made on demand; NULL with an exception. */
mtpy_op *mtpy_op_of(mt_op *op);
/* torch.ops.ns.name.overload, a new reference. */
PyObject *mtpy_overload(const mt_op *op);

/* The arguments as Python passes them: those at the end that have their default are left out,
 * wrapped numbers are numbers. */
int mtpy_pack_call(const mt_op *op, const mt_value *args, PyObject **tuple, PyObject **kwargs);
/* _return_type("max") or ("max_out") -> the class of named tuples that the operator returns, None
 * where it has none. */
PyObject *mtpy_named_return_type(PyObject *module, PyObject *name);
/* The result of a Python kernel as rets; -1 with an exception where it does not fit the schema. */
int mtpy_unpack_results(const mt_op *op, PyObject *result, mt_value *rets);

/* Whether the class has a __torch_dispatch__ of its own. */
bool mtpy_has_torch_dispatch(PyTypeObject *type);
