/* A pickle is a program: opcode bytes with arguments in line. To step over one it suffices to know
 * the shape of each opcode's argument, which `shapes` holds.
 *
 * Up to protocol 3 a global is GLOBAL or INST with two text lines, so a name is changed in place.
 * From protocol 4 on it is STACK_GLOBAL, which takes module and name from the stack; picklers push
 * both right before it, each as a string literal (usually memoised) or fetched from the memo. The
 * walker therefore remembers the last two pushes and the memo's strings. The memo is shared with
 * data - a dict value may be the very string that names a module - so a memoised literal is kept
 * for the memo, popped, and the new name is pushed in its place. */
#include "serialize/pickle.h"

#include "base/error.h"

#include <stdlib.h>

enum {
    BAD,
    PLAIN, /* no argument */
    ONE,
    TWO,
    FOUR,
    EIGHT,
    LINE,
    LINES,  /* two lines */
    COUNT1, /* length in 1, 4 or 8 bytes, then that many bytes */
    COUNT4,
    COUNT4S, /* signed length */
    COUNT8,
};

#define PROTO 0x80
#define STOP '.'
#define FRAME 0x95
#define MEMOIZE 0x94
#define STACK_GLOBAL 0x93
#define SHORT_BINUNICODE 0x8C
#define BINUNICODE8 0x8D
#define BINUNICODE 'X'

static const uint8_t shapes[256] = {
    ['('] = PLAIN,   ['.'] = PLAIN,   ['0'] = PLAIN,    ['1'] = PLAIN,  ['2'] = PLAIN,
    ['F'] = LINE,    ['I'] = LINE,    ['J'] = FOUR,     ['K'] = ONE,    ['L'] = LINE,
    ['M'] = TWO,     ['N'] = PLAIN,   ['P'] = LINE,     ['Q'] = PLAIN,  ['R'] = PLAIN,
    ['S'] = LINE,    ['T'] = COUNT4S, ['U'] = COUNT1,   ['V'] = LINE,   ['X'] = COUNT4,
    ['a'] = PLAIN,   ['b'] = PLAIN,   ['c'] = LINES,    ['d'] = PLAIN,  ['}'] = PLAIN,
    ['e'] = PLAIN,   ['g'] = LINE,    ['h'] = ONE,      ['i'] = LINES,  ['j'] = FOUR,
    ['l'] = PLAIN,   [']'] = PLAIN,   ['o'] = PLAIN,    ['p'] = LINE,   ['q'] = ONE,
    ['r'] = FOUR,    ['s'] = PLAIN,   ['t'] = PLAIN,    [')'] = PLAIN,  ['u'] = PLAIN,
    ['G'] = EIGHT,   [0x80] = ONE,    [0x81] = PLAIN,   [0x82] = ONE,   [0x83] = TWO,
    [0x84] = FOUR,   [0x85] = PLAIN,  [0x86] = PLAIN,   [0x87] = PLAIN, [0x88] = PLAIN,
    [0x89] = PLAIN,  [0x8A] = COUNT1, [0x8B] = COUNT4S, ['B'] = COUNT4, ['C'] = COUNT1,
    [0x8C] = COUNT1, [0x8D] = COUNT8, [0x8E] = COUNT8,  [0x8F] = PLAIN, [0x90] = PLAIN,
    [0x91] = PLAIN,  [0x92] = PLAIN,  [0x93] = PLAIN,   [0x94] = PLAIN, [0x95] = EIGHT,
    [0x96] = COUNT8, [0x97] = PLAIN,  [0x98] = PLAIN,
};

/* One step of the program: data[at] with its argument data[arg .. arg+arg_len). */
typedef struct step {
    uint8_t op;
    size_t arg, arg_len, end;
} step;

static uint64_t
number(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* 1, 0 when the data end within the step, -1 on error. */
static int
next_step(const uint8_t *data, size_t n, size_t at, step *s)
{
    static const uint8_t widths[] = {[ONE] = 1,    [TWO] = 2,    [FOUR] = 4,    [EIGHT] = 8,
                                     [COUNT1] = 1, [COUNT4] = 4, [COUNT4S] = 4, [COUNT8] = 8};
    if (at >= n)
        return 0;
    uint8_t shape = shapes[data[at]];
    s->op = data[at];
    s->arg = at + 1;
    s->arg_len = 0;
    s->end = at + 1;
    if (shape == PLAIN)
        return 1;
    if (shape == BAD)
        return mt_fail(MT_RUNTIME, "invalid pickle: byte %zu (0x%02x) is no opcode", at, data[at]);
    if (shape == LINE || shape == LINES) {
        for (int lines = shape == LINES ? 2 : 1; lines; lines--) {
            const uint8_t *end = memchr(data + s->end, '\n', n - s->end);
            if (!end)
                return 0;
            s->end = (size_t)(end - data) + 1;
        }
        s->arg_len = s->end - s->arg;
        return 1;
    }
    size_t width = widths[shape];
    if (n - s->end < width)
        return 0;
    s->end += width;
    if (shape >= COUNT1) {
        uint64_t count = number(data + s->arg, width);
        if (count > (shape == COUNT4S ? INT32_MAX : INT64_MAX))
            return mt_fail(MT_RUNTIME, "invalid pickle: negative length at byte %zu", at);
        if (n - s->end < count)
            return 0;
        s->arg = s->end;
        s->end += count;
    }
    s->arg_len = s->end - s->arg;
    return 1;
}

int64_t
mt_pickle_length(const uint8_t *data, size_t n)
{
    step s;
    int state;
    for (size_t at = 0; (state = next_step(data, n, at, &s)) == 1; at = s.end)
        if (s.op == STOP)
            return (int64_t)s.end;
    return state;
}

/* ---- names on the stack ---- */

typedef struct text {
    const char *chars; /* NULL: not a string */
    size_t len;
} text;

/* A push as it stands in the input and, when renaming, in the output. */
typedef struct push {
    text string;
    bool literal, memoised;             /* by the push itself */
    size_t out_start, out_mid, out_end; /* the push itself ends at out_mid, its PUT at out_end */
} push;

typedef struct walker {
    const uint8_t *data;
    size_t n;
    text *memo;                /* by index; only strings are kept */
    size_t memo_cap, memo_len; /* memo_len: entries made, the index MEMOIZE takes */
    push last[2];  /* the latest pushes, [1] the newest; chars NULL where something else came */
    bool has_memo; /* protocol 4 and up: the memo's strings may become names */
} walker;

static int
memo_put(walker *w, uint64_t index, text string)
{
    if (index >= w->memo_cap) {
        if (index > w->n) /* a pickler numbers its entries, so no index exceeds the length */
            return mt_fail(MT_RUNTIME, "invalid pickle: memo index %llu",
                           (unsigned long long)index);
        size_t cap = 2 * (size_t)index + 64;
        text *grown = realloc(w->memo, cap * sizeof *grown);
        if (!grown)
            return mt_fail(MT_MEMORY, "not enough memory to read a pickle");
        memset(grown + w->memo_cap, 0, (cap - w->memo_cap) * sizeof *grown);
        w->memo = grown;
        w->memo_cap = cap;
    }
    w->memo[index] = string;
    w->memo_len++;
    return 0;
}

static text
memo_get(const walker *w, uint64_t index)
{
    return index < w->memo_cap ? w->memo[index] : (text){NULL, 0};
}

static void
pushed(walker *w, text string, bool literal, size_t out_start)
{
    w->last[0] = w->last[1];
    w->last[1] = (push){string, literal, false, out_start, 0, 0};
}

/* Follows what the step does to the top of the stack; out_start is where its copy begins. */
static int
follow(walker *w, const step *s, size_t out_start)
{
    const uint8_t *arg = w->data + s->arg;
    switch (s->op) {
    case SHORT_BINUNICODE:
    case BINUNICODE:
    case BINUNICODE8: pushed(w, (text){(const char *)arg, s->arg_len}, true, out_start); return 0;
    case 'h':
    case 'j': pushed(w, memo_get(w, number(arg, s->arg_len)), false, out_start); return 0;
    case MEMOIZE:
    case 'q':
    case 'r':
        w->last[1].memoised = true;
        if (!w->has_memo)
            return 0;
        return memo_put(w, s->op == MEMOIZE ? w->memo_len : number(arg, s->arg_len),
                        w->last[1].string);
    case FRAME: return 0;
    default: w->last[0] = w->last[1] = (push){{NULL, 0}, false, false, 0, 0, 0}; return 0;
    }
}

/* The two lines of GLOBAL and INST. */
static void
split_lines(const walker *w, const step *s, text *module, text *name)
{
    const char *p = (const char *)w->data + s->arg, *mid = memchr(p, '\n', s->arg_len);
    *module = (text){p, (size_t)(mid - p)};
    *name = (text){mid + 1, s->arg_len - module->len - 2};
}

int
mt_pickle_globals(const uint8_t *data, size_t n, mt_pickle_global_fn visit, void *ctx)
{
    walker w = {.data = data, .n = n, .has_memo = true};
    step s;
    int rc = -1, state;
    for (size_t at = 0; (state = next_step(data, n, at, &s)) == 1; at = s.end) {
        text module = {NULL, 0}, name = {NULL, 0};
        if (s.op == 'c' || s.op == 'i') {
            split_lines(&w, &s, &module, &name);
        } else if (s.op == STACK_GLOBAL) {
            module = w.last[0].string;
            name = w.last[1].string;
            if (!module.chars || !name.chars) {
                mt_fail(MT_RUNTIME, "invalid pickle: STACK_GLOBAL at byte %zu without two strings",
                        at);
                goto done;
            }
        }
        if (module.chars && visit(ctx, module.chars, module.len, name.chars, name.len))
            goto done;
        if (s.op == STOP) {
            rc = 0;
            goto done;
        }
        if (follow(&w, &s, 0))
            goto done;
    }
    if (state == 0)
        mt_fail(MT_EOF, "the pickle ends before its STOP");
done:
    free(w.memo);
    return rc;
}

/* ---- renaming ---- */

typedef struct output {
    uint8_t *data;
    size_t n, cap;
} output;

static int
append(output *o, const void *data, size_t n)
{
    if (o->cap - o->n < n) {
        size_t cap = 2 * o->cap + n + 64;
        uint8_t *grown = realloc(o->data, cap);
        if (!grown)
            return mt_fail(MT_MEMORY, "not enough memory to rewrite a pickle");
        o->data = grown;
        o->cap = cap;
    }
    memcpy(o->data + o->n, data, n);
    o->n += n;
    return 0;
}

static bool
is_below(text module, const char *from, size_t from_len)
{
    return module.chars && module.len >= from_len && !memcmp(module.chars, from, from_len) &&
           (module.len == from_len || module.chars[from_len] == '.');
}

/* A literal of the renamed module; names are short, but any length is in order. */
static int
append_literal(output *o, const char *to, text rest)
{
    size_t len = strlen(to) + rest.len;
    uint8_t head[5] = {BINUNICODE, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                       (uint8_t)(len >> 24)};
    return append(o, head, sizeof head) || append(o, to, strlen(to)) ||
                   append(o, rest.chars, rest.len)
               ? -1
               : 0;
}

/* The module was pushed at last[0], the name after it: puts another module below the name. */
static int
rename_pushed(walker *w, output *o, const char *to, size_t from_len)
{
    push module = w->last[0];
    text rest = {module.string.chars + from_len, module.string.len - from_len};
    size_t name_len = o->n - module.out_end;
    uint8_t *name = malloc(name_len + 1);
    int rc = -1;
    if (!name)
        return mt_fail(MT_MEMORY, "not enough memory to rewrite a pickle");
    memcpy(name, o->data + module.out_end, name_len);
    o->n = module.memoised ? module.out_end : module.out_start;
    if ((module.memoised && append(o, "0", 1)) || append_literal(o, to, rest) ||
        append(o, name, name_len))
        goto done;
    rc = 0;
done:
    free(name);
    return rc;
}

/* "module\nname\n" */
static bool
is_named_global(text t)
{
    const char *mid = t.chars ? memchr(t.chars, '\n', t.len) : NULL;
    const char *end = mid ? memchr(mid + 1, '\n', t.len - (size_t)(mid + 1 - t.chars)) : NULL;
    return end && end == t.chars + t.len - 1;
}

/* A text as persistent id stands for a global, which takes its place and its memo entry. MEMOIZE
 * counts entries instead of naming them: there the literal stays for the memo and is popped. */
static int
name_global(walker *w, output *o)
{
    push id = w->last[1];
    uint8_t put[5];
    size_t put_len = id.out_end - id.out_mid;
    if (w->has_memo && id.memoised) {
        o->n = id.out_end;
        return append(o, "0c", 2) || append(o, id.string.chars, id.string.len) ? -1 : 0;
    }
    memcpy(put, o->data + id.out_mid, put_len);
    o->n = id.out_start;
    return append(o, "c", 1) || append(o, id.string.chars, id.string.len) || append(o, put, put_len)
               ? -1
               : 0;
}

static int
rename_step(walker *w, output *o, const step *s, size_t at, const char *from, const char *to)
{
    size_t from_len = strlen(from);
    text module, name;
    if (s->op == 'c' || s->op == 'i') {
        split_lines(w, s, &module, &name);
        if (!is_below(module, from, from_len))
            return append(o, w->data + at, s->end - at);
        return append(o, &s->op, 1) || append(o, to, strlen(to)) ||
                       append(o, module.chars + from_len, s->end - s->arg - from_len)
                   ? -1
                   : 0;
    }
    if (s->op == FRAME)
        return 0;
    if (s->op == 'Q' && w->last[1].literal && is_named_global(w->last[1].string) &&
        w->last[1].out_end - w->last[1].out_mid <= 5)
        return name_global(w, o);
    if (s->op == STACK_GLOBAL && w->last[1].string.chars &&
        is_below(w->last[0].string, from, from_len) && rename_pushed(w, o, to, from_len))
        return -1;
    return append(o, w->data + at, s->end - at);
}

uint8_t *
mt_pickle_rename(const uint8_t *data, size_t n, const char *from, const char *to, size_t *out_n)
{
    walker w = {.data = data, .n = n, .has_memo = n >= 2 && data[0] == PROTO && data[1] >= 4};
    output o = {malloc(n + 256), 0, n + 256};
    step s;
    int state = -1;
    if (!o.data)
        return mt_fail_null(MT_MEMORY, "not enough memory to rewrite a pickle");
    for (size_t at = 0; (state = next_step(data, n, at, &s)) == 1; at = s.end) {
        size_t out_start = o.n;
        if (rename_step(&w, &o, &s, at, from, to))
            goto fail;
        if (follow(&w, &s, out_start))
            goto fail;
        if (w.last[1].out_start == out_start)
            w.last[1].out_mid = o.n;
        w.last[1].out_end = o.n;
        if (s.op == STOP) {
            free(w.memo);
            *out_n = o.n;
            return o.data;
        }
    }
    if (state == 0)
        mt_fail(MT_EOF, "the pickle ends before its STOP");
fail:
    free(w.memo);
    free(o.data);
    return NULL;
}
