/* PyTorchFileWriter and PyTorchFileReader: csrc/serialize/zip behind Python objects.
 *
 * A writer's bytes go to a file descriptor or to an object's write(); a reader's come from memory
 * (bytes, mmap, BytesIO), from a descriptor (paths and plain binary files, by pread, so the file's
 * position is left alone) or from any object with seek() and read(). Payloads are copied between
 * the archive and a storage without a stop in between. A storage is whatever has data_ptr() and
 * nbytes(). Long transfers that need no Python run without the interpreter lock; meanwhile, and
 * while a callback runs, the object is `busy` and refuses other calls. */
#define _GNU_SOURCE /* fallocate */
#include "serialize/zip.h"
#include "python/python.h"
#include "python/unpickle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define RELEASE_LOCK_SIZE (1u << 20)

static int
refuse_busy(bool busy, const char *what)
{
    if (busy)
        PyErr_Format(PyExc_RuntimeError, "%s is in use by another call", what);
    return busy ? -1 : 0;
}

/* Makes a memoryview useless to whoever kept it, since the memory under it will go. An exception
 * that is set stays set. Consumes the view; -1 when somebody holds on to its memory. */
static int
end_view_take(PyObject *view)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *pending = PyErr_GetRaisedException();
#else
    PyObject *type, *pending, *traceback;
    PyErr_Fetch(&type, &pending, &traceback);
#endif
    PyObject *released = PyObject_CallMethod(view, "release", NULL);
    int rc = released ? 0 : -1;
    Py_XDECREF(released);
    Py_DECREF(view);
#if PY_VERSION_HEX >= 0x030C0000
    if (pending)
        PyErr_SetRaisedException(pending);
#else
    if (type)
        PyErr_Restore(type, pending, traceback);
#endif
    return rc;
}

/* ---- where bytes are: storages and buffers ---- */

typedef struct region {
    Py_buffer view; /* obj NULL: not held through the buffer protocol */
    char *data;
    Py_ssize_t nbytes;
} region;

static void
region_close(region *r)
{
    if (r->view.obj)
        PyBuffer_Release(&r->view);
}

static int
call_for_size(PyObject *object, const char *method, size_t *out)
{
    PyObject *number = PyObject_CallMethod(object, method, NULL);
    if (!number)
        return -1;
    *out = PyLong_AsSize_t(number);
    Py_DECREF(number);
    return *out == (size_t)-1 && PyErr_Occurred() ? -1 : 0;
}

static int
region_of_storage(PyObject *storage, region *r)
{
    size_t address, nbytes;
    if (call_for_size(storage, "data_ptr", &address) || call_for_size(storage, "nbytes", &nbytes))
        return -1;
    r->data = (char *)address; /* NOLINT: the storage's own address */
    r->nbytes = (Py_ssize_t)nbytes;
    if (nbytes && !address) {
        PyErr_SetString(PyExc_RuntimeError, "the storage has no memory to read or write");
        return -1;
    }
    return 0;
}

/* The bytes of a str (UTF-8), of a storage, or of anything with the buffer protocol. */
static int
region_open(PyObject *object, region *r)
{
    *r = (region){.data = NULL};
    if (PyUnicode_Check(object)) {
        r->data = (char *)PyUnicode_AsUTF8AndSize(object, &r->nbytes);
        return r->data ? 0 : -1;
    }
    if (PyObject_CheckBuffer(object)) {
        if (PyObject_GetBuffer(object, &r->view, PyBUF_SIMPLE))
            return -1;
        r->data = r->view.buf;
        r->nbytes = r->view.len;
        return 0;
    }
    if (PyObject_HasAttrString(object, "data_ptr") && PyObject_HasAttrString(object, "nbytes"))
        return region_of_storage(object, r);
    PyErr_Format(PyExc_TypeError,
                 "write_record(): expected str, bytes or a storage as data, but got %.200s",
                 Py_TYPE(object)->tp_name);
    return -1;
}

/* ---- the writer ---- */

typedef struct writer {
    PyObject_HEAD mt_zip_writer *zip;
    PyObject *write; /* bound method of a buffer object; NULL: fd */
    int fd;
    bool owns_fd, busy, reserved;
} writer;

/* Hands n bytes to write() as a memoryview that is dead afterwards, so that nobody keeps a window
 * on memory that is gone. Raw files may take less than offered. */
static int
write_to_object(void *ctx, const void *data, size_t n)
{
    const char *p = data;
    while (n) {
        PyObject *view = PyMemoryView_FromMemory((char *)p, (Py_ssize_t)n, PyBUF_READ);
        PyObject *result = view ? PyObject_CallOneArg(((writer *)ctx)->write, view) : NULL;
        if ((view && end_view_take(view)) || !result) {
            Py_XDECREF(result);
            return mtpy_keep_exception();
        }
        Py_ssize_t taken = PyLong_Check(result) ? PyLong_AsSsize_t(result) : -1;
        Py_DECREF(result);
        PyErr_Clear();
        if (taken <= 0 || (size_t)taken >= n)
            return 0; /* None or an odd count: write() is trusted to have taken all */
        p += taken;
        n -= (size_t)taken;
    }
    return 0;
}

static void
writer_close(writer *self)
{
    if (self->owns_fd)
        close(self->fd);
    self->owns_fd = false;
}

/* "dir/model.best.pt" -> "model.best" */
static PyObject *
archive_name_of(PyObject *path)
{
    Py_ssize_t len = PyUnicode_GET_LENGTH(path);
    Py_ssize_t slash = PyUnicode_FindChar(path, '/', 0, len, -1);
    Py_ssize_t dot = PyUnicode_FindChar(path, '.', slash + 1, len, -1);
    PyObject *name = PyUnicode_Substring(path, slash + 1, dot >= 0 ? dot : len);
    if (name && !PyUnicode_GET_LENGTH(name)) {
        Py_CLEAR(name);
        PyErr_Format(PyExc_RuntimeError, "invalid file name: %U", path);
    }
    return name;
}

static int
open_for_writing(writer *self, PyObject *path)
{
    PyObject *encoded = PyUnicode_EncodeFSDefault(path);
    struct stat st;
    if (!encoded)
        return -1;
    const char *name = PyBytes_AS_STRING(encoded);
    self->fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (self->fd < 0 && errno == ENOENT) {
        const char *slash = strrchr(name, '/');
        PyObject *parent = PyUnicode_DecodeFSDefaultAndSize(name, slash ? slash - name : 0);
        if (parent && slash && !(stat(PyBytes_AS_STRING(encoded), &st) == 0))
            PyErr_Format(PyExc_RuntimeError, "Parent directory %U does not exist.", parent);
        Py_XDECREF(parent);
        errno = ENOENT;
    }
    if (self->fd < 0 && !PyErr_Occurred())
        PyErr_Format(PyExc_RuntimeError, "open file failed with strerror: %s", strerror(errno));
    Py_DECREF(encoded);
    self->owns_fd = self->fd >= 0;
    return self->fd < 0 ? -1 : 0;
}

static int
writer_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"file_name", "compute_crc32", "storage_alignment", "_archive_name",
                               NULL};
    writer *self = (writer *)op;
    PyObject *target, *path = NULL, *given = NULL, *name = NULL;
    int with_crc = 1, rc = -1;
    Py_ssize_t alignment = MT_ZIP_ALIGN;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|pn$U:PyTorchFileWriter", keywords, &target,
                                     &with_crc, &alignment, &given))
        return -1;
    if (self->zip) {
        PyErr_SetString(PyExc_RuntimeError, "PyTorchFileWriter is already initialised");
        return -1;
    }
    self->fd = -1;
    if (PyUnicode_Check(target)) {
        path = Py_NewRef(target);
        if (!(name = given ? Py_NewRef(given) : archive_name_of(path)) ||
            open_for_writing(self, path))
            goto done;
    } else {
        name = given ? Py_NewRef(given) : PyUnicode_FromString("archive");
        if (PyLong_CheckExact(target)) { /* a descriptor, which stays the caller's */
            self->fd = (int)PyLong_AsLong(target);
            if (self->fd == -1 && PyErr_Occurred())
                goto done;
        } else if (!(self->write = PyObject_GetAttrString(target, "write"))) {
            goto done;
        }
    }
    const char *archive = name ? PyUnicode_AsUTF8(name) : NULL;
    if (!archive)
        goto done;
    self->zip = mt_zip_writer_new(archive, with_crc, alignment < 0 ? 0 : (size_t)alignment,
                                  self->write ? write_to_object : mt_zip_write_fd,
                                  self->write ? (void *)self : (void *)&self->fd);
    if (!self->zip) {
        mtpy_raise();
        goto done;
    }
    rc = 0;
done:
    if (rc)
        writer_close(self);
    Py_XDECREF(path);
    Py_XDECREF(name);
    return rc;
}

static int
writer_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((writer *)op)->write);
    return 0;
}

static int
writer_clear(PyObject *op)
{
    Py_CLEAR(((writer *)op)->write);
    return 0;
}

static void
writer_dealloc(PyObject *op)
{
    writer *self = (writer *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    writer_close(self);
    mt_zip_writer_free(self->zip);
    Py_XDECREF(self->write);
    type->tp_free(op);
    Py_DECREF(type);
}

static int
writer_ready(writer *self)
{
    if (!self->zip) {
        PyErr_SetString(PyExc_RuntimeError, "PyTorchFileWriter is not initialised");
        return -1;
    }
    if (self->zip && !self->write && self->fd < 0) {
        PyErr_SetString(PyExc_RuntimeError, "PyTorchFileWriter has no file");
        return -1;
    }
    return refuse_busy(self->busy, "PyTorchFileWriter");
}

static int
write_member(writer *self, PyObject *name, const void *data, uint64_t size, bool hole)
{
    Py_ssize_t name_len;
    const char *text = PyUnicode_AsUTF8AndSize(name, &name_len);
    int rc;
    if (!text)
        return -1;
    PyThreadState *lock = !self->write && size >= RELEASE_LOCK_SIZE ? PyEval_SaveThread() : NULL;
    rc = hole ? mt_zip_write_hole(self->zip, text, (size_t)name_len, size)
              : mt_zip_write(self->zip, text, (size_t)name_len, data, size);
    if (lock)
        PyEval_RestoreThread(lock);
    return rc;
}

static PyObject *
writer_write_record(PyObject *op, PyObject *args)
{
    writer *self = (writer *)op;
    PyObject *name, *data;
    Py_ssize_t size;
    region r;
    if (!PyArg_ParseTuple(args, "UOn:write_record", &name, &data, &size) || writer_ready(self) ||
        region_open(data, &r))
        return NULL;
    int rc = -1;
    if (size < 0 || size > r.nbytes) {
        PyErr_Format(PyExc_ValueError,
                     "write_record(): size %zd is not between 0 and the %zd bytes given", size,
                     r.nbytes);
    } else {
        self->busy = true;
        rc = write_member(self, name, r.data, (uint64_t)size, false);
        self->busy = false;
        if (rc)
            mtpy_raise();
    }
    region_close(&r);
    return rc ? NULL : Py_NewRef(Py_None);
}

static PyObject *
writer_write_record_metadata(PyObject *op, PyObject *args)
{
    writer *self = (writer *)op;
    PyObject *name;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "Un:write_record_metadata", &name, &size) || writer_ready(self))
        return NULL;
    if (size < 0)
        return PyErr_Format(PyExc_ValueError, "write_record_metadata(): negative size %zd", size);
    self->busy = true;
    int rc = write_member(self, name, NULL, (uint64_t)size, true);
    self->busy = false;
    return rc ? mtpy_raise() : Py_NewRef(Py_None);
}

/* File systems place a file faster when they know its size beforehand (here 30 ms for 128 MB
 * instead of 105), and a full disk shows before anything is written. */
static PyObject *
writer_reserve(PyObject *op, PyObject *size)
{
    writer *self = (writer *)op;
    long long nbytes = PyLong_AsLongLong(size);
    if ((nbytes == -1 && PyErr_Occurred()) || writer_ready(self))
        return NULL;
#if defined(__linux__)
    if (!self->write && nbytes > 0) {
        if (!fallocate(self->fd, 0, 0, nbytes))
            self->reserved = true;
        else if (errno == ENOSPC || errno == EDQUOT)
            return PyErr_Format(PyExc_RuntimeError, "PytorchStreamWriter failed writing file: %s",
                                strerror(errno));
    }
#endif
    Py_RETURN_NONE;
}

/* Cuts off what was reserved and not needed. */
static int
trim(writer *self)
{
    off_t end = self->reserved ? lseek(self->fd, 0, SEEK_CUR) : 0;
    if (end < 0 || (self->reserved && ftruncate(self->fd, end)))
        return mt_fail(MT_RUNTIME, "PytorchStreamWriter failed writing file: %s", strerror(errno));
    self->reserved = false;
    return 0;
}

static PyObject *
writer_write_end_of_file(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    writer *self = (writer *)op;
    if (writer_ready(self))
        return NULL;
    self->busy = true;
    int rc = mt_zip_finish(self->zip) || trim(self) ? -1 : 0;
    self->busy = false;
    if (!rc && self->owns_fd) {
        self->owns_fd = false;
        if (close(self->fd))
            rc = mt_fail(MT_RUNTIME, "PytorchStreamWriter failed writing file: %s",
                         strerror(errno));
    }
    return rc ? mtpy_raise() : Py_NewRef(Py_None);
}

static PyObject *
writer_set_min_version(PyObject *op, PyObject *version)
{
    writer *self = (writer *)op;
    unsigned long long v = PyLong_AsUnsignedLongLong(version);
    if ((v == (unsigned long long)-1 && PyErr_Occurred()) || writer_ready(self))
        return NULL;
    mt_zip_set_min_version(self->zip, v);
    Py_RETURN_NONE;
}

static PyObject *
writer_archive_name(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    writer *self = (writer *)op;
    return writer_ready(self) ? NULL : PyUnicode_FromString(mt_zip_archive_name(self->zip));
}

static PyObject *
writer_serialization_id(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    writer *self = (writer *)op;
    return writer_ready(self) ? NULL : PyUnicode_FromString(mt_zip_writer_id(self->zip));
}

static PyObject *
writer_get_all_written_records(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    writer *self = (writer *)op;
    if (writer_ready(self))
        return NULL;
    PyObject *out = PySet_New(NULL);
    for (size_t i = 0; out && i < mt_zip_num_written(self->zip); i++) {
        size_t len;
        const char *text = mt_zip_written_name(self->zip, i, &len);
        PyObject *name = PyUnicode_FromStringAndSize(text, (Py_ssize_t)len);
        if (!name || PySet_Add(out, name))
            Py_CLEAR(out);
        Py_XDECREF(name);
    }
    return out;
}

static PyMethodDef writer_methods[] = {
    {"write_record", writer_write_record, METH_VARARGS,
     "write_record(name, data, size)\n--\n\nAdds a member: the first `size` bytes of a str, bytes "
     "or storage."},
    {"write_record_metadata", writer_write_record_metadata, METH_VARARGS,
     "write_record_metadata(name, size)\n--\n\nAdds a member of `size` zero bytes, without a "
     "checksum."},
    {"write_end_of_file", writer_write_end_of_file, METH_NOARGS,
     "write_end_of_file()\n--\n\nAdds version, byte order and id, then the directory."},
    {"_reserve", writer_reserve, METH_O,
     "_reserve(nbytes)\n--\n\nTells a file system how large the file will be, about."},
    {"set_min_version", writer_set_min_version, METH_O,
     "set_min_version(version)\n--\n\nRaises the format version to record."},
    {"archive_name", writer_archive_name, METH_NOARGS,
     "archive_name()\n--\n\nThe folder inside the archive that holds all members."},
    {"serialization_id", writer_serialization_id, METH_NOARGS,
     "serialization_id()\n--\n\nForty digits made from names and checksums, once finished."},
    {"get_all_written_records", writer_get_all_written_records, METH_NOARGS,
     "get_all_written_records()\n--\n\nThe names written so far, a set."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, "PyTorchFileWriter(file_name, compute_crc32=True, storage_alignment=64)\n--\n\n"
                "Writes an archive in torch.save's format to a path, a file descriptor or an "
                "object with write()."},
    {Py_tp_init, writer_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_traverse, writer_traverse},
    {Py_tp_clear, writer_clear},
    {Py_tp_dealloc, writer_dealloc},
    {Py_tp_methods, writer_methods},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "mindtorch_v2._C.PyTorchFileWriter",
    .basicsize = sizeof(writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = writer_slots,
};

/* ---- the reader ---- */

typedef struct reader {
    PyObject_HEAD mt_zip_reader *zip;
    PyObject *object; /* a file object that is read by calls, or the owner of `view` */
    Py_buffer view;   /* obj NULL: none held */
    uint64_t start;   /* of the archive within the object */
    int fd;
    bool busy;
    char check_crc; /* T_BOOL */
} reader;

/* The archive lies behind seek() and readinto() or read(). */
static int
read_from_object(void *ctx, uint64_t offset, void *dst, size_t n)
{
    const reader *self = ctx;
    char *p = dst;
    int rc = -1;
    PyObject *got = NULL, *chunk = NULL,
             *moved = PyObject_CallMethod(self->object, "seek", "K",
                                          (unsigned long long)(self->start + offset));
    bool into = moved && PyObject_HasAttrString(self->object, "readinto");
    while (moved && n) {
        Py_ssize_t count = -1;
        if (into) {
            PyObject *view = PyMemoryView_FromMemory(p, (Py_ssize_t)n, PyBUF_WRITE);
            got = view ? PyObject_CallMethod(self->object, "readinto", "O", view) : NULL;
            if ((view && end_view_take(view)) || !got)
                goto done;
            count = PyLong_Check(got) ? PyLong_AsSsize_t(got) : 0;
        } else {
            got = PyObject_CallMethod(self->object, "read", "n", (Py_ssize_t)n);
            if (!got)
                goto done;
            chunk = PyBytes_FromObject(got);
            if (!chunk)
                goto done;
            count = PyBytes_GET_SIZE(chunk);
            if (count > 0 && (size_t)count <= n)
                memcpy(p, PyBytes_AS_STRING(chunk), (size_t)count);
            Py_CLEAR(chunk);
        }
        Py_CLEAR(got);
        if (count == -1 && PyErr_Occurred())
            goto done;
        if (count <= 0 || (size_t)count > n) {
            PyErr_SetString(PyExc_RuntimeError,
                            "PytorchStreamReader failed reading zip archive: file read failed");
            goto done;
        }
        p += count;
        n -= (size_t)count;
    }
    rc = moved ? 0 : -1;
done:
    Py_XDECREF(got);
    Py_XDECREF(moved);
    return rc ? mtpy_keep_exception() : 0;
}

static int
call_for_position(PyObject *file, const char *method, PyObject *result, uint64_t *out)
{
    if (!result)
        return -1;
    *out = PyLong_Check(result) ? PyLong_AsUnsignedLongLong(result) : (uint64_t)-1;
    if (!PyLong_Check(result))
        PyErr_Format(PyExc_TypeError, "%s() of %.200s gave no int", method, Py_TYPE(file)->tp_name);
    Py_DECREF(result);
    return *out == (uint64_t)-1 && PyErr_Occurred() ? -1 : 0;
}

/* A plain binary file: its bytes are those of its descriptor. Wrappers that also have fileno()
 * (gzip, codecs) are not, hence exact types only. */
static int
descriptor_of(PyObject *file)
{
    PyObject *io = PyImport_ImportModule("_io");
    PyObject *raw = NULL, *number = NULL, *flushed;
    int fd = -1;
    struct stat st;
    if (!io)
        return -1;
    PyObject *types[3] = {PyObject_GetAttrString(io, "FileIO"),
                          PyObject_GetAttrString(io, "BufferedReader"),
                          PyObject_GetAttrString(io, "BufferedRandom")};
    PyObject *type = (PyObject *)Py_TYPE(file);
    if (types[0] && types[1] && types[2]) {
        if (type == types[0])
            raw = Py_NewRef(file);
        else if (type == types[1] || type == types[2])
            raw = PyObject_GetAttrString(file, "raw");
        if (raw && (PyObject *)Py_TYPE(raw) != types[0])
            Py_CLEAR(raw);
    }
    if (raw && type == types[2]) {
        flushed = PyObject_CallMethod(file, "flush", NULL);
        if (!flushed)
            Py_CLEAR(raw);
        Py_XDECREF(flushed);
    }
    number = raw ? PyObject_CallMethod(raw, "fileno", NULL) : NULL;
    if (number) {
        int theirs = (int)PyLong_AsLong(number);
        if (theirs >= 0 && !fstat(theirs, &st) && S_ISREG(st.st_mode))
            fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
    }
    PyErr_Clear(); /* no descriptor: the file is read by calls, which report what is wrong */
    for (int i = 0; i < 3; i++)
        Py_XDECREF(types[i]);
    Py_XDECREF(number);
    Py_XDECREF(raw);
    Py_DECREF(io);
    return fd;
}

static int
open_for_reading(reader *self, PyObject *path, uint64_t *size)
{
    PyObject *encoded;
    struct stat st;
    if (!PyUnicode_FSConverter(path, &encoded))
        return -1;
    self->fd = open(PyBytes_AS_STRING(encoded), O_RDONLY | O_CLOEXEC);
    Py_DECREF(encoded);
    if (self->fd < 0 || fstat(self->fd, &st)) {
        PyErr_Format(PyExc_RuntimeError,
                     "open file failed because of errno %d on fopen: %s, file path: %U", errno,
                     strerror(errno), path);
        return -1;
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

/* Where and how long the archive is within a file object: from its position to its end. */
static int
measure_file(reader *self, PyObject *file, uint64_t *size)
{
    uint64_t end;
    if (call_for_position(file, "tell", PyObject_CallMethod(file, "tell", NULL), &self->start) ||
        call_for_position(file, "seek", PyObject_CallMethod(file, "seek", "ii", 0, 2), &end))
        return -1;
    PyObject *back = PyObject_CallMethod(file, "seek", "K", (unsigned long long)self->start);
    if (!back)
        return -1;
    Py_DECREF(back);
    *size = end > self->start ? end - self->start : 0;
    return 0;
}

static int
read_fd_from_start(void *ctx, uint64_t offset, void *dst, size_t n)
{
    reader *self = ctx;
    return mt_zip_read_fd(&self->fd, self->start + offset, dst, n);
}

static int
source_of(reader *self, PyObject *object, mt_zip_source *source)
{
    *source = (mt_zip_source){NULL, read_fd_from_start, self, 0};
    if (PyUnicode_Check(object))
        return open_for_reading(self, object, &source->size);
    if (!PyObject_CheckBuffer(object)) {
        if (measure_file(self, object, &source->size))
            return -1;
        self->fd = descriptor_of(object);
        if (self->fd >= 0)
            return 0;
        PyObject *buffer = strcmp(Py_TYPE(object)->tp_name, "_io.BytesIO")
                               ? NULL
                               : PyObject_CallMethod(object, "getbuffer", NULL);
        if (!buffer) {
            PyErr_Clear();
            source->read = read_from_object;
            self->object = Py_NewRef(object);
            return 0;
        }
        self->object = buffer;
    } else {
        self->object = Py_NewRef(object);
    }
    if (PyObject_GetBuffer(self->object, &self->view, PyBUF_SIMPLE))
        return -1;
    uint64_t skip = MT_MIN(self->start, (uint64_t)self->view.len);
    source->data = (const uint8_t *)self->view.buf + skip;
    source->size = (uint64_t)self->view.len - skip;
    return 0;
}

static void
reader_close(reader *self)
{
    mt_zip_reader_free(self->zip);
    self->zip = NULL;
    if (self->view.obj)
        PyBuffer_Release(&self->view);
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    Py_CLEAR(self->object);
}

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    reader *self = (reader *)PyType_GenericNew(type, args, kwargs);
    if (self) {
        self->fd = -1;
        self->check_crc = 1;
    }
    return (PyObject *)self;
}

static int
reader_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    reader *self = (reader *)op;
    PyObject *object;
    mt_zip_source source;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "PyTorchFileReader() takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "O:PyTorchFileReader", &object) ||
        refuse_busy(self->busy, "PyTorchFileReader"))
        return -1;
    reader_close(self);
    self->start = 0;
    if (source_of(self, object, &source)) {
        reader_close(self);
        return -1;
    }
    self->busy = true;
    self->zip = mt_zip_reader_new(&source);
    self->busy = false;
    if (!self->zip) {
        mtpy_raise();
        reader_close(self);
        return -1;
    }
    return 0;
}

static int
reader_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((reader *)op)->object);
    return 0;
}

static int
reader_clear(PyObject *op)
{
    if (!((reader *)op)->busy)
        reader_close((reader *)op);
    return 0;
}

static void
reader_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    reader_close((reader *)op);
    type->tp_free(op);
    Py_DECREF(type);
}

static int
reader_ready(reader *self)
{
    if (!self->zip) {
        PyErr_SetString(PyExc_RuntimeError, "PyTorchFileReader has no archive");
        return -1;
    }
    return refuse_busy(self->busy, "PyTorchFileReader");
}

static const mt_zip_member *
member_named(reader *self, PyObject *name, bool must)
{
    Py_ssize_t len;
    if (reader_ready(self))
        return NULL;
    if (!PyUnicode_Check(name)) {
        PyErr_Format(PyExc_TypeError, "a record's name must be str, not %.200s",
                     Py_TYPE(name)->tp_name);
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8AndSize(name, &len);
    const mt_zip_member *m = text ? mt_zip_find(self->zip, text, (size_t)len) : NULL;
    if (text && !m && must)
        PyErr_Format(PyExc_RuntimeError,
                     "PytorchStreamReader failed locating file %U: file not found. This is an "
                     "internal miniz error. If you are seeing this error, there is a high "
                     "likelihood that your checkpoint file is corrupted. This can happen if the "
                     "checkpoint was not saved properly, was transferred incorrectly, or the file "
                     "was modified after saving.",
                     name);
    return m;
}

/* Stored bytes of m to dst. */
static int
read_stored(reader *self, const mt_zip_member *m, void *dst)
{
    bool calls = self->object && !self->view.obj;
    PyThreadState *lock = !calls && m->stored_size >= RELEASE_LOCK_SIZE ? PyEval_SaveThread()
                                                                        : NULL;
    self->busy = true;
    int rc = mt_zip_read(self->zip, m, dst, self->check_crc);
    self->busy = false;
    if (lock)
        PyEval_RestoreThread(lock);
    if (rc)
        mtpy_raise();
    return rc;
}

static PyObject *
bad_member(const mt_zip_member *m, const char *why)
{
    return PyErr_Format(PyExc_RuntimeError, "PytorchStreamReader failed reading file %s: %s",
                        mt_str("%.*s", (int)MT_MIN(m->name_len, 200u), m->name), why);
}

/* A deflated member as bytes; never more than it claims to hold. */
static PyObject *
inflate(reader *self, const mt_zip_member *m)
{
    PyObject *packed = NULL, *zlib = NULL, *state = NULL, *out = NULL;
    if (m->method != 8)
        return bad_member(m, "unsupported method");
    packed = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)m->stored_size);
    if (!packed || read_stored(self, m, PyBytes_AS_STRING(packed)) ||
        !(zlib = PyImport_ImportModule("zlib")) ||
        !(state = PyObject_CallMethod(zlib, "decompressobj", "i", -15)))
        goto done;
    out = PyObject_CallMethod(state, "decompress", "On", packed, (Py_ssize_t)m->size + 1);
    if (!out || !PyBytes_Check(out) || (uint64_t)PyBytes_GET_SIZE(out) != m->size) {
        Py_CLEAR(out);
        PyErr_Clear();
        bad_member(m, "decompression failed");
    } else if (self->check_crc && mt_zip_check(self->zip, m, PyBytes_AS_STRING(out))) {
        Py_CLEAR(out);
        mtpy_raise();
    }
done:
    Py_XDECREF(packed);
    Py_XDECREF(zlib);
    Py_XDECREF(state);
    return out;
}

static PyObject *
reader_get_record(PyObject *op, PyObject *name)
{
    reader *self = (reader *)op;
    const mt_zip_member *m = member_named(self, name, true);
    if (!m)
        return NULL;
    if (m->method)
        return inflate(self, m);
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)m->size);
    if (out && read_stored(self, m, PyBytes_AS_STRING(out)))
        Py_CLEAR(out);
    return out;
}

/* Fills a storage of just the member's size. */
static int
read_into(reader *self, const mt_zip_member *m, PyObject *storage)
{
    region r = {.data = NULL};
    if (region_of_storage(storage, &r))
        return -1;
    if ((uint64_t)r.nbytes != m->size) {
        PyErr_Format(PyExc_RuntimeError,
                     "record size (%llu bytes) does not match expected size (%zd bytes = %zd "
                     "elements * 1 bytes/element) for dtype Byte",
                     (unsigned long long)m->size, r.nbytes, r.nbytes);
        return -1;
    }
    if (!m->method)
        return read_stored(self, m, r.data);
    PyObject *bytes = inflate(self, m);
    if (!bytes)
        return -1;
    memcpy(r.data, PyBytes_AS_STRING(bytes), (size_t)r.nbytes);
    Py_DECREF(bytes);
    return 0;
}

static PyObject *
reader_read_storage(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    reader *self = (reader *)op;
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "_read_storage() takes a name and a storage");
    const mt_zip_member *m = member_named(self, args[0], true);
    return !m || read_into(self, m, args[1]) ? NULL : Py_NewRef(Py_None);
}

static PyObject *
reader_has_record(PyObject *op, PyObject *name)
{
    const mt_zip_member *m = member_named((reader *)op, name, false);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(m != NULL);
}

static PyObject *
reader_get_record_size(PyObject *op, PyObject *name)
{
    const mt_zip_member *m = member_named((reader *)op, name, true);
    return m ? PyLong_FromUnsignedLongLong(m->size) : NULL;
}

static PyObject *
reader_get_record_header_offset(PyObject *op, PyObject *name)
{
    const mt_zip_member *m = member_named((reader *)op, name, true);
    return m ? PyLong_FromUnsignedLongLong(m->header) : NULL;
}

static PyObject *
reader_get_record_offset(PyObject *op, PyObject *name)
{
    reader *self = (reader *)op;
    const mt_zip_member *m = member_named(self, name, true);
    uint64_t offset;
    if (!m)
        return NULL;
    self->busy = true;
    int rc = mt_zip_payload_offset(self->zip, m, &offset);
    self->busy = false;
    return rc ? mtpy_raise() : PyLong_FromUnsignedLongLong(offset);
}

static PyObject *
reader_get_all_records(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    reader *self = (reader *)op;
    size_t archive_len;
    if (reader_ready(self))
        return NULL;
    mt_zip_reader_archive(self->zip, &archive_len);
    PyObject *out = PyList_New(0);
    for (size_t i = 0; out && i < mt_zip_num_members(self->zip); i++) {
        const mt_zip_member *m = mt_zip_member_at(self->zip, i);
        if (m->name_len <= archive_len)
            continue;
        const char *text = m->name + archive_len + 1;
        size_t len = m->name_len - archive_len - 1;
        if (mt_zip_find(self->zip, text, len) != m)
            continue;
        PyObject *name = PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, NULL);
        if (!name || PyList_Append(out, name))
            Py_CLEAR(out);
        Py_XDECREF(name);
    }
    return out;
}

static PyObject *
reader_serialization_id(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *name = PyUnicode_FromString(".data/serialization_id"), *record = NULL, *out = NULL;
    if (!name)
        return NULL;
    if (!member_named((reader *)op, name, false)) {
        out = PyErr_Occurred() ? NULL : PyUnicode_FromString("");
    } else {
        record = reader_get_record(op, name);
        out = record ? PyUnicode_DecodeUTF8(PyBytes_AS_STRING(record), PyBytes_GET_SIZE(record),
                                            "replace")
                     : NULL;
    }
    Py_XDECREF(record);
    Py_DECREF(name);
    return out;
}

/* Lets go of the file or buffer now, whoever still holds the reader (a traceback, say). */
static PyObject *
reader_close_now(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (refuse_busy(((reader *)op)->busy, "PyTorchFileReader"))
        return NULL;
    reader_close((reader *)op);
    Py_RETURN_NONE;
}

static PyMethodDef reader_methods[] = {
    {"_close", reader_close_now, METH_NOARGS, "_close()\n--\n\nLets go of the file."},
    {"get_record", reader_get_record, METH_O,
     "get_record(name)\n--\n\nThe bytes of a member, checked against its CRC-32."},
    {"_read_storage", (PyCFunction)(void (*)(void))reader_read_storage, METH_FASTCALL,
     "_read_storage(name, storage)\n--\n\nReads a member into a storage of its size."},
    {"has_record", reader_has_record, METH_O,
     "has_record(name)\n--\n\nWhether there is such a member."},
    {"get_record_size", reader_get_record_size, METH_O,
     "get_record_size(name)\n--\n\nThe length of a member in bytes."},
    {"get_record_offset", reader_get_record_offset, METH_O,
     "get_record_offset(name)\n--\n\nWhere a member's bytes start in the file."},
    {"get_record_header_offset", reader_get_record_header_offset, METH_O,
     "get_record_header_offset(name)\n--\n\nWhere a member's local header starts in the file."},
    {"get_all_records", reader_get_all_records, METH_NOARGS,
     "get_all_records()\n--\n\nThe members' names in the order of the directory."},
    {"serialization_id", reader_serialization_id, METH_NOARGS,
     "serialization_id()\n--\n\nThe archive's id, empty where it has none."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef reader_members[] = {
    {"_check_crc32", T_BOOL, offsetof(reader, check_crc), 0,
     "Whether payloads are compared with their recorded CRC-32."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, "PyTorchFileReader(file)\n--\n\nReads an archive in torch.save's format from a "
                "path, a bytes-like object or a binary file object."},
    {Py_tp_new, reader_new},
    {Py_tp_init, reader_init},
    {Py_tp_traverse, reader_traverse},
    {Py_tp_clear, reader_clear},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, reader_methods},
    {Py_tp_members, reader_members},
    {0, NULL},
};

static PyType_Spec reader_spec = {
    .name = "mindtorch_v2._C.PyTorchFileReader",
    .basicsize = sizeof(reader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = reader_slots,
};

int
mtpy_add_zip(PyObject *module)
{
    PyType_Spec *specs[] = {&writer_spec, &reader_spec};
    for (size_t i = 0; i < MT_COUNT(specs); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, specs[i], NULL);
        if (!type)
            return -1;
        int rc = PyModule_AddType(module, (PyTypeObject *)type);
        Py_DECREF(type);
        if (rc)
            return -1;
    }
    return mtpy_add_unpickle(module);
}
