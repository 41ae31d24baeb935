/* The row kernels of this CPU. */
#include "kernels/reduce.h"

#include "kernels/isa.h"

#define DECLARE(isa)                                                                               \
    mt_column_sum mt_column_sum_pick_##isa(mt_dtype dtype);                                        \
    mt_row_kernel mt_row_pick_##isa(mt_row_op op, mt_dtype dtype);                                 \
    mt_row_gradient mt_row_gradient_pick_##isa(bool logarithm, mt_dtype dtype);
MT_FOR_ISA(DECLARE)

mt_row_kernel
mt_row_kernel_of(mt_row_op op, mt_dtype dtype)
{
    static mt_row_kernel (*const pick[MT_NUM_ISAS])(mt_row_op, mt_dtype) =
        MT_ISA_TABLE(mt_row_pick);
    return pick[mt_cpu_isa()](op, dtype);
}

mt_row_gradient
mt_row_gradient_of(bool logarithm, mt_dtype dtype)
{
    static mt_row_gradient (*const pick[MT_NUM_ISAS])(bool, mt_dtype) =
        MT_ISA_TABLE(mt_row_gradient_pick);
    return pick[mt_cpu_isa()](logarithm, dtype);
}

mt_column_sum
mt_column_sum_of(mt_dtype dtype)
{
    static mt_column_sum (*const pick[MT_NUM_ISAS])(mt_dtype) = MT_ISA_TABLE(mt_column_sum_pick);
    return pick[mt_cpu_isa()](dtype);
}
