/* Arguments of recorded operators, packed into 64-bit words.
 *
 * One word of heading (kind, dtype, dimensions, count), then the payload: sizes and strides of a
 * tensor, values of a list, the packed items of a tensor list. Writing is all that happens while a
 * program runs; texts and type words are made when somebody reads. Lists of numbers or tensors
 * longer than 30 are not described, as in PyTorch's traces. */
#include <math.h>
#include <stdio.h>

#include "dispatch/value.h"
#include "profiler/recorder.h"

/* Longest described list. */
#define LIST_LIMIT 30
/* Most words of one event; what goes beyond is not described. */
#define WORD_LIMIT 2048

static uint64_t
heading(unsigned kind, unsigned dtype, unsigned ndim, uint32_t count)
{
    return (uint64_t)kind | (uint64_t)dtype << 8 | (uint64_t)ndim << 16 | (uint64_t)count << 32;
}

mt_prof_input
mt_prof_input_next(const uint64_t *words, uint32_t *at)
{
    uint64_t h = words[*at];
    mt_prof_input in = {.kind = (uint8_t)h,
                        .dtype = (uint8_t)(h >> 8),
                        .ndim = (uint16_t)(h >> 16),
                        .count = (uint32_t)(h >> 32),
                        .payload = words + *at + 1};
    *at += 1;
    switch ((mt_prof_input_kind)in.kind) {
    case MT_PROF_IN_NONE: break;
    case MT_PROF_IN_TENSOR: *at += 2u * in.ndim; break;
    case MT_PROF_IN_TENSORS:
        for (uint32_t i = 0; i < in.count; i++)
            mt_prof_input_next(words, at);
        break;
    case MT_PROF_IN_BOOL:
    case MT_PROF_IN_INT:
    case MT_PROF_IN_FLOAT: *at += 1; break;
    case MT_PROF_IN_COMPLEX: *at += 2; break;
    case MT_PROF_IN_BOOLS:
    case MT_PROF_IN_INTS:
    case MT_PROF_IN_FLOATS: *at += in.count; break;
    }
    return in;
}

/* ORDER DTYPE: the C++ types that PyTorch's traces name. */
static const char *const type_words[MT_NUM_DTYPES] = {
    [MT_BOOL] = "bool",
    [MT_UINT8] = "unsigned char",
    [MT_INT8] = "signed char",
    [MT_INT16] = "short int",
    [MT_INT32] = "int",
    [MT_INT64] = "long int",
    [MT_UINT16] = "short unsigned int",
    [MT_UINT32] = "unsigned int",
    [MT_UINT64] = "long unsigned int",
    [MT_FLOAT16] = "c10::Half",
    [MT_BFLOAT16] = "c10::BFloat16",
    [MT_FLOAT32] = "float",
    [MT_FLOAT64] = "double",
    [MT_COMPLEX64] = "c10::complex<float>",
    [MT_COMPLEX128] = "c10::complex<double>",
};

const char *
mt_prof_input_type(const mt_prof_input *input)
{
    switch ((mt_prof_input_kind)input->kind) {
    case MT_PROF_IN_NONE: return "";
    case MT_PROF_IN_TENSOR: return input->dtype < MT_NUM_DTYPES ? type_words[input->dtype] : "";
    case MT_PROF_IN_TENSORS: return "TensorList";
    case MT_PROF_IN_BOOL:
    case MT_PROF_IN_INT:
    case MT_PROF_IN_FLOAT:
    case MT_PROF_IN_COMPLEX: return "Scalar";
    case MT_PROF_IN_BOOLS:
    case MT_PROF_IN_INTS:
    case MT_PROF_IN_FLOATS: return "ScalarList";
    }
    return "";
}

/* A float with 17 digits, with a point where it is whole: "2.", "0.10000000000000001". */
static size_t
float_text(double d, char *text)
{
    size_t n = (size_t)snprintf(text, 32, "%.17g", d);
    if (isfinite(d) && !memchr(text, '.', n) && !memchr(text, 'e', n))
        text[n++] = '.';
    return n;
}

static size_t
number_text(unsigned kind, const uint64_t *bits, char *text)
{
    double d[2];
    switch (kind) {
    case MT_PROF_IN_BOOL:
    case MT_PROF_IN_BOOLS: return (size_t)snprintf(text, 32, "%s", *bits ? "True" : "False");
    case MT_PROF_IN_INT:
    case MT_PROF_IN_INTS: return (size_t)snprintf(text, 32, "%lld", (long long)*bits);
    case MT_PROF_IN_COMPLEX: {
        memcpy(d, bits, sizeof d);
        size_t n = float_text(d[0], text);
        if (!signbit(d[1]))
            text[n++] = '+';
        n += float_text(d[1], text + n);
        text[n++] = 'j';
        return n;
    }
    default: memcpy(d, bits, sizeof *d); return float_text(d[0], text);
    }
}

size_t
mt_prof_input_text(const mt_prof_input *input, char *text)
{
    size_t n = 0;
    switch ((mt_prof_input_kind)input->kind) {
    case MT_PROF_IN_NONE:
    case MT_PROF_IN_TENSOR:
    case MT_PROF_IN_TENSORS: return 0;
    case MT_PROF_IN_BOOL:
    case MT_PROF_IN_INT:
    case MT_PROF_IN_FLOAT:
    case MT_PROF_IN_COMPLEX: return number_text(input->kind, input->payload, text);
    case MT_PROF_IN_BOOLS:
    case MT_PROF_IN_INTS:
    case MT_PROF_IN_FLOATS:
        text[n++] = '[';
        for (uint32_t i = 0; i < input->count; i++) {
            if (i) {
                text[n++] = ',';
                text[n++] = ' ';
            }
            n += number_text(input->kind, input->payload + i, text + n);
        }
        text[n++] = ']';
        return n;
    }
    return n;
}

/* Words that a value takes; the heading alone where it is not described. */
static size_t
words_of(const mt_value *v)
{
    switch ((mt_tag)v->tag) {
    case MT_V_TENSOR: return 1 + 2 * (size_t)v->u.t->ndim;
    case MT_V_BOOL:
    case MT_V_INT:
    case MT_V_FLOAT:
    case MT_V_DTYPE:
    case MT_V_LAYOUT:
    case MT_V_FORMAT: return 2;
    case MT_V_COMPLEX: return 3;
    case MT_V_INTS:
    case MT_V_BOOLS:
    case MT_V_FLOATS: return v->len > LIST_LIMIT ? 1 : 1 + (size_t)v->len;
    case MT_V_TENSORS: {
        size_t n = 1;
        if (v->len > LIST_LIMIT)
            return 1;
        for (uint32_t i = 0; i < v->len; i++)
            n += v->u.ts[i] ? 1 + 2 * (size_t)v->u.ts[i]->ndim : 1;
        return n;
    }
    default: return 1;
    }
}

static uint64_t *
put_tensor(uint64_t *w, const mt_tensor *t)
{
    if (!t) {
        *w++ = heading(MT_PROF_IN_NONE, 0, 0, 0);
        return w;
    }
    *w++ = heading(MT_PROF_IN_TENSOR, t->dtype, t->ndim, 0);
    for (int i = 0; i < t->ndim; i++)
        *w++ = (uint64_t)t->sizes[i];
    for (int i = 0; i < t->ndim; i++)
        *w++ = (uint64_t)t->strides[i];
    return w;
}

static uint64_t *
put_value(uint64_t *w, const mt_value *v)
{
    unsigned kind = MT_PROF_IN_NONE;
    switch ((mt_tag)v->tag) {
    case MT_V_TENSOR: return put_tensor(w, v->u.t);
    case MT_V_BOOL:
        *w++ = heading(MT_PROF_IN_BOOL, 0, 0, 0);
        *w++ = (uint64_t)v->u.i;
        return w;
    case MT_V_DTYPE:
        *w++ = heading(MT_PROF_IN_INT, 0, 0, 0);
        *w++ = v->u.i >= 0 && v->u.i < MT_NUM_DTYPES ? mt_dtypes[v->u.i].scalar_type : 0;
        return w;
    case MT_V_INT:
    case MT_V_LAYOUT:
    case MT_V_FORMAT:
        *w++ = heading(MT_PROF_IN_INT, 0, 0, 0);
        *w++ = (uint64_t)v->u.i;
        return w;
    case MT_V_FLOAT:
        *w++ = heading(MT_PROF_IN_FLOAT, 0, 0, 0);
        memcpy(w++, &v->u.f, sizeof v->u.f);
        return w;
    case MT_V_COMPLEX:
        *w++ = heading(MT_PROF_IN_COMPLEX, 0, 0, 0);
        memcpy(w, v->u.c, 2 * sizeof *v->u.c);
        return w + 2;
    case MT_V_INTS: kind = MT_PROF_IN_INTS; break;
    case MT_V_BOOLS: kind = MT_PROF_IN_BOOLS; break;
    case MT_V_FLOATS: kind = MT_PROF_IN_FLOATS; break;
    case MT_V_TENSORS:
        if (v->len > LIST_LIMIT) {
            *w++ = heading(MT_PROF_IN_TENSORS, 0, 0, 0);
            return w;
        }
        *w++ = heading(MT_PROF_IN_TENSORS, 0, 0, v->len);
        for (uint32_t i = 0; i < v->len; i++)
            w = put_tensor(w, v->u.ts[i]);
        return w;
    default: break;
    }
    if (kind == MT_PROF_IN_NONE || v->len > LIST_LIMIT) {
        *w++ = heading(MT_PROF_IN_NONE, 0, 0, 0);
        return w;
    }
    *w++ = heading(kind, 0, 0, v->len);
    memcpy(w, v->u.is, v->len * sizeof(uint64_t)); /* .is and .fs are both eight bytes wide */
    return w + v->len;
}

void
mt_prof_op_inputs(mt_prof_mark op, const mt_value *values, int count)
{
    static const mt_value none = {.tag = MT_V_NONE};
    if (!mt_prof_live(op) || count <= 0)
        return;
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += words_of(&values[i]);
    bool fits = n <= WORD_LIMIT;
    if (!fits) {
        if (count > WORD_LIMIT)
            return;
        n = (size_t)count;
    }
    mt_prof_side *old = op.record->side;
    mt_prof_side *side = mt_prof_side_new(n * sizeof(uint64_t));
    if (!side)
        return;
    side->stack = old ? old->stack : 0;
    side->keywords = old ? old->keywords : 0;
    side->count = (uint32_t)count;
    side->nwords = (uint32_t)n;
    uint64_t *w = side->words;
    for (int i = 0; i < count; i++)
        w = put_value(w, fits ? &values[i] : &none);
    op.record->side = side;
}
