/* Devices that are not part of this build fail closed: whatever would put a tensor there raises
 * what PyTorch's CPU build raises. */
#include "tensor/device.h"

#include "base/error.h"

int
mt_need_device(mt_device device, const char *op)
{
    static const char *const backends[MT_NUM_DEVICE_TYPES] = {
        [MT_HIP] = "HIP",   [MT_FPGA] = "FPGA",     [MT_MAIA] = "MAIA",   [MT_XLA] = "XLA",
        [MT_MPS] = "MPS",   [MT_VULKAN] = "Vulkan", [MT_METAL] = "Metal", [MT_IPU] = "IPU",
        [MT_VE] = "VE",     [MT_LAZY] = "Lazy",     [MT_MKLDNN] = "MkldnnCPU",
    };
    if (device.type <= MT_CPU || device.type == MT_META)
        return 0;
    const char *name = mt_device_type_name(device.type);
    switch (device.type) {
    case MT_CUDA: return mt_fail(MT_ASSERTION, "Torch not compiled with CUDA enabled");
    case MT_XPU: return mt_fail(MT_ASSERTION, "Torch not compiled with XPU enabled");
    case MT_MTIA:
        return mt_fail(MT_ASSERTION,
                       "Torch not compiled with MTIA enabled. Ensure you have `import "
                       "mtia.host_runtime.torch_mtia.dynamic_library` in your python src file and "
                       "include `//mtia/host_runtime/torch_mtia:torch_mtia` as your target dependency!");
    case MT_LAZY: break;
    default:
        if (!op)
            return mt_fail(MT_RUNTIME, "PyTorch is not linked with support for %s devices", name);
    }
    if (!op)
        op = "empty.memory_format";
    const char *backend = backends[device.type] ? backends[device.type] : name;
    return mt_fail(
        MT_NOT_IMPLEMENTED,
        "Could not run 'aten::%s' with arguments from the '%s' backend. This could be because the "
        "operator doesn't exist for this backend, or was omitted during the selective/custom build "
        "process (if using custom build). 'aten::%s' is only available for these backends: [CPU, "
        "Meta].",
        op, backend, op);
}
