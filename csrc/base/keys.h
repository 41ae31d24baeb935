/* Dispatch keys and key sets, laid out as PyTorch lays them out: bits 0..15 name backends, bit
 * 15 + n names functionality n. A key set is the OR of what its tensors carry; the highest
 * functionality bit decides which handler runs. */
#pragma once

#include "base/base.h"

/* X(name, number): functionalities, lowest priority first. ORDER KEYS: python/mindtorch_v2's
 * DispatchKey enumeration is made from these lists. */
#define MT_FOR_FUNCTIONALITY(X)                                                                    \
    X(Undefined, 0) X(Dense, 1) X(FPGA, 2) X(Vulkan, 3) X(Metal, 4) X(Quantized, 5)                \
    X(CustomRNGKeyId, 6) X(MkldnnCPU, 7) X(Sparse, 8) X(SparseCsr, 9) X(NestedTensor, 10)          \
    X(BackendSelect, 11) X(Fake, 12) X(Python, 13) X(FuncTorchDynamicLayerBackMode, 14)            \
    X(Functionalize, 15) X(Conjugate, 16) X(Negative, 17) X(ZeroTensor, 18) X(ADInplaceOrView, 19) \
    X(AutogradOther, 20) X(AutogradFunctionality, 21) X(AutogradNestedTensor, 22) X(Tracer, 23)    \
    X(AutocastCPU, 24) X(AutocastMTIA, 25) X(AutocastMAIA, 26) X(AutocastXPU, 27)                  \
    X(AutocastIPU, 28) X(AutocastHPU, 29) X(AutocastXLA, 30) X(AutocastMPS, 31)                    \
    X(AutocastCUDA, 32) X(AutocastPrivateUse1, 33) X(FuncTorchBatched, 34)                         \
    X(BatchedNestedTensor, 35) X(FuncTorchVmapMode, 36) X(Batched, 37) X(VmapMode, 38)             \
    X(FuncTorchGradWrapper, 39) X(DeferredInit, 40) X(PythonTLSSnapshot, 41)                       \
    X(FuncTorchDynamicLayerFrontMode, 42) X(TESTING_ONLY_GenericWrapper, 43)                       \
    X(TESTING_ONLY_GenericMode, 44) X(PreDispatch, 45) X(PythonDispatcher, 46)

#define MT_FOR_BACKEND(X)                                                                          \
    X(CPU, 0) X(CUDA, 1) X(HIP, 2) X(XLA, 3) X(MPS, 4) X(IPU, 5) X(XPU, 6) X(HPU, 7) X(VE, 8)      \
    X(Lazy, 9) X(MTIA, 10) X(MAIA, 11) X(PrivateUse1, 12) X(PrivateUse2, 13) X(PrivateUse3, 14)    \
    X(Meta, 15)

typedef enum mt_functionality {
#define X(name, number) MT_F_##name = number,
    MT_FOR_FUNCTIONALITY(X)
#undef X
    MT_NUM_FUNCTIONALITIES,
} mt_functionality;

typedef enum mt_backend {
#define X(name, number) MT_B_##name = number,
    MT_FOR_BACKEND(X)
#undef X
    MT_NUM_BACKENDS,
} mt_backend;

typedef uint64_t mt_keys;

#define MT_BACKEND_BIT(name) ((mt_keys)1 << MT_B_##name)
#define MT_KEY_BIT(name) ((mt_keys)1 << (15 + MT_F_##name))
#define MT_BACKEND_MASK ((mt_keys)0xFFFF)
#define MT_FULL_KEYS (((mt_keys)1 << 62) - 1)
/* Every Autocast* functionality. */
#define MT_AUTOCAST_KEYS ((mt_keys)0x3FF << (15 + MT_F_AutocastCPU))
/* What batched tensors carry: below Autograd, so that each vmap level has a graph of its own. */
#define MT_BATCHED_KEY MT_KEY_BIT(FuncTorchDynamicLayerBackMode)
#define MT_F_BATCHED MT_F_FuncTorchDynamicLayerBackMode
#define MT_AUTOGRAD_KEYS                                                                           \
    (MT_KEY_BIT(AutogradOther) | MT_KEY_BIT(AutogradFunctionality) |                               \
     MT_KEY_BIT(AutogradNestedTensor))

/* What an ordinary tensor of a backend carries, whether or not it requires a gradient. */
#define MT_KEYS_CPU                                                                                \
    (MT_BACKEND_BIT(CPU) | MT_KEY_BIT(Dense) | MT_KEY_BIT(ADInplaceOrView) |                       \
     MT_KEY_BIT(AutogradFunctionality) | MT_KEY_BIT(AutocastCPU))
#define MT_KEYS_META                                                                               \
    (MT_BACKEND_BIT(Meta) | MT_KEY_BIT(Dense) | MT_KEY_BIT(ADInplaceOrView) |                      \
     MT_KEY_BIT(AutogradFunctionality))
#define MT_DEFAULT_INCLUDED (MT_KEY_BIT(BackendSelect) | MT_KEY_BIT(ADInplaceOrView))
#define MT_DEFAULT_EXCLUDED MT_AUTOCAST_KEYS

/* Functionality of the highest bit, 0 (Undefined) for a set of backends only. */
MT_INLINE int
mt_highest_functionality(mt_keys keys)
{
    keys >>= 16;
    return keys ? 64 - __builtin_clzll(keys) : 0;
}

/* Keys strictly below a functionality; backend bits stay. */
MT_INLINE mt_keys
mt_keys_below(mt_keys keys, int functionality)
{
    return keys & (((mt_keys)1 << (15 + functionality)) - 1);
}

const char *mt_functionality_name(int functionality);
const char *mt_backend_name(int backend);
/* "CPU", "AutogradCUDA", "Meta": the runtime key that a set dispatches to. */
const char *mt_keys_highest_name(mt_keys keys);
