"""Writers of dataset files for tests, and assertions about the datasets read."""

import gzip
import io
import json

import numpy as np
import pytest

from repara.datasets import Dataset, DatasetError, idx, load

STEMS = idx.STEMS


def bytes_of(*shape):
    """Bytes in which all rows and all images are different."""
    return (np.arange(np.prod(shape)) * 7 % 251).astype(np.uint8).reshape(shape)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def four_arrays(num_train=6, num_test=4, shape=(28, 28)):
    """Training images and labels, test images and labels."""
    return [
        bytes_of(num_train, *shape),
        np.arange(num_train, dtype=np.uint8),
        bytes_of(num_test, *shape)[::-1].copy(),
        np.arange(num_test, dtype=np.uint8)[::-1].copy(),
    ]


def other_arrays():
    """Arrays of the same shapes as `four_arrays()`, with other contents."""
    return [255 - array if array.ndim == 3 else (array + 1) % 10 for array in four_arrays()]


def write_idx(folder, arrays, stems=STEMS, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(stems, arrays, strict=True):
        if compress:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / stem).write_bytes(idx_bytes(array))


def assert_is(dataset, name, train_images, train_labels, test_images, test_labels):
    """Asserts that the dataset has exactly these arrays, of the promised types."""
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    for found, expected in (
        (dataset.train_images, train_images),
        (dataset.test_images, test_images),
    ):
        assert found.dtype == np.uint8
        assert found.flags.writeable
        np.testing.assert_array_equal(found, expected, strict=True)
    for found, expected in (
        (dataset.train_labels, train_labels),
        (dataset.test_labels, test_labels),
    ):
        if expected is None:
            assert found is None
        else:
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, expected)


def assert_is_four(dataset, name, arrays):
    a, b, c, d = arrays
    assert_is(dataset, name, a[..., np.newaxis], b, c[..., np.newaxis], d)


def fails(name, data_dir, *parts):
    """Asserts that `load` raises a DatasetError of one line with all `parts`; returns the line."""
    with pytest.raises(DatasetError) as info:
        load(name, data_dir)
    message = str(info.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message


# Datasets prepared by TFDS.


def png(image):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "png")
    return buffer.getvalue()


def image_feature(*shape, dtype="uint8"):
    return {
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        "image": {
            "dtype": dtype,
            "shape": {"dimensions": [str(-1 if size is None else size) for size in shape]},
            "encodingFormat": "png",
        },
    }


LABEL = {
    "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
    "classLabel": {"numClasses": "10"},
}


def write_prepared(
    folder,
    splits,
    features,
    name="small",
    config=None,
    file_format="array_record",
):
    """Writes a dataset as TFDS does, from {split: list of {feature: image or label}}."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2 as proto

    folder.mkdir(parents=True)
    for split, records in splits.items():
        path = folder / f"{name}-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for record in records:
            example = proto.Example()
            for key, value in record.items():
                if isinstance(value, int):
                    example.features.feature[key].int64_list.value.append(value)
                else:
                    example.features.feature[key].bytes_list.value.append(png(value))
            writer.write(example.SerializeToString())
        writer.close()
    info = {
        "name": name,
        "version": folder.name,
        "fileFormat": file_format,
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(len(records))],
                "numBytes": "1",
            }
            for split, records in splits.items()
        ],
    }
    if config:
        info["configName"] = config
    (folder / "dataset_info.json").write_text(json.dumps(info))
    top = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    description = {"pythonClassName": top, "featuresDict": {"features": features}}
    (folder / "features.json").write_text(json.dumps(description))


def small_records(channels=3, num_train=5, num_test=2):
    images = bytes_of(num_train + num_test, 4, 6, channels)
    records = [{"image": image, "label": i % 10} for i, image in enumerate(images)]
    return {"train": records[:num_train], "test": records[num_train:]}


def write_small(root, channels=3, version="1.0.0", name="small", **changes):
    """A whole small dataset in TFDS's layout; returns its folder and what it holds."""
    splits = small_records(channels, **changes)
    folder = root / name / version
    features = {"image": image_feature(4, 6, channels), "label": LABEL}
    config = name.split("/")[1] if "/" in name else None
    write_prepared(folder, splits, features, name.split("/")[0], config)
    arrays = []
    for split in ("train", "test"):
        arrays.append(np.stack([record["image"] for record in splits[split]]))
        arrays.append(np.array([record["label"] for record in splits[split]]))
    return folder, arrays
