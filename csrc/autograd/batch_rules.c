/* What the families of operators do with a batch dimension in front.
 *
 * A rule rewrites the arguments of the call for the values (mt_batch.args) and dispatches once. The
 * table at the end names the family of every operator that is neither pointwise by its record nor a
 * composite; what it does not name runs as a loop. Arguments are known by their names in the schema:
 * `dim` counts dimensions, `size` lists them. */
#include <stdlib.h>

#include "autograd/formulas.h"
#include "autograd/vmap.h"
#include "base/error.h"
#include "ops_gen.h"

typedef int (*own_rule)(mt_batch *b);

typedef struct rule {
    const char *name; /* without "aten::" and the underscore of the in-place form */
    uint8_t kind;     /* mt_batch_rule */
    own_rule run;     /* MT_BATCH_OWN */
} rule;

/* ---- helpers ------------------------------------------------------------------------------ */

static int
go(mt_batch *b)
{
    return mt_dispatch(b->op, b->args, b->rets);
}

static int
give(mt_batch *b, mt_tensor *made)
{
    b->rets[0] = mt_v_tensor(made);
    return made ? 0 : -1;
}

static int64_t *
more_ints(mt_batch *b)
{
    return b->ints[b->nints++ % (int)MT_COUNT(b->ints)];
}

static int
argument(const mt_batch *b, const char *name)
{
    for (int i = 0; i < b->op->nargs; i++)
        if (!strcmp(b->op->args[i].name, name))
            return i;
    return -1;
}

/* A dimension of an example as one of the value. */
static int
shifted(int64_t dim, int rank, int64_t *found)
{
    int64_t n = MT_MAX(rank, 1);
    *found = 0;
    if (dim < -n || dim >= n)
        return mt_fail(MT_INDEX, "Dimension out of range (expected to be in range of [%lld, %lld], but "
                                 "got %lld)",
                       (long long)-n, (long long)n - 1, (long long)dim);
    *found = (dim < 0 ? dim + n : dim) + 1;
    return 0;
}

static bool
one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static const char *const dim_names[] = {"dim", "dim0", "dim1", "dim2", "dims", "dimension", NULL};
static const char *const size_names[] = {"size", "sizes", "input_sizes", "self_sizes", "shape", NULL};

/* The value of argument i with dimensions of one put behind the batch until an example has `rank`. */
static int
pad_rank(mt_batch *b, int i, int rank)
{
    mt_tensor *t = b->args[i].u.t;
    int have = mt_batch_rank(b, i);
    if (!b->batched[i] || have >= rank)
        return 0;
    int64_t sizes[MT_MAX_DIMS + 1];
    sizes[0] = t->sizes[0];
    for (int d = 0; d < rank - have; d++)
        sizes[1 + d] = 1;
    memcpy(sizes + 1 + rank - have, t->sizes + 1, have * sizeof(int64_t));
    b->args[i].u.t = mt_batch_hold(b, aten_reshape(t, sizes, rank + 1));
    return b->args[i].u.t ? 0 : -1;
}

static int
expand_all(mt_batch *b)
{
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR && mt_batch_expand(b, i) < 0)
            return -1;
    return 0;
}

/* ---- pointwise ---------------------------------------------------------------------------- */

static int
category(mt_dtype d)
{
    return mt_is_complex(d) ? 3 : mt_is_floating(d) ? 2 : d == MT_BOOL ? 0 : 1;
}

/* An example without dimensions is weak in type promotion; its value has one and would not be. */
static int
keep_promotion(mt_batch *b, int rank)
{
    mt_dtype strong = MT_DTYPE_NONE;
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR && mt_batch_rank(b, i) > 0) {
            mt_dtype d = (mt_dtype)b->args[i].u.t->dtype;
            if (strong == MT_DTYPE_NONE || category(d) > category(strong))
                strong = d;
        }
    if (rank == 0 || strong == MT_DTYPE_NONE)
        return 0;
    for (int i = 0; i < b->op->nargs; i++) {
        mt_value *v = &b->args[i];
        if (v->tag != MT_V_TENSOR || !b->batched[i] || mt_batch_rank(b, i) > 0 ||
            v->u.t->dtype == strong || category((mt_dtype)v->u.t->dtype) > category(strong) ||
            v->u.t->dtype == MT_BOOL)
            continue;
        v->u.t = mt_batch_hold(b, aten_to_dtype(v->u.t, strong, false, false, MT_FORMAT_NONE));
        if (!v->u.t)
            return -1;
    }
    return 0;
}

/* What the batch would be written into belongs to no example. */
static int
refuse_write(mt_batch *b)
{
    static const char *const arithmetic[] = {"add_", "sub_", "mul_", "div_", "masked_fill_", "copy_"};
    int64_t sizes[MT_MAX_DIMS + 1];
    for (size_t k = 0; k < MT_COUNT(arithmetic); k++) {
        if (strcmp(b->op->name + 6, arithmetic[k]))
            continue;
        if (k < 2) { /* addition writes as broadcasting says */
            const mt_tensor *self = b->args[0].u.t, *other = b->args[1].u.t;
            int ndim = self->ndim;
            memcpy(sizes, self->sizes, (size_t)ndim * sizeof *sizes);
            if (b->args[1].tag == MT_V_TENSOR &&
                (ndim = mt_broadcast(sizes, ndim, other->sizes, other->ndim)) >= 0)
                return mt_fail(MT_RUNTIME, "output with shape %s doesn't match the broadcast shape %s",
                               mt_shape_str(self), mt_str_ints(sizes, ndim));
        }
        return mt_vmap_refuse_write("inplace arithmetic", "in a vmap");
    }
    return mt_batch_loop(b);
}

static int
pointwise(mt_batch *b)
{
    int rank = 0;
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR)
            rank = MT_MAX(rank, mt_batch_rank(b, i));
    if (b->op->flags & MT_OP_INPLACE) {
        if (!b->batched[0])
            return refuse_write(b);
        rank = mt_batch_rank(b, 0);
    } else if (keep_promotion(b, rank) < 0)
        return -1;
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR && !(i == 0 && b->op->flags & MT_OP_INPLACE) &&
            pad_rank(b, i, rank) < 0)
            return -1;
    return go(b);
}

/* ---- dimensions --------------------------------------------------------------------------- */

/* Every `dim` one further, every `size` with the batch in front. */
static int
shift_arguments(mt_batch *b, int rank)
{
    const mt_op *op = b->op;
    for (int i = 0; i < op->nargs; i++) {
        mt_value *v = &b->args[i];
        const char *name = op->args[i].name;
        if (v->tag == MT_V_INT && one_of(name, dim_names)) {
            int64_t d = 0;
            if (shifted(v->u.i, rank, &d) < 0)
                return -1;
            *v = mt_v_int(d);
        } else if (v->tag == MT_V_INTS && one_of(name, dim_names)) {
            int64_t *dims = more_ints(b);
            for (uint32_t k = 0; k < v->len; k++)
                if (shifted(v->u.is[k], rank, &dims[k]) < 0)
                    return -1;
            *v = mt_v_ints(dims, v->len);
        } else if (v->tag == MT_V_INTS && one_of(name, size_names)) {
            int64_t *sizes = more_ints(b);
            sizes[0] = b->size;
            memcpy(sizes + 1, v->u.is, v->len * sizeof(int64_t));
            *v = mt_v_ints(sizes, v->len + 1);
        }
    }
    return 0;
}

static int
shift(mt_batch *b)
{
    int first = __builtin_ctz(b->op->tensor_mask), sizes = argument(b, "input_sizes");
    /* gradients of views count dimensions of what the view was taken from */
    int rank = sizes >= 0 ? (int)b->args[sizes].len : mt_batch_rank(b, first);
    if (rank == 0 && argument(b, "dim") >= 0)
        return mt_batch_loop(b);
    if (b->op->flags & MT_OP_INPLACE && !b->batched[0])
        return mt_batch_loop(b);
    if (expand_all(b) < 0 || shift_arguments(b, rank) < 0)
        return -1;
    return go(b);
}

/* The overload that takes `dim`, for a reduction of everything. */
static const mt_op *
along(const mt_op *op)
{
    static const struct { const char *name, *overload, *to, *to_overload; } table[] = {
        {"aten::sum", "", "aten::sum", "dim_IntList"}, {"aten::mean", "", "aten::mean", "dim"},
        {"aten::prod", "", "aten::prod", "dim_int"},   {"aten::any", "", "aten::any", "dim"},
        {"aten::all", "", "aten::all", "dim"},         {"aten::max", "", "aten::amax", ""},
        {"aten::min", "", "aten::amin", ""},           {"aten::median", "", "aten::median", "dim"},
        {"aten::nanmedian", "", "aten::nanmedian", "dim"},
        {"aten::norm", "Scalar", "aten::norm", "ScalarOpt_dim"},
        {"aten::norm", "ScalarOpt_dtype", "aten::norm", "ScalarOpt_dim_dtype"},
    };
    for (size_t k = 0; k < MT_COUNT(table); k++)
        if (!strcmp(op->name, table[k].name) && !strcmp(op->overload, table[k].overload))
            return mt_find_op(table[k].to, table[k].to_overload);
    return NULL;
}

static mt_tensor *
flat(mt_batch *b)
{
    int64_t sizes[2] = {b->size, -1};
    mt_tensor *t = b->args[0].u.t;
    if (t->numel == 0)
        sizes[1] = b->size ? 0 : 1;
    return mt_batch_hold(b, aten_reshape(t, sizes, 2));
}

static int
reduce_all(mt_batch *b, const mt_op *to)
{
    mt_value args[8];
    int64_t one = 1;
    mt_tensor *t = flat(b);
    if (!t)
        return -1;
    for (int i = 0; i < to->nargs; i++) {
        int same = argument(b, to->args[i].name);
        args[i] = i == 0                                  ? mt_v_tensor(t)
                  : !strcmp(to->args[i].name, "dim")      ? (to->args[i].type == MT_A_INTS ? mt_v_ints(&one, 1)
                                                                                           : mt_v_int(1))
                  : !strcmp(to->args[i].name, "keepdim")  ? mt_v_bool(false)
                  : same >= 0                             ? b->args[same]
                                                          : to->args[i].fallback;
    }
    mt_value rets[8] = {{0}};
    if (mt_dispatch(to, args, rets) < 0)
        return -1;
    b->rets[0] = rets[0];
    rets[0].tag = MT_V_NONE;
    mt_release_rets(to, rets);
    return 0;
}

static int
reduce(mt_batch *b)
{
    int at = argument(b, "dim"), rank = mt_batch_rank(b, 0);
    if (at < 0) {
        const mt_op *to = along(b->op);
        return to ? reduce_all(b, to) : mt_batch_loop(b);
    }
    if (rank == 0)
        return mt_batch_loop(b);
    mt_value *v = &b->args[at];
    bool all = v->tag == MT_V_NONE || (v->tag == MT_V_INTS && v->len == 0);
    if (all && b->op->args[at].type == MT_A_INTS) {
        int64_t *dims = more_ints(b);
        for (int d = 0; d < rank; d++)
            dims[d] = d + 1;
        *v = mt_v_ints(dims, rank);
        return go(b);
    }
    if (all)
        return mt_batch_loop(b);
    if (shift_arguments(b, rank) < 0)
        return -1;
    return go(b);
}

static int
join(mt_batch *b)
{
    int at = argument(b, "dim");
    mt_value *v = &b->args[0];
    int rank = 0;
    bool stack = !strcmp(b->op->name, "aten::stack");
    for (uint32_t k = 0; k < v->len; k++) {
        mt_tensor *given = b->call->args[0].u.ts[k], *t = v->u.ts[k];
        if (given->ndim == 1 && given->numel == 0 && !stack)
            return mt_batch_loop(b); /* PyTorch skips it whatever the others are */
        rank = MT_MAX(rank, given->ndim);
        if (given->batch_level == b->level && given->batch_dim == 0)
            continue;
        int64_t sizes[MT_MAX_DIMS + 1];
        sizes[0] = b->size;
        memcpy(sizes + 1, t->sizes, t->ndim * sizeof(int64_t));
        mt_tensor *made = aten_expand(t, sizes, t->ndim + 1, false);
        if (!made)
            return -1;
        v->u.ts[k] = made;
        mt_release(t);
    }
    int64_t d;
    if (shifted(b->args[at].u.i, rank + stack, &d) < 0)
        return -1;
    b->args[at] = mt_v_int(d);
    return go(b);
}

/* ---- views and sizes ---------------------------------------------------------------------- */

static int
rule_unsqueeze(mt_batch *b)
{
    int64_t d;
    if (shifted(b->args[1].u.i, mt_batch_rank(b, 0) + 1, &d) < 0)
        return -1;
    b->args[1] = mt_v_int(d);
    return go(b);
}

static int
rule_squeeze(mt_batch *b)
{
    int rank = mt_batch_rank(b, 0);
    mt_tensor *t = b->args[0].u.t;
    if (b->op->nargs > 1) {
        if (rank == 0) /* nothing to take away */
            return b->op->flags & MT_OP_INPLACE ? 0 : give(b, aten_alias(t));
        return shift_arguments(b, rank) < 0 ? -1 : go(b);
    }
    int64_t dims[MT_MAX_DIMS];
    int n = 0;
    for (int d = 1; d < t->ndim; d++)
        if (t->sizes[d] == 1)
            dims[n++] = d;
    if (b->op->flags & MT_OP_INPLACE)
        return aten_squeeze__dims(t, dims, n);
    return give(b, aten_squeeze_dims(t, dims, n));
}

static int
rule_t(mt_batch *b)
{
    int rank = mt_batch_rank(b, 0);
    mt_tensor *t = b->args[0].u.t;
    if (rank > 2)
        return mt_fail(MT_RUNTIME, "t() expects a tensor with <= 2 dimensions, but self is %dD", rank);
    if (b->op->flags & MT_OP_INPLACE)
        return rank < 2 ? 0 : aten_transpose__int(t, 1, 2);
    return give(b, rank < 2 ? aten_alias(t) : aten_transpose_int(t, 1, 2));
}

static int
rule_permute(mt_batch *b)
{
    int rank = mt_batch_rank(b, 0);
    mt_value *v = &b->args[1];
    if ((int)v->len != rank)
        return mt_fail(MT_RUNTIME, "permute(sparse_coo): number of dimensions in the tensor input does "
                                   "not match the length of the desired ordering of dimensions i.e. "
                                   "input.dim() = %d is not equal to len(dims) = %u",
                       rank, v->len);
    int64_t *dims = more_ints(b);
    dims[0] = 0;
    for (int k = 0; k < rank; k++)
        if (shifted(v->u.is[k], rank, &dims[k + 1]) < 0)
            return -1;
    *v = mt_v_ints(dims, rank + 1);
    return go(b);
}

/* view, _reshape_alias, expand, repeat: a list of sizes, or of factors with 1 for the batch. */
static int
rule_sizes(mt_batch *b)
{
    mt_value *v = &b->args[1];
    int64_t *sizes = more_ints(b);
    bool repeat = !strcmp(b->op->name, "aten::repeat"), expand = !strcmp(b->op->name, "aten::expand");
    if ((repeat || expand) && pad_rank(b, 0, (int)v->len) < 0)
        return -1;
    sizes[0] = repeat ? 1 : b->size;
    memcpy(sizes + 1, v->u.is, v->len * sizeof(int64_t));
    if (!strcmp(b->op->name, "aten::_reshape_alias"))
        return give(b, aten_reshape(b->args[0].u.t, sizes, v->len + 1));
    if (!repeat && !expand && b->size == 0) /* -1 cannot be told from nothing */
        for (uint32_t k = 1; k <= v->len; k++)
            if (sizes[k] == -1)
                sizes[k] = 1;
    *v = mt_v_ints(sizes, v->len + 1);
    return go(b);
}

static int
rule_as_strided(mt_batch *b)
{
    mt_tensor *t = b->args[0].u.t;
    int64_t *sizes = more_ints(b), *strides = more_ints(b);
    sizes[0] = b->size;
    strides[0] = t->strides[0];
    memcpy(sizes + 1, b->args[1].u.is, b->args[1].len * sizeof(int64_t));
    memcpy(strides + 1, b->args[2].u.is, b->args[2].len * sizeof(int64_t));
    b->args[1] = mt_v_ints(sizes, b->args[1].len + 1);
    b->args[2] = mt_v_ints(strides, b->args[2].len + 1);
    return go(b);
}

static int
rule_new_strided(mt_batch *b)
{
    int64_t *sizes = more_ints(b), *strides = more_ints(b), span = 1;
    uint32_t n = b->args[1].len;
    for (uint32_t d = 0; d < n; d++)
        span += b->args[1].u.is[d] ? (b->args[1].u.is[d] - 1) * b->args[2].u.is[d] : 0;
    sizes[0] = b->size;
    strides[0] = span;
    memcpy(sizes + 1, b->args[1].u.is, n * sizeof(int64_t));
    memcpy(strides + 1, b->args[2].u.is, n * sizeof(int64_t));
    b->args[1] = mt_v_ints(sizes, n + 1);
    b->args[2] = mt_v_ints(strides, n + 1);
    return go(b);
}

/* ---- products ----------------------------------------------------------------------------- */

/* A vector as a matrix of one column. */
static mt_tensor *
column(mt_batch *b, int i)
{
    return mt_batch_hold(b, aten_unsqueeze(b->args[i].u.t, -1));
}

static int
check_rank(mt_batch *b, int i, int rank, const char *text)
{
    return mt_batch_rank(b, i) == rank ? 0 : mt_fail(MT_RUNTIME, "%s", text);
}

static int
rule_mm(mt_batch *b)
{
    if (check_rank(b, 0, 2, "self must be a matrix") < 0 || check_rank(b, 1, 2, "mat2 must be a matrix") < 0)
        return -1;
    return give(b, aten_matmul(b->args[0].u.t, b->args[1].u.t));
}

static int
rule_bmm(mt_batch *b)
{
    if (check_rank(b, 0, 3, "batch1 must be a 3D tensor") < 0 ||
        check_rank(b, 1, 3, "batch2 must be a 3D tensor") < 0)
        return -1;
    return give(b, aten_matmul(b->args[0].u.t, b->args[1].u.t));
}

static mt_tensor *
times_vector(mt_batch *b, int matrix, int vector)
{
    mt_tensor *c = column(b, vector);
    mt_tensor *p = c ? mt_batch_hold(b, aten_matmul(b->args[matrix].u.t, c)) : NULL;
    return p ? aten_squeeze_dim(p, -1) : NULL;
}

static int
rule_mv(mt_batch *b)
{
    if (check_rank(b, 0, 2, "vector + matrix @ vector expected, got 1, 2, 1") < 0 ||
        check_rank(b, 1, 1, "vector + matrix @ vector expected, got 1, 2, 1") < 0)
        return -1;
    return give(b, times_vector(b, 0, 1));
}

static int
rule_dot(mt_batch *b)
{
    if (mt_batch_rank(b, 0) != 1 || mt_batch_rank(b, 1) != 1)
        return mt_fail(MT_RUNTIME, "1D tensors expected, but got %dD and %dD tensors",
                       mt_batch_rank(b, 0), mt_batch_rank(b, 1));
    mt_tensor *a = b->args[0].u.t, *row = mt_batch_hold(b, aten_unsqueeze(a, -2)), *c = column(b, 1);
    mt_tensor *p = row && c ? mt_batch_hold(b, aten_matmul(row, c)) : NULL;
    int64_t dims[2] = {-2, -1};
    return give(b, p ? aten_squeeze_dims(p, dims, 2) : NULL);
}

static mt_tensor *
times(mt_batch *b, mt_tensor *t, mt_scalar number)
{
    mt_tensor *factor = mt_batch_hold(b, mt_wrap_scalar(number));
    return factor ? mt_batch_hold(b, aten_mul_Tensor(t, factor)) : NULL;
}

/* beta * self + alpha * product, self aligned to the right of examples of `rank`. */
static int
add_product(mt_batch *b, mt_tensor *product, int rank)
{
    mt_value beta = b->args[3], alpha = b->args[4];
    if (!product || !mt_batch_hold(b, product) || pad_rank(b, 0, rank) < 0)
        return -1;
    if (mt_scalar_f64(alpha) != 1 || alpha.tag == MT_V_COMPLEX)
        if (!(product = times(b, product, alpha)))
            return -1;
    if (mt_scalar_is_zero(beta))
        return give(b, mt_keep(product));
    mt_tensor *self = b->args[0].u.t;
    if (mt_scalar_f64(beta) != 1 || beta.tag == MT_V_COMPLEX)
        if (!(self = times(b, self, beta)))
            return -1;
    return give(b, aten_add_Tensor(product, self, mt_v_int(1)));
}

static int
rule_addmm(mt_batch *b)
{
    int rank = mt_batch_rank(b, 1);
    if (b->op->flags & MT_OP_INPLACE)
        return mt_batch_loop(b);
    return add_product(b, aten_matmul(b->args[1].u.t, b->args[2].u.t), rank);
}

static int
rule_addmv(mt_batch *b)
{
    if (b->op->flags & MT_OP_INPLACE)
        return mt_batch_loop(b);
    return add_product(b, times_vector(b, 1, 2), 1);
}

/* ---- indices ------------------------------------------------------------------------------ */

/* The same index for every example: one dimension further. Else one by one. */
static int
rule_index_select(mt_batch *b)
{
    int rank = mt_batch_rank(b, 0);
    if (!b->batched[0] || b->batched[2] || rank == 0)
        return mt_batch_loop(b);
    return shift_arguments(b, rank) < 0 ? -1 : go(b);
}

/* gather, scatter and the like: index and source with the batch in front. */
static int
rule_gather(mt_batch *b)
{
    int rank = mt_batch_rank(b, 0);
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR && mt_batch_rank(b, i) != rank)
            return mt_batch_loop(b);
    return rank == 0 ? mt_batch_loop(b) : shift(b);
}

static int
rule_embedding(mt_batch *b)
{
    return b->batched[0] ? mt_batch_loop(b) : go(b);
}

/* x[None, a, b] of the values, where the indices are the same for all examples, hold no mask and
 * stand next to each other. */
static int
rule_index(mt_batch *b)
{
    mt_value *v = &b->args[1];
    for (uint32_t k = 0; k < v->len; k++) {
        const mt_tensor *t = b->call->args[1].u.ts[k];
        if (t && t->batch_level == b->level && t->batch_dim == 0 &&
            (t->dtype == MT_BOOL || t->dtype == MT_UINT8))
            return mt_fail(MT_RUNTIME, "vmap: We do not support batching operators that can support "
                                       "dynamic shape. Attempting to batch over indexing with a "
                                       "boolean mask.");
    }
    int state = 0; /* 1: in a run of indices, 2: after it */
    bool simple = b->batched[0] && !b->batched[1] && v->len < MT_MAX_DIMS;
    for (uint32_t k = 0; k < v->len && simple; k++) {
        mt_tensor *t = v->u.ts[k];
        if (t && (state == 2 || t->dtype == MT_BOOL || t->dtype == MT_UINT8))
            simple = false;
        state = t ? 1 : state == 1 ? 2 : state;
    }
    if (!simple)
        return mt_batch_loop(b);
    mt_tensor *indices[MT_MAX_DIMS + 1] = {NULL};
    memcpy(indices + 1, v->u.ts, v->len * sizeof(mt_tensor *));
    return give(b, aten_index_Tensor(b->args[0].u.t, indices, (int64_t)v->len + 1));
}

/* ---- images ------------------------------------------------------------------------------- */

/* The batch becomes part of the batch that the operator knows itself. */
static int
fold(mt_batch *b, int spatial)
{
    int rank = mt_batch_rank(b, 0);
    if (expand_all(b) < 0)
        return -1;
    if (rank == spatial + 1)
        return go(b);
    if (rank != spatial + 2 || b->size == 0)
        return mt_batch_loop(b);
    int64_t inner = b->args[0].u.t->sizes[1];
    for (int i = 0; i < b->op->nargs; i++)
        if (b->args[i].tag == MT_V_TENSOR &&
            !(b->args[i].u.t = mt_batch_hold(b, aten_flatten_using_ints(b->args[i].u.t, 0, 1))))
            return -1;
    if (go(b) < 0)
        return -1;
    for (int j = 0; j < b->op->nrets; j++) {
        mt_tensor *t = b->rets[j].u.t;
        if (b->rets[j].tag != MT_V_TENSOR)
            continue;
        int64_t sizes[MT_MAX_DIMS] = {b->size, inner};
        memcpy(sizes + 2, t->sizes + 1, (t->ndim - 1) * sizeof(int64_t));
        b->rets[j] = mt_v_tensor(aten_reshape(t, sizes, t->ndim + 1));
        mt_release(t);
        if (b->rets[j].tag == MT_V_NONE)
            return -1;
    }
    return 0;
}

static int
rule_image2(mt_batch *b)
{
    return fold(b, 2);
}

static int
rule_image3(mt_batch *b)
{
    return fold(b, 3);
}

/* Convolution with one weight for all examples folds; with a weight each it is a loop. */
static int
rule_convolution(mt_batch *b)
{
    if (!b->batched[0] || b->batched[1] || b->batched[2] || b->size == 0 ||
        mt_batch_rank(b, 0) != b->args[1].u.t->ndim)
        return mt_batch_loop(b);
    mt_tensor *t = b->args[0].u.t;
    int64_t inner = t->sizes[1];
    if (!(b->args[0].u.t = mt_batch_hold(b, aten_flatten_using_ints(t, 0, 1))) || go(b) < 0)
        return -1;
    mt_tensor *r = b->rets[0].u.t;
    int64_t sizes[MT_MAX_DIMS] = {b->size, inner};
    memcpy(sizes + 2, r->sizes + 1, (r->ndim - 1) * sizeof(int64_t));
    int rc = give(b, aten_reshape(r, sizes, r->ndim + 1));
    mt_release(r);
    return rc;
}

/* ---- the table ---------------------------------------------------------------------------- */

#define SAME(name) {name, MT_BATCH_SAME, NULL}
#define SHIFT(name) {name, MT_BATCH_SHIFT, NULL}
#define REDUCE(name) {name, MT_BATCH_REDUCE, NULL}
#define POINTWISE(name) {name, MT_BATCH_POINTWISE, NULL}
#define OWN(name, f) {name, MT_BATCH_OWN, f}

static const rule rules[] = {
    SAME("clone"), SAME("_to_copy"), SAME("empty_like"), SAME("zeros_like"), SAME("ones_like"),
    SAME("full_like"), SAME("rand_like"), SAME("randn_like"), SAME("randint_like"), SAME("bernoulli"),
    SAME("native_dropout"), SAME("detach"), SAME("alias"), SAME("_conj"), SAME("_neg_view"),
    SAME("_conj_materialize"), SAME("_neg_materialize"), SAME("view_as_real"),
    SAME("view_as_complex"), SAME("tril"), SAME("triu"), SAME("zero"), SAME("constant_pad_nd"),
    SAME("fill"), SAME("normal"), SAME("uniform"), SAME("exponential"), SAME("random"),
    POINTWISE("masked_fill"), POINTWISE("copy"), POINTWISE("where"),
    SHIFT("transpose"), SHIFT("select"), SHIFT("slice"), SHIFT("unbind"), SHIFT("split"),
    SHIFT("split_with_sizes"), SHIFT("diagonal"), SHIFT("unfold"), SHIFT("flip"), SHIFT("cumsum"),
    SHIFT("cumprod"), SHIFT("cummax"), SHIFT("cummin"), SHIFT("_logcumsumexp"), SHIFT("_softmax"),
    SHIFT("_log_softmax"), SHIFT("_softmax_backward_data"), SHIFT("_log_softmax_backward_data"),
    SHIFT("sort"), SHIFT("topk"), SHIFT("kthvalue"), SHIFT("mode"), SHIFT("_shift"),
    SHIFT("select_backward"), SHIFT("slice_backward"), SHIFT("diagonal_backward"),
    SHIFT("unfold_backward"), SHIFT("new_zeros"), SHIFT("new_ones"), SHIFT("new_empty"),
    SHIFT("new_full"),
    REDUCE("sum"), REDUCE("nansum"), REDUCE("mean"), REDUCE("prod"), REDUCE("any"), REDUCE("all"),
    REDUCE("amax"), REDUCE("amin"), REDUCE("aminmax"), REDUCE("max"), REDUCE("min"),
    REDUCE("argmax"), REDUCE("argmin"), REDUCE("var"), REDUCE("std"), REDUCE("var_mean"),
    REDUCE("std_mean"), REDUCE("linalg_vector_norm"), REDUCE("norm"), REDUCE("logsumexp"),
    REDUCE("median"), REDUCE("nanmedian"),
    {"cat", MT_BATCH_LIST, NULL}, {"stack", MT_BATCH_LIST, NULL},
    OWN("unsqueeze", rule_unsqueeze), OWN("squeeze", rule_squeeze), OWN("t", rule_t),
    OWN("permute", rule_permute), OWN("view", rule_sizes), OWN("_reshape_alias", rule_sizes),
    OWN("expand", rule_sizes), OWN("repeat", rule_sizes), OWN("as_strided", rule_as_strided),
    OWN("new_empty_strided", rule_new_strided), OWN("mm", rule_mm), OWN("bmm", rule_bmm),
    OWN("mv", rule_mv), OWN("dot", rule_dot), OWN("addmm", rule_addmm), OWN("baddbmm", rule_addmm),
    OWN("addmv", rule_addmv), OWN("index_select", rule_index_select), OWN("gather", rule_gather),
    OWN("scatter", rule_gather), OWN("scatter_add", rule_gather), OWN("scatter_reduce", rule_gather),
    OWN("embedding", rule_embedding), OWN("index", rule_index),
    OWN("max_pool2d_with_indices", rule_image2), OWN("max_pool2d_with_indices_backward", rule_image2),
    OWN("avg_pool2d", rule_image2), OWN("avg_pool2d_backward", rule_image2),
    OWN("_adaptive_avg_pool2d", rule_image2), OWN("_adaptive_avg_pool2d_backward", rule_image2),
    OWN("adaptive_max_pool2d", rule_image2), OWN("adaptive_max_pool2d_backward", rule_image2),
    OWN("max_pool3d_with_indices", rule_image3), OWN("max_pool3d_with_indices_backward", rule_image3),
    OWN("avg_pool3d", rule_image3), OWN("avg_pool3d_backward", rule_image3),
    OWN("_adaptive_avg_pool3d", rule_image3), OWN("_adaptive_avg_pool3d_backward", rule_image3),
    OWN("adaptive_max_pool3d", rule_image3), OWN("adaptive_max_pool3d_backward", rule_image3),
    OWN("convolution", rule_convolution),
};

static const rule *
find(const mt_op *op)
{
    if (strncmp(op->name, "aten::", 6))
        return NULL;
    const char *name = op->name + 6;
    size_t n = strlen(name);
    if (op->flags & MT_OP_INPLACE && n > 1 && name[n - 1] == '_')
        n--;
    for (size_t k = 0; k < MT_COUNT(rules); k++)
        if (strlen(rules[k].name) == n && !strncmp(rules[k].name, name, n))
            return &rules[k];
    return NULL;
}

int
mt_batch_run(mt_batch *b)
{
    const mt_op *op = b->op;
    if (op->batch_rule == MT_BATCH_POINTWISE)
        return pointwise(b);
    if (op->batch_rule == MT_BATCH_LOOP)
        return mt_batch_loop(b);
    const rule *r = find(op);
    if (!r) {
        ((mt_op *)op)->batch_rule = MT_BATCH_LOOP;
        return mt_batch_loop(b);
    }
    switch (r->kind) {
    case MT_BATCH_POINTWISE: return pointwise(b);
    case MT_BATCH_SAME: return b->batched[0] ? pointwise(b) : mt_batch_loop(b);
    case MT_BATCH_SHIFT: return shift(b);
    case MT_BATCH_REDUCE: return reduce(b);
    case MT_BATCH_LIST: return join(b);
    default: return r->run(b);
    }
}
