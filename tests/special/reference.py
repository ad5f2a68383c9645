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
