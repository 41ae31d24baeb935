/* Matching and conversion of arguments; see args.c. */
#pragma once

#include "python/overrides.h"
#include "python/signature.h"

#define MTPY_MAX_PARAMS 40
#define MTPY_MAX_ARGS 40
#define MTPY_MAX_RETS 8
#define MTPY_ARENA_BLOCKS 16
#define MTPY_ARENA_OWNED 16

/* Memory of one call: lists of numbers and pointers, and objects made for the call. */
typedef struct mtpy_arena {
    uint32_t used;
    int nowned, nblocks;
    PyObject *owned[MTPY_ARENA_OWNED];
    void *blocks[MTPY_ARENA_BLOCKS];
    _Alignas(8) char room[512];
} mtpy_arena;

void mtpy_arena_clear(mtpy_arena *arena);

typedef struct mtpy_match_result {
    const mtpy_signature *signature;
    const mt_op *op;    /* the functional or the out= form */
    bool has_override;  /* an argument may want __torch_function__ */
    bool varargs;       /* the positional arguments are one list of ints */
    bool requires_grad; /* requires_grad=True was given */
    int given;          /* parameters from here on are left out */
    PyObject *out;
    PyObject *objects[MTPY_MAX_PARAMS]; /* one per parameter, borrowed; NULL: left out */
    mt_value values[MTPY_MAX_ARGS];
    mtpy_arena arena;
} mtpy_match_result;

/* Finds the signature that takes the arguments; 0, or -1 with PyTorch's TypeError. */
int mtpy_match(const mtpy_packet *packet, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames, mtpy_match_result *m);
/* Converts the matched arguments into m->values. */
int mtpy_fill(const mtpy_packet *packet, PyObject *self, PyObject *const *args, Py_ssize_t nargs,
              mtpy_match_result *m);

/* Whether the object may fill the parameter; the name of the parameter's type for error texts. */
bool mtpy_accepts(const mtpy_param *p, PyObject *o);
const char *mtpy_type_name(const mtpy_param *p);
/* A Python object as value, in the arena's memory; -1 with an exception. */
int mtpy_convert(const mtpy_param *p, PyObject *o, mt_value *value, mtpy_arena *arena);

/* Offers the call to modes and overriding arguments. true: *result is the outcome (NULL with an
 * exception); false: nobody wanted it. */
bool mtpy_torch_function(const mtpy_packet *packet, PyObject *self, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames, PyObject **result);
/* The same; who is asked first follows `objects`, the arguments in the signature's order. */
bool mtpy_torch_function_matched(const mtpy_packet *packet, PyObject *self,
                                 PyObject *const *objects, int nobjects, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames, PyObject **result);
/* A function that takes no tensor to override it: only modes are asked. */
bool mtpy_offer_to_modes(const mtpy_packet *packet, PyObject *const *args, Py_ssize_t nargs,
                         PyObject *kwnames, PyObject **result);
/* The same for a function object of any kind. */
bool mtpy_offer_function(PyObject *func, PyObject *const *objects, int nobjects,
                         PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                         PyObject **result);
