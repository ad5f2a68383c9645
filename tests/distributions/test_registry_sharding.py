"""Distributions whose parameters are sharded over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.distributions import programs
from tests.distributions.registry import CONTINUOUS

# Of these the program takes no more than a moment to compile.
_QUICK = {"normal", "mvn_tril", "independent_normal", "mixture", "gumbel", "truncated_exponential"}
_FIRST = {case.family: case for case in reversed(CONTINUOUS)}.values()

first_of_family = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if case.name in _QUICK else [pytest.mark.slow])
        for case in _FIRST
    ],
)


@first_of_family
def test_sharded_parameters_stay_sharded(case):
    """One distribution per device: samples and densities stay there, and compile once."""
    devices = np.asarray(jax.devices())
    assert devices.size == 8
    mesh = jax.sharding.Mesh(devices, ("data",))
    over_devices = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    q, traces = case.build(), []

    def put(q):
        stacked = jax.tree.map(lambda x: jnp.stack([x] * 8), q)
        return jax.device_put(stacked, over_devices)

    @programs.compiled
    @jax.vmap
    def draw(q, eps):
        traces.append(None)
        z = q.transform(eps)
        return z, q.log_prob(z) if case.density else z

    eps = jax.device_put(q.noise(jax.random.key(0), (8, 5)), over_devices)
    z, log_prob = draw(put(q), eps)
    for value in (z, log_prob):
        assert value.shape[:2] == (8, 5)
        assert value.sharding.is_equivalent_to(over_devices, value.ndim)
        assert np.all(np.isfinite(value))
    again, _ = draw(put(jax.tree.map(lambda x: x * 1, q)), eps)
    np.testing.assert_array_equal(z, again)
    assert len(traces) == 1
