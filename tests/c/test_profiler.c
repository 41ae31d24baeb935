/* Tests of csrc/profiler: recording, nesting, threads, memory, averages, the trace's text. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "check.h"
#include "dispatch/value.h"
#include "profiler/session.h"

static uint32_t
name(const char *text)
{
    return mt_prof_name(text, NULL);
}

static void
run_op(const char *text, bool kernel)
{
    mt_prof_mark op = mt_prof_op_begin(name(text), -1);
    if (kernel)
        mt_prof_kernel_end(mt_prof_kernel_begin(op, 0));
    mt_prof_op_end(op);
}

static const char *
text_of(const mt_prof_results *r, int64_t event)
{
    return r->labels[r->events[event].name].text;
}

static mt_prof_mark
scope(const char *text)
{
    return mt_prof_scope_begin(mt_prof_scope_name(text, strlen(text)));
}

/* What must hold of any results: order, nesting, no negative time. */
static void
check_sound(const mt_prof_results *r)
{
    bool ordered = true, nested = true, positive = true, kernels = true;
    for (int64_t i = 0; i < r->nevents; i++) {
        const mt_prof_event *e = &r->events[i];
        ordered &= !i || r->events[i - 1].begin <= e->begin;
        positive &= e->self >= 0 && e->end >= e->begin && e->begin >= 0 && e->end <= r->duration;
        kernels &= e->kernel_begin < 0 ? e->kernel_end < 0
                                       : e->kernel_begin >= e->begin && e->kernel_end <= e->end &&
                                             e->kernel_begin <= e->kernel_end;
        if (e->parent >= 0) {
            const mt_prof_event *p = &r->events[e->parent];
            nested &= e->parent < i && p->begin <= e->begin && p->end >= e->end &&
                      p->thread == e->thread;
        }
    }
    CHECK(ordered);
    CHECK(nested);
    CHECK(positive);
    CHECK(kernels);
}

static void
test_names(void)
{
    uint32_t a = mt_prof_name("aten::add", "Tensor"), b = mt_prof_name("aten::add", "Scalar");
    CHECK(a && b && a != b);
    CHECK_INT(mt_prof_name("aten::add", "Tensor"), a);
    CHECK_INT(mt_prof_name_n("aten::addmm", 9, "Tensor"), a);
    CHECK(mt_prof_name("aten::add", NULL) == mt_prof_name("aten::add", ""));
    CHECK_STR(mt_prof_name_text(a, NULL), "aten::add");
    CHECK_STR(mt_prof_name_overload(b), "Scalar");
    CHECK_STR(mt_prof_name_text(0, NULL), "?");
    bool stable = true;
    const char *text = mt_prof_name_text(a, NULL);
    for (int i = 0; i < 5000; i++) {
        char made[32];
        snprintf(made, sizeof made, "made %d", i);
        uint32_t id = name(made);
        stable &= name(made) == id && !strcmp(mt_prof_name_text(id, NULL), made);
    }
    CHECK(stable);
    CHECK(text == mt_prof_name_text(a, NULL));
}

static void
test_off(void)
{
    CHECK_INT(mt_prof_flags(), 0);
    mt_prof_mark op = mt_prof_op_begin(name("aten::add"), -1);
    CHECK(op.record == NULL);
    mt_prof_mark kernel = mt_prof_kernel_begin(op, 0);
    CHECK(kernel.record == NULL);
    mt_prof_kernel_end(kernel);
    mt_prof_op_end(op);
    mt_prof_scope_end(op);
    CHECK_INT(mt_prof_scope_name("x", 1), 0);
}

static void
test_nesting(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    CHECK_INT(mt_prof_flags(), MT_PROF_OPS);
    CHECK(mt_prof_session_start(0) == NULL);
    const char *message;
    CHECK_INT(mt_error(&message), MT_RUNTIME);
    CHECK_STR(message, "a profiler is recording already: profilers do not nest");
    CHECK(mt_prof_session_results(s) == NULL);

    mt_prof_mark outer = scope("outer");
    mt_prof_mark linear = mt_prof_op_begin(name("aten::linear"), 7);
    run_op("aten::t", false);
    run_op("aten::addmm", true);
    mt_prof_op_end(linear);
    mt_prof_scope_end(outer);
    run_op("aten::relu", true);
    mt_prof_session_stop(s);
    mt_prof_session_stop(s);
    CHECK_INT(mt_prof_flags(), 0);

    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK(r && r == mt_prof_session_results(s));
    CHECK_INT(r->nevents, 5);
    CHECK_STR(text_of(r, 0), "outer");
    CHECK_STR(text_of(r, 1), "aten::linear");
    CHECK_STR(text_of(r, 3), "aten::addmm");
    CHECK_INT(r->events[0].kind, MT_PROF_E_SCOPE);
    CHECK_INT(r->events[1].parent, 0);
    CHECK_INT(r->events[2].parent, 1);
    CHECK_INT(r->events[3].parent, 1);
    CHECK_INT(r->events[4].parent, -1);
    CHECK_INT(r->events[1].sequence, 7);
    CHECK(r->events[2].kernel_begin < 0 && r->events[3].kernel_begin > 0);
    const mt_prof_event *e = r->events;
    CHECK_INT(e[1].self, e[1].end - e[1].begin - (e[2].end - e[2].begin) - (e[3].end - e[3].begin));
    CHECK_INT(r->nthreads, 1);
    CHECK_INT(r->threads[0].number, mt_prof_thread_number());
    CHECK_INT(r->dropped, 0);
    check_sound(r);
    mt_prof_session_free(s);
}

/* Scopes left in the wrong order, open to the end, ended elsewhere, ended too late. */
static void *
end_scope(void *mark)
{
    mt_prof_scope_end(*(mt_prof_mark *)mark);
    return NULL;
}

static void
test_scopes(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark a = scope("a"), b = scope("b");
    run_op("op", false);
    mt_prof_scope_end(a);
    run_op("op", false);
    mt_prof_scope_end(b);
    mt_prof_mark elsewhere = scope("elsewhere");
    run_op("op", false);
    pthread_t thread;
    pthread_create(&thread, NULL, end_scope, &elsewhere);
    pthread_join(thread, NULL);
    mt_prof_mark late = scope("late");
    run_op("op", false);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 8);
    CHECK_INT(r->events[1].parent, -1); /* b outlives a */
    CHECK(r->events[1].flags & MT_PROF_F_OVERLAP);
    CHECK_INT(r->events[2].parent, 1);
    CHECK_INT(r->events[3].parent, 1);
    CHECK_STR(text_of(r, 4), "elsewhere");
    CHECK(r->events[4].flags & MT_PROF_F_ASYNC);
    CHECK_INT(r->events[4].self, 0);
    CHECK_INT(r->events[5].parent, -1);
    CHECK(r->events[6].flags & MT_PROF_F_UNFINISHED);
    CHECK_INT(r->events[6].end, r->duration);
    check_sound(r);

    /* The session is over: its scope ends into the void, and not into the next session. */
    mt_prof_session *next = mt_prof_session_start(0);
    run_op("op", false);
    mt_prof_scope_end(late);
    mt_prof_session_stop(next);
    CHECK_INT(mt_prof_session_results(next)->nevents, 1);
    mt_prof_session_free(s);
    mt_prof_session_free(next);
    mt_prof_scope_end(late);
}

static void
test_merging(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark a = mt_prof_op_begin(name("aten::to"), -1),
                 b = mt_prof_op_begin(name("aten::to"), -1);
    mt_prof_mark c = mt_prof_op_begin(name("aten::to"), -1);
    run_op("aten::copy_", true);
    mt_prof_op_end(c);
    mt_prof_op_end(b);
    mt_prof_op_end(a);
    a = mt_prof_op_begin(name("aten::sum"), -1);
    run_op("aten::sum", true);
    run_op("aten::sum", true);
    mt_prof_op_end(a);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    const mt_prof_event *e = r->events;
    CHECK(!(e[0].flags & MT_PROF_F_MERGED));
    CHECK(e[1].flags & MT_PROF_F_MERGED && e[2].flags & MT_PROF_F_MERGED);
    CHECK(!(e[5].flags & MT_PROF_F_MERGED)); /* two children of that name: they stay */

    mt_prof_row *rows;
    int64_t n;
    CHECK_INT(mt_prof_average(r, 0, NULL, 0, &rows, &n), 0);
    CHECK_INT(n, 3);
    CHECK_INT(rows[0].count, 1);
    CHECK_INT(rows[0].total, e[0].end - e[0].begin);
    CHECK_INT(rows[0].self, e[0].self + e[1].self + e[2].self);
    CHECK_INT(rows[2].count, 3);
    CHECK_INT(rows[2].kernels, 2);
    free(rows);
    mt_prof_session_free(s);
}

static void
test_backward(void)
{
    uint32_t add = name("AddBackward0"), acc = name("torch::autograd::AccumulateGrad");
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark outer = mt_prof_op_begin(name("aten::outer"), 3);
    mt_prof_mark inner = mt_prof_op_begin(name("aten::inner"), 3);
    mt_prof_op_end(inner);
    mt_prof_op_end(outer);
    for (int known = 0; known < 2; known++) {
        mt_prof_mark node = mt_prof_node_begin(add, 3, known ? mt_prof_thread_number() : 0);
        run_op("aten::hook", false);
        mt_prof_node_apply_begin(node);
        run_op("aten::mul", true);
        mt_prof_node_apply_end(node);
        run_op("aten::after", false);
        mt_prof_node_end(node);
    }
    mt_prof_mark node = mt_prof_node_begin(acc, -1, 0);
    mt_prof_node_apply_begin(node);
    mt_prof_node_apply_end(node);
    mt_prof_node_end(node);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 14);
    for (int first = 2; first <= 7; first += 5) {
        const mt_prof_event *e = &r->events[first];
        CHECK_STR(text_of(r, first), "autograd::engine::evaluate_function: AddBackward0");
        CHECK_STR(text_of(r, first + 1), "aten::hook");
        CHECK_STR(text_of(r, first + 2), "AddBackward0");
        CHECK_INT(e[1].parent, first);
        CHECK_INT(e[2].parent, first);
        CHECK_INT(e[3].parent, first + 2);
        CHECK_INT(e[4].parent, first);
        CHECK_INT(e[0].forward, 1); /* the innermost */
        CHECK_INT(e[2].forward, 1);
        CHECK_INT(e[2].forward_thread, mt_prof_thread_number());
        CHECK_INT(e[2].sequence, 3);
    }
    CHECK_STR(text_of(r, 13), "torch::autograd::AccumulateGrad");
    CHECK_INT(r->events[13].parent, 12);
    CHECK_INT(r->events[13].forward, -1);
    check_sound(r);
    mt_prof_session_free(s);
}

static void
test_kernels(void)
{
    uint32_t pack = name("pack"), tile = name("tile");
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark op = mt_prof_op_begin(name("aten::mm"), -1);
    mt_prof_kernel_end(mt_prof_kernel_begin(op, pack));
    for (int i = 0; i < 2; i++)
        mt_prof_kernel_end(mt_prof_kernel_begin(op, tile));
    mt_prof_op_end(op);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 1);
    CHECK_STR(r->labels[r->events[0].kernel_name].text, "pack");
    CHECK_INT(r->nkernels, 2);
    CHECK_INT(r->kernels[0].event, 0);
    CHECK_STR(r->labels[r->kernels[1].name].text, "tile");
    CHECK(r->kernels[0].begin >= r->events[0].kernel_end);
    CHECK(r->kernels[1].begin >= r->kernels[0].end && r->kernels[1].end <= r->events[0].end);
    mt_prof_session_free(s);
}

/* ---- threads ---- */

static int go_pipe[2], done_pipe[2];

static void *
worker(void *count)
{
    char c;
    (void)mt_prof_thread_number();
    while (read(go_pipe[0], &c, 1) == 1 && c == 'g') {
        for (int i = 0; i < *(int *)count; i++)
            run_op("aten::worker", true);
        if (write(done_pipe[1], "d", 1) != 1)
            break;
    }
    return NULL;
}

static void
test_threads(void)
{
    pthread_t threads[3];
    int count = 3000;
    char c;
    CHECK(pipe(go_pipe) == 0 && pipe(done_pipe) == 0);
    for (int t = 0; t < 3; t++) /* these exist before the session */
        pthread_create(&threads[t], NULL, worker, &count);
    mt_prof_session *s = mt_prof_session_start(0);
    CHECK(write(go_pipe[1], "ggg", 3) == 3);
    for (int i = 0; i < 1000; i++)
        run_op("aten::main", false);
    for (int t = 0; t < 3; t++)
        CHECK(read(done_pipe[0], &c, 1) == 1);
    CHECK(write(go_pipe[1], "qqq", 3) == 3); /* the threads end before the session does */
    for (int t = 0; t < 3; t++)
        pthread_join(threads[t], NULL);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 10000);
    CHECK(r->nthreads >= 2 && r->nthreads <= 4);
    int64_t of_main = 0;
    for (int64_t i = 0; i < r->nevents; i++)
        of_main += !strcmp(text_of(r, i), "aten::main") &&
                   r->threads[r->events[i].thread].number == mt_prof_thread_number();
    CHECK_INT(of_main, 1000);
    check_sound(r);
    mt_prof_session_free(s);
    for (int i = 0; i < 2; i++) {
        close(go_pipe[i]);
        close(done_pipe[i]);
    }
}

static void
test_many(void)
{
    enum { N = 150000 };
    mt_prof_session *s = mt_prof_session_start(0);
    uint32_t id = name("aten::many");
    for (int i = 0; i < N; i++)
        mt_prof_op_end(mt_prof_op_begin(id, i));
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, N);
    bool in_order = true;
    for (int64_t i = 0; i < r->nevents; i++)
        in_order &= r->events[i].sequence == i;
    CHECK(in_order);
    check_sound(r);
    mt_prof_session_free(s);
}

static void
test_pause_and_steps(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    CHECK_INT(mt_prof_session_step(s, 4), 0);
    mt_prof_mark open = mt_prof_op_begin(name("aten::open"), -1);
    mt_prof_session_pause(s, true);
    CHECK_INT(mt_prof_flags(), 0);
    mt_prof_op_end(open);
    mt_prof_session_pause(s, false);
    CHECK_INT(mt_prof_flags(), MT_PROF_OPS);
    CHECK_INT(mt_prof_session_step(s, 5), 0);
    run_op("aten::later", false);
    mt_prof_session_stop(s);
    mt_prof_session_pause(s, false);
    CHECK_INT(mt_prof_flags(), 0);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 2);
    CHECK(!(r->events[0].flags & MT_PROF_F_UNFINISHED));
    CHECK_INT(r->nsteps, 2);
    CHECK_INT(r->steps[1].step, 5);
    CHECK(r->steps[0].time <= r->events[0].begin && r->steps[1].time <= r->events[1].begin);
    CHECK(r->steps[1].time >= r->events[0].end);
    mt_prof_session_free(s);
}

static void
test_memory(void)
{
    void *before = mt_alloc(1000);
    mt_prof_session *s = mt_prof_session_start(MT_PROF_MEMORY);
    mt_prof_mark outer = mt_prof_op_begin(name("aten::outer"), -1);
    void *a = mt_alloc(64);
    mt_prof_mark inner = mt_prof_op_begin(name("aten::inner"), -1);
    void *b = mt_alloc(256);
    mt_prof_op_end(inner);
    mt_free(a, 64);
    mt_prof_op_end(outer);
    mt_free(before, 1000);
    mt_prof_session_stop(s);
    mt_free(b, 256);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 2);
    CHECK_INT(r->nallocs, 4);
    CHECK_INT(r->memory[0], 256);
    CHECK_INT(r->memory[1], 256);
    CHECK_INT(r->memory[2 + 0], 0);
    CHECK_INT(r->memory[2 + 1], 256);
    CHECK_INT(r->allocs[0].event, 0);
    CHECK_INT(r->allocs[1].event, 1);
    CHECK_INT(r->allocs[3].event, -1);
    CHECK_INT(r->allocs[3].bytes, -1000);
    CHECK_INT(r->allocs[0].address, (uintptr_t)a);
    CHECK_INT(r->allocs[1].allocated, r->allocated + 64 + 256);
    CHECK_INT(r->allocs[3].allocated, r->allocated + 256 - 1000);
    mt_prof_session_free(s);
}

/* ---- inputs ---- */

static mt_tensor
tensor(mt_dtype dtype, int ndim, int64_t *sizes, int64_t *strides)
{
    return (mt_tensor){
        .dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim, .sizes = sizes, .strides = strides};
}

static void
test_inputs(void)
{
    int64_t sizes[2] = {2, 3}, strides[2] = {3, 1}, ints[3] = {0, -1, 7}, many[31] = {0};
    double floats[2] = {2.0, 0.1}, complex[2] = {1.0, -2.0};
    mt_tensor t = tensor(MT_FLOAT32, 2, sizes, strides), u = tensor(MT_BFLOAT16, 0, NULL, NULL);
    mt_tensor *list[3] = {&t, NULL, &u};
    mt_value values[] = {mt_v_tensor(&t),       mt_v_none(),        mt_v_tensors(list, 3),
                         mt_v_int(-4),          mt_v_float(1e300),  mt_v_bool(true),
                         mt_v_complex(complex), mt_v_ints(ints, 3), mt_v_floats(floats, 2),
                         mt_v_ints(many, 31),   mt_v_str("floor"),  mt_v_dtype(MT_FLOAT64),
                         mt_v_tensor(&u)};
    static const char *const types[] = {"float",  "",       "TensorList",   "Scalar",     "Scalar",
                                        "Scalar", "Scalar", "ScalarList",   "ScalarList", "",
                                        "",       "Scalar", "c10::BFloat16"};
    static const char *const texts[] = {"",
                                        "",
                                        "",
                                        "-4",
                                        "1.0000000000000001e+300",
                                        "True",
                                        "1.-2.j",
                                        "[0, -1, 7]",
                                        "[2., 0.10000000000000001]",
                                        "",
                                        "",
                                        "7",
                                        ""};
    mt_prof_session *s = mt_prof_session_start(MT_PROF_SHAPES);
    for (int i = 0; i < 3000; i++) { /* more side data than the first chunk holds */
        mt_prof_mark op = mt_prof_op_begin(name("aten::x"), -1);
        mt_prof_op_inputs(op, values, i == 2999 ? (int)MT_COUNT(values) : 1 + i % 2);
        mt_prof_op_end(op);
    }
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 3000);
    const mt_prof_side *side = r->events[2999].side;
    CHECK_INT(side->count, MT_COUNT(values));
    uint32_t at = 0;
    for (size_t i = 0; i < MT_COUNT(values); i++) {
        char text[MT_PROF_TEXT_LIMIT];
        mt_prof_input in = mt_prof_input_next(side->words, &at);
        CHECK_STR(mt_prof_input_type(&in), types[i]);
        text[mt_prof_input_text(&in, text)] = 0;
        CHECK_STR(text, texts[i]);
        if (i == 2)
            CHECK_INT(in.count, 3);
    }
    CHECK_INT(at, side->nwords);
    at = 0;
    mt_prof_input first = mt_prof_input_next(side->words, &at);
    CHECK(first.ndim == 2 && first.payload[1] == 3 && first.payload[2] == 3 &&
          first.payload[3] == 1);

    mt_prof_row *rows;
    int64_t n;
    CHECK_INT(mt_prof_average(r, MT_PROF_BY_SHAPES, NULL, 0, &rows, &n), 0);
    CHECK_INT(n, 3); /* one input, two inputs, all */
    CHECK_INT(rows[0].count, 1500);
    CHECK_INT(rows[1].count, 1499);
    free(rows);
    CHECK_INT(mt_prof_average(r, 0, NULL, 0, &rows, &n), 0);
    CHECK_INT(n, 1);
    free(rows);
    mt_prof_session_free(s);
}

static int64_t
flops_of(const char *op, const mt_value *values, int count)
{
    mt_prof_session *s = mt_prof_session_start(MT_PROF_SHAPES);
    mt_prof_mark mark = mt_prof_op_begin(name(op), -1);
    mt_prof_op_inputs(mark, values, count);
    mt_prof_op_end(mark);
    mt_prof_session_stop(s);
    int64_t n = mt_prof_flops(mt_prof_session_results(s), 0);
    mt_prof_session_free(s);
    return n;
}

static void
test_flops(void)
{
    int64_t d[4][4] = {{3, 4}, {4, 5}, {2, 4, 10, 12}, {8, 2, 3, 3}},
            b[2][3] = {{2, 3, 4}, {2, 4, 5}};
    int64_t stride[2] = {2, 3}, padding[2] = {1, 2}, one[1] = {1};
    mt_tensor m = tensor(MT_FLOAT32, 2, d[0], d[0]), n = tensor(MT_FLOAT32, 2, d[1], d[1]);
    mt_tensor x = tensor(MT_FLOAT32, 4, d[2], d[2]), w = tensor(MT_FLOAT32, 4, d[3], d[3]);
    mt_tensor p = tensor(MT_FLOAT32, 3, b[0], b[0]), q = tensor(MT_FLOAT32, 3, b[1], b[1]);
    mt_value mm[] = {mt_v_tensor(&m), mt_v_tensor(&n)}, bmm[] = {mt_v_tensor(&p), mt_v_tensor(&q)};
    mt_value addmm[] = {mt_v_none(), mm[0], mm[1]}, baddbmm[] = {mt_v_none(), bmm[0], bmm[1]};
    mt_value conv[] = {mt_v_tensor(&x),       mt_v_tensor(&w),   mt_v_none(), mt_v_ints(stride, 2),
                       mt_v_ints(padding, 2), mt_v_ints(one, 1), mt_v_int(2)};
    CHECK_INT(flops_of("aten::mm", mm, 2), 120);
    CHECK_INT(flops_of("aten::addmm", addmm, 3), 120);
    CHECK_INT(flops_of("aten::bmm", bmm, 2), 240);
    CHECK_INT(flops_of("aten::baddbmm", baddbmm, 3), 240);
    CHECK_INT(flops_of("aten::mul", mm, 2), 12);
    CHECK_INT(flops_of("aten::add", mm + 1, 1), 20);
    CHECK_INT(flops_of("aten::conv2d", conv, 7), 2 * 2 * 5 * 5 * 8 * 2 * 9);
    CHECK_INT(flops_of("aten::mm", bmm, 2), 0);
    CHECK_INT(flops_of("aten::conv2d", conv, 5), 0);
    CHECK_INT(flops_of("aten::relu", mm, 1), 0);
}

static uint32_t
stack_hook(void)
{
    static uint32_t calls;
    return calls++ % 3; /* 0 is "none" */
}

static void
test_stacks(void)
{
    static const uint32_t class[3] = {0, 1, 1};
    mt_prof_stack_hook = stack_hook;
    mt_prof_session *s = mt_prof_session_start(MT_PROF_STACKS | MT_PROF_SHAPES);
    mt_value v = mt_v_int(1);
    for (int i = 0; i < 6; i++) {
        mt_prof_mark op = mt_prof_op_begin(name("aten::x"), -1);
        if (i == 4)
            mt_prof_attach_keywords(op, 77);
        mt_prof_op_inputs(op, &v, 1); /* keeps what is there */
        mt_prof_op_end(op);
    }
    mt_prof_session_stop(s);
    mt_prof_stack_hook = NULL;
    const mt_prof_results *r = mt_prof_session_results(s);
    for (int i = 0; i < 6; i++) {
        CHECK_INT(mt_prof_event_stack(r, i), i % 3);
        CHECK_INT(r->events[i].side->keywords, i == 4 ? 77 : 0);
        CHECK_INT(r->events[i].side->count, 1);
    }
    mt_prof_row *rows;
    int64_t n;
    CHECK_INT(mt_prof_average(r, 0, class, 3, &rows, &n), 0);
    CHECK_INT(n, 2);
    CHECK_INT(rows[1].count, 4);
    free(rows);
    mt_prof_session_free(s);
}

/* ---- the trace ---- */

typedef struct text {
    char *bytes;
    size_t length;
    int64_t calls, fail_at;
} text;

static int
append(void *context, const char *bytes, size_t length)
{
    text *t = context;
    if (++t->calls == t->fail_at)
        return mt_fail(MT_OS, "disk full");
    char *grown = realloc(t->bytes, t->length + length + 1);
    if (!grown)
        return -1;
    memcpy(grown + t->length, bytes, length);
    t->bytes = grown;
    t->length += length;
    t->bytes[t->length] = 0;
    return 0;
}

static int
occurrences(const char *in, const char *what)
{
    int n = 0;
    for (const char *p = in; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void
test_trace(void)
{
    mt_prof_session *s = mt_prof_session_start(MT_PROF_MEMORY);
    mt_prof_session_step(s, 0);
    mt_prof_mark op = mt_prof_op_begin(name("aten::add"), 5);
    void *block = mt_alloc(128);
    mt_prof_kernel_end(mt_prof_kernel_begin(op, 0));
    mt_prof_op_end(op);
    mt_prof_mark node = mt_prof_node_begin(name("AddBackward0"), 5, 0);
    mt_prof_node_apply_begin(node);
    mt_prof_node_apply_end(node);
    mt_prof_node_end(node);
    static const char odd[] =
        "quote \" back \\ line \n nul \0 bad \xff sur \xed\xa0\x80 ok \xc3\xa9";
    mt_prof_scope_end(mt_prof_scope_begin(mt_prof_scope_name(odd, sizeof odd - 1)));
    char *huge = malloc(20000);
    memset(huge, 'h', 20000);
    mt_prof_scope_end(mt_prof_scope_begin(mt_prof_scope_name(huge, 20000)));
    free(huge);
    mt_prof_session_stop(s);
    mt_free(block, 128);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 5);
    mt_prof_trace_options options = {.head = "\"head\":1, ",
                                     .tail = ",\n{\"tail\":1}",
                                     .runtime_events = true,
                                     .flow_name = "fwdbwd"};
    text out = {0};
    CHECK_INT(mt_prof_export_trace(r, &options, append, &out), 0);
    CHECK(!strncmp(out.bytes, "{\n\"head\":1, ", 12));
    CHECK(strstr(out.bytes,
                 "\"traceEvents\":[\n{\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":\"aten::add\""));
    CHECK_INT(occurrences(out.bytes, "\"cat\":\"runtime\""), 1);
    CHECK_INT(occurrences(out.bytes, "\"cat\":\"op\""), 2);
    CHECK_INT(occurrences(out.bytes, "\"cat\":\"fwdbwd\""), 2);
    CHECK_INT(occurrences(out.bytes, "\"name\":\"[memory]\""), 1);
    CHECK_INT(occurrences(out.bytes, "\"cpu_memory_allocated_delta\":128"), 1);
    CHECK(strstr(
        out.bytes,
        "\"quote \\\" back \\\\ line \\u000a nul \\u0000 bad \\ufffd sur \\ud800 ok \xc3\xa9\""));
    CHECK(strstr(out.bytes, "{\"tail\":1}\n]}\n"));
    free(out.bytes);

    options.runtime_events = false;
    out = (text){0};
    CHECK_INT(mt_prof_export_trace(r, &options, append, &out), 0);
    CHECK_INT(occurrences(out.bytes, "\"cat\":\"runtime\"") +
                  occurrences(out.bytes, "\"cat\":\"op\""),
              0);
    free(out.bytes);
    out = (text){.fail_at = 1};
    CHECK_INT(mt_prof_export_trace(r, &options, append, &out), -1);
    CHECK_INT(mt_error(NULL), MT_OS);
    free(out.bytes);
    mt_prof_session_free(s);
}

static void
test_averages(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    for (int i = 0; i < 4; i++) {
        char step[32];
        snprintf(step, sizeof step, "ProfilerStep#%d", i);
        mt_prof_mark mark = scope(step);
        mt_prof_op_end(
            mt_prof_op_begin(mt_prof_name("aten::add", i % 2 ? "Tensor" : "Scalar"), -1));
        mt_prof_scope_end(mark);
    }
    mt_prof_scope_end(scope("aten::add")); /* a scope of an operator's name has a row of its own */
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    mt_prof_row *rows;
    int64_t n;
    CHECK_INT(mt_prof_average(r, 0, NULL, 0, &rows, &n), 0);
    CHECK_INT(n, 3);
    CHECK_INT(rows[0].count, 4);
    CHECK_INT(rows[1].count, 4);
    CHECK_INT(rows[2].count, 1);
    int64_t self = 0;
    for (int64_t i = 0; i < r->nevents; i++)
        self += r->events[i].self;
    CHECK_INT(rows[0].self + rows[1].self + rows[2].self, self);
    free(rows);
    CHECK_INT(mt_prof_average(r, MT_PROF_BY_OVERLOAD, NULL, 0, &rows, &n), 0);
    CHECK_INT(n, 4);
    free(rows);
    mt_prof_session_free(s);
}

/* Durations against the system's clock. */
static void
test_clock(void)
{
    struct timespec from, to, pause = {0, 30000000};
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark op = mt_prof_op_begin(name("aten::sleep"), -1);
    clock_gettime(CLOCK_MONOTONIC, &from);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    mt_prof_op_end(op);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    int64_t expected = (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
    int64_t got = r->events[0].end - r->events[0].begin;
    CHECK(got > expected - 20000 && got < expected + 5000000);
    CHECK(llabs(r->start_clock + r->events[0].begin -
                ((int64_t)from.tv_sec * 1000000000 + from.tv_nsec)) < 5000000);
    CHECK(r->start_unix > INT64_C(1600000000) * 1000000000);
    mt_prof_session_free(s);
}

static void
test_fork(void)
{
    mt_prof_session *s = mt_prof_session_start(0);
    mt_prof_mark mark = scope("around");
    run_op("aten::before", false);
    pid_t child = fork();
    if (child == 0) {
        bool well = mt_prof_flags() == 0;
        run_op("aten::child", false);
        mt_prof_scope_end(mark);
        mt_prof_session_stop(s);
        const mt_prof_results *r = mt_prof_session_results(s);
        well &= r && r->nevents == 2;
        mt_prof_session *own = mt_prof_session_start(0);
        well &= own != NULL;
        run_op("aten::child", true);
        mt_prof_session_stop(own);
        well &= mt_prof_session_results(own)->nevents == 1;
        _exit(well ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    run_op("aten::after", false);
    mt_prof_scope_end(mark);
    mt_prof_session_stop(s);
    const mt_prof_results *r = mt_prof_session_results(s);
    CHECK_INT(r->nevents, 3);
    CHECK_INT(r->events[2].parent, 0);
    mt_prof_session_free(s);
}

int
main(void)
{
    mt_prof_init();
    mt_prof_prepare();
    test_names();
    test_off();
    test_nesting();
    test_scopes();
    test_merging();
    test_backward();
    test_kernels();
    test_threads();
    test_many();
    test_pause_and_steps();
    test_memory();
    test_inputs();
    test_stacks();
    test_flops();
    test_trace();
    test_averages();
    test_clock();
    test_fork();
    return check_done();
}
