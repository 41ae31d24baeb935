/* What linear algebra shares. */
#pragma once

#include "dispatch/op.h"

/* "float", "c10::Half": a dtype as PyTorch's errors about C++ types call it. */
const char *mt_c_name(mt_dtype d);
