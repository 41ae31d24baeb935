/* What operators on lists of tensors check before they start (table.foreach). */
#pragma once

#include "tensor/tensor.h"

/* 0, or -1 with PyTorch's error. */
int mt_check_foreach(int64_t count);                       /* at least one tensor */
int mt_check_foreach_tensors(int64_t count, int64_t other); /* as many in a second list */
int mt_check_foreach_scalars(int64_t count, int64_t numbers);
int mt_check_foreach_scalar(const mt_tensor *scalar);      /* a number for all: no dimensions */
