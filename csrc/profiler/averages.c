/* Averages: events summed up by name and whatever else the caller wants kept apart.
 *
 * Labels and kinds are small numbers, so the common case is one table look-up per event. Shapes
 * and stacks go through a hash table whose entries point at a row's first event; shapes are compared
 * where they lie, packed, and never turned into text. */
#include <stdlib.h>

#include "profiler/recorder.h"

typedef struct averager {
    const mt_prof_results *r;
    uint32_t by;
    const uint32_t *stack_class;
    uint32_t nstacks;
    mt_prof_row *rows;
    int64_t nrows, capacity;
    int32_t *simple;  /* (label, is scope) -> row */
    int32_t *slots;   /* hash -> row */
    uint64_t *hashes; /* per row */
    uint64_t nslots;
} averager;

static uint64_t
mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

/* What the event is called, for this grouping. */
static uint32_t
label_class(const averager *a, const mt_prof_event *e, uint32_t step_label)
{
    const mt_prof_label *label = &a->r->labels[e->name];
    if (label->is_step)
        return step_label;
    return a->by & MT_PROF_BY_OVERLOAD ? e->name : label->same;
}

static uint32_t
stack_class(const averager *a, int32_t event)
{
    if (!a->stack_class)
        return 0;
    uint32_t id = mt_prof_event_stack(a->r, event);
    return id < a->nstacks ? a->stack_class[id] : 0;
}

/* Dims only: a number, a list of numbers and None look alike, as in the table. */
static uint64_t
hash_shapes(const mt_prof_side *side)
{
    uint64_t h = 1;
    uint32_t at = 0;
    for (uint32_t i = 0; side && i < side->count; i++) {
        mt_prof_input in = mt_prof_input_next(side->words, &at);
        if (in.kind == MT_PROF_IN_TENSOR) {
            for (int d = 0; d < in.ndim; d++)
                h = mix(h, in.payload[d]);
        } else if (in.kind == MT_PROF_IN_TENSORS) {
            uint32_t item = (uint32_t)(in.payload - side->words);
            for (uint32_t k = 0; k < in.count; k++) {
                mt_prof_input t = mt_prof_input_next(side->words, &item);
                for (int d = 0; d < t.ndim; d++)
                    h = mix(h, t.payload[d]);
                h = mix(h, 11);
            }
        }
        h = mix(h, 7);
    }
    return h;
}

static bool
same_dims(const mt_prof_input *a, const mt_prof_input *b)
{
    return a->ndim == b->ndim && !memcmp(a->payload, b->payload, a->ndim * sizeof(uint64_t));
}

static bool
same_shapes(const mt_prof_side *a, const mt_prof_side *b)
{
    uint32_t at_a = 0, at_b = 0, n = a ? a->count : 0;
    if (a == b)
        return true;
    if (n != (b ? b->count : 0))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        mt_prof_input x = mt_prof_input_next(a->words, &at_a);
        mt_prof_input y = mt_prof_input_next(b->words, &at_b);
        bool xs = x.kind == MT_PROF_IN_TENSORS && x.count,
             ys = y.kind == MT_PROF_IN_TENSORS && y.count;
        if (xs != ys || (xs && x.count != y.count) || !same_dims(&x, &y))
            return false;
        uint32_t item_x = (uint32_t)(x.payload - a->words),
                 item_y = (uint32_t)(y.payload - b->words);
        for (uint32_t k = 0; xs && k < x.count; k++) {
            mt_prof_input s = mt_prof_input_next(a->words, &item_x);
            mt_prof_input t = mt_prof_input_next(b->words, &item_y);
            if (!same_dims(&s, &t))
                return false;
        }
    }
    return true;
}

static int32_t
new_row(averager *a, int32_t event)
{
    if (a->nrows == a->capacity) {
        int64_t capacity = a->capacity ? 2 * a->capacity : 64;
        mt_prof_row *rows = realloc(a->rows, (size_t)capacity * sizeof *rows);
        if (!rows)
            return -1;
        a->rows = rows;
        uint64_t *hashes = realloc(a->hashes, (size_t)capacity * sizeof *hashes);
        if (!hashes)
            return -1;
        a->hashes = hashes;
        a->capacity = capacity;
    }
    const mt_prof_event *e = &a->r->events[event];
    bool is_async = e->kind == MT_PROF_E_SCOPE &&
                    e->flags & (MT_PROF_F_ASYNC | MT_PROF_F_UNFINISHED);
    a->rows[a->nrows] = (mt_prof_row){.first = event, .is_async = is_async};
    return (int32_t)a->nrows++;
}

static int
grow_slots(averager *a)
{
    uint64_t n = a->nslots ? 2 * a->nslots : 256;
    int32_t *slots = malloc(n * sizeof *slots);
    if (!slots)
        return -1;
    memset(slots, 0xFF, n * sizeof *slots);
    for (int64_t row = 0; row < a->nrows; row++) {
        uint64_t at = a->hashes[row] & (n - 1);
        while (slots[at] >= 0)
            at = (at + 1) & (n - 1);
        slots[at] = (int32_t)row;
    }
    free(a->slots);
    a->slots = slots;
    a->nslots = n;
    return 0;
}

/* The row of an event, made if it is the first of its kind; -1 when memory ran out. */
static int32_t
row_of(averager *a, int32_t event, uint32_t step_label)
{
    const mt_prof_event *e = &a->r->events[event];
    uint32_t key = label_class(a, e, step_label) * 2 + (e->kind == MT_PROF_E_SCOPE);
    if (!(a->by & MT_PROF_BY_SHAPES) && !a->stack_class) {
        if (a->simple[key] < 0)
            a->simple[key] = new_row(a, event);
        return a->simple[key];
    }
    bool shapes = a->by & MT_PROF_BY_SHAPES;
    uint32_t class = stack_class(a, event);
    uint64_t h = mix(mix(shapes ? hash_shapes(e->side) : 0, class), key);
    if (a->nslots < 2 * (uint64_t)(a->nrows + 1) && grow_slots(a))
        return -1;
    uint64_t at = h & (a->nslots - 1);
    for (; a->slots[at] >= 0; at = (at + 1) & (a->nslots - 1)) {
        int32_t row = a->slots[at], first = a->rows[row].first;
        const mt_prof_event *f = &a->r->events[first];
        if (a->hashes[row] == h && stack_class(a, first) == class &&
            label_class(a, f, step_label) * 2 + (f->kind == MT_PROF_E_SCOPE) == key &&
            (!shapes || same_shapes(e->side, f->side)))
            return row;
    }
    int32_t row = new_row(a, event);
    if (row >= 0) {
        a->hashes[row] = h;
        a->slots[at] = row;
    }
    return row;
}

int
mt_prof_average(const mt_prof_results *results, uint32_t by, const uint32_t *stack_classes,
                uint32_t nstacks, mt_prof_row **rows, int64_t *nrows)
{
    const mt_prof_results *r = results;
    averager a = {.r = r, .by = by, .stack_class = stack_classes, .nstacks = nstacks};
    size_t nsimple = 2 * (size_t)r->nlabels;
    int32_t *row = malloc((size_t)MT_MAX(r->nevents, 1) * sizeof *row);
    uint32_t step_label = 0;
    int result = -1;
    a.simple = malloc(nsimple * sizeof *a.simple);
    if (!row || !a.simple)
        goto done;
    memset(a.simple, 0xFF, nsimple * sizeof *a.simple);
    while (step_label < r->nlabels && !r->labels[step_label].is_step)
        step_label++;
    for (int64_t i = 0; i < r->nevents; i++) {
        const mt_prof_event *e = &r->events[i];
        if (e->flags & MT_PROF_F_MERGED) {
            /* Its own part belongs to the event it repeats; that one has a row, since it comes first. */
            row[i] = row[e->parent];
        } else {
            if ((row[i] = row_of(&a, (int32_t)i, step_label)) < 0)
                goto done;
            a.rows[row[i]].count++;
            a.rows[row[i]].total += e->end - e->begin;
            if (r->memory)
                a.rows[row[i]].memory += r->memory[i];
        }
        mt_prof_row *to = &a.rows[row[i]];
        to->self += e->self;
        to->flops += mt_prof_flops(r, i);
        if (r->memory)
            to->self_memory += r->memory[i + r->nevents];
        if (e->kernel_begin >= 0) {
            to->kernels++;
            to->kernel_total += e->kernel_end - e->kernel_begin;
        }
    }
    for (int64_t i = 0; i < r->nkernels; i++) {
        mt_prof_row *to = &a.rows[row[r->kernels[i].event]];
        to->kernels++;
        to->kernel_total += r->kernels[i].end - r->kernels[i].begin;
    }
    *rows = a.rows;
    *nrows = a.nrows;
    a.rows = NULL;
    result = 0;
done:
    if (result)
        mt_fail(MT_MEMORY, "not enough memory for the profiler's averages");
    free(row);
    free(a.simple);
    free(a.rows);
    free(a.hashes);
    free(a.slots);
    return result;
}
