"""Generated coefficients of fits; `python -m repara.special.fits` writes them."""
