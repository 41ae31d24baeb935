/* Call stacks of the interpreter, taken while events are recorded.
 *
 * A stack is a node of a tree: its caller's node, a code object and the instruction in it. Equal
 * stacks are one node, so an event stores four bytes and taking a stack that was seen before
 * allocates nothing. Lines are looked up when somebody reads, since decoding a line table costs
 * more than the whole walk. The tree owns its code objects. */
#include "python/profiler.h"

#include <frameobject.h>

/* Deeper callers are left out. */
#define DEPTH 256

typedef struct node {
    PyCodeObject *code; /* owned */
    uint32_t caller;
    int instruction; /* in bytes */
} node;

struct mtpy_stacks {
    node *nodes; /* nodes[0] is the root: no frame */
    uint32_t count, capacity;
    uint32_t *slots; /* open addressing, 0 = free */
    uint32_t nslots;
};

static mtpy_stacks *in_use;

static uint32_t
hash_node(const node *n)
{
    uint64_t h = ((uint64_t)(uintptr_t)n->code >> 4) * 0x9E3779B97F4A7C15u;
    h ^= ((uint64_t)n->caller << 32 | (uint32_t)n->instruction) * 0xC2B2AE3D27D4EB4Fu;
    return (uint32_t)(h >> 32 ^ h);
}

static int
grow(mtpy_stacks *stacks)
{
    uint32_t nslots = 2 * stacks->nslots;
    uint32_t *slots = PyMem_RawCalloc(nslots, sizeof *slots);
    node *nodes = PyMem_RawRealloc(stacks->nodes, (nslots / 2) * sizeof *nodes);
    if (nodes) {
        stacks->nodes = nodes;
        stacks->capacity = nslots / 2;
    }
    if (!slots || !nodes) {
        PyMem_RawFree(slots);
        return -1;
    }
    for (uint32_t id = 1; id < stacks->count; id++) {
        uint32_t at = hash_node(&nodes[id]) & (nslots - 1);
        while (slots[at])
            at = (at + 1) & (nslots - 1);
        slots[at] = id;
    }
    PyMem_RawFree(stacks->slots);
    stacks->slots = slots;
    stacks->nslots = nslots;
    return 0;
}

mtpy_stacks *
mtpy_stacks_new(void)
{
    mtpy_stacks *stacks = PyMem_RawCalloc(1, sizeof *stacks);
    if (stacks) {
        stacks->nslots = 128;
        stacks->count = 1;
        if (!grow(stacks)) {
            stacks->nodes[0] = (node){0};
            return stacks;
        }
        mtpy_stacks_free(stacks);
    }
    PyErr_NoMemory();
    return NULL;
}

void
mtpy_stacks_free(mtpy_stacks *stacks)
{
    if (!stacks)
        return;
    if (in_use == stacks)
        mtpy_stacks_use(NULL);
    for (uint32_t id = 1; id < stacks->count; id++)
        Py_DECREF(stacks->nodes[id].code);
    PyMem_RawFree(stacks->nodes);
    PyMem_RawFree(stacks->slots);
    PyMem_RawFree(stacks);
}

int
mtpy_stacks_traverse(mtpy_stacks *stacks, visitproc visit, void *arg)
{
    for (uint32_t id = 1; stacks && id < stacks->count; id++)
        Py_VISIT(stacks->nodes[id].code);
    return 0;
}

uint32_t
mtpy_stacks_count(const mtpy_stacks *stacks)
{
    return stacks ? stacks->count - 1 : 0;
}

/* The child of `caller` with this code and instruction, made if need be; 0 when memory ran out. */
static uint32_t
child_of(mtpy_stacks *stacks, uint32_t caller, PyCodeObject *code, int instruction)
{
    node wanted = {code, caller, instruction};
    uint32_t at = hash_node(&wanted) & (stacks->nslots - 1);
    for (; stacks->slots[at]; at = (at + 1) & (stacks->nslots - 1)) {
        const node *n = &stacks->nodes[stacks->slots[at]];
        if (n->code == code && n->caller == caller && n->instruction == instruction)
            return stacks->slots[at];
    }
    if (stacks->count + 1 > stacks->capacity) {
        if (stacks->count >= UINT32_MAX / 4 || grow(stacks))
            return 0;
        return child_of(stacks, caller, code, instruction);
    }
    uint32_t id = stacks->count++;
    Py_INCREF(code);
    stacks->nodes[id] = wanted;
    stacks->slots[at] = id;
    return id;
}

static int
instruction_of(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti < 0 ? -1 : frame->f_lasti * 2;
#endif
}

static uint32_t
take_stack(void)
{
    mtpy_stacks *stacks = in_use;
    PyFrameObject *frames[DEPTH];
    int depth = 0;
    if (!stacks || !PyGILState_Check())
        return 0;
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    while (frame && depth < DEPTH) {
        frames[depth++] = frame;
        frame = PyFrame_GetBack(frame);
    }
    Py_XDECREF(frame);
    uint32_t id = 0;
    bool lost = false;
    while (depth--) {
        PyCodeObject *code = PyFrame_GetCode(frames[depth]);
        if (!lost)
            lost = !(id = child_of(stacks, id, code, instruction_of(frames[depth])));
        Py_DECREF(code);
        Py_DECREF(frames[depth]);
    }
    return id;
}

void
mtpy_stacks_use(mtpy_stacks *stacks)
{
    in_use = stacks;
    mt_prof_stack_hook = stacks ? take_stack : NULL;
}

PyObject *
mtpy_stacks_frames(const mtpy_stacks *stacks, uint32_t id)
{
    PyObject *list = PyList_New(0);
    if (!list || !stacks || id >= stacks->count)
        return list;
    for (; id; id = stacks->nodes[id].caller) {
        const node *n = &stacks->nodes[id];
        int line = PyCode_Addr2Line(n->code, n->instruction);
        PyObject *frame = Py_BuildValue("(OiO)", n->code->co_filename, line, n->code->co_name);
        int result = frame ? PyList_Append(list, frame) : -1;
        Py_XDECREF(frame);
        if (result) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}
