"""The fits that make the coefficients of `repara.special`; not imported at run time.

    python -m repara.special.fits [family ...]

writes the modules in `repara/special/coefficients/` again, all of them if no family is named:
elementary, normal, stirling, gamma, beta, student_t and von_mises.

All but beta are computed with integers and mpmath numbers, so neither the machine nor its linear
algebra library can change a digit. The fit of beta is a least-squares problem in float64
(`numpy.linalg.lstsq`) whose data are this package's own float64 values. Its coefficients are
rounded to multiples of 2^-26, far more than the differences between machines.
"""

__all__: list[str] = []
