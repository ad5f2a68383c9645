"""Constants and power series that several modules share; each is defined here only."""

import math

__all__ = [
    "ATANH_SERIES",
    "BERNOULLI_NUMBERS",
    "EULER_GAMMA",
    "EXPM1_MINUS_SERIES",
    "EXPM1_SERIES",
    "HALF_LOG_2PI",
    "NOISE_BOUND_FLOAT32",
    "NOISE_BOUND_FLOAT64",
    "SLOW_PATH_NOISE_FLOAT32",
    "SLOW_PATH_NOISE_FLOAT64",
    "SLOW_PATH_START_FLOAT32",
    "SLOW_PATH_START_FLOAT64",
]

# log(2 pi) / 2, the constant of the standard normal log density.
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# Euler's constant, DLMF 5.2.3.
EULER_GAMMA = 0.5772156649015329
# B_2, B_4, ..., B_22, DLMF table 24.2.1.
BERNOULLI_NUMBERS = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
                     43867 / 798, -174611 / 330, 854513 / 138]  # fmt: skip

# Maclaurin series, the constant term first, long enough for float64 at |x| < 1/2: the next term is
# below 2^-53 of the first there.
EXPM1_SERIES = [1 / math.factorial(n + 1) for n in range(14)]  # (e^x - 1) / x
EXPM1_MINUS_SERIES = [1 / math.factorial(n + 2) for n in range(13)]  # (e^x - 1 - x) / x^2
ATANH_SERIES = [1 / (2 * n + 1) for n in range(17)]  # atanh(s) / s, in powers of s^2

# The largest |eps| for which the functions of normal noise are fitted. A normal generator inverts a
# uniform number of 24 or 53 bits and draws at most 5.42 in float32 and 8.29 in float64.
NOISE_BOUND_FLOAT32 = 6.0
NOISE_BOUND_FLOAT64 = 8.5
# Beyond this |eps| a quantile function uses a slow method that has no such bound: a margin inside
# the range of the fits, which are least accurate at its end.
SLOW_PATH_NOISE_FLOAT32 = 5.5
SLOW_PATH_NOISE_FLOAT64 = 8.0
# The |eps| at which the iteration of a slow method starts, inside both ranges above.
SLOW_PATH_START_FLOAT32 = 5.3
SLOW_PATH_START_FLOAT64 = 7.8
