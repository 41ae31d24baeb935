/* The dispatcher: keys of the arguments and of the thread decide which handler runs.
 *
 * A call goes down through the handlers, highest key first; each does its part and passes the
 * call on with the keys below its own. Records share their handler tables, so a layer is one
 * function for every operator. */
#include "base/error.h"
#include "dispatch/op.h"
#include "profiler/profiler.h"
#include "tensor/device.h"

mt_kernel mt_python_handler, mt_python_mode_handler;

static mt_device
device_argument(const mt_op *op, const mt_value *args)
{
    for (int i = op->nargs - 1; i >= 0; i--)
        if (op->args[i].type == MT_A_DEVICE && args[i].tag == MT_V_DEVICE)
            return args[i].u.d;
    return MT_CPU_DEVICE;
}

/* Keys for a call without tensors: the device argument, else the CPU. */
static mt_keys
factory_keys(const mt_op *op, const mt_value *args)
{
    return mt_device_keys(device_argument(op, args), false);
}

static mt_keys
list_keys(const mt_op *op, const mt_value *args)
{
    mt_keys keys = 0;
    for (uint32_t mask = op->list_mask; mask; mask &= mask - 1) {
        const mt_value *v = &args[__builtin_ctz(mask)];
        if (v->tag == MT_V_TENSORS)
            for (uint32_t k = 0; k < v->len; k++)
                if (v->u.ts[k])
                    keys |= v->u.ts[k]->keys;
    }
    return keys;
}

MT_INLINE mt_keys
tensor_keys(const mt_op *op, const mt_value *args)
{
    mt_keys keys = 0;
    for (uint32_t mask = op->tensor_mask; mask; mask &= mask - 1) {
        const mt_value *v = &args[__builtin_ctz(mask)];
        if (v->tag == MT_V_TENSOR)
            keys |= v->u.t->keys;
    }
    return keys;
}

mt_keys
mt_collect_keys(const mt_op *op, const mt_value *args)
{
    mt_keys keys = tensor_keys(op, args);
    if (op->list_mask)
        keys |= list_keys(op, args);
    return keys ? keys : factory_keys(op, args);
}

static MT_NOINLINE int
recorded(mt_call *call, uint32_t on)
{
    mt_op *op = (mt_op *)call->op;
    if (op->flags & MT_OP_SILENT) {
        call->mark.record = NULL;
        return op->table[mt_highest_functionality(call->keys)](call);
    }
    if (!op->profiler_id)
        op->profiler_id = mt_prof_name(op->name, op->overload);
    mt_thread *thread = call->thread;
    bool seq = thread->grad_mode && (call->keys & MT_AUTOGRAD_KEYS);
    mt_prof_mark mark =
        mt_prof_op_begin(op->profiler_id, seq ? (int64_t)thread->sequence_nr : -1);
    if (on & MT_PROF_SHAPES)
        mt_prof_op_inputs(mark, call->args, op->nargs);
    call->mark = mark;
    int rc = op->table[mt_highest_functionality(call->keys)](call);
    mt_prof_op_end(mark);
    if ((op->flags & MT_OP_SILENT_SELF) && rc == 0 && call->rets[0].u.t == call->args[0].u.t)
        mt_prof_op_cancel(mark);
    return rc;
}

int
mt_dispatch(const mt_op *op, mt_value *args, mt_value *rets)
{
    mt_call call;
    mt_thread *thread = mt_this_thread();
    mt_keys keys = tensor_keys(op, args);
    if (MT_UNLIKELY(op->list_mask))
        keys |= list_keys(op, args);
    if (MT_UNLIKELY(!keys))
        keys = factory_keys(op, args);
    call.op = op;
    call.thread = thread;
    call.keys = (keys | thread->included) & (~thread->excluded | MT_BACKEND_MASK) &
                op->key_mask;
    call.args = args;
    call.rets = rets;
    call.temporaries = 0;
    uint32_t on = mt_prof_flags();
    if (MT_UNLIKELY(on))
        return recorded(&call, on);
    call.mark.record = NULL;
    return op->table[mt_highest_functionality(call.keys)](&call);
}

int
mt_redispatch(mt_call *call)
{
    return call->op->table[mt_highest_functionality(call->keys)](call);
}

int
mt_dispatch_keys(const mt_op *op, mt_keys keys, mt_value *args, mt_value *rets)
{
    mt_call call = {.op = op, .thread = mt_this_thread(), .keys = keys & op->key_mask,
                    .args = args, .rets = rets};
    return mt_redispatch(&call);
}

void
mt_release_rets(const mt_op *op, mt_value *rets)
{
    for (int i = 0; i < op->nrets; i++) {
        if (rets[i].tag == MT_V_TENSOR)
            mt_release(rets[i].u.t);
        else if (rets[i].tag == MT_V_TENSORS) {
            mt_list list = {rets[i].u.ts, rets[i].len};
            mt_list_free(&list);
        }
        rets[i].tag = MT_V_NONE;
    }
}

/* ---- handlers that belong to no layer ----------------------------------------------------- */

int
mt_handle_composite(mt_call *call)
{
    return call->op->impl(call);
}

int
mt_call_alias(mt_call *call)
{
    return mt_dispatch(call->op->spec, call->args, call->rets);
}

int
mt_handle_missing(mt_call *call)
{
    const mt_op *op = call->op;
    if (!(op->flags & MT_OP_CUSTOM) &&
        mt_need_device(device_argument(op, call->args), "empty.memory_format") < 0)
        return -1;
    const char *dot = op->overload[0] ? "." : "";
    const char *key = mt_keys_highest_name(call->keys);
    return mt_fail(
        MT_NOT_IMPLEMENTED,
        "Could not run '%s%s%s' with arguments from the '%s' backend. This could be because the "
        "operator doesn't exist for this backend, or was omitted during the selective/custom build "
        "process (if using custom build). '%s%s%s' is only available for these backends: [%sMeta, "
        "Python, Conjugate, Negative, ADInplaceOrView, AutogradCPU, AutogradMeta, AutocastCPU, "
        "FuncTorchBatched].",
        op->name, dot, op->overload, key, op->name, dot, op->overload, op->impl ? "CPU, " : "");
}

static int
handle_python(mt_call *call)
{
    return mt_python_handler ? mt_python_handler(call) : mt_handle_missing(call);
}

static int
handle_python_mode(mt_call *call)
{
    return mt_python_mode_handler ? mt_python_mode_handler(call) : mt_handle_missing(call);
}

#define COMMON                                                                                     \
    [MT_F_Undefined] = mt_handle_missing, [MT_F_FPGA] = mt_handle_missing,                         \
    [MT_F_Vulkan] = mt_handle_missing, [MT_F_Metal] = mt_handle_missing,                           \
    [MT_F_Quantized] = mt_handle_missing, [MT_F_CustomRNGKeyId] = mt_handle_missing,               \
    [MT_F_MkldnnCPU] = mt_handle_missing, [MT_F_Sparse] = mt_handle_missing,                       \
    [MT_F_SparseCsr] = mt_handle_missing, [MT_F_NestedTensor] = mt_handle_missing,                 \
    [MT_F_BackendSelect] = mt_handle_missing, [MT_F_Fake] = mt_handle_missing,                     \
    [MT_F_Python] = handle_python, [MT_F_Conjugate] = mt_handle_conjugate,                         \
    [MT_F_Negative] = mt_handle_negative, [MT_F_ZeroTensor] = mt_handle_missing,                   \
    [MT_F_AutogradNestedTensor] = mt_handle_missing, [MT_F_AutocastCPU] = mt_handle_autocast,      \
    [MT_F_PythonDispatcher] = handle_python_mode

const mt_kernel mt_table_default[MT_NUM_FUNCTIONALITIES] = {
    COMMON,
    [MT_F_Dense] = mt_handle_dense,
    [MT_F_ADInplaceOrView] = mt_handle_adinplaceorview,
    [MT_F_AutogradOther] = mt_handle_autograd,
    [MT_F_AutogradFunctionality] = mt_handle_autograd,
    [MT_F_BATCHED] = mt_handle_batched,
    [MT_F_FuncTorchVmapMode] = mt_handle_vmap_mode,
    [MT_F_FuncTorchGradWrapper] = mt_handle_missing,
};

const mt_kernel mt_table_composite[MT_NUM_FUNCTIONALITIES] = {
    COMMON,
    [MT_F_Dense] = mt_handle_composite,
    [MT_F_ADInplaceOrView] = mt_handle_composite,
    [MT_F_AutogradOther] = mt_handle_composite,
    [MT_F_AutogradFunctionality] = mt_handle_composite,
    [MT_F_BATCHED] = mt_handle_composite,
    [MT_F_FuncTorchVmapMode] = mt_handle_vmap_mode,
    [MT_F_FuncTorchGradWrapper] = mt_handle_missing,
};
