/* Devices that are not part of this build. */
#pragma once

#include "tensor/tensor.h"

/* 0 for a device of this build (and for none given), else -1 with PyTorch's error for an absent
 * backend: `op` (without "aten::") was to make a tensor there; NULL: a copy to the device. */
int mt_need_device(mt_device device, const char *op);
