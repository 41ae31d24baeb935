/* What the gradients of the operators on LAPACK need besides operators. */
#include "ops/lapack.h"

#include "autograd/formulas.h"
#include "base/error.h"
#include "ops_gen.h"

/* X with A^H X = grad (left) or X A^H = grad. The factorization of A serves unless this gradient
 * will have a gradient: then the system must show that it depends on A. */
mt_tensor *
mth_solve_adjoint(mt_tensor *A, mt_tensor *LU, mt_tensor *pivots, mt_tensor *grad, bool left)
{
    if (!mt_this_thread()->grad_mode)
        return aten_linalg_lu_solve(LU, pivots, grad, left, true);
    mt_tensor *ah = aten_mH(A), *r = ah ? aten_linalg_solve(ah, grad, left) : NULL;
    mt_xrelease(ah);
    return r;
}

int
mth_any_zero(mt_tensor *x, bool *ret)
{
    *ret = false;
    if (mt_is_meta(x))
        return 0;
    mt_tensor *zero = aten_eq_Scalar(x, mt_v_int(0)), *any = zero ? aten_any(zero) : NULL;
    if (any)
        *ret = *(uint8_t *)mt_data(any) != 0;
    mt_xrelease(zero);
    mt_xrelease(any);
    return any ? 0 : -1;
}

/* Complex vectors are given up to a phase: a loss that depends on it has no gradient. That shows as
 * an imaginary part on the diagonal of V^H gV. */
mt_tensor *
mth_check_phase(mt_tensor *product, const char *who)
{
    if (!mt_is_complex((mt_dtype)product->dtype) || mt_is_meta(product))
        return mt_keep(product);
    mt_tensor *diagonal = aten_diagonal(product, 0, -2, -1), *im = diagonal ? aten_imag(diagonal) : NULL;
    mt_tensor *size = im ? aten_abs(im) : NULL, *large = size ? aten_gt_Scalar(size, mt_v_float(1e-2)) : NULL;
    mt_tensor *any = large ? aten_any(large) : NULL;
    int rc = any ? 0 : -1;
    if (any && *(uint8_t *)mt_data(any)) {
        bool svd = !strcmp(who, "svd_backward");
        rc = mt_fail(MT_RUNTIME, "%s: The %s in the complex case are specified up to multiplication by e^{i phi}. "
                                 "The specified loss function depends on this %s", who,
                     svd ? "singular vectors" : "eigenvectors",
                     svd ? "phase term, making it ill-defined." : "quantity, so it is ill-defined.");
    }
    mt_tensor *all[] = {diagonal, im, size, large, any};
    for (size_t i = 0; i < MT_COUNT(all); i++)
        mt_xrelease(all[i]);
    return rc < 0 ? NULL : mt_keep(product);
}

mt_tensor *
mth_check_qr_mode(mt_tensor *Q, mt_tensor *R, const char *mode)
{
    if (!strcmp(mode, "r"))
        return mt_fail_null(MT_RUNTIME, "The derivative of linalg.qr depends on Q, which is not computed when "
                                        "mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to "
                                        "differentiate through linalg.qr.");
    if (!strcmp(mode, "complete") && mt_rows(Q) > mt_columns(R))
        return mt_fail_null(MT_RUNTIME, "The QR decomposition is not differentiable when mode='complete' and "
                                        "nrows > ncols.");
    return mt_keep(Q);
}
