/* Optimizer steps, once per instruction set. */
#include <math.h>

#include "kernels/isa.h"
#include "kernels/optim_k.h"

#define T float
#define F(name) name##_f32
#define SQRT sqrtf
#include "kernels/optim.tmpl.h"

#define T double
#define F(name) name##_f64
#define SQRT sqrt
#include "kernels/optim.tmpl.h"

const mt_step_table MT_K(mt_step_table) = {steps_f32, steps_f64};
