/* The Python side of csrc/profiler: sessions and their results, scopes, call stacks. */
#pragma once

#include "profiler/session.h"
#include "python/python.h"

/* An operator of PyTorch that the binding carries out itself: its event while somebody records.
 * `id` keeps the interned name. End it with mt_prof_op_end. */
MT_INLINE mt_prof_mark
mtpy_op_begin(const char *name, uint32_t *id, const mt_tensor *self)
{
    uint32_t on = mt_prof_flags();
    if (MT_LIKELY(!on))
        return (mt_prof_mark){NULL, 0};
    if (!*id)
        *id = mt_prof_name(name, NULL);
    mt_prof_mark mark = mt_prof_op_begin(*id, -1);
    mt_value value = mt_v_tensor((mt_tensor *)self);
    if (on & MT_PROF_SHAPES)
        mt_prof_op_inputs(mark, &value, 1);
    return mark;
}

/* ------------------------------------------------------------------ scopes (profiler_scope.c) */

int mtpy_add_profiler_scopes(PyObject *module);
/* The keyword inputs of the recording session: a list that ids 1, 2... index. Borrowed; NULL while
 * nobody wants them. Owned by the session object. */
extern PyObject *mtpy_profiler_keywords;

/* ------------------------------------------------------------------ stacks (profiler_stack.c) */

/* The call stacks of one session: a tree whose nodes are (caller, code, instruction). */
typedef struct mtpy_stacks mtpy_stacks;

mtpy_stacks *mtpy_stacks_new(void); /* NULL with an exception */
void mtpy_stacks_free(mtpy_stacks *stacks);
int mtpy_stacks_traverse(mtpy_stacks *stacks, visitproc visit, void *arg);
/* From now on stacks are taken into this table; NULL: none are. */
void mtpy_stacks_use(mtpy_stacks *stacks);
/* Ids are 1 .. count. */
uint32_t mtpy_stacks_count(const mtpy_stacks *stacks);
/* The frames of a stack, innermost first: a list of (file, line, function). */
PyObject *mtpy_stacks_frames(const mtpy_stacks *stacks, uint32_t id);
