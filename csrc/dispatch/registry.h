/* How the generated records reach the dispatcher: one array per table file. */
#pragma once

#include "dispatch/op.h"

typedef struct mt_op_group {
    mt_op *ops;
    const int *count;
} mt_op_group;

extern const mt_op_group mt_op_groups[];
extern const int mt_num_op_groups;

/* Walks every record, generated and registered: start with *state = 0; NULL at the end. */
mt_op *mt_next_op(int64_t *state);
