/* A restricted unpickler: what torch.load(weights_only=True) runs.
 *
 * A pickle can call anything that it can name, so this one can name only what the caller's
 * `find_global` hands out, and it applies REDUCE and NEWOBJ to nothing but those objects
 * (`trusted`). Of the opcodes only those are known that tensors and plain containers need; items
 * are added to exact lists and dicts alone, state is set by the caller's `build`, and references
 * to storages are resolved by the caller's `persistent_load`. The set of opcodes and the errors
 * are PyTorch's.
 *
 * The stack is one array; MARK remembers its height (`fence`), below which nothing is popped until
 * the mark is. The memo is indexed by the numbers picklers count up from 0. */
#include "python/unpickle.h"

#include "python/python.h"
#include "serialize/pickle.h"

#include <stdlib.h>

typedef struct machine {
    const uint8_t *data;
    size_t n, at;
    PyObject **stack;
    size_t height, stack_cap, fence;
    size_t *marks;
    size_t num_marks, marks_cap;
    PyObject **memo;
    size_t memo_cap;
    PyObject **trusted;
    size_t num_trusted, trusted_cap;
    PyObject *find_global, *persistent_load, *build, *counter_type; /* borrowed but the last */
    const char *encoding;                                           /* of Python 2's str */
} machine;

/* ---- errors ---- */

static PyObject *
unpickling_error(const char *format, ...)
{
    va_list args;
    PyObject *pickle = PyImport_ImportModule("_pickle");
    PyObject *type = pickle ? PyObject_GetAttrString(pickle, "UnpicklingError") : NULL;
    Py_XDECREF(pickle);
    if (!type)
        return NULL;
    va_start(args, format);
    PyErr_FormatV(type, format, args);
    va_end(args);
    Py_DECREF(type);
    return NULL;
}

static int
refuse(const char *format, PyObject *object)
{
    unpickling_error(format, object);
    return -1;
}

static int
ends_early(void)
{
    PyErr_SetNone(PyExc_EOFError);
    return -1;
}

static int
underflow(void)
{
    PyErr_SetString(PyExc_IndexError, "pop from empty list");
    return -1;
}

/* ---- stack, memo, trusted objects ---- */

/* Makes room for `want` items of `size` bytes; -1 without memory. */
static int
reserve(void *array, size_t *cap, size_t want, size_t size)
{
    void **place = array;
    if (want <= *cap)
        return 0;
    size_t bigger = 2 * want + 32;
    void *grown = PyMem_Realloc(*place, bigger * size);
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    *place = grown;
    *cap = bigger;
    return 0;
}

/* NULL stands for an exception that is already set. */
static int
push_take(machine *m, PyObject *object)
{
    if (!object)
        return -1;
    if (m->height == m->stack_cap &&
        reserve(&m->stack, &m->stack_cap, m->height + 1, sizeof *m->stack)) {
        Py_DECREF(object);
        return -1;
    }
    m->stack[m->height++] = object;
    return 0;
}

/* The top, now the caller's. */
static PyObject *
pop(machine *m)
{
    if (m->height <= m->fence) {
        underflow();
        return NULL;
    }
    return m->stack[--m->height];
}

/* The item `depth` below the top, borrowed. */
static PyObject *
peek(machine *m, size_t depth)
{
    if (m->height - m->fence <= depth) {
        PyErr_SetString(PyExc_IndexError, "list index out of range");
        return NULL;
    }
    return m->stack[m->height - 1 - depth];
}

static void
drop_to(machine *m, size_t height)
{
    while (m->height > height)
        Py_DECREF(m->stack[--m->height]);
}

static int
push_mark(machine *m)
{
    if (m->num_marks == m->marks_cap &&
        reserve(&m->marks, &m->marks_cap, m->num_marks + 1, sizeof *m->marks))
        return -1;
    m->marks[m->num_marks++] = m->fence;
    m->fence = m->height;
    return 0;
}

/* Undoes the latest mark; the items above it stay, from *start on. */
static int
pop_mark(machine *m, size_t *start)
{
    if (!m->num_marks)
        return underflow();
    *start = m->fence;
    m->fence = m->marks[--m->num_marks];
    return 0;
}

static int
memo_put(machine *m, size_t index)
{
    PyObject *top = peek(m, 0);
    if (!top)
        return -1;
    if (index >= m->memo_cap) {
        if (index > m->n) { /* counted up one PUT at a time, so never beyond the length */
            unpickling_error("Memo index %zu is out of range", index);
            return -1;
        }
        size_t old = m->memo_cap;
        if (reserve(&m->memo, &m->memo_cap, index + 1, sizeof *m->memo))
            return -1;
        memset(m->memo + old, 0, (m->memo_cap - old) * sizeof *m->memo);
    }
    Py_XSETREF(m->memo[index], Py_NewRef(top));
    return 0;
}

static int
memo_get(machine *m, size_t index)
{
    if (index < m->memo_cap && m->memo[index])
        return push_take(m, Py_NewRef(m->memo[index]));
    PyObject *key = PyLong_FromSize_t(index);
    if (key)
        PyErr_SetObject(PyExc_KeyError, key);
    Py_XDECREF(key);
    return -1;
}

/* Finds the object and moves it one place forward, so that the usual few are met first. */
static bool
is_trusted(machine *m, PyObject *object)
{
    for (size_t i = 0; i < m->num_trusted; i++) {
        if (m->trusted[i] != object)
            continue;
        if (i) {
            m->trusted[i] = m->trusted[i - 1];
            m->trusted[i - 1] = object;
        }
        return true;
    }
    return false;
}

static int
trust(machine *m, PyObject *object)
{
    if (is_trusted(m, object))
        return 0;
    if (reserve(&m->trusted, &m->trusted_cap, m->num_trusted + 1, sizeof *m->trusted))
        return -1;
    m->trusted[m->num_trusted++] = Py_NewRef(object);
    return 0;
}

/* ---- arguments ---- */

/* n bytes of the stream, or NULL where it ends early. */
static const uint8_t *
take(machine *m, size_t n)
{
    if (m->n - m->at < n) {
        ends_early();
        return NULL;
    }
    m->at += n;
    return m->data + m->at - n;
}

static int
take_number(machine *m, size_t bytes, size_t *out)
{
    const uint8_t *p = take(m, bytes);
    if (!p)
        return -1;
    *out = 0;
    for (size_t i = bytes; i-- > 0;)
        *out = *out << 8 | p[i];
    return 0;
}

static PyObject *
take_line(machine *m)
{
    const char *p = (const char *)m->data + m->at;
    const char *end = memchr(p, '\n', m->n - m->at);
    if (!end) {
        ends_early();
        return NULL;
    }
    m->at += (size_t)(end - p) + 1;
    return PyUnicode_DecodeUTF8(p, end - p, NULL);
}

static PyObject *
load_float(machine *m)
{
    const uint8_t *p = take(m, 8);
    uint64_t bits = 0;
    double value;
    if (!p)
        return NULL;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&value, &bits, sizeof value);
    return PyFloat_FromDouble(value);
}

/* Two's complement, little endian, of a length given in one byte. */
static PyObject *
load_long1(machine *m)
{
    size_t n;
    const uint8_t *p;
    if (take_number(m, 1, &n) || !(p = take(m, n)))
        return NULL;
    if (n <= 8) {
        uint64_t value = n && p[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
        for (size_t i = n; i-- > 0;)
            value = value << 8 | p[i];
        return PyLong_FromLongLong((int64_t)value);
    }
    PyObject *method = PyObject_GetAttrString((PyObject *)&PyLong_Type, "from_bytes");
    PyObject *args = Py_BuildValue("(y#s)", (const char *)p, (Py_ssize_t)n, "little");
    PyObject *kwargs = Py_BuildValue("{s:O}", "signed", Py_True);
    PyObject *out = method && args && kwargs ? PyObject_Call(method, args, kwargs) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return out;
}

static PyObject *
load_unicode(machine *m)
{
    size_t n;
    const uint8_t *p;
    if (take_number(m, 4, &n) || !(p = take(m, n)))
        return NULL;
    return PyUnicode_DecodeUTF8((const char *)p, (Py_ssize_t)n, "surrogatepass");
}

static PyObject *
load_short_string(machine *m)
{
    size_t n;
    const uint8_t *p;
    if (take_number(m, 1, &n) || !(p = take(m, n)))
        return NULL;
    if (!strcmp(m->encoding, "bytes"))
        return PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)n);
    return PyUnicode_Decode((const char *)p, (Py_ssize_t)n, m->encoding, "strict");
}

/* ---- containers ---- */

static int
load_tuple(machine *m, size_t n)
{
    if (m->height - m->fence < n) {
        PyErr_SetString(PyExc_IndexError, "list index out of range");
        return -1;
    }
    PyObject *tuple = PyTuple_New((Py_ssize_t)n);
    if (!tuple)
        return -1;
    m->height -= n;
    for (size_t i = 0; i < n; i++)
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, m->stack[m->height + i]);
    return push_take(m, tuple);
}

static int
load_marked_tuple(machine *m)
{
    size_t start;
    return pop_mark(m, &start) ? -1 : load_tuple(m, m->height - start);
}

/* The items above `start` go into the list below them. */
static int
append_from(machine *m, size_t start, const char *refusal)
{
    size_t n = m->height - start;
    if (start <= m->fence) {
        PyErr_SetString(PyExc_IndexError, "list index out of range");
        return -1;
    }
    PyObject *list = m->stack[start - 1];
    if (!PyList_CheckExact(list))
        return refuse(refusal, (PyObject *)Py_TYPE(list));
    for (size_t i = 0; i < n; i++)
        if (PyList_Append(list, m->stack[start + i]))
            return -1;
    drop_to(m, start);
    return 0;
}

static int
set_items_from(machine *m, size_t start, const char *refusal)
{
    size_t n = m->height - start;
    if (start <= m->fence || n % 2) {
        PyErr_SetString(PyExc_IndexError, "list index out of range");
        return -1;
    }
    PyObject *dict = m->stack[start - 1];
    bool plain = PyDict_CheckExact(dict);
    if (!plain && !PyODict_CheckExact(dict) && (PyObject *)Py_TYPE(dict) != m->counter_type)
        return refuse(refusal, (PyObject *)Py_TYPE(dict));
    for (size_t i = 0; i < n; i += 2) {
        PyObject *key = m->stack[start + i], *value = m->stack[start + i + 1];
        if (plain ? PyDict_SetItem(dict, key, value) : PyObject_SetItem(dict, key, value))
            return -1;
    }
    drop_to(m, start);
    return 0;
}

static int
load_items(machine *m, bool marked, bool pairs)
{
    size_t count = pairs ? 2 : 1, start = m->height - count;
    if (marked ? pop_mark(m, &start) : !peek(m, count))
        return -1;
    if (pairs)
        return set_items_from(m, start,
                              marked ? "Can only SETITEMS for dict, collections.OrderedDict, "
                                       "collections.Counter, but got %S"
                                     : "Can only SETITEM for dict, collections.OrderedDict, "
                                       "collections.Counter, but got %S");
    return append_from(m, start,
                       marked ? "Can only extend lists, but got %S"
                              : "Can only append to lists, but got %S");
}

/* ---- globals and calls ---- */

static int
load_global(machine *m)
{
    PyObject *module = take_line(m), *name = module ? take_line(m) : NULL, *found = NULL;
    if (name)
        found = PyObject_CallFunctionObjArgs(m->find_global, module, name, NULL);
    Py_XDECREF(module);
    Py_XDECREF(name);
    if (found && trust(m, found))
        Py_CLEAR(found);
    return push_take(m, found);
}

/* Pops args and the callable. */
static int
load_reduce(machine *m)
{
    PyObject *function, *args;
    if (!(function = peek(m, 1)))
        return -1;
    args = m->stack[m->height - 1];
    if (!is_trusted(m, function))
        return refuse("Trying to call reduce for unrecognized function %S", function);
    PyObject *tuple = PySequence_Tuple(args); /* the same object where it is one */
    PyObject *result = tuple ? PyObject_CallObject(function, tuple) : NULL;
    Py_XDECREF(tuple);
    if (!result)
        return -1;
    drop_to(m, m->height - 2);
    return push_take(m, result);
}

static PyObject *
new_object(PyObject *cls, PyObject *args)
{
    PyObject *out = NULL;
    if (!PyType_Check(cls))
        return PyErr_Format(PyExc_TypeError, "object.__new__(X): X is not a type object (%.200s)",
                            Py_TYPE(cls)->tp_name);
    PyObject *method = PyObject_GetAttrString(cls, "__new__");
    PyObject *first = PyTuple_Pack(1, cls), *rest = PySequence_Tuple(args);
    PyObject *all = first && rest ? PySequence_Concat(first, rest) : NULL;
    if (method && all)
        out = PyObject_CallObject(method, all);
    Py_XDECREF(method);
    Py_XDECREF(first);
    Py_XDECREF(rest);
    Py_XDECREF(all);
    return out;
}

static int
load_newobj(machine *m)
{
    PyObject *cls = peek(m, 1);
    if (!cls)
        return -1;
    if (!is_trusted(m, cls))
        return refuse("Can only create new object for nn.Parameter or classes allowlisted via "
                      "`add_safe_globals` but got %S",
                      cls);
    PyObject *result = new_object(cls, m->stack[m->height - 1]);
    if (!result)
        return -1;
    drop_to(m, m->height - 2);
    return push_take(m, result);
}

/* `build` may hand back another object to stand for the one built. */
static int
load_build(machine *m)
{
    PyObject *object = peek(m, 1);
    if (!object)
        return -1;
    PyObject *built = PyObject_CallFunctionObjArgs(m->build, object, m->stack[m->height - 1], NULL);
    if (!built)
        return -1;
    drop_to(m, m->height - 2);
    return push_take(m, built);
}

static int
load_persistent(machine *m)
{
    PyObject *id = pop(m);
    if (!id)
        return -1;
    if (PyTuple_CheckExact(id) && PyTuple_GET_SIZE(id)) {
        PyObject *kind = PyTuple_GET_ITEM(id, 0);
        bool storage = (PyUnicode_Check(kind) &&
                        PyUnicode_CompareWithASCIIString(kind, "storage") == 0) ||
                       (PyBytes_Check(kind) && !strcmp(PyBytes_AS_STRING(kind), "storage"));
        if (!storage) {
            refuse("Only persistent_load of storage is allowed, but got %S",
                   (PyObject *)Py_TYPE(kind));
            Py_DECREF(id);
            return -1;
        }
    }
    PyObject *loaded = PyObject_CallOneArg(m->persistent_load, id);
    Py_DECREF(id);
    return push_take(m, loaded);
}

static int
load_proto(machine *m)
{
    size_t protocol;
    if (take_number(m, 1, &protocol))
        return -1;
    if (protocol == 2)
        return 0;
    return PyErr_WarnFormat(
        PyExc_UserWarning, 3,
        "Detected pickle protocol %zu in the checkpoint, which was not the default pickle "
        "protocol used by `torch.load` (2). The weights_only Unpickler might not support all "
        "instructions implemented by this protocol, please file an issue for adding support if "
        "you encounter this.",
        protocol);
}

/* ---- the loop ---- */

/* One opcode other than STOP. */
static int
execute(machine *m, uint8_t op)
{
    size_t number;
    switch (op) {
    case 'c': return load_global(m);
    case 'h': return take_number(m, 1, &number) ? -1 : memo_get(m, number);
    case 'j': return take_number(m, 4, &number) ? -1 : memo_get(m, number);
    case 'q': return take_number(m, 1, &number) ? -1 : memo_put(m, number);
    case 'r': return take_number(m, 4, &number) ? -1 : memo_put(m, number);
    case '(': return push_mark(m);
    case 't': return load_marked_tuple(m);
    case ')': return push_take(m, PyTuple_New(0));
    case 0x85: return load_tuple(m, 1);
    case 0x86: return load_tuple(m, 2);
    case 0x87: return load_tuple(m, 3);
    case 'N': return push_take(m, Py_NewRef(Py_None));
    case 0x88: return push_take(m, Py_NewRef(Py_True));
    case 0x89: return push_take(m, Py_NewRef(Py_False));
    case 'K': return take_number(m, 1, &number) ? -1 : push_take(m, PyLong_FromSize_t(number));
    case 'M': return take_number(m, 2, &number) ? -1 : push_take(m, PyLong_FromSize_t(number));
    case 'J':
        return take_number(m, 4, &number)
                   ? -1
                   : push_take(m, PyLong_FromLong((int32_t)(uint32_t)number));
    case 0x8A: return push_take(m, load_long1(m));
    case 'G': return push_take(m, load_float(m));
    case 'X': return push_take(m, load_unicode(m));
    case 'U': return push_take(m, load_short_string(m));
    case ']': return push_take(m, PyList_New(0));
    case '}': return push_take(m, PyDict_New());
    case 0x8F: return push_take(m, PySet_New(NULL));
    case 'a': return load_items(m, false, false);
    case 'e': return load_items(m, true, false);
    case 's': return load_items(m, false, true);
    case 'u': return load_items(m, true, true);
    case 'R': return load_reduce(m);
    case 0x81: return load_newobj(m);
    case 'b': return load_build(m);
    case 'Q': return load_persistent(m);
    case 0x80: return load_proto(m);
    default: unpickling_error("Unsupported operand %d", op); return -1;
    }
}

static PyObject *
run(machine *m)
{
    while (m->at < m->n) {
        uint8_t op = m->data[m->at++];
        if (op == '.')
            return pop(m);
        if (execute(m, op))
            return NULL;
    }
    ends_early();
    return NULL;
}

static void
machine_clear(machine *m)
{
    drop_to(m, 0);
    for (size_t i = 0; i < m->memo_cap; i++)
        Py_XDECREF(m->memo[i]);
    for (size_t i = 0; i < m->num_trusted; i++)
        Py_DECREF(m->trusted[i]);
    PyMem_Free(m->stack);
    PyMem_Free(m->marks);
    PyMem_Free(m->memo);
    PyMem_Free(m->trusted);
    Py_XDECREF(m->counter_type);
}

/* ---- Python functions ---- */

/* A window on bytes from `start` on. */
static int
open_window(PyObject *bytes, Py_ssize_t start, Py_buffer *view, const uint8_t **data, size_t *n)
{
    if (PyObject_GetBuffer(bytes, view, PyBUF_SIMPLE))
        return -1;
    if (start < 0 || start > view->len) {
        PyErr_Format(PyExc_ValueError, "start %zd is outside of the %zd bytes given", start,
                     view->len);
        PyBuffer_Release(view);
        return -1;
    }
    *data = (const uint8_t *)view->buf + start;
    *n = (size_t)(view->len - start);
    return 0;
}

static PyObject *
unpickle(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bytes, *result = NULL, *collections;
    Py_ssize_t start;
    Py_buffer view;
    machine m = {.encoding = "utf-8"};
    if (!PyArg_ParseTuple(args, "OnOOO|s:_unpickle", &bytes, &start, &m.find_global,
                          &m.persistent_load, &m.build, &m.encoding) ||
        open_window(bytes, start, &view, &m.data, &m.n))
        return NULL;
    collections = PyImport_ImportModule("collections");
    m.counter_type = collections ? PyObject_GetAttrString(collections, "Counter") : NULL;
    Py_XDECREF(collections);
    if (m.counter_type)
        result = run(&m);
    Py_ssize_t end = start + (Py_ssize_t)m.at;
    machine_clear(&m);
    PyBuffer_Release(&view);
    return result ? Py_BuildValue("(Nn)", result, end) : NULL;
}

static PyObject *
pickle_length(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bytes;
    Py_ssize_t start = 0;
    Py_buffer view;
    const uint8_t *data;
    size_t n;
    if (!PyArg_ParseTuple(args, "O|n:_pickle_length", &bytes, &start) ||
        open_window(bytes, start, &view, &data, &n))
        return NULL;
    int64_t length = mt_pickle_length(data, n);
    PyBuffer_Release(&view);
    return length < 0 ? mtpy_raise() : PyLong_FromLongLong(length);
}

static int
add_global(void *list, const char *module, size_t module_len, const char *name, size_t name_len)
{
    PyObject *pair = Py_BuildValue("(s#s#)", module, (Py_ssize_t)module_len, name,
                                   (Py_ssize_t)name_len);
    int rc = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    return rc ? mtpy_keep_exception() : 0;
}

static PyObject *
pickle_globals(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bytes, *out;
    Py_ssize_t start = 0;
    Py_buffer view;
    const uint8_t *data;
    size_t n;
    if (!PyArg_ParseTuple(args, "O|n:_pickle_globals", &bytes, &start) ||
        open_window(bytes, start, &view, &data, &n))
        return NULL;
    out = PyList_New(0);
    if (out && mt_pickle_globals(data, n, add_global, out)) {
        Py_CLEAR(out);
        mtpy_raise();
    }
    PyBuffer_Release(&view);
    return out;
}

static PyObject *
pickle_rename(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bytes, *out = NULL;
    const char *from, *to;
    Py_buffer view;
    const uint8_t *data;
    size_t n, out_n;
    if (!PyArg_ParseTuple(args, "Oss:_pickle_rename", &bytes, &from, &to) ||
        open_window(bytes, 0, &view, &data, &n))
        return NULL;
    uint8_t *renamed = mt_pickle_rename(data, n, from, to, &out_n);
    PyBuffer_Release(&view);
    if (!renamed)
        return mtpy_raise();
    out = PyBytes_FromStringAndSize((char *)renamed, (Py_ssize_t)out_n);
    free(renamed);
    return out;
}

static PyMethodDef functions[] = {
    {"_unpickle", unpickle, METH_VARARGS,
     "_unpickle(data, start, find_global, persistent_load, build, encoding='utf-8')\n--\n\n"
     "Runs the pickle at data[start] under restrictions; returns the object and where it ends."},
    {"_pickle_length", pickle_length, METH_VARARGS,
     "_pickle_length(data, start=0)\n--\n\nThe length of the pickle at data[start], 0 when data "
     "ends before it does."},
    {"_pickle_globals", pickle_globals, METH_VARARGS,
     "_pickle_globals(data, start=0)\n--\n\nThe (module, name) pairs that a pickle names."},
    {"_pickle_rename", pickle_rename, METH_VARARGS,
     "_pickle_rename(data, old, new)\n--\n\nThe pickle with globals of module `old` and below "
     "named in `new`."},
    {NULL, NULL, 0, NULL},
};

int
mtpy_add_unpickle(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
