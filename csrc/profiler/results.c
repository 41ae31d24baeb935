/* From records to events.
 *
 * The records of a thread lie in order of their beginnings, so one pass with a stack of open events
 * finds every parent, and subtracting from each parent what its children cover gives its own time.
 * A child begins and ends inside its parent by construction: an event that began inside another but
 * ends after it (a scope left in the wrong order) is nobody's child, as in PyTorch, and a scope that
 * another thread ended takes no part at all. Then the threads are merged by time.
 *
 * All times of a thread are first made monotone and clamped to the session, so neither a counter
 * that steps back by a tick between cores nor a late writer can make a negative duration. */
#include <stdio.h>
#include <stdlib.h>

#include "profiler/recorder.h"

#define EVALUATE "autograd::engine::evaluate_function: "

/* The innermost open events of the thread in hand. */
typedef struct open_event {
    int32_t event;
    int64_t end, covered; /* children lie before `covered` */
} open_event;

typedef struct builder {
    mt_prof_session *session;
    mt_prof_results *out;
    double ns_per_tick;
    int64_t events_capacity, kernels_capacity, allocs_capacity;
    open_event *open;
    int64_t nopen, open_capacity;
    struct {
        int64_t begin, end;
        const mt_prof_record *record;
    } * pending; /* nodes whose apply is ahead */
    int64_t npending, pending_capacity;
    int32_t *children; /* per event */
    /* labels by id: of the process, of the session, and of evaluate_function events */
    uint32_t *label_of[3];
    uint32_t label_limit[3];
    uint32_t labels_capacity;
    mt_prof_names texts;  /* text -> number, to find labels with the same text */
    uint32_t *first_with; /* number -> label */
    uint32_t first_with_capacity;
} builder;

/* Makes room for one more; *items is a pointer to some array. */
static int
reserve(void *items, int64_t count, int64_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    int64_t n = *capacity ? *capacity * 2 : 64;
    void *old, *grown;
    memcpy(&old, items, sizeof old);
    if (!(grown = realloc(old, (size_t)n * size)))
        return -1;
    memcpy(items, &grown, sizeof grown);
    *capacity = n;
    return 0;
}

/* ------------------------------------------------------------------ names as JSON */

/* Length of the UTF-8 sequence at p (n bytes are there), 0 when it is none. *point receives the
 * code point; surrogates are let through, they are written as escapes. */
static size_t
utf8_at(const unsigned char *p, size_t n, uint32_t *point)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80       ? 1
                    : p[0] >> 5 == 6  ? 2
                    : p[0] >> 4 == 14 ? 3
                    : p[0] >> 3 == 30 ? 4
                                      : 0;
    if (!length || length > n)
        return 0;
    uint32_t u = length == 1 ? p[0] : p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        u = u << 6 | (p[i] & 0x3Fu);
    }
    if (u < least[length] || u > 0x10FFFF)
        return 0;
    *point = u;
    return length;
}

/* The text as a JSON string; valid whatever the bytes are. *out has room for 6 * n + 2. */
static size_t
json_string(char *out, const char *text, size_t n)
{
    char *w = out;
    const unsigned char *p = (const unsigned char *)text;
    *w++ = '"';
    for (size_t i = 0; i < n;) {
        uint32_t u = 0;
        size_t length = utf8_at(p + i, n - i, &u);
        if (!length) {
            memcpy(w, "\\ufffd", 6);
            w += 6;
            i++;
            continue;
        }
        if (u == '"' || u == '\\') {
            *w++ = '\\';
            *w++ = (char)u;
        } else if (u < 0x20 || u == 0x7F || (u >= 0xD800 && u < 0xE000)) {
            w += snprintf(w, 7, "\\u%04x", u);
        } else {
            memcpy(w, p + i, length);
            w += length;
        }
        i += length;
    }
    *w++ = '"';
    return (size_t)(w - out);
}

/* ------------------------------------------------------------------ labels */

/* Text, overload and JSON of a label lie in one block, owned by label.text. */
static int
make_label(builder *b, const char *prefix, const mt_prof_name_entry *entry, uint32_t *index)
{
    mt_prof_results *r = b->out;
    int64_t capacity = b->labels_capacity;
    size_t before = strlen(prefix), overload = strlen(entry->overload);
    size_t length = before + entry->length;
    char *block = malloc(length + 1 + overload + 1 + 6 * length + 2);
    if (!block || reserve(&r->labels, r->nlabels, &capacity, sizeof *r->labels)) {
        free(block);
        return -1;
    }
    b->labels_capacity = (uint32_t)capacity;
    memcpy(block, prefix, before);
    memcpy(block + before, entry->text, entry->length);
    block[length] = 0;
    memcpy(block + length + 1, entry->overload, overload + 1);
    char *json = block + length + 1 + overload + 1;
    mt_prof_label *label = &r->labels[r->nlabels];
    *label = (mt_prof_label){.text = block,
                             .length = length,
                             .overload = block + length + 1,
                             .is_step = !strncmp(block, "ProfilerStep#", 13),
                             .flops_rule = mt_prof_flops_rule(block),
                             .json = json,
                             .json_length = json_string(json, block, length)};
    *index = r->nlabels++;
    uint32_t number = mt_prof_names_add(&b->texts, block, length, "");
    capacity = b->first_with_capacity;
    while (number >= capacity) {
        int64_t old = capacity;
        if (reserve(&b->first_with, capacity, &capacity, sizeof *b->first_with))
            return -1;
        memset(b->first_with + old, 0xFF, (size_t)(capacity - old) * sizeof *b->first_with);
        b->first_with_capacity = (uint32_t)capacity;
    }
    if (!number)
        return -1;
    if (b->first_with[number] == UINT32_MAX)
        b->first_with[number] = *index;
    r->labels[*index].same = b->first_with[number];
    return 0;
}

/* The label of a name id; -1 when memory ran out. */
static int
label_of(builder *b, uint32_t id, bool evaluate, uint32_t *label)
{
    bool local = id & MT_PROF_LOCAL_NAME;
    int table = evaluate ? 2 : local;
    uint32_t at = id & ~MT_PROF_LOCAL_NAME;
    if (MT_LIKELY(at < b->label_limit[table] && b->label_of[table][at])) {
        *label = b->label_of[table][at];
        return 0;
    }
    if (at >= b->label_limit[table]) {
        uint32_t limit = MT_MAX(at + 1, 2 * b->label_limit[table]);
        uint32_t *grown = realloc(b->label_of[table], limit * sizeof *grown);
        if (!grown)
            return -1;
        memset(grown + b->label_limit[table], 0, (limit - b->label_limit[table]) * sizeof *grown);
        b->label_of[table] = grown;
        b->label_limit[table] = limit;
    }
    mt_prof_name_entry entry = {"?", "", 1, 0};
    if (!local)
        entry = mt_prof_name_entry_of(id);
    else if (at < b->session->names.count)
        entry = b->session->names.entries[at];
    if (make_label(b, evaluate ? EVALUATE : "", &entry, label))
        return -1;
    b->label_of[table][at] = *label;
    return 0;
}

/* ------------------------------------------------------------------ events of one thread */

static int64_t
to_ns(const builder *b, uint64_t ticks, int64_t least)
{
    uint64_t start = b->session->begin.ticks;
    if (ticks <= start)
        return least;
    int64_t ns = (int64_t)((double)(ticks - start) * b->ns_per_tick + 0.5);
    return MT_MAX(least, MT_MIN(ns, b->out->duration));
}

/* Adds an event that begins now, finds its parent, opens it. */
static int
add_event(builder *b, const mt_prof_event *event)
{
    mt_prof_results *r = b->out;
    mt_prof_event *e = &r->events[r->nevents];
    *e = *event;
    e->parent = -1;
    e->forward = -1;
    e->self = e->end - e->begin;
    b->children[r->nevents] = 0;
    if (e->kind == MT_PROF_E_SCOPE && e->flags & (MT_PROF_F_ASYNC | MT_PROF_F_UNFINISHED)) {
        e->self = 0;
        r->nevents++;
        return 0;
    }
    while (b->nopen) {
        open_event *top = &b->open[b->nopen - 1];
        if (e->begin < top->end && e->end <= top->end) {
            mt_prof_event *parent = &r->events[top->event];
            e->parent = top->event;
            parent->self -= MT_MAX(0, e->end - MT_MAX(e->begin, top->covered));
            top->covered = MT_MAX(top->covered, e->end);
            b->children[top->event]++;
            break;
        }
        if (e->begin < top->end)
            e->flags |= MT_PROF_F_OVERLAP;
        b->nopen--;
    }
    if (reserve(&b->open, b->nopen, &b->open_capacity, sizeof *b->open))
        return -1;
    b->open[b->nopen++] = (open_event){(int32_t)r->nevents, e->end, e->begin};
    r->nevents++;
    return 0;
}

static int
add_node(builder *b, int64_t begin, int64_t end, const mt_prof_record *record, uint16_t thread)
{
    mt_prof_event e = {.begin = begin,
                       .end = end,
                       .kernel_begin = -1,
                       .kernel_end = -1,
                       .sequence = record->sequence,
                       .side = record->side,
                       .forward_thread = record->forward_thread,
                       .thread = thread,
                       .kind = MT_PROF_E_NODE};
    if (label_of(b, record->name, false, &e.name))
        return -1;
    return add_event(b, &e);
}

/* Nodes whose own part begins up to `until`. */
static int
add_pending(builder *b, int64_t until, uint16_t thread)
{
    while (b->npending && b->pending[b->npending - 1].begin <= until) {
        b->npending--;
        if (add_node(b, b->pending[b->npending].begin, b->pending[b->npending].end,
                     b->pending[b->npending].record, thread))
            return -1;
    }
    return 0;
}

static int
add_alloc(builder *b, const mt_prof_record *record, int64_t time, uint16_t thread)
{
    mt_prof_results *r = b->out;
    if (reserve(&r->allocs, r->nallocs, &b->allocs_capacity, sizeof *r->allocs))
        return -1;
    while (b->nopen && b->open[b->nopen - 1].end < time)
        b->nopen--;
    r->allocs[r->nallocs++] = (mt_prof_alloc){
        .time = time,
        .address = record->end,
        .bytes = (int64_t)record->kernel_begin,
        .allocated = record->kernel_end,
        .event = b->nopen ? b->open[b->nopen - 1].event : -1,
        .thread = thread,
    };
    return 0;
}

static int
add_kernel(builder *b, const mt_prof_record *record, int64_t begin, int64_t end)
{
    mt_prof_results *r = b->out;
    if (!b->nopen)
        return 0; /* its operator began before a pause */
    if (reserve(&r->kernels, r->nkernels, &b->kernels_capacity, sizeof *r->kernels))
        return -1;
    mt_prof_kernel k = {.begin = begin, .end = end, .event = b->open[b->nopen - 1].event};
    if (record->kernel_name && label_of(b, record->kernel_name, false, &k.name))
        return -1;
    r->kernels[r->nkernels++] = k;
    return 0;
}

static int
add_record(builder *b, const mt_prof_record *record, uint16_t thread, int64_t *last)
{
    int64_t begin = to_ns(b, record->begin, *last), end;
    int64_t kernel_begin = -1, kernel_end = -1;
    *last = begin;
    if (add_pending(b, begin, thread))
        return -1;
    if (record->kind == MT_PROF_ALLOC)
        return add_alloc(b, record, begin, thread);
    uint64_t ended = record->kind == MT_PROF_KERNEL ? record->kernel_end : record->end;
    end = ended ? to_ns(b, ended, begin) : b->out->duration;
    if (record->kind == MT_PROF_KERNEL) {
        /* Its operator is still open; a kernel never ends after it. */
        while (b->nopen && b->open[b->nopen - 1].end <= begin)
            b->nopen--;
        return add_kernel(b, record, begin,
                          b->nopen ? MT_MIN(end, b->open[b->nopen - 1].end) : end);
    }
    if (record->kernel_begin) {
        kernel_begin = MT_MIN(to_ns(b, record->kernel_begin, begin), end);
        kernel_end = record->kernel_end ? MT_MIN(to_ns(b, record->kernel_end, kernel_begin), end)
                                        : end;
    }
    mt_prof_event e = {.begin = begin,
                       .end = end,
                       .kernel_begin = kernel_begin,
                       .kernel_end = kernel_end,
                       .sequence = record->sequence,
                       .side = record->side,
                       .forward_thread = record->forward_thread,
                       .thread = thread,
                       .flags = (uint8_t)(record->flags | (ended ? 0 : MT_PROF_F_UNFINISHED))};
    bool node = record->kind == MT_PROF_NODE;
    e.kind = node                            ? MT_PROF_E_EVALUATE
             : record->kind == MT_PROF_SCOPE ? MT_PROF_E_SCOPE
                                             : MT_PROF_E_OP;
    if (label_of(b, record->name, node, &e.name))
        return -1;
    if (node) {
        e.kernel_begin = e.kernel_end = -1;
        e.side = NULL; /* the inputs are the node's */
        if (kernel_begin >= 0) {
            if (reserve(&b->pending, b->npending, &b->pending_capacity, sizeof *b->pending))
                return -1;
            b->pending[b->npending].begin = kernel_begin;
            b->pending[b->npending].end = kernel_end;
            b->pending[b->npending++].record = record;
        }
    } else if (record->kernel_name && label_of(b, record->kernel_name, false, &e.kernel_name)) {
        return -1;
    }
    return add_event(b, &e);
}

static int
add_log(builder *b, const mt_prof_log *log, uint16_t thread)
{
    int64_t last = 0;
    b->nopen = b->npending = 0;
    for (const mt_prof_chunk *chunk = log->first; chunk; chunk = chunk->next) {
        const mt_prof_record *records = (const mt_prof_record *)(const void *)chunk->data;
        for (uint32_t i = 0; i < chunk->count; i++)
            if (add_record(b, &records[i], thread, &last))
                return -1;
    }
    return add_pending(b, INT64_MAX, thread);
}

/* An event that is the only child of a parent of its own name is the same work dispatched once
 * more: tables leave it out and hand its children and its own time to that parent. In order of the array, so a chain
 * of such events ends at its first. */
static void
merge_repeated(builder *b)
{
    mt_prof_results *r = b->out;
    for (int64_t i = 0; i < r->nevents; i++) {
        mt_prof_event *e = &r->events[i];
        int32_t p = e->parent;
        while (p >= 0 && r->events[p].flags & MT_PROF_F_MERGED)
            p = r->events[p].parent;
        if (p >= 0 && b->children[p] == 1 &&
            r->labels[r->events[p].name].same == r->labels[e->name].same) {
            e->flags |= MT_PROF_F_MERGED;
            r->events[p].self += e->self;
            e->self = 0;
            b->children[p] = b->children[i];
        }
    }
}

/* ------------------------------------------------------------------ merging the threads */

typedef struct cursor {
    int64_t time;
    int64_t at, end;
} cursor;

static void
sift(cursor *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && heap[child + 1].time < heap[child].time)
            child++;
        if (heap[i].time <= heap[child].time)
            return;
        cursor swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
    }
}

static int
compare_allocs(const void *a, const void *b)
{
    const mt_prof_alloc *x = a, *y = b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : 0;
}

static int
compare_kernels(const void *a, const void *b)
{
    const mt_prof_kernel *x = a, *y = b;
    return x->event != y->event   ? (x->event < y->event ? -1 : 1)
           : x->begin != y->begin ? (x->begin < y->begin ? -1 : 1)
                                  : 0;
}

/* `first[t]`: where the events of thread t begin in the array, which are in order each. */
static int
merge_threads(builder *b, const int64_t *first)
{
    mt_prof_results *r = b->out;
    int result = -1;
    int64_t n = 0;
    cursor *heap = malloc(r->nthreads * sizeof *heap);
    int32_t *place = malloc((size_t)MT_MAX(r->nevents, 1) * sizeof *place);
    mt_prof_event *sorted = malloc((size_t)MT_MAX(r->nevents, 1) * sizeof *sorted);
    if (!heap || !place || !sorted)
        goto done;
    for (uint32_t t = 0; t < r->nthreads; t++)
        if (first[t] < first[t + 1])
            heap[n++] = (cursor){r->events[first[t]].begin, first[t], first[t + 1]};
    for (int64_t i = n / 2; i-- > 0;)
        sift(heap, n, i);
    for (int64_t out = 0; n; out++) {
        sorted[out] = r->events[heap[0].at];
        place[heap[0].at] = (int32_t)out;
        if (sorted[out].parent >= 0)
            sorted[out].parent = place[sorted[out].parent];
        if (++heap[0].at < heap[0].end)
            heap[0].time = r->events[heap[0].at].begin;
        else
            heap[0] = heap[--n];
        sift(heap, n, 0);
    }
    for (int64_t i = 0; i < r->nallocs; i++)
        if (r->allocs[i].event >= 0)
            r->allocs[i].event = place[r->allocs[i].event];
    for (int64_t i = 0; i < r->nkernels; i++)
        r->kernels[i].event = place[r->kernels[i].event];
    if (r->nallocs)
        qsort(r->allocs, (size_t)r->nallocs, sizeof *r->allocs, compare_allocs);
    free(r->events);
    r->events = sorted;
    sorted = NULL;
    result = 0;
done:
    free(heap);
    free(place);
    free(sorted);
    return result;
}

/* ------------------------------------------------------------------ forward and backward */

typedef struct link {
    int64_t sequence;
    uint32_t thread;
    int32_t event;
} link;

static link *
find_link(link *table, uint64_t mask, int64_t sequence, uint32_t thread)
{
    uint64_t h = ((uint64_t)sequence * 0x9E3779B97F4A7C15u) ^
                 ((uint64_t)thread * 0xC2B2AE3D27D4EB4Fu);
    uint64_t at = (h ^ h >> 29) & mask;
    while (table[at].event >= 0 && (table[at].sequence != sequence || table[at].thread != thread))
        at = (at + 1) & mask;
    return &table[at];
}

/* Joins each backward event to the innermost operator that carried its sequence number: the last
 * one that had begun. Thread 0 stands for "any". */
static int
link_backward(builder *b)
{
    mt_prof_results *r = b->out;
    int64_t forwards = 0, backwards = 0;
    for (int64_t i = 0; i < r->nevents; i++) {
        const mt_prof_event *e = &r->events[i];
        forwards += e->kind == MT_PROF_E_OP && e->sequence >= 0;
        backwards += e->kind >= MT_PROF_E_EVALUATE && e->sequence >= 0;
    }
    if (!backwards || !forwards)
        return 0;
    uint64_t slots = 64;
    while (slots < 4 * (uint64_t)forwards)
        slots *= 2;
    link *table = malloc(slots * sizeof *table);
    if (!table)
        return -1;
    for (uint64_t i = 0; i < slots; i++)
        table[i].event = -1;
    for (int64_t i = 0; i < r->nevents; i++) {
        mt_prof_event *e = &r->events[i];
        if (e->sequence < 0)
            continue;
        if (e->kind == MT_PROF_E_OP) {
            uint32_t number = r->threads[e->thread].number;
            *find_link(table, slots - 1, e->sequence, number) = (link){e->sequence, number,
                                                                       (int32_t)i};
            *find_link(table, slots - 1, e->sequence, 0) = (link){e->sequence, 0, (int32_t)i};
        } else if (e->kind >= MT_PROF_E_EVALUATE) {
            e->forward = find_link(table, slots - 1, e->sequence, e->forward_thread)->event;
            if (!e->forward_thread && e->forward >= 0)
                e->forward_thread = r->threads[r->events[e->forward].thread].number;
        }
    }
    free(table);
    return 0;
}

/* Bytes per event: of its own, then with its children's. */
static int
sum_memory(mt_prof_results *r)
{
    size_t n = (size_t)r->nevents;
    if (!(r->flags & MT_PROF_MEMORY))
        return 0;
    if (!(r->memory = calloc(MT_MAX(n, 1), 2 * sizeof *r->memory)))
        return -1;
    for (int64_t i = 0; i < r->nallocs; i++) {
        int32_t at = r->allocs[i].event;
        while (at >= 0 && r->events[at].flags & MT_PROF_F_MERGED)
            at = r->events[at].parent;
        if (at >= 0)
            r->memory[(size_t)at + n] += r->allocs[i].bytes;
    }
    for (size_t i = n; i-- > 0;) {
        r->memory[i] += r->memory[i + n];
        if (r->events[i].parent >= 0)
            r->memory[r->events[i].parent] += r->memory[i];
    }
    return 0;
}

/* ------------------------------------------------------------------ the whole */

static int
compare_logs(const void *a, const void *b)
{
    const mt_prof_log *x = *(mt_prof_log *const *)a, *y = *(mt_prof_log *const *)b;
    return x->thread.number < y->thread.number ? -1 : x->thread.number > y->thread.number;
}

/* Room for all events: a node's record makes two. */
static int64_t
count_events(const mt_prof_log *log)
{
    int64_t n = 0;
    for (const mt_prof_chunk *chunk = log->first; chunk; chunk = chunk->next) {
        const mt_prof_record *records = (const mt_prof_record *)(const void *)chunk->data;
        for (uint32_t i = 0; i < chunk->count; i++)
            n += records[i].kind == MT_PROF_NODE ? 2 : records[i].kind < MT_PROF_NODE;
    }
    return n;
}

static int
build(builder *b)
{
    mt_prof_session *s = b->session;
    mt_prof_results *r = b->out;
    mt_prof_log **logs = NULL;
    int64_t *first = NULL, total = 0;
    static const mt_prof_name_entry empty = {"", "", 0, 0};
    uint32_t unused, n = 0;
    int result = -1;

    r->duration = MT_MAX(s->end.clock - s->begin.clock, 0);
    r->start_unix = s->begin.unix_time;
    r->start_clock = s->begin.clock;
    r->flags = s->flags;
    r->pid = s->pid;
    r->counter = mt_prof_use_tsc;
    r->allocated = s->allocated;
    r->dropped = s->dropped;
    r->nthreads = s->nlogs;
    logs = malloc(MT_MAX(s->nlogs, 1u) * sizeof *logs);
    first = malloc((s->nlogs + 1u) * sizeof *first);
    r->threads = malloc(MT_MAX(s->nlogs, 1u) * sizeof *r->threads);
    if (!logs || !first || !r->threads || make_label(b, "", &empty, &unused))
        goto done;
    for (mt_prof_log *log = s->logs; log; log = log->next) {
        logs[n++] = log;
        total += count_events(log);
    }
    if (total > INT32_MAX || n > UINT16_MAX) {
        mt_fail(MT_RUNTIME, "too many events in one profile: %lld", (long long)total);
        goto done;
    }
    qsort(logs, n, sizeof *logs, compare_logs);
    r->events = malloc((size_t)MT_MAX(total, 1) * sizeof *r->events);
    b->children = malloc((size_t)MT_MAX(total, 1) * sizeof *b->children);
    r->steps = malloc((size_t)MT_MAX(s->nsteps, 1) * sizeof *r->steps);
    if (!r->events || !b->children || !r->steps)
        goto done;
    for (uint32_t t = 0; t < n; t++) {
        first[t] = r->nevents;
        r->threads[t] = logs[t]->thread;
        if (add_log(b, logs[t], (uint16_t)t))
            goto done;
    }
    first[n] = r->nevents;
    for (; r->nsteps < s->nsteps; r->nsteps++)
        r->steps[r->nsteps] = (mt_prof_step){to_ns(b, s->steps[r->nsteps].ticks, 0),
                                             s->steps[r->nsteps].step};
    merge_repeated(b);
    if (n > 1 && merge_threads(b, first))
        goto done;
    if (r->nkernels)
        qsort(r->kernels, (size_t)r->nkernels, sizeof *r->kernels, compare_kernels);
    if (link_backward(b) || sum_memory(r))
        goto done;
    result = 0;
done:
    free(logs);
    free(first);
    return result;
}

const mt_prof_results *
mt_prof_session_results(mt_prof_session *session)
{
    if (session->results)
        return session->results;
    if (session->recording)
        return mt_fail_null(MT_RUNTIME, "the profiler is still recording");
    builder b = {.session = session,
                 .ns_per_tick = session->ticks_per_ns > 0 ? 1.0 / session->ticks_per_ns : 1.0,
                 .out = calloc(1, sizeof *b.out)};
    mt_error_clear();
    int result = b.out ? build(&b) : -1;
    free(b.open);
    free(b.pending);
    free(b.children);
    free(b.first_with);
    for (int i = 0; i < 3; i++)
        free(b.label_of[i]);
    mt_prof_names_free(&b.texts);
    if (result) {
        mt_prof_results_free(b.out);
        if (mt_error(NULL) == MT_ERR_NONE)
            mt_fail(MT_MEMORY, "not enough memory for the profiler's results");
        return NULL;
    }
    /* The records have been read; side data stay where they are. */
    for (mt_prof_log *log = session->logs; log; log = log->next) {
        mt_prof_chunks_free(log->first);
        log->first = log->last = NULL;
    }
    return session->results = b.out;
}

void
mt_prof_results_free(mt_prof_results *results)
{
    if (!results)
        return;
    for (uint32_t i = 0; i < results->nlabels; i++)
        free((char *)results->labels[i].text);
    free(results->labels);
    free(results->events);
    free(results->kernels);
    free(results->allocs);
    free(results->memory);
    free(results->threads);
    free(results->steps);
    free(results);
}

uint32_t
mt_prof_event_stack(const mt_prof_results *results, int64_t event)
{
    const mt_prof_event *e = &results->events[event];
    if (e->forward >= 0)
        e = &results->events[e->forward];
    return e->side ? e->side->stack : 0;
}

/* What stood after the last block before that time. */
uint64_t
mt_prof_allocated_at(const mt_prof_results *results, int64_t time)
{
    int64_t low = 0, high = results->nallocs;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (results->allocs[middle].time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? results->allocs[low - 1].allocated : results->allocated;
}
