"""The base of all distributions: a pytree of parameters, a transform of noise, and a density.

A family is a subclass that names its parameters with their constraints, its support and its noise,
and writes the mathematics in underscored methods (`_transform`, `_log_prob`, ...). Those may assume
that parameters and argument have one float dtype of at least 32 bits and shapes that broadcast
without rank promotion. The public methods, which are written once, here, ensure this: they check
shapes, convert 16-bit parameters to float32 and the result back, and turn parameters out of range
into NaN, so that a wrong parameter cannot give a plausible number under `jit`. Outside `jit` a
parameter out of range is an error.

A class is abstract or final. An abstract one is declared with `abstract=True` and has no instances;
any other cannot be subclassed.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from repara import noise as noise_lib
from repara.distributions.constraints import Constraint
from repara.distributions.parameters import (
    as_float_arrays,
    as_shape,
    at_least_32_bits,
    check_value,
    first_invalid,
    is_concrete,
    nan_if_invalid,
)
from repara.distributions.pytree import register_pytree
from repara.distributions.representation import describe_fields

Shape = tuple[int, ...]
_T = TypeVar("_T")

__all__ = ["OUT_OF_RANGE_HINT", "Distribution", "Shape"]

# The public methods, each with what a family writes instead of overriding it.
_WRITTEN_INSTEAD = {
    "noise": "noise_shape and noise_marginal",
    "transform": "_transform",
    "inverse": "_inverse",
    "rsample": "_transform",
    "sample": "_transform, or _sample if has_rsample is False,",
    "rsample_and_log_prob": "_transform_and_log_prob",
    "log_prob": "_log_prob",
    "cdf": "_cdf",
    "icdf": "_icdf",
    "entropy": "_entropy",
    "mean": "_mean",
    "variance": "_variance",
    "stddev": "_variance",
    "mode": "_mode",
}
OUT_OF_RANGE_HINT = (
    " (parameters may have left their range in an optimizer step; optimize unconstrained ones)"
)


class Distribution:
    """A distribution as noise, transform and density.

        eps ~ p(eps),   z = transform(eps)

    Instances are immutable pytrees whose leaves are the parameters. They cross `jit`, `grad`,
    `vmap`, `scan` and checkpoints; the gradient with respect to a distribution is a distribution
    of gradients. Parameters broadcast against each other; samples have shape
    `shape + batch_shape + event_shape`.

    Attributes:
      arg_constraints: parameter name -> its constraint; in the order of the constructor. Set by
        each family, as are `support`, `noise_marginal` and `has_rsample`.
    """

    arg_constraints: ClassVar[Mapping[str, Constraint]] = {}
    # Attributes that are pytree children, and those that are static; children default to the
    # constrained parameters.
    _children: ClassVar[tuple[str, ...]] = ()
    _static: ClassVar[tuple[str, ...]] = ()
    _is_abstract: ClassVar[bool] = True

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, instead in _WRITTEN_INSTEAD.items():
            if getattr(cls, name) is not getattr(Distribution, name):
                raise TypeError(
                    f"{cls.__name__} overrides the public method {name}: write {instead} instead; "
                    f"{name} calls it after the checks of shapes, dtypes and parameters"
                )
        for base in cls.__bases__:
            if issubclass(base, Distribution) and not base._is_abstract:
                raise TypeError(
                    f"{cls.__name__} subclasses {base.__name__}, which is final: subclass "
                    "Distribution, or an abstract class declared with abstract=True"
                )
        cls._is_abstract = abstract
        if "arg_constraints" in cls.__dict__ and "_children" not in cls.__dict__:
            cls._children = tuple(cls.arg_constraints)
        if not abstract:
            register_pytree(cls, cls._children, cls._static)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Raises TypeError for an abstract class."""
        if cls._is_abstract:
            raise TypeError(f"{cls.__name__} is abstract and has no instances: use a subclass")
        return object.__new__(cls)

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
        arrays = as_float_arrays(name, {k: v for k, v in parameters.items() if v is not None})
        for key, value in arrays.items():
            constraint = self.arg_constraints[key]
            if value.ndim < constraint.event_ndims:
                raise ValueError(
                    f"{name}: {key} must have at least {constraint.event_ndims} dimensions, "
                    f"got shape {value.shape}"
                )
            check_value(name, key, value, constraint)
            self._set(key, value)
        try:
            _ = self.batch_shape
        except ValueError:
            shapes = ", ".join(f"{k} {v.shape}" for k, v in arrays.items())
            raise ValueError(f"{name}: parameter shapes do not broadcast: {shapes}") from None
        self._check_joint_constraints()
        holds_no_other = all(name in self.arg_constraints for name in self._children)
        if holds_no_other and all(is_concrete(value) for value in arrays.values()):
            self._set("_has_valid_parameters", True)

    @classmethod
    def _without_checks(cls, **attributes: Any) -> Self:
        """Makes an instance from the values of all its attributes, without any check."""
        self = object.__new__(cls)
        self.__dict__.update(attributes)
        return self

    # The checks of concrete parameters.

    def _constrained_parameters(self) -> Iterator[tuple[str, Any, Constraint]]:
        """Yields the name, the value and the constraint of each parameter."""
        for key, constraint in self.arg_constraints.items():
            value = self.__dict__[key]
            if value is not None:
                yield key, value, constraint

    def _check_parameters(self) -> None:
        """Raises for concrete parameters out of range: unflattening did not check them.

        An instance remembers that its parameters passed, since they cannot change.
        """
        if "_has_valid_parameters" in self.__dict__:
            return
        complete = True
        for key, value, constraint in self._constrained_parameters():
            check_value(type(self).__name__, key, value, constraint, hint=OUT_OF_RANGE_HINT)
            complete = complete and is_concrete(value)
        self._check_joint_constraints(hint=OUT_OF_RANGE_HINT)
        for name in self._children:
            if name not in self.arg_constraints:
                _check_inside(self.__dict__[name])
        if complete:
            self._set("_has_valid_parameters", True)

    def _joint_constraints(self) -> Mapping[str, tuple[str, jax.Array]]:
        """Returns constraints between parameters: name -> (what it must be, where it is valid).

        It is called on a distribution whose parameters have one dtype and one rank.
        """
        return {}

    def _check_joint_constraints(self, *, hint: str = "") -> None:
        """Raises for concrete parameters that do not go together; traced ones become NaN later."""
        if type(self)._joint_constraints is Distribution._joint_constraints:
            return
        if not all(is_concrete(value) for _, value, _ in self._constrained_parameters()):
            return
        with jax.ensure_compile_time_eval():
            joint = self._lifted(len(self.batch_shape))._joint_constraints()
        for key, (text, valid) in joint.items():
            good = np.asarray(valid)
            if not good.all():
                value = np.broadcast_to(np.asarray(self.__dict__[key]), good.shape)
                got = first_invalid(good, value)
                raise ValueError(f"{type(self).__name__}: {key} must be {text}, {got}{hint}")

    # Immutability and representation.

    def _set(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__} is immutable: make a new one instead of setting {name}"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")

    def __repr__(self) -> str:
        return describe_fields(self, self._children + self._static)

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
        return at_least_32_bits(self.dtype)

    @property
    def support(self) -> Constraint:
        """The constraint that values satisfy; its `check` maps values to booleans."""
        raise NotImplementedError(f"{type(self).__name__} does not define support")

    @property
    def noise_marginal(self) -> noise_lib.Marginal:
        """The marginal of one coordinate of the noise, "normal" or "uniform"."""
        return "normal"

    @property
    def has_rsample(self) -> bool:
        """True if `transform` is differentiable.

        If it is False, `transform`, `inverse` and `rsample` raise, and gradients of expectations
        need an estimator.
        """
        return True

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
          source: how the draws depend on each other: `noise.iid`, `noise.antithetic`,
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
            as_shape(shape),
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
        return self._call(type(self)._transform, eps, self.noise_shape, "eps")

    def inverse(self, z: ArrayLike) -> jax.Array:
        """Recovers the noise of a sample, if the transform is one-to-one.

            inverse(transform(eps)) = eps

        Args:
          z: a sample, `shape + batch_shape + event_shape`.

        Returns:
          The noise, `shape + batch_shape + noise_shape`.

        Raises:
          NotImplementedError: the class does not define `_inverse`, as when the transform is not
            one-to-one.
          ValueError: `z` does not have that shape, or the distribution has no reparameterization.
        """
        self._require_rsample("inverse")
        return self._call(type(self)._inverse, z, self.event_shape, "z")

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
        source: noise_lib.Source | None = None,
    ) -> jax.Array:
        """Draws a sample and stops its gradient: the values of `rsample` at the same key.

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          source: the source of the noise, `noise.iid` by default. Distributions without
            reparameterization have no such choice.

        Returns:
          The sample, `shape + batch_shape + event_shape`, in the distribution's dtype.

        Raises:
          TypeError: `key` is not a typed key, or a source is given to a distribution without
            reparameterization.
        """
        if self.has_rsample:
            sample = self.rsample(key, shape, source=source or noise_lib.iid)
        else:
            if source is not None:
                raise TypeError(f"{type(self).__name__}.sample takes no source: it is discrete")
            noise_lib.check_key(key)
            self._check_parameters()
            full = as_shape(shape) + self.batch_shape
            sample = self._ready(len(full))._sample(key, full).astype(self.dtype)
        return jax.lax.stop_gradient(sample)

    def rsample_and_log_prob(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> tuple[jax.Array, jax.Array]:
        """Draws a sample with its log-density, which is often cheaper than two calls.

            z = transform(eps),   log q(z)

        The gradient of the log-density is the total one: through the sample and the parameters.

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
        return self._call(type(self)._transform_and_log_prob, eps, self.noise_shape, "eps")

    # Density and summaries.

    def log_prob(self, z: ArrayLike) -> jax.Array:
        """Computes the log-density at z, in nats; -inf outside the support.

        Args:
          z: values, `shape + batch_shape + event_shape`, or one event for the whole batch.

        Returns:
          log q(z), `shape + batch_shape`.

        Raises:
          ValueError: `z` does not have that shape.
        """
        return self._call(type(self)._log_prob, z, self.event_shape, "z")

    def cdf(self, x: ArrayLike) -> jax.Array:
        """Computes the probability of values up to x.

        Args:
          x: values, `shape + batch_shape`.

        Returns:
          P(z <= x) in [0, 1], of the same shape.

        Raises:
          NotImplementedError: the distribution has no closed form of it.
        """
        return self._call(type(self)._cdf, x, self.event_shape, "x")

    def icdf(self, u: ArrayLike) -> jax.Array:
        """Computes the quantile function, the inverse of `cdf`.

        Args:
          u: probabilities in [0, 1], `shape + batch_shape`.

        Returns:
          The value x with cdf(x) = u; NaN for u outside [0, 1].

        Raises:
          NotImplementedError: the distribution has no closed form of it.
        """
        return self._call(type(self)._icdf, u, self.event_shape, "u")

    def entropy(self) -> jax.Array:
        """Computes the (differential) entropy in nats, of shape `batch_shape`."""
        return self._summary(type(self)._entropy, ())

    @property
    def mean(self) -> jax.Array:
        """The mean, `batch_shape + event_shape`."""
        return self._summary(type(self)._mean, self.event_shape)

    @property
    def variance(self) -> jax.Array:
        """The variance of each coordinate, `batch_shape + event_shape`."""
        return self._summary(type(self)._variance, self.event_shape)

    @property
    def stddev(self) -> jax.Array:
        """The standard deviation of each coordinate, `batch_shape + event_shape`."""
        return self._summary(lambda q: jnp.sqrt(q._variance()), self.event_shape)

    @property
    def mode(self) -> jax.Array:
        """A point of highest density, `batch_shape + event_shape`."""
        return self._summary(type(self)._mode, self.event_shape)

    # The methods that a family writes. Arguments and results have the shapes of the public methods;
    # `self` has been prepared by `_ready`.

    def _transform(self, eps: jax.Array) -> jax.Array:
        raise self._missing("transform", "_transform")

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        """Draws values of shape `shape + event_shape`; for families without `_transform`."""
        raise self._missing("sample", "_sample")

    def _inverse(self, z: jax.Array) -> jax.Array:
        raise self._missing("inverse", "_inverse")

    def _log_prob(self, z: jax.Array) -> jax.Array:
        raise self._missing("log-density", "_log_prob")

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = self._transform(eps)
        return z, self._log_prob(z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        raise self._missing("closed-form cdf", "_cdf")

    def _icdf(self, u: jax.Array) -> jax.Array:
        raise self._missing("closed-form icdf", "_icdf")

    # The probability of values above x, and its inverse. A family overrides them if its right tail
    # is more accurate that way.

    def _sf(self, x: jax.Array) -> jax.Array:
        return 1 - self._cdf(x)

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._icdf(1 - u)

    def _entropy(self) -> jax.Array:
        raise self._missing(
            "closed-form entropy", "_entropy", "; average -log_prob over samples instead"
        )

    def _mean(self) -> jax.Array:
        raise self._missing("closed-form mean", "_mean", "; average samples instead")

    def _variance(self) -> jax.Array:
        raise self._missing("closed-form variance", "_variance", "; use samples instead")

    def _mode(self) -> jax.Array:
        raise self._missing("closed-form mode", "_mode")

    def _missing(self, what: str, method: str, instead: str = "") -> NotImplementedError:
        name = type(self).__name__
        return NotImplementedError(
            f"{name} has no {what}: its class does not define {method}{instead}"
        )

    # The way from the public methods to the underscored ones.

    def _require_rsample(self, what: str) -> None:
        if not self.has_rsample:
            raise ValueError(
                f"{type(self).__name__} has no {what}: a discrete sample is not a differentiable "
                "transform of noise. Use sample, with a score-function surrogate "
                "(stop_gradient(f(z)) * log_prob(z)) or an exact sum over the support for "
                "gradients, or a relaxed distribution"
            )

    def _call(
        self,
        method: Callable[[Any, jax.Array], _T],
        value: ArrayLike,
        trailing: Shape,
        argument: str,
    ) -> _T:
        """Calls `method` with a value and parameters of one dtype and matching rank."""
        self._check_parameters()
        value = jnp.asarray(value).astype(self.noise_dtype)
        value = self._broadcast_value(value, trailing, argument)
        q = self._ready(value.ndim - len(trailing))
        result: _T = jax.tree.map(lambda x: x.astype(self.dtype), method(q, value))
        return result

    def _broadcast_value(self, value: jax.Array, trailing: Shape, argument: str) -> jax.Array:
        batch = self.batch_shape
        split = value.ndim - len(trailing)
        front, event = value.shape[: max(split, 0)], value.shape[max(split, 0) :]
        if split >= 0 and event == trailing:
            if front == () and batch:
                return value.reshape((1,) * len(batch) + trailing)
            if _is_accepted(front, batch):
                return value
        remedy = _remedy(argument, front, batch, event) if event == trailing else ""
        raise ValueError(
            f"{type(self).__name__}: {argument} must have shape "
            f"(..., {', '.join(str(n) for n in batch + trailing)}), got {value.shape}"
            + (f"; the event shape is {trailing}" if event != trailing else "")
            + ("; batch dimensions of length 1 broadcast" if batch else "")
            + remedy
        )

    def _summary(self, method: Callable[[Any], jax.Array], trailing: Shape) -> jax.Array:
        self._check_parameters()
        q = self._ready(len(self.batch_shape))
        return jnp.broadcast_to(method(q), self.batch_shape + trailing).astype(self.dtype)

    def _child_ranks(self) -> Mapping[str, int]:
        """Returns the attributes that hold distributions, or arrays without constraint.

        Each comes with its number of additional batch dimensions: components of a mixture have
        one more than the mixture. `_ready` prepares them.
        """
        return {}

    def _ready(self, rank: int, dtype: DTypeLike | None = None) -> Self:
        """Returns the same distribution, its parameters prepared for the underscored methods.

        Each parameter gets leading dimensions of length one up to `rank` before its event
        dimensions; 16-bit parameters become float32; those out of range become NaN, value and
        gradient. The same is done to the distributions inside this one.
        """
        dtype = dtype or self.noise_dtype
        ready = self._lifted(rank, dtype)
        for name, extra in self._child_ranks().items():
            ready._set(name, _ready_inside(self.__dict__[name], rank + extra, dtype))
        for key, (_, valid) in ready._joint_constraints().items():
            value = getattr(ready, key)
            ready._set(key, value * jnp.where(valid, 1.0, jnp.nan).astype(value.dtype))
        return ready

    def _lifted(self, rank: int, dtype: DTypeLike | None = None) -> Self:
        lifted = copy.copy(self)
        for key, value, constraint in self._constrained_parameters():
            value = jnp.asarray(value).astype(dtype or self.noise_dtype)
            value = nan_if_invalid(value, constraint)
            lifted._set(key, _with_rank(value, rank + constraint.event_ndims))
        return lifted

    def _supported(
        self, z: jax.Array, inside: ArrayLike, density: Callable[[jax.Array], jax.Array]
    ) -> jax.Array:
        """The log-density if z is in the support, otherwise -inf; NaN at NaN.

        `inside` is a point of the support, or one per batch member. It replaces values outside, so
        that neither their density nor its gradient is ever formed.
        """
        valid = self.support.check(z)
        value = density(jnp.where(valid | jnp.isnan(z), z, inside))
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)


def _check_inside(value: Any) -> None:
    """Raises for parameters out of range of the distributions and bijectors in an attribute."""
    for part in jax.tree.leaves(value, is_leaf=_has_parameters):
        if _has_parameters(part):
            part._check_parameters()


def _has_parameters(value: Any) -> bool:
    return hasattr(type(value), "_check_parameters")


def _ready_inside(value: Any, rank: int, dtype: DTypeLike) -> Any:
    """`_ready` for an attribute: a distribution, an array, or a container of them."""

    def ready(part: Any) -> Any:
        if isinstance(part, Distribution):
            return part._ready(rank, dtype)
        return _with_rank(part.astype(dtype), rank)

    return jax.tree.map(ready, value, is_leaf=lambda part: isinstance(part, Distribution))


def _with_rank(x: jax.Array, rank: int) -> jax.Array:
    return x.reshape((1,) * (rank - x.ndim) + x.shape)


def _is_accepted(front: Shape, batch: Shape) -> bool:
    """Returns whether an argument with these leading dimensions broadcasts with the batch."""
    aligned = front[max(len(front) - len(batch), 0) :]
    return len(front) >= len(batch) and all(
        a in (b, 1) or b == 1 for a, b in zip(aligned, batch, strict=True)
    )


def _remedy(argument: str, front: Shape, batch: Shape, event: Shape) -> str:
    """The end of a message: the remedy for an argument that lacks batch dimensions."""
    missing = len(batch) - len(front)
    if missing <= 0:
        return ""
    ones, nones = (1,) * missing, ", ".join(["None"] * missing)
    after = ", ".join(["...", nones, *(":" for _ in event)])
    choices = [
        f"{argument}[{index}], of shape {shape + event}"
        for index, shape in ((nones, ones + front), (after, front + ones))
        if _is_accepted(shape, batch)
    ]
    use = f": use {' or '.join(choices)}" if choices else ""
    return f", but none of the {len(batch)} may be missing{use}"
