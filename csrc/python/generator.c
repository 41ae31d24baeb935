/* torch.Generator. */
#include "ops/generator.h"

#include "python/tensor.h"

mt_generator *mt_default_generator;

#define RNG (&((mt_generator *)self)->rng)

static mt_generator *
make(PyTypeObject *type)
{
    mt_generator *g = (mt_generator *)type->tp_alloc(type, 0);
    if (g)
        mt_rng_seed(&g->rng, MT_RNG_DEFAULT_SEED);
    return g;
}

static PyObject *
generator_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"device", NULL};
    PyObject *device = NULL;
    mt_device d = MT_CPU_DEVICE;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Generator", names, &device))
        return NULL;
    if (device && device != Py_None && mtpy_as_device(device, &d) < 0)
        return NULL;
    if (d.type != MT_CPU)
        return PyErr_Format(PyExc_RuntimeError, "Device type %s is not supported for torch.Generator() api.",
                            mt_device_type_name(d.type));
    return (PyObject *)make(type);
}

static void
generator_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (((mt_generator *)self)->weakrefs)
        PyObject_ClearWeakRefs(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A seed: 64 bits, negative numbers by their two's complement. */
static int
as_seed(PyObject *o, uint64_t *seed)
{
    PyObject *n = PyNumber_Index(o);
    if (!n) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "manual_seed expected a long, but got %s", Py_TYPE(o)->tp_name);
        return -1;
    }
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(n, &overflow);
    *seed = (uint64_t)v;
    if (overflow > 0) {
        *seed = PyLong_AsUnsignedLongLong(n);
        if (*seed == (uint64_t)-1 && PyErr_Occurred())
            overflow = -1;
    }
    Py_DECREF(n);
    if (overflow < 0) {
        PyErr_Clear();
        PyErr_SetString(PyExc_RuntimeError, "Overflow when unpacking long long");
        return -1;
    }
    return 0;
}

static PyObject *
manual_seed(PyObject *self, PyObject *o)
{
    uint64_t seed;
    if (as_seed(o, &seed) < 0)
        return NULL;
    mt_rng_seed(RNG, seed);
    return Py_NewRef(self);
}

static PyObject *
seed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(mt_rng_seed_fresh(RNG));
}

static PyObject *
initial_seed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(mt_rng_seed_value(RNG));
}

static PyObject *
get_state(PyObject *self, PyObject *unused)
{
    (void)unused;
    int64_t n = MT_RNG_STATE_BYTES;
    mt_tensor *t = mt_empty(1, &n, NULL, MT_UINT8, MT_CPU_DEVICE);
    if (!t)
        return mtpy_raise();
    mt_rng_get_state(RNG, mt_data(t));
    return (PyObject *)t;
}

static PyObject *
set_state(PyObject *self, PyObject *o)
{
    if (!mtpy_is_tensor(o))
        return PyErr_Format(PyExc_TypeError, "expected a torch.ByteTensor, but got %s",
                            Py_TYPE(o)->tp_name);
    mt_tensor *t = (mt_tensor *)o;
    if (t->dtype != MT_UINT8 || !mt_is_contiguous(t) || mt_is_meta(t))
        return PyErr_Format(PyExc_TypeError, "RNG state must be a torch.ByteTensor");
    if (mt_rng_set_state(RNG, mt_data(t), (size_t)t->numel) < 0)
        return mtpy_raise();
    return Py_NewRef(self);
}

static PyObject *
clone_state(PyObject *self, PyObject *unused)
{
    (void)unused;
    mt_generator *g = make(mtpy_generator_type);
    if (g)
        g->rng = *RNG;
    return (PyObject *)g;
}

/* (Generator, (device,), (seed, offset, state)); the CPU's stream has no offset. */
static PyObject *
reduce(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_BuildValue("O(N)(KON)", Py_TYPE(self), mtpy_wrap_device(MT_CPU_DEVICE),
                         (unsigned long long)mt_rng_seed_value(RNG), Py_None,
                         get_state(self, NULL));
}

static PyObject *
set_pickled(PyObject *self, PyObject *state)
{
    unsigned long long first;
    PyObject *offset, *stream;
    if (!PyTuple_Check(state))
        return PyErr_Format(PyExc_TypeError, "expected a tuple of seed, offset and state, not '%s'",
                            Py_TYPE(state)->tp_name);
    if (!PyArg_ParseTuple(state, "KOO", &first, &offset, &stream))
        return NULL;
    mt_rng_seed(RNG, first);
    PyObject *r = set_state(self, stream);
    Py_XDECREF(r);
    return r ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
get_device(PyObject *self, void *unused)
{
    (void)self;
    (void)unused;
    return mtpy_wrap_device(MT_CPU_DEVICE);
}

static PyMethodDef methods[] = {
    {"manual_seed", manual_seed, METH_O, "Starts the stream of a seed; returns self."},
    {"seed", seed, METH_NOARGS, "Seeds from the system; returns the seed."},
    {"initial_seed", initial_seed, METH_NOARGS, "The seed in force."},
    {"get_state", get_state, METH_NOARGS, "The state as a uint8 tensor of 5056 elements."},
    {"set_state", set_state, METH_O, "Takes over a state from get_state."},
    {"clone_state", clone_state, METH_NOARGS, "A generator at the same place of the stream."},
    {"__reduce__", reduce, METH_NOARGS, NULL},
    {"__setstate__", set_pickled, METH_O, NULL},
    {"graphsafe_get_state", clone_state, METH_NOARGS, NULL},
    {0},
};
static PyGetSetDef getset[] = {{"device", get_device, NULL, "device(type='cpu')", NULL}, {0}};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(mt_generator, weakrefs), READONLY, NULL}, {0}};
static PyType_Slot slots[] = {
    {Py_tp_new, generator_new}, {Py_tp_dealloc, generator_dealloc}, {Py_tp_methods, methods},
    {Py_tp_getset, getset},     {Py_tp_members, members},
    {Py_tp_doc, "A stream of random numbers with a state of its own."},
    {0, NULL},
};
static PyType_Spec spec = {"torch._C.Generator", sizeof(mt_generator), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};

int
mtpy_add_generator(PyObject *module)
{
    mtpy_generator_type = mtpy_settle_type(PyType_FromSpec(&spec));
    if (!mtpy_generator_type ||
        PyModule_AddObjectRef(module, "Generator", (PyObject *)mtpy_generator_type) < 0)
        return -1;
    mt_default_generator = make(mtpy_generator_type);
    if (!mt_default_generator)
        return -1;
    return PyModule_AddObjectRef(module, "default_generator", (PyObject *)mt_default_generator);
}
