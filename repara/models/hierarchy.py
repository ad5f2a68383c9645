"""Two stochastic layers: joint distributions of a vector and a second one that depends on it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara.distributions import Distribution, Independent, Normal, Transformed
from repara.distributions.base import Shape
from repara.distributions.bijectors import Invert
from repara.distributions.constraints import Constraint
from repara.distributions.pytree import pytree_dataclass, static_field
from repara.models.centers import center
from repara.models.flows import AutoregressiveFlow
from repara.models.networks import Activation, hidden_layers
from repara.models.vae import PosteriorHead

__all__ = ["Conditional", "Hierarchical", "TwoLayerHead"]


@pytree_dataclass
class Conditional:
    """A conditional distribution, given by a network; a pytree whose leaves are its parameters.

        p(b | a) = network(a)

    Args:
      variables: the parameters.
      network: an unbound Flax module that maps values to distributions.

    Example:
      >>> net = PosteriorHead(2)
      >>> conditional = Conditional(net.init(jax.random.key(0), jnp.zeros((1, 3))), net)
      >>> conditional(jnp.zeros((5, 3))).batch_shape
      (5,)
    """

    variables: Any
    network: nn.Module = static_field()

    def __call__(self, value: jax.Array) -> Distribution:
        """Maps values [..., D] to a distribution of batch shape [...]."""
        return self.network.apply(self.variables, value)  # type: ignore[return-value]


class Hierarchical(Distribution):
    """A joint distribution of two vectors, concatenated, the second of which depends on the first.

        q(a, b) = q(a) q(b | a),   z = (a, b), or (b, a) if `first_last`

    Args:
      first: q(a) with normal noise, event shape `[D1]`.
      second: maps a to q(b | a) with normal noise, event shape `[D2]`; a pytree, such as
        `Conditional`.
      second_dim: D2.
      first_last: whether a is at the end of the value.

    Example:
      >>> net = PosteriorHead(2)
      >>> second = Conditional(net.init(jax.random.key(0), jnp.zeros((1, 3))), net)
      >>> q = Hierarchical(Independent(Normal(jnp.zeros(3), jnp.ones(3)), 1), second, 2)
      >>> q.sample(jax.random.key(1), (7,)).shape
      (7, 5)
    """

    first: Distribution
    second: Any
    second_dim: int
    first_last: bool
    _children: ClassVar = ("first", "second")
    _static: ClassVar = ("second_dim", "first_last")

    def __init__(
        self, first: Distribution, second: Any, second_dim: int, first_last: bool = False
    ) -> None:
        self._set("first", first)
        self._set("second", second)
        self._set("second_dim", second_dim)
        self._set("first_last", first_last)

    @property
    def batch_shape(self) -> Shape:
        return self.first.batch_shape

    @property
    def event_shape(self) -> Shape:
        return (self.first.event_shape[0] + self.second_dim,)

    @property
    def dtype(self) -> Any:
        return self.first.dtype

    @property
    def support(self) -> Constraint:
        return Constraint("a real vector", lambda z: ~jnp.any(jnp.isnan(z), axis=-1), 1)

    def _child_ranks(self) -> Mapping[str, int]:
        return {"first": 0}

    def _parts(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the values of the first and of the second vector."""
        if self.first_last:
            return z[..., self.second_dim :], z[..., : self.second_dim]
        split = self.first.event_shape[0]
        return z[..., :split], z[..., split:]

    def join(self, first: jax.Array, second: jax.Array) -> jax.Array:
        """Concatenates the values of both vectors, in the order of the distribution's values."""
        return jnp.concatenate([second, first] if self.first_last else [first, second], axis=-1)

    def _transform(self, eps: jax.Array) -> jax.Array:
        noise, more = self._parts(eps)
        first = self.first._transform(noise)
        return self.join(first, self.second(first).transform(more))

    def _inverse(self, z: jax.Array) -> jax.Array:
        first, second = self._parts(z)
        return self.join(self.first._inverse(first), self.second(first).inverse(second))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise, more = self._parts(eps)
        first, log_first = self.first._transform_and_log_prob(noise)
        second, log_second = self.second(first)._transform_and_log_prob(more)
        return self.join(first, second), log_first + log_second

    def _log_prob(self, z: jax.Array) -> jax.Array:
        first, second = self._log_prob_parts(z)
        return first + second

    def _log_prob_parts(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        first, second = self._parts(z)
        return self.first._log_prob(first), self.second(first).log_prob(second)

    def log_prob_parts(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the two terms of the log-density, in the order of the parts of the value.

        Args:
          z: values, `shape + batch_shape + event_shape`.

        Returns:
          Two arrays, `shape + batch_shape`; their sum is `log_prob`.
        """
        first, second = self._call(
            lambda q, x: q._log_prob_parts(x), z, self.event_shape, "z"
        )  # fmt: skip
        return (second, first) if self.first_last else (first, second)


@center.register
def _hierarchical_center(q: Hierarchical) -> jax.Array:
    """Returns the mean of the first vector, joined with the mean of the second one given that."""
    first = q.first.mean
    return q.join(first, q.second(first).mean)


class _NormalNetwork(nn.Module):
    """Dense layers to a normal with independent coordinates."""

    latent_dim: int
    hidden_sizes: Sequence[int]
    activation: Activation
    flow_layers: int = 0
    flow_hidden_sizes: Sequence[int] = ()

    @nn.compact
    def __call__(self, h: jax.Array) -> Distribution:
        h = hidden_layers(h, self.hidden_sizes, self.activation)
        q = PosteriorHead(self.latent_dim)(h)
        if not self.flow_layers:
            return q
        flow = AutoregressiveFlow(self.latent_dim, self.flow_layers, self.flow_hidden_sizes)
        # Inverted, so that the density needs one pass; sampling needs one pass per coordinate.
        return Transformed(q, Invert(flow(h)))


class TwoLayerHead(nn.Module):
    """Two stochastic layers over the features, and their prior from the top down.

        q(h1, h2 | x) = q(h1 | x) q(h2 | h1),   p(h1, h2) = p(h1 | h2) N(h2; 0, I)

    The latents are (h1, h2) in one vector; the decoder gets h1.

    Attributes:
      latent_dim: the dimension of h1.
      top_dim: the dimension of h2.
      hidden_sizes: the widths of the networks between the two, in the order from h1 to h2.
      activation: the activation of their hidden layers.
      flow_layers: the number of masked autoregressive steps in p(h1 | h2); 0 for independent
        coordinates.
      flow_hidden_sizes: the widths of the networks of these steps.

    References:
      Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5,
      https://arxiv.org/abs/1509.00519

      Papamakarios, Pavlakou and Murray (2017), "Masked Autoregressive Flow for Density Estimation",
      for the steps, https://arxiv.org/abs/1705.07057

    Example:
      >>> head = TwoLayerHead(3, 2, (8,))
      >>> h = jnp.zeros((5, 4))
      >>> head.apply(head.init(jax.random.key(0), h), h).event_shape
      (5,)
    """

    latent_dim: int
    top_dim: int
    hidden_sizes: Sequence[int]
    activation: Activation = nn.tanh
    flow_layers: int = 0
    flow_hidden_sizes: Sequence[int] = (128,)

    def setup(self) -> None:
        """Declares the networks."""
        self.bottom = PosteriorHead(self.latent_dim)
        sizes = tuple(self.hidden_sizes)
        self.up = _NormalNetwork(self.top_dim, sizes, self.activation)
        self.down = _NormalNetwork(
            self.latent_dim,
            sizes[::-1],
            self.activation,
            self.flow_layers,
            tuple(self.flow_hidden_sizes),
        )

    def __call__(self, h: jax.Array) -> Hierarchical:
        """Maps features [..., F] to q(h1, h2 | x), batch shape [...]."""
        if self.is_initializing():
            self.down(jnp.zeros((1, self.top_dim)))
        up = self._conditional(self.up, self.latent_dim)
        return Hierarchical(self.bottom(h), up, self.top_dim)

    def _conditional(self, network: _NormalNetwork, input_dim: int) -> Conditional:
        """Returns a network of this module as a conditional distribution."""
        if self.is_initializing():
            network(jnp.zeros((1, input_dim)))
        module, variables = network.unbind()
        return Conditional(variables, module)

    def prior(self) -> Hierarchical:
        """Returns p(h1, h2), batch shape []."""
        top = Independent(Normal(jnp.zeros(self.top_dim), jnp.ones(self.top_dim)), 1)
        down = self._conditional(self.down, self.top_dim)
        return Hierarchical(top, down, self.latent_dim, first_last=True)

    def decoder_inputs(self, z: jax.Array) -> jax.Array:
        """Returns the input of the decoder, h1, for latents [..., D1 + D2]."""
        return z[..., : self.latent_dim]
