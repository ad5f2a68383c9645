"""Sources of noise: marginals, structure, unbiasedness, rates, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.stats import qmc

from repara import noise
from repara._bits import bits

SOURCES = [noise.iid, noise.antithetic, noise.stratified, noise.sobol]
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.__name__)
both_marginals = pytest.mark.parametrize("marginal", ["normal", "uniform"])


@functools.partial(jax.jit, static_argnums=(0, 2, 3, 4, 5))
def draw(source, key, shape, noise_shape, marginal, dtype):
    return source(key, shape, noise_shape, marginal, dtype)


@every_source
@both_marginals
def test_marginals(source, marginal, dtype):
    eps = np.asarray(draw(source, jax.random.key(0), (64, 256), (3,), marginal, dtype))
    assert eps.shape == (64, 256, 3)
    assert eps.dtype == dtype
    reference = scipy.stats.norm if marginal == "normal" else scipy.stats.uniform
    # The pairs of antithetic noise are not independent: half of them are.
    flat = eps[:32] if source is noise.antithetic else eps
    for j in range(3):
        coordinate = flat[..., j].ravel().astype("float64")
        assert scipy.stats.kstest(coordinate, reference.cdf).pvalue > 1e-3
    if marginal == "uniform":
        assert eps.min() > 0
        assert eps.max() < 1
    assert np.all(np.isfinite(eps))


@every_source
def test_coordinates_are_uncorrelated(source):
    u = np.asarray(draw(source, jax.random.key(1), (8192,), (4,), "uniform", "float32"))
    correlation = np.corrcoef(u.T)
    n = 4096 if source is noise.antithetic else 8192
    assert np.all(np.abs(correlation - np.eye(4)) < 5 / np.sqrt(n))


@every_source
def test_unbiased(source):
    """Over keys, the mean of a nonlinear function of few points is its expectation."""
    keys = jax.random.split(jax.random.key(2), 20_000)

    @jax.jit
    def means(keys):
        eps = jax.vmap(lambda key: source(key, (4,), (2,), "normal", "float32"))(keys)
        return jnp.mean(jnp.cos(eps[..., 0]) * jnp.exp(0.5 * eps[..., 1]), axis=1)

    values = np.asarray(means(keys), "float64")
    exact = np.exp(-0.5) * np.exp(0.125)
    error = values.std() / np.sqrt(values.size)
    assert error < 0.01 * exact
    assert abs(values.mean() - exact) < 5 * error


def test_iid_uniforms_are_on_a_symmetric_grid(dtype):
    u = draw(noise.iid, jax.random.key(3), (10_000,), (), "uniform", dtype)
    bits = jnp.finfo(dtype).nmant
    k = np.asarray(u, "float64") * 2.0**bits - 0.5
    np.testing.assert_array_equal(k, np.round(k))
    assert k.min() >= 0
    assert k.max() <= 2.0**bits - 1
    # 1 - u is exact: subtracted again, it gives u back.
    np.testing.assert_array_equal(1 - (1 - u), u)


def test_antithetic_pairs(dtype):
    eps = draw(noise.antithetic, jax.random.key(4), (2, 6), (5,), "normal", dtype).reshape(12, 5)
    np.testing.assert_array_equal(eps[:6], -eps[6:])
    u = draw(noise.antithetic, jax.random.key(4), (12,), (5,), "uniform", dtype)
    np.testing.assert_array_equal(u[:6], 1 - u[6:])
    with pytest.raises(ValueError, match=r"\(3,\) with 3 points"):
        noise.antithetic(jax.random.key(0), (3,), (), "normal", "float32")


def test_stratified_has_one_point_in_each_stratum(dtype):
    n = 100
    u = np.asarray(draw(noise.stratified, jax.random.key(5), (4, 25), (3,), "uniform", dtype))
    u = u.reshape(n, 3)
    strata = np.floor(n * u.astype("float64")).astype(int)
    for j in range(3):
        np.testing.assert_array_equal(np.sort(strata[:, j]), np.arange(n))
    assert not np.array_equal(strata[:, 0], strata[:, 1])


def test_direction_numbers_are_those_of_joe_and_kuo():
    d, m = 40, 9
    directions = noise._direction_numbers(d, m)
    points = np.zeros((2**m, d), np.uint32)
    for i in range(2**m):
        gray = i ^ (i >> 1)
        for k in range(m):
            if (gray >> k) & 1:
                points[i] ^= directions[k]
    expected = qmc.Sobol(d, scramble=False, bits=32).random(2**m)
    np.testing.assert_array_equal(points * 2.0**-32, expected)


@pytest.mark.parametrize("m", [0, 1, 4, 8])
def test_sobol_is_a_digital_net(m, dtype):
    """In two dimensions every elementary interval of area 1/N holds exactly one point."""
    n = 2**m
    u = np.asarray(draw(noise.sobol, jax.random.key(6), (n,), (2,), "uniform", dtype), "float64")
    for a in range(m + 1):
        cells = np.floor(u * [2.0**a, 2.0 ** (m - a)]).astype(int)
        assert len({tuple(c) for c in cells}) == n
    many = np.asarray(draw(noise.sobol, jax.random.key(6), (n,), (50,), "uniform", dtype))
    for j in range(50):
        strata = np.floor(n * many[:, j].astype("float64")).astype(int)
        np.testing.assert_array_equal(np.sort(strata), np.arange(n))


def test_sobol_scrambles_by_key():
    a, b = (draw(noise.sobol, jax.random.key(k), (64,), (3,), "uniform", "float32") for k in (0, 1))
    assert float(jnp.max(jnp.abs(jnp.sort(a, axis=0) - jnp.sort(b, axis=0)))) > 1e-3
    # More than a shift of the digits: the differences, digit by digit, are not all the same.
    words = [np.asarray(v * 2.0**23).astype(np.uint32) for v in (a, b)]
    assert len(np.unique(words[0][:, 0] ^ words[1][:, 0])) > 1


def test_sobol_refuses_too_many_coordinates():
    with pytest.raises(ValueError, match="21201"):
        noise.sobol(jax.random.key(0), (2,), (21202,), "uniform", "float32")


@pytest.mark.slow
def test_rates():
    """Root mean square errors: N^-1/2 for i.i.d. noise, N^-0.9 or better for Sobol points."""
    d, sizes = 5, [2**k for k in (6, 8, 10, 12)]
    weights = 1 / np.arange(1, d + 1) ** 2
    exact = np.prod(1 + weights * np.exp(-0.5))
    keys = jax.random.split(jax.random.key(7), 48)

    def rate(source):
        errors = []
        for n in sizes:

            @jax.jit
            def means(keys, n=n):
                eps = jax.vmap(lambda key: source(key, (n,), (d,), "normal", "float64"))(keys)
                f = jnp.prod(1 + weights[None, None] * jnp.cos(eps), axis=-1)
                return jnp.mean(f, axis=1)

            errors.append(float(np.sqrt(np.mean((np.asarray(means(keys)) - exact) ** 2))))
        return np.polyfit(np.log(sizes), np.log(errors), 1)[0]

    with jax.enable_x64(True):
        # With 48 replications each root mean square error is known to 10%, and the rate over six
        # octaves to 0.04.
        assert abs(rate(noise.iid) + 0.5) < 0.15
        assert rate(noise.sobol) < -0.9


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (7, r"the integer 7: pass jax\.random\.key"),
        (None, "NoneType"),
        (np.zeros(2, "uint32"), r"wrap_key_data"),
        (1.5, "float"),
    ],
)
@every_source
def test_keys_are_typed(source, key, message):
    with pytest.raises(TypeError, match=message):
        source(key, (2,), (), "normal", "float32")


@every_source
def test_an_array_of_keys_is_refused(source):
    with pytest.raises(TypeError, match=r"shape \(3,\).*jax\.vmap"):
        source(jax.random.split(jax.random.key(0), 3), (2,), (), "normal", "float32")


@pytest.mark.parametrize("shape", [(0,), (3,), (4096,), (17, 400)])
def test_iid_is_what_jax_random_draws(shape, dtype):
    """Bit for bit, also under vmap and with another kind of key."""
    word = jnp.dtype(f"uint{jnp.finfo(dtype).bits}")
    for impl in ("threefry2x32", "rbg"):
        keys = jax.random.split(jax.random.key(9, impl=impl), 3)
        ours = jax.jit(lambda k: bits(k, shape, word))(keys[0])
        np.testing.assert_array_equal(ours, jax.random.bits(keys[0], shape, word))
        eps = draw(noise.iid, keys[0], shape, (), "normal", dtype)
        np.testing.assert_allclose(
            eps, jax.random.normal(keys[0], shape, dtype), rtol=4 * jnp.finfo(dtype).eps
        )
        many = jax.jit(jax.vmap(lambda k: bits(k, shape, word)))(keys)
        np.testing.assert_array_equal(
            many, jax.jit(jax.vmap(lambda k: jax.random.bits(k, shape, word)))(keys)
        )


def test_bits_are_those_of_jax_without_partitionable_keys():
    key = jax.random.key(10)
    with jax.threefry_partitionable(False):
        np.testing.assert_array_equal(
            bits(key, (5000,), jnp.uint32), jax.random.bits(key, (5000,), jnp.uint32)
        )


def test_noise_is_computed_once_under_vmap_over_keys():
    """The program keeps a conditional, across which the compiler does not fuse."""

    def normal(key):
        return noise.iid(key, (512,), (), "normal", jnp.float32)

    def moments(key):
        z = normal(key)
        return jnp.sum(z), jnp.sum(z * z)

    keys = jax.random.split(jax.random.key(0), 3)
    compiled = jax.jit(jax.vmap(moments)).lower(keys).compile()
    assert " conditional(" in compiled.as_text()
    np.testing.assert_allclose(compiled(keys)[0], [jnp.sum(normal(k)) for k in keys], rtol=1e-5)
