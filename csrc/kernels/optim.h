/* Optimizer steps on arrays: every state is read and written once. */
#pragma once

#include "base/base.h"

typedef enum mt_step_kind { MT_STEP_SGD, MT_STEP_ADAM, MT_STEP_ADAGRAD, MT_NUM_STEPS } mt_step_kind;

/* Numbers of a step, all in double; a kernel rounds what it multiplies with to its dtype. */
typedef struct mt_step {
    mt_step_kind kind;
    bool maximize, nesterov, first, amsgrad, decoupled, has_momentum;
    double scale;        /* gradients are divided by it; 0: not scaled */
    double lr;           /* Adagrad: with the decay of this step */
    double weight_decay;
    double momentum, dampening;
    double beta1, beta2, eps;
    double step_size;    /* Adam: lr / (1 - beta1^t) */
    double correction;   /* Adam: sqrt(1 - beta2^t) */
} mt_step;

/* n elements at: parameter, gradient, then the states: SGD the momentum; Adam mean, mean square and
 * the largest mean square; Adagrad the sum. States that the step does not use may be NULL. */
typedef void (*mt_step_kernel)(const mt_step *step, void *const *arrays, int64_t n);
#define MT_STEP_ARRAYS 5

mt_step_kernel mt_step_kernel_f32(mt_step_kind kind);
mt_step_kernel mt_step_kernel_f64(mt_step_kind kind);
