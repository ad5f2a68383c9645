"""The Dirichlet distribution on the simplex, by normalized gamma variables."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise as noise_lib
from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.matrices import digamma_minus_log
from repara.special import log_gamma_from_normal, normal_from_beta
from repara.special.elementary import log1mexp
from repara.special.stirling import log_factorial_excess

__all__ = ["Dirichlet"]


class Dirichlet(Distribution):
    """The Dirichlet distribution.

        q(z) = prod_k z_k^(a_k - 1) / B(a),   z in the simplex,   a = concentration
        z = softmax(y),   y_k = log P^-1(a_k, Phi(eps_k)),   eps ~ N(0, I)

    with P(a, .) the distribution function of a standard gamma variable. Coordinates of small
    concentrations underflow to 0; `log_transform` gives their logarithms, and
    `rsample_and_log_prob` works from those. The transform is not one-to-one, so there is no
    `inverse`; the mode is NaN unless all concentrations are above 1.

    The gradient of `torch.distributions.Dirichlet.rsample` moves z, concentration by concentration,
    along vector fields that do not commute, so it is not the derivative of any transform of fixed
    noise. Compared with torch's, the gradient here has 1.01 to 1.11 times the variance for linear
    functions of log z, and 1.02, 1.06 and 1.36 times for z_1^2 (K = 10, concentrations 10, 1 and
    0.1). `rsample_rao_blackwell` draws the same values with a gradient that has torch's variance.

    Args:
      concentration: a, `[..., K]`, positive.

    Raises:
      ValueError: a concrete concentration that is not positive, or fewer than two of them.

    References:
      Devroye (1986), "Non-uniform random variate generation", chapter XI.4,
      https://doi.org/10.1007/978-1-4613-8643-8
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients",
      https://arxiv.org/abs/1805.08498

    Example:
      >>> q = Dirichlet(jnp.array([1.0, 2.0, 3.0]))
      >>> [round(float(v), 4) for v in q.mean]
      [0.1667, 0.3333, 0.5]
    """

    concentration: jax.Array
    arg_constraints: ClassVar = {"concentration": constraints.positive_vector}
    support = constraints.simplex

    def __init__(self, concentration: ArrayLike) -> None:
        super().__init__(concentration=concentration)
        if self.event_shape[0] < 2:
            raise ValueError("Dirichlet: concentration must have at least 2 coordinates, got 1")

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.concentration)[-1:]

    def log_transform(self, eps: ArrayLike) -> jax.Array:
        """Computes the logarithms of `transform(eps)`, which do not underflow.

        Args:
          eps: noise of shape `shape + batch_shape + noise_shape`.

        Returns:
          log z, `shape + batch_shape + event_shape`.

        Raises:
          ValueError: `eps` does not have that shape.
        """
        return self._call(_log_transform, eps, self.noise_shape, "eps")

    def rsample_rao_blackwell(
        self,
        key: jax.Array,
        shape: Sequence[int] = (),
        *,
        source: noise_lib.Source = noise_lib.iid,
    ) -> jax.Array:
        """Draws the values of `rsample`, with a gradient of lower variance.

            dz/da = E[dtransform/da | z]

        The noise has one coordinate more than z. The gradient is that of `transform`, averaged over
        this coordinate given z. It is unbiased for the gradient of every expectation, but it is not
        the derivative of the values at fixed noise. It costs several times as much.

        Args:
          key: a typed key; consumed.
          shape: the sample shape.
          source: the source of the noise.

        Returns:
          The sample, `shape + batch_shape + event_shape`.

        Raises:
          TypeError: `key` is not a typed key.

        References:
          Jankowiak and Obermeyer (2018), "Pathwise derivatives beyond the reparameterization
          trick", https://arxiv.org/abs/1806.01851; `torch.distributions.Dirichlet.rsample`
          approximates the same gradient.
        """

        def draw(q: Any, eps: jax.Array) -> jax.Array:
            log_z = jax.lax.stop_gradient(_log_transform(q, eps))
            return jnp.exp(_conditional(log_z, q.concentration))

        return self._call(draw, self.noise(key, shape, source=source), self.noise_shape, "eps")

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.exp(_log_transform(self, eps))

    def _log_prob_of_logs(self, log_z: jax.Array) -> jax.Array:
        log_mean = jnp.log(self.concentration / self._total())
        terms = (self.concentration - 1) * (log_z - log_mean)
        return jnp.sum(terms, axis=-1) - self._log_beta_at_mean()

    def _total(self) -> jax.Array:
        return jnp.sum(self.concentration, axis=-1, keepdims=True)

    def _log_beta_at_mean(self) -> jax.Array:
        """log B(a) - sum_k (a_k - 1) log(a_k / sum a), by Stirling's formula: nothing cancels."""
        a, total = self.concentration, self._total()[..., 0]
        excess = jnp.sum(log_factorial_excess(a), axis=-1) - log_factorial_excess(total)
        return excess - (a.shape[-1] - 1) * jnp.log(total)

    def _mean_log_ratio(self) -> jax.Array:
        """E log z - log E z, negative."""
        return digamma_minus_log(self.concentration) - digamma_minus_log(self._total())

    def _log_prob(self, z: jax.Array) -> jax.Array:
        # If some coordinates are 0, the density is 0 if one of them has a concentration above 1.
        zero = jnp.any((z == 0) & (self.concentration > 1), axis=-1)
        valid = constraints.simplex.check(z) & ~zero
        nan = jnp.any(jnp.isnan(z), axis=-1)
        safe = jnp.where((valid | nan)[..., None], z, 1 / z.shape[-1])
        # 0 log 0 = 0 if a concentration is 1.
        flat = (self.concentration == 1) & (safe == 0)
        value = self._log_prob_of_logs(jnp.log(jnp.where(flat, 0.5, safe)))
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        log_z = _log_transform(self, eps)
        return jnp.exp(log_z), self._log_prob_of_logs(log_z)

    def _entropy(self) -> jax.Array:
        spread = jnp.sum((self.concentration - 1) * self._mean_log_ratio(), axis=-1)
        return self._log_beta_at_mean() - spread

    def _mean(self) -> jax.Array:
        return self.concentration / self._total()

    def _variance(self) -> jax.Array:
        mean, total = self._mean(), self._total()
        return mean * ((total - self.concentration) / total) / (total + 1)

    def _mode(self) -> jax.Array:
        inside = jnp.all(self.concentration > 1, axis=-1, keepdims=True)
        above = jnp.where(inside, self.concentration - 1, 1.0)
        return jnp.where(inside, above / jnp.sum(above, axis=-1, keepdims=True), jnp.nan)


def _log_transform(q: Any, eps: jax.Array) -> jax.Array:
    return jax.nn.log_softmax(log_gamma_from_normal(eps, q.concentration), axis=-1)


@jax.custom_jvp
def _conditional(log_z: jax.Array, concentration: jax.Array) -> jax.Array:
    """log z, with the mean of its derivatives in the concentration over the noise at given z."""
    return log_z + 0 * concentration


@_conditional.defjvp
def _conditional_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    log_z, a = primals
    log_z, (_, da) = _conditional(log_z, a), tangents
    a, da = jnp.broadcast_to(a, log_z.shape), jnp.broadcast_to(da, log_z.shape)
    rest = jnp.sum(a, axis=-1, keepdims=True) - a
    # With z_k ~ Beta(a_k, rest_k), and the others in proportion, so y_k = logit z_k moves with a_k.
    y = log_z - _log_of_rest(log_z)

    _, pullback = jax.vjp(lambda y, a: normal_from_beta(y, a, rest), y, a)
    by_y, by_a = pullback(jnp.ones_like(y))
    change = -by_a / by_y * da
    return log_z, change - jnp.sum(jnp.exp(log_z) * change, axis=-1, keepdims=True)


def _log_of_rest(log_z: jax.Array) -> jax.Array:
    """log(1 - z_k), from the other coordinates if z_k is the greatest."""
    greatest = log_z == jnp.max(log_z, axis=-1, keepdims=True)
    others = jnp.where(greatest, -jnp.inf, log_z)
    alone = jnp.sum(greatest, axis=-1, keepdims=True) == 1
    of_greatest = jax.nn.logsumexp(jnp.where(alone, others, 0.0), axis=-1, keepdims=True)
    by_itself = greatest & alone
    return jnp.where(by_itself, of_greatest, log1mexp(jnp.where(by_itself, -1.0, log_z)))
