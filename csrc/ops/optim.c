/* Fused optimizer steps: parameters, gradients and states pass through the caches once.
 *
 * The elements of all parameters are cut into blocks by the shapes alone and the blocks are shared
 * out, so many small parameters fill the threads as well as one large one, and the bits do not
 * depend on their number. Half types are computed in float, a short piece at a time. Arrays that do
 * not share their parameter's layout go through packed copies.
 *
 * Versions of what was written go up, as they do where the same step is made of single operators. */
#include <math.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/pool.h"
#include "dispatch/op.h"
#include "kernels/convert.h"
#include "kernels/optim.h"
#include "ops_gen.h"
#include "tensor/copy.h"

#define PIECE 512 /* elements of a half type that are computed at a time */

/* One parameter with its gradient and states, ready for a kernel. */
typedef struct item {
    mt_step step;
    void *arrays[MT_STEP_ARRAYS];
    int64_t numel, first_block;
    mt_tensor *given[MT_STEP_ARRAYS], *packed[MT_STEP_ARRAYS]; /* packed: owned, or NULL */
} item;

typedef struct job {
    item *items;
    int64_t count;
    mt_dtype dtype;
    mt_step_kernel kernel;
    mt_convert widen, narrow; /* of half types, else NULL */
} job;

static void
run_halves(const job *j, const item *it, int64_t at, int64_t n)
{
    float rows[MT_STEP_ARRAYS][PIECE];
    for (int64_t done = 0; done < n; done += PIECE) {
        int64_t m = MT_MIN(n - done, (int64_t)PIECE);
        void *arrays[MT_STEP_ARRAYS];
        for (int k = 0; k < MT_STEP_ARRAYS; k++) {
            arrays[k] = it->arrays[k] ? rows[k] : NULL;
            if (it->arrays[k])
                j->widen(rows[k], (uint16_t *)it->arrays[k] + at + done, m);
        }
        j->kernel(&it->step, arrays, m);
        for (int k = 0; k < MT_STEP_ARRAYS; k++)
            if (it->arrays[k] && (k != 1 || it->step.scale != 0))
                j->narrow((uint16_t *)it->arrays[k] + at + done, rows[k], m);
    }
}

static void
run_blocks(void *ctx, int64_t begin, int64_t end)
{
    const job *j = ctx;
    size_t size = (size_t)mt_dtypes[j->dtype].size;
    int64_t lo = 0, hi = j->count - 1;
    while (lo < hi) { /* the item in which block `begin` lies */
        int64_t middle = (lo + hi + 1) / 2;
        if (j->items[middle].first_block <= begin)
            lo = middle;
        else
            hi = middle - 1;
    }
    for (int64_t b = begin; b < end; b++) {
        while (lo + 1 < j->count && j->items[lo + 1].first_block <= b)
            lo++;
        const item *it = &j->items[lo];
        int64_t at = (b - it->first_block) * MT_GRAIN, n = MT_MIN(it->numel - at, (int64_t)MT_GRAIN);
        if (n <= 0)
            continue;
        if (j->widen) {
            run_halves(j, it, at, n);
            continue;
        }
        void *arrays[MT_STEP_ARRAYS];
        for (int k = 0; k < MT_STEP_ARRAYS; k++)
            arrays[k] = it->arrays[k] ? (char *)it->arrays[k] + (size_t)at * size : NULL;
        j->kernel(&it->step, arrays, n);
    }
}

/* Where the elements lie in the order of the parameter's; a packed copy if they do not. */
static int
place(item *it, int k, mt_dtype dtype)
{
    mt_tensor *t = it->given[k], *param = it->given[0];
    if (!t)
        return 0;
    if (t->dtype != dtype)
        return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s", mt_dtypes[dtype].scalar_name,
                       mt_dtypes[t->dtype].scalar_name);
    if (!mt_same_shape(t, param))
        return mt_fail(MT_RUNTIME, "Expected tensors of one shape in a fused step, got %s and %s",
                       mt_shape_str(param), mt_shape_str(t));
    bool dense = param->flags & (MT_T_DENSE | MT_T_CONTIGUOUS);
    if (dense ? mt_same_strides(t, param) || (mt_is_contiguous(t) && mt_is_contiguous(param))
              : mt_is_contiguous(t)) {
        it->arrays[k] = mt_data(t);
        return 0;
    }
    if (dense && !mt_is_contiguous(param)) {
        it->packed[k] = mt_empty(param->ndim, param->sizes, param->strides, dtype, MT_CPU_DEVICE);
        if (!it->packed[k] || mt_copy_data(it->packed[k], t) < 0)
            return -1;
    } else if (!(it->packed[k] = mt_contiguous_data(t, true)))
        return -1;
    it->arrays[k] = mt_data(it->packed[k]);
    return 0;
}

static int
run_items(item *items, int64_t count, const char *name)
{
    mt_dtype dtype = (mt_dtype)items[0].given[0]->dtype;
    if (!mt_is_floating(dtype))
        return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", name,
                       mt_dtypes[dtype].scalar_name);
    bool half = dtype == MT_FLOAT16 || dtype == MT_BFLOAT16;
    job j = {.items = items, .count = count, .dtype = dtype};
    j.kernel = dtype == MT_FLOAT64 ? mt_step_kernel_f64(items[0].step.kind)
                                   : mt_step_kernel_f32(items[0].step.kind);
    if (half) {
        j.widen = mt_converter(MT_FLOAT32, dtype);
        j.narrow = mt_converter(dtype, MT_FLOAT32);
    }
    int64_t blocks = 0, total = 0;
    for (int64_t i = 0; i < count; i++) {
        item *it = &items[i];
        for (int k = 0; k < MT_STEP_ARRAYS; k++)
            if (place(it, k, dtype) < 0)
                return -1;
        it->numel = it->given[0]->numel;
        it->first_block = blocks;
        total += it->numel;
        blocks += (it->numel + MT_GRAIN - 1) / MT_GRAIN;
    }
    /* little work in many parameters is not worth a second thread */
    mt_parallel_for(blocks, total <= MT_GRAIN ? MT_MAX(blocks, (int64_t)1) : 1, run_blocks, &j);
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < MT_STEP_ARRAYS; k++) {
            if (!items[i].given[k] || (k == 1 && items[i].step.scale == 0))
                continue;
            if (items[i].packed[k] && mt_copy_data(items[i].given[k], items[i].packed[k]) < 0)
                return -1;
            mt_bump_version(items[i].given[k]);
        }
    return 0;
}

static double
number_in(mt_tensor *t)
{
    double v = 0;
    mt_tensor *d = mt_empty(0, NULL, NULL, MT_FLOAT64, MT_CPU_DEVICE);
    if (d) {
        mt_tensor *flat = t->ndim ? mt_alias(t, t->offset, 0, NULL, NULL) : mt_keep(t);
        if (flat && mt_copy_data(d, flat) == 0)
            v = *(double *)mt_data(d);
        mt_xrelease(flat);
        mt_release(d);
    }
    return v;
}

/* What a gradient scaler gives: true where the step is to be left out. */
static bool
scaled(mt_step *s, mt_tensor *grad_scale, mt_tensor *found_inf)
{
    if (found_inf && number_in(found_inf) == 1.0)
        return true;
    s->scale = grad_scale ? number_in(grad_scale) : 0;
    return false;
}

static int
expect(const char *what, int64_t n, int64_t params)
{
    if (n == params)
        return 0;
    return mt_fail(MT_RUNTIME,
                   "Expected %s.size() == n_tensors to be true, but got false.  (Could this error "
                   "message be improved?  If so, please report an enhancement request to PyTorch.)",
                   what);
}

typedef struct lists {
    mt_tensor *const *of[MT_STEP_ARRAYS]; /* NULL: unused */
    mt_tensor *const *steps;              /* Adam, Adagrad: 0-dim counters */
} lists;

static int
run_step(const mt_step *common, const lists *l, int64_t n, double lr_decay, const char *name)
{
    if (n == 0)
        return mt_fail(MT_NOT_IMPLEMENTED,
                       "There were no tensor arguments to this function (e.g., you passed an empty list "
                       "of Tensors), but no fallback function is registered for schema aten::%s.",
                       name);
    item *items = mt_alloc((size_t)n * sizeof *items);
    if (!items)
        return -1;
    memset(items, 0, (size_t)n * sizeof *items);
    for (int64_t i = 0; i < n; i++) {
        items[i].step = *common;
        for (int k = 0; k < MT_STEP_ARRAYS; k++)
            items[i].given[k] = l->of[k] ? l->of[k][i] : NULL;
        mt_step *s = &items[i].step;
        if (s->kind == MT_STEP_ADAM) {
            double t = number_in(l->steps[i]);
            s->step_size = s->lr / (1 - pow(s->beta1, t));
            s->correction = sqrt(1 - pow(s->beta2, t));
        } else if (s->kind == MT_STEP_ADAGRAD)
            s->lr = s->lr / (1 + (number_in(l->steps[i]) - 1) * lr_decay);
    }
    static const char *const kernels[] = {"fused_sgd_kernel", "fused_adam_kernel",
                                          "fused_adagrad_kernel"};
    int rc = run_items(items, n, kernels[common->kind]);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < MT_STEP_ARRAYS; k++)
            mt_xrelease(items[i].packed[k]);
    mt_free(items, (size_t)n * sizeof *items);
    return rc;
}

/* ---- the operators ------------------------------------------------------------------------ */

int
op__fused_sgd_(mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads, int64_t grads_n,
               mt_tensor *const *momentum_buffer_list, int64_t momentum_buffer_list_n,
               double weight_decay, double momentum, double lr, double dampening, bool nesterov,
               bool maximize, bool is_first_step, mt_tensor *grad_scale, mt_tensor *found_inf)
{
    mt_step s = {.kind = MT_STEP_SGD, .maximize = maximize, .nesterov = nesterov,
                 .first = is_first_step, .lr = lr, .weight_decay = weight_decay,
                 .momentum = momentum, .dampening = dampening};
    if (scaled(&s, grad_scale, found_inf))
        return 0;
    if (expect("grads", grads_n, self_n) < 0 ||
        (momentum != 0 && expect("momentum_buffer_list", momentum_buffer_list_n, self_n) < 0))
        return -1;
    lists l = {{self, grads, momentum != 0 ? momentum_buffer_list : NULL}, NULL};
    return run_step(&s, &l, self_n, 0, "_fused_sgd_");
}

static int
adam(mt_tensor *const *self, int64_t n, mt_tensor *const *grads, int64_t grads_n,
     mt_tensor *const *mean, int64_t mean_n, mt_tensor *const *square, int64_t square_n,
     mt_tensor *const *largest, int64_t largest_n, mt_tensor *const *steps, int64_t steps_n,
     mt_step s, mt_tensor *grad_scale, mt_tensor *found_inf, const char *name)
{
    s.kind = MT_STEP_ADAM;
    if (scaled(&s, grad_scale, found_inf))
        return 0;
    if (expect("grads", grads_n, n) < 0 || expect("exp_avgs", mean_n, n) < 0 ||
        expect("exp_avg_sqs", square_n, n) < 0 ||
        (s.amsgrad && expect("max_exp_avg_sqs", largest_n, n) < 0) ||
        expect("state_steps", steps_n, n) < 0)
        return -1;
    lists l = {{self, grads, mean, square, s.amsgrad ? largest : NULL}, steps};
    return run_step(&s, &l, n, 0, name);
}

#define ADAM(name, is_decoupled)                                                                   \
    int op__fused_##name##_(                                                                       \
        mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads, int64_t grads_n,          \
        mt_tensor *const *exp_avgs, int64_t exp_avgs_n, mt_tensor *const *exp_avg_sqs,             \
        int64_t exp_avg_sqs_n, mt_tensor *const *max_exp_avg_sqs, int64_t max_exp_avg_sqs_n,       \
        mt_tensor *const *state_steps, int64_t state_steps_n, double lr, double beta1,             \
        double beta2, double weight_decay, double eps, bool amsgrad, bool maximize,                \
        mt_tensor *grad_scale, mt_tensor *found_inf)                                               \
    {                                                                                              \
        mt_step s = {.lr = lr, .beta1 = beta1, .beta2 = beta2, .weight_decay = weight_decay,       \
                     .eps = eps, .amsgrad = amsgrad, .maximize = maximize,                         \
                     .decoupled = is_decoupled};                                                   \
        return adam(self, self_n, grads, grads_n, exp_avgs, exp_avgs_n, exp_avg_sqs,               \
                    exp_avg_sqs_n, max_exp_avg_sqs, max_exp_avg_sqs_n, state_steps,                \
                    state_steps_n, s, grad_scale, found_inf, "_fused_" #name "_");                 \
    }                                                                                              \
    int op__fused_##name##__tensor_lr(                                                             \
        mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads, int64_t grads_n,          \
        mt_tensor *const *exp_avgs, int64_t exp_avgs_n, mt_tensor *const *exp_avg_sqs,             \
        int64_t exp_avg_sqs_n, mt_tensor *const *max_exp_avg_sqs, int64_t max_exp_avg_sqs_n,       \
        mt_tensor *const *state_steps, int64_t state_steps_n, mt_tensor *lr, double beta1,         \
        double beta2, double weight_decay, double eps, bool amsgrad, bool maximize,                \
        mt_tensor *grad_scale, mt_tensor *found_inf)                                               \
    {                                                                                              \
        return op__fused_##name##_(                                                                \
            self, self_n, grads, grads_n, exp_avgs, exp_avgs_n, exp_avg_sqs, exp_avg_sqs_n,        \
            max_exp_avg_sqs, max_exp_avg_sqs_n, state_steps, state_steps_n, number_in(lr), beta1,  \
            beta2, weight_decay, eps, amsgrad, maximize, grad_scale, found_inf);                   \
    }
ADAM(adam, false)
ADAM(adamw, true)

int
op__fused_sgd__tensor_lr(mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads,
                         int64_t grads_n, mt_tensor *const *momentum_buffer_list,
                         int64_t momentum_buffer_list_n, double weight_decay, double momentum,
                         mt_tensor *lr, double dampening, bool nesterov, bool maximize,
                         bool is_first_step, mt_tensor *grad_scale, mt_tensor *found_inf)
{
    return op__fused_sgd_(self, self_n, grads, grads_n, momentum_buffer_list,
                          momentum_buffer_list_n, weight_decay, momentum, number_in(lr), dampening,
                          nesterov, maximize, is_first_step, grad_scale, found_inf);
}

int
op__fused_adagrad_(mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads,
                   int64_t grads_n, mt_tensor *const *state_sums, int64_t state_sums_n,
                   mt_tensor *const *state_steps, int64_t state_steps_n, double lr,
                   double lr_decay, double weight_decay, double eps, bool maximize,
                   mt_tensor *grad_scale, mt_tensor *found_inf)
{
    mt_step s = {.kind = MT_STEP_ADAGRAD, .maximize = maximize, .lr = lr,
                 .weight_decay = weight_decay, .eps = eps};
    if (scaled(&s, grad_scale, found_inf))
        return 0;
    if (expect("grads", grads_n, self_n) < 0 || expect("state_sums", state_sums_n, self_n) < 0 ||
        expect("state_steps", state_steps_n, self_n) < 0)
        return -1;
    lists l = {{self, grads, state_sums}, state_steps};
    return run_step(&s, &l, self_n, lr_decay, "_fused_adagrad_");
}

int
op__fused_adagrad__tensor_lr(mt_tensor *const *self, int64_t self_n, mt_tensor *const *grads,
                             int64_t grads_n, mt_tensor *const *state_sums, int64_t state_sums_n,
                             mt_tensor *const *state_steps, int64_t state_steps_n, mt_tensor *lr,
                             double lr_decay, double weight_decay, double eps, bool maximize,
                             mt_tensor *grad_scale, mt_tensor *found_inf)
{
    return op__fused_adagrad_(self, self_n, grads, grads_n, state_sums, state_sums_n, state_steps,
                              state_steps_n, number_in(lr), lr_decay, weight_decay, eps, maximize,
                              grad_scale, found_inf);
}
