"""Where the fitted coefficients of `repara.special` come from; not imported at run time.

`python -m repara.special.fits normal` (or `stirling`, `gamma`, `student_t`, `von_mises`; all where
none is named) writes the generated module beside this folder anew, to the last digit: everything is
computed in integers and mpmath numbers, so that neither the machine nor its linear algebra library
can change a digit.
"""
