"""What the discrete families share: no reparameterization, and samples that stop gradients."""

from collections.abc import Sequence
from typing import Any

import jax

from repara.distributions.base import Distribution, Shape, _as_shape
from repara.noise import check_key

__all__ = ["Discrete"]


class Discrete(Distribution):
    """The base of discrete families: `has_rsample` is False, values are numbers of the dtype.

    Attributes:
      has_rsample: False.
    """

    has_rsample = False

    def sample(self, key: jax.Array, shape: Sequence[int] = (), **unsupported: Any) -> jax.Array:
        """Draws values; no gradient passes.

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          **unsupported: a noise source has no meaning here and raises.

        Returns:
          Values as numbers of the distribution's dtype, `shape + batch_shape + event_shape`.

        Raises:
          TypeError: `key` is not a typed key, or a noise source is given.
        """
        if unsupported:
            given = ", ".join(unsupported)
            raise TypeError(f"{type(self).__name__}.sample takes no {given}: it is discrete")
        check_key(key)
        full = _as_shape(shape) + self.batch_shape
        draw = self._ready(len(full))._draw(key, full)
        return jax.lax.stop_gradient(draw.astype(self.dtype))

    def _draw(self, key: jax.Array, shape: Shape) -> jax.Array:
        raise NotImplementedError
