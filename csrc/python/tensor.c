/* The tensor type.
 *
 * `_C.TensorBase` is a mutable heap type; `Tensor` derives from it in Python. An object is the
 * core's block: its count is the tensor's count, so C and Python owners are alike and the
 * collector sees every edge (gradient function, base, gradient, hooks, attributes). Blocks of plain
 * tensors wait on a free list. A tensor joins the collector's lists only when it gets something
 * that could close a cycle. */
#include "python/tensor.h"

#include "autograd/view.h"
#include "base/error.h"
#include "ops_gen.h"
#include "python/args.h"
#include "python/operators.h"
#include "python/profiler.h"

PyTypeObject *mtpy_tensor_base, *mtpy_tensor_type, *mtpy_parameter_type;

/* ---- life --------------------------------------------------------------------------------- */

#define KEEP 1024
static PyObject *waiting[KEEP];
static int nwaiting;

mt_object *
mtpy_new_tensor_block(void)
{
    PyTypeObject *type = mtpy_tensor_type;
    PyObject *o;
    if (MT_LIKELY(nwaiting > 0)) {
        o = waiting[--nwaiting];
        o->ob_type = type;
        Py_INCREF(type);
        o->ob_refcnt = 1;
        return (mt_object *)o;
    }
    o = (PyObject *)PyObject_GC_New(mt_tensor, type);
    if (!o) {
        PyErr_Clear();
        return mt_fail_null(MT_MEMORY, "not enough memory for a tensor");
    }
    return (mt_object *)o;
}

void
mtpy_track(mt_object *object)
{
    if (!PyObject_GC_IsTracked((PyObject *)object))
        PyObject_GC_Track((PyObject *)object);
}

static void
tensor_dealloc(PyObject *self)
{
    mt_tensor *t = (mt_tensor *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self); /* does nothing for an untracked object */
    if (t->host_weakrefs)
        PyObject_ClearWeakRefs(self);
    if (t->host_dict) {
        PyObject *dict = t->host_dict;
        t->host_dict = NULL;
        Py_DECREF(dict);
    }
    mt_tensor_finalize(t);
    if (MT_LIKELY(type == mtpy_tensor_type && nwaiting < KEEP))
        waiting[nwaiting++] = self;
    else
        type->tp_free(self);
    Py_DECREF(type);
}

#define VISIT(p)                                                                                   \
    do {                                                                                           \
        if (p) {                                                                                   \
            int rc_ = visit((PyObject *)(p), arg);                                                 \
            if (rc_)                                                                               \
                return rc_;                                                                        \
        }                                                                                          \
    } while (0)

static int
tensor_traverse(PyObject *self, visitproc visit, void *arg)
{
    mt_tensor *t = (mt_tensor *)self;
    VISIT(Py_TYPE(self));
    VISIT(t->host_dict);
    VISIT(t->grad_fn);
    VISIT(t->base);
    VISIT(t->value);
    mt_grad_meta *m = t->meta;
    if (m) {
        VISIT(m->grad);
        for (const mt_dual *f = m->tangents; f; f = f->next)
            VISIT(f->tensor);
        VISIT(m->hooks);
        VISIT(m->post_accumulate_hooks);
        VISIT(m->backward_hooks_dict);
    }
    return 0;
}

static int
tensor_clear(PyObject *self)
{
    mt_tensor *t = (mt_tensor *)self;
    PyObject *dict = t->host_dict;
    t->host_dict = NULL;
    Py_XDECREF(dict);
    mt_tensor_drop_autograd(t);
    return 0;
}

void
mtpy_mark_subclass(mt_tensor *t)
{
    PyTypeObject *type = Py_TYPE((PyObject *)t);
    t->keys &= ~MT_KEY_BIT(Python);
    if (type == mtpy_tensor_type || type == mtpy_parameter_type)
        return;
    t->flags |= MT_T_SUBCLASS;
    if (mtpy_has_torch_dispatch(type))
        t->keys |= MT_KEY_BIT(Python);
}

PyObject *
mtpy_make_subclass(PyTypeObject *type, mt_tensor *data, bool requires_grad)
{
    mt_tensor *t = (mt_tensor *)type->tp_alloc(type, 0);
    if (!t)
        return NULL;
    t->sizes = t->dims;
    t->strides = t->dims + MT_INLINE_DIMS;
    t->dtype = data->dtype;
    t->device = data->device;
    t->keys = data->keys;
    if (mt_tensor_set_geometry(t, data->ndim, data->sizes, data->strides) < 0) {
        Py_DECREF(t);
        return mtpy_raise();
    }
    t->storage = mt_storage_keep(data->storage);
    t->offset = data->offset;
    mtpy_mark_subclass(t);
    if (requires_grad)
        t->flags |= MT_T_REQUIRES_GRAD;
    return (PyObject *)t;
}

mt_tensor *
mtpy_move_tensor(mt_tensor *t, PyTypeObject *type)
{
    mt_tensor *moved = (mt_tensor *)type->tp_alloc(type, 0);
    if (moved) {
        memcpy((char *)moved + sizeof(mt_object), (char *)t + sizeof(mt_object),
               offsetof(mt_tensor, host_dict) - sizeof(mt_object));
        if (t->sizes == t->dims) {
            memcpy(moved->dims, t->dims, sizeof t->dims);
            moved->sizes = moved->dims;
            moved->strides = moved->dims + (t->strides - t->dims);
        }
        t->sizes = t->strides = t->dims; /* the old block keeps nothing */
        t->ndim = 0;
        t->storage = NULL;
        t->version = NULL;
        t->grad_fn = NULL;
        t->base = NULL;
        t->meta = NULL;
    }
    Py_DECREF(t);
    return moved;
}

/* ---- attributes --------------------------------------------------------------------------- */

#define SELF ((mt_tensor *)self)
#define GETTER(name) static PyObject *get_##name(PyObject *self, void *unused)
#define NOTHING (void)unused

GETTER(dtype)
{
    NOTHING;
    return Py_NewRef(mtpy_dtypes[SELF->dtype]);
}
GETTER(device)
{
    NOTHING;
    return mtpy_wrap_device(SELF->device);
}
GETTER(layout)
{
    NOTHING;
    return mtpy_wrap_layout(SELF->layout);
}
GETTER(shape)
{
    NOTHING;
    return mtpy_wrap_size(SELF->sizes, SELF->ndim);
}
GETTER(ndim)
{
    NOTHING;
    return PyLong_FromLong(SELF->ndim);
}
GETTER(itemsize)
{
    NOTHING;
    return PyLong_FromLongLong(mt_itemsize(SELF));
}
GETTER(nbytes)
{
    NOTHING;
    return PyLong_FromLongLong(mt_itemsize(SELF) * SELF->numel);
}
GETTER(requires_grad)
{
    NOTHING;
    return PyBool_FromLong(mt_requires_grad(SELF));
}
GETTER(is_leaf)
{
    NOTHING;
    mt_node *fn;
    if (mt_grad_fn(SELF, &fn) < 0)
        return mtpy_raise();
    return PyBool_FromLong(!fn);
}
GETTER(grad_fn)
{
    NOTHING;
    mt_node *fn;
    if (mt_grad_fn(SELF, &fn) < 0)
        return mtpy_raise();
    return fn ? mtpy_wrap_node(fn) : Py_NewRef(Py_None);
}
GETTER(grad)
{
    NOTHING;
    mt_tensor *grad = SELF->meta ? SELF->meta->grad : NULL;
    if (!grad && SELF->grad_fn && !(SELF->meta && SELF->meta->retains_grad)) {
        if (PyErr_WarnEx(PyExc_UserWarning,
                         "The .grad attribute of a Tensor that is not a leaf Tensor is being "
                         "accessed. Its .grad attribute won't be populated during "
                         "autograd.backward(). If you indeed want the .grad field to be populated "
                         "for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you "
                         "access the non-leaf Tensor by mistake, make sure you access the leaf "
                         "Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more "
                         "information.",
                         1) < 0)
            return NULL;
    }
    return Py_NewRef(grad ? (PyObject *)grad : Py_None);
}
GETTER(data)
{
    NOTHING;
    mt_tensor *t = mt_alias_same(SELF);
    return t ? (PyObject *)t : mtpy_raise();
}
GETTER(base)
{
    NOTHING;
    return Py_NewRef(SELF->base && SELF->flags & MT_T_VIEW ? (PyObject *)SELF->base : Py_None);
}
GETTER(version)
{
    NOTHING;
    if (SELF->flags & MT_T_INFERENCE) {
        PyErr_SetString(PyExc_RuntimeError, "Inference tensors do not track version counter.");
        return NULL;
    }
    return PyLong_FromUnsignedLong(mt_tensor_version(SELF));
}
GETTER(output_nr)
{
    NOTHING;
    return PyLong_FromUnsignedLong(SELF->output_nr);
}
GETTER(retains_grad)
{
    NOTHING;
    return PyBool_FromLong(SELF->meta && SELF->meta->retains_grad);
}
GETTER(name)
{
    NOTHING;
    if (!SELF->meta || !SELF->meta->name)
        Py_RETURN_NONE;
    return PyUnicode_FromString(SELF->meta->name);
}
GETTER(false)
{
    NOTHING;
    (void)self;
    Py_RETURN_FALSE;
}
GETTER(is_cpu)
{
    NOTHING;
    return PyBool_FromLong(SELF->device.type == MT_CPU);
}
GETTER(is_meta)
{
    NOTHING;
    return PyBool_FromLong(SELF->device.type == MT_META);
}

static PyObject *
transposed(PyObject *self, bool matrix, bool conjugate)
{
    mt_tensor *t = SELF, *r;
    const char *name = matrix ? (conjugate ? "mH" : "mT") : (conjugate ? "H" : "T");
    if (matrix && t->ndim < 2)
        return PyErr_Format(PyExc_RuntimeError,
                            "tensor.%s is only supported on matrices or batches of matrices. Got "
                            "%d-D tensor.",
                            name, t->ndim);
    if (!matrix && conjugate && t->ndim != 2 && t->ndim != 0)
        return PyErr_Format(PyExc_RuntimeError,
                            "tensor.H is only supported on matrices (2-D tensors). Got %d-D tensor."
                            "%s",
                            t->ndim,
                            t->ndim > 2 ? " For batches of matrices, consider using tensor.mH" : "");
    if (!matrix && !conjugate && t->ndim != 2 && t->ndim != 0) {
        static bool warned;
        if (mt_warn_once(&warned,
                         "The use of `x.T` on tensors of dimension other than 2 to reverse their "
                         "shape is deprecated and it will throw an error in a future release. "
                         "Consider `x.mT` to transpose batches of matrices or `x.permute(*torch."
                         "arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.") < 0)
            return mtpy_raise();
    }
    if (matrix)
        r = conjugate ? aten_mH(t) : aten_mT(t);
    else
        r = conjugate ? aten_matrix_H(t) : aten_numpy_T(t);
    return r ? (PyObject *)r : mtpy_raise();
}
GETTER(T)
{
    NOTHING;
    return transposed(self, false, false);
}
GETTER(mT)
{
    NOTHING;
    return transposed(self, true, false);
}
GETTER(H)
{
    NOTHING;
    return transposed(self, false, true);
}
GETTER(mH)
{
    NOTHING;
    return transposed(self, true, true);
}

GETTER(real)
{
    NOTHING;
    if (!mt_is_complex((mt_dtype)SELF->dtype))
        return Py_NewRef(self);
    mt_tensor *r = aten_real(SELF);
    return r ? (PyObject *)r : mtpy_raise();
}
GETTER(imag)
{
    NOTHING;
    mt_tensor *r = aten_imag(SELF);
    return r ? (PyObject *)r : mtpy_raise();
}

static int
set_requires_grad(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    if (!value || !PyBool_Check(value)) {
        PyErr_SetString(PyExc_RuntimeError, "requires_grad must be a bool");
        return -1;
    }
    if (value == Py_True && SELF->dtype < MT_FLOAT16) {
        PyErr_SetString(PyExc_RuntimeError,
                        "only Tensors of floating point and complex dtype can require gradients");
        return -1;
    }
    return mtpy_set_requires_grad(SELF, value == Py_True);
}

int
mtpy_set_requires_grad(mt_tensor *t, bool on)
{
    mt_node *fn;
    if (mt_grad_fn(t, &fn) < 0)
        return mtpy_raise_int();
    if (fn && !on) {
        PyErr_SetString(PyExc_RuntimeError,
                        "you can only change requires_grad flags of leaf variables. If you want to "
                        "use a computed variable in a subgraph that doesn't require "
                        "differentiation use var_no_grad = var.detach().");
        return -1;
    }
    if (fn)
        return 0;
    if (on && t->dtype < MT_FLOAT16) {
        PyErr_SetString(PyExc_RuntimeError,
                        "only Tensors of floating point dtype can require gradients");
        return -1;
    }
    if (on && t->flags & MT_T_INFERENCE && !mt_this_thread()->inference_mode) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Setting requires_grad=True on inference tensor outside InferenceMode is "
                        "not allowed.");
        return -1;
    }
    if (on)
        t->flags |= MT_T_REQUIRES_GRAD;
    else
        t->flags &= ~(uint32_t)MT_T_REQUIRES_GRAD;
    return 0;
}

static int
set_grad(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    mt_tensor *t = SELF;
    if (!value || value == Py_None) {
        if (t->meta) {
            mt_tensor *old = t->meta->grad;
            t->meta->grad = NULL;
            mt_xrelease(old);
        }
        return 0;
    }
    if (!mtpy_is_tensor(value)) {
        PyErr_Format(PyExc_TypeError,
                     "assigned grad expected to be a Tensor or None but got grad of type %s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    mt_tensor *g = (mt_tensor *)value;
    if (g == t) {
        PyErr_SetString(PyExc_RuntimeError, "can't assign Variable as its own grad");
        return -1;
    }
    if (g->dtype != t->dtype) {
        PyErr_Format(PyExc_RuntimeError,
                     "attempting to assign a gradient with dtype '%s' to a tensor with grad_dtype "
                     "'%s'. The gradient must match the tensor's grad_dtype (defaults to the "
                     "tensor's dtype). You can set the tensor's grad_dtype attribute with a "
                     "specific dtype, or None to allow any dtype. Set grad_dtype with caution. "
                     "Diverging the dtypes of a tensor and its gradient may break downstream "
                     "systems that assume they match.",
                     mt_dtypes[g->dtype].legacy_name ? mt_dtypes[g->dtype].legacy_name : mt_dtypes[g->dtype].name,
                     mt_dtypes[t->dtype].scalar_name);
        return -1;
    }
    if (g->device.type != t->device.type) {
        PyErr_Format(PyExc_RuntimeError,
                     "attempting to assign a gradient with device type '%s' to a tensor with device "
                     "type '%s'. Please ensure that the gradient and the tensor are on the same "
                     "device",
                     mt_device_type_name(g->device.type), mt_device_type_name(t->device.type));
        return -1;
    }
    if (!mt_same_shape(g, t)) {
        PyErr_Format(PyExc_RuntimeError,
                     "attempting to assign a gradient of size '%s' to a tensor of size '%s'. Please "
                     "ensure that the gradient and the tensor are the same size",
                     mt_shape_str(g), mt_shape_str(t));
        return -1;
    }
    mt_grad_meta *m = mt_grad_meta_of(t);
    if (!m)
        return mtpy_raise_int();
    mt_tensor *old = m->grad;
    m->grad = mt_keep(g);
    mt_xrelease(old);
    return 0;
}

/* x.real = value: writes the part. */
static int
set_part(PyObject *self, PyObject *value, const char *name, mt_tensor *(*part_of)(mt_tensor *))
{
    if (!value) {
        PyErr_Format(PyExc_AttributeError, "can't delete attribute '%s'", name);
        return -1;
    }
    mt_tensor *part = part_of(SELF);
    if (!part)
        return mtpy_raise_int();
    int rc = mtpy_setitem((PyObject *)part, Py_Ellipsis, value);
    mt_release(part);
    return rc;
}

static int
set_real(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    return set_part(self, value, "real", aten_real);
}

static int
set_imag(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    return set_part(self, value, "imag", aten_imag);
}

static int
set_data(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    if (!value || !mtpy_is_tensor(value)) {
        PyErr_Format(PyExc_TypeError, "Variable data has to be a tensor, but got %s",
                     value ? Py_TYPE(value)->tp_name : "nothing");
        return -1;
    }
    mt_tensor *t = SELF, *v = (mt_tensor *)value;
    if (mt_requires_grad(t) && v->dtype < MT_FLOAT16) {
        PyErr_SetString(PyExc_RuntimeError,
                        "data set to a tensor that requires gradients must be floating point or "
                        "complex dtype");
        return -1;
    }
    if (mt_tensor_set_geometry(t, v->ndim, v->sizes, v->strides) < 0)
        return mtpy_raise_int();
    mt_storage *old = t->storage;
    t->storage = mt_storage_keep(v->storage);
    mt_storage_unref(old);
    t->offset = v->offset;
    t->dtype = v->dtype;
    t->device = v->device;
    t->keys = (v->keys & ~MT_KEY_BIT(Python)) | (t->keys & MT_KEY_BIT(Python));
    if (t->meta && t->meta->accumulator) { /* its record of the leaf is out of date */
        mt_input_info *info = &t->meta->accumulator->inline_input;
        if (v->ndim <= MT_INLINE_DIMS && info->ndim <= MT_INLINE_DIMS) {
            info->ndim = v->ndim;
            memcpy(info->sizes_inline, v->sizes, v->ndim * sizeof(int64_t));
        }
        info->dtype = v->dtype;
        info->device = v->device;
    }
    return 0;
}

static PyObject *
get_dict(PyObject *self, void *unused)
{
    NOTHING;
    return PyObject_GenericGetDict(self, NULL);
}

static int
set_dict(PyObject *self, PyObject *value, void *unused)
{
    NOTHING;
    return PyObject_GenericSetDict(self, value, NULL);
}

/* Attributes go through one getter and one setter, which offer the access to modes and subclasses
 * before the attribute's own function runs. */
typedef struct property {
    const char *name;
    getter get;
    setter set;
} property;

static PyObject *
property_get(PyObject *self, void *closure)
{
    const property *p = closure;
    PyObject *result;
    if (MT_UNLIKELY(mtpy_overriding(self)) &&
        mtpy_override_property(self, p->name, "__get__", NULL, &result))
        return result;
    return p->get(self, NULL);
}

static int
property_set(PyObject *self, PyObject *value, void *closure)
{
    const property *p = closure;
    PyObject *result;
    if (MT_UNLIKELY(mtpy_overriding(self)) &&
        mtpy_override_property(self, p->name, value ? "__set__" : "__delete__", value, &result)) {
        Py_XDECREF(result);
        return result ? 0 : -1;
    }
    return p->set(self, value, NULL);
}

#define READ_ONLY(name, get, doc)                                                                  \
    {name, property_get, NULL, doc, (void *)&(const property){name, get, NULL}}
#define READ_WRITE(name, get, set, doc)                                                            \
    {name, property_get, property_set, doc, (void *)&(const property){name, get, set}}
static PyGetSetDef getset[] = {
    READ_ONLY("dtype", get_dtype, "The type of the elements."),
    READ_ONLY("device", get_device, "Where the tensor lives."),
    READ_ONLY("layout", get_layout, "torch.strided."),
    READ_ONLY("shape", get_shape, "The sizes as torch.Size."),
    READ_ONLY("ndim", get_ndim, "Number of dimensions."),
    READ_ONLY("itemsize", get_itemsize, "Bytes of one element."),
    READ_ONLY("nbytes", get_nbytes, "Bytes of all elements."),
    READ_WRITE("requires_grad", get_requires_grad, set_requires_grad, "Whether gradients are computed."),
    READ_ONLY("is_leaf", get_is_leaf, "Whether the tensor has no grad_fn."),
    READ_ONLY("grad_fn", get_grad_fn, "The node that computed the tensor, or None."),
    READ_ONLY("_grad_fn", get_grad_fn, NULL),
    READ_WRITE("grad", get_grad, set_grad, "The gradient accumulated by backward, or None."),
    READ_WRITE("_grad", get_grad, set_grad, NULL),
    READ_WRITE("data", get_data, set_data, "The same storage without history and with its own version."),
    READ_ONLY("_base", get_base, "The tensor this one is a view of, or None."),
    READ_ONLY("_version", get_version, "How often the memory was written in place."),
    READ_ONLY("output_nr", get_output_nr, "Which result of grad_fn this is."),
    READ_ONLY("retains_grad", get_retains_grad, "Whether a non-leaf keeps its gradient."),
    READ_ONLY("name", get_name, NULL),
    READ_ONLY("is_cpu", get_is_cpu, NULL),
    READ_ONLY("is_meta", get_is_meta, NULL),
    READ_ONLY("is_cuda", get_false, NULL),
    READ_ONLY("is_xpu", get_false, NULL),
    READ_ONLY("is_xla", get_false, NULL),
    READ_ONLY("is_mps", get_false, NULL),
    READ_ONLY("is_ipu", get_false, NULL),
    READ_ONLY("is_mtia", get_false, NULL),
    READ_ONLY("is_maia", get_false, NULL),
    READ_ONLY("is_vulkan", get_false, NULL),
    READ_ONLY("is_mkldnn", get_false, NULL),
    READ_ONLY("is_sparse", get_false, NULL),
    READ_ONLY("is_sparse_csr", get_false, NULL),
    READ_ONLY("is_quantized", get_false, NULL),
    READ_ONLY("is_nested", get_false, NULL),
    READ_WRITE("real", get_real, set_real, "The real part, a view; a real tensor is its own."),
    READ_WRITE("imag", get_imag, set_imag, "The imaginary part, a view."),
    READ_ONLY("T", get_T, "Dimensions reversed."),
    READ_ONLY("mT", get_mT, "The last two dimensions swapped."),
    READ_ONLY("H", get_H, "A matrix, conjugated and transposed."),
    READ_ONLY("mH", get_mH, "The last two dimensions swapped and conjugated."),
    {"__dict__", get_dict, set_dict, NULL, NULL},
    {0},
};

/* ---- methods that are no operators -------------------------------------------------------- */

/* A method without arguments, `name` in Python. */
#define METHOD0(fn, name)                                                                          \
    static PyObject *own_##fn(PyObject *self);                                                     \
    static PyObject *m_##fn(PyObject *self, PyObject *unused)                                      \
    {                                                                                              \
        (void)unused;                                                                              \
        MTPY_OFFER(self, name, NULL, NULL);                                                        \
        return own_##fn(self);                                                                     \
    }                                                                                              \
    static PyObject *own_##fn(PyObject *self)

METHOD0(dim, "dim")
{
    return PyLong_FromLong(SELF->ndim);
}
METHOD0(numel, "numel")
{
    return PyLong_FromLongLong(SELF->numel);
}
METHOD0(ndimension, "ndimension")
{
    return PyLong_FromLong(SELF->ndim);
}
METHOD0(nelement, "nelement")
{
    return PyLong_FromLongLong(SELF->numel);
}
METHOD0(element_size, "element_size")
{
    return PyLong_FromLongLong(mt_itemsize(SELF));
}
METHOD0(storage_offset, "storage_offset")
{
    return PyLong_FromLongLong(SELF->offset);
}
METHOD0(data_ptr, "data_ptr")
{
    if (mtpy_refuse_batched(SELF) < 0)
        return NULL;
    return PyLong_FromVoidPtr(SELF->numel ? mt_data(SELF) : SELF->storage->data ? mt_data(SELF) : NULL);
}
METHOD0(item, "item")
{
    return mtpy_item(SELF);
}
METHOD0(is_conj, "is_conj")
{
    return PyBool_FromLong(mt_is_conj(SELF));
}
METHOD0(is_neg, "is_neg")
{
    return PyBool_FromLong(mt_is_neg(SELF));
}
METHOD0(is_complex, "is_complex")
{
    return PyBool_FromLong(mt_is_complex((mt_dtype)SELF->dtype));
}
METHOD0(is_floating_point, "is_floating_point")
{
    return PyBool_FromLong(mt_is_floating((mt_dtype)SELF->dtype));
}
METHOD0(is_signed, "is_signed")
{
    return PyBool_FromLong(mt_dtypes[SELF->dtype].is_signed);
}
METHOD0(is_inference, "is_inference")
{
    return PyBool_FromLong((SELF->flags & MT_T_INFERENCE) != 0);
}
METHOD0(is_view, "_is_view")
{
    return PyBool_FromLong((SELF->flags & MT_T_VIEW) != 0);
}
METHOD0(bool_, "__bool__")
{
    mt_tensor *t = SELF;
    if (t->numel != 1) {
        if (t->numel == 0)
            PyErr_SetString(PyExc_RuntimeError, "Boolean value of Tensor with no values is ambiguous");
        else
            PyErr_SetString(PyExc_RuntimeError,
                            "Boolean value of Tensor with more than one value is ambiguous");
        return NULL;
    }
    if (t->value) {
        PyErr_SetString(PyExc_RuntimeError,
                        "vmap: It looks like you're attempting to use a Tensor in some data-dependent "
                        "control flow. We don't support that yet, please file an issue at "
                        "https://github.com/pytorch/pytorch/issues .");
        return NULL;
    }
    static uint32_t name;
    mt_prof_mark mark = mtpy_op_begin("aten::is_nonzero", &name, t);
    PyObject *v = mtpy_item(t);
    mt_prof_op_end(mark);
    int b = v ? PyObject_IsTrue(v) : -1;
    Py_XDECREF(v);
    return b < 0 ? NULL : PyBool_FromLong(b);
}
METHOD0(int_, "__int__")
{
    PyObject *v = mtpy_item(SELF);
    if (!v)
        return NULL;
    if (PyComplex_Check(v)) {
        double im = PyComplex_ImagAsDouble(v), re = PyComplex_RealAsDouble(v);
        Py_DECREF(v);
        if (im != 0)
            return PyErr_Format(PyExc_RuntimeError,
                                "value cannot be converted to type int64_t without overflow");
        v = PyFloat_FromDouble(re);
    }
    PyObject *r = v ? PyNumber_Long(v) : NULL;
    Py_XDECREF(v);
    return r;
}
METHOD0(float_, "__float__")
{
    static bool warned;
    if (MT_UNLIKELY(mt_requires_grad(SELF)) && !warned) {
        warned = true;
        if (PyErr_WarnEx(PyExc_UserWarning,
                         "Converting a tensor with requires_grad=True to a scalar may lead to unexpected "
                         "behavior.\nConsider using tensor.detach() first.", 1) < 0)
            return NULL;
    }
    PyObject *v = mtpy_item(SELF);
    if (!v)
        return NULL;
    if (PyComplex_Check(v)) {
        double im = PyComplex_ImagAsDouble(v), re = PyComplex_RealAsDouble(v);
        Py_DECREF(v);
        if (im != 0)
            return PyErr_Format(PyExc_RuntimeError,
                                "value cannot be converted to type double without overflow");
        return PyFloat_FromDouble(re);
    }
    PyObject *r = PyNumber_Float(v);
    Py_DECREF(v);
    return r;
}
METHOD0(complex_, "__complex__")
{
    PyObject *v = mtpy_item(SELF);
    if (!v)
        return NULL;
    PyObject *r = PyComplex_Check(v) ? Py_NewRef(v) : NULL;
    if (!r) {
        double d = PyFloat_AsDouble(v);
        r = PyErr_Occurred() ? NULL : PyComplex_FromDoubles(d, 0);
    }
    Py_DECREF(v);
    return r;
}
METHOD0(index, "__index__")
{
    mt_tensor *t = SELF;
    if (!mt_is_integral((mt_dtype)t->dtype, true) || t->numel != 1 || t->ndim > 0) {
        PyErr_SetString(PyExc_TypeError,
                        "only integer tensors of a single element can be converted to an index");
        return NULL;
    }
    PyObject *v = mtpy_item(t);
    PyObject *r = v ? PyNumber_Index(v) : NULL;
    Py_XDECREF(v);
    return r;
}

static PyObject *
m_size(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "size", args, kwargs);
    static char *names[] = {"dim", NULL};
    PyObject *dim = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:size", names, &dim))
        return NULL;
    if (dim == Py_None)
        return mtpy_wrap_size(SELF->sizes, SELF->ndim);
    long long d = PyLong_AsLongLong(dim);
    if (d == -1 && PyErr_Occurred())
        return NULL;
    if (SELF->ndim == 0)
        return PyErr_Format(PyExc_IndexError,
                            "Dimension specified as %lld but tensor has no dimensions", d);
    int at = mt_wrap_dim(d, SELF->ndim);
    return at < 0 ? mtpy_raise() : PyLong_FromLongLong(SELF->sizes[at]);
}

static PyObject *
m_stride(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "stride", args, kwargs);
    static char *names[] = {"dim", NULL};
    PyObject *dim = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:stride", names, &dim))
        return NULL;
    if (dim == Py_None)
        return mtpy_wrap_ints(SELF->strides, SELF->ndim);
    long long d = PyLong_AsLongLong(dim);
    if (d == -1 && PyErr_Occurred())
        return NULL;
    int at = mt_wrap_dim(d, SELF->ndim);
    return at < 0 ? mtpy_raise() : PyLong_FromLongLong(SELF->strides[at]);
}

static PyObject *
m_is_contiguous(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "is_contiguous", args, kwargs);
    static char *names[] = {"memory_format", NULL};
    PyObject *format = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O!:is_contiguous", names, mtpy_format_type,
                                     &format))
        return NULL;
    mt_memory_format f =
        format ? (mt_memory_format)((mtpy_named *)format)->value : MT_CONTIGUOUS;
    return PyBool_FromLong(mt_is_contiguous_format(SELF, f));
}

static PyObject *
m_requires_grad_(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "requires_grad_", args, kwargs);
    static char *names[] = {"requires_grad", NULL};
    int on = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:requires_grad_", names, &on))
        return NULL;
    if (mtpy_refuse_in_transform("requires_grad_") < 0 || mtpy_set_requires_grad(SELF, on) < 0)
        return NULL;
    return Py_NewRef(self);
}

static PyObject *
list_of(const mt_tensor *t, int dim, const char *p)
{
    if (dim == t->ndim)
        return mtpy_element(p, (mt_dtype)t->dtype, mt_is_conj(t), mt_is_neg(t));
    PyObject *list = PyList_New(t->sizes[dim]);
    int64_t step = t->strides[dim] * mt_itemsize(t);
    for (int64_t i = 0; list && i < t->sizes[dim]; i++) {
        PyObject *item = list_of(t, dim + 1, p + i * step);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, item);
    }
    return list;
}

METHOD0(tolist, "tolist")
{
    if (SELF->keys & MT_KEY_BIT(Python))
        return PyErr_Format(PyExc_RuntimeError,
                            ".tolist() is not supported for tensor subclasses, got %s",
                            _PyType_Name(Py_TYPE(self)));
    if (mt_is_meta(SELF))
        return PyErr_Format(PyExc_NotImplementedError, "Cannot copy out of meta tensor; no data!");
    if (mtpy_refuse_batched(SELF) < 0)
        return NULL;
    return list_of(SELF, 0, mt_data(SELF));
}

static PyObject *
m_make_subclass(PyObject *unused, PyObject *args, PyObject *kwargs)
{
    NOTHING;
    static char *names[] = {"cls", "data", "require_grad", "dispatch_sizes_strides_policy",
                            "dispatch_device", "dispatch_layout", "device_for_backend_keys", NULL};
    PyTypeObject *type;
    PyObject *data, *o1 = NULL, *o2 = NULL, *o3 = NULL, *o4 = NULL;
    int requires_grad = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|p$OOOO:_make_subclass", names, &PyType_Type,
                                     &type, mtpy_tensor_base, &data, &requires_grad, &o1, &o2, &o3,
                                     &o4))
        return NULL;
    if (!PyType_IsSubtype(type, mtpy_tensor_base))
        return PyErr_Format(PyExc_TypeError, "cls must be a type derived from Tensor, got %s",
                            type->tp_name);
    if (requires_grad && ((mt_tensor *)data)->dtype < MT_FLOAT16)
        return PyErr_Format(PyExc_RuntimeError,
                            "Only Tensors of floating point and complex dtype can require gradients");
    return mtpy_make_subclass(type, (mt_tensor *)data, requires_grad);
}

static PyMethodDef methods[] = {
    {"dim", m_dim, METH_NOARGS, "Number of dimensions."},
    {"ndimension", m_ndimension, METH_NOARGS, "Number of dimensions."},
    {"numel", m_numel, METH_NOARGS, "Number of elements."},
    {"nelement", m_nelement, METH_NOARGS, "Number of elements."},
    {"element_size", m_element_size, METH_NOARGS, "Bytes of one element."},
    {"storage_offset", m_storage_offset, METH_NOARGS, "Place of the first element in the storage."},
    {"data_ptr", m_data_ptr, METH_NOARGS, "Address of the first element."},
    {"item", m_item, METH_NOARGS, "The only element as a Python number."},
    {"tolist", m_tolist, METH_NOARGS, "The elements as nested lists."},
    {"is_conj", m_is_conj, METH_NOARGS, NULL},
    {"is_neg", m_is_neg, METH_NOARGS, NULL},
    {"is_complex", m_is_complex, METH_NOARGS, NULL},
    {"is_floating_point", m_is_floating_point, METH_NOARGS, NULL},
    {"is_signed", m_is_signed, METH_NOARGS, NULL},
    {"is_inference", m_is_inference, METH_NOARGS, NULL},
    {"_is_view", m_is_view, METH_NOARGS, NULL},
    {"__bool__", m_bool_, METH_NOARGS, NULL},
    {"__int__", m_int_, METH_NOARGS, NULL},
    {"__float__", m_float_, METH_NOARGS, NULL},
    {"__complex__", m_complex_, METH_NOARGS, NULL},
    {"__index__", m_index, METH_NOARGS, NULL},
    {"size", (PyCFunction)(void (*)(void))m_size, METH_VARARGS | METH_KEYWORDS,
     "size(dim=None): all sizes, or one."},
    {"stride", (PyCFunction)(void (*)(void))m_stride, METH_VARARGS | METH_KEYWORDS,
     "stride(dim=None): all strides, or one."},
    {"is_contiguous", (PyCFunction)(void (*)(void))m_is_contiguous, METH_VARARGS | METH_KEYWORDS,
     NULL},
    {"requires_grad_", (PyCFunction)(void (*)(void))m_requires_grad_, METH_VARARGS | METH_KEYWORDS,
     NULL},
    {"_make_subclass", (PyCFunction)(void (*)(void))m_make_subclass,
     METH_VARARGS | METH_KEYWORDS | METH_STATIC, NULL},
    {0},
};

/* ---- operators of the language ------------------------------------------------------------ */

extern const mtpy_packet mtpy_packets_method[];
extern const int mtpy_packets_method_count;

/* The packet behind a slot, looked up once by name. */
static const mtpy_packet *
packet_of(const char *name, const mtpy_packet **cache)
{
    if (MT_LIKELY(*cache != NULL))
        return *cache;
    for (int i = 0; i < mtpy_packets_method_count; i++)
        if (!strcmp(mtpy_packets_method[i].name, name))
            return *cache = &mtpy_packets_method[i];
    PyErr_Format(PyExc_NotImplementedError, "operator %s is not built", name);
    return NULL;
}

/* A binary operator: the method that does the work and, where it differs, the name under which
 * __torch_function__ sees it. */
typedef struct operation {
    const char *name, *shown;
    const mtpy_packet *packet;
} operation;

/* self.name(other); a TypeError means "not for me", so that the other operand may try. */
static PyObject *
binary(operation *op, PyObject *self, PyObject *other)
{
    const mtpy_packet *packet = packet_of(op->name, &op->packet);
    PyObject *r = NULL;
    if (!packet)
        return NULL;
    bool taken = false;
    if (op->shown && MT_UNLIKELY(mtpy_overriding(self) || mtpy_has_torch_function(other))) {
        const mtpy_packet shown = {op->shown, NULL, 0, MTPY_NS_METHOD};
        taken = mtpy_torch_function(&shown, self, &other, 1, NULL, &r);
    }
    if (!taken)
        r = mtpy_call(packet, self, &other, 1, NULL);
    if (!r && PyErr_ExceptionMatches(PyExc_TypeError) && !mtpy_is_tensor(other) &&
        !PyList_Check(other) && !PyTuple_Check(other)) {
        PyErr_Clear();
        Py_RETURN_NOTIMPLEMENTED;
    }
    return r;
}

/* `reflected`: what to call on b when only b is a tensor. */
static PyObject *
slot(PyObject *a, PyObject *b, operation *op, operation *reflected)
{
    if (MT_LIKELY(mtpy_is_tensor(a)))
        return binary(op, a, b);
    return binary(reflected, b, a);
}

#define BINARY_SLOT(fn, name, shown, reflected, reflected_shown)                                   \
    static PyObject *fn(PyObject *a, PyObject *b)                                                  \
    {                                                                                              \
        static operation op = {name, shown, NULL}, swapped = {reflected, reflected_shown, NULL};   \
        return slot(a, b, &op, &swapped);                                                          \
    }
#define INPLACE_SLOT(fn, name, shown)                                                              \
    static PyObject *fn(PyObject *a, PyObject *b)                                                  \
    {                                                                                              \
        static operation op = {name, shown, NULL};                                                 \
        return binary(&op, a, b);                                                                  \
    }
BINARY_SLOT(nb_add, "add", NULL, "add", NULL)
BINARY_SLOT(nb_sub, "sub", NULL, "__rsub__", NULL)
BINARY_SLOT(nb_mul, "mul", NULL, "mul", NULL)
BINARY_SLOT(nb_div, "div", NULL, "__rdiv__", "__rtruediv__")
BINARY_SLOT(nb_floordiv, "floor_divide", "__floordiv__", "__rfloordiv__", NULL)
BINARY_SLOT(nb_mod, "remainder", NULL, "__rmod__", NULL)
BINARY_SLOT(nb_matmul, "matmul", NULL, "__rmatmul__", NULL)
BINARY_SLOT(nb_and, "bitwise_and", "__and__", "bitwise_and", NULL)
BINARY_SLOT(nb_or, "bitwise_or", "__or__", "bitwise_or", NULL)
BINARY_SLOT(nb_xor, "bitwise_xor", "__xor__", "bitwise_xor", NULL)
BINARY_SLOT(nb_lshift, "bitwise_left_shift", "__lshift__", "__rlshift__", NULL)
BINARY_SLOT(nb_rshift, "bitwise_right_shift", "__rshift__", "__rrshift__", NULL)
INPLACE_SLOT(nb_iadd, "add_", NULL)
INPLACE_SLOT(nb_isub, "sub_", NULL)
INPLACE_SLOT(nb_imul, "mul_", NULL)
INPLACE_SLOT(nb_idiv, "div_", NULL)
INPLACE_SLOT(nb_ifloordiv, "floor_divide_", NULL)
INPLACE_SLOT(nb_imod, "remainder_", NULL)
INPLACE_SLOT(nb_iand, "bitwise_and_", "__iand__")
INPLACE_SLOT(nb_ior, "bitwise_or_", "__ior__")
INPLACE_SLOT(nb_ixor, "bitwise_xor_", "__ixor__")
INPLACE_SLOT(nb_ilshift, "bitwise_left_shift_", "__ilshift__")
INPLACE_SLOT(nb_irshift, "bitwise_right_shift_", "__irshift__")

static PyObject *
nb_pow(PyObject *a, PyObject *b, PyObject *modulus)
{
    static operation op = {"pow", "__pow__", NULL}, swapped = {"__rpow__", NULL, NULL};
    if (modulus != Py_None)
        Py_RETURN_NOTIMPLEMENTED;
    return slot(a, b, &op, &swapped);
}

static PyObject *
nb_ipow(PyObject *a, PyObject *b, PyObject *modulus)
{
    static operation op = {"pow_", "__ipow__", NULL};
    (void)modulus;
    return binary(&op, a, b);
}

#define UNARY_SLOT(fn, name, shown)                                                                \
    static PyObject *fn(PyObject *a)                                                               \
    {                                                                                              \
        static const mtpy_packet *cache;                                                           \
        MTPY_OFFER(a, shown, NULL, NULL);                                                          \
        const mtpy_packet *p = packet_of(name, &cache);                                            \
        return p ? mtpy_call(p, a, NULL, 0, NULL) : NULL;                                          \
    }
UNARY_SLOT(nb_neg, "neg", "neg")
UNARY_SLOT(nb_abs, "abs", "abs")
UNARY_SLOT(nb_invert, "bitwise_not", "__invert__")
UNARY_SLOT(nb_pos, "positive", "positive")

static int
nb_bool(PyObject *self)
{
    PyObject *v = m_bool_(self, NULL);
    int b = v ? PyObject_IsTrue(v) : -1;
    Py_XDECREF(v);
    return b;
}
static PyObject *nb_int(PyObject *self) { return m_int_(self, NULL); }
static PyObject *nb_float(PyObject *self) { return m_float_(self, NULL); }
static PyObject *nb_index(PyObject *self) { return m_index(self, NULL); }

static PyObject *
richcompare(PyObject *a, PyObject *b, int op)
{
    static const char *const names[] = {"lt", "le", "eq", "ne", "gt", "ge"};
    static const mtpy_packet *cache[6];
    const mtpy_packet *p = packet_of(names[op], &cache[op]);
    if (!p)
        return NULL;
    PyObject *r = NULL;
    bool taken = false;
    if (op == Py_EQ && MT_UNLIKELY(mtpy_overriding(a) || mtpy_has_torch_function(b))) {
        static const mtpy_packet shown = {"__eq__", NULL, 0, MTPY_NS_METHOD};
        taken = mtpy_torch_function(&shown, a, &b, 1, NULL, &r);
    }
    if (!taken)
        r = mtpy_call(p, a, &b, 1, NULL);
    if (!r && PyErr_ExceptionMatches(PyExc_TypeError) && !mtpy_is_tensor(b)) {
        PyErr_Clear();
        Py_RETURN_NOTIMPLEMENTED;
    }
    return r;
}

static Py_hash_t
hash(PyObject *self)
{
    return (Py_hash_t)self; /* id(x), as in PyTorch */
}

static Py_ssize_t
length(PyObject *self)
{
    PyObject *outcome;
    if (MT_UNLIKELY(mtpy_overriding(self)) &&
        mtpy_override_method(self, "__len__", NULL, NULL, &outcome)) {
        Py_ssize_t n = outcome ? PyNumber_AsSsize_t(outcome, PyExc_OverflowError) : -1;
        Py_XDECREF(outcome);
        return n;
    }
    if (SELF->ndim == 0) {
        PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
        return -1;
    }
    return (Py_ssize_t)SELF->sizes[0];
}

static PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(mt_tensor, host_dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(mt_tensor, host_weakrefs), READONLY, NULL},
    {0},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_traverse, tensor_traverse},
    {Py_tp_clear, tensor_clear},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_new, mtpy_tensor_new},
    {Py_tp_richcompare, richcompare},
    {Py_tp_hash, hash},
    {Py_mp_length, length},
    {Py_mp_subscript, mtpy_getitem},
    {Py_mp_ass_subscript, mtpy_setitem},
    {Py_nb_add, nb_add},
    {Py_nb_subtract, nb_sub},
    {Py_nb_multiply, nb_mul},
    {Py_nb_true_divide, nb_div},
    {Py_nb_floor_divide, nb_floordiv},
    {Py_nb_remainder, nb_mod},
    {Py_nb_matrix_multiply, nb_matmul},
    {Py_nb_power, nb_pow},
    {Py_nb_and, nb_and},
    {Py_nb_or, nb_or},
    {Py_nb_xor, nb_xor},
    {Py_nb_lshift, nb_lshift},
    {Py_nb_rshift, nb_rshift},
    {Py_nb_inplace_add, nb_iadd},
    {Py_nb_inplace_subtract, nb_isub},
    {Py_nb_inplace_multiply, nb_imul},
    {Py_nb_inplace_true_divide, nb_idiv},
    {Py_nb_inplace_floor_divide, nb_ifloordiv},
    {Py_nb_inplace_remainder, nb_imod},
    {Py_nb_inplace_power, nb_ipow},
    {Py_nb_inplace_and, nb_iand},
    {Py_nb_inplace_or, nb_ior},
    {Py_nb_inplace_xor, nb_ixor},
    {Py_nb_inplace_lshift, nb_ilshift},
    {Py_nb_inplace_rshift, nb_irshift},
    {Py_nb_negative, nb_neg},
    {Py_nb_positive, nb_pos},
    {Py_nb_absolute, nb_abs},
    {Py_nb_invert, nb_invert},
    {Py_nb_bool, nb_bool},
    {Py_nb_int, nb_int},
    {Py_nb_float, nb_float},
    {Py_nb_index, nb_index},
    {0, NULL},
};
static PyType_Spec spec = {"torch._C.TensorBase", sizeof(mt_tensor), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

/* _C._set_tensor_class(cls): what operators make from now on. */
static PyObject *
set_class(PyObject *module, PyObject *args)
{
    (void)module;
    PyTypeObject *type, *parameter = NULL;
    if (!PyArg_ParseTuple(args, "O!|O!", &PyType_Type, &type, &PyType_Type, &parameter))
        return NULL;
    /* classes without slots of their own need none of the generic subclass destructor's work */
    type->tp_dealloc = tensor_dealloc;
    Py_INCREF(type);
    mtpy_tensor_type = type;
    if (parameter) {
        parameter->tp_dealloc = tensor_dealloc;
        Py_INCREF(parameter);
        mtpy_parameter_type = parameter;
    }
    Py_RETURN_NONE;
}

static PyObject *
set_parameter_class(PyObject *module, PyObject *type)
{
    (void)module;
    if (!PyType_Check(type))
        return PyErr_Format(PyExc_TypeError, "expected a type");
    ((PyTypeObject *)type)->tp_dealloc = tensor_dealloc;
    Py_INCREF(type);
    mtpy_parameter_type = (PyTypeObject *)type;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"_set_tensor_class", set_class, METH_VARARGS, NULL},
    {"_set_parameter_class", set_parameter_class, METH_O, NULL},
    {0},
};

extern PyMethodDef mtpy_methods_method[];

int
mtpy_add_tensor(PyObject *module)
{
    mtpy_tensor_base = (PyTypeObject *)PyType_FromSpec(&spec);
    if (!mtpy_tensor_base ||
        PyModule_AddObjectRef(module, "TensorBase", (PyObject *)mtpy_tensor_base) < 0)
        return -1;
    mtpy_tensor_type = mtpy_tensor_base;
    for (PyMethodDef *m = mtpy_methods_method; m->ml_name; m++) {
        /* what a slot answers for stays with the slot: with a method in its place Tensor would
         * look the method up for every operation */
        if (!strncmp(m->ml_name, "__", 2) &&
            PyDict_GetItemString(mtpy_tensor_base->tp_dict, m->ml_name))
            continue;
        PyObject *descr = PyDescr_NewMethod(mtpy_tensor_base, m);
        int rc = descr ? PyDict_SetItemString(mtpy_tensor_base->tp_dict, m->ml_name, descr) : -1;
        Py_XDECREF(descr);
        if (rc < 0)
            return -1;
    }
    PyType_Modified(mtpy_tensor_base);
    return PyModule_AddFunctions(module, functions);
}
