/* Data on its way in and out: what data.c, numpy.c, dlpack.c and storage.c share. */
#pragma once

#include "python/python.h"

bool mtpy_is_array(PyObject *o);
/* A tensor on the memory of a NumPy array; `warn`: say so where the array is read-only. */
PyObject *mtpy_from_numpy(PyObject *array, bool warn);
/* TypeError: "can't convert np.ndarray of type numpy.str_. …"; NULL. */
PyObject *mtpy_raise_numpy_type(PyObject *array);
/* The storage in a storage object (typed or not), borrowed; NULL without an exception for others. */
mt_storage *mtpy_storage_of(PyObject *o);
/* Host objects that keep borrowed memory alive: the release function of such a storage. */
void mtpy_release_owner(mt_storage *storage);
int mtpy_add_methods(PyTypeObject *type, PyMethodDef *list);

int mtpy_add_convert(void);
int mtpy_add_numpy(PyObject *module);
int mtpy_add_dlpack(PyObject *module);
int mtpy_add_storage(PyObject *module);
