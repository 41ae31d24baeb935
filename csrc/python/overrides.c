/* __torch_function__: subclasses and modes that take calls over. */
#include "python/args.h"

bool
mtpy_has_torch_function(PyObject *o)
{
    (void)o;
    return false;
}

bool
mtpy_torch_function(const mtpy_packet *packet, PyObject *self, PyObject *const *args,
                    Py_ssize_t nargs, PyObject *kwnames, PyObject **result)
{
    (void)packet;
    (void)self;
    (void)args;
    (void)nargs;
    (void)kwnames;
    (void)result;
    return false;
}

int
mtpy_add_overrides(PyObject *module)
{
    (void)module;
    return 0;
}
