"""What every distribution must do, over the registry."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import repara as rp
from repara import noise
from tests.distributions import programs
from tests.distributions.registry import CASES, CONTINUOUS, DISCRETE

every = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
continuous = pytest.mark.parametrize("case", CONTINUOUS, ids=lambda c: c.name)
discrete = pytest.mark.parametrize("case", DISCRETE, ids=lambda c: c.name)
scalar = pytest.mark.parametrize(
    "case", [c for c in CASES if c.reference is not None], ids=lambda c: c.name
)


def _within(a, b, bound):
    gap = np.abs(np.asarray(a, "float64") - np.asarray(b, "float64"))
    worst = np.unravel_index(np.argmax(gap - bound), gap.shape) if gap.size else ()
    assert np.all(gap <= bound), (
        f"differs by {gap[worst]} at {worst}, of {np.broadcast_to(b, gap.shape)[worst]}; "
        f"{np.broadcast_to(bound, gap.shape)[worst]} is allowed"
    )


def test_registry_is_complete():
    families = {
        value
        for value in vars(rp).values()
        if inspect.isclass(value) and issubclass(value, rp.Distribution)
    } - {rp.Distribution}
    assert families == {case.family for case in CASES}


@every
def test_mechanics(case, dtype):
    """Shapes, dtypes, the identities between the ways to draw, and parameters out of range."""
    parameters, key = programs.parameters_of(case, dtype), jax.random.key(1)
    program, traces = programs.mechanics(case)
    low = programs.parameters_of(case, "bfloat16") if dtype == "float32" else None
    out = jax.tree.map(np.asarray, program(parameters, key, low))
    q, shape, eps = case.build(dtype), programs.SHAPE, case.rounding(dtype)
    batch, event = q.batch_shape, q.event_shape

    assert out["sample"].shape == shape + batch + event
    assert out["sample"].dtype == dtype
    assert out["log_prob"].shape == shape + batch
    assert out["log_prob"].dtype == dtype
    assert np.all(out["support"])
    assert np.all(np.isfinite(out["log_prob"]))
    for other in [(), (5,)]:
        drawn = jax.eval_shape(lambda q, s=other: q.sample(jax.random.key(0), s), q)
        assert drawn.shape == other + batch + event
        log_q = jax.eval_shape(lambda q, z: programs.density(case, q, z), q, drawn)
        assert log_q.shape == other + batch

    assert all(np.all(g == 0) for g in jax.tree.leaves(out["stopped"]))
    if q.has_rsample:
        z = out["transform"]
        assert out["noise"].shape == shape + batch + q.noise_shape
        assert out["noise"].dtype == dtype
        for drawn in (out["rsample"], out["sample"], out["pair"][0]):
            # What is fitted is compiled apart for each way to draw, and rounds in its own way; sums
            # over the coordinates of a vector are rounded as they are fused, and so are the steps
            # of an inversion (from jax 0.11 on) and terms that cancel: a unit in the last place, of
            # z or of terms of the size of the parameters.
            slack = (16 if case.accuracy > 0 else 2) * eps * (1 + np.abs(z))
            _within(drawn, z, slack + (4 * eps * np.abs(z).max() if event else 0.0))
        assert isinstance(out["passed"], case.family)
        for path, g in jax.tree_util.tree_leaves_with_path(out["passed"]):
            assert np.any(g != 0), path
            assert np.all(np.isfinite(g)), path
        # The density from the noise and that from the sample differ by the rounding of z.
        size = np.abs(z) + _location(case)
        slack = (size * np.abs(out["slopes"])).reshape(*shape, *batch, -1).sum(-1)
        bound = 64 * case.condition * eps * (1 + np.abs(out["log_prob"]) + slack)
        _within(out["pair"][1], out["log_prob"], bound)
        if out["inverse"] is not None:
            # The inverse of a rounded sample: the rounding, over the slope of the transform.
            magnified = 8.0  # where noise and value are vectors of different lengths
            if z.shape == out["noise"].shape:
                with np.errstate(divide="ignore"):
                    magnified = size / np.abs(out["stretch"])
            bound = 64 * case.condition * eps * (1 + magnified)
            if q.noise_marginal == "uniform":
                bound = np.minimum(bound, 1e-3 + 64 * eps)
            _within(out["inverse"], out["noise"], bound)

    if dtype == "float32":
        assert out["low"].dtype == out["low_log_prob"].dtype == jnp.bfloat16
        rounded = out["lifted"].astype(jnp.bfloat16).astype("float32")
        _within(out["low"].astype("float32"), rounded, 0.01 * np.abs(rounded) * (case.accuracy > 0))
        np.testing.assert_allclose(out["mapped"], out["log_prob"], rtol=1e-5, atol=1e-5)
        assert jax.tree.structure(out["carried"]) == jax.tree.structure(q)

    again = jax.tree.map(lambda x: x * 1, parameters)
    program(again, key, low)
    assert len(traces) == 1, "one compilation for one shape"
    for name, bad in case.bad.items():
        value = jnp.asarray(np.broadcast_to(np.asarray(bad, dtype), parameters[name].shape))
        poisoned = program({**parameters, name: value}, key, low)
        # The batch members with a bad parameter are poisoned, and there is at least one.
        for what in ("sample", "log_prob") if case.density else ("sample",):
            assert bool(jnp.any(jnp.isnan(poisoned[what]))), (name, what)
        if q.has_rsample:
            np.testing.assert_array_equal(poisoned["noise"], out["noise"])
    assert len(traces) == 1


@every
def test_eager(case):
    """What happens before anything is traced: errors, immutability, pickling."""
    q = case.build()
    for key in (0, jnp.zeros(2, "uint32"), jax.random.split(jax.random.key(0))):
        with pytest.raises(TypeError, match=r"jax\.random\.key|jax\.vmap"):
            q.sample(key)
    with pytest.raises(TypeError, match="tuple"):
        q.sample(jax.random.key(0), 3)
    if q.event_shape:
        with pytest.raises(ValueError, match="shape"):
            q.log_prob(np.zeros((*q.batch_shape, *q.event_shape[:-1], q.event_shape[-1] + 1), "f"))
    if q.batch_shape and q.batch_shape[-1] > 1:
        with pytest.raises(ValueError, match="shape"):
            q.log_prob(np.zeros((q.batch_shape[-1] + 1, *q.event_shape), "f"))
    with pytest.raises(AttributeError, match="immutable"):
        q.loc = 1.0

    if not case.density:
        z = jnp.zeros(q.batch_shape + q.event_shape)
        for call in (lambda: q.log_prob(z), lambda: q.rsample_and_log_prob(jax.random.key(0))):
            with pytest.raises(NotImplementedError, match="has no closed form of its log-density"):
                call()

    for name, bad in case.bad.items():
        parameters = {k: np.asarray(v, "float32") for k, v in case.parameters.items()}
        parameters[name] = np.asarray(bad, "float32")
        who = "" if case.wrapped else case.family.__name__
        with pytest.raises(ValueError, match=rf"{who}: {name} must be"):
            case.make(**parameters, **case.static)

    if q.has_rsample:
        eps = np.zeros((2, *q.batch_shape, *q.noise_shape), "f")
        asked = []
        key = jax.random.key(0)
        assert q.noise(key, (2,), source=lambda *a: asked.append(a) or eps) is eps
        expected = (key, (2,), q.batch_shape + q.noise_shape, q.noise_marginal, "float32")
        assert asked == [expected]

    leaves, structure = jax.tree.flatten(pickle.loads(pickle.dumps(q)))
    assert structure == jax.tree.structure(q)
    for a, b in zip(leaves, jax.tree.leaves(q), strict=True):
        np.testing.assert_array_equal(a, b)
    nothing = jax.tree.map(lambda _: None, q)  # unflattening never validates
    assert isinstance(nothing, type(q))


@continuous
def test_derivatives_at_fixed_noise(case, x64):
    """First and second derivatives in every parameter and in the noise, by finite differences.

    `jax.test_util.check_grads` asks for the same, at ten times the compilation.
    """
    q = case.build("float64")
    eps = programs.noise_for(q, noise.iid, 3)
    along, along_eps = programs.directions_of(case, eps, q.noise_marginal)
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, *q.batch_shape, *q.event_shape))
    log_weights = rng.normal(size=(3, *q.batch_shape))
    out = jax.tree.map(
        np.asarray,
        programs.derivatives(case)(
            programs.parameters_of(case, "float64"), eps, along, along_eps, weights, log_weights
        ),
    )

    first, second = programs.difference(out["values"]), programs.difference(out["forward"])
    # The rounding of the differences, and of the function itself where it is ill-conditioned.
    noise_floor = 1e-9 * case.condition + 8 * case.accuracy / programs.STEP
    floor = noise_floor * (1 + np.abs(programs.at_zero(out["values"])))
    bound = 1e-6 * np.abs(first) + floor
    _within(programs.at_zero(out["forward"]), first, bound)
    second_bound = 1e-6 * np.abs(second) + floor + 1e-6 * np.abs(first)
    _within(out["forward_forward"], second, second_bound)
    # In reverse the two sums are followed as one.
    _within(out["reverse"][0], first.sum(-1), bound.sum(-1))
    assert np.all(first[:-1, 0] != 0), "a parameter on which no sample depends"
    if case.slow:
        return
    for what in (out["reverse"][1], out["reverse_reverse"]):
        _within(what, second.sum(-1), second_bound.sum(-1))

    (total, _), (total_tangent, cdf_tangent) = out["totals"]
    total = programs.difference(total)
    _within(programs.at_zero(total_tangent), total, 1e-6 * np.abs(total) + floor[:, 1])
    if cdf_tangent is not None:
        # With scalar noise cdf(transform(eps)) is eps or 1 - eps, whatever the parameters:
        # dz/dtheta = -(dF/dtheta) / f.
        _within(programs.at_zero(cdf_tangent)[:-1], 0.0, noise_floor)


def _location(case):
    """The size of what a sample may be the small difference of."""
    ends = [case.parameters.get(name, 0.0) for name in ("loc", "low")]
    return max(np.abs(np.asarray(end, "float64")).max() for end in ends)


@scalar
def test_against_scipy(case, dtype):
    """Density into the tails, cdf, quantiles, entropy, moments; in float32 also the samples."""
    q, reference, eps = case.build(dtype), case.reference, case.rounding(dtype)
    # As far into the tails as the quantile function of the reference reaches.
    tail = np.logspace(-30 if dtype == "float64" else -20, -1, 40)
    p = np.concatenate([tail, [0.3, 0.5, 0.7], 1 - np.logspace(-1, -14, 20)])
    x = np.asarray(reference.ppf(p) if q.has_rsample else [0.0, 1.0], dtype)
    if q.has_rsample:
        # What rounding moves out of the support has no density to compare.
        slack = 4 * eps * (np.abs(x) + _location(case))
        with np.errstate(all="ignore"):
            around = [reference.logpdf(x.astype("float64") + d) for d in (0, -slack, slack)]
        normal = np.abs(x) >= np.finfo(dtype).tiny  # what is smaller may be flushed to 0
        x = x[(normal | (x == 0)) & np.isfinite(x) & np.all(np.isfinite(around), axis=0)]
        assert x.size > 20
    u = np.concatenate([tail, np.linspace(0.1, 0.999, 101), 1 - np.logspace(-3, -6, 7)])
    draws = 100_000 if dtype == "float32" else 1
    program = programs.references(case, draws)
    out = program(programs.parameters_of(case, dtype), x, u.astype(dtype), jax.random.key(9))
    out = jax.tree.map(lambda v: np.asarray(v, "float64"), out)

    wide = x.astype("float64")
    exact = reference.logpdf(wide) if q.has_rsample else reference.logpmf(wide)
    relative = max(1e-6 if dtype == "float32" else 1e-12, case.reference_error, case.accuracy)
    # A density at x rounded to dtype: its condition number is |x dlog q/dx|.
    size = np.abs(wide) + _location(case)
    rounding = 4 * case.condition * eps * size
    slope = np.abs(out["slope"]) if q.has_rsample else 0.0
    _within(out["log_prob"], exact, relative * (1 + np.abs(exact)) + rounding * slope)

    for name, true in [
        ("mean", reference.mean()),
        ("variance", reference.var()),
        ("stddev", reference.std()),
    ]:
        if out["summaries"][name] is not None:
            np.testing.assert_allclose(
                out["summaries"][name], true, rtol=2e-5, atol=2e-6, err_msg=name
            )
    if out["entropy"] is not None:
        np.testing.assert_allclose(out["entropy"], reference.entropy(), rtol=2e-5, atol=2e-6)
    if not q.has_rsample:
        return
    # Where the density is infinite at its mode, an end of the support, that end is left out of it.
    if out["summaries"]["mode"] is not None and np.isfinite(out["log_prob_of_mode"]):
        assert np.all(out["log_prob"] <= out["log_prob_of_mode"] * (1 + 4 * eps) + 64 * eps)

    density = np.exp(exact)
    if out["cdf"] is not None:
        probability = reference.cdf(wide)
        bound = relative * probability + (64 * eps * probability + rounding * density)
        _within(out["cdf"], probability, 4 * bound + np.finfo(dtype).tiny)
    if out["icdf"] is not None:
        assert np.all(np.isnan(out["refused"]))
        v = u.astype(dtype).astype("float64")
        bound = 64 * eps * v
        if out["cdf_of_icdf"] is not None:
            # Where the quantile rounds to an end at which the density is 0 or infinite, u is lost.
            kept = np.isfinite(out["log_prob_of_icdf"])
            assert kept.mean() > 0.5
            size = np.abs(out["icdf"]) + _location(case)
            at = np.exp(np.where(kept, out["log_prob_of_icdf"], 0.0))
            bound = bound + 8 * case.condition * eps * size * at
            _within(out["cdf_of_icdf"][kept], v[kept], (bound + np.finfo(dtype).tiny)[kept])

    if draws > 1:
        z = out["samples"]
        assert scipy.stats.kstest(z, reference.cdf).pvalue > 1e-3
        if case.moments and np.isfinite(reference.mean()):
            error = np.std(z) / np.sqrt(z.size)
            assert abs(z.mean() - reference.mean()) < 5 * error


@continuous
def test_expectations(case, x64):
    """Pathwise gradients of mean and variance, and the means that every source of noise gives."""
    q, n, few = case.build("float64"), 20_000, 256
    sources = (noise.iid, noise.antithetic, noise.stratified, noise.sobol)
    eps = programs.noise_for(q, noise.iid, n)
    by_source = [programs.noise_for(q, source, few) for source in sources]
    derivatives, (mean, variance), means = programs.expectations(case)(
        programs.parameters_of(case, "float64"), eps, np.stack(by_source)
    )
    assert np.all(np.isfinite(means))
    for exact, moments in derivatives:
        for true, moment in list(zip(exact, moments, strict=True))[: case.moments]:
            if true is not None and moment is not None:
                average, deviation = (np.asarray(m) for m in moment)
                _within(average, true, 5 * deviation / np.sqrt(n) + 1e-12)
    if mean is not None and variance is not None and case.moments:
        _within(means, np.asarray(mean)[None], 5 * np.sqrt(np.asarray(variance)[None] / few))


def _one_a_family():
    """The first case of each family; those that compile in a moment run in the fast suite."""
    quick = {
        "normal",
        "mvn_tril",
        "independent_normal",
        "mixture",
        "gumbel",
        "truncated_exponential",
    }
    for case in {case.family: case for case in reversed(CONTINUOUS)}.values():
        marks = [] if case.name in quick else [pytest.mark.slow]
        yield pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", list(_one_a_family()))
def test_sharded_parameters_stay_sharded(case):
    """One distribution a device: samples and densities stay with them, and compile once."""
    devices = np.asarray(jax.devices())
    assert devices.size == 8
    mesh = jax.sharding.Mesh(devices, ("data",))
    over_devices = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    q, traces = case.build(), []

    def put(q, scale):
        stacked = jax.tree.map(lambda x: scale * jnp.stack([x] * 8), q)
        return jax.device_put(stacked, over_devices)

    @programs.compiled
    @jax.vmap
    def draw(q, eps):
        traces.append(None)
        z = q.transform(eps)
        return z, q.log_prob(z) if case.density else z

    eps = jax.device_put(q.noise(jax.random.key(0), (8, 5)), over_devices)
    for value in draw(put(q, 1), eps):
        assert value.shape[:2] == (8, 5)
        assert value.sharding.is_equivalent_to(over_devices, value.ndim)
        assert np.all(np.isfinite(value))
    z, _ = draw(put(q, 1), eps)
    np.testing.assert_array_equal(z, draw(put(jax.tree.map(lambda x: x * 1, q), 1), eps)[0])
    assert len(traces) == 1


def test_checkpoints(tmp_path):
    """Every distribution of the registry, in one checkpoint."""
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


@every
def test_shapes_of_summaries(case):
    q = case.build()
    names = ("mean", "variance", "stddev", "mode")

    def summaries(q, x):
        found = {k: programs.if_any(lambda k=k: getattr(q, k)) for k in names}
        return found, programs.if_any(q.entropy), programs.if_any(lambda: q.cdf(x))

    shape = (3, *q.batch_shape, *q.event_shape)
    found, entropy, cdf = jax.eval_shape(summaries, q, jax.ShapeDtypeStruct(shape, "float32"))
    assert {x.shape for x in found.values() if x is not None} <= {q.batch_shape + q.event_shape}
    assert entropy is None or entropy.shape == q.batch_shape
    assert cdf is None or cdf.shape == shape


@every
def test_one_cache_entry(case):
    """What `jit` knows a distribution by is the same for all values of its parameters."""
    q = case.build()
    other = jax.tree.map(lambda x: x + 0 * x, q)  # as an optimizer makes it
    for twin in (case.build(), other, pickle.loads(pickle.dumps(q))):
        a, b = jax.tree.structure(q), jax.tree.structure(twin)
        assert a == b
        assert hash(a) == hash(b)
        for x, y in zip(jax.tree.leaves(q), jax.tree.leaves(twin), strict=True):
            assert jax.typeof(x) == jax.typeof(y)
            assert not x.weak_type


def test_second_call_compiles_nothing(caplog):
    """Outside jit too: a second distribution of the same shapes and another key."""

    def use(seed):
        q = rp.Gamma(np.full(3, 1.5 + seed, "f"), np.ones(3, "f"))
        z, log_q = q.rsample_and_log_prob(jax.random.key(seed), (4,))
        slope = jax.grad(lambda q: jnp.sum(q.rsample(jax.random.key(seed), (4,))))(q)
        return z, log_q, q.cdf(z), q.entropy(), slope

    with jax.log_compiles():
        use(0)
        first = [r for r in caplog.records if "ompil" in r.getMessage()]
        caplog.clear()
        use(1)
    assert first
    assert [r.getMessage() for r in caplog.records if "ompil" in r.getMessage()] == []


@discrete
def test_discrete_has_no_rsample(case):
    q, key = case.build(), jax.random.key(0)
    for call in (q.rsample, q.noise, q.rsample_and_log_prob):
        with pytest.raises(ValueError, match="relaxed distribution"):
            call(key)
    with pytest.raises(ValueError, match="score-function"):
        q.transform(0.0)
    with pytest.raises(TypeError, match="source"):
        q.sample(key, source=noise.iid)


@discrete
def test_discrete_probabilities(case, dtype):
    q, n = case.build(dtype), 40_000
    if isinstance(q, rp.Independent):
        q = q.base
    try:
        support, inside = q.enumerate_support(), 1e-5
    except AttributeError:
        # Without end: the values below 64 have nearly all the probability at these settings.
        support = jnp.arange(64, dtype=dtype).reshape((-1,) + (1,) * len(q.batch_shape))
        inside = 1e-4

    @programs.compiled
    def program(q, key):
        draws = q.sample(key, (n,))
        same = jnp.stack([draws == value[None] for value in support])
        hits = jnp.all(same, axis=-1) if q.event_shape else same
        frequencies = jnp.mean(hits.astype(dtype), axis=1)
        return q.log_prob(support), q.log_prob(support + 0.25), frequencies, jnp.mean(draws, axis=0)

    log_prob, outside, frequencies, average = program(q, jax.random.key(12))
    p = np.exp(np.asarray(log_prob, "float64"))
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=inside)
    assert np.all(np.asarray(outside) == -np.inf)
    # Two hits more: where less than one is expected the counts are not nearly normal.
    _within(frequencies, p, 5 * np.sqrt(p * (1 - p) / n) + np.where(p > 0, 2 / n, 0))
    if type(q)._mean is not rp.Distribution._mean:
        _within(average, q.mean, 5 * np.asarray(q.stddev) / np.sqrt(n) + 1e-6)
