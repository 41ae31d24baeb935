/* What the parts of the tensor type share. */
#pragma once

#include "python/python.h"

mt_object *mtpy_new_tensor_block(void);
mt_object *mtpy_new_node_block(void);
void mtpy_track(mt_object *object);
/* The life of a node's object, for types that derive from it. */
void mtpy_node_dealloc(PyObject *self);
int mtpy_node_traverse(PyObject *self, visitproc visit, void *arg);
int mtpy_node_clear(PyObject *self);
/* The tensor has got its class: sets the flag and the key that follow from it. */
void mtpy_mark_subclass(mt_tensor *t);
int mtpy_set_requires_grad(mt_tensor *t, bool on);
/* -1 with PyTorch's error for a method that functions under transforms must not call. */
int mtpy_refuse_in_transform(const char *method);
/* -1 with the error for reading the memory of a tensor that stands for a batch. */
int mtpy_refuse_batched(const mt_tensor *t);

/* x[key], x[key] = value: indexing.c */
PyObject *mtpy_getitem(PyObject *self, PyObject *key);
int mtpy_setitem(PyObject *self, PyObject *key, PyObject *value);
/* Tensor(...): the legacy constructor, data.c */
PyObject *mtpy_tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
/* What a node saved, saved.c: the attribute (found says whether the node has it), the names for dir(),
 * SavedTensor objects of every slot. */
PyObject *mtpy_saved_attribute(mt_node *node, const char *name, bool *found);
int mtpy_saved_names(const mt_node *node, PyObject *list);
PyObject *mtpy_raw_saved(mt_node *node);
