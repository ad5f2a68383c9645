"""Image datasets as uint8 arrays with their split into training and test data.

One function, `load`, reads four kinds of sources and checks what it reads:

- files inside scikit-learn (`digits`), which need no network;
- IDX files, the format of MNIST: from a directory, or downloaded by tensorflow_datasets with its
  URLs and checksums. They are parsed here, so TensorFlow is not needed;
- datasets that tensorflow_datasets has prepared as array_record, decoded once and cached;
- an `.npz` file (`frey_faces`).

Expensive imports are inside the functions that need them. This is the only folder that imports
tensorflow_datasets.
"""

from repara.datasets.dataset import Dataset, DatasetError
from repara.datasets.loading import NAMES, load

__all__ = ["NAMES", "Dataset", "DatasetError", "load"]
