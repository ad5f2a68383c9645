"""Policy gradients of the linear-quadratic regulator, compared with the exact gradient."""

import jax
import numpy as np
import pytest

from experiments import lqr_gradients
from experiments.lqr_gradients.measurement import ESTIMATORS, measure


def assert_unbiased(row):
    relative = np.asarray(row["stderr"]) / np.abs(row["exact"])
    # The sample could detect an error of a tenth of pathwise gradients, and the sign of the others.
    assert np.all(5 * relative < (0.1 if row["estimator"] == "pathwise" else 1.0)), row
    assert np.all(np.abs(row["standard_errors"]) < 5), row


def test_pathwise_gradients_agree_with_the_closed_form():
    pathwise = {"pathwise": ESTIMATORS["pathwise"]}
    (row,) = measure(pathwise, jax.random.key(0), num_samples=16, repeats=2048)
    assert_unbiased(row)


@pytest.mark.slow
def test_all_estimators_are_unbiased_and_differ_in_variance(tmp_path):
    rows = lqr_gradients.run(lqr_gradients.Config(repeats=4096, output=str(tmp_path)))
    for row in rows:
        assert_unbiased(row)
    pathwise, score, _, leave_one_out = (row["variance"] for row in rows)
    assert pathwise < leave_one_out / 5 < score / 25
    assert (tmp_path / "lqr_gradients.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "lqr_gradients.json").exists()
