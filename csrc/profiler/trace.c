/* The Chrome trace: PyTorch's layout, with kernels as slices of their own.
 *
 * Order: complete events and what hangs on them (X, i, s, f), then metadata (M). An operator is one
 * slice on its thread's track; each kernel it launched is a slice on the track "kernels of thread N"
 * and a flow leads from the operator to its first kernel. A track may only hold slices that nest, so
 * scopes that were left in the wrong order lie on a track of their own.
 *
 * The text is put together by hand in one buffer: times are integers throughout, and whatever is a
 * text of the user was made valid JSON before it came here. */
#include <stdio.h>
#include <stdlib.h>

#include "profiler/recorder.h"

#define BUFFER ((size_t)256 << 10)
/* Most bytes of one fixed-size step of the writer. */
#define STEP ((size_t)4096)

/* Tracks beside a thread's own: above any thread id of Linux (2^22) and within 32 bits, so that
 * viewers that keep an id in 32 bits can show them. */
#define KERNEL_TRACK (1 << 23)
#define OVERLAP_TRACK (1 << 24)

/* Times count from the last multiple of this period (a quarter of a year), as PyTorch's do: a
 * double then keeps nanoseconds. */
#define PERIOD (INT64_C(7889238) * 1000000000)

typedef struct writer {
    const mt_prof_results *r;
    const mt_prof_trace_options *options;
    mt_prof_sink sink;
    void *sink_context;
    char *at, *buffer;
    int failed;
    int64_t origin; /* added to times: from the session's start to PERIOD's last multiple */
    int64_t next_flow;
    int64_t step_at;
    int64_t kernel_at;
    bool comma;
    struct track {
        char text[64];
        size_t length;
        bool kernels, overlap;
    } * tracks; /* three a thread */
} writer;

/* ------------------------------------------------------------------ putting text */

static void
flush(writer *w)
{
    size_t n = (size_t)(w->at - w->buffer);
    if (n && !w->failed)
        w->failed = w->sink(w->sink_context, w->buffer, n);
    w->at = w->buffer;
}

/* Room for n <= STEP bytes. */
MT_INLINE void
room(writer *w, size_t n)
{
    if (MT_UNLIKELY((size_t)(w->buffer + BUFFER - w->at) < n))
        flush(w);
}

static void
put(writer *w, const char *text, size_t n)
{
    if (MT_UNLIKELY(n > STEP)) {
        flush(w);
        if (!w->failed)
            w->failed = w->sink(w->sink_context, text, n);
        return;
    }
    room(w, STEP);
    memcpy(w->at, text, n);
    w->at += n;
}

#define PUT(w, literal) put_short(w, "" literal, sizeof(literal) - 1)

/* n is known and small: the caller has made room. */
MT_INLINE void
put_short(writer *w, const char *text, size_t n)
{
    memcpy(w->at, text, n);
    w->at += n;
}

static const char digits[] = "00010203040506070809101112131415161718192021222324"
                             "25262728293031323334353637383940414243444546474849"
                             "50515253545556575859606162636465666768697071727374"
                             "75767778798081828384858687888990919293949596979899";

static char *
unsigned_at(char *at, uint64_t u)
{
    char text[20];
    char *p = text + sizeof text;
    while (u >= 100) {
        p -= 2;
        memcpy(p, digits + 2 * (u % 100), 2);
        u /= 100;
    }
    if (u >= 10) {
        p -= 2;
        memcpy(p, digits + 2 * u, 2);
    } else {
        *--p = (char)('0' + u);
    }
    size_t n = (size_t)(text + sizeof text - p);
    memcpy(at, p, n);
    return at + n;
}

MT_INLINE void
put_int(writer *w, int64_t i)
{
    if (i < 0)
        *w->at++ = '-';
    w->at = unsigned_at(w->at, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
}

/* Nanoseconds (not negative) as microseconds with three decimals. */
MT_INLINE void
put_time(writer *w, int64_t ns)
{
    unsigned rest = (unsigned)(ns % 1000);
    w->at = unsigned_at(w->at, (uint64_t)(ns / 1000));
    w->at[0] = '.';
    w->at[1] = (char)('0' + rest / 100);
    memcpy(w->at + 2, digits + 2 * (rest % 100), 2);
    w->at += 4;
}

/* "{", after a comma where one is due. */
MT_INLINE void
open_event(writer *w)
{
    room(w, STEP);
    if (w->comma)
        *w->at++ = ',';
    *w->at++ = '\n';
    w->comma = true;
}

MT_INLINE const struct track *
track_of(const writer *w, unsigned thread, unsigned which)
{
    return &w->tracks[3 * thread + which];
}

/* `,"pid":P,"tid":T,"ts":` and the time. */
MT_INLINE void
put_place(writer *w, const struct track *track, int64_t time)
{
    memcpy(w->at, track->text, sizeof track->text);
    w->at += track->length;
    put_time(w, w->origin + time);
}

/* ------------------------------------------------------------------ arguments of operators */

static void
put_dims(writer *w, const uint64_t *values, uint32_t n)
{
    room(w, STEP);
    *w->at++ = '[';
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            PUT(w, ",");
        put_int(w, (int64_t)values[i]);
    }
    *w->at++ = ']';
}

/* The dims or strides of the inputs, a list parallel to them. */
static void
put_geometry(writer *w, const mt_prof_side *side, bool strides)
{
    uint32_t at = 0;
    put(w, "[", 1);
    for (uint32_t i = 0; i < side->count; i++) {
        mt_prof_input in = mt_prof_input_next(side->words, &at);
        if (i)
            put(w, ",", 1);
        if (in.kind == MT_PROF_IN_TENSORS) {
            uint32_t item = (uint32_t)(in.payload - side->words);
            put(w, "[", 1);
            for (uint32_t k = 0; k < in.count; k++) {
                mt_prof_input t = mt_prof_input_next(side->words, &item);
                if (k)
                    put(w, ",", 1);
                put_dims(w, t.payload + (strides ? t.ndim : 0), t.ndim);
            }
            put(w, "]", 1);
        } else {
            put_dims(w, in.payload + (strides ? in.ndim : 0), in.ndim);
        }
    }
    put(w, "]", 1);
}

static void
put_types(writer *w, const mt_prof_side *side)
{
    uint32_t at = 0;
    put(w, "[", 1);
    for (uint32_t i = 0; i < side->count; i++) {
        mt_prof_input in = mt_prof_input_next(side->words, &at);
        const char *type = mt_prof_input_type(&in);
        put(w, i ? ",\"" : "\"", i ? 2 : 1);
        put(w, type, strlen(type));
        put(w, "\"", 1);
    }
    put(w, "]", 1);
}

static void
put_values(writer *w, const mt_prof_side *side)
{
    uint32_t at = 0;
    char text[MT_PROF_TEXT_LIMIT];
    put(w, "[", 1);
    for (uint32_t i = 0; i < side->count; i++) {
        mt_prof_input in = mt_prof_input_next(side->words, &at);
        put(w, i ? ",\"" : "\"", i ? 2 : 1);
        put(w, text, mt_prof_input_text(&in, text));
        put(w, "\"", 1);
    }
    put(w, "]", 1);
}

static void
put_inputs(writer *w, const mt_prof_side *side)
{
    put(w, ",\"Concrete Inputs\":", 19);
    put_values(w, side);
    put(w, ",\"Input type\":", 14);
    put_types(w, side);
    put(w, ",\"Input Strides\":", 17);
    put_geometry(w, side, true);
    put(w, ",\"Input Dims\":", 14);
    put_geometry(w, side, false);
    put(w, ",\"input_shapes\":", 16);
    put_geometry(w, side, false);
}

static void
put_memory(writer *w, const mt_prof_event *e)
{
    int64_t before = (int64_t)mt_prof_allocated_at(w->r, e->begin);
    int64_t after = (int64_t)mt_prof_allocated_at(w->r, e->end);
    room(w, STEP);
    PUT(w, ",\"cpu_memory_allocated_before\":");
    put_int(w, before);
    PUT(w, ",\"cpu_memory_allocated_after\":");
    put_int(w, after);
    PUT(w, ",\"cpu_memory_allocated_delta\":");
    put_int(w, after - before);
}

static void
put_stack(writer *w, int64_t event)
{
    const mt_prof_trace_options *o = w->options;
    uint32_t stack = mt_prof_event_stack(w->r, event);
    for (int as_list = 0; stack && o->stack_json && as_list < 2; as_list++) {
        const char *json = o->stack_json(o->context, stack, as_list);
        if (!json)
            continue;
        if (as_list)
            put(w, ",\"stack\":", 9);
        else
            put(w, ",\"Call stack\":", 14);
        put(w, json, strlen(json));
    }
}

static void
put_keywords(writer *w, uint32_t keywords)
{
    const mt_prof_trace_options *o = w->options;
    const char *json = o->keywords_json ? o->keywords_json(o->context, keywords) : NULL;
    if (json)
        put(w, json, strlen(json));
}

/* ------------------------------------------------------------------ events */

static void
put_flow(writer *w, char phase, const struct track *track, int64_t time, int64_t id,
         const char *category)
{
    size_t n = MT_MIN(strlen(category), (size_t)64);
    open_event(w);
    PUT(w, "{\"ph\":\"");
    *w->at++ = phase;
    PUT(w, "\",\"id\":");
    put_int(w, id);
    put_place(w, track, time);
    PUT(w, ",\"cat\":\"");
    put_short(w, category, n);
    PUT(w, "\",\"name\":\"");
    put_short(w, category, n);
    *w->at++ = '"';
    if (phase == 'f')
        PUT(w, ",\"bp\":\"e\"");
}

static void
put_kernel(writer *w, const mt_prof_event *e, int64_t event, int64_t begin, int64_t end,
           uint32_t name)
{
    const mt_prof_label *op = &w->r->labels[e->name], *label = &w->r->labels[name];
    open_event(w);
    PUT(w, "{\"ph\":\"X\",\"cat\":\"runtime\",\"name\":");
    if (name)
        put(w, label->json, label->json_length);
    else
        PUT(w, "\"dispatch_kernel\"");
    room(w, STEP);
    put_place(w, track_of(w, e->thread, 1), begin);
    PUT(w, ",\"dur\":");
    put_time(w, end - begin);
    PUT(w, ",\"args\":{\"External id\":");
    put_int(w, event + 1);
    PUT(w, ",\"correlation_id\":");
    put_int(w, event + 1);
    PUT(w, ",\"correlation\":");
    put_int(w, event + 1);
    PUT(w, ",\"op_name\":");
    put(w, op->json, op->json_length);
    put(w, "}}", 2);
}

/* The kernels of an event and the flow to the first. */
static void
put_kernels(writer *w, const mt_prof_event *e, int64_t event)
{
    const mt_prof_results *r = w->r;
    const mt_prof_label *name = &r->labels[e->kernel_name];
    while (w->kernel_at < r->nkernels && r->kernels[w->kernel_at].event < event)
        w->kernel_at++;
    if (e->kernel_begin >= 0) {
        put_kernel(w, e, event, e->kernel_begin, e->kernel_end, e->kernel_name);
        put_flow(w, 's', track_of(w, e->thread, 0), e->begin, event + 1, "op");
        PUT(w, ",\"args\":{\"correlation_id\":");
        put_int(w, event + 1);
        PUT(w, ",\"runtime_name\":");
        if (e->kernel_name)
            put(w, name->json, name->json_length);
        else
            PUT(w, "\"dispatch_kernel\"");
        room(w, STEP);
        PUT(w, ",\"runtime_tid\":");
        put_int(w, r->threads[e->thread].tid + KERNEL_TRACK);
        PUT(w, "}}");
        put_flow(w, 'f', track_of(w, e->thread, 1), e->kernel_begin, event + 1, "op");
        PUT(w, "}");
    }
    for (; w->kernel_at < r->nkernels && r->kernels[w->kernel_at].event == event; w->kernel_at++) {
        const mt_prof_kernel *k = &r->kernels[w->kernel_at];
        put_kernel(w, e, event, k->begin, k->end, k->name);
    }
}

/* From the operator that made a backward node to the node. */
static void
put_backward_flow(writer *w, const mt_prof_event *e)
{
    const mt_prof_event *forward = &w->r->events[e->forward];
    int64_t id = w->r->nevents + ++w->next_flow;
    put_flow(w, 's', track_of(w, forward->thread, 0), forward->begin, id, w->options->flow_name);
    PUT(w, "}");
    put_flow(w, 'f', track_of(w, e->thread, 0), e->begin, id, w->options->flow_name);
    PUT(w, "}");
}

static void
put_event(writer *w, int64_t index)
{
    const mt_prof_results *r = w->r;
    const mt_prof_event *e = &r->events[index];
    const mt_prof_label *label = &r->labels[e->name];
    bool scope = e->kind == MT_PROF_E_SCOPE;
    bool apart = e->flags & (MT_PROF_F_OVERLAP | MT_PROF_F_ASYNC);
    while (w->step_at < r->nsteps && r->steps[w->step_at].time <= e->begin)
        w->step_at++;
    open_event(w);
    if (scope)
        PUT(w, "{\"ph\":\"X\",\"cat\":\"user_annotation\",\"name\":");
    else
        PUT(w, "{\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":");
    put(w, label->json, label->json_length);
    room(w, STEP);
    put_place(w, track_of(w, e->thread, apart ? 2 : 0), e->begin);
    PUT(w, ",\"dur\":");
    put_time(w, e->end - e->begin);
    PUT(w, ",\"args\":{\"External id\":");
    put_int(w, index + 1);
    if (e->sequence >= 0) {
        PUT(w, ",\"Sequence number\":");
        put_int(w, e->sequence);
        PUT(w, ",\"Fwd thread id\":");
        put_int(w, e->forward_thread);
    }
    PUT(w, ",\"Record function id\":0,\"Ev Idx\":");
    put_int(w, index);
    PUT(w, ",\"correlation_id\":");
    put_int(w, index + 1);
    PUT(w, ",\"device_type\":\"CPU\"");
    if (w->step_at) {
        PUT(w, ",\"step\":");
        put_int(w, r->steps[w->step_at - 1].step);
    }
    if (e->kernel_begin >= 0) {
        const mt_prof_label *kernel = &r->labels[e->kernel_name];
        PUT(w, ",\"runtime_name\":");
        if (e->kernel_name)
            put(w, kernel->json, kernel->json_length);
        else
            PUT(w, "\"dispatch_kernel\"");
        room(w, STEP);
        PUT(w, ",\"runtime_tid\":");
        put_int(w, r->threads[e->thread].tid + KERNEL_TRACK);
    }
    if (e->side && e->side->count)
        put_inputs(w, e->side);
    if (r->flags & MT_PROF_MEMORY)
        put_memory(w, e);
    if (e->side && e->side->keywords)
        put_keywords(w, e->side->keywords);
    if (r->flags & MT_PROF_STACKS)
        put_stack(w, index);
    put(w, "}}", 2);
    if (w->options->runtime_events)
        put_kernels(w, e, index);
    if (e->kind == MT_PROF_E_NODE && e->forward >= 0)
        put_backward_flow(w, e);
}

static void
put_alloc(writer *w, const mt_prof_alloc *a, int64_t index)
{
    open_event(w);
    PUT(w, "{\"ph\":\"i\",\"cat\":\"cpu_instant_event\",\"s\":\"t\",\"name\":\"[memory]\"");
    put_place(w, track_of(w, a->thread, 0), a->time);
    PUT(w, ",\"args\":{\"Total Allocated\":");
    put_int(w, (int64_t)a->allocated);
    PUT(w, ",\"Total Reserved\":0,\"Bytes\":");
    put_int(w, a->bytes);
    PUT(w, ",\"Addr\":");
    w->at = unsigned_at(w->at, a->address);
    PUT(w, ",\"Device Id\":-1,\"Device Type\":0,\"finished\":false,\"Ev Idx\":");
    put_int(w, w->r->nevents + index);
    PUT(w, "}}");
}

/* What a viewer shows around the events: the window of the recording. */
static void
put_window(writer *w)
{
    char text[640];
    int64_t from = w->origin, to = w->origin + w->r->duration;
    int n = snprintf(text, sizeof text,
                     "{\"ph\":\"X\",\"cat\":\"Trace\",\"ts\":%lld.%03d,\"dur\":%lld.%03d, "
                     "\"pid\":\"Spans\","
                     " \"tid\":\"PyTorch Profiler\",\"name\":\"PyTorch Profiler (0)\", "
                     "\"args\":{\"Op count\":0}},"
                     "\n{\"name\":\"Iteration Start: PyTorch Profiler\",\"ph\":\"i\",\"s\":"
                     "\"g\",\"pid\":\"Traces\","
                     " \"tid\":\"Trace PyTorch Profiler\",\"ts\":%lld.%03d},"
                     "\n{\"name\":\"Record Window End\",\"ph\":\"i\",\"s\":\"g\",\"pid\":"
                     "\"\",\"tid\":\"\","
                     " \"ts\":%lld.%03d}",
                     (long long)(from / 1000), (int)(from % 1000),
                     (long long)(w->r->duration / 1000), (int)(w->r->duration % 1000),
                     (long long)(from / 1000), (int)(from % 1000), (long long)(to / 1000),
                     (int)(to % 1000));
    open_event(w);
    put(w, text, (size_t)n);
}

static void
put_meta(writer *w, const char *name, int32_t tid, const char *key, const char *text,
         int64_t number)
{
    char line[320];
    int n = snprintf(line, sizeof line,
                     "{\"ph\":\"M\",\"name\":\"%s\",\"ts\":%lld.%03d,\"pid\":%d,\"tid\":%d,"
                     " \"args\":{\"%s\":",
                     name, (long long)(w->origin / 1000), (int)(w->origin % 1000), w->r->pid, tid,
                     key);
    open_event(w);
    put(w, line, (size_t)n);
    n = text ? snprintf(line, sizeof line, "\"%s\"}}", text)
             : snprintf(line, sizeof line, "%lld}}", (long long)number);
    put(w, line, (size_t)n);
}

static void
put_metadata(writer *w)
{
    const mt_prof_results *r = w->r;
    char text[96];
    put_meta(w, "process_name", 0, "name", "python", 0);
    put_meta(w, "process_labels", 0, "labels", "CPU", 0);
    put_meta(w, "process_sort_index", 0, "sort_index", NULL, r->pid);
    for (uint32_t t = 0; t < r->nthreads; t++) {
        static const char *const what[3] = {"thread %d (%s)", "kernels of thread %d",
                                            "overlapping scopes of thread %d"};
        char name[sizeof r->threads[t].name];
        int32_t tid = r->threads[t].tid;
        for (size_t i = 0; i < sizeof name; i++) { /* names are not always UTF-8 */
            unsigned char c = (unsigned char)r->threads[t].name[i];
            name[i] = (char)(c && (c < 0x20 || c > 0x7E || c == '"' || c == '\\') ? '_' : c);
        }
        for (unsigned which = 0; which < 3; which++) {
            const struct track *track = track_of(w, t, which);
            if ((which == 1 && !(track->kernels && w->options->runtime_events)) ||
                (which == 2 && !track->overlap))
                continue;
            int32_t id = tid + (which == 1 ? KERNEL_TRACK : which == 2 ? OVERLAP_TRACK : 0);
            if (which)
                snprintf(text, sizeof text, which == 1 ? what[1] : what[2], tid);
            else
                snprintf(text, sizeof text, "thread %d (%s)", tid, name);
            put_meta(w, "thread_name", id, "name", text, 0);
            put_meta(w, "thread_sort_index", id, "sort_index", NULL, id);
        }
    }
}

/* ------------------------------------------------------------------ the whole */

static int
make_tracks(writer *w)
{
    const mt_prof_results *r = w->r;
    w->tracks = calloc(MT_MAX(3 * (size_t)r->nthreads, 1), sizeof *w->tracks);
    if (!w->tracks)
        return -1;
    for (uint32_t i = 0; i < 3 * r->nthreads; i++) {
        static const int32_t offset[3] = {0, KERNEL_TRACK, OVERLAP_TRACK};
        struct track *track = &w->tracks[i];
        track->length = (size_t)snprintf(track->text, sizeof track->text,
                                         ",\"pid\":%d,\"tid\":%d,\"ts\":", r->pid,
                                         r->threads[i / 3].tid + offset[i % 3]);
    }
    for (int64_t i = 0; i < r->nevents; i++) {
        struct track *of_thread = &w->tracks[3 * r->events[i].thread];
        of_thread[1].kernels |= r->events[i].kernel_begin >= 0;
        of_thread[2].overlap |= (r->events[i].flags & (MT_PROF_F_OVERLAP | MT_PROF_F_ASYNC)) != 0;
    }
    return 0;
}

int
mt_prof_export_trace(const mt_prof_results *results, const mt_prof_trace_options *options,
                     mt_prof_sink sink, void *sink_context)
{
    writer w = {.r = results, .options = options, .sink = sink, .sink_context = sink_context};
    int result = -1;
    w.origin = results->start_unix % PERIOD;
    w.buffer = w.at = malloc(BUFFER);
    if (!w.buffer || make_tracks(&w)) {
        mt_fail(MT_MEMORY, "not enough memory to export a trace");
        goto done;
    }
    put(&w, "{\n", 2);
    put(&w, options->head, strlen(options->head));
    room(&w, STEP);
    PUT(&w, "\"displayTimeUnit\":\"ms\",\"baseTimeNanoseconds\":");
    put_int(&w, results->start_unix - w.origin);
    PUT(&w, ",\n\"traceEvents\":[");
    for (int64_t i = 0; i < results->nevents && !w.failed; i++)
        put_event(&w, i);
    for (int64_t i = 0; i < results->nallocs && !w.failed; i++)
        put_alloc(&w, &results->allocs[i], i);
    put_window(&w);
    put_metadata(&w);
    put(&w, options->tail, strlen(options->tail));
    put(&w, "\n]}\n", 4);
    flush(&w);
    result = w.failed ? -1 : 0;
done:
    free(w.buffer);
    free(w.tracks);
    return result;
}
