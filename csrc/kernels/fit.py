"""Derives the polynomials of scalar_*.h: minimax fits by the Remez exchange.

    python csrc/kernels/fit.py                 the names of all fits
    python csrc/kernels/fit.py exp_f32 ...     their coefficients, lowest degree first

A fit approximates f(x) by a sum of c[i] * x**i on an interval so that the largest weighted error
is as small as can be; the weight turns the error of the polynomial into the relative error of the
function that uses it. Coefficients are rounded to the format one after the other, lowest degree
first, and those that remain make good what rounding changed. The error that is left is printed as
a power of two. Needs mpmath, which the library itself does not.
"""

import sys

from mpmath import mp, mpf

mp.prec = 240


def remez(f, a, b, degree, weight, rounds=30):
    """Coefficients 0..degree of the minimax polynomial, and its largest weighted error."""
    count = degree + 1
    a, b = mpf(a), mpf(b)
    # Chebyshev points to begin with, never the ends exactly: f may be a limit there.
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mpf("0.5")) / (12 * count + 20))
            for i in range(12 * count + 20)]
    values = [(x, f(x), weight(x)) for x in grid]
    step = len(values) / (count + 1)
    chosen = [int(step * (i + 0.5)) for i in range(count + 1)]
    worst = mpf(0)
    for _ in range(rounds):
        rows, right = mp.matrix(count + 1, count + 1), mp.matrix(count + 1, 1)
        for i, k in enumerate(chosen):
            x, y, w = values[k]
            for j in range(count):
                rows[i, j] = x**j
            rows[i, count] = (-1) ** i / w
            right[i] = y
        solution = mp.lu_solve(rows, right)
        c = [solution[j] for j in range(count)]
        errors = [w * (y - mp.polyval(c[::-1], x)) for x, y, w in values]
        # One extremum per run of equal sign; of these the count + 1 neighbours with the largest.
        extrema = []
        for k, e in enumerate(errors):
            if extrema and (errors[extrema[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[extrema[-1]]):
                    extrema[-1] = k
            else:
                extrema.append(k)
        worst = max(abs(e) for e in errors)
        while len(extrema) > count + 1:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        if len(extrema) < count + 1 or extrema == chosen:
            break
        chosen = extrema
    return c, worst


def to_format(x, bits):
    """x rounded to `bits` significant bits."""
    if x == 0:
        return mpf(0)
    exponent = int(mp.floor(mp.log(abs(x), 2)))
    unit = mpf(2) ** (exponent + 1 - bits)
    return mp.nint(x / unit) * unit


def fit(f, a, b, degree, weight=lambda x: mpf(1), bits=53):
    """Rounded coefficients 0..degree and the largest weighted error that they leave."""
    c, _ = remez(f, a, b, degree, weight)
    n = degree + 1
    a, b = mpf(a), mpf(b)
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mpf("0.5")) / (8 * n))
              for i in range(8 * n)]
    gram = mp.matrix(n, n)
    for x in points:
        row = [weight(x) * x**i for i in range(n)]
        for i in range(n):
            for j in range(n):
                gram[i, j] += row[i] * row[j]
    for i in range(degree):
        # What rounding c[i] changes is made good by the later ones, in the least squares sense.
        rounded = to_format(c[i], bits)
        change = mp.lu_solve(gram[i + 1:, i + 1:], gram[i + 1:, i] * (c[i] - rounded))
        c[i] = rounded
        for j in range(i + 1, n):
            c[j] += change[j - i - 1]
    c[degree] = to_format(c[degree], bits)
    points = [a + (b - a) * (i + mpf("0.5")) / 2000 for i in range(2000)]
    return c, max(abs(weight(x) * (f(x) - mp.polyval(c[::-1], x))) for x in points)


def c_hex(x, bits):
    """A C hexadecimal constant."""
    return float(x).hex() + ("f" if bits == 24 else "")


LN2, SQRT2, PI = mp.log(2), mp.sqrt(2), mp.pi


def near_zero(direct, series):
    """A function whose formula cancels near 0: `series` (Taylor coefficients) takes over there."""
    def f(x):
        return mp.polyval(series[::-1], x) if abs(x) < mpf("1e-6") else direct(x)
    return f


FACTORIAL = [mp.factorial(i) for i in range(40)]
EXP2ND = near_zero(lambda r: (mp.exp(r) - 1 - r) / r**2, [1 / FACTORIAL[i + 2] for i in range(9)])
LN2_POWERS = [LN2 ** (i + 1) / FACTORIAL[i + 1] for i in range(9)]
EXP2_1ST = near_zero(lambda r: (mp.exp(r * LN2) - 1) / r, LN2_POWERS)
# log(1 + f) = f - f^2/2 + f^3 * LOG3RD(f)
LOG3RD = near_zero(lambda f: (mp.log(1 + f) - f + f * f / 2) / f**3,
                   [mpf((-1) ** i) / (i + 3) for i in range(9)])
# log((1+s)/(1-s)) = 2s + s^3 * LOG_ODD(s^2)
LOG_ODD = near_zero(lambda z: (mp.log((1 + mp.sqrt(z)) / (1 - mp.sqrt(z))) - 2 * mp.sqrt(z))
                    / (z * mp.sqrt(z)), [mpf(2) / (2 * i + 3) for i in range(9)])
SIN_ODD = near_zero(lambda z: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
                    [mpf((-1) ** (i + 1)) / FACTORIAL[2 * i + 3] for i in range(9)])
# cos r = 1 - z/2 + z^2 * COS_EVEN(z)
COS_EVEN = near_zero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
                     [mpf((-1) ** i) / FACTORIAL[2 * i + 4] for i in range(9)])
TAN_ODD = near_zero(lambda z: (mp.tan(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
                    mp.taylor(mp.tan, 0, 21)[3::2])
ATAN_ODD = near_zero(lambda z: (mp.atan(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
                     [mpf((-1) ** (i + 1)) / (2 * i + 3) for i in range(9)])
ASIN_ODD = near_zero(
    lambda z: (mp.asin(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
    [mp.binomial(2 * i + 2, i + 1) / (4 ** (i + 1) * (2 * i + 3)) for i in range(9)])
TANH_ODD = near_zero(lambda z: (mp.tanh(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
                     [mpf(c) for c in mp.taylor(lambda x: mp.tanh(x), 0, 21)[3::2]])
SINH_ODD = near_zero(lambda z: (mp.sinh(mp.sqrt(z)) - mp.sqrt(z)) / (z * mp.sqrt(z)),
                     [1 / FACTORIAL[2 * i + 3] for i in range(9)])
ERF_ODD = near_zero(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z),
                    [2 / mp.sqrt(PI) * (-1) ** i / (FACTORIAL[i] * (2 * i + 1)) for i in range(9)])

def erfinv_of_w(w):
    """erfinv(x) / x where w = -log(1 - x^2)."""
    if w < mpf("1e-8"):
        return mp.sqrt(PI) / 2 * (1 + PI / 12 * w)
    # Halley's steps on erfc(y) = 1 - x, which keeps its digits for x near 1.
    x = mp.sqrt(-mp.expm1(-w))
    rest = mp.exp(-w) / (1 + x)
    y = mp.erfinv(x) if w < 20 else mp.sqrt(w - mp.log(2 * mp.sqrt(w)))
    for _ in range(60):
        step = (mp.erfc(y) - rest) / (2 / mp.sqrt(PI) * mp.exp(-y * y))
        y, before = y + step / (1 + y * step), y
        if abs(y - before) < mpf(10) ** -60:
            break
    return y / x


def erfcx_of_u(k):
    """erfcx(x) (x + k) where u = (x - k) / (x + k)."""
    def f(u):
        x = k * (1 + u) / (1 - u)
        if x < 60:
            return mp.erfc(x) * mp.exp(x * x) * (x + k)
        total, term = mpf(0), mpf(1)
        for i in range(40):
            total += term
            term *= -(2 * i + 1) / (2 * x * x)
        return total / (x * mp.sqrt(PI)) * (x + k)
    return f


def relative(f):
    return lambda x: 1 / f(x)


def log_erfc(center):
    return lambda v: mp.log(mp.erfc(v + center))


def log_erfc_weight(center):
    """An error of log(erfc) in units of erf."""
    return lambda v: mp.erfc(v + center) / mp.erf(v + center)


def erfinv_center(v):
    return erfinv_of_w(v + mpf("2.5"))


def erfinv_tail(v):
    return erfinv_of_w((v + 3) ** 2)


def erfinv_far(v):
    return erfinv_of_w(1 / (v * v)) * v


def lgamma_near(v):
    """lgamma(x) / ((x - 1) (x - 2)) of x = v + 1.75."""
    x = v + mpf("1.75")
    return mp.loggamma(x) / ((x - 1) * (x - 2))


def stirling(u):
    """What Stirling's formula for lgamma(a) lacks, times a, where u = 1 / a^2."""
    a = 1 / mp.sqrt(u)
    return (mp.loggamma(a) - ((a - mpf("0.5")) * mp.log(a) - a + mp.log(2 * PI) / 2)) * a


def stirling_weight(u):
    a = 1 / mp.sqrt(u)
    return 1 / (a * mp.loggamma(a))


def digamma(u):
    """(log z - 1 / (2 z) - psi(z)) z^2 where u = 1 / z^2."""
    z = 1 / mp.sqrt(u)
    return (mp.log(z) - 1 / (2 * z) - mp.psi(0, z)) * z * z


def bessel_small(order):
    """I_n(x) / (x / 2)^n of q = x^2 / 4."""
    def f(q):
        return mp.besseli(order, 2 * mp.sqrt(q)) / mp.sqrt(q) ** order if q > 1e-40 else mpf(1)

    return f


def bessel_large(order):
    """I_n(x) exp(-x) sqrt(x) of u = 1 / x."""
    return lambda u: mp.besseli(order, 1 / u) * mp.exp(-1 / u) / mp.sqrt(u)


TINY = mpf("1e-12")
ONE = lambda x: mpf(1)  # noqa: E731
EXP_WEIGHT = lambda r: r * r / mp.exp(r)  # noqa: E731
EXP2_WEIGHT = lambda r: r / 2**r  # noqa: E731

LOG3RD_WEIGHT = lambda f: f**3 / mp.log(1 + f)  # noqa: E731

# name: (function, from, to, degree, weight, bits)
FITS = {
    "exp_f32": (EXP2ND, -LN2 / 2, LN2 / 2, 4, EXP_WEIGHT, 24),
    "exp_f64": (EXP2ND, -LN2 / 2, LN2 / 2, 9, EXP_WEIGHT, 53),
    "exp_lite": (EXP2ND, -LN2 / 2, LN2 / 2, 5, EXP_WEIGHT, 53),
    "exp2_f32": (EXP2_1ST, -mpf(1) / 2, mpf(1) / 2, 5, EXP2_WEIGHT, 24),
    "exp2_f64": (EXP2_1ST, -mpf(1) / 2, mpf(1) / 2, 11, EXP2_WEIGHT, 53),
    "exp2_lite": (EXP2_1ST, -mpf(1) / 2, mpf(1) / 2, 6, EXP2_WEIGHT, 53),
    "log_f32": (LOG3RD, -mpf(1) / 3, mpf(1) / 3, 7, LOG3RD_WEIGHT, 24),
    "log_f64": (LOG_ODD, 0, mpf("0.04"), 6, lambda z: z / 2, 53),
    "log_lite": (LOG_ODD, 0, mpf("0.04"), 3, lambda z: z / 2, 53),
    # the same without its first coefficient
    "pow_f64": (lambda z: (LOG_ODD(z) - mpf(2) / 3) / z, 0, mpf("0.04"), 7, lambda z: z * z / 2,
                53),
    "sin_f32": (SIN_ODD, 0, (PI / 4) ** 2, 2, lambda z: z, 24),
    "cos_f32": (COS_EVEN, 0, (PI / 4) ** 2, 2, lambda z: z * z / mp.cos(mp.sqrt(z)), 24),
    "tan_f32": (TAN_ODD, 0, (PI / 4) ** 2, 6, lambda z: z * mp.sqrt(z) / mp.tan(mp.sqrt(z)), 24),
    "sin_f64": (SIN_ODD, 0, (PI / 4) ** 2, 5, lambda z: z, 53),
    "cos_f64": (COS_EVEN, 0, (PI / 4) ** 2, 5, lambda z: z * z / mp.cos(mp.sqrt(z)), 53),
    "asin_f32": (ASIN_ODD, 0, mpf("0.25"), 4, lambda z: z, 24),
    "asin_f64": (ASIN_ODD, 0, mpf("0.25"), 11, lambda z: z, 53),
    "atan_f32": (ATAN_ODD, 0, 1, 7, lambda z: z, 24),
    "atan_f64": (ATAN_ODD, 0, mpf("0.1717"), 9, lambda z: z, 53),
    # erf(x) = x + x * P(x^2)
    "erf_f32": (lambda z: ERF_ODD(z) - 1, 0, mpf("0.64"), 5, ONE, 24),
    "erf_f64": (lambda z: ERF_ODD(z) - 1, 0, mpf("0.81"), 11, ONE, 53),
    "log_erfc_f32": (log_erfc(1), mpf("-0.2"), mpf("2.95"), 7, log_erfc_weight(1), 24),
    "log_erfc_f64": (log_erfc(1), mpf("-0.1"), mpf("4.93"), 19, log_erfc_weight(1), 53),
    "erfcx_f32": (erfcx_of_u(3), -1, mpf("0.5455"), 9, relative(erfcx_of_u(3)), 24),
    "erfcx_f64": (erfcx_of_u(4), -1, 1, 24, relative(erfcx_of_u(4)), 53),
    "erfinv_f32": (erfinv_center, mpf("-2.5"), mpf("2.5"), 9, relative(erfinv_center), 24),
    "erfinv_tail_f32": (erfinv_tail, mpf("-0.764"), mpf("1.05"), 9, relative(erfinv_tail), 24),
    "erfinv_start": (erfinv_center, mpf("-2.5"), mpf("2.5"), 8, relative(erfinv_center), 53),
    "erfinv_tail": (erfinv_tail, mpf("-0.764"), mpf("1.1"), 8, relative(erfinv_tail), 53),
    "erfinv_far": (erfinv_far, mpf("0.0366"), mpf("0.2445"), 9, relative(erfinv_far), 53),
    "lgamma": (lgamma_near, mpf("-0.75"), mpf("0.75"), 11, relative(lgamma_near), 53),
    "stirling": (stirling, TINY, mpf("0.16"), 4, stirling_weight, 53),
    "sin_half": (SIN_ODD, 0, (PI / 2) ** 2, 6, lambda z: z, 53),
    "digamma": (digamma, TINY, mpf(1) / 49, 6, lambda u: u, 53),
    "i0_f32": (bessel_small(0), 0, 16, 9, relative(bessel_small(0)), 24),
    "i0_f64": (bessel_small(0), 0, 16, 15, relative(bessel_small(0)), 53),
    "i1_f32": (bessel_small(1), 0, 16, 9, relative(bessel_small(1)), 24),
    "i1_f64": (bessel_small(1), 0, 16, 15, relative(bessel_small(1)), 53),
    "i0_large_f32": (bessel_large(0), TINY, mpf(1) / 8, 5, relative(bessel_large(0)), 24),
    "i0_large_f64": (bessel_large(0), TINY, mpf(1) / 8, 22, relative(bessel_large(0)), 53),
    "i1_large_f32": (bessel_large(1), TINY, mpf(1) / 8, 5, relative(bessel_large(1)), 24),
    "i1_large_f64": (bessel_large(1), TINY, mpf(1) / 8, 22, relative(bessel_large(1)), 53),
    "tanh_f32": (TANH_ODD, 0, mpf("0.3025"), 4, lambda z: z, 24),
    "tanh_f64": (TANH_ODD, 0, mpf("0.3025"), 10, lambda z: z, 53),
    "sinh_f32": (SINH_ODD, 0, 1, 3, lambda z: z, 24),
    "sinh_f64": (SINH_ODD, 0, 1, 6, lambda z: z, 53),
}


def main():
    names = sys.argv[1:]
    if not names:
        print(" ".join(FITS))
    for name in names:
        f, a, b, degree, weight, bits = FITS[name]
        c, error = fit(f, a, b, degree, weight, bits)
        print(f"{name}: error 2^{mp.nstr(mp.log(error, 2), 5)}")
        for x in c:
            print(f"    {c_hex(x, bits)},")


if __name__ == "__main__":
    main()
