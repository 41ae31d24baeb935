/* The module `_profiler`: sessions, and events read from their results.
 *
 * Results stay in C. An Event is an index with attributes computed on access (the Python class
 * FunctionEvent derives from it), so a million events cost a million small objects and nothing
 * else. The objects of one list form a family: it finds the object of an index again, so
 * `e.cpu_parent is events[0]` holds, without the events owning each other. */
#include "python/profiler.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static PyTypeObject *session_type, *event_type, *column_type;

typedef struct session {
    PyObject_HEAD mt_prof_session *session;
    mtpy_stacks *stacks;
    PyObject *keywords;                /* list of dicts; NULL without shapes */
    int32_t *first_child, *next_child; /* made on first use; merged events are skipped */
} session;

static const mt_prof_results *
results_of(session *self)
{
    const mt_prof_results *r = mt_prof_session_results(self->session);
    if (!r)
        mtpy_raise();
    return r;
}

/* Texts of the recorder are UTF-8 as Python gave it, surrogates included. */
static PyObject *
to_str(const char *text, size_t length)
{
    PyObject *s = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "surrogatepass");
    if (s)
        return s;
    PyErr_Clear();
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
}

/* ------------------------------------------------------------------ session: control */

static void
let_go(session *self)
{
    mtpy_stacks_use(NULL);
    if (mtpy_profiler_keywords == self->keywords)
        mtpy_profiler_keywords = NULL;
}

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned flags;
    PyTypeObject *type = session_type;
    if (!PyArg_ParseTuple(args, "I|O!", &flags, &PyType_Type, &type))
        return NULL;
    if (!PyType_IsSubtype(type, session_type)) {
        PyErr_SetString(PyExc_TypeError, "start() wants a class that derives from Session");
        return NULL;
    }
    session *self = (session *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    if (flags & MT_PROF_STACKS && !(self->stacks = mtpy_stacks_new()))
        goto failed;
    if (flags & MT_PROF_SHAPES && !(self->keywords = PyList_New(0)))
        goto failed;
    if (!(self->session = mt_prof_session_start(flags))) {
        mtpy_raise();
        goto failed;
    }
    mtpy_stacks_use(self->stacks);
    mtpy_profiler_keywords = self->keywords;
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static PyObject *
session_stop(session *self, PyObject *Py_UNUSED(unused))
{
    mt_prof_session_stop(self->session);
    let_go(self);
    Py_RETURN_NONE;
}

static PyObject *
session_pause(session *self, PyObject *arg)
{
    int paused = PyObject_IsTrue(arg);
    if (paused < 0)
        return NULL;
    mt_prof_session_pause(self->session, paused);
    Py_RETURN_NONE;
}

static PyObject *
session_step(session *self, PyObject *arg)
{
    long long step = PyLong_AsLongLong(arg);
    if (step == -1 && PyErr_Occurred())
        return NULL;
    if (mt_prof_session_step(self->session, step))
        return mtpy_raise();
    Py_RETURN_NONE;
}

/* Only start() makes sessions: an object without one would be of no use. */
static PyObject *
session_new(PyTypeObject *Py_UNUSED(type), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyErr_SetString(PyExc_TypeError, "sessions are made by start()");
    return NULL;
}

static int
session_traverse(session *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->keywords);
    return mtpy_stacks_traverse(self->stacks, visit, arg);
}

static int
session_clear(session *self)
{
    if (self->keywords && mtpy_profiler_keywords == self->keywords)
        mtpy_profiler_keywords = NULL;
    Py_CLEAR(self->keywords);
    return 0;
}

static void
session_dealloc(session *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->session)
        mt_prof_session_free(self->session);
    mtpy_stacks_free(self->stacks);
    session_clear(self);
    PyMem_Free(self->first_child);
    PyMem_Free(self->next_child);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ------------------------------------------------------------------ session: results */

static PyObject *
info_threads(const mt_prof_results *r)
{
    PyObject *list = PyList_New(r->nthreads);
    for (uint32_t t = 0; list && t < r->nthreads; t++) {
        const mt_prof_thread_info *i = &r->threads[t];
        PyObject *name = PyUnicode_DecodeUTF8(i->name, (Py_ssize_t)strlen(i->name), "replace");
        PyObject *item = name ? Py_BuildValue("(IiN)", i->number, i->tid, name) : NULL;
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, t, item);
    }
    return list;
}

static PyObject *
info_steps(const mt_prof_results *r)
{
    PyObject *list = PyList_New((Py_ssize_t)r->nsteps);
    for (int64_t i = 0; list && i < r->nsteps; i++) {
        PyObject *item = Py_BuildValue("(LL)", (long long)r->steps[i].time,
                                       (long long)r->steps[i].step);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

static PyObject *
session_info(session *self, PyObject *Py_UNUSED(unused))
{
    const mt_prof_results *r = results_of(self);
    if (!r)
        return NULL;
    PyObject *threads = info_threads(r), *steps = info_steps(r);
    if (!threads || !steps) {
        Py_XDECREF(threads);
        Py_XDECREF(steps);
        return NULL;
    }
    return Py_BuildValue(
        "{s:L,s:L,s:L,s:L,s:L,s:L,s:K,s:K,s:I,s:i,s:O,s:N,s:N}", "nevents", (long long)r->nevents,
        "nkernels", (long long)r->nkernels, "nallocs", (long long)r->nallocs, "duration",
        (long long)r->duration, "start_unix", (long long)r->start_unix, "start_clock",
        (long long)r->start_clock, "allocated", (unsigned long long)r->allocated, "dropped",
        (unsigned long long)r->dropped, "flags", r->flags, "pid", r->pid, "counter",
        r->counter ? Py_True : Py_False, "threads", threads, "steps", steps);
}

static PyObject *
session_names(session *self, PyObject *Py_UNUSED(unused))
{
    const mt_prof_results *r = results_of(self);
    PyObject *list = r ? PyList_New(r->nlabels) : NULL;
    for (uint32_t i = 0; list && i < r->nlabels; i++) {
        PyObject *name = to_str(r->labels[i].text, r->labels[i].length);
        PyObject *overload = name ? PyUnicode_FromString(r->labels[i].overload) : NULL;
        PyObject *item = overload ? PyTuple_Pack(2, name, overload) : NULL;
        Py_XDECREF(name);
        Py_XDECREF(overload);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

static const mt_prof_event *
event_at(session *self, PyObject *index, int64_t *at)
{
    const mt_prof_results *r = results_of(self);
    long long i = r ? PyLong_AsLongLong(index) : -1;
    if (!r || (i == -1 && PyErr_Occurred()))
        return NULL;
    if (i < 0 || i >= r->nevents) {
        PyErr_SetString(PyExc_IndexError, "event index out of range");
        return NULL;
    }
    *at = i;
    return &r->events[i];
}

/* The event that tables show as the parent: merged ones stand for theirs. */
static int32_t
shown_parent(const mt_prof_results *r, int32_t i)
{
    int32_t p = r->events[i].parent;
    while (p >= 0 && r->events[p].flags & MT_PROF_F_MERGED)
        p = r->events[p].parent;
    return p;
}

/* ORDER EVENT FIELDS: profiler_util.py reads this tuple by position. */
static PyObject *
session_event(session *self, PyObject *index)
{
    int64_t i;
    const mt_prof_event *e = event_at(self, index, &i);
    if (!e)
        return NULL;
    const mt_prof_results *r = results_of(self);
    const mt_prof_thread_info *t = &r->threads[e->thread];
    return Py_BuildValue("(ILLLLLLIiIiiiLLIL)", e->name, (long long)e->begin, (long long)e->end,
                         (long long)e->kernel_begin, (long long)e->kernel_end, (long long)e->self,
                         (long long)e->sequence, t->number, t->tid, e->forward_thread, (int)e->kind,
                         (int)e->flags, e->forward, (long long)(r->memory ? r->memory[i] : 0),
                         (long long)(r->memory ? r->memory[i + r->nevents] : 0), e->kernel_name,
                         (long long)mt_prof_flops(r, i));
}

/* ---- inputs ---- */

static PyObject *
int_list(const uint64_t *values, uint32_t n)
{
    PyObject *list = PyList_New(n);
    for (uint32_t i = 0; list && i < n; i++) {
        PyObject *item = PyLong_FromLongLong((long long)values[i]);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

static PyObject *
geometry(const mt_prof_side *side, const mt_prof_input *in, bool strides)
{
    if (in->kind != MT_PROF_IN_TENSORS)
        return int_list(in->payload + (strides ? in->ndim : 0), in->ndim);
    uint32_t at = (uint32_t)(in->payload - side->words);
    PyObject *list = PyList_New(in->count);
    for (uint32_t k = 0; list && k < in->count; k++) {
        mt_prof_input t = mt_prof_input_next(side->words, &at);
        PyObject *item = int_list(t.payload + (strides ? t.ndim : 0), t.ndim);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, k, item);
    }
    return list;
}

static PyObject *
number(unsigned kind, const uint64_t *bits)
{
    double d[2];
    switch (kind) {
    case MT_PROF_IN_BOOL:
    case MT_PROF_IN_BOOLS: return PyBool_FromLong(*bits != 0);
    case MT_PROF_IN_INT:
    case MT_PROF_IN_INTS: return PyLong_FromLongLong((long long)*bits);
    case MT_PROF_IN_COMPLEX: memcpy(d, bits, sizeof d); return PyComplex_FromDoubles(d[0], d[1]);
    default: memcpy(d, bits, sizeof *d); return PyFloat_FromDouble(d[0]);
    }
}

static PyObject *
concrete(const mt_prof_input *in)
{
    if (in->kind <= MT_PROF_IN_TENSORS)
        Py_RETURN_NONE;
    if (in->kind < MT_PROF_IN_BOOLS)
        return number(in->kind, in->payload);
    PyObject *list = PyList_New(in->count);
    for (uint32_t i = 0; list && i < in->count; i++) {
        PyObject *item = number(in->kind, in->payload + i);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, item);
    }
    return list;
}

/* inputs(i) -> None or (dims, strides, types, values, texts), lists parallel to the arguments. */
static PyObject *
session_inputs(session *self, PyObject *index)
{
    int64_t i;
    const mt_prof_event *e = event_at(self, index, &i);
    if (!e)
        return NULL;
    if (!e->side || !e->side->count)
        Py_RETURN_NONE;
    uint32_t n = e->side->count, at = 0;
    PyObject *lists[5] = {0}, *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!(lists[k] = PyList_New(n)))
            goto done;
    for (uint32_t k = 0; k < n; k++) {
        char text[MT_PROF_TEXT_LIMIT];
        mt_prof_input in = mt_prof_input_next(e->side->words, &at);
        PyObject *items[5] = {
            geometry(e->side, &in, false), geometry(e->side, &in, true),
            PyUnicode_FromString(mt_prof_input_type(&in)), concrete(&in),
            PyUnicode_FromStringAndSize(text, (Py_ssize_t)mt_prof_input_text(&in, text))};
        bool failed = false;
        for (int j = 0; j < 5; j++) {
            failed |= !items[j];
            PyList_SET_ITEM(lists[j], k, items[j] ? items[j] : Py_NewRef(Py_None));
        }
        if (failed)
            goto done;
    }
    result = PyTuple_Pack(5, lists[0], lists[1], lists[2], lists[3], lists[4]);
done:
    for (int k = 0; k < 5; k++)
        Py_XDECREF(lists[k]);
    return result;
}

static PyObject *
session_keywords(session *self, PyObject *index)
{
    int64_t i;
    const mt_prof_event *e = event_at(self, index, &i);
    if (!e)
        return NULL;
    uint32_t id = e->side ? e->side->keywords : 0;
    if (!id || !self->keywords || id > PyList_GET_SIZE(self->keywords))
        return PyDict_New();
    return PyDict_Copy(PyList_GET_ITEM(self->keywords, id - 1));
}

/* all_keywords() -> the list that ids 1, 2... index */
static PyObject *
session_all_keywords(session *self, PyObject *Py_UNUSED(unused))
{
    return self->keywords ? PyList_GetSlice(self->keywords, 0, PY_SSIZE_T_MAX) : PyList_New(0);
}

static PyObject *
session_stack(session *self, PyObject *index)
{
    int64_t i;
    if (!event_at(self, index, &i))
        return NULL;
    return PyLong_FromUnsignedLong(mt_prof_event_stack(results_of(self), i));
}

static PyObject *
session_frames(session *self, PyObject *arg)
{
    unsigned long id = PyLong_AsUnsignedLong(arg);
    if (id == (unsigned long)-1 && PyErr_Occurred())
        return NULL;
    return mtpy_stacks_frames(self->stacks, id > UINT32_MAX ? 0 : (uint32_t)id);
}

static PyObject *
session_nstacks(session *self, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLong(mtpy_stacks_count(self->stacks));
}

/* allocs() -> [(time, address, bytes, allocated, event, thread number)] */
static PyObject *
session_allocs(session *self, PyObject *Py_UNUSED(unused))
{
    const mt_prof_results *r = results_of(self);
    PyObject *list = r ? PyList_New((Py_ssize_t)r->nallocs) : NULL;
    for (int64_t i = 0; list && i < r->nallocs; i++) {
        const mt_prof_alloc *a = &r->allocs[i];
        PyObject *item = Py_BuildValue(
            "(LKLKiI)", (long long)a->time, (unsigned long long)a->address, (long long)a->bytes,
            (unsigned long long)a->allocated, a->event, r->threads[a->thread].number);
        if (!item) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

/* kernels(i) -> [(begin, end, name)] of an event, in order. */
static PyObject *
session_kernels(session *self, PyObject *index)
{
    int64_t i;
    const mt_prof_event *e = event_at(self, index, &i);
    PyObject *list = e ? PyList_New(0) : NULL;
    if (!list)
        return NULL;
    const mt_prof_results *r = results_of(self);
    int64_t low = 0, high = r->nkernels;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (r->kernels[middle].event < i)
            low = middle + 1;
        else
            high = middle;
    }
    for (int64_t k = low - 1; k < r->nkernels; k++) {
        bool own = k < low; /* the event's own comes first */
        if (own && e->kernel_begin < 0)
            continue;
        if (!own && r->kernels[k].event != i)
            break;
        PyObject *item = own ? Py_BuildValue("(LLI)", (long long)e->kernel_begin,
                                             (long long)e->kernel_end, e->kernel_name)
                             : Py_BuildValue("(LLI)", (long long)r->kernels[k].begin,
                                             (long long)r->kernels[k].end, r->kernels[k].name);
        int failed = item ? PyList_Append(list, item) : -1;
        Py_XDECREF(item);
        if (failed) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

/* allocated_at(ns) -> bytes allocated in the process at a time of the session. */
static PyObject *
session_allocated_at(session *self, PyObject *arg)
{
    const mt_prof_results *r = results_of(self);
    long long time = r ? PyLong_AsLongLong(arg) : -1;
    if (!r || (time == -1 && PyErr_Occurred()))
        return NULL;
    return PyLong_FromUnsignedLongLong(mt_prof_allocated_at(r, time));
}

/* averages(by, classes) -> [(count, total, self, memory, self memory, kernels, kernel total, flops,
 * first event, is_async)]; classes: None or bytes of one uint32 per stack id. */
static PyObject *
session_averages(session *self, PyObject *args)
{
    unsigned by;
    Py_buffer classes = {0};
    mt_prof_row *rows = NULL;
    int64_t n = 0;
    PyObject *list = NULL;
    if (!PyArg_ParseTuple(args, "Iz*", &by, &classes))
        return NULL;
    const mt_prof_results *r = results_of(self);
    if (!r)
        goto done;
    if (mt_prof_average(r, by, classes.buf, (uint32_t)(classes.len / 4), &rows, &n)) {
        mtpy_raise();
        goto done;
    }
    list = PyList_New((Py_ssize_t)n);
    for (int64_t i = 0; list && i < n; i++) {
        const mt_prof_row *row = &rows[i];
        PyObject *item = Py_BuildValue("(LLLLLLLLiO)", (long long)row->count, (long long)row->total,
                                       (long long)row->self, (long long)row->memory,
                                       (long long)row->self_memory, (long long)row->kernels,
                                       (long long)row->kernel_total, (long long)row->flops,
                                       row->first, row->is_async ? Py_True : Py_False);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
done:
    free(rows);
    PyBuffer_Release(&classes);
    return list;
}

/* ------------------------------------------------------------------ columns */

/* One field of all events, as a buffer with a stride: array access without copies. */
typedef struct column {
    PyObject_HEAD session *owner;
    char *data;
    Py_ssize_t shape, stride, itemsize;
    char format[2];
} column;

static const struct {
    const char *name;
    size_t offset;
    char format;
    uint8_t size;
} columns[] = {
#define COLUMN(field, format)                                                                      \
    {                                                                                              \
#field, offsetof(mt_prof_event, field), format, sizeof((mt_prof_event *)0)->field          \
    }
    COLUMN(begin, 'q'),      COLUMN(end, 'q'),         COLUMN(kernel_begin, 'q'),
    COLUMN(kernel_end, 'q'), COLUMN(self, 'q'),        COLUMN(sequence, 'q'),
    COLUMN(name, 'I'),       COLUMN(kernel_name, 'I'), COLUMN(forward_thread, 'I'),
    COLUMN(parent, 'i'),     COLUMN(forward, 'i'),     COLUMN(thread, 'H'),
    COLUMN(kind, 'B'),       COLUMN(flags, 'B'),
#undef COLUMN
};

static int
column_buffer(column *self, Py_buffer *view, int flags)
{
    if (flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError, "the profiler's columns are read-only");
        return -1;
    }
    if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
        PyErr_SetString(PyExc_BufferError, "the profiler's columns are strided");
        return -1;
    }
    *view = (Py_buffer){.buf = self->data,
                        .obj = Py_NewRef((PyObject *)self),
                        .len = self->shape * self->itemsize,
                        .itemsize = self->itemsize,
                        .readonly = 1,
                        .ndim = 1,
                        .format = flags & PyBUF_FORMAT ? self->format : NULL,
                        .shape = &self->shape,
                        .strides = &self->stride};
    return 0;
}

static void
column_dealloc(column *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
session_column(session *self, PyObject *arg)
{
    const mt_prof_results *r = results_of(self);
    const char *name = r ? PyUnicode_AsUTF8(arg) : NULL;
    if (!name)
        return NULL;
    for (size_t i = 0; i < MT_COUNT(columns); i++) {
        if (strcmp(columns[i].name, name))
            continue;
        column *c = (column *)column_type->tp_alloc(column_type, 0);
        if (!c)
            return NULL;
        c->owner = (session *)Py_NewRef((PyObject *)self);
        c->data = (char *)r->events + columns[i].offset;
        c->shape = (Py_ssize_t)r->nevents;
        c->stride = sizeof(mt_prof_event);
        c->itemsize = columns[i].size;
        c->format[0] = columns[i].format;
        PyObject *view = PyMemoryView_FromObject((PyObject *)c);
        Py_DECREF(c);
        return view;
    }
    PyErr_Format(PyExc_KeyError, "no column is named '%s'", name);
    return NULL;
}

/* ------------------------------------------------------------------ export */

typedef struct export
{
    int fd;                              /* or -1 and: */
    PyObject *write;                     /* called with bytes */
    PyObject *stacks, *lists, *keywords; /* texts by id, or NULL */
    int error;                           /* errno of a failed write */
}
export;

static int
sink(void *context, const char *text, size_t length)
{
    export *x = context;
    if (x->write) {
        PyObject *bytes = PyBytes_FromStringAndSize(text, (Py_ssize_t)length);
        PyObject *done = bytes ? PyObject_CallOneArg(x->write, bytes) : NULL;
        Py_XDECREF(bytes);
        Py_XDECREF(done);
        return done ? 0 : mt_fail(MT_HOST, "writing the trace failed");
    }
    while (length) {
        ssize_t n = write(x->fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            x->error = errno;
            return -1;
        }
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

static const char *
text_at(PyObject *list, uint32_t id)
{
    if (!list || id > PyList_GET_SIZE(list) || !id)
        return NULL;
    const char *text = PyUnicode_AsUTF8(PyList_GET_ITEM(list, id - 1));
    if (!text)
        PyErr_Clear();
    return text;
}

static const char *
stack_text(void *context, uint32_t id, bool as_list)
{
    export *x = context;
    return text_at(as_list ? x->lists : x->stacks, id);
}

static const char *
keywords_text(void *context, uint32_t id)
{
    return text_at(((export *)context)->keywords, id);
}

/* export(target, head, tail, runtime_events, flow_name, stacks, stack_lists, keywords)
 *
 * target: a file descriptor, or a function that takes bytes. The last three are lists of JSON texts
 * by id, or None. */
static PyObject *
session_export(session *self, PyObject *args)
{
    PyObject *target, *stacks, *lists, *keywords;
    int runtime_events;
    export x = {.fd = -1};
    mt_prof_trace_options o = {.context = &x};
    if (!PyArg_ParseTuple(args, "OsspsOOO", &target, &o.head, &o.tail, &runtime_events,
                          &o.flow_name, &stacks, &lists, &keywords))
        return NULL;
    o.runtime_events = runtime_events;
    const mt_prof_results *r = results_of(self);
    if (!r)
        return NULL;
    x.stacks = PyList_Check(stacks) ? stacks : NULL;
    x.lists = PyList_Check(lists) ? lists : NULL;
    x.keywords = PyList_Check(keywords) ? keywords : NULL;
    o.stack_json = x.stacks || x.lists ? stack_text : NULL;
    o.keywords_json = x.keywords ? keywords_text : NULL;
    if (PyLong_Check(target)) {
        x.fd = (int)PyLong_AsLong(target);
        if (x.fd == -1 && PyErr_Occurred())
            return NULL;
    } else {
        x.write = target;
    }
    int result;
    if (x.write || o.stack_json || o.keywords_json) {
        result = mt_prof_export_trace(r, &o, sink, &x);
    } else {
        Py_INCREF(self); /* somebody may drop the session meanwhile */
        Py_BEGIN_ALLOW_THREADS result = mt_prof_export_trace(r, &o, sink, &x);
        Py_END_ALLOW_THREADS Py_DECREF(self);
    }
    if (!result)
        Py_RETURN_NONE;
    if (x.error) {
        errno = x.error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyErr_Occurred() ? NULL : mtpy_raise();
}

/* ------------------------------------------------------------------ events */

typedef struct event event;

/* The objects of one list. */
typedef struct family {
    Py_ssize_t refcount;
    session *owner;
    PyTypeObject *type; /* of its events */
    event **members;    /* borrowed, by index; NULL = not made or gone */
} family;

struct event {
    PyObject_HEAD family *family; /* NULL for events that Python code made up */
    PyObject *dict, *weakrefs;
    int32_t index;
};

static void
family_release(family *f)
{
    if (--f->refcount)
        return;
    Py_DECREF(f->owner);
    Py_DECREF(f->type);
    PyMem_Free(f->members);
    PyMem_Free(f);
}

static PyObject *
member_at(family *f, int32_t index)
{
    if (f->members[index])
        return Py_NewRef((PyObject *)f->members[index]);
    event *e = (event *)f->type->tp_alloc(f->type, 0);
    if (!e)
        return NULL;
    e->family = f;
    f->refcount++;
    e->index = index;
    f->members[index] = e;
    return (PyObject *)e;
}

/* events(cls) -> list of cls, which derives from Event; merged events are left out. */
static PyObject *
session_events(session *self, PyObject *cls)
{
    const mt_prof_results *r = results_of(self);
    if (!r)
        return NULL;
    if (!PyType_Check(cls) || !PyType_IsSubtype((PyTypeObject *)cls, event_type)) {
        PyErr_SetString(PyExc_TypeError, "events() wants a class that derives from Event");
        return NULL;
    }
    family *f = PyMem_Calloc(1, sizeof *f);
    int64_t shown = 0;
    PyObject *list = NULL;
    if (!f || !(f->members = PyMem_Calloc((size_t)r->nevents + 1, sizeof *f->members))) {
        PyMem_Free(f);
        return PyErr_NoMemory();
    }
    f->refcount = 1;
    f->owner = (session *)Py_NewRef((PyObject *)self);
    f->type = (PyTypeObject *)Py_NewRef(cls);
    for (int64_t i = 0; i < r->nevents; i++)
        shown += !(r->events[i].flags & MT_PROF_F_MERGED);
    if (!(list = PyList_New((Py_ssize_t)shown)))
        goto done;
    for (int64_t i = 0, at = 0; i < r->nevents; i++) {
        if (r->events[i].flags & MT_PROF_F_MERGED)
            continue;
        PyObject *e = member_at(f, (int32_t)i);
        if (!e) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)at++, e);
    }
done:
    family_release(f);
    return list;
}

static int
make_children(session *self, const mt_prof_results *r)
{
    size_t bytes = ((size_t)r->nevents + 1) * sizeof(int32_t);
    if (self->first_child)
        return 0;
    int32_t *first = PyMem_Malloc(bytes), *next = PyMem_Malloc(bytes);
    if (!first || !next) {
        PyMem_Free(first);
        PyMem_Free(next);
        PyErr_NoMemory();
        return -1;
    }
    memset(first, 0xFF, bytes);
    memset(next, 0xFF, bytes);
    for (int64_t i = r->nevents; i-- > 0;) { /* backwards: lists come out in order */
        int32_t p = r->events[i].flags & MT_PROF_F_MERGED ? -1 : shown_parent(r, (int32_t)i);
        if (p >= 0) {
            next[i] = first[p];
            first[p] = (int32_t)i;
        }
    }
    self->first_child = first;
    self->next_child = next;
    return 0;
}

/* The family, or NULL with an exception for events that were not recorded. */
static family *
family_of(event *self)
{
    if (!self->family)
        PyErr_SetString(PyExc_AttributeError, "this event was not recorded");
    return self->family;
}

static PyObject *
event_children(event *self, PyObject *Py_UNUSED(unused))
{
    family *f = family_of(self);
    const mt_prof_results *r = f ? results_of(f->owner) : NULL;
    PyObject *list = r && !make_children(f->owner, r) ? PyList_New(0) : NULL;
    if (!list)
        return NULL;
    for (int32_t k = f->owner->first_child[self->index]; k >= 0; k = f->owner->next_child[k]) {
        PyObject *child = member_at(f, k);
        int failed = child ? PyList_Append(list, child) : -1;
        Py_XDECREF(child);
        if (failed) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *
event_parent(event *self, PyObject *Py_UNUSED(unused))
{
    family *f = family_of(self);
    const mt_prof_results *r = f ? results_of(f->owner) : NULL;
    if (!r)
        return NULL;
    int32_t p = shown_parent(r, self->index);
    if (p < 0)
        Py_RETURN_NONE;
    return member_at(f, p);
}

static PyObject *
event_get_session(event *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->family ? (PyObject *)self->family->owner : Py_None);
}

static PyObject *
event_get_index(event *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(self->family ? self->index : -1);
}

static int
event_traverse(event *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->dict);
    return 0;
}

static int
event_clear(event *self)
{
    Py_CLEAR(self->dict);
    return 0;
}

static void
event_dealloc(event *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs)
        PyObject_ClearWeakRefs((PyObject *)self);
    Py_CLEAR(self->dict);
    if (self->family) {
        self->family->members[self->index] = NULL;
        family_release(self->family);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* ------------------------------------------------------------------ types and module */

static PyMethodDef session_methods[] = {
    {"stop", (PyCFunction)session_stop, METH_NOARGS, "Ends the recording; again is allowed."},
    {"pause", (PyCFunction)session_pause, METH_O, "pause(True) suspends, pause(False) resumes."},
    {"step", (PyCFunction)session_step, METH_O, "Events from now on belong to this step."},
    {"_info", (PyCFunction)session_info, METH_NOARGS, "Counts, times (ns), threads and steps."},
    {"_names", (PyCFunction)session_names, METH_NOARGS, "(name, overload name) by name index."},
    {"event", (PyCFunction)session_event, METH_O, "The fields of one event."},
    {"_events", (PyCFunction)session_events, METH_O, "All events as objects of a class."},
    {"inputs", (PyCFunction)session_inputs, METH_O, "Dims, strides, types and values of an event."},
    {"keywords", (PyCFunction)session_keywords, METH_O, "Keyword inputs of an event, a dict."},
    {"all_keywords", (PyCFunction)session_all_keywords, METH_NOARGS, "Keyword inputs by id."},
    {"kernels", (PyCFunction)session_kernels, METH_O, "(begin, end, name) of an event's kernels."},
    {"stack", (PyCFunction)session_stack, METH_O, "The stack id of an event, 0 = none."},
    {"_frames", (PyCFunction)session_frames, METH_O, "(file, line, function), innermost first."},
    {"nstacks", (PyCFunction)session_nstacks, METH_NOARGS, "Stack ids are 1 .. nstacks()."},
    {"allocs", (PyCFunction)session_allocs, METH_NOARGS, "Blocks taken and given back."},
    {"allocated_at", (PyCFunction)session_allocated_at, METH_O, "Bytes allocated at a time (ns)."},
    {"_averages", (PyCFunction)session_averages, METH_VARARGS, "Events summed up by name."},
    {"column", (PyCFunction)session_column, METH_O, "One field of all events, a memoryview."},
    {"_export", (PyCFunction)session_export, METH_VARARGS, "Writes the Chrome trace."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_new, session_new},
    {Py_tp_dealloc, session_dealloc},
    {Py_tp_traverse, session_traverse},
    {Py_tp_clear, session_clear},
    {Py_tp_methods, session_methods},
    {Py_tp_doc, (void *)"What one recording holds; start() makes it, or a subclass of it."},
    {0, NULL},
};

static PyType_Spec session_spec = {
    .name = "mindtorch_v2._C._profiler.Session",
    .basicsize = sizeof(session),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = session_slots,
};

static PyMethodDef event_methods[] = {
    {"_children", (PyCFunction)event_children, METH_NOARGS, "Events directly inside this one."},
    {"_parent", (PyCFunction)event_parent, METH_NOARGS, "The enclosing event or None."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef event_getset[] = {
    {"_session", (getter)event_get_session, NULL, NULL, NULL},
    {"_index", (getter)event_get_index, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef event_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(event, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(event, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot event_slots[] = {
    {Py_tp_dealloc, event_dealloc},
    {Py_tp_traverse, event_traverse},
    {Py_tp_clear, event_clear},
    {Py_tp_methods, event_methods},
    {Py_tp_getset, event_getset},
    {Py_tp_members, event_members},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_doc, (void *)"An index into a session's events."},
    {0, NULL},
};

static PyType_Spec event_spec = {
    .name = "mindtorch_v2._C._profiler.Event",
    .basicsize = sizeof(event),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = event_slots,
};

static PyType_Slot column_slots[] = {
    {Py_tp_dealloc, column_dealloc},
    {Py_bf_getbuffer, column_buffer},
    {0, NULL},
};

static PyType_Spec column_spec = {
    .name = "mindtorch_v2._C._profiler.Column",
    .basicsize = sizeof(column),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = column_slots,
};

static PyObject *
prepare(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    mt_prof_prepare();
    Py_RETURN_NONE;
}

static PyObject *
recording(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(__atomic_load_n(&mt_prof_generation, __ATOMIC_RELAXED) != 0);
}

static PyObject *
thread_number(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLong(mt_prof_thread_number());
}

static PyMethodDef functions[] = {
    {"start", start, METH_VARARGS,
     "start(flags, cls=Session) -> cls; RuntimeError while one is recording."},
    {"prepare", prepare, METH_NOARGS, "Gets memory for the first events ready."},
    {"recording", recording, METH_NOARGS, "Whether a session is recording (or paused)."},
    {"thread_number", thread_number, METH_NOARGS, "The small number of this thread."},
    {NULL, NULL, 0, NULL},
};

/* What the module _C itself gets: asked by Python code that has scopes of its own. */
static PyMethodDef outer_functions[] = {
    {"_profiler_enabled", recording, METH_NOARGS, "Whether a profiler is recording."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "mindtorch_v2._C._profiler",
    .m_doc = "The recorder behind mindtorch_v2.profiler.",
    .m_size = -1,
    .m_methods = functions,
};

int
mtpy_add_profiler(PyObject *module)
{
    static const struct {
        const char *name;
        long value;
    } constants[] = {
        {"SHAPES", MT_PROF_SHAPES},
        {"MEMORY", MT_PROF_MEMORY},
        {"STACKS", MT_PROF_STACKS},
        {"BY_SHAPES", MT_PROF_BY_SHAPES},
        {"BY_OVERLOAD", MT_PROF_BY_OVERLOAD},
        {"OP", MT_PROF_E_OP},
        {"SCOPE", MT_PROF_E_SCOPE},
        {"EVALUATE", MT_PROF_E_EVALUATE},
        {"NODE", MT_PROF_E_NODE},
        {"ASYNC", MT_PROF_F_ASYNC},
        {"UNFINISHED", MT_PROF_F_UNFINISHED},
        {"MERGED", MT_PROF_F_MERGED},
        {"OVERLAP", MT_PROF_F_OVERLAP},
    };
    mt_prof_init();
    PyObject *self = PyModule_Create(&definition);
    if (!self)
        return -1;
    session_type = (PyTypeObject *)PyType_FromSpec(&session_spec);
    event_type = (PyTypeObject *)PyType_FromSpec(&event_spec);
    column_type = (PyTypeObject *)PyType_FromSpec(&column_spec);
    if (!session_type || !event_type || !column_type || mtpy_add_profiler_scopes(self) ||
        PyModule_AddObjectRef(self, "Session", (PyObject *)session_type) ||
        PyModule_AddObjectRef(self, "Event", (PyObject *)event_type))
        goto failed;
    for (size_t i = 0; i < MT_COUNT(constants); i++)
        if (PyModule_AddIntConstant(self, constants[i].name, constants[i].value))
            goto failed;
    if (PyModule_AddFunctions(module, outer_functions) ||
        PyModule_AddObjectRef(module, "_profiler", self))
        goto failed;
    Py_DECREF(self);
    return 0;
failed:
    Py_DECREF(self);
    return -1;
}
