/* Connectionist temporal classification (Graves et al., 2006).
 *
 * The target with blanks around its labels has 2 L + 1 states. alpha[t][s] is the log probability of
 * all paths through the first t + 1 steps that end in state s; beta the same from the end. */
#include <math.h>

#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef struct plan {
    int64_t steps, batch, classes, longest, states; /* states: of the longest target */
    const int64_t *input_lengths, *target_lengths, *targets;
    int64_t target_stride;                          /* between targets; 0: one after the other */
    int64_t blank;
    const double *log_probs;
} plan;

static double
log_add(double a, double b)
{
    if (a == -INFINITY)
        return b;
    if (b == -INFINITY)
        return a;
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

static const int64_t *
target_of(const plan *p, int64_t n)
{
    if (p->target_stride)
        return p->targets + n * p->target_stride;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        at += p->target_lengths[i];
    return p->targets + at;
}

static int64_t
label_of(const plan *p, const int64_t *target, int64_t state)
{
    return state % 2 ? target[state / 2] : p->blank;
}

static double
log_prob(const plan *p, int64_t t, int64_t n, int64_t label)
{
    return p->log_probs[(t * p->batch + n) * p->classes + label];
}

/* Whether a path may go from state s - 2 to s: not over a blank between two equal labels. */
static bool
skips(const plan *p, const int64_t *target, int64_t s)
{
    return s >= 2 && s % 2 && label_of(p, target, s) != label_of(p, target, s - 2);
}

static double
run_alpha(const plan *p, int64_t n, double *alpha)
{
    const int64_t *target = target_of(p, n);
    int64_t states = 2 * p->target_lengths[n] + 1, steps = p->input_lengths[n];
    for (int64_t i = 0; i < p->steps * p->states; i++)
        alpha[i] = -INFINITY;
    if (steps == 0)
        return p->target_lengths[n] == 0 ? 0 : INFINITY;
    for (int64_t s = 0; s < MT_MIN(2, states); s++)
        alpha[s] = log_prob(p, 0, n, label_of(p, target, s));
    for (int64_t t = 1; t < steps; t++)
        for (int64_t s = 0; s < states; s++) {
            const double *before = alpha + (t - 1) * p->states;
            double sum = before[s];
            if (s > 0)
                sum = log_add(sum, before[s - 1]);
            if (skips(p, target, s))
                sum = log_add(sum, before[s - 2]);
            alpha[t * p->states + s] = sum + log_prob(p, t, n, label_of(p, target, s));
        }
    const double *last = alpha + (steps - 1) * p->states;
    double sum = last[states - 1];
    if (states > 1)
        sum = log_add(sum, last[states - 2]);
    return -sum;
}

static void
run_gradient(const plan *p, int64_t n, const double *alpha, double loss, double by, double *beta, double *grad)
{
    const int64_t *target = target_of(p, n);
    int64_t states = 2 * p->target_lengths[n] + 1, steps = p->input_lengths[n];
    for (int64_t t = steps - 1; t >= 0; t--) {
        double *row = beta + t % 2 * p->states, *after = beta + (t + 1) % 2 * p->states;
        double *g = grad + (t * p->batch + n) * p->classes;
        for (int64_t c = 0; c < p->classes; c++)
            g[c] = -INFINITY;
        for (int64_t s = states - 1; s >= 0; s--) {
            int64_t label = label_of(p, target, s);
            double sum;
            if (t == steps - 1)
                sum = s >= states - 2 ? 0 : -INFINITY;
            else {
                sum = after[s];
                if (s + 1 < states)
                    sum = log_add(sum, after[s + 1]);
                if (s + 2 < states && skips(p, target, s + 2))
                    sum = log_add(sum, after[s + 2]);
            }
            row[s] = sum + log_prob(p, t, n, label);
            g[label] = log_add(g[label], alpha[t * p->states + s] + row[s]);
        }
        for (int64_t c = 0; c < p->classes; c++) {
            double lp = log_prob(p, t, n, c);
            g[c] = (exp(lp) - exp(g[c] + loss - lp)) * by;
        }
    }
}

/* ---- preparing ---------------------------------------------------------------------------- */

static int
make_plan(plan *p, const mt_tensor *log_probs, const mt_tensor *targets, const int64_t *input_lengths,
          int64_t in, const int64_t *target_lengths, int64_t tn, int64_t blank)
{
    memset(p, 0, sizeof *p);
    if (log_probs->ndim != 3)
        return mt_fail(MT_RUNTIME, "Expected 3-dimensional tensor, but got %d-dimensional tensor for argument #1 "
                                   "'log_probs' (while checking arguments for ctc_loss_allocate_outputs)",
                       log_probs->ndim);
    p->steps = log_probs->sizes[0];
    p->batch = log_probs->sizes[1];
    p->classes = log_probs->sizes[2];
    p->blank = blank;
    if (blank < 0 || blank >= p->classes)
        return mt_fail(MT_RUNTIME, "blank must be in label range");
    if (in != p->batch)
        return mt_fail(MT_RUNTIME, "input_lengths must be of size batch_size");
    if (tn != p->batch)
        return mt_fail(MT_RUNTIME, "target_lengths must be of size batch_size");
    int64_t total = 0;
    for (int64_t n = 0; n < p->batch; n++) {
        if (target_lengths[n] < 0)
            return mt_fail(MT_RUNTIME, "Expected target_lengths to have value at least 0, but got value %lld (while "
                                       "checking arguments for ctc_loss_allocate_outputs)",
                           (long long)target_lengths[n]);
        if (input_lengths[n] < 0 || input_lengths[n] > p->steps)
            return mt_fail(MT_RUNTIME, "Expected input_lengths to have value at %s %lld, but got value %lld (while "
                                       "checking arguments for ctc_loss_allocate_outputs)",
                           input_lengths[n] < 0 ? "least" : "most", input_lengths[n] < 0 ? 0LL : (long long)p->steps,
                           (long long)input_lengths[n]);
        total += target_lengths[n];
        p->longest = MT_MAX(p->longest, target_lengths[n]);
    }
    if (targets->ndim == 1 && targets->numel != total)
        return mt_fail(MT_RUNTIME, "Expected tensor to have size %lld at dimension 0, but got size %lld for argument #2 "
                                   "'targets' (while checking arguments for ctc_loss_allocate_outputs)",
                       (long long)total, (long long)targets->numel);
    if (targets->ndim == 2 && (targets->sizes[0] != p->batch || targets->sizes[1] < p->longest))
        return mt_fail(MT_RUNTIME, "Expected tensor to have size at least %lld at dimension 1, but got size %lld for "
                                   "argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)",
                       (long long)p->longest, (long long)targets->sizes[1]);
    if (targets->ndim != 1 && targets->ndim != 2)
        return mt_fail(MT_RUNTIME, "targets must be 1-D or 2-D");
    p->target_stride = targets->ndim == 2 ? MT_MAX(targets->sizes[1], 1) : 0;
    p->states = 2 * p->longest + 1;
    p->input_lengths = input_lengths;
    p->target_lengths = target_lengths;
    return 0;
}

/* Numbers that the loops read; false with the error set. Released by the caller. */
static bool
load(plan *p, mt_tensor *log_probs, mt_tensor *targets, mt_tensor **probs, mt_tensor **labels)
{
    if (!mt_is_floating((mt_dtype)log_probs->dtype) || mt_is_half((mt_dtype)log_probs->dtype)) {
        mt_fail(MT_NOT_IMPLEMENTED, "\"ctc_loss_cpu\" not implemented for '%s'", mt_dtypes[log_probs->dtype].scalar_name);
        return false;
    }
    *probs = mt_empty(3, log_probs->sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE);
    *labels = mt_empty(targets->ndim, targets->sizes, NULL, MT_INT64, MT_CPU_DEVICE);
    if (!*probs || !*labels || mt_copy_data(*probs, log_probs) < 0 || mt_copy_data(*labels, targets) < 0)
        return false;
    p->log_probs = mt_data(*probs);
    p->targets = mt_data(*labels);
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t k = 0; k < p->target_lengths[n]; k++) {
            int64_t label = target_of(p, n)[k];
            if (label < 0 || label >= p->classes) {
                mt_fail(MT_RUNTIME, "ctc_loss: targets must be in range [0, num_classes)");
                return false;
            }
        }
    return true;
}

int
op__ctc_loss(mt_tensor *log_probs, mt_tensor *targets, const int64_t *input_lengths, int64_t in,
             const int64_t *target_lengths, int64_t tn, int64_t blank, bool zero_infinity,
             mt_tensor **ret0, mt_tensor **ret1)
{
    (void)zero_infinity;
    plan p;
    mt_tensor *probs = NULL, *labels = NULL, *loss = NULL, *alpha = NULL;
    if (make_plan(&p, log_probs, targets, input_lengths, in, target_lengths, tn, blank) < 0)
        return -1;
    int64_t sizes[3] = {p.batch, p.steps, p.states};
    int rc = -1;
    *ret0 = *ret1 = NULL;
    if (load(&p, log_probs, targets, &probs, &labels) && (loss = mt_empty(1, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE)) &&
        (alpha = mt_empty(3, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE))) {
        for (int64_t n = 0; n < p.batch; n++)
            ((double *)mt_data(loss))[n] = run_alpha(&p, n, (double *)mt_data(alpha) + n * p.steps * p.states);
        mt_dtype dtype = (mt_dtype)log_probs->dtype;
        if ((*ret0 = aten_to_dtype(loss, dtype, false, false, MT_FORMAT_NONE)) &&
            (*ret1 = aten_to_dtype(alpha, dtype, false, false, MT_FORMAT_NONE)))
            rc = 0;
    }
    mt_xrelease(probs);
    mt_xrelease(labels);
    mt_xrelease(loss);
    mt_xrelease(alpha);
    return rc;
}

mt_tensor *
op__ctc_loss_backward(mt_tensor *grad, mt_tensor *log_probs, mt_tensor *targets,
                      const int64_t *input_lengths, int64_t in, const int64_t *target_lengths,
                      int64_t tn, mt_tensor *neg_log_likelihood, mt_tensor *log_alpha, int64_t blank,
                      bool zero_infinity)
{
    (void)log_alpha; /* found again in float64 */
    plan p;
    mt_tensor *probs = NULL, *labels = NULL, *alpha = NULL, *beta = NULL, *out = NULL, *by = NULL, *r = NULL;
    if (make_plan(&p, log_probs, targets, input_lengths, in, target_lengths, tn, blank) < 0)
        return NULL;
    int64_t sizes[2] = {p.steps, p.states}, two[2] = {2, p.states};
    if (!load(&p, log_probs, targets, &probs, &labels) || !(alpha = mt_empty(2, sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE)) ||
        !(beta = mt_empty(2, two, NULL, MT_FLOAT64, MT_CPU_DEVICE)) ||
        !(out = mt_empty(3, log_probs->sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE)) || mt_fill_data(out, mt_v_int(0)) < 0 ||
        !(by = mt_empty(1, neg_log_likelihood->sizes, NULL, MT_FLOAT64, MT_CPU_DEVICE)) || mt_copy_data(by, grad) < 0)
        goto done;
    for (int64_t n = 0; n < p.batch; n++) {
        double loss = run_alpha(&p, n, mt_data(alpha));
        if (zero_infinity && loss == INFINITY)
            continue;
        run_gradient(&p, n, mt_data(alpha), loss, ((const double *)mt_data(by))[n], mt_data(beta), mt_data(out));
    }
    r = aten_to_dtype(out, (mt_dtype)log_probs->dtype, false, false, MT_FORMAT_NONE);
done:;
    mt_tensor *made[] = {probs, labels, alpha, beta, out, by};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

/* ---- the loss ----------------------------------------------------------------------------- */

mt_tensor *
op_ctc_loss_IntList(mt_tensor *log_probs, mt_tensor *targets, const int64_t *input_lengths, int64_t in,
                    const int64_t *target_lengths, int64_t tn, int64_t blank, int64_t reduction,
                    bool zero_infinity)
{
    bool single = log_probs->ndim == 2;
    int64_t line = -1;
    mt_tensor *lp = single ? aten_unsqueeze(log_probs, 1) : mt_keep(log_probs), *t = mt_keep(targets), *loss = NULL;
    mt_tensor *alpha = NULL, *r = NULL, *lengths = NULL, *each = NULL, *part = NULL;
    if (lp && single && targets->ndim != 1) {
        mt_release(t);
        t = aten_reshape(targets, &line, 1);
    }
    if (!lp || !t || aten__ctc_loss(lp, t, input_lengths, in, target_lengths, tn, blank, zero_infinity, &loss, &alpha) < 0)
        goto done;
    if (zero_infinity) {
        mt_tensor *inf = mt_wrap_scalar(mt_v_float(INFINITY)), *is = inf ? aten_eq_Tensor(loss, inf) : NULL;
        mt_tensor *z = is ? aten_masked_fill_Scalar(loss, is, mt_v_int(0)) : NULL;
        mt_xrelease(inf);
        mt_xrelease(is);
        mt_release(loss);
        if (!(loss = z))
            goto done;
    }
    if (reduction == 1) { /* each loss is divided by the length of its target */
        if (!(lengths = mt_empty(1, &tn, NULL, MT_INT64, MT_CPU_DEVICE)))
            goto done;
        for (int64_t i = 0; i < tn; i++)
            ((int64_t *)mt_data(lengths))[i] = MT_MAX(target_lengths[i], 1);
        each = aten_to_dtype(lengths, (mt_dtype)loss->dtype, false, false, MT_FORMAT_NONE);
        part = each ? aten_div_Tensor(loss, each) : NULL;
        r = part ? aten_mean(part, MT_DTYPE_NONE) : NULL;
    } else if (reduction == 2)
        r = aten_sum(loss, MT_DTYPE_NONE);
    else
        r = single ? aten_squeeze_dim(loss, 0) : mt_keep(loss);
done:;
    mt_tensor *made[] = {lp, t, loss, alpha, lengths, each, part};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

mt_tensor *
op_ctc_loss_Tensor(mt_tensor *log_probs, mt_tensor *targets, mt_tensor *input_lengths,
                   mt_tensor *target_lengths, int64_t blank, int64_t reduction, bool zero_infinity)
{
    if (!mt_is_integral((mt_dtype)input_lengths->dtype, false))
        return mt_fail_null(MT_RUNTIME, "input_lengths must be integral");
    if (!mt_is_integral((mt_dtype)target_lengths->dtype, false))
        return mt_fail_null(MT_RUNTIME, "target_lengths must be integral");
    mt_tensor *a = mt_empty(input_lengths->ndim, input_lengths->sizes, NULL, MT_INT64, MT_CPU_DEVICE);
    mt_tensor *b = mt_empty(target_lengths->ndim, target_lengths->sizes, NULL, MT_INT64, MT_CPU_DEVICE), *r = NULL;
    if (a && b && mt_copy_data(a, input_lengths) == 0 && mt_copy_data(b, target_lengths) == 0)
        r = aten_ctc_loss_IntList(log_probs, targets, mt_data(a), a->numel, mt_data(b), b->numel, blank, reduction,
                                  zero_infinity);
    mt_xrelease(a);
    mt_xrelease(b);
    return r;
}
