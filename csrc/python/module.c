/* The module _C: gives the core its host and puts the parts together. */
#include "base/cpu.h"
#include "base/error.h"
#include "base/pool.h"
#include "kernels/blas.h"
#include "ops/attention.h"
#include "ops/determinism.h"
#include "python/signature.h"
#include "python/tensor.h"

/* ---- the host ----------------------------------------------------------------------------- */

static mt_object *
object_new(mt_object_kind kind)
{
    return kind == MT_OBJECT_TENSOR ? mtpy_new_tensor_block() : mtpy_new_node_block();
}

static void
object_dealloc(mt_object *object)
{
    _Py_Dealloc((PyObject *)object);
}

static void *
lock_leave(void)
{
    return PyEval_SaveThread();
}

static void
lock_enter(void *state)
{
    PyEval_RestoreThread(state);
}

static int
warn(mt_warn_kind kind, const char *text)
{
    PyObject *category = kind == MT_WARN_DEPRECATED ? PyExc_DeprecationWarning
                         : kind == MT_WARN_FUTURE   ? PyExc_FutureWarning
                                                    : PyExc_UserWarning;
    return PyErr_WarnEx(category, text, 1) < 0 ? mtpy_keep_exception() : 0;
}

static void
ref_keep(void *o)
{
    Py_INCREF((PyObject *)o);
}

static void
ref_release(void *o)
{
    Py_DECREF((PyObject *)o);
}

/* ---- settings ----------------------------------------------------------------------------- */

static PyObject *
get_default_dtype(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return mtpy_wrap_dtype(mt_default_dtype);
}

static PyObject *
set_default_dtype(PyObject *self, PyObject *o)
{
    (void)self;
    mt_dtype d;
    if (Py_TYPE(o) != mtpy_dtype_type)
        return PyErr_Format(PyExc_TypeError, "invalid dtype object: only floating-point types are "
                                             "supported as the default type");
    d = (mt_dtype)((mtpy_dtype *)o)->dtype;
    if (!mt_is_floating(d))
        return PyErr_Format(PyExc_TypeError, "only floating-point types are supported as the "
                                             "default type");
    mt_default_dtype = d;
    Py_RETURN_NONE;
}

static PyObject *
get_num_threads(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return PyLong_FromLong(mt_num_threads());
}

static PyObject *
set_num_threads(PyObject *self, PyObject *o)
{
    (void)self;
    if (!PyLong_Check(o) || PyBool_Check(o))
        return PyErr_Format(PyExc_TypeError, "set_num_threads expects an int, but got %s",
                            Py_TYPE(o)->tp_name);
    long n = PyLong_AsLong(o);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    if (n > INT_MAX)
        return PyErr_Format(PyExc_RuntimeError, "set_num_threads: %ld threads are too many", n);
    if (mt_set_num_threads((int)n) < 0)
        return mtpy_raise();
    Py_RETURN_NONE;
}

static PyObject *
set_blas_library(PyObject *self, PyObject *path)
{
    (void)self;
    const char *text = PyUnicode_AsUTF8(path);
    if (!text)
        return NULL;
    mt_blas_set_library(text);
    Py_RETURN_NONE;
}

static PyObject *
blas_config(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    const char *text = mt_blas_config();
    return text ? PyUnicode_FromString(text) : mtpy_raise();
}

/* ---- facts and switches of the machine ---------------------------------------------------- */

/* The instruction set of the kernels, in PyTorch's words. */
static PyObject *
cpu_capability(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    static const char *const names[MT_NUM_ISAS] = {"DEFAULT", "AVX2", "AVX512"}; /* ORDER ISA */
    return PyUnicode_FromString(names[mt_cpu_isa()]);
}

/* _build_facts() -> (compiler, C standard, best instruction set of the CPU, CPUs). */
static PyObject *
build_facts(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
#if defined(__clang__)
    const char *compiler = "Clang " __clang_version__;
#else
    const char *compiler = "GCC " __VERSION__;
#endif
    return Py_BuildValue("(slsi)", compiler, (long)__STDC_VERSION__, mt_isa_name(mt_cpu_best_isa()),
                         mt_cpu_count());
}

static PyObject *
set_flush_denormal(PyObject *self, PyObject *on)
{
    (void)self;
    if (!PyBool_Check(on))
        return PyErr_Format(PyExc_RuntimeError, "flush_denormal expects a bool, but got %s",
                            Py_TYPE(on)->tp_name);
#if defined(__SSE2__)
    /* bits 15 (results) and 6 (operands) of the control register */
    unsigned control = __builtin_ia32_stmxcsr() & ~0x8040u;
    __builtin_ia32_ldmxcsr(on == Py_True ? control | 0x8040u : control);
    Py_RETURN_TRUE;
#else
    Py_RETURN_FALSE;
#endif
}

/* _set_determinism(mode, fill): 0 off, 1 warnings, 2 errors; whether new memory is filled. */
static PyObject *
set_determinism(PyObject *self, PyObject *args)
{
    (void)self;
    int mode, fill;
    if (!PyArg_ParseTuple(args, "ip", &mode, &fill))
        return NULL;
    mt_set_determinism((mt_determinism)mode, fill);
    Py_RETURN_NONE;
}

/* way: number of torch.nn.attention.SDPBackend */
static PyObject *
get_sdp_enabled(PyObject *self, PyObject *way)
{
    (void)self;
    long i = PyLong_AsLong(way);
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i < 0 || i >= MT_SDP_COUNT)
        return PyErr_Format(PyExc_IndexError, "no way of attention has the number %ld", i);
    return PyBool_FromLong(mt_sdp_allowed((int)i));
}

static PyObject *
set_sdp_enabled(PyObject *self, PyObject *args)
{
    (void)self;
    int i, enabled;
    if (!PyArg_ParseTuple(args, "ip:_set_sdp_enabled", &i, &enabled))
        return NULL;
    if (i < 0 || i >= MT_SDP_COUNT)
        return PyErr_Format(PyExc_IndexError, "no way of attention has the number %d", i);
    mt_sdp_allow(i, enabled);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_get_cpu_capability", cpu_capability, METH_NOARGS, NULL},
    {"_build_facts", build_facts, METH_NOARGS, NULL},
    {"set_flush_denormal", set_flush_denormal, METH_O,
     "Makes this thread take numbers too small for the normal range as 0; returns whether the CPU "
     "can."},
    {"_set_determinism", set_determinism, METH_VARARGS, NULL},
    {"_get_sdp_enabled", get_sdp_enabled, METH_O, NULL},
    {"_set_sdp_enabled", set_sdp_enabled, METH_VARARGS, NULL},
    {"_set_blas_library", set_blas_library, METH_O, NULL},
    {"_blas_config", blas_config, METH_NOARGS, NULL},
    {"get_default_dtype", get_default_dtype, METH_NOARGS, "The dtype of floats without one."},
    {"_set_default_dtype", set_default_dtype, METH_O, NULL},
    {"get_num_threads", get_num_threads, METH_NOARGS, "Threads that one operator may use."},
    {"set_num_threads", set_num_threads, METH_O, "Sets how many threads one operator may use."},
    {0},
};

/* ---- operators as functions --------------------------------------------------------------- */

extern PyMethodDef mtpy_methods_function[], mtpy_methods_nn[], mtpy_methods_linalg[],
    mtpy_methods_fft[], mtpy_methods_special[];
extern PyMethodDef mtpy_parse_to[]; /* convert.c */

/* A submodule without a file: `_C._nn` and the like. */
static int
add_namespace(PyObject *module, const char *name, PyMethodDef *methods)
{
    PyObject *full = PyUnicode_FromFormat("%s.%s", PyModule_GetName(module), name);
    PyObject *sub = full ? PyModule_NewObject(full) : NULL;
    int rc = sub ? PyModule_AddFunctions(sub, methods) : -1;
    if (rc == 0)
        rc = PyModule_AddObjectRef(module, name, sub);
    if (rc == 0)
        rc = PyObject_SetItem(PyImport_GetModuleDict(), full, sub);
    Py_XDECREF(full);
    Py_XDECREF(sub);
    return rc;
}

static int
add_parse_to(PyObject *module)
{
    PyObject *sub = PyObject_GetAttrString(module, "_nn");
    int rc = sub ? PyModule_AddFunctions(sub, mtpy_parse_to) : -1;
    Py_XDECREF(sub);
    return rc;
}

int
mtpy_add_functions(PyObject *module)
{
    if (add_namespace(module, "_VariableFunctions", mtpy_methods_function) < 0 ||
        add_namespace(module, "_nn", mtpy_methods_nn) < 0 || add_parse_to(module) < 0 ||
        add_namespace(module, "_linalg", mtpy_methods_linalg) < 0 ||
        add_namespace(module, "_fft", mtpy_methods_fft) < 0 ||
        add_namespace(module, "_special", mtpy_methods_special) < 0)
        return -1;
    mtpy_linalg_error = PyErr_NewExceptionWithDoc("mindtorch_v2._C._LinAlgError",
                                                  "A matrix has no such factorization or solution.",
                                                  PyExc_RuntimeError, NULL);
    return mtpy_linalg_error ? PyModule_AddObjectRef(module, "_LinAlgError", mtpy_linalg_error) : -1;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_C", "The compiled core of mindtorch_v2.", -1, functions,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__C(void)
{
    mt_the_host = (mt_host){
        .object_new = object_new,
        .object_dealloc = object_dealloc,
        .object_track = mtpy_track,
        .lock_leave = lock_leave,
        .lock_enter = lock_enter,
        .warn = warn,
        .ref_keep = ref_keep,
        .ref_release = ref_release,
    };
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    if (mtpy_add_objects(module) < 0 || mtpy_add_tensor(module) < 0 ||
        mtpy_add_autograd(module) < 0 || mtpy_add_hooks(module) < 0 ||
        mtpy_add_saved(module) < 0 || mtpy_add_transforms(module) < 0 ||
        mtpy_add_autocast(module) < 0 || mtpy_add_function(module) < 0 || mtpy_add_functions(module) < 0 ||
        mtpy_add_overrides(module) < 0 || mtpy_add_operators(module) < 0 ||
        mtpy_add_dispatch(module) < 0 || mtpy_add_library(module) < 0 ||
        mtpy_add_generator(module) < 0 || mtpy_add_indexing(module) < 0 ||
        mtpy_add_data(module) < 0 || mtpy_add_zip(module) < 0 || mtpy_add_profiler(module) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
