/* The border between the core's error record and Python exceptions. */
#include "base/error.h"
#include "python/python.h"

PyObject *mtpy_linalg_error;

PyObject *
mtpy_raise(void)
{
    const char *message;
    mt_error_kind kind = mt_error(&message);
    PyObject *type;
    switch (kind) {
    case MT_HOST: mt_error_clear(); return NULL; /* already an exception */
    case MT_VALUE: type = PyExc_ValueError; break;
    case MT_TYPE: type = PyExc_TypeError; break;
    case MT_INDEX: type = PyExc_IndexError; break;
    case MT_KEY: type = PyExc_KeyError; break;
    case MT_ATTRIBUTE: type = PyExc_AttributeError; break;
    case MT_NOT_IMPLEMENTED: type = PyExc_NotImplementedError; break;
    case MT_OVERFLOW: type = PyExc_OverflowError; break;
    case MT_ASSERTION: type = PyExc_AssertionError; break;
    case MT_OS: type = PyExc_OSError; break;
    case MT_FILE_NOT_FOUND: type = PyExc_FileNotFoundError; break;
    case MT_EOF: type = PyExc_EOFError; break;
    case MT_ZERO_DIVISION: type = PyExc_ZeroDivisionError; break;
    case MT_LINALG: type = mtpy_linalg_error ? mtpy_linalg_error : PyExc_RuntimeError; break;
    default: type = PyExc_RuntimeError; break;
    }
    if (!PyErr_Occurred()) {
        if (!message)
            message = "unknown error";
        /* a text may quote bytes of a broken file */
        PyObject *text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
        if (text)
            PyErr_SetObject(type, text);
        Py_XDECREF(text);
    }
    mt_error_clear();
    return NULL;
}

int
mtpy_raise_int(void)
{
    mtpy_raise();
    return -1;
}

int
mtpy_keep_exception(void)
{
    return mt_fail(MT_HOST, "an exception of the interpreter");
}
