/* Exponentials of rows of scores. */
#include "kernels/attention.h"
#include "kernels/isa.h"
#include "kernels/scalar.h"
#include "kernels/scalar_exp.h"

#define LANES 16

#define EXP_ROW(name, T, EXP)                                                                      \
    double name(void *row, int64_t n, double shift);                                               \
    double name(void *row, int64_t n, double shift)                                                \
    {                                                                                              \
        T *x = row, by = (T)shift, sums[LANES] = {0};                                              \
        double total = 0;                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            x[i] = EXP(x[i] - by);                                                                 \
        int64_t i = 0;                                                                             \
        for (; i + LANES <= n; i += LANES)                                                         \
            for (int k = 0; k < LANES; k++)                                                        \
                sums[k] += x[i + k];                                                               \
        for (; i < n; i++)                                                                         \
            sums[0] += x[i];                                                                       \
        for (int k = 0; k < LANES; k++)                                                            \
            total += (double)sums[k];                                                              \
        return total;                                                                              \
    }
EXP_ROW(MT_K(mt_exp_row_f32), float, mt_exp_f32)
EXP_ROW(MT_K(mt_exp_row_f64), double, mt_exp_f64)
