/* Picks the optimizer steps for this CPU. */
#include "kernels/optim.h"

#include "kernels/optim_k.h"

static const mt_step_table *const tables[] = MT_ISA_TABLE(&mt_step_table);

mt_step_kernel
mt_step_kernel_f32(mt_step_kind kind)
{
    return tables[mt_cpu_isa()]->f32[kind];
}

mt_step_kernel
mt_step_kernel_f64(mt_step_kind kind)
{
    return tables[mt_cpu_isa()]->f64[kind];
}
