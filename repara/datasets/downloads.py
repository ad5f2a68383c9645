"""Downloads of IDX files through tensorflow_datasets: its URLs, checksums and download cache."""

import os
import queue
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repara.datasets import idx
from repara.datasets.dataset import ARCHIVE_ERRORS, DatasetError, one_line

__all__ = ["PROBE_SECONDS", "download", "downloaded_files", "url_infos"]

PROBE_SECONDS = 6.0
"""A host that takes longer than this to answer counts as unreachable. Importing tensorflow_datasets
takes another one or two of the ten seconds that a user should wait at most."""

_ALTERNATIVES = (
    "give data_dir with its IDX files or with the dataset prepared by TFDS as array_record, or "
    "use dataset 'digits', which needs no network"
)


def url_infos(name: str) -> dict[str, Any]:
    """Returns the files that tensorflow_datasets has registered for a dataset.

    Args:
      name: a key of `idx.SETS`.

    Returns:
      URL -> size and SHA-256.

    Example:
      >>> url_infos("mnist")  # doctest: +SKIP
      {'https://...': UrlInfo(...), ...}
    """
    import tensorflow_datasets as tfds

    return tfds.builder_cls(name.split("/")[0]).url_infos or {}


def downloaded_files(name: str) -> Iterator[tuple[str, bytes]]:
    """Yields path and content of a dataset's four files; downloads them if they are not cached.

    Args:
      name: a key of `idx.SETS`.

    Returns:
      An iterator over the path, for messages, and the content of each file, gzipped or not.

    Raises:
      DatasetError: there is no network, or the download failed.

    Example:
      >>> [path for path, _ in downloaded_files("mnist")]  # doctest: +SKIP
      ['.../train-images-idx3-ubyte.gz', ...]
    """
    infos = url_infos(name)
    urls = {urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1]: url for url in infos}
    # EMNIST is one archive with the files of all its configurations; the others are four files.
    archived = name.startswith("emnist/")
    needed = ["gzip.zip"] if archived else [f"{stem}.gz" for stem in idx.stems(name)]
    if missing := [file for file in needed if file not in urls]:
        raise DatasetError(
            f"tensorflow_datasets has no URL of {missing[0]} for {name!r}, expected one: "
            f"{_ALTERNATIVES}"
        )
    paths = download(name, {urls[file]: infos[urls[file]] for file in needed})
    if not archived:
        for path in paths:
            yield str(path), path.read_bytes()
        return
    for stem in idx.stems(name):
        member = f"gzip/{stem}.gz"
        try:
            with zipfile.ZipFile(paths[0]) as archive:
                content = archive.read(member)
        except ARCHIVE_ERRORS as error:
            raise DatasetError(
                f"{paths[0]} cannot be read ({one_line(error)}): expected a zip archive with "
                f"{member}, delete it to download it again"
            ) from error
        yield f"{paths[0]}/{member}", content


def download(name: str, infos: dict[str, Any]) -> list[Path]:
    """Downloads files into the download cache of tensorflow_datasets unless they are there.

    Args:
      name: the name of the dataset, for messages.
      infos: URL -> size and SHA-256.

    Returns:
      The path of each file.

    Raises:
      DatasetError: the host does not answer, or the download failed.

    Example:
      >>> download("mnist", url_infos("mnist"))  # doctest: +SKIP
      [PosixPath('...'), ...]
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import resource

    dataset = name.split("/")[0]
    data_dir = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    downloads = data_dir / "downloads"
    cached = {}
    for url, info in infos.items():
        for folder in (downloads / dataset, downloads):  # the current and an older layout
            path = folder / resource.get_dl_fname(url, info.checksum)
            if resource.is_locally_cached(path):
                cached[url] = path
    absent = [url for url in infos if url not in cached]
    if not absent:
        return [cached[url] for url in infos]
    # The download manager tries eleven times with growing pauses, minutes in all, and sets no
    # timeout; there is no option for either. So one short request is made first.
    if reason := _unreachable(absent[0]):
        host = urllib.parse.urlsplit(absent[0]).netloc
        raise DatasetError(f"cannot reach {host} to download {name!r} ({reason}): {_ALTERNATIVES}")
    try:
        manager = tfds.download.DownloadManager(
            download_dir=downloads, dataset_name=dataset, url_infos=infos
        )
        paths = manager.download(list(infos))
    except Exception as error:  # requests, promise and tensorflow_datasets each have their own
        raise DatasetError(
            f"the download of {name!r} into {downloads} failed ({one_line(error)}): try again, or "
            f"{_ALTERNATIVES}"
        ) from error
    return [Path(path) for path in paths]


def _unreachable(url: str) -> str | None:
    """Returns within `PROBE_SECONDS` why `url` cannot be read, or None if it can."""
    import requests  # tensorflow_datasets downloads with it: the same proxies and certificates

    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=PROBE_SECONDS) as response:
                answers.put(None if response.ok else f"HTTP status {response.status_code}")
        except OSError as error:  # the base class of requests' own exceptions
            cause: BaseException = error
            while cause.__context__ is not None:  # the innermost has the shortest message
                cause = cause.__context__
            answers.put(one_line(cause))

    # A thread, since no timeout of requests covers the lookup of the host's name.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        return f"no answer in {PROBE_SECONDS:g} seconds"
