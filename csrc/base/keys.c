/* Names of dispatch keys. */
#include "base/keys.h"

#include "base/error.h"

const char *
mt_functionality_name(int functionality)
{
    static const char *const names[] = {
#define X(name, number) [number] = #name,
        MT_FOR_FUNCTIONALITY(X)
#undef X
    };
    return functionality >= 0 && functionality < MT_NUM_FUNCTIONALITIES ? names[functionality]
                                                                         : "Unknown";
}

const char *
mt_backend_name(int backend)
{
    static const char *const names[] = {
#define X(name, number) [number] = #name,
        MT_FOR_BACKEND(X)
#undef X
    };
    return backend >= 0 && backend < MT_NUM_BACKENDS ? names[backend] : "Unknown";
}

const char *
mt_keys_highest_name(mt_keys keys)
{
    int functionality = mt_highest_functionality(keys);
    const char *prefix;
    switch (functionality) {
    case MT_F_Dense: prefix = ""; break;
    case MT_F_Quantized: prefix = "Quantized"; break;
    case MT_F_Sparse: prefix = "Sparse"; break;
    case MT_F_SparseCsr: prefix = "SparseCsr"; break;
    case MT_F_NestedTensor: prefix = "NestedTensor"; break;
    case MT_F_AutogradFunctionality: prefix = "Autograd"; break;
    default: return mt_functionality_name(functionality);
    }
    mt_keys backends = keys & MT_BACKEND_MASK;
    if (!backends)
        return "Undefined";
    return mt_str("%s%s", prefix, mt_backend_name(63 - __builtin_clzll(backends)));
}
