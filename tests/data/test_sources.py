from __future__ import annotations

import gc
import hashlib
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewright.data import DataLoader, digits, fashion_mnist, load, mnist, read_idx, sources, write_idx
from tilewright.data.published import FASHION_MNIST, MNIST, Published, PublishedFile, cache_folder, fetch
from tilewright.errors import ArgumentError, DownloadError, FileFormatError, MissingExtraError

NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def small_set(folder: Path, suffix: str = ".gz") -> dict[str, np.ndarray]:
    """Four IDX files with 7 training and 3 test images in ``folder``."""
    rng = np.random.default_rng(2)
    folder.mkdir(exist_ok=True)
    arrays = {
        NAMES[0]: rng.integers(0, 256, (7, 28, 28), dtype=np.uint8),
        NAMES[1]: np.arange(7, dtype=np.uint8),
        NAMES[2]: rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        NAMES[3]: np.array([9, 0, 4], np.uint8),
    }
    for name, array in arrays.items():
        write_idx(folder / f"{name}{suffix}", array)
    return arrays


class TestDigits:
    @pytest.fixture(autouse=True)
    def needs_scikit_learn(self) -> None:
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")

    def test_every_fifth_of_each_class_is_held_out(self) -> None:
        data = digits()
        assert (len(data.train), len(data.test)) == (1437, 360)
        assert data.image_shape == (1, 8, 8) and data.classes == tuple("0123456789")
        train, test = np.bincount(data.train.labels), np.bincount(data.test.labels)
        assert np.abs(test - (train + test) / 5).max() <= 1

    def test_images_are_the_sources_in_its_order(self) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        data = digits(fold=2, seed=9)
        assert data.train.images.dtype == np.float32 and data.train.images.shape[1:] == (1, 8, 8)
        assert data.train.images.min() == 0 and data.train.images.max() == 1
        both = {image.tobytes() for image in (bunch.images / 16).astype(np.float32)}
        assert {image.tobytes() for image in (*data.train.images, *data.test.images)} == both
        # Unshuffled, the parts must not come class by class.
        assert data.train.labels[:20].tolist() != sorted(data.train.labels[:20].tolist())

    def test_the_five_folds_make_up_the_whole(self) -> None:
        held_out = [digits(fold).test for fold in range(5)]
        assert sum(map(len, held_out)) == 1797
        totals = sum(np.bincount(part.labels) for part in held_out)
        assert totals.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]

    def test_the_split_is_pinned_and_follows_its_seed(self) -> None:
        digest = hashlib.sha256(digits().test.images.tobytes()).hexdigest()
        assert digest[:16] == PINNED_DIGITS
        assert hashlib.sha256(digits(seed=1).test.images.tobytes()).hexdigest() != digest

    def test_standardised_by_the_training_part(self) -> None:
        data = digits()
        images, labels = data.train.take_batch(np.arange(len(data.train)))
        assert images.dtype == np.float32 and labels.dtype == np.int64
        # 92,000 values of size ~1, each rounded by at most 2⁻²³: the mean's error stays far below 1e-6.
        assert abs(images.mean(dtype=np.float64)) < 1e-6
        assert abs(images.std(dtype=np.float64) - 1) < 1e-6

    def test_refusals(self) -> None:
        for fold in (-1, 5, 0.5):
            with pytest.raises(ArgumentError) as caught:
                digits(fold=fold)  # type: ignore[arg-type]
            assert str(caught.value) == f"digits needs fold to be 0 to 4. Received: fold={fold}."
        with pytest.raises(ArgumentError, match=r"digits needs seed to be an integer .* Received: seed=-1"):
            digits(seed=-1)

    def test_says_which_package_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(MissingExtraError) as caught:
            digits()
        assert str(caught.value) == (
            "The data set 'digits' needs the package scikit-learn, which is not installed. "
            "Install it with: pip install 'tilewright[data]'."
        )


PINNED_DIGITS = "6c30468e15a548bf"


class TestFolder:
    @pytest.mark.parametrize("suffix", [".gz", ""])
    @pytest.mark.parametrize("reader", [mnist, fashion_mnist])
    def test_reads_four_files_compressed_or_not(self, tmp_path: Path, reader: Any, suffix: str) -> None:
        arrays = small_set(tmp_path, suffix)
        data = reader(str(tmp_path))
        assert data.name == reader.__name__ and len(data.classes) == 10
        assert np.array_equal(data.train.images, arrays[NAMES[0]][:, None])
        assert data.train.images.dtype == np.uint8 and data.image_shape == (1, 28, 28)
        assert data.test.labels.tolist() == [9, 0, 4] and data.test.labels.dtype == np.int64

    def test_mean_and_deviation_are_those_of_the_training_pixels(self, tmp_path: Path) -> None:
        pixels = small_set(tmp_path)[NAMES[0]] / 255
        data = mnist(tmp_path)
        # NumPy's sums of 5,488 values err by some 1e-13 at most; ours are exact before the last steps.
        assert abs(data.mean - pixels.mean()) < 1e-12 and abs(data.std - pixels.std()) < 1e-12

    def test_batches_are_standardised_float32(self, tmp_path: Path) -> None:
        data = mnist(small_set(tmp_path) and tmp_path)
        ((images, labels),) = DataLoader(data.train, batch_size=7)
        assert images.shape == (7, 1, 28, 28) and images.dtype == np.float32 and labels.dtype == np.int64
        # As above: rounding at 2⁻²⁴ per pixel of size ~1.
        assert abs(images.mean(dtype=np.float64)) < 1e-6 and abs(images.std(dtype=np.float64) - 1) < 1e-6

    def test_a_missing_folder_or_file_is_answered_with_the_four_names(self, tmp_path: Path) -> None:
        expected = (
            "needs a folder that holds train-images-idx3-ubyte, train-labels-idx1-ubyte, "
            "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each with or without .gz. Received: "
        )
        absent = str(tmp_path / "absent")
        with pytest.raises(ArgumentError) as no_folder:
            mnist(absent)
        assert str(no_folder.value) == f"mnist {expected}folder={absent!r}, which isn't a folder."
        small_set(tmp_path)
        for name in NAMES[2:]:
            (tmp_path / f"{name}.gz").unlink()
        with pytest.raises(ArgumentError) as no_file:
            fashion_mnist(tmp_path)
        assert str(no_file.value) == (
            f"fashion_mnist {expected}folder={str(tmp_path)!r}, which lacks {NAMES[2]}, {NAMES[3]}."
        )

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            (
                NAMES[0],
                np.zeros((7, 28, 27), np.uint8),
                "needs to hold uint8 images of shape (samples, 28, 28). "
                "Received: images with shape (7, 28, 27) and dtype uint8.",
            ),
            (NAMES[0], np.zeros((7, 784), np.uint8), "Received: images with shape (7, 784) and dtype uint8."),
            (
                NAMES[0],
                np.zeros((0, 28, 28), np.uint8),
                "Received: images with shape (0, 28, 28) and dtype uint8.",
            ),
            (NAMES[2], np.zeros((3, 28, 28), np.float32), "images with shape (3, 28, 28) and dtype float32."),
            (
                NAMES[1],
                np.zeros((7, 1), np.uint8),
                "needs to hold uint8 labels of shape (samples,). "
                "Received: labels with shape (7, 1) and dtype uint8.",
            ),
            (NAMES[1], np.zeros(7, np.int32), "Received: labels with shape (7,) and dtype int32."),
            (
                NAMES[3],
                np.zeros(4, np.uint8),
                "need to hold equally many samples. Received: 3 images and 4 labels.",
            ),
            (
                NAMES[3],
                np.array([1, 10, 2], np.uint8),
                "needs labels below 10. Received: 10 as label 1, counted from 0.",
            ),
            (
                NAMES[0],
                np.full((7, 28, 28), 4, np.uint8),
                "needs to hold images that aren't all one grey. Received: 4 in every pixel.",
            ),
        ],
    )
    def test_files_of_other_contents_are_refused_by_name(
        self, tmp_path: Path, name: str, array: np.ndarray, message: str
    ) -> None:
        small_set(tmp_path)
        write_idx(tmp_path / f"{name}.gz", array)
        with pytest.raises(FileFormatError) as caught:
            mnist(tmp_path)
        assert str(caught.value).startswith(repr(str(tmp_path / name.split("-")[0]))[:-1])
        assert f"{name}.gz" in str(caught.value)
        assert str(caught.value).endswith(message)

    def test_a_damaged_file_is_refused_by_name(self, tmp_path: Path) -> None:
        small_set(tmp_path)
        path = tmp_path / f"{NAMES[2]}.gz"
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(
            FileFormatError, match=r"t10k-images-idx3-ubyte.gz' is cut short: its gzip stream stops"
        ):
            mnist(tmp_path)


class TestLoad:
    def test_by_name(self, tmp_path: Path) -> None:
        small_set(tmp_path)
        assert load("mnist", tmp_path).name == "mnist"
        assert load("fashion_mnist", tmp_path).classes[9] == "Ankle boot"
        pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
        assert repr(load("digits")) == (
            "ImageSet('digits', train=1437, test=360, classes=10, image_shape=(1, 8, 8), "
            "mean=0.3053, std=0.3759)"
        )

    def test_refusals(self) -> None:
        with pytest.raises(ArgumentError) as unknown:
            load("cifar")
        assert str(unknown.value) == (
            "load needs the name of a data set: digits, mnist, fashion_mnist. Received: name='cifar'."
        )
        with pytest.raises(ArgumentError) as folder:
            load("digits", "here")
        assert str(folder.value) == (
            "The data set 'digits' comes with scikit-learn and is read from no folder. "
            "Received: folder='here'. "
            "Leave the folder out, or name the data set that the folder holds: mnist or fashion_mnist."
        )


class TestDownload:
    """Against servers on this machine: no test reaches the network."""

    # A mirror's refusal leaves a response that pooch doesn't close; `collected` frees it within its own test.
    pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        pytest.importorskip("pooch", reason="downloads are pooch's")
        monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return tmp_path / "cache" / "data" / "small"

    @pytest.fixture(autouse=True)
    def collected(self) -> Iterator[None]:
        yield
        gc.collect()

    @pytest.fixture
    def serve(self) -> Iterator[Any]:
        servers = []

        def start(folder: Path) -> tuple[str, list[str]]:
            asked: list[str] = []

            class Handler(SimpleHTTPRequestHandler):
                def log_message(self, *_: Any) -> None:
                    asked.append(self.path)

            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.append(server)
            return f"http://127.0.0.1:{server.server_port}/", asked

        yield start
        for server in servers:
            server.shutdown()
            server.server_close()

    def published(self, folder: Path, *mirrors: str) -> Published:
        def describe(name: str) -> PublishedFile:
            data = (folder / f"{name}.gz").read_bytes()
            return PublishedFile(
                f"{name}.gz", hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest()
            )

        return Published("small", mirrors, tuple(map(describe, NAMES)))

    def dead_mirror(self) -> str:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{unused.getsockname()[1]}/"

    def test_downloads_once_and_reads(
        self, tmp_path: Path, serve: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arrays = small_set(tmp_path / "files")
        address, asked = serve(tmp_path / "files")
        source = self.published(tmp_path / "files", address)
        monkeypatch.setattr(sources, "MNIST", replace(source, name="mnist"))
        data = load("mnist")
        assert np.array_equal(data.test.images[:, 0], arrays[NAMES[2]])
        assert asked == [f"/{name}.gz" for name in NAMES]
        assert sorted(path.name for path in cache.with_name("mnist").iterdir()) == sorted(
            f"{name}.gz" for name in NAMES
        )
        # Once it is there, neither the network nor pooch is needed.
        monkeypatch.setitem(sys.modules, "pooch", None)
        assert len(mnist().train) == 7
        assert len(asked) == 4

    def test_a_damaged_copy_in_the_cache_is_fetched_again(
        self, tmp_path: Path, serve: Any, cache: Path
    ) -> None:
        small_set(tmp_path / "files")
        address, asked = serve(tmp_path / "files")
        source = self.published(tmp_path / "files", address)
        paths = fetch(source)
        paths[1].write_bytes(b"damaged")
        assert fetch(source) == paths == [cache / f"{name}.gz" for name in NAMES]
        assert asked[4:] == [f"/{NAMES[1]}.gz"]
        assert read_idx(paths[1]).shape == (7,)

    def test_a_wrong_checksum_falls_to_the_next_mirror(self, tmp_path: Path, serve: Any) -> None:
        small_set(tmp_path / "true")
        small_set(tmp_path / "forged")
        write_idx(tmp_path / "forged" / f"{NAMES[1]}.gz", np.zeros(7, np.uint8))
        forged, asked_forged = serve(tmp_path / "forged")
        true, asked_true = serve(tmp_path / "true")
        paths = fetch(self.published(tmp_path / "true", forged, true))
        assert read_idx(paths[1]).tolist() == list(range(7))
        assert len(asked_forged) == 4
        assert asked_true == [f"/{NAMES[1]}.gz"]

    def test_a_dead_or_empty_mirror_falls_to_the_next(self, tmp_path: Path, serve: Any) -> None:
        small_set(tmp_path / "true")
        (tmp_path / "empty").mkdir()
        empty, _ = serve(tmp_path / "empty")
        true, _ = serve(tmp_path / "true")
        source = self.published(tmp_path / "true", self.dead_mirror(), empty, true)
        assert read_idx(fetch(source)[0]).shape == (7, 28, 28)

    def test_when_every_mirror_fails_each_is_named_with_its_reason(
        self, tmp_path: Path, serve: Any, cache: Path
    ) -> None:
        small_set(tmp_path / "true")
        source = self.published(tmp_path / "true")
        (tmp_path / "true" / f"{NAMES[0]}.gz").write_bytes(b"forged")
        forged, _ = serve(tmp_path / "true")
        (tmp_path / "empty").mkdir()
        empty, _ = serve(tmp_path / "empty")
        with pytest.raises(DownloadError) as caught:
            fetch(replace(source, mirrors=(forged, empty)))
        message = str(caught.value)
        assert message.startswith(
            f"small needs {NAMES[0]}.gz with SHA-256 {source.files[0].sha256} from one of its mirrors. "
            f"Received: {forged}{NAMES[0]}.gz: a file with another checksum; {empty}{NAMES[0]}.gz: 404 "
        )
        assert message.endswith(
            f"Fetch {', '.join(f'{name}.gz' for name in NAMES)} by hand and name their folder instead."
        )
        assert list(cache.iterdir()) == []

    def test_a_cache_that_cannot_be_written_is_a_download_error(
        self, tmp_path: Path, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small_set(tmp_path / "true")
        address, _ = serve(tmp_path / "true")
        (tmp_path / "file").touch()
        monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "file"))
        with pytest.raises(DownloadError, match=r"from one of its mirrors. Received: .*file"):
            fetch(self.published(tmp_path / "true", address))

    def test_without_pooch_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        small_set(tmp_path / "true")
        source = self.published(tmp_path / "true", "http://127.0.0.1/")
        monkeypatch.setitem(sys.modules, "pooch", None)
        with pytest.raises(MissingExtraError) as caught:
            fetch(source)
        assert str(caught.value) == (
            "Downloading small needs the package pooch, which is not installed. "
            "Install it with: pip install 'tilewright[data]'."
        )
        monkeypatch.delenv("TILEWRIGHT_CACHE")
        with pytest.raises(
            MissingExtraError, match=r"Finding the user's cache folder needs the package pooch"
        ):
            cache_folder()

    def test_the_platforms_cache_folder_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import pooch

        monkeypatch.delenv("TILEWRIGHT_CACHE")
        assert cache_folder() == Path(pooch.os_cache("tilewright"))
        assert "tilewright" in cache_folder().parts


class TestRealFiles:
    @pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda source: source.name)
    def test_both_checksums_are_those_of_the_published_files(
        self, data_root: Path, source: Published
    ) -> None:
        for file in source.files:
            data = (data_root / source.name / file.name).read_bytes()
            assert hashlib.md5(data).hexdigest() == file.md5
            assert hashlib.sha256(data).hexdigest() == file.sha256

    @pytest.mark.parametrize("source", [MNIST, FASHION_MNIST], ids=lambda source: source.name)
    def test_addresses_end_in_a_slash_and_files_come_in_order(self, source: Published) -> None:
        assert all(mirror.endswith("/") for mirror in source.mirrors) and len(source.mirrors) == 2
        assert [file.plain_name for file in source.files] == NAMES

    # The four digits are those that are commonly quoted for the two sets.
    @pytest.mark.parametrize(
        ("name", "mean", "std"), [("mnist", 0.1307, 0.3081), ("fashion_mnist", 0.2860, 0.3530)]
    )
    def test_the_sets_have_their_known_sizes_and_statistics(
        self, data_root: Path, name: str, mean: float, std: float
    ) -> None:
        data = load(name, data_root / name)
        assert (len(data.train), len(data.test)) == (60_000, 10_000)
        assert round(data.mean, 4) == mean and round(data.std, 4) == std
        assert data.train.images.nbytes == 60_000 * 28 * 28
        assert np.bincount(data.test.labels).sum() == 10_000 and data.train.labels.max() == 9
        assert str(data.train.transform) == f"Standardise(mean={data.mean:.6g}, std={data.std:.6g})"
