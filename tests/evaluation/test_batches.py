import jax
import jax.numpy as jnp
import numpy as np

from repara import evaluation


def test_over_batches_covers_the_data_once():
    data = np.arange(10, dtype=np.float32)
    shapes, done = [], []

    def function(key, batch):
        shapes.append(batch.shape)
        return batch, jnp.full(batch.shape, jax.random.uniform(key))

    values, noise = evaluation.over_batches(
        function, jax.random.key(0), data, 4, progress=done.append
    )
    np.testing.assert_array_equal(values, data)
    assert shapes == [(4,)] * 3
    assert done == [4, 8, 10]
    assert len(np.unique(noise)) == 3


def test_mean_and_stderr():
    mean, error = evaluation.mean_and_stderr(np.array([1.0, 3.0]))
    assert mean == 2.0
    np.testing.assert_allclose(error, 1.0)
