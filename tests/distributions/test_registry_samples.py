"""Samples of every distribution: shapes, gradients, identities and parameters out of range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.distributions import outcomes, programs
from tests.distributions.comparisons import assert_within, continuous, every, over
from tests.distributions.registry import CASES

with_density = over([case for case in CASES if case.density])


@pytest.fixture
def outcome(case, dtype):
    """Returns what the program of the case gave; all tests of the case share it."""
    return outcomes.outcome_of(case.name, dtype)


@pytest.fixture
def outcome32(case):
    """Returns the same in float32."""
    return outcomes.outcome_of(case.name, "float32")


@pytest.fixture
def sixteen_bit(case):
    """Returns what the case gives with its parameters in bfloat16."""
    return outcomes.sixteen_bit_of(case.name)


@every
def test_sample_shape(case, outcome):
    q = outcome.distribution
    assert outcome.good.sample.shape == programs.SHAPE + q.batch_shape + q.event_shape
    assert outcome.good.log_prob.shape == programs.SHAPE + q.batch_shape
    if q.has_rsample:
        assert outcome.good.noise.shape == programs.SHAPE + q.batch_shape + q.noise_shape


@every
def test_sample_shape_may_be_empty(case):
    q = case.build()
    for shape in [(), (5,)]:
        z = jax.eval_shape(lambda q, s=shape: q.sample(jax.random.key(0), s), q)
        log_prob = jax.eval_shape(lambda q, z: programs.density(case, q, z), q, z)
        assert z.shape == shape + q.batch_shape + q.event_shape
        assert log_prob.shape == shape + q.batch_shape


@every
def test_dtype_is_that_of_the_parameters(case, dtype, outcome):
    assert outcome.good.sample.dtype == dtype
    assert outcome.good.log_prob.dtype == dtype
    assert outcome.good.noise is None or outcome.good.noise.dtype == dtype


@every
def test_samples_are_in_the_support(case, outcome):
    assert np.all(outcome.good.in_support)
    assert np.all(np.isfinite(outcome.good.log_prob))


@every
def test_sample_stops_gradients(case, outcome):
    assert all(np.all(g == 0) for g in jax.tree.leaves(outcome.good.sample_gradient))


@continuous
def test_rsample_passes_gradients_to_every_parameter(case, outcome):
    gradient = outcome.good.rsample_gradient
    assert isinstance(gradient, case.family)
    for path, g in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.any(g != 0), path
        assert np.all(np.isfinite(g)), path


@continuous
def test_sample_and_rsample_agree(case, outcome):
    assert_within(outcome.good.sample, outcome.good.rsample, _few_roundings(case, outcome))


@continuous
def test_rsample_and_log_prob_draws_the_same_sample(case, outcome):
    assert_within(outcome.good.joint_sample, outcome.good.rsample, _few_roundings(case, outcome))


def _few_roundings(case, outcome):
    """A unit in the last place of z, or of terms as large as the parameters.

    The compiler fuses each way to draw differently: terms that cancel, sums over the coordinates of
    a vector and, from jax 0.11 on, the steps of an inversion round differently.
    """
    z = outcome.good.rsample
    units = (16 if case.accuracy > 0 else case.units) * (1 + np.abs(z))
    if outcome.distribution.event_shape:
        units = units + 4 * np.abs(z).max()
    return units * outcome.rounding


@continuous
def test_rsample_and_log_prob_gives_the_density(case, outcome):
    """The density from the noise and that from the sample differ by the rounding of the sample."""
    good = outcome.good
    per_event = (np.abs(good.sample) + case.location) * np.abs(good.log_prob_gradient)
    of_sample = per_event.reshape(*good.log_prob.shape, -1).sum(-1)
    bound = 64 * case.condition * outcome.rounding * (1 + np.abs(good.log_prob) + of_sample)
    assert_within(good.joint_log_prob, good.log_prob, bound)


@continuous
def test_inverse_returns_the_noise(case, outcome):
    """Up to the rounding of the sample over the derivative of the transform."""
    good = outcome.good
    if good.inverse is None:
        return
    magnified = 8.0  # if sample and noise are vectors of different lengths
    if good.rsample.shape == good.noise.shape:
        with np.errstate(divide="ignore"):
            magnified = (np.abs(good.rsample) + case.location) / np.abs(good.noise_gradient)
    bound = 64 * case.condition * outcome.rounding * (1 + magnified)
    if outcome.distribution.noise_marginal == "uniform":
        bound = np.minimum(bound, 1e-3 + 64 * outcome.rounding)
    assert_within(good.inverse, good.noise, bound)


@every
def test_bad_parameter_poisons_its_member_alone(case, outcome):
    """One bad value gives NaN for its batch member and changes no bit of the other members."""
    for name, bad in outcome.with_bad_member.items():
        _assert_only_last_is_nan(bad.sample, outcome.good.sample, outcome, name)
        if case.density:
            _assert_only_last_is_nan(bad.log_prob, outcome.good.log_prob, outcome, name)


@continuous
def test_bad_parameter_spares_gradients_of_other_members(case, outcome):
    for name, bad in outcome.with_bad_member.items():
        gradients = jax.tree.leaves((bad.rsample_gradient, outcome.good.rsample_gradient))
        half = len(gradients) // 2
        for gradient, good in zip(gradients[:half], gradients[half:], strict=True):
            members = outcome.members
            np.testing.assert_array_equal(
                gradient.reshape(members, -1)[:-1], good.reshape(members, -1)[:-1], err_msg=name
            )


def _assert_only_last_is_nan(bad, good, outcome, name):
    draws = np.prod(programs.SHAPE)
    bad, good = (x.reshape(draws, outcome.members, -1) for x in (bad, good))
    assert np.all(np.isnan(bad[:, -1]).any(-1)), f"a bad {name} gives a plausible number"
    np.testing.assert_array_equal(bad[:, :-1], good[:, :-1], err_msg=name)


@continuous
def test_noise_does_not_depend_on_parameters(case, outcome):
    for bad in outcome.with_bad_member.values():
        np.testing.assert_array_equal(bad.noise, outcome.good.noise)
    np.testing.assert_array_equal(outcome.rounded.noise, outcome.good.noise)


@every
def test_bfloat16_is_float32_rounded(case, sixteen_bit, outcome32):
    """Sixteen-bit parameters compute in float32, where fitted functions may round differently."""
    assert sixteen_bit.sample.dtype == jnp.bfloat16
    rounded = outcome32.rounded.sample.astype(jnp.bfloat16).astype("float32")
    bound = 0.01 * np.abs(rounded) * (case.accuracy > 0)
    if case.is_converted:  # to parameters that are rounded too
        bound = 0.02 * (1 + np.abs(rounded))
    assert_within(sixteen_bit.sample.astype("float32"), rounded, bound)


@with_density
def test_vmap_over_distributions(case, sixteen_bit, outcome32):
    assert sixteen_bit.log_prob.dtype == jnp.bfloat16
    log_prob = outcome32.rounded.log_prob
    tolerance = 0.05 if case.is_converted else 0.005
    np.testing.assert_allclose(
        sixteen_bit.log_prob.astype("float32"), log_prob, rtol=tolerance, atol=1e-5
    )


@every
def test_distribution_is_the_carry_of_a_scan(case, sixteen_bit, outcome32):
    assert jax.tree.structure(sixteen_bit.after_scan) == jax.tree.structure(outcome32.distribution)


@every
def test_one_compilation(case, outcome):
    """Other values of the parameters, out of range too, run through the same program."""
    assert outcome.recompilations == 0
