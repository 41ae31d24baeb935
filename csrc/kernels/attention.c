/* The row loops of attention for this CPU. */
#include "kernels/attention.h"

#include "kernels/isa.h"

#define DECLARE(isa)                                                                               \
    double mt_exp_row_f32_##isa(void *row, int64_t n, double shift);                               \
    double mt_exp_row_f64_##isa(void *row, int64_t n, double shift);
MT_FOR_ISA(DECLARE)

mt_exp_row
mt_exp_row_of(mt_dtype dtype)
{
    static const mt_exp_row singles[MT_NUM_ISAS] = MT_ISA_TABLE(mt_exp_row_f32);
    static const mt_exp_row doubles[MT_NUM_ISAS] = MT_ISA_TABLE(mt_exp_row_f64);
    return (dtype == MT_FLOAT64 ? doubles : singles)[mt_cpu_isa()];
}
