"""Construction, errors, immutability, pickling, pytrees and checkpoints of every distribution."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import noise
from tests.distributions import programs
from tests.distributions.comparisons import continuous, discrete, every, over
from tests.distributions.registry import CASES

with_parameter_to_refuse = pytest.mark.parametrize(
    ("case", "name"),
    [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in case.bad],
)


def test_registry_is_complete():
    families = {
        value
        for value in vars(rp).values()
        if inspect.isclass(value) and issubclass(value, rp.Distribution)
    } - {rp.Distribution}
    assert families == {case.family for case in CASES}


@every
@pytest.mark.parametrize("kind", ["integer", "raw", "batch"])
def test_sample_refuses_what_is_not_one_typed_key(case, kind):
    key = jax.random.key(0)
    keys = {"integer": 0, "raw": np.zeros(2, "uint32"), "batch": jax.random.split(key)}
    with pytest.raises(TypeError, match=r"jax\.random\.key|jax\.vmap"):
        case.build().sample(keys[kind])


@every
def test_sample_shape_must_be_a_tuple(case):
    with pytest.raises(TypeError, match="tuple"):
        case.build().sample(jax.random.key(0), 3)


@over([case for case in CASES if case.build().event_shape])
def test_log_prob_refuses_another_event_shape(case):
    q = case.build()
    event = (*q.event_shape[:-1], q.event_shape[-1] + 1)
    with pytest.raises(ValueError, match="shape"):
        q.log_prob(np.zeros(q.batch_shape + event, "f"))


@over([case for case in CASES if case.build().batch_shape[-1:] > (1,)])
def test_log_prob_refuses_another_batch_shape(case):
    q = case.build()
    with pytest.raises(ValueError, match="shape"):
        q.log_prob(np.zeros((q.batch_shape[-1] + 1, *q.event_shape), "f"))


@every
def test_distributions_are_immutable(case):
    with pytest.raises(AttributeError, match="immutable"):
        case.build().loc = 1.0


@over([case for case in CASES if not case.density])
def test_family_without_density_says_so(case):
    q = case.build()
    z = np.zeros(q.batch_shape + q.event_shape, "f")
    for call in (lambda: q.log_prob(z), lambda: q.rsample_and_log_prob(jax.random.key(0))):
        with pytest.raises(NotImplementedError, match="has no closed form of its log-density"):
            call()


@with_parameter_to_refuse
def test_concrete_parameter_out_of_range_is_an_error(case, name):
    """One bad batch member is enough."""
    who = "" if case.is_wrapped else case.family.__name__
    with pytest.raises(ValueError, match=rf"{who}: {name} must be"):
        case.make(**case.with_bad_member(name, "float32"), **case.static)


@continuous
def test_noise_comes_from_the_source(case):
    q, key, calls = case.build(), jax.random.key(0), []
    eps = np.zeros((2, *q.batch_shape, *q.noise_shape), "f")
    assert q.noise(key, (2,), source=lambda *a: calls.append(a) or eps) is eps
    assert calls == [(key, (2,), q.batch_shape + q.noise_shape, q.noise_marginal, "float32")]


@every
def test_pickling_keeps_structure_and_values(case):
    q = case.build()
    leaves, structure = jax.tree.flatten(pickle.loads(pickle.dumps(q)))
    assert structure == jax.tree.structure(q)
    for a, b in zip(leaves, jax.tree.leaves(q), strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_unflattening_never_validates(case):
    q = case.build()
    assert isinstance(jax.tree.map(lambda _: None, q), type(q))


@every
def test_all_parameter_values_have_one_cache_entry(case):
    """`jit` sees the same structure, dtypes and weak types for all values of the parameters."""
    q = case.build()
    updated = jax.tree.map(lambda x: x + 0 * x, q)  # as an optimizer does
    for twin in (case.build(), updated, pickle.loads(pickle.dumps(q))):
        a, b = jax.tree.structure(q), jax.tree.structure(twin)
        assert a == b
        assert hash(a) == hash(b)
        for x, y in zip(jax.tree.leaves(q), jax.tree.leaves(twin), strict=True):
            assert jax.typeof(x) == jax.typeof(y)
            assert not x.weak_type


@every
def test_shapes_of_summaries(case):
    q = case.build()

    def summaries(q):
        return [
            programs.if_any(lambda k=k: getattr(q, k))
            for k in ("mean", "variance", "stddev", "mode")
        ]

    shapes = {x.shape for x in jax.eval_shape(summaries, q) if x is not None}
    entropy = jax.eval_shape(lambda q: programs.if_any(q.entropy), q)
    assert shapes <= {q.batch_shape + q.event_shape}
    assert entropy is None or entropy.shape == q.batch_shape


@every
def test_shape_of_cdf(case):
    q = case.build()
    x = jax.ShapeDtypeStruct((3, *q.batch_shape, *q.event_shape), "float32")
    cdf = jax.eval_shape(lambda q, x: programs.if_any(lambda: q.cdf(x)), q, x)
    assert cdf is None or cdf.shape == x.shape


@discrete
def test_discrete_family_has_no_rsample(case):
    q, key = case.build(), jax.random.key(0)
    for call in (q.rsample, q.noise, q.rsample_and_log_prob):
        with pytest.raises(ValueError, match="relaxed distribution"):
            call(key)
    with pytest.raises(ValueError, match="score-function"):
        q.transform(0.0)


@discrete
def test_discrete_family_has_no_source_of_noise(case):
    with pytest.raises(TypeError, match="source"):
        case.build().sample(jax.random.key(0), source=noise.iid)


def test_checkpoint_restores_every_distribution(tmp_path):
    """All cases of the registry, in one checkpoint."""
    import orbax.checkpoint

    registry = {case.name: case.build() for case in CASES}
    blank = jax.tree.map(jnp.zeros_like, registry)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "registry", registry)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "registry", blank)
    assert jax.tree.structure(restored) == jax.tree.structure(registry)
    for name, q in registry.items():
        assert type(restored[name]) is type(q)
        for a, b in zip(jax.tree.leaves(restored[name]), jax.tree.leaves(q), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_second_call_outside_jit_compiles_nothing(caplog):
    """With a second distribution of the same shapes and another key."""

    def use(seed):
        q = rp.Gamma(np.full(3, 1.5 + seed, "f"), np.ones(3, "f"))
        z, log_q = q.rsample_and_log_prob(jax.random.key(seed), (4,))
        gradient = jax.grad(lambda q: jnp.sum(q.rsample(jax.random.key(seed), (4,))))(q)
        return z, log_q, q.cdf(z), q.entropy(), gradient

    def compilations():
        return [r.getMessage() for r in caplog.records if "ompil" in r.getMessage()]

    with jax.log_compiles():
        use(0)
        assert compilations()
        caplog.clear()
        use(1)
    assert compilations() == []
