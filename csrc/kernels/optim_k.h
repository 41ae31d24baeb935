/* What optim.k.c gives to optim.c. Private to optim. */
#pragma once

#include "kernels/isa.h"
#include "kernels/optim.h"

typedef struct mt_step_table {
    const mt_step_kernel *f32, *f64; /* by mt_step_kind */
} mt_step_table;

#define X(isa) extern const mt_step_table mt_step_table_##isa;
MT_FOR_ISA(X)
#undef X
