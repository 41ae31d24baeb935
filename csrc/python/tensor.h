/* What the parts of the tensor type share. */
#pragma once

#include "python/python.h"

mt_object *mtpy_new_tensor_block(void);
mt_object *mtpy_new_node_block(void);
void mtpy_track(mt_object *object);
int mtpy_set_requires_grad(mt_tensor *t, bool on);

/* x[key], x[key] = value: indexing.c */
PyObject *mtpy_getitem(PyObject *self, PyObject *key);
int mtpy_setitem(PyObject *self, PyObject *key, PyObject *value);
/* Tensor(...): the legacy constructor, data.c */
PyObject *mtpy_tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
