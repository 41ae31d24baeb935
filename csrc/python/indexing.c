/* x[key] and x[key] = value.
 *
 * A key is walked once from left to right. Integers, slices, None and Ellipsis become views at
 * once; index tensors, sequences and masks are noted at the dimension they stand at, and one call
 * of index or index_put_ does them all at the end. */
#include "base/error.h"
#include "ops_gen.h"
#include "python/args.h"
#include "python/tensor.h"

typedef struct walk {
    mt_tensor *at;                  /* self, then a view of it; owned */
    mt_tensor *index[MT_MAX_DIMS];  /* per dimension of `at`; owned */
    bool covered[MT_MAX_DIMS];      /* a mask to the left stands for this dimension */
    int dim;                        /* the next dimension */
    int noted;                      /* dimensions with an entry: the list ends there */
    int place;                      /* the next dimension of self, for messages */
} walk;

/* Replaces the view (consumes next; NULL: failed). */
static int
step(walk *w, mt_tensor *next)
{
    if (!next)
        return mtpy_raise_int();
    mt_release(w->at);
    w->at = next;
    return 0;
}

static void
walk_clear(walk *w)
{
    for (int d = 0; d < w->noted; d++)
        mt_xrelease(w->index[d]);
    mt_release(w->at);
}

/* ---- single keys -------------------------------------------------------------------------- */

static mt_tensor *
select_at(mt_tensor *self, int dim, int place, int64_t i)
{
    if (MT_UNLIKELY(self->ndim == 0))
        return mt_fail_null(MT_INDEX,
                            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                            "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
    int64_t size = self->sizes[dim];
    if (MT_UNLIKELY(i < -size || i >= size))
        return mt_fail_null(MT_INDEX, "index %lld is out of bounds for dimension %d with size %lld",
                            (long long)i, place, (long long)size);
    return aten_select_int(self, dim, i);
}

static int
as_index(PyObject *key, int64_t *i)
{
    PyObject *n = PyLong_CheckExact(key) ? Py_NewRef(key) : PyNumber_Index(key);
    if (!n)
        return -1;
    int overflow;
    *i = PyLong_AsLongLongAndOverflow(n, &overflow);
    Py_DECREF(n);
    if (overflow) {
        PyErr_SetString(PyExc_ValueError, "Overflow when unpacking long long");
        return -1;
    }
    return *i == -1 && PyErr_Occurred() ? -1 : 0;
}

/* `whole`: a slice that leaves nothing out gives self itself. */
static mt_tensor *
slice_at(mt_tensor *self, int dim, PyObject *key, bool whole)
{
    Py_ssize_t start, stop, by;
    if (PySlice_Unpack(key, &start, &stop, &by) < 0) {
        mtpy_keep_exception();
        return NULL;
    }
    if (by <= 0)
        return mt_fail_null(MT_VALUE, "step must be greater than zero");
    if (self->ndim == 0)
        return mt_fail_null(MT_INDEX, "slice() cannot be applied to a 0-dim tensor.");
    if (whole && start == 0 && by == 1 && stop >= self->sizes[dim])
        return mt_keep(self);
    return aten_slice_Tensor(self, dim, mt_v_int(start), mt_v_int(stop), by);
}

static bool
is_mask(const mt_tensor *t)
{
    return t->dtype == MT_BOOL || t->dtype == MT_UINT8;
}

/* Notes an index tensor (consumed) at the next dimension. */
static int
note(walk *w, mt_tensor *index)
{
    if (!index)
        return -1;
    int covers = is_mask(index) ? index->ndim : 1;
    if (w->dim + covers > w->at->ndim) {
        PyErr_Format(PyExc_IndexError, "too many indices for tensor of dimension %d", w->at->ndim);
        mt_release(index);
        return -1;
    }
    while (w->noted < w->dim + covers) {
        w->index[w->noted] = NULL;
        w->covered[w->noted++] = false;
    }
    w->index[w->dim] = index;
    for (int d = 1; d < covers; d++)
        w->covered[w->dim + d] = true;
    w->dim += covers;
    w->place += covers;
    return 0;
}

/* True and False: a new dimension of which all or nothing is taken. */
static int
note_bool(walk *w, bool value)
{
    if (step(w, aten_unsqueeze(w->at, w->dim)) < 0)
        return -1;
    /* entries to the right of the new dimension do not exist yet: keys go from left to right */
    int64_t n = value, zero = 0;
    mt_tensor *index = mt_empty(1, &n, NULL, MT_INT64, w->at->device);
    if (!index)
        return mtpy_raise_int();
    if (n && !mt_is_meta(index))
        memcpy(mt_data(index), &zero, sizeof zero);
    int rc = note(w, index);
    w->place--;
    return rc;
}

static int
note_tensor(walk *w, mt_tensor *t)
{
    if (t->ndim == 0 && mt_is_integral((mt_dtype)t->dtype, true)) {
        PyObject *v = mtpy_item(t);
        if (!v)
            return -1;
        int rc;
        int64_t i = 0;
        if (is_mask(t))
            rc = note_bool(w, PyObject_IsTrue(v) == 1);
        else if ((rc = as_index(v, &i)) == 0)
            rc = step(w, select_at(w->at, w->dim, w->place++, i));
        Py_DECREF(v);
        return rc;
    }
    return note(w, mt_keep(t));
}

static bool
is_array(PyObject *o)
{
    return !strcmp(Py_TYPE(o)->tp_name, "numpy.ndarray");
}

static int
bad_key(PyObject *key)
{
    PyErr_Format(PyExc_IndexError,
                 "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
                 "valid indices (got %s)",
                 Py_TYPE(key)->tp_name);
    return -1;
}

/* A sequence or array as index tensor. */
static mt_tensor *
sequence_index(PyObject *key)
{
    mt_dtype dtype = MT_DTYPE_NONE;
    if (PyList_Check(key) && PyList_GET_SIZE(key) == 0)
        dtype = MT_INT64;
    mt_tensor *t = (mt_tensor *)mtpy_tensor_from_data(key, dtype, MT_CPU_DEVICE, true, false);
    if (!t || is_array(key) || t->dtype == MT_BOOL || t->dtype == MT_UINT8 || t->dtype == MT_INT64)
        return t;
    /* numbers in a list are taken as integers */
    mt_tensor *whole = aten__to_copy(t, MT_INT64, -1, MT_NO_DEVICE, mt_v_none(), false,
                                     MT_FORMAT_NONE);
    mt_release(t);
    if (!whole)
        mtpy_raise();
    return whole;
}

/* One part of a key. */
static int
take_part(walk *w, PyObject *key, int original_dims, int specified)
{
    if (mtpy_is_tensor(key))
        return note_tensor(w, (mt_tensor *)key);
    if (PySlice_Check(key)) {
        if (step(w, slice_at(w->at, w->dim, key, true)) < 0)
            return -1;
        w->dim++;
        w->place++;
        return 0;
    }
    if (key == Py_None) {
        if (step(w, aten_unsqueeze(w->at, w->dim)) < 0)
            return -1;
        w->dim++;
        return 0;
    }
    if (key == Py_Ellipsis) {
        w->dim += original_dims - specified;
        w->place += original_dims - specified;
        return 0;
    }
    if (PyBool_Check(key))
        return note_bool(w, key == Py_True);
    if (mtpy_is_int(key)) {
        int64_t i;
        if (as_index(key, &i) < 0)
            return -1;
        return step(w, select_at(w->at, w->dim, w->place++, i));
    }
    if (PySequence_Check(key) || is_array(key)) {
        mt_tensor *t = sequence_index(key);
        if (!t)
            return -1;
        int rc = note_tensor(w, t);
        mt_release(t);
        return rc;
    }
    return bad_key(key);
}

/* Dimensions that a part takes. */
static int
dims_of(PyObject *part)
{
    if (mtpy_is_tensor(part)) {
        const mt_tensor *t = (mt_tensor *)part;
        return is_mask(t) ? t->ndim : 1;
    }
    return part == Py_None || part == Py_Ellipsis || PyBool_Check(part) ? 0 : 1;
}

/* ---- whole keys --------------------------------------------------------------------------- */

/* Lists and other sequences that hold slices, sequences and the like are read as tuples. 1 yes, 0
 * no, -1 with an exception. */
static int
reads_as_tuple(PyObject *key)
{
    if (PyTuple_Check(key))
        return 1;
    if (mtpy_is_tensor(key) || is_array(key) || !PySequence_Check(key))
        return 0;
    Py_ssize_t n = PySequence_Size(key);
    if (n < 0) {
        PyErr_Clear();
        return 0;
    }
    if (n >= 32)
        return 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *o = PySequence_GetItem(key, i);
        if (!o) {
            PyErr_Clear();
            return 0;
        }
        bool yes = mtpy_is_tensor(o) || PySequence_Check(o) || PySlice_Check(o) ||
                   o == Py_Ellipsis || o == Py_None;
        Py_DECREF(o);
        if (yes)
            return PyErr_WarnEx(PyExc_UserWarning,
                                "Using a non-tuple sequence for multidimensional indexing is "
                                "deprecated and will be changed in pytorch 2.9; use x[tuple(seq)] "
                                "instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor "
                                "index, x[torch.tensor(seq)], which will result either in an error or "
                                "a different result",
                                1) < 0
                       ? -1
                       : 1;
    }
    return 0;
}

static int
take_key(walk *w, mt_tensor *self, PyObject *key)
{
    w->at = mt_keep(self);
    w->dim = w->noted = w->place = 0;
    int many = reads_as_tuple(key), rc = 0;
    if (many < 0)
        return -1;
    if (!many) {
        int d = dims_of(key);
        if (d > self->ndim && mtpy_is_tensor(key) && ((mt_tensor *)key)->ndim) {
            PyErr_Format(PyExc_IndexError, "too many indices for tensor of dimension %d", self->ndim);
            return -1;
        }
        return take_part(w, key, self->ndim, d);
    }
    PyObject *parts = PyTuple_Check(key) ? Py_NewRef(key) : PySequence_Tuple(key);
    if (!parts)
        return -1;
    Py_ssize_t n = PyTuple_GET_SIZE(parts);
    int specified = 0;
    for (Py_ssize_t i = 0; i < n; i++)
        specified += dims_of(PyTuple_GET_ITEM(parts, i));
    if (specified > self->ndim) {
        PyErr_Format(PyExc_IndexError, "too many indices for tensor of dimension %d", self->ndim);
        rc = -1;
    }
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++)
        rc = take_part(w, PyTuple_GET_ITEM(parts, i), self->ndim, specified);
    Py_DECREF(parts);
    return rc;
}

/* The noted tensors as the list that index takes. */
static int
index_list(walk *w, mt_tensor **list)
{
    int n = 0;
    for (int d = 0; d < w->noted; d++)
        if (!w->covered[d])
            list[n++] = w->index[d];
    return n;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const mtpy_packet getitem_packet = {"__getitem__", NULL, 0, MTPY_NS_METHOD};
static const mtpy_packet setitem_packet = {"__setitem__", NULL, 0, MTPY_NS_METHOD};

PyObject *
mtpy_getitem(PyObject *self, PyObject *key)
{
    mt_tensor *t = (mt_tensor *)self, *r = NULL;
    if (MT_UNLIKELY(mtpy_overriding(self) || mtpy_has_torch_function(key))) {
        PyObject *result = NULL;
        if (mtpy_torch_function(&getitem_packet, self, &key, 1, NULL, &result))
            return result;
    }
    if (PyLong_CheckExact(key)) {
        int64_t i;
        if (as_index(key, &i) < 0)
            return NULL;
        r = select_at(t, 0, 0, i);
        return r ? (PyObject *)r : mtpy_raise();
    }
    if (PySlice_Check(key)) {
        r = slice_at(t, 0, key, false);
        return r ? (PyObject *)r : mtpy_raise();
    }
    walk w;
    if (take_key(&w, t, key) < 0)
        goto done;
    if (w.noted) {
        mt_tensor *list[MT_MAX_DIMS];
        int n = index_list(&w, list);
        r = aten_index_Tensor(w.at, list, n);
    } else
        r = w.at == t ? aten_alias(t) : mt_keep(w.at);
    if (!r)
        mtpy_raise();
done:
    walk_clear(&w);
    return (PyObject *)r;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int
bad_value(mt_tensor *self, PyObject *value)
{
    PyErr_Format(PyExc_TypeError, "can't assign a %s to a torch.%sTensor", Py_TYPE(value)->tp_name,
                 mt_dtypes[self->dtype].scalar_name);
    return -1;
}

/* The tensor without dimensions of size 1 in front that dst does not have. */
static mt_tensor *
without_leading(mt_tensor *value, int keep)
{
    int lead = 0;
    while (value->ndim - lead > keep && value->sizes[lead] == 1)
        lead++;
    return lead ? aten_view(value, value->sizes + lead, value->ndim - lead) : mt_keep(value);
}

static int
assign(mt_tensor *dst, mt_tensor *value)
{
    int lead = 0;
    while (lead < value->ndim && value->sizes[lead] == 1)
        lead++;
    mt_tensor *part = mt_same_shape(dst, value) ? mt_keep(value) : without_leading(value, value->ndim - lead);
    mt_tensor *wide = NULL;
    int rc = -1;
    if (!part)
        return -1;
    if (mt_same_shape(dst, part))
        wide = mt_keep(part);
    else
        wide = aten_expand(part, dst->sizes, dst->ndim, false);
    if (wide)
        rc = aten_copy_(dst, wide, false);
    mt_xrelease(wide);
    mt_release(part);
    return rc;
}

int
mtpy_setitem(PyObject *self, PyObject *key, PyObject *value)
{
    mt_tensor *t = (mt_tensor *)self;
    if (!value) {
        PyErr_SetString(PyExc_TypeError, "Tensor does not support deleting items");
        return -1;
    }
    if (MT_UNLIKELY(!mtpy_is_plain_tensor(self) || mt_this_thread()->function_modes ||
                    mtpy_has_torch_function(value))) {
        PyObject *result = NULL, *args[2] = {key, value};
        if (mtpy_torch_function(&setitem_packet, self, args, 2, NULL, &result)) {
            Py_XDECREF(result);
            return result ? 0 : -1;
        }
    }
    double room[2];
    mt_scalar number;
    bool tensor = mtpy_is_tensor(value);
    if (!tensor) {
        if (!(PyFloat_Check(value) || PyLong_Check(value) || PyComplex_Check(value)))
            return bad_value(t, value);
        if (mtpy_as_scalar(value, &number, room) <= 0)
            return -1;
    }
    if (key == Py_False)
        return 0;
    int rc = -1;
    walk w;
    if (key == Py_True) {
        w.noted = 0;
        w.at = aten_unsqueeze(t, 0);
        if (!w.at)
            return mtpy_raise_int();
    } else if (take_key(&w, t, key) < 0) {
        walk_clear(&w);
        return -1;
    }
    if (!w.noted) {
        rc = tensor ? assign(w.at, (mt_tensor *)value) : aten_fill__Scalar(w.at, number);
    } else {
        mt_tensor *list[MT_MAX_DIMS], *v;
        int n = index_list(&w, list);
        if (tensor)
            v = without_leading((mt_tensor *)value, 0);
        else if (number.tag == MT_V_COMPLEX && !mt_is_complex((mt_dtype)t->dtype) &&
                 mt_scalar_imag(number) != 0)
            v = mt_fail_null(MT_RUNTIME, "value cannot be converted to type %s without overflow",
                             mt_dtypes[t->dtype].legacy_name ? mt_dtypes[t->dtype].legacy_name
                                                             : mt_dtypes[t->dtype].name);
        else
            v = mt_scalar_to_tensor(number, (mt_dtype)t->dtype);
        if (v) {
            mt_tensor *mask = n == 1 ? list[0] : NULL;
            if (mask && mask->dtype == MT_BOOL && !tensor && mask->ndim == w.at->ndim &&
                mt_same_shape(mask, w.at))
                rc = aten_masked_fill__Scalar(w.at, mask, number);
            else
                rc = aten_index_put_(w.at, list, n, v, false);
            mt_release(v);
        }
    }
    if (rc < 0)
        mtpy_raise();
    walk_clear(&w);
    return rc;
}

int
mtpy_add_indexing(PyObject *module)
{
    (void)module;
    return 0;
}
