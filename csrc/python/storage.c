/* Storages as Python objects: _C.StorageBase, under torch.UntypedStorage.
 *
 * A storage has at most one Python object while one is alive: the core's block points at it
 * (borrowed), the object owns one reference of the block. What changes where the bytes lie (moving
 * them to shared memory) happens in the block, so every tensor on it follows. */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "python/data.h"
#include "python/overrides.h"
#include "python/tensor.h"

typedef struct storage_object {
    PyObject_HEAD
    mt_storage *storage;
    PyObject *dict, *weakrefs;
} storage_object;

static PyTypeObject *storage_base;
static PyObject *untyped_class; /* torch.UntypedStorage, looked up on first use */

#define STORAGE(o) (((storage_object *)(o))->storage)

static PyObject *
class_of_storages(void)
{
    if (!untyped_class) {
        PyObject *module = PyImport_ImportModule("mindtorch_v2.storage");
        untyped_class = module ? PyObject_GetAttrString(module, "UntypedStorage") : NULL;
        Py_XDECREF(module);
    }
    return untyped_class;
}

/* A new object of a type for a storage (taken over). */
static PyObject *
wrap_take(PyTypeObject *type, mt_storage *storage)
{
    PyObject *o = storage ? type->tp_alloc(type, 0) : NULL;
    if (!o) {
        if (storage)
            mt_storage_unref(storage);
        else
            mtpy_raise();
        return NULL;
    }
    STORAGE(o) = storage;
    storage->host = o;
    return o;
}

static PyObject *
wrap(mt_storage *storage)
{
    if (storage->host)
        return Py_NewRef((PyObject *)storage->host);
    PyObject *type = class_of_storages();
    return type ? wrap_take((PyTypeObject *)type, mt_storage_keep(storage)) : NULL;
}

mt_storage *
mtpy_storage_of(PyObject *o)
{
    if (PyObject_TypeCheck(o, storage_base))
        return STORAGE(o);
    if (mtpy_is_tensor(o) || PyLong_Check(o) || PyTuple_Check(o) || PyList_Check(o))
        return NULL;
    PyObject *inner = PyObject_GetAttrString(o, "_untyped_storage");
    if (!inner) {
        PyErr_Clear();
        return NULL;
    }
    mt_storage *s = PyObject_TypeCheck(inner, storage_base) ? STORAGE(inner) : NULL;
    Py_DECREF(inner); /* the typed storage keeps it */
    return s;
}

/* ---- life --------------------------------------------------------------------------------- */

static mt_storage *
new_bytes(long long n, int device)
{
    if (n < 0) {
        PyErr_Format(PyExc_RuntimeError,
                     "[enforce fail at alloc_cpu.cpp:98] ((ptrdiff_t)nbytes) >= 0. alloc_cpu() seems to "
                     "have been called with negative number: %llu",
                     (unsigned long long)n);
        return NULL;
    }
    mt_storage *s = mt_storage_new((size_t)n, device);
    if (!s)
        mtpy_raise();
    return s;
}

static PyObject *
bad_arguments(PyObject *args, PyObject *kwargs)
{
    PyObject *text = PyUnicode_FromString("");
    for (Py_ssize_t i = 0; text && i < PyTuple_GET_SIZE(args); i++)
        Py_SETREF(text, PyUnicode_FromFormat(i ? "%U, %s" : "%U%s", text,
                                             Py_TYPE(PyTuple_GET_ITEM(args, i))->tp_name));
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (text && kwargs && PyDict_Next(kwargs, &at, &key, &value))
        Py_SETREF(text, PyUnicode_FromFormat("%U%U=%s, ", text, key, Py_TYPE(value)->tp_name));
    if (text)
        PyErr_Format(PyExc_TypeError,
                     "torch.UntypedStorage() received an invalid combination of arguments - got (%U), "
                     "but expected one of:\n"
                     " * (*, int allocator = None, torch.device device = None)\n"
                     " * (int size, *, int allocator = None, torch.device device = None)\n"
                     " * (object sequence, *, int allocator = None, torch.device device = None)\n",
                     text);
    Py_XDECREF(text);
    return NULL;
}

static PyObject *
storage_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *first = NULL, *device = Py_None, *key, *value;
    Py_ssize_t n = PyTuple_GET_SIZE(args), at = 0;
    mt_device where = MT_CPU_DEVICE;
    if (n > 1)
        return bad_arguments(args, kwargs);
    if (n == 1)
        first = PyTuple_GET_ITEM(args, 0);
    while (kwargs && PyDict_Next(kwargs, &at, &key, &value)) {
        if (!PyUnicode_CompareWithASCIIString(key, "device"))
            device = value;
        else if (!first && (!PyUnicode_CompareWithASCIIString(key, "size") ||
                            !PyUnicode_CompareWithASCIIString(key, "sequence")))
            first = value;
        else if (PyUnicode_CompareWithASCIIString(key, "allocator"))
            return bad_arguments(args, kwargs);
    }
    if (device != Py_None && mtpy_as_device(device, &where) < 0)
        return NULL;
    if (where.type != MT_CPU && where.type != MT_META)
        return PyErr_Format(PyExc_RuntimeError, "UntypedStorage: device '%s' is not available",
                            mt_device_type_name(where.type));
    if (!first || mtpy_is_int(first)) {
        long long size = first ? PyLong_AsLongLong(first) : 0;
        if (size == -1 && PyErr_Occurred())
            return NULL;
        mt_storage *s = new_bytes(size, where.type);
        return s ? wrap_take(type, s) : NULL;
    }
    Py_ssize_t count = PySequence_Check(first) ? PySequence_Size(first) : -1;
    if (count < 0) {
        PyErr_Clear();
        return bad_arguments(args, kwargs);
    }
    mt_storage *s = new_bytes(count, where.type);
    for (Py_ssize_t i = 0; s && i < count; i++) {
        PyObject *item = PySequence_GetItem(first, i);
        if (!item || !PyLong_Check(item)) {
            if (item)
                PyErr_Format(PyExc_RuntimeError,
                             "torch.UntypedStorage(): tried to construct a storage from a sequence "
                             "(%s), but one of the items was of type %s instead of int",
                             Py_TYPE(first)->tp_name, Py_TYPE(item)->tp_name);
            Py_XDECREF(item);
            mt_storage_unref(s);
            return NULL;
        }
        if (s->data)
            ((uint8_t *)s->data)[i] = (uint8_t)PyLong_AsUnsignedLongLongMask(item);
        Py_DECREF(item);
    }
    return s ? wrap_take(type, s) : NULL;
}

static int
storage_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((storage_object *)self)->dict);
    return 0;
}

static int
storage_clear(PyObject *self)
{
    Py_CLEAR(((storage_object *)self)->dict);
    return 0;
}

static void
storage_dealloc(PyObject *self)
{
    storage_object *o = (storage_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (o->weakrefs)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(o->dict);
    if (o->storage) {
        if (o->storage->host == self)
            o->storage->host = NULL;
        mt_storage_unref(o->storage);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- bytes -------------------------------------------------------------------------------- */

static Py_ssize_t
length(PyObject *self)
{
    return (Py_ssize_t)STORAGE(self)->nbytes;
}

static void
release_shared(mt_storage *storage)
{
    mt_storage_unref(storage->owner);
}

static PyObject *
subscript(PyObject *self, PyObject *key)
{
    mt_storage *s = STORAGE(self);
    if (PySlice_Check(key)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(key, &start, &stop, &step) < 0)
            return NULL;
        Py_ssize_t n = PySlice_AdjustIndices((Py_ssize_t)s->nbytes, &start, &stop, step);
        if (step != 1)
            return PyErr_Format(PyExc_RuntimeError,
                                "Trying to slice with a step of %zd, but only a step of 1 is supported",
                                step);
        mt_storage *part = mt_storage_borrow((char *)s->data + start, (size_t)n, release_shared,
                                             mt_storage_keep(s));
        return wrap_take(Py_TYPE(self), part);
    }
    if (!PyIndex_Check(key))
        return PyErr_Format(PyExc_TypeError, "can't index a torch.UntypedStorage with %s",
                            Py_TYPE(key)->tp_name);
    Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError), n = (Py_ssize_t)s->nbytes;
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i < -n || i >= n)
        return PyErr_Format(PyExc_IndexError, "index %zd out of range for storage of size %zd", i, n);
    return PyLong_FromLong(((uint8_t *)s->data)[i < 0 ? i + n : i]);
}

static int
assign(PyObject *self, PyObject *key, PyObject *value)
{
    mt_storage *s = STORAGE(self);
    if (!value || !PyLong_Check(value)) {
        PyErr_Format(PyExc_RuntimeError, "can only set storage content with a int types, but got %s "
                                         "instead",
                     value ? Py_TYPE(value)->tp_name : "nothing");
        return -1;
    }
    uint8_t v = (uint8_t)PyLong_AsUnsignedLongLongMask(value);
    if (PySlice_Check(key)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(key, &start, &stop, &step) < 0)
            return -1;
        Py_ssize_t n = PySlice_AdjustIndices((Py_ssize_t)s->nbytes, &start, &stop, step);
        if (step != 1) {
            PyErr_Format(PyExc_RuntimeError,
                         "Trying to slice with a step of %zd, but only a step of 1 is supported", step);
            return -1;
        }
        if (n > 0 && s->data)
            memset((char *)s->data + start, v, (size_t)n);
        return 0;
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "can't index a torch.UntypedStorage with %s",
                     Py_TYPE(key)->tp_name);
        return -1;
    }
    Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError), n = (Py_ssize_t)s->nbytes;
    if (i == -1 && PyErr_Occurred())
        return -1;
    if (i < 0)
        i += n;
    if (i < 0 || i >= n) {
        PyErr_SetString(PyExc_RuntimeError, "out of bounds");
        return -1;
    }
    ((uint8_t *)s->data)[i] = v;
    return 0;
}

#define METHOD(name) static PyObject *name(PyObject *self, PyObject *arg)
#define NOTHING (void)arg

METHOD(nbytes)
{
    NOTHING;
    return PyLong_FromSize_t(STORAGE(self)->nbytes);
}
METHOD(element_size)
{
    NOTHING;
    (void)self;
    return PyLong_FromLong(1);
}
METHOD(data_ptr)
{
    NOTHING;
    return PyLong_FromVoidPtr(STORAGE(self)->data);
}
METHOD(resizable)
{
    NOTHING;
    return PyBool_FromLong(STORAGE(self)->resizable);
}
METHOD(is_shared)
{
    NOTHING;
    return PyBool_FromLong(STORAGE(self)->is_shared);
}
METHOD(resize_)
{
    if (!PyLong_Check(arg))
        return PyErr_Format(PyExc_RuntimeError, "resize_ expects an int, but got %s",
                            Py_TYPE(arg)->tp_name);
    long long n = PyLong_AsLongLong(arg);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    if (n < 0) {
        new_bytes(n, MT_CPU);
        return NULL;
    }
    return mt_storage_resize(STORAGE(self), (size_t)n) < 0 ? mtpy_raise() : Py_NewRef(self);
}
METHOD(fill_)
{
    if (!PyLong_Check(arg))
        return PyErr_Format(PyExc_RuntimeError, "fill_ expects int, but got %s", Py_TYPE(arg)->tp_name);
    mt_storage *s = STORAGE(self);
    if (s->data)
        memset(s->data, (int)(PyLong_AsUnsignedLongLongMask(arg) & 0xFF), s->nbytes);
    return Py_NewRef(self);
}

static PyObject *
copy_(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"source", "non_blocking", NULL};
    PyObject *source;
    int later = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:copy_", names, &source, &later))
        return NULL;
    mt_storage *to = STORAGE(self), *from = mtpy_storage_of(source);
    if (!from)
        return PyErr_Format(PyExc_TypeError,
                            "copy_(): argument 'src' (position 1) must be torch.Storage, not %s",
                            Py_TYPE(source)->tp_name);
    if (to->nbytes != from->nbytes)
        return PyErr_Format(PyExc_RuntimeError,
                            "size does not match, self was %zu bytes but src was %zu bytes", to->nbytes,
                            from->nbytes);
    if (to->device_type == MT_CPU && from->device_type == MT_META)
        return PyErr_Format(PyExc_NotImplementedError, "Cannot copy out of meta tensor; no data!");
    if (to->data && from->data)
        memmove(to->data, from->data, to->nbytes);
    return Py_NewRef(self);
}

METHOD(byteswap)
{
    long size = PyLong_AsLong(arg);
    if (size < 1 || size > 16)
        return PyErr_Occurred() ? NULL
                                : PyErr_Format(PyExc_ValueError, "an element has 1 to 16 bytes");
    mt_storage *s = STORAGE(self);
    char *p = s->data;
    if (s->nbytes % (size_t)size)
        return PyErr_Format(PyExc_RuntimeError, "the length of data is not a multiple of %ld", size);
    for (size_t i = 0; p && i + (size_t)size <= s->nbytes; i += (size_t)size)
        for (long a = 0, b = size - 1; a < b; a++, b--) {
            char c = p[i + (size_t)a];
            p[i + (size_t)a] = p[i + (size_t)b];
            p[i + (size_t)b] = c;
        }
    Py_RETURN_NONE;
}

static PyObject *
from_buffer(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"buffer", "byte_order", "count", "offset", "dtype", NULL};
    PyObject *buffer, *dtype = Py_None;
    const char *order = NULL;
    Py_ssize_t count = -1, offset = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|snnO:from_buffer", names, &buffer, &order, &count,
                                     &offset, &dtype))
        return NULL;
    mt_dtype d;
    if (dtype == Py_None || mtpy_as_dtype(dtype, &d) != 1)
        return PyErr_Format(PyExc_RuntimeError, "argument 'dtype' cannot be None");
    Py_ssize_t size = (Py_ssize_t)mt_dtype_size(d);
    if (!order && d != MT_UINT8 && d != MT_INT8 && d != MT_BOOL)
        return PyErr_Format(PyExc_RuntimeError,
                            "function missing required argument 'byte_order' (pos 2)");
    if (order && strcmp(order, "native") && strcmp(order, "big") && strcmp(order, "little"))
        return PyErr_Format(PyExc_ValueError,
                            "invalid byte_order '%s' (expected 'big', 'little', or 'native')", order);
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    mt_storage *s = NULL;
    if (offset < 0 || offset > view.len)
        PyErr_Format(PyExc_ValueError,
                     "offset must be non-negative and no greater than buffer length (%zd) , but got %zd",
                     offset, view.len);
    else if (count < 0 && (view.len - offset) % size)
        PyErr_Format(PyExc_ValueError, "buffer size (%zd) must be a multiple of element size (%zd)",
                     view.len, size);
    else {
        if (count < 0)
            count = (view.len - offset) / size;
        if (count > (view.len - offset) / size)
            PyErr_Format(PyExc_ValueError,
                         "buffer has only %zd elements after offset %zd, but specified a size of %zd",
                         (view.len - offset) / size, offset, count);
        else if ((s = new_bytes(count * size, MT_CPU))) {
            memcpy(s->data, (char *)view.buf + offset, s->nbytes);
            Py_ssize_t part = mt_is_complex(d) ? size / 2 : size;
            if (order && !strcmp(order, "big"))
                for (char *p = s->data, *end = p + s->nbytes; p < end; p += part)
                    for (Py_ssize_t a = 0, b = part - 1; a < b; a++, b--) {
                        char c = p[a];
                        p[a] = p[b];
                        p[b] = c;
                    }
        }
    }
    PyBuffer_Release(&view);
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}

/* ---- files -------------------------------------------------------------------------------- */

static PyObject *
write_file(PyObject *self, PyObject *args)
{
    PyObject *file;
    int real, save_size;
    long long element;
    mt_storage *s = STORAGE(self);
    if (!PyArg_ParseTuple(args, "OppL:_write_file", &file, &real, &save_size, &element))
        return NULL;
    if (element < 1)
        return PyErr_Format(PyExc_ValueError, "_write_file: the element size must be positive");
    if (save_size) {
        int64_t count = (int64_t)s->nbytes / element;
        PyObject *r = PyObject_CallMethod(file, "write", "y#", (char *)&count, (Py_ssize_t)sizeof count);
        if (!r)
            return NULL;
        Py_DECREF(r);
    }
    if (s->nbytes == 0 || !s->data)
        Py_RETURN_NONE;
    PyObject *view = PyMemoryView_FromMemory(s->data, (Py_ssize_t)s->nbytes, PyBUF_READ);
    PyObject *r = view ? PyObject_CallMethod(file, "write", "O", view) : NULL;
    if (view) { /* the file must not keep a window on memory that goes away */
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        PyObject *done = PyObject_CallMethod(view, "release", NULL);
        if (!done)
            PyErr_Clear();
        Py_XDECREF(done);
        PyErr_Restore(type, value, trace);
    }
    Py_XDECREF(view);
    if (!r)
        return NULL;
    Py_DECREF(r);
    Py_RETURN_NONE;
}

static int
read_exactly(PyObject *file, void *to, size_t n)
{
    char *p = to;
    while (n) {
        PyObject *chunk = PyObject_CallMethod(file, "read", "n", (Py_ssize_t)MT_MIN(n, (size_t)1 << 28));
        if (!chunk)
            return -1;
        char *bytes;
        Py_ssize_t got;
        if (PyBytes_AsStringAndSize(chunk, &bytes, &got) < 0 || got <= 0 || (size_t)got > n) {
            Py_DECREF(chunk);
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_RuntimeError, "unexpected EOF, expected %zu more bytes. The file "
                                                 "might be corrupted.",
                             n);
            return -1;
        }
        memcpy(p, bytes, (size_t)got);
        Py_DECREF(chunk);
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

/* The number of bytes that a written storage announces. */
static int
read_size(PyObject *file, long long element, int64_t *bytes)
{
    int64_t count;
    if (element < 1) {
        PyErr_SetString(PyExc_ValueError, "the element size must be positive");
        return -1;
    }
    if (read_exactly(file, &count, sizeof count) < 0)
        return -1;
    if (count < 0 || mt_mul_overflows(count, element, bytes)) {
        PyErr_Format(PyExc_RuntimeError, "a storage of %lld elements cannot be", (long long)count);
        return -1;
    }
    return 0;
}

static PyObject *
new_with_file(PyObject *type, PyObject *args)
{
    PyObject *file;
    long long element;
    int64_t bytes;
    if (!PyArg_ParseTuple(args, "OL:_new_with_file", &file, &element) ||
        read_size(file, element, &bytes) < 0)
        return NULL;
    mt_storage *s = new_bytes(bytes, MT_CPU);
    if (s && read_exactly(file, s->data, s->nbytes) < 0) {
        mt_storage_unref(s);
        return NULL;
    }
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}

static PyObject *
set_from_file(PyObject *self, PyObject *args)
{
    PyObject *file, *offset;
    int real;
    long long element;
    int64_t bytes;
    if (!PyArg_ParseTuple(args, "OOpL:_set_from_file", &file, &offset, &real, &element))
        return NULL;
    if (offset != Py_None) {
        PyObject *r = PyObject_CallMethod(file, "seek", "O", offset);
        if (!r)
            return NULL;
        Py_DECREF(r);
    }
    if (read_size(file, element, &bytes) < 0)
        return NULL;
    mt_storage *s = STORAGE(self);
    if ((int64_t)s->nbytes != bytes)
        return PyErr_Format(PyExc_RuntimeError,
                            "storage has wrong byte size: expected %lld got %zu", (long long)bytes,
                            s->nbytes);
    if (read_exactly(file, s->data, s->nbytes) < 0)
        return NULL;
    return Py_NewRef(self);
}

/* ---- mappings and shared memory ----------------------------------------------------------- */

/* Mapped memory of a storage. Shared memory with a name begins with a header that counts the
 * processes that use it; the last one removes the name. */
#define SHARED_HEADER 64

typedef struct mapping {
    void *base;
    size_t size;   /* of the mapping, header included */
    int fd;        /* -1: closed */
    char *name;    /* of named shared memory or of the file, or NULL */
    bool counted;  /* there is a header */
} mapping;

static void
release_mapping(mt_storage *storage)
{
    mapping *m = storage->owner;
    if (m->counted && __atomic_sub_fetch((int *)m->base, 1, __ATOMIC_ACQ_REL) == 0)
        shm_unlink(m->name);
    if (m->base)
        munmap(m->base, m->size);
    if (m->fd >= 0)
        close(m->fd);
    free(m->name);
    free(m);
}

/* Maps a descriptor (taken over, closed on failure). */
static mapping *
map(int fd, size_t size, int flags, const char *name, bool counted)
{
    mapping *m = calloc(1, sizeof *m);
    if (!m || (name && !(m->name = strdup(name)))) {
        free(m);
        close(fd);
        PyErr_NoMemory();
        return NULL;
    }
    m->fd = fd;
    m->size = size;
    m->counted = counted;
    if (size) {
        m->base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
        if (m->base == MAP_FAILED) {
            PyErr_Format(PyExc_RuntimeError, "unable to mmap %zu bytes from file <%s>: %s (%d)", size,
                         name ? name : "filename not specified", strerror(errno), errno);
            close(fd);
            free(m->name);
            free(m);
            return NULL;
        }
    }
    return m;
}

static mt_storage *
storage_on(mapping *m, size_t nbytes, bool shared)
{
    if (!m)
        return NULL;
    mt_storage *s = mt_storage_borrow((char *)m->base + (m->counted ? SHARED_HEADER : 0), nbytes,
                                      release_mapping, m);
    if (s)
        s->is_shared = shared;
    else
        mtpy_raise();
    return s;
}

/* Shared memory without a name, or with one (counted). */
static mapping *
new_shared(size_t nbytes, bool named)
{
    static unsigned counter;
    char name[64];
    int fd;
    size_t size = nbytes + (named ? SHARED_HEADER : 0);
    if (named) {
        snprintf(name, sizeof name, "/torch_%ld_%u_%u", (long)getpid(),
                 (unsigned)((uintptr_t)&fd >> 4 & 0xFFFFFFFFu), counter++);
        fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    } else
        fd = memfd_create("torch", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        PyErr_Format(PyExc_RuntimeError, "unable to open shared memory object <%s> in read-write mode: "
                                         "%s (%d)",
                     named ? name : "torch", strerror(errno), errno);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    mapping *m = map(fd, size, MAP_SHARED, named ? name : NULL, named);
    if (m && named)
        *(int *)m->base = 1;
    else if (!m && named)
        shm_unlink(name);
    return m;
}

/* Moves the bytes of a storage into shared memory, for everybody who uses it. */
static int
move_to_shared(mt_storage *s, bool named)
{
    if (s->device_type != MT_CPU) {
        PyErr_SetString(PyExc_RuntimeError, "only storages on the CPU can be shared");
        return -1;
    }
    mapping *m = new_shared(s->nbytes, named);
    if (!m)
        return -1;
    char *data = (char *)m->base + (named ? SHARED_HEADER : 0);
    if (s->nbytes)
        memcpy(data, s->data, s->nbytes);
    if (s->release)
        s->release(s);
    s->data = data;
    s->owner = m;
    s->release = release_mapping;
    s->resizable = false;
    s->is_shared = true;
    return 0;
}

static mapping *
mapping_of(mt_storage *s)
{
    return s->release == release_mapping ? s->owner : NULL;
}

METHOD(share_fd)
{
    NOTHING;
    mt_storage *s = STORAGE(self);
    mapping *m = s->is_shared ? mapping_of(s) : NULL;
    if (!m || m->fd < 0 || m->counted) {
        if (move_to_shared(s, false) < 0)
            return NULL;
        m = mapping_of(s);
    }
    return Py_BuildValue("(in)", m->fd, (Py_ssize_t)s->nbytes);
}

METHOD(share_filename)
{
    NOTHING;
    mt_storage *s = STORAGE(self);
    mapping *m = s->is_shared ? mapping_of(s) : NULL;
    if (!m || !m->counted) {
        if (move_to_shared(s, true) < 0)
            return NULL;
        m = mapping_of(s);
    }
    return Py_BuildValue("(yyn)", "", m->name, (Py_ssize_t)s->nbytes);
}

static PyObject *
new_using(PyObject *type, PyObject *arg, bool named)
{
    long long n = PyLong_AsLongLong(arg);
    if (n < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_RuntimeError, "the size is negative");
    mt_storage *s = storage_on(new_shared((size_t)n, named), (size_t)n, true);
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}
METHOD(new_using_fd)
{
    return new_using(self, arg, false);
}
METHOD(new_using_filename)
{
    return new_using(self, arg, true);
}

static PyObject *
new_shared_fd(PyObject *type, PyObject *args)
{
    int fd;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "in:_new_shared_fd_cpu", &fd, &size))
        return NULL;
    if (size < 0)
        return PyErr_Format(PyExc_RuntimeError, "the size is negative");
    struct stat info;
    if (fstat(fd, &info) < 0 || (fd = dup(fd)) < 0)
        return PyErr_Format(PyExc_RuntimeError, "could not duplicate a shared memory file descriptor");
    if (info.st_size < size) {
        close(fd);
        return PyErr_Format(PyExc_RuntimeError, "shared memory of %lld bytes is too small for %zd",
                            (long long)info.st_size, size);
    }
    mt_storage *s = storage_on(map(fd, (size_t)size, MAP_SHARED, NULL, false), (size_t)size, true);
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}

static PyObject *
new_shared_filename(PyObject *type, PyObject *args)
{
    const char *manager, *name;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "yyn:_new_shared_filename_cpu", &manager, &name, &size))
        return NULL;
    int fd = size < 0 ? -1 : shm_open(name, O_RDWR, 0600);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size < size + SHARED_HEADER) {
        if (fd >= 0)
            close(fd);
        return PyErr_Format(PyExc_RuntimeError,
                            "unable to open shared memory object <%s> in read-write mode: %s (%d)", name,
                            strerror(errno), errno);
    }
    mapping *m = map(fd, (size_t)size + SHARED_HEADER, MAP_SHARED, name, true);
    if (m)
        __atomic_add_fetch((int *)m->base, 1, __ATOMIC_ACQ_REL);
    mt_storage *s = storage_on(m, (size_t)size, true);
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}

METHOD(shared_incref)
{
    NOTHING;
    mapping *m = mapping_of(STORAGE(self));
    if (m && m->counted)
        __atomic_add_fetch((int *)m->base, 1, __ATOMIC_ACQ_REL);
    Py_RETURN_NONE;
}
METHOD(shared_decref)
{
    NOTHING;
    mapping *m = mapping_of(STORAGE(self));
    if (m && m->counted)
        __atomic_sub_fetch((int *)m->base, 1, __ATOMIC_ACQ_REL);
    return Py_NewRef(self);
}
METHOD(get_filename)
{
    NOTHING;
    mapping *m = mapping_of(STORAGE(self));
    if (!m || !m->name || m->counted)
        Py_RETURN_NONE;
    return PyUnicode_DecodeFSDefault(m->name);
}

static PyObject *
from_file(PyObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"filename", "shared", "nbytes", NULL};
    PyObject *path = NULL;
    int shared = 0;
    Py_ssize_t nbytes = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|pn:from_file", names, PyUnicode_FSConverter,
                                     &path, &shared, &nbytes))
        return NULL;
    const char *name = PyBytes_AS_STRING(path);
    mt_storage *s = NULL;
    int fd = open(name, (shared ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0) {
        PyErr_Format(PyExc_RuntimeError, "unable to open file <%s> in %s mode: %s (%d)", name,
                     shared ? "read-write" : "read-only", strerror(errno), errno);
        if (fd >= 0)
            close(fd);
        goto done;
    }
    if (nbytes > info.st_size && !shared) {
        PyErr_Format(PyExc_RuntimeError,
                     "file <%s> size <%lld> is smaller than the required mapping size <%zd>", name,
                     (long long)info.st_size, nbytes);
        close(fd);
        goto done;
    }
    if (nbytes > info.st_size && ftruncate(fd, (off_t)nbytes) < 0) {
        PyErr_Format(PyExc_RuntimeError, "unable to stretch file <%s> to the right size: %s (%d)", name,
                     strerror(errno), errno);
        close(fd);
        goto done;
    }
    mapping *m = map(fd, (size_t)nbytes, shared ? MAP_SHARED : MAP_PRIVATE, shared ? name : NULL, false);
    if (m) { /* the mapping outlives the descriptor */
        close(m->fd);
        m->fd = -1;
    }
    s = storage_on(m, (size_t)nbytes, shared);
done:
    Py_DECREF(path);
    return s ? wrap_take((PyTypeObject *)type, s) : NULL;
}

/* ---- weak references ---------------------------------------------------------------------- */

/* Held by number: a Python weak reference to the storage object, kept until freed. */
METHOD(weak_ref)
{
    NOTHING;
    PyObject *w = PyWeakref_NewRef(self, NULL);
    return w ? PyLong_FromVoidPtr(w) : NULL;
}
METHOD(free_weak_ref)
{
    (void)self;
    if (arg == Py_None)
        Py_RETURN_NONE;
    PyObject *w = PyLong_AsVoidPtr(arg);
    if (!w && PyErr_Occurred())
        return NULL;
    Py_XDECREF(w);
    Py_RETURN_NONE;
}
METHOD(expired)
{
    (void)self;
    PyObject *w = PyLong_AsVoidPtr(arg);
    if (!w)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_True);
    return PyBool_FromLong(PyWeakref_GetObject(w) == Py_None);
}
METHOD(new_with_weak_ptr)
{
    (void)self;
    if (arg == Py_None)
        Py_RETURN_NONE;
    PyObject *w = PyLong_AsVoidPtr(arg);
    if (!w)
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    return Py_NewRef(PyWeakref_GetObject(w));
}

/* ---- the type ----------------------------------------------------------------------------- */

static PyObject *
get_device(PyObject *self, void *unused)
{
    (void)unused;
    return mtpy_wrap_device((mt_device){STORAGE(self)->device_type, -1});
}
static PyObject *
get_cdata(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromVoidPtr(STORAGE(self));
}

#define KEYWORDS(f) ((PyCFunction)(void (*)(void))(f))
static PyMethodDef storage_methods[] = {
    {"nbytes", nbytes, METH_NOARGS, "Number of bytes."},
    {"element_size", element_size, METH_NOARGS, "1: a storage holds bytes."},
    {"data_ptr", data_ptr, METH_NOARGS, "Address of the first byte."},
    {"resizable", resizable, METH_NOARGS, "Whether resize_ may be called."},
    {"is_shared", is_shared, METH_NOARGS, "Whether the bytes lie in shared memory."},
    {"resize_", resize_, METH_O, "Changes the size in place, content kept."},
    {"fill_", fill_, METH_O, "Sets every byte."},
    {"copy_", KEYWORDS(copy_), METH_VARARGS | METH_KEYWORDS, "Takes the bytes of another storage."},
    {"_byteswap", byteswap, METH_O, NULL},
    {"from_buffer", KEYWORDS(from_buffer), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     "from_buffer(buffer, byte_order='native', count=-1, offset=0, dtype=None): a copy of its bytes."},
    {"from_file", KEYWORDS(from_file), METH_VARARGS | METH_KEYWORDS | METH_CLASS,
     "from_file(filename, shared=False, nbytes=0): a mapped file."},
    {"_write_file", write_file, METH_VARARGS, NULL},
    {"_new_with_file", new_with_file, METH_VARARGS | METH_CLASS, NULL},
    {"_set_from_file", set_from_file, METH_VARARGS, NULL},
    {"_share_fd_cpu_", share_fd, METH_NOARGS, NULL},
    {"_share_filename_cpu_", share_filename, METH_NOARGS, NULL},
    {"_new_using_fd_cpu", new_using_fd, METH_O | METH_CLASS, NULL},
    {"_new_using_filename_cpu", new_using_filename, METH_O | METH_CLASS, NULL},
    {"_new_shared_fd_cpu", new_shared_fd, METH_VARARGS | METH_CLASS, NULL},
    {"_new_shared_filename_cpu", new_shared_filename, METH_VARARGS | METH_CLASS, NULL},
    {"_shared_incref", shared_incref, METH_NOARGS, NULL},
    {"_shared_decref", shared_decref, METH_NOARGS, NULL},
    {"_get_filename", get_filename, METH_NOARGS, NULL},
    {"_weak_ref", weak_ref, METH_NOARGS, NULL},
    {"_free_weak_ref", free_weak_ref, METH_O | METH_STATIC, NULL},
    {"_expired", expired, METH_O | METH_STATIC, NULL},
    {"_new_with_weak_ptr", new_with_weak_ptr, METH_O | METH_CLASS, NULL},
    {0},
};
static PyGetSetDef storage_getset[] = {
    {"device", get_device, NULL, "Where the bytes lie.", NULL},
    {"_cdata", get_cdata, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {0},
};
static PyMemberDef storage_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(storage_object, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(storage_object, weakrefs), READONLY, NULL},
    {0},
};
static PyType_Slot storage_slots[] = {
    {Py_tp_new, storage_new},
    {Py_tp_dealloc, storage_dealloc},
    {Py_tp_traverse, storage_traverse},
    {Py_tp_clear, storage_clear},
    {Py_tp_methods, storage_methods},
    {Py_tp_getset, storage_getset},
    {Py_tp_members, storage_members},
    {Py_mp_length, length},
    {Py_mp_subscript, subscript},
    {Py_mp_ass_subscript, assign},
    {0, NULL},
};
static PyType_Spec storage_spec = {"torch._C.StorageBase", sizeof(storage_object), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                   storage_slots};

/* ---- of tensors --------------------------------------------------------------------------- */

METHOD(m_untyped_storage)
{
    NOTHING;
    MTPY_OFFER(self, "untyped_storage", NULL, NULL);
    return wrap(((mt_tensor *)self)->storage);
}

static int
read_ints(PyObject *o, int64_t *out, int *n)
{
    PyObject *items = PySequence_Fast(o, "a sequence of ints is needed");
    if (!items)
        return -1;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    int rc = count > MT_MAX_DIMS ? -1 : 0;
    if (rc)
        PyErr_Format(PyExc_RuntimeError, "set_: at most %d dimensions, got %zd", MT_MAX_DIMS, count);
    for (Py_ssize_t i = 0; rc == 0 && i < count; i++) {
        out[i] = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(items, i));
        if (out[i] == -1 && PyErr_Occurred())
            rc = -1;
    }
    Py_DECREF(items);
    *n = (int)count;
    return rc;
}

static PyObject *
m_set_(PyObject *self, PyObject *args, PyObject *kwargs)
{
    MTPY_OFFER(self, "set_", args, kwargs);
    static char *names[] = {"source", "storage_offset", "size", "stride", NULL};
    PyObject *source = NULL, *size = NULL, *stride = NULL, *at = NULL;
    mt_tensor *t = (mt_tensor *)self;
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS], offset = 0, one = 1;
    int ndim = 1, nstrides = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOO:set_", names, &source, &at, &size, &stride))
        return NULL;
    mt_storage *s = NULL;
    bool given = size != NULL;
    if (at) {
        offset = PyLong_AsLongLong(at);
        if (offset == -1 && PyErr_Occurred())
            return NULL;
    }
    if (size && read_ints(size, sizes, &ndim) < 0)
        return NULL;
    if (stride && stride != Py_None && read_ints(stride, strides, &nstrides) < 0)
        return NULL;
    if (nstrides && nstrides != ndim)
        return PyErr_Format(PyExc_RuntimeError, "mismatch in length of strides and shape");
    if (!source) {
        if (!(s = mt_storage_new(0, t->device.type)))
            return mtpy_raise();
        sizes[0] = 0;
        given = true;
    } else if (mtpy_is_tensor(source)) {
        mt_tensor *other = (mt_tensor *)source;
        if (other->dtype != t->dtype) {
            const char *a = mt_dtypes[other->dtype].legacy_name, *b = mt_dtypes[t->dtype].legacy_name;
            return PyErr_Format(PyExc_RuntimeError,
                                "Could not set tensor of type %s to a tensor of type %s",
                                a ? !strcmp(a, "long") ? "long int" : a : mt_dtypes[other->dtype].name,
                                b ? !strcmp(b, "long") ? "long int" : b : mt_dtypes[t->dtype].name);
        }
        s = mt_storage_keep(other->storage);
        if (!given) {
            ndim = nstrides = other->ndim;
            memcpy(sizes, other->sizes, (size_t)ndim * sizeof *sizes);
            memcpy(strides, other->strides, (size_t)ndim * sizeof *strides);
            offset = other->offset;
            given = true;
        }
    } else if ((s = mtpy_storage_of(source)))
        mt_storage_keep(s);
    else
        return PyErr_Format(PyExc_TypeError,
                            "set_() received an invalid combination of arguments - got (%s), but "
                            "expected one of:\n * ()\n * (torch.Storage source)\n * (torch.Storage "
                            "source, int storage_offset, tuple of ints size, tuple of ints stride = "
                            "None)\n * (Tensor source)\n * (Tensor source, int storage_offset, tuple "
                            "of ints size, tuple of ints stride = None)\n",
                            Py_TYPE(source)->tp_name);
    if (mt_requires_grad(t) && mt_check_inplace(t, true) < 0) {
        mtpy_raise();
        goto fail;
    }
    if (t->flags & MT_T_INFERENCE && !mt_this_thread()->inference_mode) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Inplace update to inference tensor outside InferenceMode is not allowed.You "
                        "can make a clone to get a normal tensor before doing inplace update.See "
                        "https://github.com/pytorch/rfcs/pull/17 for more details.");
        goto fail;
    }
    if (s->device_type != t->device.type) {
        PyErr_Format(PyExc_RuntimeError,
                     "Attempted to set the storage of a tensor on device \"%s\" to a storage on "
                     "different device \"%s\".  This is no longer allowed; the devices must match.",
                     mt_device_type_name(t->device.type), mt_device_type_name(s->device_type));
        goto fail;
    }
    if (!given) {
        sizes[0] = (int64_t)s->nbytes / mt_itemsize(t);
        strides[0] = one;
        nstrides = 1;
    }
    if (offset < 0) {
        PyErr_Format(PyExc_RuntimeError, "Tensor: invalid storage offset %lld", (long long)offset);
        goto fail;
    }
    if (!nstrides && ndim)
        mt_contiguous_strides(ndim, sizes, strides);
    int64_t last = offset, bytes = 0;
    bool none = false;
    for (int d = 0; d < ndim; d++) {
        if (sizes[d] < 0) {
            PyErr_Format(PyExc_RuntimeError, "Trying to create tensor with negative dimension %lld: %s",
                         (long long)sizes[d], mt_str_ints(sizes, ndim));
            goto fail;
        }
        if (strides[d] < 0) {
            PyErr_Format(PyExc_RuntimeError,
                         "Storage size calculation overflowed with sizes=%s and strides=%s",
                         mt_str_ints(sizes, ndim), mt_str_ints(strides, ndim));
            goto fail;
        }
        int64_t span;
        none |= sizes[d] == 0;
        if (sizes[d] && (mt_mul_overflows(sizes[d] - 1, strides[d], &span) ||
                         mt_add_overflows(last, span, &last))) {
            PyErr_Format(PyExc_RuntimeError,
                         "Storage size calculation overflowed with sizes=%s and strides=%s",
                         mt_str_ints(sizes, ndim), mt_str_ints(strides, ndim));
            goto fail;
        }
    }
    if (!none) {
        if (mt_add_overflows(last, 1, &last) || mt_mul_overflows(last, mt_itemsize(t), &bytes)) {
            PyErr_Format(PyExc_RuntimeError,
                         "Storage size calculation overflowed with sizes=%s and strides=%s",
                         mt_str_ints(sizes, ndim), mt_str_ints(strides, ndim));
            goto fail;
        }
        if ((uint64_t)bytes > s->nbytes && mt_storage_resize(s, (size_t)bytes) < 0) {
            mtpy_raise();
            goto fail;
        }
    }
    if (mt_tensor_set_geometry(t, ndim, sizes, strides) < 0) {
        mtpy_raise();
        goto fail;
    }
    mt_storage *old = t->storage;
    t->storage = s;
    t->offset = offset;
    mt_storage_unref(old);
    if (!(t->flags & MT_T_INFERENCE))
        mt_bump_version(t);
    return Py_NewRef(self);
fail:
    mt_storage_unref(s);
    return NULL;
}

static PyMethodDef methods[] = {
    {"untyped_storage", m_untyped_storage, METH_NOARGS, "The storage: the same object every time."},
    {"set_", KEYWORDS(m_set_), METH_VARARGS | METH_KEYWORDS,
     "set_(source=None, storage_offset=0, size=None, stride=None)\n\n"
     "Makes self a window on another storage or on that of another tensor."},
    {0},
};

int
mtpy_add_storage(PyObject *module)
{
    storage_base = (PyTypeObject *)PyType_FromSpec(&storage_spec);
    if (!storage_base || PyModule_AddObjectRef(module, "StorageBase", (PyObject *)storage_base) < 0)
        return -1;
    return mtpy_add_methods(mtpy_tensor_base, methods);
}
