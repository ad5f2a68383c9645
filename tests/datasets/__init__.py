import pytest

# Helpers that assert: with the values compared in the message, as in a test.
pytest.register_assert_rewrite("tests.datasets.files")
