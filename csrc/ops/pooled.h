/* What the gradients of max pooling check before they follow indices. */
#pragma once

#include "tensor/tensor.h"

/* The last `dims` dimensions of grad and indices are places of windows over those of self: ranks, leading
 * sizes and dtype fit, and every index lies in its plane. 0, or -1 with the error set. */
int mt_check_pool_gradient(const char *name, const mt_tensor *grad, const mt_tensor *self,
                           mt_tensor *indices, int dims);
