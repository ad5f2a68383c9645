"""Generated coefficients of fits; `python -m repara.special.fits` writes them."""

__all__: list[str] = []
