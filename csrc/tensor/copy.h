/* Copying between tensors of any dtype and strides. */
#pragma once

#include "tensor/tensor.h"

/* Writes src into dst (broadcast, any dtypes, any strides, overlapping allowed): no autograd, no
 * version. Values convert as copy_ does. */
int mt_copy_data(mt_tensor *dst, const mt_tensor *src);
/* A contiguous copy without history; keeps self when it already is and !force. */
mt_tensor *mt_contiguous_data(mt_tensor *self, bool force);
