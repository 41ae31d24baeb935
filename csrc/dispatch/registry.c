/* Finding operators by name, adding some at run time. */
#include "dispatch/registry.h"

#include <stdlib.h>

#include "base/error.h"

/* Open-addressing table of all records, made on first look-up: programs that only call generated
 * entry points never need it. Guarded by the interpreter lock. */
static mt_op **slots;
static size_t nslots, nused;
static mt_op **added;
static int64_t nadded;

static size_t
hash(const char *name, const char *overload)
{
    size_t h = 1469598103934665603u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    h = (h ^ '.') * 1099511628211u;
    for (; *overload; overload++)
        h = (h ^ (unsigned char)*overload) * 1099511628211u;
    return h;
}

static int
insert(mt_op *op)
{
    if ((nused + 1) * 2 > nslots) {
        size_t n = nslots ? nslots * 2 : 8192;
        mt_op **fresh = calloc(n, sizeof *fresh), **old = slots;
        size_t nold = nslots;
        if (!fresh)
            return mt_fail(MT_MEMORY, "not enough memory for the operator registry");
        slots = fresh;
        nslots = n;
        nused = 0;
        for (size_t i = 0; i < nold; i++)
            if (old[i])
                insert(old[i]);
        free(old);
    }
    size_t i = hash(op->name, op->overload) & (nslots - 1);
    while (slots[i]) {
        if (!strcmp(slots[i]->name, op->name) && !strcmp(slots[i]->overload, op->overload)) {
            slots[i] = op;
            return 0;
        }
        i = (i + 1) & (nslots - 1);
    }
    slots[i] = op;
    nused++;
    return 0;
}

static int
fill(void)
{
    if (slots)
        return 0;
    for (int g = 0; g < mt_num_op_groups; g++)
        for (int i = 0; i < *mt_op_groups[g].count; i++)
            if (insert(&mt_op_groups[g].ops[i]) < 0)
                return -1;
    return 0;
}

mt_op *
mt_find_op(const char *name, const char *overload)
{
    if (fill() < 0) {
        mt_error_clear();
        return NULL;
    }
    size_t i = hash(name, overload) & (nslots - 1);
    for (; slots[i]; i = (i + 1) & (nslots - 1))
        if (!strcmp(slots[i]->name, name) && !strcmp(slots[i]->overload, overload))
            return slots[i];
    return NULL;
}

int
mt_register_op(mt_op *op)
{
    if (fill() < 0)
        return -1;
    mt_op **grown = realloc(added, (size_t)(nadded + 1) * sizeof *added);
    if (!grown)
        return mt_fail(MT_MEMORY, "not enough memory for the operator registry");
    added = grown;
    added[nadded++] = op;
    return insert(op);
}

mt_op *
mt_next_op(int64_t *state)
{
    int64_t at = (*state)++;
    for (int g = 0; g < mt_num_op_groups; g++) {
        if (at < *mt_op_groups[g].count)
            return &mt_op_groups[g].ops[at];
        at -= *mt_op_groups[g].count;
    }
    return at < nadded ? added[at] : NULL;
}

mt_kernel *
mt_own_table(mt_op *op)
{
    if (op->flags & MT_OP_OWN_TABLE)
        return (mt_kernel *)op->table;
    mt_kernel *table = malloc(MT_NUM_FUNCTIONALITIES * sizeof *table);
    if (!table)
        return mt_fail_null(MT_MEMORY, "not enough memory for a dispatch table");
    memcpy(table, op->table, MT_NUM_FUNCTIONALITIES * sizeof *table);
    op->table = table;
    op->flags |= MT_OP_OWN_TABLE;
    return table;
}
