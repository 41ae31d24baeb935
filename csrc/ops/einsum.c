/* einsum: sums of products, in the notation of Einstein.
 *
 * Every operand is permuted and padded with dimensions of size 1 until all have the same
 * dimensions: those of the output in order, then those that are summed. Operands are then
 * multiplied one after the other. A dimension is summed as soon as no later operand has it, in the
 * matrix product of two operands where both have it, so that nothing larger than needed is made. */
#include <stdlib.h>

#include "base/error.h"
#include "dispatch/op.h"
#include "ops_gen.h"

#define LETTERS 52
#define ELLIPSIS LETTERS
#define MAX_LABELS 128 /* in one operand */

typedef struct spec {
    uint8_t labels[MAX_LABELS];
    int count;
} spec;

typedef struct plan {
    int places[LETTERS]; /* dimension of each letter, -1: none */
    int ellipsis_dims;   /* how many dimensions the ellipsis stands for */
    int ellipsis_place;
    int ndim, nout;
    int left[MT_MAX_DIMS]; /* how many operands not yet used have the dimension (not of size 1) */
} plan;

static int
label_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

static char
letter_of(int label)
{
    return (char)(label < 26 ? 'A' + label : 'a' + label - 26);
}

static int
bad_subscript(size_t at)
{
    return mt_fail(MT_RUNTIME,
                   "einsum(): invalid subscript given at index %zu in the equation string, subscripts "
                   "must be in [a-zA-Z]",
                   at);
}

static int
add_label(spec *s, int label)
{
    if (s->count == MAX_LABELS)
        return mt_fail(MT_RUNTIME, "einsum(): too many subscripts for one operand");
    s->labels[s->count++] = (uint8_t)label;
    return 0;
}

/* Reads the operands' subscripts up to "->" or the end; *end is the place after them. */
static int
read_operands(const char *text, spec *specs, int64_t n, size_t *end)
{
    int64_t op = 0;
    bool seen = false; /* an ellipsis, in this operand */
    size_t i = 0;
    for (; text[i]; i++) {
        char c = text[i];
        if (c == ' ')
            continue;
        if (c == '.') {
            if (seen)
                return mt_fail(MT_RUNTIME,
                               "einsum(): found '.' for operand %lld for which an ellipsis was already "
                               "found",
                               (long long)op);
            if (text[i + 1] != '.' || text[i + 2] != '.')
                return mt_fail(MT_RUNTIME,
                               "einsum(): found '.' for operand %lld that is not part of any ellipsis",
                               (long long)op);
            i += 2;
            seen = true;
            if (add_label(&specs[op], ELLIPSIS) < 0)
                return -1;
        } else if (c == ',') {
            if (++op >= n)
                return mt_fail(MT_RUNTIME,
                               "einsum(): fewer operands were provided than specified in the equation");
            seen = false;
        } else if (c == '-' && text[i + 1] == '>')
            break;
        else {
            int label = label_of(c);
            if (label < 0)
                return bad_subscript(i);
            if (add_label(&specs[op], label) < 0)
                return -1;
        }
    }
    if (op != n - 1)
        return mt_fail(MT_RUNTIME,
                       "einsum(): more operands were provided than specified in the equation");
    *end = i;
    return 0;
}

/* How many dimensions the ellipses stand for; checks the number of subscripts. */
static int
count_dims(const spec *specs, mt_tensor *const *operands, int64_t n, int *counts, plan *p)
{
    for (int64_t i = 0; i < n; i++) {
        const spec *s = &specs[i];
        int labels = s->count, ndim = operands[i]->ndim;
        bool ellipsis = false;
        for (int k = 0; k < s->count; k++) {
            ellipsis |= s->labels[k] == ELLIPSIS;
            if (s->labels[k] != ELLIPSIS)
                counts[s->labels[k]]++;
        }
        labels -= ellipsis;
        if (ellipsis && labels > ndim)
            return mt_fail(MT_RUNTIME,
                           "einsum(): the number of subscripts in the equation (%d) is more than the "
                           "number of dimensions (%d) for operand %lld",
                           labels, ndim, (long long)i);
        if (!ellipsis && labels != ndim)
            return mt_fail(MT_RUNTIME,
                           "einsum(): the number of subscripts in the equation (%d) does not match the "
                           "number of dimensions (%d) for operand %lld and no ellipsis was given",
                           labels, ndim, (long long)i);
        if (ellipsis)
            p->ellipsis_dims = MT_MAX(p->ellipsis_dims, ndim - labels);
    }
    return 0;
}

/* Places the dimensions: the output's in its order, then the others. */
static int
place_dims(const char *text, size_t arrow, const int *counts, plan *p)
{
    bool ellipsis = false;
    if (text[arrow]) {
        for (size_t i = arrow + 2; text[i]; i++) {
            char c = text[i];
            if (c == ' ')
                continue;
            if (c == '.') {
                if (ellipsis)
                    return mt_fail(MT_RUNTIME,
                                   "einsum(): found '.' for output but an ellipsis (...) was already found");
                if (text[i + 1] != '.' || text[i + 2] != '.')
                    return mt_fail(MT_RUNTIME,
                                   "einsum(): found '.' for output that is not part of any ellipsis (...)");
                i += 2;
                ellipsis = true;
                p->ellipsis_place = p->ndim;
                p->ndim += p->ellipsis_dims;
                continue;
            }
            int label = label_of(c);
            if (label < 0)
                return bad_subscript(i);
            if (p->places[label] >= 0)
                return mt_fail(MT_RUNTIME,
                               "einsum(): output subscript %c appears more than once in the output", c);
            if (!counts[label])
                return mt_fail(MT_RUNTIME,
                               "einsum(): output subscript %c does not appear in the equation for any "
                               "input operand",
                               c);
            p->places[label] = p->ndim++;
        }
    } else {
        ellipsis = true;
        p->ellipsis_place = 0;
        p->ndim = p->ellipsis_dims;
        for (int l = 0; l < LETTERS; l++)
            if (counts[l] == 1)
                p->places[l] = p->ndim++;
    }
    p->nout = p->ndim;
    if (!ellipsis) {
        p->ellipsis_place = p->ndim;
        p->ndim += p->ellipsis_dims;
    }
    for (int l = 0; l < LETTERS; l++)
        if (counts[l] && p->places[l] < 0)
            p->places[l] = p->ndim++;
    if (p->ndim > MT_MAX_DIMS)
        return mt_fail(MT_RUNTIME, "einsum(): at most %d dimensions, got %d", MT_MAX_DIMS, p->ndim);
    return 0;
}

/* An operand with all dimensions in their places; sizes[] checks that they agree. */
static mt_tensor *
arrange(mt_tensor *operand, const spec *s, int64_t which, const plan *p, int64_t *sizes)
{
    int of_place[MT_MAX_DIMS], first[LETTERS], d = 0;
    for (int k = 0; k < p->ndim; k++)
        of_place[k] = -1;
    for (int l = 0; l < LETTERS; l++)
        first[l] = -1;
    mt_tensor *t = mt_keep(operand), *next;
    for (int k = 0; k < s->count; k++) {
        int label = s->labels[k];
        if (label == ELLIPSIS) {
            int n = operand->ndim - (s->count - 1);
            for (int j = 0; j < n; j++, d++) {
                int place = p->ellipsis_place + p->ellipsis_dims - n + j;
                int64_t size = t->sizes[d];
                if (size != 1 && sizes[place] != 1 && sizes[place] != size) {
                    mt_fail(MT_RUNTIME,
                            "einsum(): dimension %d covered by ellipsis in operand %lldhas size %lld "
                            "which does not broadcast with previously seen ellipsis with size %lld for "
                            "the respective dimension",
                            d, (long long)which, (long long)size, (long long)sizes[place]);
                    goto fail;
                }
                if (size != 1)
                    sizes[place] = size;
                of_place[place] = d;
            }
            continue;
        }
        int place = p->places[label];
        if (first[label] >= 0) { /* repeated: the diagonal of the two dimensions */
            int a = first[label];
            if (t->sizes[a] != t->sizes[d]) {
                mt_fail(MT_RUNTIME,
                        "einsum(): subscript %c is repeated for operand %lld but the sizes don't "
                        "match, %lld != %lld",
                        letter_of(label), (long long)which, (long long)t->sizes[d], (long long)t->sizes[a]);
                goto fail;
            }
            next = aten_diagonal(t, 0, a, d);
            mt_release(t);
            if (!next)
                return NULL;
            t = next;
            if (!(next = aten_movedim_int(t, -1, a)))
                goto fail;
            mt_release(t);
            t = next;
            continue;
        }
        int64_t size = t->sizes[d];
        if (size != 1 && sizes[place] != 1 && sizes[place] != size) {
            mt_fail(MT_RUNTIME,
                    "einsum(): subscript %c has size %lld for operand %lld which does not broadcast "
                    "with previously seen size %lld",
                    letter_of(label), (long long)size, (long long)which, (long long)sizes[place]);
            goto fail;
        }
        if (size != 1)
            sizes[place] = size;
        first[label] = d;
        of_place[place] = d++;
    }
    int64_t order[MT_MAX_DIMS], have = t->ndim;
    for (int k = 0; k < p->ndim; k++) {
        if (of_place[k] < 0) {
            next = aten_unsqueeze(t, t->ndim);
            if (!next)
                goto fail;
            mt_release(t);
            t = next;
            of_place[k] = (int)have++;
        }
        order[k] = of_place[k];
    }
    next = aten_permute(t, order, p->ndim);
    mt_release(t);
    return next;
fail:
    mt_release(t);
    return NULL;
}

static mt_tensor *
sum_over(mt_tensor *t, const int64_t *dims, int n)
{
    return n ? aten_sum_dim_IntList(t, dims, n, true, MT_DTYPE_NONE) : mt_keep(t);
}

/* The product of two operands, summed over dims that both have, as one batch of matrix products;
 * the summed dimensions stay with size 1. */
static mt_tensor *
product(mt_tensor *a, mt_tensor *b, const bool *summed, int ndim)
{
    int64_t left[MT_MAX_DIMS], right[MT_MAX_DIMS], back[MT_MAX_DIMS], shape[MT_MAX_DIMS];
    int kinds[MT_MAX_DIMS], nsum = 0; /* 0 both, 1 left only, 2 right only, 3 summed */
    int64_t sizes[4] = {1, 1, 1, 1};
    for (int d = 0; d < ndim; d++) {
        kinds[d] = summed[d]           ? 3
                   : a->sizes[d] != 1 && b->sizes[d] != 1 ? 0
                   : b->sizes[d] != 1 ? 2
                   : a->sizes[d] != 1 ? 1
                                      : 0;
        nsum += summed[d];
        sizes[kinds[d]] *= a->sizes[d] != 1 ? a->sizes[d] : b->sizes[d];
    }
    if (!nsum)
        return aten_mul_Tensor(a, b);
    int la = 0, ra = 0, out = 0;
    static const int left_order[4] = {0, 1, 3, 2}, right_order[4] = {0, 3, 2, 1}, out_order[4] = {0, 1, 2, 3};
    for (int o = 0; o < 4; o++)
        for (int d = 0; d < ndim; d++) {
            if (kinds[d] == left_order[o])
                left[la++] = d;
            if (kinds[d] == right_order[o])
                right[ra++] = d;
            if (kinds[d] == out_order[o]) {
                shape[out] = kinds[d] == 3 ? 1 : a->sizes[d] != 1 ? a->sizes[d] : b->sizes[d];
                back[d] = out++;
            }
        }
    int64_t x_shape[3] = {sizes[0], sizes[1], sizes[3]}, y_shape[3] = {sizes[0], sizes[3], sizes[2]};
    mt_tensor *p = aten_permute(a, left, ndim), *q = aten_permute(b, right, ndim);
    mt_tensor *x = p ? aten_reshape(p, x_shape, 3) : NULL, *y = q ? aten_reshape(q, y_shape, 3) : NULL;
    mt_tensor *z = x && y ? aten_bmm(x, y) : NULL;
    mt_tensor *v = z ? aten_view(z, shape, ndim) : NULL;
    mt_tensor *r = v ? aten_permute(v, back, ndim) : NULL;
    mt_tensor *made[] = {p, q, x, y, z, v};
    for (size_t i = 0; i < MT_COUNT(made); i++)
        mt_xrelease(made[i]);
    return r;
}

/* Multiplies two operands; dimensions beyond the output that nobody else has are summed. */
static mt_tensor *
contract(mt_tensor *a, mt_tensor *b, plan *p)
{
    int64_t only_a[MT_MAX_DIMS], only_b[MT_MAX_DIMS];
    int na = 0, nb = 0;
    bool both[MT_MAX_DIMS] = {false};
    for (int d = 0; d < p->ndim; d++) {
        bool in_a = a->sizes[d] != 1, in_b = b->sizes[d] != 1;
        p->left[d] -= in_a + in_b;
        if (d >= p->nout && p->left[d] == 0) {
            if (in_a && in_b)
                both[d] = true;
            else if (in_a)
                only_a[na++] = d;
            else if (in_b)
                only_b[nb++] = d;
        } else
            p->left[d] += in_a || in_b; /* the product has it */
    }
    mt_tensor *x = sum_over(a, only_a, na), *y = sum_over(b, only_b, nb);
    mt_tensor *r = x && y ? product(x, y, both, p->ndim) : NULL;
    mt_xrelease(x);
    mt_xrelease(y);
    return r;
}

/* Sums what is left beyond the output and drops those dimensions. */
static mt_tensor *
finish(mt_tensor *t, const plan *p)
{
    int64_t dims[MT_MAX_DIMS];
    bool all_one = true;
    int n = 0;
    for (int d = p->nout; d < p->ndim; d++) {
        all_one &= t->sizes[d] == 1;
        dims[n++] = d;
    }
    if (n == 0)
        return mt_keep(t);
    return all_one ? aten_squeeze_dims(t, dims, n) : aten_sum_dim_IntList(t, dims, n, false, MT_DTYPE_NONE);
}

/* The order in which pairs are multiplied: `path` as opt_einsum writes it, or from left to right. */
static mt_tensor *
multiply(mt_tensor **operands, int64_t n, const int64_t *path, int64_t path_n, plan *p)
{
    for (int64_t step = 0; n > 1; step++) {
        int64_t i = 0, j = 1;
        if (path && 2 * step + 1 < path_n) {
            i = MT_MIN(path[2 * step], path[2 * step + 1]);
            j = MT_MAX(path[2 * step], path[2 * step + 1]);
            if (i < 0 || j >= n || i == j)
                return mt_fail_null(MT_RUNTIME, "einsum(): invalid contraction path");
        }
        mt_tensor *r = contract(operands[i], operands[j], p);
        if (!r)
            return NULL;
        mt_release(operands[i]);
        mt_release(operands[j]);
        operands[i] = operands[j] = NULL;
        if (path) { /* the result goes to the end */
            int64_t k = 0;
            for (int64_t m = 0; m < n; m++)
                if (operands[m])
                    operands[k++] = operands[m];
            operands[k] = r;
            operands[n - 1] = k == n - 1 ? operands[n - 1] : NULL;
        } else {
            operands[0] = r;
            for (int64_t m = 1; m + 1 < n; m++)
                operands[m] = operands[m + 1];
            operands[n - 1] = NULL;
        }
        n--;
    }
    return finish(operands[0], p);
}

mt_tensor *
op_einsum(const char *equation, mt_tensor *const *tensors, int64_t n, const int64_t *path,
          int64_t path_n)
{
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "einsum(): must provide at least one operand");
    mt_tensor *r = NULL;
    spec *specs = calloc((size_t)n, sizeof *specs);
    mt_tensor **operands = calloc((size_t)n, sizeof *operands);
    size_t arrow = 0;
    int counts[LETTERS] = {0};
    plan p = {.ndim = 0};
    for (int l = 0; l < LETTERS; l++)
        p.places[l] = -1;
    if (!specs || !operands) {
        mt_fail(MT_MEMORY, "not enough memory for einsum");
        goto done;
    }
    if (read_operands(equation, specs, n, &arrow) < 0 || count_dims(specs, tensors, n, counts, &p) < 0 ||
        place_dims(equation, arrow, counts, &p) < 0)
        goto done;
    int64_t sizes[MT_MAX_DIMS];
    for (int d = 0; d < p.ndim; d++)
        sizes[d] = 1;
    for (int64_t i = 0; i < n; i++) {
        if (!(operands[i] = arrange(tensors[i], &specs[i], i, &p, sizes)))
            goto done;
        for (int d = 0; d < p.ndim; d++)
            p.left[d] += operands[i]->sizes[d] != 1;
    }
    if (n == 1 && p.nout == p.ndim)
        r = mt_keep(operands[0]);
    else
        r = multiply(operands, n, path, path_n, &p);
done:
    for (int64_t i = 0; operands && i < n; i++)
        mt_xrelease(operands[i]);
    free(operands);
    free(specs);
    return r;
}
