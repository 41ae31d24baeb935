/* The Python side of csrc/serialize: archive types, pickle helpers, the restricted unpickler. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Add PyTorchFileReader and PyTorchFileWriter (zip.c), _pickle_length, _pickle_globals,
 * _pickle_rename and _unpickle (unpickle.c) to the module. 0, or -1 with an exception. */
int mtpy_add_zip(PyObject *module);
int mtpy_add_unpickle(PyObject *module);

/* Turns the core's error record into the exception of its kind; returns NULL. */
PyObject *mtpy_serialize_error(void);
