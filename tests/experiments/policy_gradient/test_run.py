"""Runs of policy_gradient: the result, the files, continuing, and mistakes."""

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
from experiments.harness.checkpoints import Checkpoints
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.policy_gradient import actor_critic
from experiments.policy_gradient.__main__ import main
from experiments.policy_gradient.config import resolve
from experiments.policy_gradient.environments.lqr import lqr, optimal_return
from tests.experiments.runs import timeless_metrics

SMALL = policy_gradient.Config(
    environment="lqr", steps=80, num_seeds=2, hidden_sizes=(8,), batch_size=8, learning_starts=10,
    replay_size=30, lookahead=2, evaluate_every=20, checkpoint_every=1, num_eval_episodes=4,
)  # fmt: skip


def run_small(workdir, **changes):
    return policy_gradient.run(dataclasses.replace(SMALL, workdir=str(workdir), **changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory and the result of one whole run, which several tests read."""
    path = tmp_path_factory.mktemp("runs") / "run"
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return path, run_small(path)


def test_the_result_has_a_return_per_seed_and_is_stored(trained):
    path, result = trained
    stored = json.loads((path / "result.json").read_text())
    assert {**stored, "workdir": str(path)} == result
    assert len(result["return"]) == len(result["return_stderr"]) == 2
    assert "gymnasium_return" not in result  # Gymnasium does not have this problem
    assert result["optimal_return"] == optimal_return() < 0


def test_a_run_writes_metrics_a_figure_and_events(trained):
    path, _ = trained
    metrics = RunDirectory(path).read_metrics()
    assert [m["step"] for m in metrics] == [20, 40, 60, 80]
    names = {"train_reward", "train_critic_loss", "train_entropy", "return", "returns", "seconds"}
    assert names <= metrics[0].keys()
    assert (path / "plots" / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    assert list(path.glob("events.out.*"))


def test_the_same_command_again_returns_the_result(trained):
    path, result = trained
    assert run_small(path) == result


@pytest.mark.slow
def test_a_longer_run_continues_the_shorter_one_bit_for_bit(trained, tmp_path):
    path, whole = trained
    short = run_small(tmp_path / "parts", steps=40)
    assert short["steps"] == 40
    parts = run_small(tmp_path / "parts")
    assert timeless_metrics(tmp_path / "parts") == timeless_metrics(path)
    assert parts["return"] == whole["return"]


@pytest.fixture(scope="module")
def replay(trained):
    """The replay of the first seed after 80 steps, oldest row first: steps 50 to 79."""
    environment, algorithm = resolve(SMALL)
    init = jax.vmap(lambda k: actor_critic.init(algorithm, environment, k))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        shapes = jax.eval_shape(init, jax.random.split(jax.random.key(9), 2))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        epoch, state = Checkpoints(trained[0] / "checkpoints").restore(zeros, print)
    assert epoch == 4
    return np.roll(np.asarray(state.replay[0]), -80 % 30, axis=0)


def test_a_full_replay_has_the_newest_steps_in_order(replay):
    # An episode has 50 steps: these rows are all of the second one.
    states, after = replay[:, :2], replay[:, -2:]
    np.testing.assert_array_equal(after[:-1], states[1:])


def test_replay_rows_follow_the_environment(replay):
    states, actions, rewards, after = np.split(replay, (2, 3, 4), axis=1)
    expected_after, expected_rewards = jax.vmap(lqr().step)(states, actions)
    np.testing.assert_allclose(after, expected_after, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rewards[:, 0], expected_rewards, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["svg", "reinforce"])
def test_every_algorithm_runs(tmp_path, algorithm):
    result = run_small(tmp_path / "run", algorithm=algorithm, steps=20)
    assert np.all(np.isfinite(result["return"]))


@pytest.mark.slow
def test_a_seed_trains_the_same_way_alone_and_together_with_others():
    environment, algorithm = resolve(SMALL)
    keys = jax.random.split(jax.random.key(0), 2)
    epoch = actor_critic.make_epoch(algorithm, environment, 20)
    both = jax.vmap(lambda k: actor_critic.init(algorithm, environment, k))(keys)
    alone = jax.tree.map(lambda x: jnp.copy(x[1:]), both)
    both, _ = epoch(both, jnp.int32(0), keys)
    alone, _ = epoch(alone, jnp.int32(0), keys[1:])
    for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a[1:], b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_return_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(
        policy_gradient.NonFiniteReturnError,
        match=r"not finite at step \d+ \(epoch [12]\); .*checkpoint",
    ):
        run_small(tmp_path / "run", learning_rate=1e30)
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
        run_small(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.1}, "--learning_rate=0.1: the run in .* has --learning_rate=0.0007"),
        ({"steps": 40}, "--steps=40: .* has --steps=80"),
    ],
)
def test_flags_that_contradict_the_run_are_refused(trained, changes, message):
    with pytest.raises(ConfigError, match=message):
        run_small(trained[0], **changes)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--environment=acrobot", "acrobot"),
        ("--batch_size=0", "--batch_size=0: must be an integer from 2"),
    ],
)
def test_the_command_line_reports_mistakes_in_one_line(argument, message):
    with pytest.raises(SystemExit) as exit_info:
        main([argument])
    assert exit_info.value.code.startswith("policy_gradient: ")
    assert message in exit_info.value.code
    assert "\n" not in exit_info.value.code


@pytest.mark.slow
def test_a_killed_run_ends_like_an_uninterrupted_one(tmp_path, request):
    """The kill comes between checkpoints, one epoch after the last of them."""
    root = request.config.rootpath
    # More and longer epochs, so that there is time to kill.
    flags = {**dataclasses.asdict(SMALL), "steps": 12_000, "evaluate_every": 1000}
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
