"""The base class: abstract or final, own distributions, messages, checks outside jit, repr."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.distributions.discrete import Discrete
from repara.distributions.divergences.registry import CLOSED_FORMS
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.distributions.location_scale import LocationScale

KEY = jax.random.key(0)


class Power(rp.Distribution):
    """An own distribution: z = u^(1 / power)."""

    arg_constraints: ClassVar = {"power": rp.constraints.positive}
    support = rp.constraints.unit_interval
    noise_marginal = "uniform"

    def __init__(self, power):
        super().__init__(power=power)

    def _transform(self, eps):
        return eps ** (1 / self.power)

    def _log_prob(self, z):
        return jnp.log(self.power) + (self.power - 1) * jnp.log(z)


class Coin(Discrete):
    """An own discrete distribution."""

    arg_constraints: ClassVar = {"p": rp.constraints.unit_interval}

    def __init__(self, p):
        super().__init__(p=p)

    def _sample(self, key, shape):
        return (jax.random.uniform(key, shape) < self.p).astype(self.p.dtype)


def moved(q, by):
    """q with parameters changed by a step that ignores their range."""
    return jax.tree.map(lambda x: x + by, q)


@pytest.mark.parametrize("make", [rp.Distribution, IncreasingInNormal, Discrete, LocationScale])
def test_abstract_classes_have_no_instances(make):
    with pytest.raises(TypeError, match=f"{make.__name__} is abstract"):
        make()


def test_concrete_classes_are_final():
    with pytest.raises(TypeError, match="Mine subclasses Normal, which is final"):
        type("Mine", (rp.Normal,), {})


@pytest.mark.parametrize(
    ("public", "instead"),
    [
        ("log_prob", "_log_prob"),
        ("rsample", "_transform"),
        ("sample", "_transform, or _sample"),
        ("transform", "_transform"),
        ("inverse", "_inverse"),
        ("cdf", "_cdf"),
        ("icdf", "_icdf"),
        ("entropy", "_entropy"),
        ("mean", "_mean"),
        ("stddev", "_variance"),
        ("rsample_and_log_prob", "_transform_and_log_prob"),
    ],
)
def test_overriding_a_public_method_names_the_one_to_write(public, instead):
    with pytest.raises(TypeError, match=f"overrides the public method {public}: write {instead}"):
        type("Mine", (rp.Distribution,), {public: lambda self: None})


def test_an_own_distribution_inside_combinators():
    q = rp.Independent(Power(jnp.array([0.5, 3.0])), 1)
    z = q.rsample(KEY, (5,))
    expected = jnp.sum(Power(jnp.array([0.5, 3.0])).log_prob(z), axis=-1)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-6)


def test_an_own_discrete_distribution():
    q = rp.Independent(Coin(jnp.array([0.0, 1.0])), 1)
    np.testing.assert_array_equal(q.sample(KEY, (4,)), np.tile([0.0, 1.0], (4, 1)))
    with pytest.raises(TypeError, match="sample takes no source"):
        q.sample(KEY, source=rp.noise.sobol)


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda q: q.inverse(0.5), "_inverse"),
        (lambda q: q.cdf(0.5), "_cdf"),
        (lambda q: q.mean, "_mean"),
        (lambda q: q.entropy(), "_entropy"),
    ],
)
def test_a_missing_method_is_said_to_be_missing(call, method):
    with pytest.raises(NotImplementedError, match=f"its class does not define {method}"):
        call(Power(2.0))


@pytest.fixture
def closed_forms():
    """Restores the table of closed forms after a test."""
    before = dict(CLOSED_FORMS)
    yield CLOSED_FORMS
    CLOSED_FORMS.clear()
    CLOSED_FORMS.update(before)


def test_a_registered_closed_form_gets_one_dtype_and_rank(closed_forms):
    @rp.register_kl(Power, (Power, rp.Uniform))
    def kl_power(q, p):
        other = jax.tree.leaves(p)[0]
        assert q.power.dtype == other.dtype == jnp.float32
        assert q.power.ndim == other.ndim
        return q.power + 0 * other

    q, p = Power(jnp.ones(3)), Power(jnp.full((2, 1), 2.0, jnp.bfloat16))
    np.testing.assert_array_equal(rp.kl_divergence(q, p), np.ones((2, 3)))
    vectors = rp.Independent(q, 1), rp.Independent(Power(jnp.ones(3)), 1)
    assert rp.kl_divergence(*vectors) == 3
    assert closed_forms[Power, rp.Uniform] is kl_power


def test_a_closed_form_is_registered_once(closed_forms):
    rp.register_kl(Power, Power)(lambda q, p: q.power)
    with pytest.raises(ValueError, match=r"KL\(Power \|\| Power\) is registered already"):
        rp.register_kl(Power, (rp.Uniform, Power))(lambda q, p: q.power)
    assert (Power, rp.Uniform) not in closed_forms
    with pytest.raises(TypeError, match="subclasses of Distribution, got"):
        rp.register_kl(Power, int)


def test_a_shape_error_says_what_broadcasts_and_what_to_write():
    q = rp.Poisson(jnp.ones((16, 1)))
    with pytest.raises(
        ValueError,
        match=r"Poisson: z must have shape \(\.\.\., 16, 1\), got \(20,\).*length 1 broadcast"
        r".*use z\[None\], of shape \(1, 20\)$",
    ):
        q.log_prob(jnp.ones(20))
    assert q.log_prob(jnp.ones(20)[None]).shape == (16, 20)
    with pytest.raises(ValueError, match=r"of shape \(1, 16\) or z\[\.\.\., None\], of shape"):
        q.log_prob(jnp.ones(16))
    q = rp.Independent(rp.Normal(jnp.zeros((2, 4, 3)), 1.0), 1)
    with pytest.raises(ValueError, match=r"eps\[None\], of shape \(1, 4, 3\)"):
        q.transform(jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"the event shape is \(3,\)"):
        q.log_prob(jnp.zeros((2, 4, 5)))


@pytest.mark.parametrize(
    "call",
    [
        lambda q: q.sample(KEY),
        lambda q: q.rsample(KEY, (3,)),
        lambda q: q.log_prob(1.0),
        lambda q: q.cdf(1.0),
        lambda q: q.mean,
        lambda q: q.entropy(),
        lambda q: rp.kl_divergence(q, q),
        lambda q: rp.Truncated(q, 0.0, 1.0).log_prob(0.5),
        lambda q: rp.Independent(q, 0).mean,
    ],
)
def test_methods_raise_outside_jit_if_parameters_left_their_range(call):
    q = moved(rp.Gamma(1.0, 6.0), -5.0)
    message = r"Gamma: concentration must be positive, got -4\.0 .*optimize unconstrained ones"
    with pytest.raises(ValueError, match=message):
        call(q)


def test_under_jit_only_the_bad_member_is_nan():
    q = moved(rp.Gamma(jnp.array([1.0, 7.0]), 6.0), -5.0)
    with pytest.raises(ValueError, match=r"got -4\.0 at index \(0,\)"):
        q.sample(KEY)
    mean = jax.jit(lambda q: q.mean)(q)
    assert jnp.isnan(mean[0])
    assert mean[1] == 2.0


def test_joint_constraints_and_bijectors_are_checked_outside_jit():
    uniform = jax.tree.map(lambda x: -x, rp.Uniform(0.0, 1.0))
    with pytest.raises(ValueError, match="Uniform: high must be greater than low, got -1"):
        _ = uniform.mean
    affine = rp.bijectors.Chain((rp.bijectors.Affine(0.0, 1.0), rp.bijectors.Exp()))
    q = rp.Transformed(rp.Normal(0.0, 1.0), jax.tree.map(lambda x: -x, affine))
    with pytest.raises(ValueError, match="Affine: scale must be positive, got -1"):
        q.log_prob(1.0)
    coin = moved(rp.Bernoulli(0.5), 1.0)
    with pytest.raises(ValueError, match="Bernoulli: probs must be"):
        coin.sample(KEY)


def test_a_repr_is_short():
    assert repr(rp.Normal(0.0, jnp.ones((3, 4)))) == "Normal(loc=0.0, scale=float32[3,4])"
    affine = rp.bijectors.Affine(jnp.zeros(9), 2.0)
    assert repr(affine) == "Affine(loc=float32[9], scale=2.0)"
    parts = tuple(rp.Normal(float(i), 1.0) for i in range(20))
    text = repr(rp.Mixture(rp.Categorical(logits=jnp.zeros(20)), parts))
    assert text.endswith("... 17 more))")
    assert len(text) < 200
