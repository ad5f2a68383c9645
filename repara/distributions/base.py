"""The base of all distributions: a pytree of parameters, a transform of noise, and a density.

A family is a subclass that names its parameters with their constraints, its support and its noise,
and writes the mathematics in underscored methods (`_transform`, `_log_prob`, ...). Those may assume
that parameters and argument have one float dtype of at least 32 bits and shapes that broadcast
without rank promotion. The public methods, which are written here once, see to that: they check
shapes, lift 16-bit parameters to float32 and the result back, and turn parameters out of range into
NaN, so that a wrong parameter cannot give a plausible number under `jit`.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from repara import noise as noise_lib
from repara.distributions.constraints import Constraint, real, real_matrix, real_vector

Shape = tuple[int, ...]

__all__ = ["Distribution"]


class Distribution:
    """A distribution as noise, transform and density.

        eps ~ p(eps),   z = transform(eps)

    Instances are immutable pytrees whose leaves are the parameters. They cross `jit`, `grad`,
    `vmap`, `scan` and checkpoints; the gradient with respect to a distribution is a distribution
    of gradients. Parameters broadcast against each other; samples have shape
    `shape + batch_shape + event_shape`.

    Class attributes, set by each family:
      arg_constraints: parameter name -> its constraint; in the order of the constructor.
      support: the constraint that values of the distribution satisfy.
      noise_marginal: the marginal of one coordinate of the noise, "normal" or "uniform".
      has_rsample: whether `transform` is differentiable. Where it is False, `transform`, `inverse`
        and `rsample` raise, and gradients of expectations need an estimator.
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {}
    noise_marginal: ClassVar[noise_lib.Marginal] = "normal"
    has_rsample: ClassVar[bool] = True
    # Attributes that are pytree children, and those that are static; children default to the
    # constrained parameters.
    _children: ClassVar[tuple[str, ...]] = ()
    _static: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "arg_constraints" in cls.__dict__ and "_children" not in cls.__dict__:
            cls._children = tuple(cls.arg_constraints)
        jax.tree_util.register_pytree_with_keys(
            cls, cls._flatten_with_keys, cls._unflatten, cls._flatten
        )

    def __init__(self, **parameters: ArrayLike | None) -> None:
        """Checks and stores array parameters; for the families to call.

        Args:
          **parameters: one value for each entry of `arg_constraints`; None for an alternative
            parameter that was not given.

        Raises:
          TypeError: a parameter is not a number or an array of numbers.
          ValueError: shapes that do not broadcast, or a concrete value out of range; the message
            names the distribution, the parameter, the constraint and the value.
        """
        name = type(self).__name__
        self.__dict__.update(parameters)
        arrays = _as_float_arrays(name, {k: v for k, v in parameters.items() if v is not None})
        for key, value in arrays.items():
            constraint = self.arg_constraints[key]
            if value.ndim < constraint.event_ndims:
                raise ValueError(
                    f"{name}: {key} must have at least {constraint.event_ndims} dimensions, "
                    f"got shape {value.shape}"
                )
            _check_value(name, key, value, constraint)
            self._set(key, value)
        try:
            _ = self.batch_shape
        except ValueError:
            shapes = ", ".join(f"{k} {v.shape}" for k, v in arrays.items())
            raise ValueError(f"{name}: parameter shapes do not broadcast: {shapes}") from None
        self._check_joint_constraints()

    def _joint_constraints(self) -> Mapping[str, tuple[str, jax.Array]]:
        """For constraints that join parameters: name -> what it must be, and where it is that.

        Called on a distribution whose parameters have been made ready for each other.
        """
        return {}

    def _check_joint_constraints(self) -> None:
        """Raises for concrete parameters that do not go together; traced ones become NaN later."""
        values = [v for v in (self.__dict__[k] for k in self.arg_constraints) if v is not None]
        if type(self)._joint_constraints is Distribution._joint_constraints or any(
            isinstance(v, jax.core.Tracer) or not v.is_fully_addressable for v in values
        ):
            return
        with jax.ensure_compile_time_eval():
            joint = self._lifted(len(self.batch_shape))._joint_constraints()
        for key, (text, valid) in joint.items():
            good = np.asarray(valid)
            if not good.all():
                index = tuple(int(i) for i in np.unravel_index(np.argmin(good), good.shape))
                value = np.broadcast_to(np.asarray(self.__dict__[key]), good.shape)[index]
                where = f" at index {index}" if index else ""
                raise ValueError(
                    f"{type(self).__name__}: {key} must be {text}, got {value.tolist()}{where}"
                )

    # Pytree and immutability. Unflattening never validates: transformations put objects that are
    # not arrays into the leaves.

    def _flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        values = self.__dict__
        return tuple(values[k] for k in self._children), tuple(values[k] for k in self._static)

    def _flatten_with_keys(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        children, static = self._flatten()
        keys = (jax.tree_util.GetAttrKey(k) for k in self._children)
        return tuple(zip(keys, children, strict=True)), static

    @classmethod
    def _unflatten(cls, static: tuple[Any, ...], children: Iterable[Any]) -> Self:
        self = object.__new__(cls)
        self.__dict__.update(zip(cls._children, children, strict=True))
        self.__dict__.update(zip(cls._static, static, strict=True))
        return self

    def _set(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__} is immutable: make a new one instead of setting {name}"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={_show(self.__dict__[k])}" for k in self._children + self._static)
        return f"{type(self).__name__}({inside})"

    # Shapes and dtypes.

    @property
    def batch_shape(self) -> Shape:
        """The shape to which the parameters broadcast, event dimensions left out."""
        return jnp.broadcast_shapes(
            *(
                jnp.shape(getattr(self, k))[: jnp.ndim(getattr(self, k)) - c.event_ndims]
                for k, c in self.arg_constraints.items()
                if getattr(self, k) is not None
            )
        )

    @property
    def event_shape(self) -> Shape:
        """The shape of one value: () for a scalar distribution."""
        return ()

    @property
    def noise_shape(self) -> Shape:
        """The shape of the noise of one value; the event shape unless a family says otherwise."""
        return self.event_shape

    @property
    def dtype(self) -> Any:
        """The dtype of samples and densities: the result dtype of the parameters."""
        return jnp.result_type(*jax.tree_util.tree_leaves(self))

    @property
    def noise_dtype(self) -> Any:
        """The dtype of the noise and of all computation: float32 where parameters have 16 bits."""
        return _at_least_32(self.dtype)

    @property
    def support(self) -> Constraint:
        """The constraint that values satisfy; its `check` maps values to booleans."""
        raise NotImplementedError(f"{type(self).__name__} states no support")

    # Sampling.

    def noise(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> jax.Array:
        """Draws parameter-free noise.

            eps ~ p(eps)

        Args:
          key: a typed key; consumed. The whole shape is drawn from it.
          shape: the sample shape.
          source: how the draws depend on one another: `noise.iid`, `noise.antithetic`,
            `noise.stratified`, `noise.sobol`.

        Returns:
          Noise of shape `shape + batch_shape + noise_shape`. It depends on the distribution only
          through its shapes and dtype.

        Raises:
          TypeError: `key` is not a typed key.
          ValueError: the distribution has no reparameterization.
        """
        self._require_rsample("noise")
        noise_lib.check_key(key)
        return source(
            key,
            _as_shape(shape),
            self.batch_shape + self.noise_shape,
            self.noise_marginal,
            self.noise_dtype,
        )

    def transform(self, eps: ArrayLike) -> jax.Array:
        """Turns noise into a sample, deterministically and differentiably.

            z = transform(eps; parameters)

        Args:
          eps: noise of shape `shape + batch_shape + noise_shape`.

        Returns:
          The sample, `shape + batch_shape + event_shape`.

        Raises:
          ValueError: `eps` does not have that shape, or the distribution has no reparameterization.
        """
        self._require_rsample("transform")
        return self._call(self._transform_of, eps, self.noise_shape, "eps")

    def inverse(self, z: ArrayLike) -> jax.Array:
        """Recovers the noise of a sample, where the transform is one-to-one.

            inverse(transform(eps)) = eps

        Args:
          z: a sample, `shape + batch_shape + event_shape`.

        Returns:
          The noise, `shape + batch_shape + noise_shape`.

        Raises:
          NotImplementedError: the transform is not one-to-one.
          ValueError: `z` does not have that shape, or the distribution has no reparameterization.
        """
        self._require_rsample("inverse")
        return self._call(lambda q, x: q._inverse(x), z, self.event_shape, "z")

    def rsample(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> jax.Array:
        """Draws a sample through which gradients pass to the parameters.

            z = transform(noise(key, shape))

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          source: the source of the noise.

        Returns:
          The sample, `shape + batch_shape + event_shape`.

        Raises:
          TypeError: `key` is not a typed key.
          ValueError: the distribution has no reparameterization; the message names what to use.
        """
        self._require_rsample("rsample")
        return self.transform(self.noise(key, shape, source=source))

    def sample(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> jax.Array:
        """Draws a sample and stops its gradient: the values of `rsample` at the same key.

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          source: the source of the noise.

        Returns:
          The sample, `shape + batch_shape + event_shape`.

        Raises:
          TypeError: `key` is not a typed key.
        """
        return jax.lax.stop_gradient(self.rsample(key, shape, source=source))

    def rsample_and_log_prob(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> tuple[jax.Array, jax.Array]:
        """Draws a sample with its log-density, which is often cheaper than asking for each.

            z = transform(eps),   log q(z)

        The gradient of the second is the total one: through the sample and through the density.

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          source: the source of the noise.

        Returns:
          The sample, `shape + batch_shape + event_shape`, and its log-density,
          `shape + batch_shape`.

        Raises:
          TypeError: `key` is not a typed key.
          ValueError: the distribution has no reparameterization.
        """
        eps = self.noise(key, shape, source=source)
        return self._call(lambda q, x: q._transform_and_log_prob(x), eps, self.noise_shape, "eps")

    # Density and summaries.

    def log_prob(self, z: ArrayLike) -> jax.Array:
        """The log-density at z, in nats; -inf outside the support.

        Args:
          z: values, `shape + batch_shape + event_shape`, or one event for the whole batch.

        Returns:
          log q(z), `shape + batch_shape`.

        Raises:
          ValueError: `z` does not have that shape.
        """
        return self._call(lambda q, x: q._log_prob(x), z, self.event_shape, "z")

    def cdf(self, x: ArrayLike) -> jax.Array:
        """The probability of values up to x.

        Args:
          x: values, `shape + batch_shape`.

        Returns:
          P(z <= x) in [0, 1], of the same shape.

        Raises:
          NotImplementedError: the distribution has no closed form of it.
        """
        return self._call(lambda q, v: q._cdf(v), x, self.event_shape, "x")

    def icdf(self, u: ArrayLike) -> jax.Array:
        """The quantile function, the inverse of `cdf`.

        Args:
          u: probabilities in [0, 1], `shape + batch_shape`.

        Returns:
          The value x with cdf(x) = u; NaN for u outside [0, 1].

        Raises:
          NotImplementedError: the distribution has no closed form of it.
        """
        return self._call(lambda q, v: q._icdf(v), u, self.event_shape, "u")

    def entropy(self) -> jax.Array:
        """The (differential) entropy in nats, of shape `batch_shape`."""
        return self._summary(lambda q: q._entropy(), ())

    @property
    def mean(self) -> jax.Array:
        """The mean, `batch_shape + event_shape`."""
        return self._summary(lambda q: q._mean(), self.event_shape)

    @property
    def variance(self) -> jax.Array:
        """The variance of each coordinate, `batch_shape + event_shape`."""
        return self._summary(lambda q: q._variance(), self.event_shape)

    @property
    def stddev(self) -> jax.Array:
        """The standard deviation of each coordinate, `batch_shape + event_shape`."""
        return self._summary(lambda q: jnp.sqrt(q._variance()), self.event_shape)

    @property
    def mode(self) -> jax.Array:
        """A point of highest density, `batch_shape + event_shape`."""
        return self._summary(lambda q: q._mode(), self.event_shape)

    # What a family writes.

    def _transform(self, eps: jax.Array) -> jax.Array:
        raise self._missing("transform")

    def _inverse(self, z: jax.Array) -> jax.Array:
        raise self._missing("inverse: its transform is not one-to-one")

    def _log_prob(self, z: jax.Array) -> jax.Array:
        raise self._missing("log-density")

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = self._transform(eps)
        return z, self._log_prob(z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        raise self._missing("closed-form cdf")

    def _icdf(self, u: jax.Array) -> jax.Array:
        raise self._missing("closed-form icdf")

    # The probability of values above x, and its inverse. A family whose right tail keeps its digits
    # so overrides them.

    def _sf(self, x: jax.Array) -> jax.Array:
        return 1 - self._cdf(x)

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._icdf(1 - u)

    def _entropy(self) -> jax.Array:
        raise self._missing("closed-form entropy; average -log_prob over samples instead")

    def _mean(self) -> jax.Array:
        raise self._missing("closed-form mean; average samples instead")

    def _variance(self) -> jax.Array:
        raise self._missing("closed-form variance; use samples instead")

    def _mode(self) -> jax.Array:
        raise self._missing("closed-form mode")

    def _missing(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {what}")

    # How the public methods reach the underscored ones.

    def _require_rsample(self, what: str) -> None:
        if not self.has_rsample:
            raise ValueError(
                f"{type(self).__name__} has no {what}: a discrete sample is not a differentiable "
                "transform of noise. Use sample, with a score-function surrogate "
                "(stop_gradient(f(z)) * log_prob(z)) or an exact sum over the support for "
                "gradients, or a relaxed distribution"
            )

    @staticmethod
    def _transform_of(q: "Distribution", eps: jax.Array) -> jax.Array:
        return q._transform(eps)

    def _call(
        self,
        method: Callable[["Distribution", jax.Array], Any],
        value: ArrayLike,
        trailing: Shape,
        argument: str,
    ) -> Any:
        """Calls `method` with a value and parameters made ready for each other."""
        value = jnp.asarray(value).astype(self.noise_dtype)
        value = self._broadcast_value(value, trailing, argument)
        q = self._ready(value.ndim - len(trailing))
        return jax.tree.map(lambda x: x.astype(self.dtype), method(q, value))

    def _broadcast_value(self, value: jax.Array, trailing: Shape, argument: str) -> jax.Array:
        batch = self.batch_shape
        split = value.ndim - len(trailing)
        front, event = value.shape[: max(split, 0)], value.shape[max(split, 0) :]
        fits = split >= 0 and event == trailing
        if fits and front == () and batch:
            return value.reshape((1,) * len(batch) + trailing)
        if fits and len(front) >= len(batch):
            aligned = front[len(front) - len(batch) :]
            if all(a in (b, 1) or b == 1 for a, b in zip(aligned, batch, strict=True)):
                return value
        expected = ", ".join(str(n) for n in batch + trailing)
        raise ValueError(
            f"{type(self).__name__}: {argument} must have shape (..., {expected}), "
            f"got {value.shape}"
            if expected
            else f"{type(self).__name__}: {argument} has shape {value.shape}, "
            f"expected an event of shape {trailing}"
        )

    def _summary(self, method: Callable[["Distribution"], jax.Array], trailing: Shape) -> jax.Array:
        q = self._ready(len(self.batch_shape))
        return jnp.broadcast_to(method(q), self.batch_shape + trailing).astype(self.dtype)

    def _ready(self, rank: int, dtype: DTypeLike | None = None) -> Self:
        """The same distribution, its parameters lifted, poisoned and shaped for the methods.

        Each gets leading dimensions of length one up to `rank` before its event dimensions; 16-bit
        parameters become float32; those out of range become NaN, value and gradient.
        """
        ready = self._lifted(rank, dtype)
        for key, (_, valid) in ready._joint_constraints().items():
            value = getattr(ready, key)
            ready._set(key, value * jnp.where(valid, 1.0, jnp.nan).astype(value.dtype))
        return ready

    def _lifted(self, rank: int, dtype: DTypeLike | None = None) -> Self:
        lifted = copy.copy(self)
        for key, constraint in self.arg_constraints.items():
            value = getattr(self, key)
            if value is not None:
                value = jnp.asarray(value).astype(dtype or self.noise_dtype)
                value = _poison(value, constraint)
                missing = rank + constraint.event_ndims - value.ndim
                lifted._set(key, value.reshape((1,) * missing + value.shape))
        return lifted

    def _supported(
        self, z: jax.Array, inside: ArrayLike, density: Callable[[jax.Array], jax.Array]
    ) -> jax.Array:
        """The log-density where z is in the support, -inf elsewhere, NaN at NaN.

        `inside` is a point of the support, or one for each parameter: it stands in for values
        outside, so that neither their density nor its gradient is ever formed.
        """
        valid = self.support.check(z)
        value = density(jnp.where(valid | jnp.isnan(z), z, inside))
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)


def _poison(value: jax.Array, constraint: Constraint) -> jax.Array:
    if constraint in (real, real_vector, real_matrix):
        return value  # only NaN violates them, and NaN needs no help
    # A product, not a selection: the derivative of the NaN must be NaN too.
    factor = jnp.where(constraint.check(value), 1.0, jnp.nan).astype(value.dtype)
    return value * factor.reshape(factor.shape + (1,) * constraint.event_ndims)


def _as_shape(shape: Sequence[int]) -> Shape:
    if isinstance(shape, int):
        raise TypeError(f"shape must be a tuple of integers, got the integer {shape}: ({shape},)")
    return tuple(shape)


def _as_float_arrays(name: str, parameters: Mapping[str, ArrayLike]) -> dict[str, jax.Array]:
    """Arrays of one float dtype: the parameters' own, the default float for ints and scalars."""
    for key, value in parameters.items():
        if isinstance(value, list | tuple):
            raise TypeError(
                f"{name}: {key} must be a number or an array, got a {type(value).__name__}: pass "
                "jnp.array of it"
            )
        dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
            raise TypeError(
                f"{name}: {key} must be a real number or an array of them, got {dtype} {value!r}"
            )
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(float, *parameters.values())
    # Under jit, too, what is concrete stays so, and can be checked.
    return {k: _eagerly(lambda x: _cast(x, dtype), v) for k, v in parameters.items()}


def _cast(x: Any, dtype: DTypeLike) -> jax.Array:
    # What needs no conversion stays the same array: distributions can be seen to share it.
    if isinstance(x, jax.Array) and x.dtype == dtype and not x.weak_type:
        return x
    return jnp.asarray(x).astype(dtype)


def _eagerly(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        return function(value)
    with jax.ensure_compile_time_eval():
        return function(value)


def _at_least_32(dtype: DTypeLike) -> Any:
    return jnp.dtype(dtype) if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def _check_value(name: str, key: str, value: jax.Array, constraint: Constraint) -> None:
    """Raises for a concrete value out of range; a traced one becomes NaN later."""
    if isinstance(value, jax.core.Tracer) or not value.is_fully_addressable:
        return
    valid = np.asarray(_eagerly(constraint.check, value.astype(_at_least_32(value.dtype))))
    if valid.all():
        return
    index = tuple(int(i) for i in np.unravel_index(np.argmin(valid), valid.shape))
    first = np.asarray(value)[index].tolist()
    where = f" at index {index}" if index else ""
    raise ValueError(f"{name}: {key} must be {constraint.name}, got {first}{where}")


def _show(value: Any) -> str:
    if isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer) and value.size == 1:
        return f"{value.reshape(())}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)
