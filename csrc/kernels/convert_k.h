/* The conversion tables of each instruction set; private to convert.c and convert.k.c. */
#pragma once

#include "kernels/convert.h"
#include "kernels/isa.h"

#define X(isa) extern const mt_convert mt_converters_##isa[MT_NUM_DTYPES][MT_NUM_DTYPES];
MT_FOR_ISA(X)
#undef X
