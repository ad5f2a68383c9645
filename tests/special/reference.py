"""Values and derivatives to 50 digits in mpmath, and what errors are measured against them.

The derivatives are central differences of values with 60 digits: with a step of 1e-10 relative
they have 19 correct digits.
"""

import mpmath as mp
import numpy as np

from repara.special.fits import gamma as gamma_fit

STEP = mp.mpf(10) ** -10


def exact(array):
    """The numbers of a float array, exactly."""
    return [mp.mpf(float(v)) for v in np.ravel(array)]


def derivatives(f, x):
    """f, f' and f'' at x."""
    h = abs(x) * STEP if x else STEP
    low, middle, high = f(x - h), f(x), f(x + h)
    return middle, (high - low) / (2 * h), (high - 2 * middle + low) / (h * h)


def gamma_quantile(a, eps):
    """log z, its two derivatives in a, and dz/deps / z, with P(a, z) = Phi(eps)."""
    lower, upper = mp.log(mp.ncdf(eps)), mp.log(mp.ncdf(-eps))
    log_z, first, second = derivatives(lambda t: gamma_fit.log_quantile(t, lower, upper), a)
    by_eps = mp.npdf(eps) * mp.exp(mp.exp(log_z) - a * log_z + mp.loggamma(a))
    return log_z, first, second, by_eps


def relative_error(found, true, scale=None):
    """|found - true| / scale, element by element, exactly; inf where found is not finite."""
    scale = true if scale is None else scale
    found = np.ravel(np.asarray(found, np.float64))
    return np.array(
        [
            float(abs(mp.mpf(float(f)) - t) / (abs(s) or 1)) if np.isfinite(f) else np.inf
            for f, t, s in zip(found, true, scale, strict=True)
        ]
    )


def representable(true, dtype):
    """Whether each number is normal in `dtype`."""
    info = np.finfo(dtype)
    return np.array([mp.mpf(float(info.tiny)) < abs(t) < mp.mpf(float(info.max)) for t in true])


def beta_log_tails(a, b, y):
    """log I_z(a, b) and log(1 - I_z(a, b)) at y = logit z: the continued fraction DLMF 8.17.22."""
    if y > mp.log((a + 1) / (b + 1)):
        return beta_log_tails(b, a, -y)[::-1]
    z = 1 / (1 + mp.exp(-y))
    # of 2 m (m + ...) terms; as far as rounding, from the tail up
    count = 60 + int(8 * mp.sqrt(a + b)) if z > mp.mpf(10) ** -3 else 60 + int(mp.sqrt(a + b))
    f = mp.mpf(0)
    for m in range(count, -1, -1):
        odd = -(a + m) * (a + b + m) * z / ((a + 2 * m) * (a + 2 * m + 1))
        if m:
            even = m * (b - m) * z / ((a + 2 * m - 1) * (a + 2 * m))
            f = even / (1 + odd / (1 + f))
        else:
            f = odd / (1 + f)
    log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    lower = a * mp.log(z) - b * mp.log1p(mp.exp(y)) - mp.log(a) - log_beta - mp.log(1 + f)
    return lower, mp.log(-mp.expm1(lower))


def beta_quantile(a, b, eps, start):
    """The logit y of the z with I_z(a, b) = Phi(eps), by Newton's method."""
    y, left = mp.mpf(start), eps < 0
    target = mp.log(mp.ncdf(-abs(eps)))
    log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    for _ in range(30):
        tail = beta_log_tails(a, b, y)[0 if left else 1]
        density = -a * mp.log1p(mp.exp(-y)) - b * mp.log1p(mp.exp(y)) - log_beta
        step = (tail - target) * mp.exp(tail - density)
        y += -step if left else step
        if abs(step) < mp.mpf(10) ** -24 * (1 + abs(y)):
            return y
    raise ArithmeticError(f"no convergence at {a=} {b=} {eps=}")
