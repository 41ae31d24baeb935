/* The argument matcher: Python arguments against the signatures of the operator table.
 *
 * Signatures are tried in order; the first that takes the arguments decides which operator runs.
 * Values go into an array of the operator's schema order, lists into an arena on the C stack. When
 * nothing fits, the error is worded as PyTorch words it. */
#include "python/args.h"

#include "base/error.h"

static const char *const type_names[] = {
    [MT_A_TENSOR] = "Tensor",      [MT_A_TENSORS] = "tuple of Tensors",
    [MT_A_INT] = "int",            [MT_A_FLOAT] = "float",
    [MT_A_BOOL] = "bool",          [MT_A_SCALAR] = "Number",
    [MT_A_INTS] = "tuple of ints", [MT_A_FLOATS] = "tuple of floats",
    [MT_A_BOOLS] = "tuple of bools", [MT_A_SCALARS] = "tuple of Scalars",
    [MT_A_STR] = "str",            [MT_A_DTYPE] = "torch.dtype",
    [MT_A_DEVICE] = "torch.device", [MT_A_LAYOUT] = "torch.layout",
    [MT_A_FORMAT] = "torch.memory_format", [MT_A_GENERATOR] = "torch.Generator",
    [MT_A_STORAGE] = "Storage",    [MT_A_OBJECT] = "object",
};

/* ---- arena -------------------------------------------------------------------------------- */

void
mtpy_arena_clear(mtpy_arena *arena)
{
    for (int i = 0; i < arena->nowned; i++)
        Py_DECREF(arena->owned[i]);
    for (int i = 0; i < arena->nblocks; i++)
        PyMem_Free(arena->blocks[i]);
    arena->nowned = arena->nblocks = 0;
    arena->used = 0;
}

static void *
arena_alloc(mtpy_arena *arena, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (arena->used + bytes <= sizeof arena->room) {
        void *p = arena->room + arena->used;
        arena->used += (uint32_t)bytes;
        return p;
    }
    if (arena->nblocks == MTPY_ARENA_BLOCKS) {
        PyErr_NoMemory();
        return NULL;
    }
    void *p = PyMem_Malloc(bytes);
    if (!p)
        return PyErr_NoMemory();
    arena->blocks[arena->nblocks++] = p;
    return p;
}

static int
own(mtpy_arena *arena, void *object)
{
    if (!object)
        return -1;
    if (arena->nowned == MTPY_ARENA_OWNED) {
        Py_DECREF((PyObject *)object);
        PyErr_SetString(PyExc_RuntimeError, "too many arguments");
        return -1;
    }
    arena->owned[arena->nowned++] = object;
    return 0;
}

/* ---- single values ------------------------------------------------------------------------ */

bool
mtpy_is_int(PyObject *o)
{
    if (PyLong_CheckExact(o))
        return true;
    if (PyBool_Check(o) || PyFloat_Check(o))
        return false;
    if (PyLong_Check(o))
        return true;
    if (mtpy_is_tensor(o) || PyTuple_Check(o) || PyUnicode_Check(o))
        return false;
    return PyIndex_Check(o) && !PySequence_Check(o);
}

static bool
is_numpy_scalar(PyObject *o)
{
    return !strncmp(Py_TYPE(o)->tp_name, "numpy.", 6);
}

/* A 0-dim tensor may stand for a number where it needs no gradient. */
static bool
is_number_tensor(PyObject *o)
{
    if (!mtpy_is_tensor(o))
        return false;
    mt_tensor *t = (mt_tensor *)o;
    return t->ndim == 0 && !mt_requires_grad(t) && !mt_is_meta(t);
}

int
mtpy_as_scalar(PyObject *o, mt_scalar *value, double room[2])
{
    if (PyFloat_Check(o)) {
        *value = mt_v_float(PyFloat_AS_DOUBLE(o));
        return 1;
    }
    if (PyBool_Check(o)) {
        *value = mt_v_bool(o == Py_True);
        return 1;
    }
    if (PyLong_Check(o)) {
        int overflow;
        long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
        if (overflow) {
            unsigned long long u = PyLong_AsUnsignedLongLong(o);
            if (u == (unsigned long long)-1 && PyErr_Occurred()) {
                PyErr_Clear();
                PyErr_SetString(PyExc_RuntimeError, "Overflow when unpacking long long");
                return -1;
            }
            v = (long long)u;
        }
        *value = mt_v_int(v);
        return 1;
    }
    if (PyComplex_Check(o)) {
        Py_complex c = PyComplex_AsCComplex(o);
        room[0] = c.real;
        room[1] = c.imag;
        *value = mt_v_complex(room);
        return 1;
    }
    if (is_number_tensor(o) || (is_numpy_scalar(o) && !PySequence_Check(o))) {
        PyObject *number = PyObject_CallMethod(o, "item", NULL);
        if (!number)
            return -1;
        int rc = PyFloat_Check(number) || PyLong_Check(number) || PyComplex_Check(number)
                     ? mtpy_as_scalar(number, value, room)
                     : 0;
        Py_DECREF(number);
        return rc;
    }
    return 0;
}

static int
as_int(PyObject *o, int64_t *value)
{
    PyObject *n = PyLong_Check(o) ? Py_NewRef(o) : PyNumber_Index(o);
    if (!n)
        return -1;
    int overflow;
    *value = PyLong_AsLongLongAndOverflow(n, &overflow);
    Py_DECREF(n);
    if (overflow) {
        PyErr_SetString(PyExc_RuntimeError, "Overflow when unpacking long long");
        return -1;
    }
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static bool
is_int_like(PyObject *o)
{
    if (mtpy_is_int(o))
        return true;
    return is_number_tensor(o) && mt_is_integral((mt_dtype)((mt_tensor *)o)->dtype, false);
}

static bool
is_number(PyObject *o)
{
    return PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o) || is_number_tensor(o) ||
           (is_numpy_scalar(o) && !PySequence_Check(o));
}

/* Elements of a tuple or list, borrowed. */
static Py_ssize_t
items_of(PyObject *o, PyObject ***items)
{
    if (PyTuple_Check(o)) {
        *items = ((PyTupleObject *)o)->ob_item;
        return PyTuple_GET_SIZE(o);
    }
    if (PyList_Check(o)) {
        *items = ((PyListObject *)o)->ob_item;
        return PyList_GET_SIZE(o);
    }
    return -1;
}

/* Whether the object may fill the parameter: cheap, no conversion. *bad gets the place of the
 * first wrong list element. */
static bool
accepts_itself(const mtpy_param *p, PyObject *o, bool *has_override)
{
    if (o == Py_None && p->flags & MTPY_NONE_OK)
        return true;
    PyObject **items;
    Py_ssize_t n;
    switch (p->type) {
    case MT_A_TENSOR:
        if (mtpy_is_plain_tensor(o))
            return true;
        if (mtpy_is_tensor(o)) {
            *has_override = true;
            return true;
        }
        if (p->flags & MTPY_NUMBER_OK && is_number(o))
            return true;
        return false;
    case MT_A_TENSORS:
        if ((n = items_of(o, &items)) < 0)
            return false;
        for (Py_ssize_t i = 0; i < n; i++) {
            if (mtpy_is_plain_tensor(items[i]))
                continue;
            if (mtpy_is_tensor(items[i]) ||
                (items[i] != Py_None && !is_number(items[i]) && mtpy_has_torch_function(items[i]))) {
                *has_override = true;
                continue;
            }
            if (items[i] == Py_None && p->flags & MTPY_ELEMENTS_OPTIONAL)
                continue;
            return false;
        }
        return true;
    case MT_A_INT: return is_int_like(o);
    case MT_A_FLOAT: return PyFloat_Check(o) || PyLong_Check(o) || is_number_tensor(o) || (is_numpy_scalar(o) && PyNumber_Check(o) && !PySequence_Check(o));
    case MT_A_BOOL:
        return PyBool_Check(o) || (is_number_tensor(o) && ((mt_tensor *)o)->dtype == MT_BOOL) ||
               !strcmp(Py_TYPE(o)->tp_name, "numpy.bool_") || !strcmp(Py_TYPE(o)->tp_name, "numpy.bool");
    case MT_A_SCALAR: return is_number(o);
    case MT_A_INTS:
        if ((n = items_of(o, &items)) < 0)
            return p->size > 0 && is_int_like(o);
        for (Py_ssize_t i = 0; i < n; i++)
            if (!is_int_like(items[i]))
                return false;
        return true;
    case MT_A_FLOATS:
        if ((n = items_of(o, &items)) < 0)
            return p->size > 0 && PyFloat_Check(o);
        for (Py_ssize_t i = 0; i < n; i++)
            if (!PyFloat_Check(items[i]) && !PyLong_Check(items[i]))
                return false;
        return true;
    case MT_A_BOOLS:
        if ((n = items_of(o, &items)) < 0)
            return p->size > 0 && PyBool_Check(o);
        for (Py_ssize_t i = 0; i < n; i++)
            if (!PyBool_Check(items[i]))
                return false;
        return true;
    case MT_A_SCALARS:
        if ((n = items_of(o, &items)) < 0)
            return false;
        for (Py_ssize_t i = 0; i < n; i++)
            if (!is_number(items[i]))
                return false;
        return true;
    case MT_A_STR: return PyUnicode_Check(o);
    case MT_A_DTYPE: {
        mt_dtype d;
        return mtpy_as_dtype(o, &d) == 1;
    }
    case MT_A_DEVICE: return Py_TYPE(o) == mtpy_device_type || PyUnicode_Check(o) || mtpy_is_int(o);
    case MT_A_LAYOUT: return Py_TYPE(o) == mtpy_layout_type;
    case MT_A_FORMAT: return Py_TYPE(o) == mtpy_format_type;
    case MT_A_GENERATOR: return mtpy_generator_type && PyObject_TypeCheck(o, mtpy_generator_type);
    default: return true;
    }
}

/* The object, or something that overrides operators and stands in its place. */
static bool
accepts(const mtpy_param *p, PyObject *o, bool *has_override)
{
    if (MT_LIKELY(accepts_itself(p, o, has_override)))
        return true;
    PyObject **items;
    Py_ssize_t n = items_of(o, &items);
    if (n < 0)
        return !mtpy_is_tensor(o) && mtpy_has_torch_function(o) && (*has_override = true);
    if (p->type != MT_A_INTS)
        return false;
    bool any = false;
    for (Py_ssize_t i = 0; i < n; i++) {
        bool override = !mtpy_is_tensor(items[i]) && mtpy_has_torch_function(items[i]);
        if (!override && !is_int_like(items[i]))
            return false;
        any |= override;
    }
    return any && (*has_override = true);
}

/* Converts an accepted object. */
static int
convert(const mtpy_param *p, PyObject *o, mt_value *value, mtpy_arena *arena)
{
    if (o == Py_None && p->flags & MTPY_NONE_OK) {
        *value = mt_v_none();
        return 0;
    }
    PyObject **items = NULL;
    Py_ssize_t n;
    switch (p->type) {
    case MT_A_TENSOR:
        if (MT_LIKELY(mtpy_is_tensor(o))) {
            *value = mt_v_tensor((mt_tensor *)o);
            return 0;
        } else {
            double room[2];
            mt_scalar s;
            if (mtpy_as_scalar(o, &s, room) != 1)
                return -1;
            mt_tensor *t = mt_wrap_scalar(s);
            if (!t)
                return mtpy_raise_int();
            *value = mt_v_tensor(t);
            return own(arena, t);
        }
    case MT_A_TENSORS: {
        n = items_of(o, &items);
        mt_tensor **ts = arena_alloc(arena, (size_t)(n ? n : 1) * sizeof *ts);
        if (!ts)
            return -1;
        for (Py_ssize_t i = 0; i < n; i++)
            ts[i] = items[i] == Py_None ? NULL : (mt_tensor *)items[i];
        *value = mt_v_tensors(ts, n);
        return 0;
    }
    case MT_A_INT: {
        int64_t v;
        if (as_int(o, &v) < 0)
            return -1;
        *value = mt_v_int(v);
        return 0;
    }
    case MT_A_FLOAT: {
        double v = PyFloat_AsDouble(o);
        if (v == -1.0 && PyErr_Occurred())
            return -1;
        *value = mt_v_float(v);
        return 0;
    }
    case MT_A_BOOL: {
        int v = PyObject_IsTrue(o);
        *value = mt_v_bool(v > 0);
        return v < 0 ? -1 : 0;
    }
    case MT_A_SCALAR: {
        double *room = arena_alloc(arena, 2 * sizeof(double));
        return room && mtpy_as_scalar(o, value, room) == 1 ? 0 : -1;
    }
    case MT_A_INTS: {
        n = items_of(o, &items);
        Py_ssize_t count = n < 0 ? p->size : n;
        int64_t *v = arena_alloc(arena, (size_t)(count ? count : 1) * sizeof *v);
        if (!v)
            return -1;
        for (Py_ssize_t i = 0; i < count; i++)
            if (as_int(n < 0 ? o : items[i], &v[i]) < 0)
                return -1;
        *value = mt_v_ints(v, count);
        return 0;
    }
    case MT_A_FLOATS: {
        n = items_of(o, &items);
        Py_ssize_t count = n < 0 ? p->size : n;
        double *v = arena_alloc(arena, (size_t)(count ? count : 1) * sizeof *v);
        if (!v)
            return -1;
        for (Py_ssize_t i = 0; i < count; i++)
            v[i] = PyFloat_AsDouble(n < 0 ? o : items[i]);
        if (PyErr_Occurred())
            return -1;
        *value = mt_v_floats(v, count);
        return 0;
    }
    case MT_A_BOOLS: {
        n = items_of(o, &items);
        Py_ssize_t count = n < 0 ? p->size : n;
        int64_t *v = arena_alloc(arena, (size_t)(count ? count : 1) * sizeof *v);
        if (!v)
            return -1;
        for (Py_ssize_t i = 0; i < count; i++)
            v[i] = (n < 0 ? o : items[i]) == Py_True;
        *value = mt_v_bools(v, count);
        return 0;
    }
    case MT_A_SCALARS: {
        n = items_of(o, &items);
        mt_value *v = arena_alloc(arena, (size_t)(n ? n : 1) * (sizeof *v + 2 * sizeof(double)));
        if (!v)
            return -1;
        double *room = (double *)(v + n);
        for (Py_ssize_t i = 0; i < n; i++)
            if (mtpy_as_scalar(items[i], &v[i], room + 2 * i) != 1)
                return -1;
        *value = mt_v_scalars(v, n);
        return 0;
    }
    case MT_A_STR: {
        Py_ssize_t len;
        const char *text = PyUnicode_AsUTF8AndSize(o, &len);
        if (!text)
            return -1;
        *value = (mt_value){.tag = MT_V_STR, .len = (uint32_t)len, .u.s = text};
        return 0;
    }
    case MT_A_DTYPE: {
        mt_dtype d = MT_DTYPE_NONE;
        mtpy_as_dtype(o, &d);
        *value = mt_v_dtype(d);
        return 0;
    }
    case MT_A_DEVICE: {
        mt_device d;
        if (mtpy_as_device(o, &d) < 0)
            return -1;
        *value = mt_v_device(d);
        return 0;
    }
    case MT_A_LAYOUT:
        *value = mt_v_layout(((mtpy_named *)o)->value);
        return 0;
    case MT_A_FORMAT:
        *value = mt_v_format((mt_memory_format)((mtpy_named *)o)->value);
        return 0;
    default:
        *value = mt_v_pointer(p->type == MT_A_GENERATOR ? MT_V_GENERATOR : MT_V_OBJECT, o);
        return 0;
    }
}

bool
mtpy_accepts(const mtpy_param *p, PyObject *o)
{
    bool override;
    return accepts(p, o, &override);
}

int
mtpy_convert(const mtpy_param *p, PyObject *o, mt_value *value, mtpy_arena *arena)
{
    return convert(p, o, value, arena);
}

const char *
mtpy_type_name(const mtpy_param *p)
{
    static const char *const names[] = {
        [MT_A_TENSOR] = "Tensor",       [MT_A_TENSORS] = "List[Tensor]", [MT_A_INT] = "int",
        [MT_A_FLOAT] = "float",         [MT_A_BOOL] = "bool",            [MT_A_SCALAR] = "number",
        [MT_A_INTS] = "List[int]",      [MT_A_FLOATS] = "List[float]",   [MT_A_BOOLS] = "List[bool]",
        [MT_A_SCALARS] = "List[number]", [MT_A_STR] = "str",             [MT_A_DTYPE] = "int",
        [MT_A_DEVICE] = "Device",       [MT_A_LAYOUT] = "int",           [MT_A_FORMAT] = "int",
        [MT_A_GENERATOR] = "Generator", [MT_A_STORAGE] = "Storage",      [MT_A_OBJECT] = "object",
    };
    return p->flags & MTPY_NONE_OK ? mt_str("Optional[%s]", names[p->type]) : names[p->type];
}

/* ---- matching ----------------------------------------------------------------------------- */

static Py_ssize_t
find_keyword(PyObject *kwnames, const char *name)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++)
        if (!PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i), name))
            return i;
    return -1;
}

/* Other spellings that PyTorch takes, after NumPy's. */
static Py_ssize_t
find_numpy_keyword(PyObject *kwnames, const char *name)
{
    static const char *const pairs[][2] = {
        {"dim", "axis"}, {"keepdim", "keepdims"}, {"input", "x"}, {"other", "x2"}, {"input", "a"}};
    for (size_t i = 0; i < MT_COUNT(pairs); i++)
        if (!strcmp(pairs[i][0], name)) {
            Py_ssize_t k = find_keyword(kwnames, pairs[i][1]);
            if (k >= 0)
                return k;
        }
    return -1;
}

/* TypeError for element k of a list. PyTorch looks at the first integer when it matches and at the
 * others when it unpacks, and words these differently. */
static void
raise_bad_element(const mtpy_packet *packet, const mtpy_param *p, const char *where, PyObject *item,
                  Py_ssize_t k)
{
    if (k && p->type == MT_A_INTS)
        PyErr_Format(PyExc_TypeError,
                     "%s(): argument '%s' failed to unpack the object at pos %zd with error \"type must "
                     "be tuple of ints,but got %s\"",
                     packet->name, p->name, k + 1, Py_TYPE(item)->tp_name);
    else
        PyErr_Format(PyExc_TypeError,
                     "%s(): argument '%s'%s must be %s, but found element of type %s at pos %zd",
                     packet->name, p->name, where, type_names[p->type], Py_TYPE(item)->tp_name, k);
}

/* Looks whether the signature takes the arguments; objects[] gets one per parameter (NULL: left
 * out). 1 yes, 0 no; with `say` set the reason is raised as an exception and -1 returned. */
static int
fit(const mtpy_packet *packet, const mtpy_signature *sig, PyObject *const *args, Py_ssize_t nargs,
    PyObject *kwnames, PyObject **objects, bool *varargs, bool *has_override, bool say)
{
    *varargs = false;
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0, used = 0;
    bool list_first = sig->npositional == 1 && sig->params[0].type == MT_A_INTS;
    if (nargs > sig->npositional) {
        if (!(list_first && is_int_like(args[0]))) {
            if (say) {
                int npos = sig->npositional;
                PyErr_Format(PyExc_TypeError,
                             "%s() takes %d positional argument%s but %zd %s given", packet->name,
                             npos, npos == 1 ? "" : "s", nargs, nargs == 1 ? "was" : "were");
                return -1;
            }
            return 0;
        }
    }
    for (int i = 0; i < sig->nparams; i++) {
        const mtpy_param *p = &sig->params[i];
        PyObject *o = NULL;
        bool positional = false;
        if (i < sig->npositional && i < nargs) {
            o = args[i];
            positional = true;
            if (i == 0 && list_first && (nargs > 1 || (p->size <= 0 && is_int_like(o)))) {
                for (Py_ssize_t k = 0; k < nargs; k++)
                    if (!is_int_like(args[k])) {
                        if (say) {
                            raise_bad_element(packet, p, " (position 1)", args[k], k);
                            return -1;
                        }
                        return 0;
                    }
                *varargs = true;
                objects[i] = o;
                continue;
            }
            if (nkw && find_keyword(kwnames, p->name) >= 0) {
                if (say) {
                    PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'",
                                 packet->name, p->name);
                    return -1;
                }
                return 0;
            }
        } else if (nkw) {
            Py_ssize_t k = find_keyword(kwnames, p->name);
            if (k < 0)
                k = find_numpy_keyword(kwnames, p->name);
            if (k >= 0) {
                o = args[nargs + k];
                used++;
            }
        }
        objects[i] = o;
        if (!o) {
            if (p->flags & MTPY_HAS_DEFAULT)
                continue;
            if (say) {
                /* all that are missing, by name */
                PyObject *names = PyUnicode_FromString("");
                int missing = 0;
                for (int j = i; j < sig->npositional && names; j++) {
                    const mtpy_param *q = &sig->params[j];
                    if (q->flags & MTPY_HAS_DEFAULT || (nkw && find_keyword(kwnames, q->name) >= 0))
                        continue;
                    Py_SETREF(names, PyUnicode_FromFormat(missing ? "%U, \"%s\"" : "%U\"%s\"", names,
                                                          q->name));
                    missing++;
                }
                if (names && i < sig->npositional)
                    PyErr_Format(PyExc_TypeError,
                                 "%s() missing %d required positional argument%s: %U", packet->name,
                                 missing, missing == 1 ? "s" : "s", names);
                else if (names)
                    PyErr_Format(PyExc_TypeError,
                                 "%s() missing 1 required keyword-only arguments: \"%s\"",
                                 packet->name, p->name);
                Py_XDECREF(names);
                return -1;
            }
            return 0;
        }
        if (!accepts(p, o, has_override)) {
            if (say) {
                PyObject **items = NULL;
                Py_ssize_t n = items_of(o, &items);
                bool list = p->type == MT_A_TENSORS || p->type == MT_A_INTS ||
                            p->type == MT_A_FLOATS || p->type == MT_A_SCALARS;
                char where[32] = "";
                if (positional)
                    snprintf(where, sizeof where, " (position %d)", i + 1);
                if (list && n >= 0) {
                    for (Py_ssize_t k = 0; k < n; k++) {
                        bool ok = p->type == MT_A_TENSORS
                                      ? mtpy_is_tensor(items[k])
                                      : p->type == MT_A_INTS ? is_int_like(items[k])
                                                             : is_number(items[k]);
                        if (ok)
                            continue;
                        raise_bad_element(packet, p, where, items[k], k);
                        break;
                    }
                } else
                    PyErr_Format(PyExc_TypeError, "%s(): argument '%s'%s must be %s, not %s",
                                 packet->name, p->name, where, type_names[p->type],
                                 Py_TYPE(o)->tp_name);
                return -1;
            }
            return 0;
        }
    }
    if (used < nkw) {
        if (!say)
            return 0;
        for (Py_ssize_t k = 0; k < nkw; k++) {
            PyObject *name = PyTuple_GET_ITEM(kwnames, k);
            int known = 0;
            for (int i = 0; i < sig->nparams; i++)
                known |= !PyUnicode_CompareWithASCIIString(name, sig->params[i].name);
            if (!known) {
                PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'",
                             packet->name, name);
                return -1;
            }
        }
        PyErr_Format(PyExc_TypeError, "%s() got invalid keyword arguments", packet->name);
        return -1;
    }
    return 1;
}

/* "list of [str, int]" for lists and tuples, else the name of the type. */
static PyObject *
type_in_detail(PyObject *o)
{
    PyObject **items;
    Py_ssize_t n = items_of(o, &items);
    if (n < 0 || Py_TYPE(o) == mtpy_size_type)
        return PyUnicode_FromString(_PyType_Name(Py_TYPE(o)));
    PyObject *type = PyUnicode_FromString(PyTuple_Check(o) ? "tuple of (" : "list of [");
    for (Py_ssize_t k = 0; type && k < n; k++)
        Py_SETREF(type, PyUnicode_FromFormat(k ? "%U, %s" : "%U%s", type,
                                             _PyType_Name(Py_TYPE(items[k]))));
    if (type)
        Py_SETREF(type, PyUnicode_FromFormat(PyTuple_Check(o) ? (n == 1 ? "%U,)" : "%U)") : "%U]",
                                             type));
    return type;
}

/* One piece of a signature's text, "float scales = None": its type and, if it has no default, its
 * name. PyTorch takes the text apart in the same way, so that only parameters without a default are
 * known by name here, and lists match nothing. */
typedef struct piece {
    const char *type, *name;
    int type_size, name_size;
} piece;

static int
take_apart(const char *text, piece *pieces)
{
    int n = 0;
    const char *p = text + 1;
    while (*p && *p != ')' && n < MTPY_MAX_PARAMS + 1) {
        const char *end = strstr(p, ", ");
        if (!end)
            end = p + strlen(p) - 1;
        const char *space = p;
        for (const char *q = p; q < end; q++)
            if (*q == ' ')
                space = q;
        bool has_default = memchr(p, '=', (size_t)(end - p)) != NULL;
        pieces[n].type = p;
        pieces[n].type_size = (int)((has_default ? strchr(p, ' ') : space) - p);
        pieces[n].name = space + 1;
        pieces[n++].name_size = has_default || space == p ? 0 : (int)(end - space - 1);
        p = *end == ',' ? end + 2 : end;
    }
    return n;
}

static bool
is_of_type(const piece *a, PyObject *o)
{
    const char *type = _PyType_Name(Py_TYPE(o));
    if (a->type_size == 5 && !strncmp(a->type, "float", 5) && !strcmp(type, "int"))
        return true;
    return strlen(type) == (size_t)a->type_size && !strncmp(a->type, type, (size_t)a->type_size);
}

static int
index_of_name(const piece *pieces, int n, PyObject *name)
{
    const char *word = PyUnicode_AsUTF8(name);
    for (int i = 0; word && i < n; i++)
        if (pieces[i].name_size && strlen(word) == (size_t)pieces[i].name_size &&
            !strncmp(word, pieces[i].name, (size_t)pieces[i].name_size))
            return i;
    return -1;
}

/* What of the arguments a signature with as many parameters does not take; "" for others. */
static PyObject *
describe_mismatch(const mtpy_signature *sig, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    piece pieces[MTPY_MAX_PARAMS + 1];
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    int n = take_apart(sig->text, pieces);
    if (n != nargs + nkw || !n)
        return PyUnicode_FromString("");
    PyObject *text = PyUnicode_FromString(""), *type = NULL;
    for (Py_ssize_t k = 0; text && k < nkw; k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        if (index_of_name(pieces, n, name) < 0)
            Py_SETREF(text, PyUnicode_FromFormat(PyUnicode_GET_LENGTH(text) ? "%U, %U" : "%U%U", text,
                                                 name));
    }
    if (text && PyUnicode_GET_LENGTH(text)) {
        Py_SETREF(text, PyUnicode_FromFormat(
                            "\n      didn't match because some of the keywords were incorrect: %U", text));
        return text;
    }
    for (Py_ssize_t i = 0; text && i < nargs + nkw; i++) {
        bool named = i >= nargs;
        PyObject *name = named ? PyTuple_GET_ITEM(kwnames, i - nargs) : NULL;
        bool good = is_of_type(&pieces[named ? index_of_name(pieces, n, name) : i], args[i]);
        type = type_in_detail(args[i]);
        if (type && named)
            Py_SETREF(type, PyUnicode_FromFormat("%U=%U", name, type));
        if (type)
            Py_SETREF(text, PyUnicode_FromFormat(good ? "%U%s%U" : "%U%s!%U!", text, i ? ", " : "", type));
        else
            Py_CLEAR(text);
        Py_XDECREF(type);
    }
    if (text)
        Py_SETREF(text, PyUnicode_FromFormat("\n      didn't match because some of the arguments have "
                                             "invalid types: (%U)",
                                             text));
    return text;
}

/* "(str, int, dim=float)": the types of what was given. */
static PyObject *
describe(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *text = PyUnicode_FromString("(");
    Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; text && i < nargs + nkw; i++) {
        const char *type = _PyType_Name(Py_TYPE(args[i]));
        if (i >= nargs)
            Py_SETREF(text, PyUnicode_FromFormat(i ? "%U, %U=%s" : "%U%U=%s", text,
                                                 PyTuple_GET_ITEM(kwnames, i - nargs), type));
        else
            Py_SETREF(text, PyUnicode_FromFormat(i ? "%U, %s" : "%U%s", text, type));
    }
    if (text)
        Py_SETREF(text, PyUnicode_FromFormat("%U)", text));
    return text;
}

static void
raise_no_match(const mtpy_packet *packet, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    PyObject *objects[MTPY_MAX_PARAMS];
    bool varargs, override;
    /* where one signature takes this number of arguments, its own complaint says more */
    Py_ssize_t given = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    int plausible = 0, which = 0;
    for (int i = 0; i < packet->count; i++) {
        const mtpy_signature *sig = &packet->signatures[i];
        int least = 0;
        for (int j = 0; j < sig->nparams; j++)
            least += !(sig->params[j].flags & MTPY_HAS_DEFAULT);
        if (!(sig->flags & MTPY_DEPRECATED) && given >= least && given <= sig->nparams) {
            plausible++;
            which = i;
        }
    }
    if (packet->count == 1 || plausible == 1) {
        fit(packet, &packet->signatures[which], args, nargs, kwnames, objects, &varargs, &override,
            true);
        if (PyErr_Occurred())
            return;
    }
    PyObject *got = describe(args, nargs, kwnames);
    PyObject *text = got ? PyUnicode_FromFormat(
                               "%s() received an invalid combination of arguments - got %U, but "
                               "expected one of:",
                               packet->name, got)
                         : NULL;
    Py_XDECREF(got);
    for (int i = 0; text && i < packet->count; i++) {
        const mtpy_signature *sig = &packet->signatures[i];
        if (sig->flags & MTPY_DEPRECATED)
            continue;
        PyObject *detail = describe_mismatch(sig, args, nargs, kwnames);
        if (detail)
            Py_SETREF(text, PyUnicode_FromFormat("%U\n * %s%U", text, sig->text, detail));
        else
            Py_CLEAR(text);
        Py_XDECREF(detail);
    }
    if (text) {
        PyErr_Format(PyExc_TypeError, "%U\n", text);
        Py_DECREF(text);
    }
}

/* The most common case: positional arguments, one parameter each. False: `fit` knows. */
MT_INLINE bool
fit_positional(const mtpy_signature *sig, PyObject *const *args, Py_ssize_t nargs,
               PyObject **objects, bool *has_override)
{
    if (nargs > sig->npositional ||
        (sig->npositional == 1 && sig->params[0].type == MT_A_INTS))
        return false;
    int i = 0;
    for (; i < nargs; i++) {
        const mtpy_param *p = &sig->params[i];
        PyObject *o = args[i];
        objects[i] = o;
        if (!(p->type == MT_A_TENSOR && mtpy_is_plain_tensor(o)) && !accepts(p, o, has_override))
            return false;
    }
    for (; i < sig->nparams; i++) {
        objects[i] = NULL;
        if (!(sig->params[i].flags & MTPY_HAS_DEFAULT))
            return false;
    }
    return true;
}

int
mtpy_match(const mtpy_packet *packet, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
           mtpy_match_result *m)
{
    for (int i = 0; i < packet->count; i++) {
        bool override = false;
        const mtpy_signature *sig = &packet->signatures[i];
        if (MT_LIKELY(!kwnames)) {
            if (MT_LIKELY(fit_positional(sig, args, nargs, m->objects, &override))) {
                m->signature = sig;
                m->has_override = override;
                m->varargs = false;
                m->given = (int)nargs;
                return 0;
            }
            if (nargs <= sig->npositional &&
                !(sig->npositional == 1 && sig->params[0].type == MT_A_INTS))
                continue;
            override = false;
        }
        if (fit(packet, &packet->signatures[i], args, nargs, kwnames, m->objects, &m->varargs,
                &override, false) == 1) {
            m->signature = sig;
            m->has_override = override;
            m->given = sig->nparams;
            return 0;
        }
    }
    raise_no_match(packet, args, nargs, kwnames);
    return -1;
}

/* dtype=, layout= and device= beside out= must say what out is. */
static int
option_agrees(const mtpy_param *p, PyObject *o, const mt_tensor *out, mtpy_arena *arena)
{
    mt_value v = {0};
    if (o == Py_None || (p->type != MT_A_DTYPE && p->type != MT_A_DEVICE && p->type != MT_A_LAYOUT))
        return 0;
    if (convert(p, o, &v, arena) < 0)
        return -1;
    int rc = 0;
    if (p->type == MT_A_DTYPE && v.u.i != out->dtype)
        rc = mt_fail(MT_RUNTIME, "dtype %s does not match dtype of out parameter (%s)",
                     mt_dtypes[v.u.i].scalar_name, mt_dtypes[out->dtype].scalar_name);
    else if (p->type == MT_A_DEVICE && v.u.d.type != out->device.type)
        rc = mt_fail(MT_RUNTIME,
                     "device type %s does not match device type of out parameter (%s)",
                     mt_device_type_name(v.u.d.type), mt_device_type_name(out->device.type));
    else if (p->type == MT_A_LAYOUT && v.u.i != 0)
        rc = mt_fail(MT_RUNTIME, "layout Sparse does not match layout of out parameter (Strided)");
    if (rc < 0)
        mtpy_raise();
    return rc;
}

int
mtpy_fill(const mtpy_packet *packet, PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          mtpy_match_result *m)
{
    const mtpy_signature *sig = m->signature;
    PyObject **objects = m->objects;
    if (MT_UNLIKELY(m->has_override)) /* overrides did not apply: only real tensors will do */
        for (int i = 0; i < sig->nparams; i++) {
            PyObject *o = objects[i], **items;
            if (!o || o == Py_None)
                continue;
            Py_ssize_t n = sig->params[i].type == MT_A_TENSORS ? items_of(o, &items) : 0;
            bool ok = sig->params[i].type != MT_A_TENSOR || mtpy_is_tensor(o) || is_number(o);
            for (Py_ssize_t k = 0; k < n; k++)
                ok &= items[k] == Py_None || mtpy_is_tensor(items[k]);
            if (!ok) {
                PyErr_Format(PyExc_TypeError, "%s(): argument '%s' must be %s, not %s",
                             packet->name, sig->params[i].name, type_names[sig->params[i].type],
                             Py_TYPE(o)->tp_name);
                return -1;
            }
        }
    const mt_op *op = sig->op;
    m->requires_grad = false;
    m->out = NULL;
    for (int i = 0; i < m->given; i++)
        if (sig->params[i].arg == MTPY_OUT && objects[i] && objects[i] != Py_None) {
            m->out = objects[i];
            if (sig->out_op)
                op = sig->out_op;
        }
    m->op = op;
    for (int i = 0; i < op->nargs; i++)
        m->values[i] = op->args[i].fallback;
    if (self) {
        int at = 0; /* where(condition, self, other) is a method of its second argument */
        while (MT_UNLIKELY(strcmp(op->args[at].name, "self") && at + 1 < op->nargs))
            at++;
        m->values[at] = mt_v_tensor((mt_tensor *)self);
    }
    for (int i = 0; i < m->given; i++) {
        const mtpy_param *p = &sig->params[i];
        PyObject *o = objects[i];
        if (MT_LIKELY(p->type == MT_A_TENSOR && p->arg >= 0 && o && op == sig->op &&
                      mtpy_is_tensor(o))) {
            m->values[p->arg] = mt_v_tensor((mt_tensor *)o);
            continue;
        }
        if (p->arg == MTPY_OUT) {
            if (!m->out)
                continue;
            if (op->nouts == 1)
                m->values[op->nargs - 1] = mt_v_tensor((mt_tensor *)m->out);
            else {
                PyObject **items = NULL;
                Py_ssize_t n = items_of(m->out, &items);
                if (n != op->nouts) {
                    PyErr_Format(PyExc_TypeError,
                                 "%s(): argument 'out' must be tuple of %d Tensors, got %zd",
                                 packet->name, op->nouts, n);
                    return -1;
                }
                for (Py_ssize_t k = 0; k < n; k++)
                    m->values[op->nargs - op->nouts + k] = mt_v_tensor((mt_tensor *)items[k]);
            }
            continue;
        }
        if (p->arg == MTPY_REQUIRES_GRAD) {
            m->requires_grad = o && o == Py_True;
            continue;
        }
        if (!o)
            continue;
        int at = p->arg;
        if (op != sig->op) { /* out= forms keep the order of the other arguments by name */
            for (at = 0; at < op->nargs; at++)
                if (!strcmp(op->args[at].name, sig->op->args[p->arg].name))
                    break;
            if (at == op->nargs) { /* dtype, layout, device: the out tensor says them */
                if (option_agrees(p, o, (mt_tensor *)m->out, &m->arena) < 0)
                    return -1;
                continue;
            }
        }
        if (MT_UNLIKELY(m->varargs && i == 0)) {
            int64_t *v = arena_alloc(&m->arena, (size_t)(nargs ? nargs : 1) * sizeof *v);
            if (!v)
                return -1;
            for (Py_ssize_t k = 0; k < nargs; k++)
                if (as_int(args[k], &v[k]) < 0)
                    return -1;
            m->values[at] = mt_v_ints(v, nargs);
            continue;
        }
        if (convert(p, o, &m->values[at], &m->arena) < 0) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_TypeError, "%s(): argument '%s' must be %s, not %s",
                             packet->name, p->name, type_names[p->type], Py_TYPE(o)->tp_name);
            return -1;
        }
    }
    return 0;
}

PyObject *
mtpy_call(const mtpy_packet *packet, PyObject *self, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    mtpy_match_result m;
    m.arena.used = 0;
    m.arena.nowned = m.arena.nblocks = 0;
    mt_thread *thread = mt_this_thread();
    if (mtpy_match(packet, args, nargs, kwnames, &m) < 0)
        return NULL;
    if (MT_UNLIKELY(m.has_override || thread->function_modes ||
                    (self && !mtpy_is_plain_tensor(self)))) {
        PyObject *r = NULL;
        if (mtpy_torch_function_matched(packet, self, m.objects, m.signature->nparams, args, nargs,
                                        kwnames, &r))
            return r;
    }
    mt_value rets[MTPY_MAX_RETS];
    int rc = mtpy_fill(packet, self, args, nargs, &m);
    if (MT_LIKELY(rc == 0)) {
        for (int i = 0; i < m.op->nrets; i++)
            rets[i].tag = MT_V_NONE;
        rc = mt_dispatch(m.op, m.values, rets);
        if (MT_UNLIKELY(rc < 0))
            mtpy_raise();
    }
    if (MT_UNLIKELY(m.arena.nowned | m.arena.nblocks))
        mtpy_arena_clear(&m.arena);
    if (MT_UNLIKELY(rc < 0))
        return NULL;
    if (MT_UNLIKELY(m.requires_grad)) {
        mt_tensor *t = rets[0].u.t;
        if (t->dtype < MT_FLOAT16) {
            mt_release_rets(m.op, rets);
            PyErr_SetString(PyExc_RuntimeError,
                            "Only Tensors of floating point and complex dtype can require gradients");
            return NULL;
        }
        t->flags |= MT_T_REQUIRES_GRAD;
    }
    if (MT_LIKELY(m.op->nrets == 1 && rets[0].tag == MT_V_TENSOR))
        return (PyObject *)rets[0].u.t;
    if (m.op->nrets == 0 && m.op->nargs && m.op->args[0].type == MT_A_TENSORS &&
        (m.op->flags & MT_OP_COMPOSITE)) /* written in place: the list that was given */
        return Py_NewRef(m.objects[0]);
    return mtpy_wrap_rets(m.op, rets);
}
