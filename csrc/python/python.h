/* The binding's own header: objects, conversions, the error border. Names start with mtpy_. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "autograd/autograd.h"
#include "dispatch/op.h"

/* A tensor is its Python object: the core's block starts with the object head. */
_Static_assert(sizeof(mt_object) == sizeof(PyObject), "the object head has two words");
_Static_assert(offsetof(PyObject, ob_refcnt) == 0, "the count comes first");

MT_INLINE PyObject *mtpy_object(void *core) { return (PyObject *)core; }

/* ---- types -------------------------------------------------------------------------------- */

extern PyTypeObject *mtpy_tensor_base;  /* _C.TensorBase */
extern PyTypeObject *mtpy_tensor_type;  /* mindtorch_v2.Tensor: what operators return */
extern PyTypeObject *mtpy_parameter_type; /* nn.Parameter once loaded, or NULL */
extern PyTypeObject *mtpy_node_type;
extern PyTypeObject *mtpy_size_type, *mtpy_dtype_type, *mtpy_device_type, *mtpy_layout_type,
    *mtpy_format_type, *mtpy_generator_type;

MT_INLINE bool
mtpy_is_tensor(PyObject *o)
{
    return Py_TYPE(o) == mtpy_tensor_type || Py_TYPE(o) == mtpy_parameter_type ||
           PyObject_TypeCheck(o, mtpy_tensor_base);
}

MT_INLINE bool
mtpy_is_plain_tensor(PyObject *o)
{
    return Py_TYPE(o) == mtpy_tensor_type || Py_TYPE(o) == mtpy_parameter_type;
}

/* Types carry PyTorch's names ("torch.Size", as messages show them), but a pickler looks for their
 * classes where they are: in this package. Sets __module__ accordingly; NULL passes through. */
PyTypeObject *mtpy_settle_type(PyObject *type);

/* ---- errors ------------------------------------------------------------------------------- */

/* Turns the core's error record into an exception; returns NULL. */
PyObject *mtpy_raise(void);
int mtpy_raise_int(void); /* the same, returning -1 */
/* An exception is set: records it for the core (MT_HOST). Returns -1. */
int mtpy_keep_exception(void);
extern PyObject *mtpy_linalg_error;

/* ---- small objects ------------------------------------------------------------------------ */

typedef struct mtpy_dtype { PyObject_HEAD uint8_t dtype; } mtpy_dtype;
typedef struct mtpy_device { PyObject_HEAD mt_device device; } mtpy_device;
typedef struct mtpy_named { PyObject_HEAD int64_t value; const char *name; } mtpy_named;

extern PyObject *mtpy_dtypes[MT_NUM_DTYPES];  /* borrowed singletons */
PyObject *mtpy_wrap_dtype(mt_dtype dtype);    /* new reference */
PyObject *mtpy_wrap_device(mt_device device);
PyObject *mtpy_wrap_layout(int64_t layout);
PyObject *mtpy_wrap_format(mt_memory_format format);
PyObject *mtpy_wrap_size(const int64_t *sizes, int ndim);
PyObject *mtpy_wrap_ints(const int64_t *values, int64_t n); /* a tuple */
/* torch.float32, or the Python types float, int, bool, complex. 1 ok, 0 not a dtype. */
int mtpy_as_dtype(PyObject *o, mt_dtype *dtype);
/* A device, "cuda:1", or an index. 0 ok, -1 with an exception. */
int mtpy_as_device(PyObject *o, mt_device *device);

/* One element of memory as a Python number. */
PyObject *mtpy_element(const void *p, mt_dtype dtype, bool conj, bool neg);
/* The number in a 0-dim (or one-element) tensor as a Python object. */
PyObject *mtpy_item(mt_tensor *t);
/* A Python number: bool, int, float, complex, NumPy scalar. 1 ok, 0 not a number, -1 error.
 * `room` holds a complex value. */
int mtpy_as_scalar(PyObject *o, mt_scalar *value, double room[2]);
/* Anything with __index__ that is no bool. */
bool mtpy_is_int(PyObject *o);
PyObject *mtpy_wrap_scalar(mt_scalar value);

/* A boxed value as a Python object (new reference). `take`: rets, whose references move. */
PyObject *mtpy_wrap_value(mt_value value, bool take);
/* Results of an operator as Python sees them: one object, a tuple, or a named tuple. Takes rets. */
PyObject *mtpy_wrap_rets(const mt_op *op, mt_value *rets);

/* ---- tensors ------------------------------------------------------------------------------ */

/* A tensor of a subclass that shares the storage of `data` (Tensor._make_subclass). */
/* A tensor that nobody else holds, moved into an object of a class of another layout. Takes `t`. */
mt_tensor *mtpy_move_tensor(mt_tensor *t, PyTypeObject *type);
PyObject *mtpy_make_subclass(PyTypeObject *type, mt_tensor *data, bool requires_grad);
/* torch.tensor(data) and the like. */
PyObject *mtpy_tensor_from_data(PyObject *data, mt_dtype dtype, mt_device device, bool copy,
                                bool requires_grad);
/* The node as Python object with the type of its name (new reference). */
PyObject *mtpy_wrap_node(mt_node *node);

/* Puts a hook into the OrderedDict; returns its RemovableHandle. */
PyObject *mtpy_hook_handle(PyObject *dict, PyObject *hook);

/* ---- parts of the module ------------------------------------------------------------------ */

int mtpy_add_objects(PyObject *module);
int mtpy_add_tensor(PyObject *module);
int mtpy_add_autograd(PyObject *module);
int mtpy_add_hooks(PyObject *module);
int mtpy_add_transforms(PyObject *module);
int mtpy_add_autocast(PyObject *module);
int mtpy_add_saved(PyObject *module);
int mtpy_add_function(PyObject *module);
int mtpy_add_functions(PyObject *module);
int mtpy_add_indexing(PyObject *module);
int mtpy_add_overrides(PyObject *module);
int mtpy_add_operators(PyObject *module);
int mtpy_add_dispatch(PyObject *module);
int mtpy_add_library(PyObject *module);
int mtpy_add_generator(PyObject *module);
int mtpy_add_data(PyObject *module);
int mtpy_add_zip(PyObject *module);
int mtpy_add_profiler(PyObject *module);
