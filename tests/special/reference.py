"""Values and derivatives to 50 digits in mpmath, and the errors measured against them.

The derivatives are central differences of values with 60 digits: with a step of 1e-10 relative
they have 19 correct digits.
"""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np

from repara.special.fits import gamma as gamma_fit
from repara.special.fits import student_t as student_t_fit
from repara.special.fits import von_mises as von_mises_fit

STEP = mp.mpf(10) ** -10


def exact(array):
    """The numbers of a float array, exactly."""
    return [mp.mpf(float(v)) for v in np.ravel(array)]


def derivatives(f, x):
    """f, f' and f'' at x."""
    h = abs(x) * STEP if x else STEP
    low, middle, high = f(x - h), f(x), f(x + h)
    return middle, (high - low) / (2 * h), (high - 2 * middle + low) / (h * h)


def gamma_from_normal(a, eps):
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
    """Returns whether each number is a normal floating-point number in `dtype`."""
    info = np.finfo(dtype)
    return np.array([mp.mpf(float(info.tiny)) < abs(t) < mp.mpf(float(info.max)) for t in true])


def beta_log_tails(a, b, y):
    """log I_z(a, b) and log(1 - I_z(a, b)) at y = logit z: the continued fraction DLMF 8.17.22."""
    if y > mp.log((a + 1) / (b + 1)):
        return beta_log_tails(b, a, -y)[::-1]
    z = 1 / (1 + mp.exp(-y))
    # enough terms for the rounding error, from the tail up
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


def beta_from_normal(a, b, eps, start):
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


def student_t_from_normal(df, eps):
    """z, its two derivatives in df, and dz/deps, with F(z; df) = Phi(eps)."""
    e, a = abs(eps), df / 2

    def value(t):
        return mp.sign(eps) * mp.exp(student_t_fit.log_quantile_at_noise(t, e))

    z, first, second = derivatives(value, df)
    log_peak = mp.loggamma(a + mp.mpf(1) / 2) - mp.loggamma(a) - mp.log(mp.pi * df) / 2
    log_density = log_peak - (a + mp.mpf(1) / 2) * mp.log1p(z * z / df)
    return z, first, second, mp.npdf(e) * mp.exp(-log_density)


def von_mises_from_normal(k, eps):
    """z, its two derivatives in k, and dz/deps, with F(z; k) = Phi(eps)."""
    e = abs(eps)

    def rest(t):  # the distance to pi, whose derivatives keep their digits
        return -2 * mp.sign(eps) * mp.atan(mp.exp(-von_mises_fit.log_quantile_at_noise(t, e)))

    _, first, second = derivatives(rest, k)
    z = 2 * mp.sign(eps) * mp.atan(mp.exp(von_mises_fit.log_quantile_at_noise(k, e)))
    peak = 1 / (2 * mp.pi * von_mises_fit.scaled_bessel(k))
    return z, first, second, mp.npdf(e) / (peak * mp.exp(-2 * k * mp.sin(z / 2) ** 2))


def points(dtype, parameters, count):
    """Noise and parameter: a grid, and random points of a fixed seed."""
    bound = {"float32": 5, "float64": 8}[dtype]
    rng = np.random.default_rng(20261125)
    noise = np.concatenate([np.linspace(-bound, bound, count), [1e-4, -1e-2]])
    pairs = np.stack(np.meshgrid(noise, parameters)).reshape(2, -1)
    random = np.stack([rng.normal(size=20), rng.choice(parameters, 20) * rng.uniform(0.5, 1, 20)])
    return np.concatenate([pairs, random], axis=1).astype(dtype)


def derivative(f, argnum, order):
    """The order-th derivative of an elementwise function, compiled."""
    for _ in range(order):
        f = jax.grad(lambda *args, f=f: jnp.sum(f(*args)), argnum)
    return jax.jit(f)


def assert_accurate(variate, truth, dtype, eps, parameter, orders, natural):
    """Compares a function of noise and a parameter, and its derivatives, with mpmath.

    The bars of the value are max(3e-6, 4 eps (1 + condition number)) in float32 and max(1e-11,
    8 eps condition number) in float64, with the condition number |parameter dz/dparameter / z| +
    |eps dz/deps / z|; those of the first derivatives max(2e-5, 32 eps condition number) and 1e-10;
    those of the second derivative 1e-3 and 1e-7. It changes sign, so its scale is at least
    a tenth of the first one over `natural`, the scale on which the parameter matters.
    """
    pairs = list(zip(exact(parameter), exact(eps), strict=True))
    z, first, second, by_eps = zip(*(truth(*pair) for pair in pairs), strict=True)
    condition = np.array(
        [
            float(abs(x * d / v) + abs(e * b / v))
            for (x, e), v, d, b in zip(pairs, z, first, by_eps, strict=True)
        ]
    )
    unit = float(np.finfo(dtype).eps)
    if dtype == "float32":
        value_bar = np.maximum(3e-6, 4 * unit * (1 + condition))
        first_bar, second_bar = np.maximum(2e-5, 32 * unit * condition), 1e-3
    else:
        value_bar = np.maximum(1e-11, 8 * unit * condition)
        first_bar, second_bar = 1e-10, 1e-7
    size = [
        max(abs(s), abs(d) / (10 * n))
        for s, d, n in zip(second, first, exact(natural), strict=True)
    ]
    checks = [
        ("z", derivative(variate, 1, 0), z, z, value_bar),
        ("dz", derivative(variate, 1, 1), first, first, first_bar),
        ("dz/deps", derivative(variate, 0, 1), by_eps, by_eps, first_bar),
    ]
    if orders == 2:
        checks.append(("d2z", derivative(variate, 1, 2), second, size, second_bar))
    for name, f, true, scale, bar in checks:
        error = relative_error(f(eps, parameter), true, scale)
        excess = np.where(representable(true, dtype), error / bar, 0)
        worst = int(np.argmax(excess))
        assert excess[worst] < 1, (name, parameter[worst], eps[worst], error[worst])
