/* The restricted unpickler and the helpers that read pickles without running them. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds _unpickle, _pickle_length, _pickle_globals and _pickle_rename. 0, or -1 with an exception. */
int mtpy_add_unpickle(PyObject *module);
