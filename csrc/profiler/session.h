/* Sessions: switching the recorder on and off, and what was recorded.
 *
 * A session is recording, then stopped; mt_prof_session_build turns the records of all threads into
 * one array of events in order of their beginnings, in nanoseconds, with the nesting worked out.
 * Stopping is cheap and building is done on demand, once. There is at most one recording session
 * in a process. */
#pragma once

#include "base/error.h"
#include "profiler/profiler.h"

typedef struct mt_prof_session mt_prof_session;

/* ------------------------------------------------------------------ control */

/* Reads the clocks once, so that short sessions later have a long base to measure the counter's
 * rate against. Optional; the first session does it otherwise. */
void mt_prof_init(void);
/* Gets memory for the first records ready (WARMUP). */
void mt_prof_prepare(void);

/* Starts recording on every thread. NULL where a session is recording already (MT_RUNTIME) or
 * memory ran out. `flags`: MT_PROF_SHAPES and so on, MT_PROF_OPS is implied. */
mt_prof_session *mt_prof_session_start(uint32_t flags);
/* Between pause and resume nothing begins; what had begun may end. */
void mt_prof_session_pause(mt_prof_session *session, bool paused);
/* From now on events belong to this step of the program (ProfilerStep#step). */
int mt_prof_session_step(mt_prof_session *session, int64_t step);
/* Ends recording. Events that are still open end here and are marked. Stopping twice is allowed. */
void mt_prof_session_stop(mt_prof_session *session);
/* Stops if need be and gives everything back. NULL is allowed. */
void mt_prof_session_free(mt_prof_session *session);
/* The id of a user's scope name, kept by the running session and gone with it (names of scopes may
 * be made up without end); 0 without a session. */
uint32_t mt_prof_scope_name(const char *name, size_t length);

/* ------------------------------------------------------------------ results */

typedef enum mt_prof_event_kind {
    MT_PROF_E_OP,
    MT_PROF_E_SCOPE,
    MT_PROF_E_EVALUATE, /* autograd::engine::evaluate_function: NODE */
    MT_PROF_E_NODE,     /* the backward node itself */
} mt_prof_event_kind;

enum {                                /* mt_prof_event.flags, above the MT_PROF_F_ ones */
       MT_PROF_F_UNFINISHED = 1 << 4, /* still open when the session stopped */
       MT_PROF_F_MERGED = 1 << 5,     /* the only child of a parent of its own name: left out of
                                        tables, `parent` still names that parent */
       MT_PROF_F_OVERLAP = 1 << 6,    /* ends after its predecessor that it began in */
};

typedef struct mt_prof_event {
    int64_t begin, end;               /* ns since the session's start */
    int64_t kernel_begin, kernel_end; /* -1: no kernel */
    int64_t self;                     /* ns not spent in children, >= 0 */
    int64_t sequence;
    const struct mt_prof_side *side; /* NULL: none */
    uint32_t name;                   /* index into names */
    uint32_t kernel_name;            /* index into names, 0 = none */
    uint32_t forward_thread;         /* number; 0 = not a backward event */
    int32_t parent;                  /* index of the enclosing event or -1; smaller than its own */
    uint16_t thread;                 /* index into threads */
    uint8_t kind;                    /* mt_prof_event_kind */
    uint8_t flags;
    int32_t forward; /* backward events: the innermost operator that made the
                                         node, where it was recorded; else -1 */
} mt_prof_event;

typedef struct mt_prof_kernel { /* the second, third... kernel of an event */
    int64_t begin, end;
    int32_t event;
    uint32_t name;
} mt_prof_kernel;

typedef struct mt_prof_alloc { /* a block handed out (bytes > 0) or taken back (bytes < 0) */
    int64_t time;
    uint64_t address;
    int64_t bytes;
    uint64_t allocated; /* afterwards, in the whole process */
    int32_t event;      /* innermost event then open on the thread, -1 = none */
    uint16_t thread;
} mt_prof_alloc;

typedef struct mt_prof_label { /* a name that events use */
    const char *text;
    size_t length;
    const char *overload;
    uint32_t same; /* the first label with this text (another may differ in overload) */
    bool is_step;  /* ProfilerStep#N */
    uint8_t flops_rule;
    const char *json; /* the text as a JSON string with its quotes: valid UTF-8 */
    size_t json_length;
} mt_prof_label;

typedef struct mt_prof_thread_info {
    uint32_t number; /* 1 = first thread of the process that recorded */
    int32_t tid;     /* of the operating system */
    char name[16];
} mt_prof_thread_info;

typedef struct mt_prof_step {
    int64_t time; /* ns since the session's start */
    int64_t step;
} mt_prof_step;

typedef struct mt_prof_results {
    mt_prof_event *events; /* in order of (begin, -end) over all threads */
    int64_t nevents;
    mt_prof_kernel *kernels; /* in order of event */
    int64_t nkernels;
    mt_prof_alloc *allocs; /* in order of time */
    int64_t nallocs;
    int64_t *memory; /* per event: bytes allocated minus freed, children included; then, from
                        memory[nevents] on, without children. NULL without MT_PROF_MEMORY */
    mt_prof_label *labels;
    uint32_t nlabels; /* label 0 is the empty text */
    mt_prof_thread_info *threads;
    uint32_t nthreads;
    mt_prof_step *steps;
    int64_t nsteps;
    int64_t start_unix;  /* ns since 1970 at the session's start */
    int64_t start_clock; /* CLOCK_MONOTONIC then */
    int64_t duration;    /* ns */
    uint64_t allocated;  /* bytes allocated at the start */
    uint64_t dropped;    /* events lost because memory ran out */
    uint32_t flags;
    int32_t pid;
    bool counter; /* times come from the time-stamp counter */
} mt_prof_results;

/* The results of a stopped session, made on the first call; NULL with the error set when it is
 * still recording or memory ran out. Owned by the session. */
const mt_prof_results *mt_prof_session_results(mt_prof_session *session);

/* ------------------------------------------------------------------ side data */

/* What an event carries beside its times. The inputs are packed into words; read them with
 * mt_prof_input_next. */
typedef struct mt_prof_side {
    uint32_t stack, keywords; /* the host's ids, 0 = none */
    uint32_t count, nwords;   /* inputs and the words they take */
    uint64_t words[];
} mt_prof_side;

typedef enum mt_prof_input_kind {
    MT_PROF_IN_NONE, /* None and what is not described: type "" and no dims */
    MT_PROF_IN_TENSOR,
    MT_PROF_IN_TENSORS,
    MT_PROF_IN_BOOL,
    MT_PROF_IN_INT,
    MT_PROF_IN_FLOAT,
    MT_PROF_IN_COMPLEX,
    MT_PROF_IN_BOOLS,
    MT_PROF_IN_INTS,
    MT_PROF_IN_FLOATS,
} mt_prof_input_kind;

typedef struct mt_prof_input {
    uint8_t kind;
    uint8_t dtype;           /* of a tensor */
    uint16_t ndim;           /* of a tensor */
    uint32_t count;          /* of a list */
    const uint64_t *payload; /* tensor: sizes then strides; list of numbers: the values (bits of the
                                double for floats); tensors: the packed items; number: its bits */
} mt_prof_input;

/* Gives an event the host's id of its keyword inputs. */
void mt_prof_attach_keywords(mt_prof_mark mark, uint32_t keywords);

/* Reads the input at words[*at] and moves *at behind it. */
mt_prof_input mt_prof_input_next(const uint64_t *words, uint32_t *at);
/* The word that PyTorch's traces use for an input: "float", "long int", "TensorList", "Scalar"... */
const char *mt_prof_input_type(const mt_prof_input *input);
/* The value of a number or a list of numbers in words ("2.", "[0, 1]", "True"), nothing for other
 * inputs. Returns the length; the text holds no character that JSON wants escaped. */
#define MT_PROF_TEXT_LIMIT 1024
size_t mt_prof_input_text(const mt_prof_input *input, char *text);

/* ------------------------------------------------------------------ averages */

enum { /* what must agree for events to share a row, beside name and kind */
       MT_PROF_BY_SHAPES = 1 << 0,
       MT_PROF_BY_OVERLOAD = 1 << 1,
};

typedef struct mt_prof_row {
    int64_t count, total, self; /* ns */
    int64_t memory, self_memory;
    int64_t kernels, kernel_total;
    int64_t flops;
    int32_t first; /* its first event */
    bool is_async; /* of the first event */
} mt_prof_row;

/* One row per group of events in order of first appearance. Merged events are left out, and the
 * ProfilerStep#N of all N count as one (the caller renames the row). `stack_class` (NULL: stacks do
 * not matter) gives each of the `nstacks` stack ids the class within which stacks count as equal.
 * The caller frees *rows; -1 with the error set. */
int mt_prof_average(const mt_prof_results *results, uint32_t by, const uint32_t *stack_class,
                    uint32_t nstacks, mt_prof_row **rows, int64_t *nrows);
/* The stack id of an event: of its own, or of the operator that made the node. 0 = none. */
uint32_t mt_prof_event_stack(const mt_prof_results *results, int64_t event);

/* Floating-point operations of an event whose inputs were recorded; 0 where they are not known. */
int64_t mt_prof_flops(const mt_prof_results *results, int64_t event);
uint8_t mt_prof_flops_rule(const char *name);

/* Bytes allocated in the process at a time of the session, as far as blocks were recorded. */
uint64_t mt_prof_allocated_at(const mt_prof_results *results, int64_t time);

/* ------------------------------------------------------------------ export */

typedef struct mt_prof_trace_options {
    const char *head;      /* JSON members put first in the object, each ended by a comma; or "" */
    const char *tail;      /* metadata events (JSON objects, each preceded by a comma), or "" */
    bool runtime_events;   /* slices of kernels and the flows to them */
    const char *flow_name; /* category of the forward-backward flows: "fwdbwd" */
    /* Texts of the host, or NULL: a stack as a JSON string (frames ended by ";") and as a list of
     * strings, keyword inputs as JSON members each preceded by a comma. */
    const char *(*stack_json)(void *context, uint32_t stack, bool as_list);
    const char *(*keywords_json)(void *context, uint32_t keywords);
    void *context;
} mt_prof_trace_options;

/* Receives the text in pieces; anything but 0 ends the export. */
typedef int (*mt_prof_sink)(void *context, const char *text, size_t length);

/* The Chrome trace. -1 where the sink failed (its error stands) or memory ran out. */
int mt_prof_export_trace(const mt_prof_results *results, const mt_prof_trace_options *options,
                         mt_prof_sink sink, void *sink_context);
