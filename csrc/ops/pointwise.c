/* The driver of elementwise operators; see pointwise.h. */
#include "ops/pointwise.h"

#include "base/error.h"
#include "base/pool.h"
#include "tensor/iter.h"

/* ---- promotion ---------------------------------------------------------------------------- */

static mt_dtype
promote_or(mt_dtype a, mt_dtype b)
{
    if (a == MT_DTYPE_NONE)
        return b;
    if (b == MT_DTYPE_NONE || a == b)
        return a;
    mt_dtype r = mt_promote(a, b);
    if (r == MT_DTYPE_NONE)
        mt_fail(MT_RUNTIME, "Promotion for %s and %s is not supported, attempted to promote %s and %s",
                "uint16, uint32, uint64 types", "other types", mt_dtypes[a].scalar_name,
                mt_dtypes[b].scalar_name);
    return r;
}

/* Results of three ranks: tensors with dimensions, 0-dim tensors, numbers. A lower rank decides
 * only when its category is higher. */
static mt_dtype
combine(mt_dtype higher, mt_dtype lower)
{
    if (lower == MT_DTYPE_NONE)
        return higher;
    if (higher == MT_DTYPE_NONE)
        return lower;
    if (mt_is_complex(higher))
        return higher;
    if (mt_is_floating(higher)) {
        if (mt_is_complex(lower))
            return mt_dtypes[higher].to_complex;
        return higher;
    }
    if (higher == MT_BOOL || mt_is_floating(lower) || mt_is_complex(lower))
        return promote_or(higher, lower);
    return higher;
}

mt_dtype
mt_result_type(const mt_value *values, const uint8_t *which, int n)
{
    mt_dtype rank[3] = {MT_DTYPE_NONE, MT_DTYPE_NONE, MT_DTYPE_NONE};
    for (int k = 0; k < n; k++) {
        const mt_value *v = &values[which ? which[k] : k];
        mt_dtype d;
        int r = 2;
        if (v->tag == MT_V_TENSOR) {
            d = (mt_dtype)v->u.t->dtype;
            if (mt_is_wrapped(v->u.t)) {
                if (mt_is_complex(d))
                    d = mt_default_complex_dtype();
                else if (mt_is_floating(d))
                    d = mt_default_dtype;
            } else
                r = v->u.t->ndim > 0 ? 0 : 1;
        } else if (v->tag == MT_V_BOOL)
            d = MT_BOOL;
        else if (v->tag == MT_V_INT)
            d = MT_INT64;
        else if (v->tag == MT_V_FLOAT)
            d = mt_default_dtype;
        else if (v->tag == MT_V_COMPLEX)
            d = mt_default_complex_dtype();
        else
            continue;
        if (rank[r] == MT_DTYPE_NONE)
            rank[r] = d;
        else if (rank[r] != d) {
            mt_dtype p = promote_or(rank[r], d);
            if (p == MT_DTYPE_NONE)
                return p;
            rank[r] = p;
        }
    }
    return combine(rank[0], combine(rank[1], rank[2]));
}

/* ---- output strides ----------------------------------------------------------------------- */

bool
mt_elementwise_strides(mt_tensor *const *operands, int n, int ndim, const int64_t *sizes,
                       int64_t *strides)
{
    /* operands of the full shape that all share one packed layout decide at once */
    bool all_contiguous = true, all_last = true, same = true;
    const mt_tensor *first = NULL;
    for (int k = 0; k < n; k++) {
        const mt_tensor *t = operands[k];
        if (t->ndim != ndim || memcmp(t->sizes, sizes, (size_t)ndim * sizeof(int64_t))) {
            all_contiguous = all_last = same = false;
            break;
        }
        all_contiguous &= (t->flags & MT_T_CONTIGUOUS) != 0;
        all_last &= (t->flags & (MT_T_CHANNELS_LAST | MT_T_CHANNELS_LAST_3D)) != 0;
        if (!(t->flags & MT_T_DENSE))
            same = false;
        else if (!first)
            first = t;
        else if (same && !mt_same_strides(first, t))
            same = false;
    }
    if (all_contiguous)
        return true;
    if (same && first) {
        memcpy(strides, first->strides, (size_t)ndim * sizeof(int64_t));
        return false;
    }
    (void)all_last;
    if (ndim <= 1)
        return true;
    /* else: the order of dimensions that the strides of the operands, taken in turn, agree on */
    int64_t st[MT_ITER_OPERANDS][MT_MAX_DIMS];
    for (int k = 0; k < n; k++) {
        const mt_tensor *t = operands[k];
        for (int d = 0; d < ndim; d++) {
            int own = d - (ndim - t->ndim);
            st[k][d] = own < 0 || (t->sizes[own] == 1 && sizes[d] != 1)
                           ? 0
                           : t->strides[own] * mt_itemsize(t);
        }
    }
    int perm[MT_MAX_DIMS];
    for (int i = 0; i < ndim; i++)
        perm[i] = ndim - 1 - i;
    for (int i = 1; i < ndim; i++) {
        int dim1 = i;
        for (int dim0 = i - 1; dim0 >= 0; dim0--) {
            int c = 0;
            for (int k = 0; k < n && !c; k++) {
                int64_t a = st[k][perm[dim0]], b = st[k][perm[dim1]];
                if (a == 0 || b == 0)
                    continue;
                if (a < b)
                    c = -1;
                else if (a > b || sizes[perm[dim0]] > sizes[perm[dim1]])
                    c = 1;
            }
            if (c > 0) {
                int t = perm[dim0];
                perm[dim0] = perm[dim1];
                perm[dim1] = t;
                dim1 = dim0;
            } else if (c < 0)
                break;
        }
    }
    bool natural = true;
    int64_t step = 1;
    for (int i = 0; i < ndim; i++) {
        natural &= perm[i] == ndim - 1 - i;
        strides[perm[i]] = step;
        step *= MT_MAX(sizes[perm[i]], 1);
    }
    return natural;
}

/* ---- meta --------------------------------------------------------------------------------- */

mt_loop
mt_pick_loop(const mt_loop *const loops[MT_NUM_ISAS], mt_dtype dtype)
{
    for (int isa = (int)mt_cpu_isa(); isa >= 0; isa--)
        if (loops[isa] && loops[isa][dtype])
            return loops[isa][dtype];
    return NULL;
}

static mt_dtype
result_of(const mt_pointwise *pw, mt_dtype compute)
{
    if (pw->result != MT_DTYPE_NONE)
        return (mt_dtype)pw->result;
    if (pw->promote == MT_PROMOTE_TO_BOOL)
        return MT_BOOL;
    if (pw->promote == MT_PROMOTE_COMPLEX_TO_FLOAT && mt_is_complex(compute))
        return mt_dtypes[compute].to_real;
    return compute;
}

static MT_NOINLINE int
wrong_dtype(const mt_pointwise *pw, mt_dtype dtype)
{
    return mt_fail(MT_NOT_IMPLEMENTED, "\"%s\" not implemented for '%s'", pw->kernel_name,
                   mt_dtypes[dtype].scalar_name);
}

/* Device of the operands; a 0-dim CPU tensor goes with any. */
static int
common_device(mt_tensor *const *operands, int n, mt_device *device)
{
    *device = operands[0]->device;
    for (int k = 1; k < n; k++) {
        mt_device d = operands[k]->device;
        if (MT_LIKELY(d.type == device->type))
            continue;
        if (operands[k]->ndim == 0 && d.type == MT_CPU)
            continue;
        bool first_weak = true;
        for (int j = 0; j < k; j++)
            first_weak &= operands[j]->ndim == 0 && operands[j]->device.type == MT_CPU;
        if (first_weak) {
            *device = d;
            continue;
        }
        return mt_fail(MT_RUNTIME,
                       "Expected all tensors to be on the same device, but found at least two "
                       "devices, %s and %s!",
                       mt_device_str(*device), mt_device_str(d));
    }
    return 0;
}

int
mt_pointwise_meta(mt_call *call)
{
    const mt_pointwise *pw = call->op->spec;
    mt_tensor *in[6];
    int n = 0;
    bool simple = true; /* tensors only, one dtype, one shape, contiguous */
    for (int k = 0; k < pw->ninputs; k++) {
        const mt_value *v = &call->args[pw->inputs[k]];
        if (MT_UNLIKELY(v->tag != MT_V_TENSOR)) {
            simple = false;
            continue;
        }
        mt_tensor *t = v->u.t;
        if (n && (t->dtype != in[0]->dtype || !mt_same_shape(t, in[0]) ||
                  t->device.type != in[0]->device.type))
            simple = false;
        if (!(t->flags & MT_T_CONTIGUOUS) || t->flags & MT_T_WRAPPED_NUMBER)
            simple = false;
        in[n++] = t;
    }
    if (MT_UNLIKELY(n == 0))
        return mt_fail(MT_RUNTIME, "%s expects at least one tensor", call->op->name);
    mt_dtype common;
    if (MT_UNLIKELY(pw->npromote)) {
        common = mt_result_type(call->args, pw->promote_with, pw->npromote);
        if (common == MT_DTYPE_NONE)
            return -1;
        simple = false;
    } else if (simple || pw->promote == MT_PROMOTE_NONE) {
        common = (mt_dtype)in[0]->dtype;
        if (!simple)
            for (int k = 1; k < n; k++)
                if (in[k]->dtype != common && !mt_is_wrapped(in[k]))
                    return mt_fail(MT_RUNTIME, "expected scalar type %s but found %s",
                                   mt_dtypes[common].scalar_name,
                                   mt_dtypes[in[k]->dtype].scalar_name);
    } else {
        common = mt_result_type(call->args, pw->inputs, pw->ninputs);
        if (common == MT_DTYPE_NONE)
            return -1;
    }
    if (pw->promote == MT_PROMOTE_INT_TO_FLOAT && mt_is_integral(common, true))
        common = mt_default_dtype;
    else if (pw->promote == MT_PROMOTE_BOOL_TO_LONG && common == MT_BOOL)
        common = MT_INT64;
    if (MT_UNLIKELY(pw->check != NULL) && pw->check(call, common) < 0)
        return -1;
    if (MT_UNLIKELY(!(pw->dtypes >> common & 1)))
        return wrong_dtype(pw, common);
    call->dtype = (uint8_t)common;
    mt_dtype result = result_of(pw, common);
    int rc = 0;
    if (MT_LIKELY(simple)) {
        for (int i = 0; i < pw->nouts && rc == 0; i++)
            rc = mt_set_output(call, i, in[0]->ndim, in[0]->sizes, NULL, result, in[0]->device);
        return rc;
    }
    int64_t sizes[MT_MAX_DIMS], strides[MT_MAX_DIMS];
    int ndim = in[0]->ndim;
    memcpy(sizes, in[0]->sizes, (size_t)ndim * sizeof(int64_t));
    for (int k = 1; k < n; k++)
        if ((ndim = mt_broadcast(sizes, ndim, in[k]->sizes, in[k]->ndim)) < 0)
            return -1;
    mt_device device;
    if (common_device(in, n, &device) < 0)
        return -1;
    bool contiguous = mt_elementwise_strides(in, n, ndim, sizes, strides);
    for (int i = 0; i < pw->nouts && rc == 0; i++)
        rc = mt_set_output(call, i, ndim, sizes, contiguous ? NULL : strides, result, device);
    return rc;
}

/* ---- impl --------------------------------------------------------------------------------- */

#define BLOCK 512 /* elements of a buffer */

typedef struct walk {
    mt_loop loop;
    const mt_param *params;
    int nouts, noperands;
    size_t compute_size; /* of an input as the loop reads it */
    size_t sizes[6];     /* of each operand's own elements */
    mt_convert convert[6]; /* input dtype to compute dtype, NULL when equal */
    int64_t packed[6];     /* byte stride of a packed operand as the loop sees it */
} walk;

/* One run: pointers and strides of every operand. */
static void
run(void *ctx, char **ptrs, const int64_t *strides, int64_t n)
{
    const walk *w = ctx;
    bool direct = true;
    for (int k = 0; k < w->noperands; k++)
        if (strides[k] != w->packed[k] || w->convert[k])
            direct = false;
    if (direct) {
        w->loop((void *const *)ptrs, n, w->params);
        return;
    }
    char buffers[6][BLOCK * 16] __attribute__((aligned(64)));
    char raw[BLOCK * 16] __attribute__((aligned(64)));
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t m = MT_MIN(n - at, BLOCK);
        void *args[6];
        for (int k = 0; k < w->noperands; k++) {
            char *p = ptrs[k] + at * strides[k];
            if (strides[k] == w->packed[k] && !w->convert[k]) {
                args[k] = p;
                continue;
            }
            args[k] = buffers[k];
            if (k < w->nouts)
                continue;
            if (strides[k] == 0) { /* a broadcast operand is filled once for the whole run */
                if (at == 0) {
                    int64_t fill = MT_MIN(n, BLOCK);
                    if (w->convert[k]) {
                        w->convert[k](raw, p, 1);
                        mt_gather(buffers[k], raw, 0, fill, w->compute_size);
                    } else
                        mt_gather(buffers[k], p, 0, fill, w->sizes[k]);
                }
            } else if (w->convert[k]) {
                if (strides[k] == (int64_t)w->sizes[k])
                    w->convert[k](buffers[k], p, m);
                else {
                    mt_gather(raw, p, strides[k], m, w->sizes[k]);
                    w->convert[k](buffers[k], raw, m);
                }
            } else
                mt_gather(buffers[k], p, strides[k], m, w->sizes[k]);
        }
        w->loop((void *const *)args, m, w->params);
        for (int k = 0; k < w->nouts; k++)
            if (args[k] == buffers[k])
                mt_scatter(ptrs[k] + at * strides[k], strides[k], buffers[k], m, w->sizes[k]);
    }
}

typedef struct flat {
    mt_loop loop;
    const mt_param *params;
    int noperands;
    char *data[6];
    int64_t sizes[6];
} flat;

static void
run_flat(void *ctx, int64_t begin, int64_t end)
{
    const flat *f = ctx;
    void *ptrs[6];
    for (int k = 0; k < f->noperands; k++)
        ptrs[k] = f->data[k] + begin * f->sizes[k];
    f->loop(ptrs, end - begin, f->params);
}

static void
read_params(const mt_pointwise *pw, const mt_value *args, mt_param *params)
{
    for (int k = 0; k < pw->nparams; k++) {
        mt_value v = args[pw->params[k]];
        if (MT_LIKELY(v.tag == MT_V_INT)) {
            params[k] = (mt_param){(double)v.u.i, 0, v.u.i};
            continue;
        }
        params[k] = v.tag == MT_V_STR
                        ? (mt_param){0, 0, 0}
                        : (mt_param){mt_scalar_f64(v), mt_scalar_imag(v), mt_scalar_i64(v)};
        if (v.tag == MT_V_STR) /* a choice: 0 for "none" */
            params[k] = (mt_param){0, 0, strcmp(v.u.s, "none") != 0};
        if (v.tag == MT_V_NONE) /* left out: not a number, which no kernel acts on */
            params[k] = (mt_param){__builtin_nan(""), 0, 0};
    }
}

/* Whether reading t along the last dimension takes a cache line for each element, and along another
 * one would not: then a copy in tiles is cheaper than gathering. */
static bool
lies_across(const mt_tensor *t, const mt_tensor *out)
{
    enum { LINE = 64, LONG = 16, LARGE = 4096 };
    if (out->numel < LARGE || t->numel != out->numel || !mt_is_contiguous(out) ||
        t->strides[t->ndim - 1] * mt_itemsize(t) < LINE)
        return false;
    for (int d = 0; d < t->ndim - 1; d++)
        if (t->strides[d] == 1 && t->sizes[d] >= LONG)
            return true;
    return false;
}

/* Operands that are not in the loop's form: broadcast, strided, of other dtypes, or numbers. */
static MT_NOINLINE int
general(mt_call *call, const mt_pointwise *pw, mt_loop loop, const mt_param *params)
{
    mt_tensor *operands[6] = {0}, *made[6] = {0};
    mt_dtype compute = (mt_dtype)call->dtype;
    walk w = {.loop = loop, .params = params, .nouts = pw->nouts,
              .noperands = pw->nouts + pw->ninputs, .compute_size = mt_dtype_size(compute)};
    int rc = -1;
    for (int i = 0; i < pw->nouts; i++) {
        operands[i] = mt_out(call, i);
        w.sizes[i] = (size_t)mt_itemsize(operands[i]);
        w.packed[i] = (int64_t)w.sizes[i];
    }
    for (int k = 0; k < pw->ninputs; k++) {
        const mt_value *v = &call->args[pw->inputs[k]];
        int at = pw->nouts + k;
        if (v->tag == MT_V_TENSOR) {
            operands[at] = v->u.t;
            if (lies_across(operands[at], operands[0]) &&
                !(operands[at] = made[at] = mt_contiguous_data(operands[at], true)))
                goto done;
        } else if (!(operands[at] = made[at] = mt_wrap_scalar(*v)))
            goto done;
        w.sizes[at] = (size_t)mt_itemsize(operands[at]);
        w.packed[at] = (int64_t)w.compute_size;
        if (operands[at]->dtype != compute)
            w.convert[at] = mt_converter(compute, (mt_dtype)operands[at]->dtype);
    }
    mt_iter it;
    mt_iter_init(&it, w.noperands, operands, operands[0]->ndim, operands[0]->sizes);
    mt_iter_simplify(&it);
    mt_iter_run(&it, run, &w, MT_GRAIN);
    rc = 0;
done:
    for (int k = 0; k < 6; k++)
        mt_xrelease(made[k]);
    return rc;
}

#define FEW 64 /* elements up to which a number among the operands is written out by the caller */

/* One element of any dtype as `count` packed ones of the compute dtype. */
static void
spread(void *to, const mt_tensor *t, mt_dtype compute, int64_t count)
{
    char one[16];
    const void *from = mt_data(t);
    if (t->dtype != compute) {
        mt_converter(compute, (mt_dtype)t->dtype)(one, from, 1);
        from = one;
    }
    mt_gather(to, from, 0, count, mt_dtype_size(compute));
}

int
mt_pointwise_impl(mt_call *call)
{
    const mt_pointwise *pw = call->op->spec;
    mt_dtype compute = (mt_dtype)call->dtype;
    mt_tensor *out = mt_out(call, 0);
    int64_t numel = out->numel;
    if (MT_UNLIKELY(numel == 0))
        return 0;
    mt_loop loop = mt_pick_loop(pw->loops, compute);
    mt_param params[6];
    read_params(pw, call->args, params);
    flat f;
    f.loop = loop;
    f.params = params;
    f.noperands = pw->nouts + pw->ninputs;
    int64_t size = (int64_t)mt_dtype_size(compute);
    char room[2][FEW * 16] __attribute__((aligned(64)));
    int rooms = 0;
    for (int i = 0; i < pw->nouts; i++) {
        mt_tensor *t = mt_out(call, i);
        if (!mt_is_contiguous(t))
            return general(call, pw, loop, params);
        f.data[i] = mt_data(t);
        f.sizes[i] = mt_itemsize(t);
    }
    for (int k = 0; k < pw->ninputs; k++) {
        const mt_value *v = &call->args[pw->inputs[k]];
        if (MT_UNLIKELY(v->tag != MT_V_TENSOR))
            return general(call, pw, loop, params);
        const mt_tensor *t = v->u.t;
        if (MT_LIKELY(t->dtype == compute && t->numel == numel && mt_is_contiguous(t)))
            f.data[pw->nouts + k] = mt_data(t);
        else if (t->numel == 1 && numel <= FEW && rooms < 2) {
            spread(room[rooms], t, compute, numel);
            f.data[pw->nouts + k] = room[rooms++];
        } else
            return general(call, pw, loop, params);
        f.sizes[pw->nouts + k] = size;
    }
    if (MT_LIKELY(numel <= MT_GRAIN))
        loop((void *const *)f.data, numel, params);
    else
        mt_parallel_for(numel, MT_GRAIN, run_flat, &f);
    return 0;
}
