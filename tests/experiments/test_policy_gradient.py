"""The policy-gradient experiment: what it learns, what it writes, and that a kill loses nothing."""

import dataclasses
import json
import re
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import policy_gradient
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.policy_gradient import actor_critic, surrogates
from experiments.policy_gradient.environments import gymnasium_adapter
from experiments.policy_gradient.environments.environment import episode_returns, squashed
from experiments.policy_gradient.environments.lqr import lqr
from experiments.policy_gradient.environments.pendulum import pendulum
from experiments.policy_gradient.networks import Policy, TwinCritic, squash_log_det
from experiments.policy_gradient.trajectories import Trajectories, discounted_return
from tests.experiments.runs import timeless_metrics

_SMALL = policy_gradient.Config(
    environment="lqr", steps=80, num_seeds=2, hidden_sizes=(8,), batch_size=8, learning_starts=10,
    replay_size=30, lookahead=2, evaluate_every=20, checkpoint_every=1, num_eval_episodes=4,
)  # fmt: skip


def _run(tmp_path, name="run", **changes):
    config = dataclasses.replace(_SMALL, workdir=str(tmp_path / name), **changes)
    return policy_gradient.run(config)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One whole run, which several tests read."""
    path = tmp_path_factory.mktemp("runs")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return path, _run(path)


def test_result_and_files(trained):
    path, result = trained
    run = path / "run"
    stored = json.loads((run / "result.json").read_text())
    assert {**stored, "workdir": str(run)} == result
    assert len(result["return"]) == len(result["return_stderr"]) == 2
    assert "gymnasium_return" not in result  # Gymnasium has no such problem
    assert result["optimal_return"] < 0
    metrics = RunDirectory(run).read_metrics()
    assert [m["step"] for m in metrics] == [20, 40, 60, 80]
    names = {"train_reward", "train_critic_loss", "train_entropy", "return", "returns", "seconds"}
    assert names <= metrics[0].keys()
    assert (run / "plots" / "learning_curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(run.glob("events.out.*"))


def test_the_same_command_again_returns_the_result(trained):
    path, result = trained
    assert _run(path) == result


@pytest.mark.slow
def test_a_longer_run_continues_the_shorter_one_bit_for_bit(trained, tmp_path):
    path, whole = trained
    short = _run(tmp_path, "parts", steps=40)
    assert short["steps"] == 40
    parts = _run(tmp_path, "parts")
    assert timeless_metrics(tmp_path / "parts") == timeless_metrics(path / "run")
    assert parts["return"] == whole["return"]


def test_a_replay_that_is_full_forgets_the_oldest(trained):
    # 80 steps in 30 rows: what is left is steps 50 to 79, and each follows the one before it.
    path, _ = trained
    state = _last_state(path / "run", 4)
    rows = np.roll(np.asarray(state.replay[0]), -80 % 30, axis=0)
    states, after = rows[:, :2], rows[:, -2:]
    # An episode has 50 steps: one began with step 50, the first of these rows, and none after it.
    np.testing.assert_array_equal(after[:-1], states[1:])
    step = jax.jit(lqr().step)
    for row in rows[:5]:
        expected, reward = step(jnp.asarray(row[:2]), jnp.asarray(row[2:3]))
        np.testing.assert_allclose(row[4:], expected, rtol=1e-6)
        np.testing.assert_allclose(row[3], reward, rtol=1e-6)


def _last_state(run, epoch):
    from experiments.harness.checkpoints import Checkpoints

    keys = jax.random.split(jax.random.key(9), 2)
    init = jax.vmap(lambda k: actor_critic.init(_SMALL, lqr(), k))
    like = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(init, keys))
    restored = Checkpoints(run / "checkpoints").restore(like, print)
    assert restored[0] == epoch
    return restored[1]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["svg", "reinforce"])
def test_every_algorithm_runs(tmp_path, algorithm):
    result = _run(tmp_path, algorithm=algorithm, steps=20)
    assert np.all(np.isfinite(result["return"]))


@pytest.mark.slow
def test_a_step_is_the_same_for_one_seed_and_for_several():
    config, environment = dataclasses.replace(_SMALL, num_seeds=1), lqr()
    keys = jax.random.split(jax.random.key(0), 2)
    epoch = policy_gradient.make_epoch(config, environment)
    both = jax.vmap(lambda k: actor_critic.init(config, environment, k))(keys)
    one = jax.tree.map(lambda x: jnp.copy(x[1:]), both)
    both, _ = epoch(both, jnp.int32(0), keys)
    one, _ = epoch(one, jnp.int32(0), keys[1:])
    for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[1:], b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_pathwise_and_score_gradients_of_a_lookahead_agree(x64):
    """The surrogates of svg and reinforce estimate the same gradient."""
    environment, policy = lqr(), Policy((4,), 1)
    config = dataclasses.replace(_SMALL, hidden_sizes=(4,), lookahead=2, discount=0.9)
    params = policy.init(jax.random.key(0), jnp.zeros(2))
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)
    # Every row is the same state: the mean over the batch is a mean over noise.
    states = jnp.broadcast_to(jnp.asarray([0.8, -0.5]), (4000, 2))

    def value(states, actions):
        return -jnp.sum(states**2, axis=-1) - jnp.sum((actions - 0.3) ** 2, axis=-1)

    def gradient(algorithm, **changes):
        changed = dataclasses.replace(config, algorithm=algorithm, **changes)
        surrogate = surrogates.make_surrogate(changed, environment, policy)

        @jax.jit
        def parts(params, keys):
            def one(key):
                grad = jax.grad(lambda p: jnp.mean(surrogate(p, states, value, 0.2, key)))
                leaves = jax.tree.leaves(grad(params))
                return jnp.concatenate([x.ravel() for x in leaves])

            return jax.lax.map(one, keys)

        each = parts(params, jax.random.split(jax.random.key(1), 50))
        return np.mean(each, axis=0), np.std(each, axis=0, ddof=1) / 50**0.5

    exact, exact_error = gradient("svg")
    assert np.linalg.norm(5 * exact_error) < 0.05 * np.linalg.norm(exact)
    for baseline in ("value", "leave_one_out"):
        mean, error = gradient("reinforce", baseline=baseline)
        assert np.linalg.norm(5 * error) < 0.5 * np.linalg.norm(exact)
        assert np.all(np.abs(mean - exact) <= 5 * np.hypot(error, exact_error) + 1e-12)


def test_the_log_density_of_an_action_is_that_of_the_tanh_normal(x64):
    import repara as rp

    x = jnp.asarray([0.3, -1.2])
    q = rp.Normal(jnp.asarray([0.1, 0.2]), jnp.asarray([0.5, 2.0]))
    whole = rp.Independent(rp.Transformed(q, rp.bijectors.Tanh()), 1)
    parts = rp.Independent(q, 1).log_prob(x) - squash_log_det(x)
    np.testing.assert_allclose(parts, whole.log_prob(jnp.tanh(x)), rtol=1e-12)


def test_trajectories_follow_the_environment_and_have_the_density_of_their_actions(x64):
    environment, policy = squashed(pendulum()), Policy((4,), 1)
    params = policy.init(jax.random.key(0), jnp.zeros(3))
    q = Trajectories(
        environment, lambda o: policy.apply(params, o),
        lambda key, n: jax.vmap(environment.reset)(jax.random.split(key, n)), 6,
    )  # fmt: skip
    z = q.rsample(jax.random.key(1), (3,))
    assert z.shape == (3, 6, 3)
    np.testing.assert_array_equal(q.sample(jax.random.key(1), (3,)), z)
    log_prob, total = np.zeros(3), np.zeros(3)
    for s in range(3):
        for t in range(6):
            state, x = z[s, t, :2], z[s, t, 2:]
            after, reward = environment.step(state, x)
            log_prob[s] += policy.apply(params, environment.observe(state)).log_prob(x)
            total[s] += 0.9**t * reward
            if t < 5:
                np.testing.assert_allclose(z[s, t + 1, :2], after, rtol=1e-6)
        total[s] += 0.9**6 * after[0]
    np.testing.assert_allclose(q.log_prob(z), log_prob, rtol=1e-5)
    function = discounted_return(environment, 0.9, lambda x: x[0])
    np.testing.assert_allclose(jax.vmap(function)(z), total, rtol=1e-5)


def test_the_two_critics_differ():
    critic = TwinCritic((4,))
    x, a = jnp.ones((5, 3)), jnp.ones((5, 1))
    values = critic.apply(critic.init(jax.random.key(0), x, a), x, a)
    assert values.shape == (2, 5)
    assert not np.allclose(values[0], values[1])


def test_gymnasium_gives_the_returns_of_the_environment():
    """The same policy from the same first states, here and there."""
    import gymnasium

    environment, count = pendulum(), 3

    def act(gain, observations):
        return jnp.tanh(observations @ gain)[..., None]

    gain = jnp.asarray([0.5, -2.0, -1.0])
    returns = gymnasium_adapter.evaluate(environment, act, gain, count, seed=5)
    raw = gymnasium.make(environment.gymnasium_id)
    for i, expected in enumerate(returns):
        raw.reset(seed=5 + i)
        first = jnp.asarray(raw.unwrapped.state, jnp.float32)
        here = environment._replace(reset=lambda key, first=first: first)
        ours = episode_returns(here, lambda o: act(gain, o), jax.random.key(0), 1)
        # Two hundred steps in float32 against float64.
        np.testing.assert_allclose(ours[0], expected, rtol=1e-3)


@pytest.mark.parametrize(("horizon", "ended"), [(150, 150), (201, 200)])
def test_an_environment_of_another_length_is_refused(horizon, ended):
    other = pendulum()._replace(horizon=horizon)
    with pytest.raises(RuntimeError, match=f"ended an episode after {ended} steps, not {horizon}"):
        gymnasium_adapter.evaluate(other, lambda p, o: p * o[:, :1], jnp.zeros(()), 2, 0)


@pytest.mark.slow
def test_a_return_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(
        policy_gradient.NonFiniteReturnError,
        match=r"not finite at step \d+ \(epoch [12]\); .*checkpoint",
    ):
        _run(tmp_path, learning_rate=1e30)
    assert all(np.isfinite(m["return"]) for m in timeless_metrics(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"environment": "acrobot"}, "--environment=acrobot: must be one of pendulum, cartpole"),
        ({"algorithm": "ppo"}, "--algorithm=ppo: must be one of sac, svg, reinforce"),
        ({"baseline": "mean"}, "--baseline=mean: must be one of value"),
        ({"discount": 1.5}, "--discount=1.5: must be a number from 0 up to 1"),
        ({"steps": 30}, "--steps=30: must be a multiple of --evaluate_every=20"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        _run(tmp_path, **changes)
    assert not (tmp_path / "run").exists()


def test_contradicting_flags_are_refused(trained):
    path, _ = trained
    for change, message in [
        ({"learning_rate": 0.1}, "--learning_rate=0.1: the run in .* has --learning_rate=0.0007"),
        ({"steps": 40}, "--steps=40: .* has --steps=80"),
    ]:
        with pytest.raises(ConfigError, match=message):
            _run(path, **change)


@pytest.mark.slow
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, request):
    """A kill between checkpoints, an epoch after the last of them."""
    root = request.config.rootpath
    # As `_SMALL` in more and longer epochs, so that there is time to kill.
    flags = {**dataclasses.asdict(_SMALL), "steps": 12_000, "evaluate_every": 1000}
    flags |= {"checkpoint_every": 3, "hidden_sizes": 8}
    arguments = [f"--{k}={v}" for k, v in flags.items() if v is not None]
    done = _command(*arguments, f"--workdir={tmp_path / 'whole'}", cwd=root)
    assert done.returncode == 0, done.stderr
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.policy_gradient", *arguments, f"--workdir={killed}"],
        cwd=root, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.time() + 120
    while not killed.exists() or len(RunDirectory(killed).read_metrics()) < 4:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.time() < deadline
        time.sleep(0.0005)
    process.kill()
    process.wait()
    assert not (killed / "result.json").exists()
    done = _command(*arguments, f"--workdir={killed}", cwd=root)
    assert "continuing" in done.stderr
    assert timeless_metrics(killed) == timeless_metrics(tmp_path / "whole")
    results = [json.loads((tmp_path / x / "result.json").read_text()) for x in ("whole", "killed")]
    for result in results:
        result.pop("train_seconds")
    assert results[0] == results[1]


def _command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "experiments.policy_gradient", *arguments],
        capture_output=True, text=True, cwd=cwd, check=False, timeout=300,
    )  # fmt: skip


def test_the_command_line_reports_mistakes_in_one_line(request):
    for arguments, message in [
        (["--environment=acrobot"], "acrobot"),
        (["--batch_size=0"], "--batch_size=0: must be an integer from 2"),
    ]:
        done = _command(*arguments, cwd=request.config.rootpath)
        assert done.returncode == 1, done.stderr
        assert message in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("policy_gradient")
