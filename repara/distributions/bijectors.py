"""One-to-one maps with their log-determinants; `Transformed` uses them.

A bijector is an immutable pytree whose leaves are its parameters. `event_ndims` is the
number of trailing dimensions that it mixes: 0 for a map of numbers, 1 for a map of vectors. If
`onto_reals` is true, the map is from all of R^D onto all of R^D, and a density need not check for
values outside its range.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp

from repara.distributions import constraints
from repara.distributions.base import OUT_OF_RANGE_HINT, Shape
from repara.distributions.linear_algebra import matvec, solve_lower
from repara.distributions.parameters import as_float_arrays, check_value, nan_if_invalid
from repara.distributions.pytree import pytree_dataclass
from repara.special.elementary import sigmoid, softplus, tanh

__all__ = [
    "Affine",
    "Bijector",
    "Chain",
    "Exp",
    "Invert",
    "ScaleTril",
    "Sigmoid",
    "SoftmaxCentered",
    "Softplus",
    "StickBreaking",
    "Tanh",
]


class Bijector(Protocol):
    """The type of a bijector: y = forward(x), x = inverse(y), log |det dy/dx|."""

    @property
    def event_ndims(self) -> int:
        """The number of trailing dimensions that the map mixes."""
        ...

    def forward(self, x: jax.Array) -> jax.Array:
        """Returns y, of shape `[..., *forward_shape(event)]`."""
        ...

    def inverse(self, y: jax.Array) -> jax.Array:
        """Returns x, of shape `[..., *event]`."""
        ...

    def log_det(self, x: jax.Array) -> jax.Array:
        """Returns log |det dy/dx| at x, `[...]`: trailing `event_ndims` dimensions are summed."""
        ...

    def forward_shape(self, shape: Shape) -> Shape:
        """Returns the event shape of y for an event shape of x."""
        ...


class _Elementwise:
    """A map of numbers; parameter-free unless a subclass has fields."""

    event_ndims: ClassVar[int] = 0

    def forward_shape(self, shape: Shape) -> Shape:
        return shape


class _Parametric:
    """A bijector with constrained parameters."""

    _constraints: ClassVar[Mapping[str, constraints.Constraint]] = {}

    def __post_init__(self) -> None:
        name = type(self).__name__
        arrays = as_float_arrays(name, {key: getattr(self, key) for key in self._constraints})
        for key, value in arrays.items():
            check_value(name, key, value, self._constraints[key])
            object.__setattr__(self, key, value)

    def _check_parameters(self) -> None:
        """Raises for concrete parameters out of range, for the distributions that hold it."""
        for key, constraint in self._constraints.items():
            value = getattr(self, key)
            check_value(type(self).__name__, key, value, constraint, hint=OUT_OF_RANGE_HINT)


@pytree_dataclass
class Exp(_Elementwise):
    """The exponential.

        y = exp(x)

    Args:
      None.

    Example:
      >>> float(Exp().forward(jnp.float32(0.0)))
      1.0
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return jnp.exp(x)

    def inverse(self, y: jax.Array) -> jax.Array:
        return jnp.log(y)

    def log_det(self, x: jax.Array) -> jax.Array:
        return x


@pytree_dataclass
class Softplus(_Elementwise):
    """The softplus.

        y = log(1 + exp(x))

    Args:
      None.

    Example:
      >>> round(float(Softplus().inverse(Softplus().forward(jnp.float32(-3.0)))), 4)
      -3.0
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return softplus(x)

    def inverse(self, y: jax.Array) -> jax.Array:
        return y + jnp.log(-jnp.expm1(-y))

    def log_det(self, x: jax.Array) -> jax.Array:
        return -softplus(-x)


@pytree_dataclass
class Sigmoid(_Elementwise):
    """The logistic function.

        y = 1 / (1 + exp(-x))

    Args:
      None.

    Example:
      >>> float(Sigmoid().forward(jnp.float32(0.0)))
      0.5
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return sigmoid(x)

    def inverse(self, y: jax.Array) -> jax.Array:
        return jnp.log(y) - jnp.log1p(-y)

    def log_det(self, x: jax.Array) -> jax.Array:
        return -softplus(x) - softplus(-x)


@pytree_dataclass
class Tanh(_Elementwise):
    """The hyperbolic tangent, with a log-determinant that does not overflow.

        y = tanh(x),   log |dy/dx| = 2 (log 2 - |x| - log(1 + exp(-2 |x|)))

    If tanh rounds to 1 or -1, the inverse uses the nearest number inside, and the density of a
    transformed distribution there is finite.

    Args:
      None.

    Example:
      >>> round(float(Tanh().log_det(jnp.float32(50.0))), 4)
      -98.6137
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return tanh(x)

    def inverse(self, y: jax.Array) -> jax.Array:
        # Beyond x = 9 in float32, or 19 in float64, y rounds to 1.
        below = 1 - jnp.finfo(y.dtype).epsneg
        y = jnp.where(jnp.abs(y) == 1, jnp.sign(y) * below, y)
        return 0.5 * (jnp.log1p(y) - jnp.log1p(-y))

    def log_det(self, x: jax.Array) -> jax.Array:
        return 2 * (math.log(2) + x - softplus(2 * x))


@pytree_dataclass
class Affine(_Parametric, _Elementwise):
    """An affine map of numbers.

        y = loc + scale x

    Args:
      loc: the shift; it broadcasts with the trailing dimensions of x.
      scale: the factor, positive; it broadcasts with the trailing dimensions of x.

    Raises:
      ValueError: a concrete `scale` that is not positive.

    Example:
      >>> float(Affine(1.0, 2.0).forward(jnp.float32(3.0)))
      7.0
    """

    loc: Any
    scale: Any
    _constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}

    def _parameters(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        scale = nan_if_invalid(constraints.like(self.scale, x), constraints.positive)
        return constraints.like(self.loc, x), scale

    def forward(self, x: jax.Array) -> jax.Array:
        loc, scale = self._parameters(x)
        return loc + scale * x

    def inverse(self, y: jax.Array) -> jax.Array:
        loc, scale = self._parameters(y)
        return (y - loc) / scale

    def log_det(self, x: jax.Array) -> jax.Array:
        return jnp.log(self._parameters(x)[1]) + 0 * x


class _OfVectors:
    """A map of vectors that keeps their length."""

    event_ndims: ClassVar[int] = 1

    def forward_shape(self, shape: Shape) -> Shape:
        return shape


@pytree_dataclass
class ScaleTril(_Parametric, _OfVectors):
    """A triangular matrix times a vector.

        y = L x

    Args:
      scale_tril: L, `[..., d, d]`, lower triangular with a positive diagonal.

    Raises:
      ValueError: a concrete matrix that is not of this form.

    Example:
      >>> y = ScaleTril(jnp.array([[2.0, 0.0], [1.0, 1.0]])).forward(jnp.array([1.0, 1.0]))
      >>> [float(v) for v in y]
      [2.0, 2.0]
    """

    scale_tril: Any
    _constraints: ClassVar = {"scale_tril": constraints.lower_cholesky}

    def _root(self, x: jax.Array) -> jax.Array:
        root = jnp.asarray(self.scale_tril).astype(x.dtype)
        root = nan_if_invalid(root, constraints.lower_cholesky)
        return jnp.tril(root.reshape((1,) * (x.ndim + 1 - root.ndim) + root.shape))

    def forward(self, x: jax.Array) -> jax.Array:
        return matvec(self._root(x), x)

    def inverse(self, y: jax.Array) -> jax.Array:
        return solve_lower(self._root(y), y)

    def log_det(self, x: jax.Array) -> jax.Array:
        diagonal = jnp.diagonal(self._root(x), axis1=-2, axis2=-1)
        return jnp.broadcast_to(jnp.sum(jnp.log(diagonal), axis=-1), x.shape[:-1])


class _ToSimplex(_OfVectors):
    """A map from R^n to the simplex in R^(n + 1)."""

    def forward_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] + 1)


@pytree_dataclass
class SoftmaxCentered(_ToSimplex):
    """The softmax with a last logit of 0: from R^n to the interior of the simplex in R^(n+1).

        y = softmax([x, 0]),   log |det| = sum_k log y_k

    The determinant is that of the first n coordinates of y.

    Args:
      None.

    References:
      Aitchison and Shen (1980), "Logistic-normal distributions: some properties and uses",
      https://doi.org/10.1093/biomet/67.2.261

    Example:
      >>> [round(float(v), 4) for v in SoftmaxCentered().forward(jnp.zeros(2))]
      [0.3333, 0.3333, 0.3333]
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return jnp.exp(_log_softmax_centered(x))

    def inverse(self, y: jax.Array) -> jax.Array:
        return jnp.log(y[..., :-1]) - jnp.log(y[..., -1:])

    def log_det(self, x: jax.Array) -> jax.Array:
        return jnp.sum(_log_softmax_centered(x), axis=-1)


def _log_softmax_centered(x: jax.Array) -> jax.Array:
    zero = jnp.zeros((*x.shape[:-1], 1), x.dtype)
    return jax.nn.log_softmax(jnp.concatenate([x, zero], axis=-1), axis=-1)


@pytree_dataclass
class StickBreaking(_ToSimplex):
    """The stick-breaking map from R^n to the interior of the simplex in R^(n+1).

        y_k = s_k prod_{j<k} (1 - s_j),   s_k = sigmoid(x_k - log(n - k)),   k = 0, ..., n - 1

    The offsets map x = 0 to the center. The determinant is that of the first n coordinates of y.

    Args:
      None.

    References:
      The Stan reference manual, section "Unit simplex",
      https://mc-stan.org/docs/reference-manual/transforms.html

    Example:
      >>> [round(float(v), 4) for v in StickBreaking().forward(jnp.zeros(2))]
      [0.3333, 0.3333, 0.3333]
    """

    @staticmethod
    def _offsets(x: jax.Array, n: int) -> jax.Array:
        offsets = jnp.log(jnp.arange(n, 0, -1, dtype=x.dtype))
        return offsets.reshape((1,) * (x.ndim - 1) + (n,))

    def _logs(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """log s and log(1 - s)."""
        t = x - self._offsets(x, x.shape[-1])
        return -softplus(-t), -softplus(t)

    def forward(self, x: jax.Array) -> jax.Array:
        log_s, log_rest = self._logs(x)
        left = jnp.cumsum(log_rest, axis=-1)
        zero = jnp.zeros_like(left[..., :1])
        before = jnp.concatenate([zero, left], axis=-1)
        return jnp.exp(jnp.concatenate([log_s, zero], axis=-1) + before)

    def inverse(self, y: jax.Array) -> jax.Array:
        # The remaining length of the stick, summed from its end: nothing is subtracted.
        rest = jnp.cumsum(y[..., ::-1], axis=-1)[..., ::-1][..., 1:]
        return jnp.log(y[..., :-1]) - jnp.log(rest) + self._offsets(y, y.shape[-1] - 1)

    def log_det(self, x: jax.Array) -> jax.Array:
        log_s, log_rest = self._logs(x)
        before = jnp.cumsum(log_rest, axis=-1) - log_rest
        return jnp.sum(log_s + log_rest + before, axis=-1)


@pytree_dataclass
class Invert:
    """The inverse of a bijector.

        y = b^-1(x)

    Args:
      bijector: b, a map of numbers or of vectors.

    Example:
      >>> float(Invert(Exp()).forward(jnp.float32(1.0)))
      0.0
    """

    bijector: Bijector

    @property
    def event_ndims(self) -> int:
        return self.bijector.event_ndims

    @property
    def onto_reals(self) -> bool:
        return bool(getattr(self.bijector, "onto_reals", False))

    def forward(self, x: jax.Array) -> jax.Array:
        return self.bijector.inverse(x)

    def inverse(self, y: jax.Array) -> jax.Array:
        return self.bijector.forward(y)

    def log_det(self, x: jax.Array) -> jax.Array:
        return -self.bijector.log_det(self.bijector.inverse(x))

    def forward_shape(self, shape: Shape) -> Shape:
        grows = isinstance(self.bijector, _ToSimplex)
        return (*shape[:-1], shape[-1] - 1) if grows else shape


@pytree_dataclass
class Chain:
    """The composition of bijectors; the first in the tuple is applied first.

        y = b_n(... b_2(b_1(x)))

    Args:
      bijectors: a tuple of bijectors.

    Example:
      >>> float(Chain((Affine(0.0, 2.0), Exp())).forward(jnp.float32(0.0)))
      1.0
    """

    bijectors: tuple[Bijector, ...]

    @property
    def event_ndims(self) -> int:
        return max((b.event_ndims for b in self.bijectors), default=0)

    @property
    def onto_reals(self) -> bool:
        return all(getattr(b, "onto_reals", False) for b in self.bijectors)

    def forward(self, x: jax.Array) -> jax.Array:
        for b in self.bijectors:
            x = b.forward(x)
        return x

    def inverse(self, y: jax.Array) -> jax.Array:
        for b in reversed(self.bijectors):
            y = b.inverse(y)
        return y

    def log_det(self, x: jax.Array) -> jax.Array:
        total: Any = 0.0
        for b in self.bijectors:
            # The terms of a map of numbers inside a map of vectors are summed over the vector.
            extra = tuple(range(b.event_ndims - self.event_ndims, 0))
            total = total + jnp.sum(b.log_det(x), axis=extra)
            x = b.forward(x)
        log_det: jax.Array = total
        return log_det

    def forward_shape(self, shape: Shape) -> Shape:
        for b in self.bijectors:
            shape = b.forward_shape(shape)
        return shape
