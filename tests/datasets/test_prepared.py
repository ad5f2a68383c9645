"""Datasets prepared by TFDS, on small records: what is read, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from repara.datasets import load
from tests.datasets.files import (
    LABEL,
    assert_is,
    assert_is_four,
    bytes_of,
    fails,
    four_arrays,
    image_feature,
    small_records,
    write_idx,
    write_prepared,
    write_small,
)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_prepared_dataset_is_decoded_once(channels, tmp_path, decodings):
    folder, arrays = write_small(tmp_path, channels)
    for _ in range(3):
        assert_is(load("small", tmp_path, cache_dir=tmp_path / "cache"), "small", *arrays)
    assert decodings == [folder]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]


def test_more_images_than_are_read_at_a_time(tmp_path):
    _, arrays = write_small(tmp_path, channels=1, num_train=1001, num_test=1000)
    assert_is(load("small", tmp_path), "small", *arrays)


def test_the_folder_of_the_dataset_or_of_the_version_will_do(tmp_path, decodings):
    folder, arrays = write_small(tmp_path)
    for data_dir in (folder, folder.parent, folder.parent.parent):
        assert_is(load("small", data_dir), "small", *arrays)
    # It is one source however it was named.
    assert decodings == [folder]


def test_the_newest_version_is_taken(tmp_path):
    write_small(tmp_path, version="9.0.0", num_train=3)
    folder, arrays = write_small(tmp_path, version="10.0.0", num_train=4)
    (folder.parent / "11.0.0").mkdir()  # nothing in it
    (folder.parent / "incomplete.ABC_12.0.0").mkdir()
    assert_is(load("small", tmp_path), "small", *arrays)


def test_a_configuration_is_part_of_the_name(tmp_path):
    folder, arrays = write_small(tmp_path, name="small/tiny")
    assert_is(load("small/tiny", tmp_path), "small/tiny", *arrays)
    fails("small", tmp_path, "no dataset 'small'", "prepared there: small/tiny")
    fails("small", folder, folder, "'small/tiny'", "expected 'small'")


def test_prepared_emnist_is_turned_upright(tmp_path):
    _, (a, b, c, d) = write_small(tmp_path, channels=1, name="emnist/balanced")
    expected = (a.swapaxes(1, 2), b, c.swapaxes(1, 2), d)
    for _ in range(2):  # decoded, then cached
        assert_is(load("emnist", tmp_path), "emnist/balanced", *expected)


def test_known_names_are_found_prepared_and_idx_files_go_first(tmp_path, small_sets):
    _, arrays = write_small(tmp_path, channels=1, name="mnist", version="3.0.1")
    assert_is(load("mnist", tmp_path), "mnist", *arrays)
    write_idx(tmp_path, four_arrays())
    assert_is_four(load("mnist", tmp_path), "mnist", four_arrays())


def test_another_dataset_than_asked_for_is_refused(tmp_path):
    folder, _ = write_small(tmp_path)
    fails("other", folder, folder, "'small'", "expected 'other'")
    fails("other", tmp_path, tmp_path, "'other'", "prepared there: small")


def test_features_of_other_names_are_found_by_their_type(tmp_path):
    images = bytes_of(4, 3, 3, 1)
    records = [{"scan": image, "digit": i, "id": 7} for i, image in enumerate(images)]
    scalar = {
        "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
    }
    write_prepared(
        tmp_path / "small/1.0.0",
        {"train": records[:3], "test": records[3:]},
        {"scan": image_feature(3, 3, 1), "digit": LABEL, "id": scalar},
    )
    expected = (images[:3], np.arange(3), images[3:], np.array([3]))
    assert_is(load("small", tmp_path), "small", *expected)


def test_without_labels_there_are_none(tmp_path):
    images = bytes_of(3, 3, 3, 3)
    records = [{"image": image} for image in images]
    splits = {"train": records[:2], "test": records[2:]}
    write_prepared(tmp_path / "small/1.0.0", splits, {"image": image_feature(3, 3, 3)})
    for _ in range(2):  # decoded, then cached
        assert_is(load("small", tmp_path), "small", images[:2], None, images[2:], None)


def check_prepared(tmp_path, splits, features, *parts, **changes):
    folder = tmp_path / "small/1.0.0"
    write_prepared(folder, splits, features, **changes)
    message = fails("small", tmp_path, folder, *parts)
    assert not (tmp_path / "xdg").exists()  # nothing was cached
    return message


def test_a_dataset_without_an_image(tmp_path):
    splits = {"train": [{"label": 1}], "test": [{"label": 1}]}
    check_prepared(tmp_path, splits, {"label": LABEL}, "the features label", "expected 'image'")


def test_a_dataset_with_two_images_of_unusual_names(tmp_path):
    record = {"left": bytes_of(3, 3, 1), "right": bytes_of(3, 3, 1)}
    features = {"left": image_feature(3, 3, 1), "right": image_feature(3, 3, 1)}
    splits = {"train": [record], "test": [record]}
    check_prepared(tmp_path, splits, features, "features left, right", "expected 'image'")


def test_a_dataset_of_16_bit_images(tmp_path):
    features = {"image": image_feature(4, 6, 1, dtype="uint16"), "label": LABEL}
    check_prepared(tmp_path, small_records(1), features, "of type uint16", "expected uint8")


@pytest.mark.parametrize("present", [("train",), ("test",), ("train", "validation")])
def test_a_dataset_without_its_splits(present, tmp_path):
    splits = {split: small_records()["test"] for split in present}
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    part = f"the splits {', '.join(present)}: expected train and test"
    check_prepared(tmp_path, splits, features, part)


def test_an_empty_split(tmp_path):
    splits = {**small_records(), "test": []}
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    check_prepared(tmp_path, splits, features, "'test'", "is empty: expected images")


def test_images_of_different_shapes(tmp_path):
    shape = image_feature(None, None, 3)
    splits = small_records()
    splits["train"][3]["image"] = bytes_of(5, 6, 3)
    part = "image 3 of split 'train'"
    check_prepared(
        tmp_path, splits, {"image": shape, "label": LABEL}, part, "(5, 6, 3)", "(4, 6, 3)"
    )


def test_training_and_test_images_of_different_shapes(tmp_path):
    splits = small_records()
    for record in splits["test"]:
        record["image"] = bytes_of(6, 4, 3)
    features = {"image": image_feature(None, None, 3), "label": LABEL}
    check_prepared(tmp_path, splits, features, "(4, 6, 3)", "(6, 4, 3)", "one shape")


def test_a_dataset_in_another_format(tmp_path):
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    check_prepared(
        tmp_path, small_records(), features, "as tfrecord", "expected array_record",
        file_format="tfrecord",
    )  # fmt: skip


def test_damaged_descriptions(tmp_path):
    folder, _ = write_small(tmp_path)
    (folder / "features.json").write_text("{")
    fails("small", tmp_path, folder, "cannot be read by tensorflow_datasets")
    for text in ("{", "[]", "{}", "null", '{"name": 3}'):
        (folder / "dataset_info.json").write_text(text)
        fails("small", tmp_path, folder / "dataset_info.json", "damaged")


def test_damaged_records(tmp_path):
    folder, _ = write_small(tmp_path)
    path = folder / "small-test.array_record-00000-of-00001"
    whole = path.read_bytes()
    start = whole.index(b"\x89PNG")
    for content in (b"", whole[:100], whole[:start] + bytes(99) + whole[start + 99 :]):
        path.write_bytes(content)
        fails("small", tmp_path, "'test'", folder, "cannot be read")
    path.unlink()
    fails("small", tmp_path, "'test'", folder, "cannot be read")


WITHOUT_TENSORFLOW = """
import sys

class Finder:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        hidden = name.partition(".")[0] == "tensorflow"
        return None if hidden else self.finder.find_spec(name, *rest)

sys.meta_path[:] = [Finder(finder) for finder in sys.meta_path]
from repara import datasets
print(datasets.load("small", sys.argv[1]).train_images.shape, "tensorflow" in sys.modules)
"""


def test_tensorflow_is_not_needed(tmp_path):
    write_small(tmp_path)
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(5, 4, 6, 3) False"
