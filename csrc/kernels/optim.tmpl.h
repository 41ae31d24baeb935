/* Steps in T; F names a function, SQRT is the root. Loops are split by what does not change in
 * them, so that each is straight-line code. */

/* The gradient as the step sees it; the unscaled one is written back, as GradScaler's users
 * expect of a fused step. */
MT_INLINE T
F(gradient)(T *g, T scale, bool maximize)
{
    if (scale != 0)
        *g = *g / scale;
    return maximize ? -*g : *g;
}

MT_INLINE void
F(sgd_loop)(const mt_step *s, T *p, T *g, T *buffer, int64_t n, bool plain)
{
    const T lr = (T)s->lr, decay = (T)s->weight_decay, momentum = (T)s->momentum;
    const T keep = (T)(1 - s->dampening), scale = plain ? 0 : (T)s->scale;
    const bool maximize = !plain && s->maximize, first = s->first, nesterov = s->nesterov;
    if (!buffer) {
        MT_VECTORIZE
        for (int64_t i = 0; i < n; i++) {
            T d = F(gradient)(&g[i], scale, maximize);
            d += p[i] * decay;
            p[i] -= d * lr;
        }
        return;
    }
    MT_VECTORIZE
    for (int64_t i = 0; i < n; i++) {
        T d = F(gradient)(&g[i], scale, maximize);
        d += p[i] * decay;
        T b = first ? d : buffer[i] * momentum + d * keep;
        buffer[i] = b;
        d = nesterov ? d + b * momentum : b;
        p[i] -= d * lr;
    }
}

static void
F(sgd)(const mt_step *s, void *const *a, int64_t n)
{
    if (s->scale == 0 && !s->maximize)
        F(sgd_loop)(s, a[0], a[1], a[2], n, true);
    else
        F(sgd_loop)(s, a[0], a[1], a[2], n, false);
}

MT_INLINE void
F(adam_loop)(const mt_step *s, T *p, T *g, T *mean, T *square, T *largest, int64_t n, bool plain)
{
    const T scale = plain ? 0 : (T)s->scale, decay = (T)s->weight_decay;
    const T shrink = s->decoupled ? (T)(1 - s->lr * s->weight_decay) : 1;
    const T rate = (T)(1 - s->beta1), beta2 = (T)s->beta2, rate2 = (T)(1 - s->beta2);
    const T size = (T)s->step_size, correction = (T)s->correction, eps = (T)s->eps;
    const bool maximize = !plain && s->maximize, adds = !s->decoupled;
    MT_VECTORIZE
    for (int64_t i = 0; i < n; i++) {
        T d = F(gradient)(&g[i], scale, maximize), x = p[i];
        if (adds)
            d += x * decay;
        else
            x *= shrink;
        T m = mean[i] + rate * (d - mean[i]);
        T v = square[i] * beta2 + rate2 * d * d;
        mean[i] = m;
        square[i] = v;
        if (largest) {
            v = largest[i] > v ? largest[i] : v;
            largest[i] = v;
        }
        p[i] = x - size * m / (SQRT(v) / correction + eps);
    }
}

static void
F(adam)(const mt_step *s, void *const *a, int64_t n)
{
    bool plain = s->scale == 0 && !s->maximize;
    if (!s->amsgrad && plain)
        F(adam_loop)(s, a[0], a[1], a[2], a[3], NULL, n, true);
    else
        F(adam_loop)(s, a[0], a[1], a[2], a[3], s->amsgrad ? a[4] : NULL, n, false);
}

static void
F(adagrad)(const mt_step *s, void *const *a, int64_t n)
{
    T *p = a[0], *g = a[1], *sum = a[2];
    const T lr = (T)s->lr, decay = (T)s->weight_decay, eps = (T)s->eps, scale = (T)s->scale;
    const bool maximize = s->maximize;
    MT_VECTORIZE
    for (int64_t i = 0; i < n; i++) {
        T d = F(gradient)(&g[i], scale, maximize);
        d += p[i] * decay;
        T total = sum[i] + d * d;
        sum[i] = total;
        p[i] -= lr * d / (SQRT(total) + eps);
    }
}

static const mt_step_kernel F(steps)[MT_NUM_STEPS] = {F(sgd), F(adam), F(adagrad)};
#undef T
#undef F
#undef SQRT
