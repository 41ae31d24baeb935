/* Recurrent layers. What the input contributes to all steps is one matrix product; then one step
 * follows the other. Packed sequences are sorted by length, so those that take part in a step are
 * the first `batch_sizes[step]`. */
#include "base/alloc.h"
#include "base/error.h"
#include "ops/pointwise.h"
#include "ops_gen.h"

typedef enum mode { LSTM, GRU, TANH, RELU } mode;

/* ---- lists of tensors --------------------------------------------------------------------- */

typedef struct list {
    mt_tensor **items;
    int64_t count, room;
} list;

static int
list_open(list *l, int64_t room)
{
    l->count = 0;
    l->room = MT_MAX(room, 1);
    l->items = mt_alloc((size_t)l->room * sizeof *l->items);
    return l->items ? 0 : -1;
}

static void
list_close(list *l)
{
    for (int64_t i = 0; l->items && i < l->count; i++)
        mt_xrelease(l->items[i]);
    if (l->items)
        mt_free(l->items, (size_t)l->room * sizeof *l->items);
    l->items = NULL;
}

/* Takes over the tensor. */
static int
list_add(list *l, mt_tensor *t)
{
    if (!t)
        return -1;
    l->items[l->count++] = t;
    return 0;
}

static void
list_reverse(list *l)
{
    for (int64_t i = 0; i < l->count / 2; i++) {
        mt_tensor *t = l->items[i];
        l->items[i] = l->items[l->count - 1 - i];
        l->items[l->count - 1 - i] = t;
    }
}

static void
replace(mt_tensor **slot, mt_tensor *t)
{
    mt_xrelease(*slot);
    *slot = t;
}

/* ---- one layer in one direction ------------------------------------------------------------- */

typedef struct weights {
    mt_tensor *w_ih, *w_hh, *b_ih, *b_hh, *w_hr;
} weights;

static int
gate_count(mode m)
{
    return m == LSTM ? 4 : m == GRU ? 3 : 1;
}

static int
step(mode m, mt_tensor *gates, const weights *w, mt_tensor **h, mt_tensor **c)
{
    int64_t rows = w->w_hh->ndim == 2 ? w->w_hh->sizes[0] : -1;
    if (rows < 0 || rows % gate_count(m) || gates->sizes[gates->ndim - 1] != rows)
        return mt_fail(MT_RUNTIME, "weights of shape %s do not fit %lld gates", mt_shape_str(w->w_hh),
                       (long long)gates->sizes[gates->ndim - 1]);
    mt_tensor *new_h = NULL, *new_c = NULL;
    if (m == LSTM) {
        if (aten__lstm_step(gates, *h, *c, w->w_hh, w->b_hh, w->w_hr, &new_h, &new_c) < 0)
            return -1;
    } else if (m == GRU) {
        new_h = aten__gru_step(gates, *h, w->w_hh, w->b_hh);
    } else {
        mt_tensor *its = aten_linear(*h, w->w_hh, w->b_hh);
        mt_tensor *sum = its ? aten_add_Tensor(gates, its, mt_v_int(1)) : NULL;
        new_h = sum ? (m == TANH ? aten_tanh(sum) : aten_relu(sum)) : NULL;
        mt_xrelease(its);
        mt_xrelease(sum);
    }
    if (!new_h)
        return -1;
    replace(h, new_h);
    if (new_c)
        replace(c, new_c);
    return 0;
}

/* input [steps, batch, features], or packed [elements, features] with `sizes`. *h and *c (NULL
 * unless LSTM) are the first state and become the last. */
static mt_tensor *
run_direction(mode m, mt_tensor *input, const int64_t *sizes, int64_t steps, const weights *w,
              bool reverse, mt_tensor **h, mt_tensor **c)
{
    list outs = {0}, done_h = {0}, done_c = {0};
    mt_tensor *gates = aten_linear(input, w->w_ih, w->b_ih), *result = NULL;
    mt_tensor *first_h = mt_keep(*h), *first_c = *c ? mt_keep(*c) : NULL;
    int64_t offset = 0, now = 0;
    if (!gates || list_open(&outs, steps) < 0 || list_open(&done_h, steps + 1) < 0 ||
        list_open(&done_c, steps + 1) < 0)
        goto done;
    if (sizes) {
        for (int64_t t = 0; t < steps && reverse; t++)
            offset += sizes[t];
        now = sizes[reverse ? steps - 1 : 0];
        replace(h, aten_narrow(*h, 0, 0, now));
        if (*c)
            replace(c, aten_narrow(*c, 0, 0, now));
        if (!*h || (first_c && !*c))
            goto done;
    }
    for (int64_t i = 0; i < steps; i++) {
        int64_t t = reverse ? steps - 1 - i : i;
        mt_tensor *at;
        if (sizes) {
            int64_t n = sizes[t];
            if (n < now) { /* sequences that have ended leave */
                if (list_add(&done_h, aten_narrow(*h, 0, n, now - n)) < 0 ||
                    (*c && list_add(&done_c, aten_narrow(*c, 0, n, now - n)) < 0))
                    goto done;
                replace(h, aten_narrow(*h, 0, 0, n));
                if (*c)
                    replace(c, aten_narrow(*c, 0, 0, n));
            } else if (n > now) { /* sequences whose end comes first join */
                for (int k = 0; k < 2; k++) {
                    mt_tensor **state = k ? c : h, *first = k ? first_c : first_h;
                    if (!*state)
                        continue;
                    mt_tensor *more = aten_narrow(first, 0, now, n - now), *both[2] = {*state, more};
                    mt_tensor *joined = more ? aten_cat(both, 2, 0) : NULL;
                    mt_xrelease(more);
                    replace(state, joined);
                }
            }
            if (!*h || (first_c && !*c))
                goto done;
            now = n;
            offset -= reverse ? n : 0;
            at = aten_narrow(gates, 0, offset, n);
            offset += reverse ? 0 : n;
        } else {
            at = aten_select_int(gates, 0, t);
        }
        int rc = at ? step(m, at, w, h, c) : -1;
        mt_xrelease(at);
        if (rc < 0 || list_add(&outs, mt_keep(*h)) < 0)
            goto done;
    }
    if (reverse)
        list_reverse(&outs);
    result = sizes ? aten_cat(outs.items, outs.count, 0) : aten_stack(outs.items, outs.count, 0);
    if (sizes && !reverse)
        for (int k = 0; result && k < 2; k++) {
            list *ended = k ? &done_c : &done_h;
            mt_tensor **state = k ? c : h;
            if (!*state)
                continue;
            if (list_add(ended, mt_keep(*state)) < 0)
                break;
            list_reverse(ended);
            replace(state, aten_cat(ended->items, ended->count, 0));
            if (!*state)
                replace(&result, NULL);
        }
done:
    list_close(&outs);
    list_close(&done_h);
    list_close(&done_c);
    mt_xrelease(gates);
    mt_release(first_h);
    mt_xrelease(first_c);
    return result;
}

/* ---- layers ------------------------------------------------------------------------------- */

static int
run_layers(mode m, mt_tensor *input, const int64_t *sizes, int64_t steps, mt_tensor *hx,
           mt_tensor *cx, mt_tensor *const *params, int64_t nparams, bool has_biases,
           int64_t num_layers, double dropout, bool train, bool bidirectional, mt_tensor **out,
           mt_tensor **hn, mt_tensor **cn)
{
    int64_t directions = bidirectional ? 2 : 1, used = 0;
    bool projects = m == LSTM && hx->sizes[hx->ndim - 1] != cx->sizes[cx->ndim - 1];
    int64_t each = 2 + (has_biases ? 2 : 0) + (projects ? 1 : 0);
    list hs = {0}, cs = {0};
    int rc = -1;
    mt_tensor *x = mt_keep(input);
    if (steps == 0) {
        mt_fail(MT_RUNTIME, "Expected sequence length to be larger than 0 in RNN");
        goto done;
    }
    if (nparams != each * directions * num_layers) {
        mt_fail(MT_RUNTIME, "got an incorrect number of RNN parameters");
        goto done;
    }
    if (list_open(&hs, num_layers * directions) < 0 || list_open(&cs, num_layers * directions) < 0)
        goto done;
    for (int64_t layer = 0; layer < num_layers; layer++) {
        mt_tensor *ways[2] = {NULL, NULL};
        for (int64_t d = 0; d < directions; d++, used += each) {
            mt_tensor *const *p = params + used;
            weights w = {p[0], p[1], has_biases ? p[2] : NULL, has_biases ? p[3] : NULL,
                         projects ? p[each - 1] : NULL};
            mt_tensor *h = aten_select_int(hx, 0, layer * directions + d);
            mt_tensor *c = h && cx ? aten_select_int(cx, 0, layer * directions + d) : NULL;
            if (h && (c || !cx))
                ways[d] = run_direction(m, x, sizes, steps, &w, d == 1, &h, &c);
            if (ways[d]) {
                list_add(&hs, h);
                if (c)
                    list_add(&cs, c);
            } else {
                mt_xrelease(h);
                mt_xrelease(c);
                mt_xrelease(ways[0]);
                goto done;
            }
        }
        mt_tensor *joined = directions == 2 ? aten_cat(ways, 2, ways[0]->ndim - 1) : mt_keep(ways[0]);
        mt_xrelease(ways[0]);
        mt_xrelease(ways[1]);
        if (joined && train && dropout > 0 && layer + 1 < num_layers)
            replace(&joined, aten_dropout(joined, dropout, true));
        replace(&x, joined);
        if (!x)
            goto done;
    }
    *hn = aten_stack(hs.items, hs.count, 0);
    *cn = *hn && cx ? aten_stack(cs.items, cs.count, 0) : NULL;
    if (*hn && (*cn || !cx)) {
        *out = mt_keep(x);
        rc = 0;
    } else
        replace(hn, NULL);
done:
    list_close(&hs);
    list_close(&cs);
    mt_xrelease(x);
    return rc;
}

static int
run_plain(mode m, mt_tensor *input, mt_tensor *hx, mt_tensor *cx, mt_tensor *const *params, int64_t n,
          bool has_biases, int64_t num_layers, double dropout, bool train, bool bidirectional,
          bool batch_first, mt_tensor **out, mt_tensor **hn, mt_tensor **cn)
{
    if (input->ndim != 3)
        return mt_fail(MT_RUNTIME, "input must have 3 dimensions, got %d", input->ndim);
    mt_tensor *x = batch_first ? aten_transpose_int(input, 0, 1) : mt_keep(input);
    int rc = x ? run_layers(m, x, NULL, x->sizes[0], hx, cx, params, n, has_biases, num_layers, dropout,
                            train, bidirectional, out, hn, cn)
               : -1;
    mt_xrelease(x);
    if (rc == 0 && batch_first) {
        replace(out, aten_transpose_int(*out, 0, 1));
        rc = *out ? 0 : -1;
    }
    return rc;
}

/* The sizes of the steps as numbers; *held keeps them alive. */
static const int64_t *
read_sizes(mt_tensor *batch_sizes, mt_tensor **held)
{
    if (batch_sizes->dtype != MT_INT64 || batch_sizes->ndim != 1)
        return mt_fail_null(MT_RUNTIME, "batch_sizes should be a one-dimensional int64 tensor");
    if (mt_is_meta(batch_sizes))
        return mt_fail_null(MT_NOT_IMPLEMENTED, "batch_sizes lies on the meta device and has no data");
    *held = mt_contiguous_data(batch_sizes, false);
    return *held ? mt_data(*held) : NULL;
}

static int
run_packed(mode m, mt_tensor *data, mt_tensor *batch_sizes, mt_tensor *hx, mt_tensor *cx,
           mt_tensor *const *params, int64_t n, bool has_biases, int64_t num_layers, double dropout,
           bool train, bool bidirectional, mt_tensor **out, mt_tensor **hn, mt_tensor **cn)
{
    mt_tensor *held = NULL;
    const int64_t *sizes = read_sizes(batch_sizes, &held);
    int rc = sizes ? run_layers(m, data, sizes, batch_sizes->numel, hx, cx, params, n, has_biases, num_layers,
                                dropout, train, bidirectional, out, hn, cn)
                   : -1;
    mt_xrelease(held);
    return rc;
}

#define LAYER_ARGS                                                                                 \
    mt_tensor *const *params, int64_t n, bool has_biases, int64_t num_layers, double dropout,      \
        bool train, bool bidirectional

static int
check_states(int64_t n)
{
    return n == 2 ? 0 : mt_fail(MT_RUNTIME, "lstm expects two hidden states");
}

int
op_lstm_input(mt_tensor *input, mt_tensor *const *hx, int64_t hx_n, LAYER_ARGS, bool batch_first,
              mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    if (check_states(hx_n) < 0)
        return -1;
    return run_plain(LSTM, input, hx[0], hx[1], params, n, has_biases, num_layers, dropout, train,
                     bidirectional, batch_first, ret0, ret1, ret2);
}

int
op_lstm_data(mt_tensor *data, mt_tensor *batch_sizes, mt_tensor *const *hx, int64_t hx_n, LAYER_ARGS,
             mt_tensor **ret0, mt_tensor **ret1, mt_tensor **ret2)
{
    if (check_states(hx_n) < 0)
        return -1;
    return run_packed(LSTM, data, batch_sizes, hx[0], hx[1], params, n, has_biases, num_layers, dropout, train,
                      bidirectional, ret0, ret1, ret2);
}

#define RECURRENT(name, MODE)                                                                      \
    int op_##name##_input(mt_tensor *input, mt_tensor *hx, LAYER_ARGS, bool batch_first,           \
                          mt_tensor **ret0, mt_tensor **ret1)                                      \
    {                                                                                              \
        mt_tensor *none = NULL;                                                                    \
        return run_plain(MODE, input, hx, NULL, params, n, has_biases, num_layers, dropout, train, \
                         bidirectional, batch_first, ret0, ret1, &none);                           \
    }                                                                                              \
    int op_##name##_data(mt_tensor *data, mt_tensor *batch_sizes, mt_tensor *hx, LAYER_ARGS,       \
                         mt_tensor **ret0, mt_tensor **ret1)                                       \
    {                                                                                              \
        mt_tensor *none = NULL;                                                                    \
        return run_packed(MODE, data, batch_sizes, hx, NULL, params, n, has_biases, num_layers,    \
                          dropout, train, bidirectional, ret0, ret1, &none);                       \
    }
RECURRENT(gru, GRU)
RECURRENT(rnn_tanh, TANH)
RECURRENT(rnn_relu, RELU)

/* ---- cells -------------------------------------------------------------------------------- */

static int
check_cell(mode m, const mt_tensor *input, const mt_tensor *hx, const mt_tensor *cx, const weights *w)
{
    if (w->w_ih->ndim != 2 || w->w_hh->ndim != 2)
        return mt_fail(MT_RUNTIME, "weights of a cell must have two dimensions, but got shapes %s and %s",
                       mt_shape_str(w->w_ih), mt_shape_str(w->w_hh));
    int k = gate_count(m);
    int64_t hidden = w->w_hh->sizes[1];
    if (input->ndim && input->sizes[input->ndim - 1] != w->w_ih->sizes[1])
        return mt_fail(MT_RUNTIME, "input has inconsistent input_size: got %lld expected %lld",
                       (long long)input->sizes[input->ndim - 1], (long long)w->w_ih->sizes[1]);
    const mt_tensor *states[2] = {hx, cx};
    for (int i = 0; i < 2 && states[i]; i++) {
        const mt_tensor *s = states[i];
        if (s->ndim == 2 && input->ndim == 2 && s->sizes[0] != input->sizes[0])
            return mt_fail(MT_RUNTIME, "Input batch size %lld doesn't match hidden%d batch size %lld",
                           (long long)input->sizes[0], i, (long long)s->sizes[0]);
        if (s->ndim && s->sizes[s->ndim - 1] != hidden)
            return mt_fail(MT_RUNTIME, "hidden%d has inconsistent hidden_size: got %lld, expected %lld", i,
                           (long long)s->sizes[s->ndim - 1], (long long)hidden);
    }
    const mt_tensor *both[2] = {w->w_ih, w->w_hh};
    for (int i = 0; i < 2; i++)
        if (both[i]->sizes[0] != k * hidden)
            return mt_fail(MT_RUNTIME, "weight_%s first dim must be %d * hidden_size = %lld, but got %lld",
                           i ? "hh" : "ih", k, (long long)(k * hidden), (long long)both[i]->sizes[0]);
    return 0;
}

static int
run_cell(mode m, mt_tensor *input, mt_tensor *hx, mt_tensor *cx, const weights *w, mt_tensor **h,
         mt_tensor **c)
{
    if (check_cell(m, input, hx, cx, w) < 0)
        return -1;
    mt_tensor *gates = aten_linear(input, w->w_ih, w->b_ih);
    *h = mt_keep(hx);
    *c = cx ? mt_keep(cx) : NULL;
    int rc = gates ? step(m, gates, w, h, c) : -1;
    mt_xrelease(gates);
    if (rc < 0) {
        replace(h, NULL);
        replace(c, NULL);
    }
    return rc;
}

#define CELL_ARGS mt_tensor *w_ih, mt_tensor *w_hh, mt_tensor *b_ih, mt_tensor *b_hh

int
op_lstm_cell(mt_tensor *input, mt_tensor *const *hx, int64_t hx_n, CELL_ARGS, mt_tensor **ret0,
             mt_tensor **ret1)
{
    weights w = {w_ih, w_hh, b_ih, b_hh, NULL};
    if (hx_n != 2)
        return mt_fail(MT_RUNTIME, "lstm_cell expects two hidden states");
    return run_cell(LSTM, input, hx[0], hx[1], &w, ret0, ret1);
}

#define CELL(name, MODE)                                                                           \
    mt_tensor *op_##name(mt_tensor *input, mt_tensor *hx, CELL_ARGS)                               \
    {                                                                                              \
        weights w = {w_ih, w_hh, b_ih, b_hh, NULL};                                                \
        mt_tensor *h = NULL, *c = NULL;                                                            \
        return run_cell(MODE, input, hx, NULL, &w, &h, &c) < 0 ? NULL : h;                         \
    }
CELL(gru_cell, GRU)
CELL(rnn_tanh_cell, TANH)
CELL(rnn_relu_cell, RELU)

/* ---- packing ------------------------------------------------------------------------------ */

int
op__pack_padded_sequence(mt_tensor *input, mt_tensor *lengths, bool batch_first, mt_tensor **ret0,
                         mt_tensor **ret1)
{
    int64_t batch = input->ndim > 1 ? input->sizes[batch_first ? 0 : 1] : 0;
    int64_t room = input->ndim > 1 ? input->sizes[batch_first ? 1 : 0] : 0;
    if (input->numel <= 0)
        return mt_fail(MT_RUNTIME, "Cannot pack empty tensors.");
    if (lengths->dtype != MT_INT64 || lengths->ndim != 1)
        return mt_fail(MT_RUNTIME, "'lengths' argument should be a 1D CPU int64 tensor, but got %dD %s %s tensor",
                       lengths->ndim, mt_device_str(lengths->device), mt_dtypes[lengths->dtype].scalar_name);
    if (lengths->sizes[0] != batch)
        return mt_fail(MT_RUNTIME,
                       "Expected `len(lengths)` to be equal to batch_size, but got %lld (batch_size=%lld)",
                       (long long)lengths->sizes[0], (long long)batch);
    list parts = {0};
    mt_tensor *l = mt_contiguous_data(lengths, false), *x = NULL, *sizes = NULL;
    int rc = -1;
    if (!l)
        return -1;
    const int64_t *n = mt_data(l);
    if (n[batch - 1] <= 0) {
        mt_fail(MT_RUNTIME, "Length of all samples has to be greater than 0, but found an element in "
                            "'lengths' that is <= 0");
        goto done;
    }
    for (int64_t i = 1; i < batch; i++)
        if (n[i] > n[i - 1]) {
            mt_fail(MT_RUNTIME, "`lengths` array must be sorted in decreasing order when `enforce_sorted` is "
                                "True. You can pass `enforce_sorted=False` to pack_padded_sequence and/or "
                                "pack_sequence to sidestep this requirement if you do not need ONNX "
                                "exportability.");
            goto done;
        }
    if (n[0] > room) {
        mt_fail(MT_RUNTIME, "start (0) + length (%lld) exceeds dimension size (%lld).", (long long)n[0],
                (long long)room);
        goto done;
    }
    sizes = mt_empty(1, n, NULL, MT_INT64, MT_CPU_DEVICE);
    x = batch_first ? aten_transpose_int(input, 0, 1) : mt_keep(input);
    if (!sizes || !x || list_open(&parts, n[0]) < 0)
        goto done;
    for (int64_t t = 0, now = batch; t < n[0]; t++) {
        while (n[now - 1] <= t)
            now--;
        ((int64_t *)mt_data(sizes))[t] = now;
        mt_tensor *at = aten_select_int(x, 0, t);
        int added = at ? list_add(&parts, aten_narrow(at, 0, 0, now)) : -1;
        mt_xrelease(at);
        if (added < 0)
            goto done;
    }
    if ((*ret0 = aten_cat(parts.items, parts.count, 0))) {
        *ret1 = mt_keep(sizes);
        rc = 0;
    }
done:
    list_close(&parts);
    mt_release(l);
    mt_xrelease(x);
    mt_xrelease(sizes);
    return rc;
}

/* to[step, :n] = data[offset : offset + n] for every step. */
static int
unpack_steps(mt_tensor *to, mt_tensor *data, const int64_t *sizes, int64_t steps)
{
    int rc = 0;
    for (int64_t t = 0, offset = 0; rc == 0 && t < steps; offset += sizes[t++]) {
        mt_tensor *at = aten_select_int(to, 0, t), *part = at ? aten_narrow(at, 0, 0, sizes[t]) : NULL;
        mt_tensor *from = part ? aten_narrow(data, 0, offset, sizes[t]) : NULL;
        rc = from ? aten_copy_(part, from, false) : -1;
        mt_xrelease(at);
        mt_xrelease(part);
        mt_xrelease(from);
    }
    return rc;
}

mt_tensor *
op__pack_padded_sequence_backward(mt_tensor *grad, const int64_t *input_size, int64_t n,
                                  mt_tensor *batch_sizes, bool batch_first)
{
    int64_t sizes[MT_MAX_DIMS];
    mt_tensor *held = NULL;
    const int64_t *counts = read_sizes(batch_sizes, &held);
    if (!counts)
        return NULL;
    memcpy(sizes, input_size, (size_t)n * sizeof(int64_t));
    if (batch_first) {
        sizes[0] = input_size[1];
        sizes[1] = input_size[0];
    }
    mt_tensor *out = aten_new_zeros(grad, sizes, n, MT_DTYPE_NONE, -1, MT_NO_DEVICE, mt_v_none());
    if (out && unpack_steps(out, grad, counts, batch_sizes->numel) < 0)
        replace(&out, NULL);
    if (out && batch_first)
        replace(&out, aten_transpose_int(out, 0, 1));
    mt_release(held);
    return out;
}

int
op__pad_packed_sequence(mt_tensor *data, mt_tensor *batch_sizes, bool batch_first,
                        mt_scalar padding_value, int64_t total_length, mt_tensor **ret0,
                        mt_tensor **ret1)
{
    mt_tensor *held = NULL;
    const int64_t *counts = read_sizes(batch_sizes, &held);
    if (!counts)
        return -1;
    int64_t steps = batch_sizes->numel, length = steps, batch = steps ? counts[0] : 0, sizes[MT_MAX_DIMS];
    int rc = -1;
    if (total_length > 0) {
        if (total_length < steps) {
            mt_fail(MT_RUNTIME,
                    "Expected total_length to be at least the length of the longest sequence in input, but "
                    "got total_length=%lld and max sequence length being %lld",
                    (long long)total_length, (long long)steps);
            goto done;
        }
        length = total_length;
    }
    sizes[0] = length;
    sizes[1] = batch;
    for (int d = 1; d < data->ndim; d++)
        sizes[d + 1] = data->sizes[d];
    *ret1 = mt_empty(1, &batch, NULL, MT_INT64, MT_CPU_DEVICE);
    *ret0 = *ret1 ? aten_new_full(data, sizes, data->ndim + 1, padding_value, MT_DTYPE_NONE, -1, MT_NO_DEVICE,
                                  mt_v_none())
                  : NULL;
    if (!*ret0 || unpack_steps(*ret0, data, counts, steps) < 0)
        goto done;
    for (int64_t t = 0; t < steps; t++)
        for (int64_t i = 0; i < counts[t]; i++)
            ((int64_t *)mt_data(*ret1))[i] = t + 1;
    if (batch_first)
        replace(ret0, aten_transpose_int(*ret0, 0, 1));
    rc = *ret0 ? 0 : -1;
done:
    mt_release(held);
    if (rc < 0) {
        replace(ret0, NULL);
        replace(ret1, NULL);
    }
    return rc;
}

mt_tensor *
op_pad_sequence(mt_tensor *const *sequences, int64_t n, bool batch_first, double padding_value,
                const char *padding_side)
{
    if (n == 0)
        return mt_fail_null(MT_RUNTIME, "received an empty list of sequences");
    bool left = !strcmp(padding_side, "left");
    if (!left && strcmp(padding_side, "right"))
        return mt_fail_null(MT_RUNTIME, "Expected padding_side to be one of left or right, but got %s.",
                            padding_side);
    int64_t sizes[MT_MAX_DIMS], longest = 0;
    mt_tensor *first = sequences[0];
    for (int64_t i = 0; i < n; i++)
        longest = MT_MAX(longest, sequences[i]->ndim ? sequences[i]->sizes[0] : 0);
    sizes[0] = batch_first ? n : longest;
    sizes[1] = batch_first ? longest : n;
    for (int d = 1; d < first->ndim; d++)
        sizes[d + 1] = first->sizes[d];
    mt_tensor *out = aten_new_full(first, sizes, MT_MAX(first->ndim, 1) + 1, mt_v_float(padding_value), MT_DTYPE_NONE,
                                   -1, MT_NO_DEVICE, mt_v_none());
    for (int64_t i = 0; out && i < n; i++) {
        int64_t length = sequences[i]->sizes[0];
        mt_tensor *line = aten_select_int(out, batch_first ? 0 : 1, i);
        mt_tensor *part = line ? aten_narrow(line, 0, left ? longest - length : 0, length) : NULL;
        int rc = part ? aten_copy_(part, sequences[i], false) : -1;
        mt_xrelease(line);
        mt_xrelease(part);
        if (rc < 0)
            replace(&out, NULL);
    }
    return out;
}
