"""The learnt up-sampler: what it is before it learns, that it learns, its files, and what is refused."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, FileFormatError, ShapeError, StateError
from tilewright.image.resizing import downsample, resize, upsample
from tilewright.train import checkpoint, upsampler
from tilewright.train import upsampler_training as training
from tilewright.train.upsampler import Upsampler, enlarge, load_upsampler, save_upsampler
from tilewright.train.upsampler_pairs import Pairs, psnr, read_pairs, split
from tilewright.train.upsampler_training import UpsamplerSettings, train_upsampler

pillow = pytest.importorskip("PIL.Image", reason="pictures are read by Pillow")

TINY = UpsamplerSettings(features=8, blocks=1, steps=200, batch_size=8, patch=12, lr=3e-3)


def stripes(seed: int, size: int = 96) -> np.ndarray:
    """Sharp-edged bars of a random direction: what cubic interpolation blurs, and a network can learn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((size, size))
    angle, width = rng.uniform(0, np.pi), rng.uniform(5, 9)
    wave = np.sin((np.cos(angle) * columns + np.sin(angle) * rows) * np.pi / width)
    return np.clip(128 + 400 * wave, 20, 235).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten grey pictures and two coloured ones; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    for n in range(10):
        pillow.fromarray(stripes(n)).save(folder / f"grey-{n}.png")
    for n in range(2):
        colour = np.stack([stripes(20 + 3 * n + c) for c in range(3)], axis=-1)
        pillow.fromarray(colour).save(folder / f"colour-{n}.png")
    return folder


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """An up-sampler of a few seconds, and what its training came to; not to be changed."""
    out = tmp_path_factory.mktemp("models") / "stripes.safetensors"
    return out, train_upsampler(pictures, out, TINY, held_out=0.2, progress=False)


def random_network(seed: int = 0) -> Upsampler:
    """A network whose last layer isn't zero."""
    model = Upsampler(6, 2).eval()
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.normal(0, 0.05, tensor.shape).astype(np.float32)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(weights)
    return model


def test_before_it_learns_it_is_cubic_interpolation() -> None:
    image = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    assert_same(
        enlarge(Upsampler(4, 1), image, channel_axis=2),
        upsample(image, 2, "cubic", channel_axis=2),
        rtol=0,
        atol=0,
        reason="the same sums, rounded to the same integers",
    )


def test_it_learns_more_than_cubic_interpolation_knows(trained: tuple[Path, Any]) -> None:
    out, result = trained
    # 2.5 dB more here; that of an untrained one is 0.
    assert result.learnt > result.bicubic + 1
    assert (result.steps, result.pictures, len(result.held_out)) == (200, 10, 2)
    assert not result.interrupted and 0 < result.best_step <= 200
    model, facts = load_upsampler(out)
    assert facts["psnr"] == result.learnt and facts["psnr_bicubic"] == result.bicubic
    assert facts["settings"]["features"] == 8 and facts["pictures"] == 10
    unseen = stripes(99, 120)
    small = downsample(unseen, 2, method="cubic")
    learnt, cubic = psnr(enlarge(model, small), unseen), psnr(upsample(small, 2, "cubic"), unseen)
    assert learnt > cubic + 1


def test_the_same_seed_gives_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    short = replace(TINY, steps=4)
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        train_upsampler(pictures, file, replace(short, seed=seed), progress=False)
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other


def test_it_goes_on_from_a_file(trained: tuple[Path, Any], pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "more.safetensors"
    result = train_upsampler(
        pictures, out, replace(TINY, steps=2, lr=1e-5), held_out=0.2, start=trained[0], progress=False
    )
    assert result.learnt >= trained[1].learnt
    assert load_upsampler(out)[0].features == 8


def test_ctrl_c_keeps_the_best_so_far(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = training._Run._update
    done: list[int] = []

    def stopped(self: Any, batch: Any, optimizer: Any) -> float:
        done.append(1)
        if len(done) == 10:
            signal.raise_signal(signal.SIGINT)
        return update(self, batch, optimizer)

    monkeypatch.setattr(training._Run, "_update", stopped)
    result = train_upsampler(pictures, tmp_path / "m", TINY, progress=False)
    assert (result.interrupted, result.steps) == (True, 10)
    assert result.learnt >= result.bicubic
    assert load_upsampler(tmp_path / "m")[1]["steps"] == 10


def test_a_loss_that_blows_up_is_an_error(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Pairs.batch

    def blown_up(self: Pairs, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        small, large = batch(self, count, rng)
        return small, large * np.float32(np.inf)

    monkeypatch.setattr(Pairs, "batch", blown_up)
    message = "The loss is no longer finite. Received: step=0, loss=inf. Try a smaller lr."
    with np.errstate(all="ignore"), pytest.raises(StateError, match=f"^{re.escape(message)}$"):
        train_upsampler(pictures, tmp_path / "m", TINY, progress=False)
    assert not (tmp_path / "m").exists()


# Using one.


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_tiles_are_seen_nowhere(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_network()
    image = np.random.default_rng(1).random((50, 41))
    image = (image * np.iinfo(dtype).max).astype(dtype) if dtype.startswith("u") else image.astype(dtype)
    whole = enlarge(model, image)
    assert whole.shape == (100, 82) and whole.dtype == dtype
    assert (whole != upsample(image, 2, "cubic")).mean() > 0.5  # the network does say something
    monkeypatch.setattr(upsampler, "_TILE", 16)
    tiled = enlarge(model, image)
    top = 1 if dtype.startswith("f") else np.iinfo(dtype).max
    # Other shapes may add the same numbers in another order; integers differ where that decides a rounding.
    atol = 2e-6 * top + (1 if dtype.startswith("u") else 0)
    assert np.abs(tiled.astype(np.float64) - whole).max() <= atol


def test_channels_one_by_one_and_pictures_of_a_pixel() -> None:
    model = random_network()
    image = np.random.default_rng(2).random((7, 9, 4)).astype(np.float32)
    found = enlarge(model, image, channel_axis=-1)
    assert found.shape == (14, 18, 4) and found.flags.c_contiguous
    for channel in range(4):
        expected = enlarge(model, image[..., channel])
        assert_same(found[..., channel], expected, rtol=1e-5, atol=1e-6, reason="float32 in another layout")
    assert enlarge(model, np.full((1, 1), 9, np.uint8)).shape == (2, 2)
    assert enlarge(model, image[::-1, :, 0].astype(np.float16)).dtype == np.float16


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (
            np.zeros((2, 3, 4)),
            ShapeError,
            "enlarge needs a picture (height, width), with channels or without. Received: image with shape "
            "(2, 3, 4) and dtype float64.",
        ),
        (
            np.zeros((0, 3)),
            ShapeError,
            "enlarge needs a picture (height, width), with channels or without. Received: image with shape "
            "(0, 3) and dtype float64.",
        ),
        (
            np.zeros((2, 3), np.int32),
            DtypeError,
            "enlarge needs a picture of uint8, uint16 or floats. Received: image with shape (2, 3) and dtype "
            "int32.",
        ),
    ],
)
def test_pictures_that_are_refused(image: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        enlarge(Upsampler(2, 1), image)


# Files.


def test_a_file_gives_the_network_back(tmp_path: Path) -> None:
    model, path = random_network(), tmp_path / "m.safetensors"
    save_upsampler(path, model, {"psnr": 31.5})
    again, facts = load_upsampler(path)
    assert facts == {"psnr": 31.5} and (again.features, again.blocks) == (6, 2)
    image = np.random.default_rng(3).random((8, 8)).astype(np.float32)
    assert enlarge(again, image).tobytes() == enlarge(model, image).tobytes()


def damaged(path: Path, **changes: Any) -> Path:
    """A file of a network of 6 features and 2 blocks, with other things in its metadata."""
    model = random_network()
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    state = {"kind": "upsampler", "format": 1, "network": {"features": 6, "blocks": 2}, "facts": {}}
    checkpoint.save(path, weights, {**state, **changes})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "digits"}, "needs to be an up-sampler, of format 1. Received: kind='digits', format=1."),
        ({"format": 2}, "needs to be an up-sampler, of format 1. Received: kind='upsampler', format=2."),
        (
            {"network": [6, 2]},
            "needs to say what its network is, and the facts about it. Received: network=[6, 2], facts={}.",
        ),
        (
            {"facts": None},
            "needs to say what its network is, and the facts about it. Received: network={'features': 6, "
            "'blocks': 2}, facts=None.",
        ),
        (
            {"network": {"features": 512, "blocks": 64}},
            "names a network that can't be made of its weights. Received: network={'features': 512, "
            "'blocks': 64} "
            "beside",
        ),
        (
            {"network": {"features": "6", "blocks": 2}},
            "names a network that can't be made of its weights. Received: network={'features': '6', "
            "'blocks': 2} "
            "beside",
        ),
        (
            {"network": {"features": 7, "blocks": 2}},
            "needs head.0.weight of shape (7, 1, 3, 3) and dtype float32",
        ),
        (
            {"network": {"features": 6, "blocks": 1}},
            "needs exactly the tensors of the network that it names.",
        ),
    ],
)
def test_files_that_lie(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = damaged(tmp_path / "m.safetensors", **changes)
    with pytest.raises(FileFormatError) as caught:
        load_upsampler(path)
    assert str(caught.value).startswith(f"Checkpoint {str(path)!r} {words}")


def test_files_cut_short_or_missing(tmp_path: Path) -> None:
    path = damaged(tmp_path / "m.safetensors")
    content = path.read_bytes()
    for length in (0, 7, 8, 100, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=re.escape(repr(str(path)))):
            load_upsampler(path)
    with pytest.raises(ArgumentError, match=r"needs a file that exists\. Received: "):
        load_upsampler(tmp_path / "nothing")


# What it learns from.


def test_patches_are_of_the_same_place(pictures: Path) -> None:
    said: list[str] = []
    pairs = read_pairs(sorted(pictures.iterdir()), 16, 0, said.append)
    assert not said and pairs.small.shape[1:] == (16, 16) and pairs.large.shape[1:] == (32, 32)
    for small, large in zip(pairs.small[::50], pairs.large[::50], strict=True):
        inner = (slice(3, -3), slice(3, -3))
        assert_same(resize(large, (16, 16), "cubic")[inner], small[inner], rtol=0, atol=0, reason="integers")
    small, large = pairs.batch(32, np.random.default_rng(0))
    assert (
        small.shape == (32, 1, 16, 16) and small.dtype == np.float32 and 0 <= small.min() <= small.max() <= 1
    )
    halved = large.reshape(32, 1, 16, 2, 16, 2).mean((3, 5))
    assert np.abs(halved - small).mean() < 0.05  # also when both are turned


def test_pictures_that_cannot_be_used_are_reported(pictures: Path, tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pillow.fromarray(np.zeros((20, 300), np.uint8)).save(tmp_path / "narrow.png")
    good = pictures / "grey-0.png"
    pairs = read_pairs([tmp_path / "broken.png", good, tmp_path / "narrow.png"], 16, 0, said.append)
    assert len(pairs.small) > 0
    assert len(said) == 2 and "broken.png" in said[0]
    assert said[1].endswith("narrow.png: 300 × 20 pixels are too few for patches of 32.")
    message = (
        "An up-sampler needs pictures of at least 32 × 32 pixels to learn from. Received: pictures=1. "
        "Try smaller "
        "patches: --patch."
    )
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        read_pairs([tmp_path / "narrow.png"], 16, 0, said.append)


def test_some_are_held_out() -> None:
    names = [Path(str(n)) for n in range(10)]
    for share, count in ((0.1, 1), (0.01, 1), (0.5, 5), (0.99, 9)):
        train, test = split(names, share, 0)
        assert len(test) == count and sorted(train + test) == sorted(names)
    assert split(names, 0.3, 1) != split(names, 0.3, 2)
    message = (
        "An up-sampler needs two pictures or more, one of them to be judged by. Received: 1 picture. "
        "Name pictures "
        "to be judged by with --validate."
    )
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        split(names[:1], 0.1, 0)


def test_decibels() -> None:
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr(black, white) == 0.0 and psnr(white, white) == 99.0
    assert psnr(np.full((4, 4), 254, np.uint8), white) == pytest.approx(48.13, abs=0.01)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"settings": replace(TINY, steps=0)},
            "train_upsampler needs steps to be a whole number of at least 1. Received: steps=0.",
        ),
        (
            {"settings": replace(TINY, patch=True)},
            "train_upsampler needs patch to be a whole number of at least 1. Received: patch=True.",
        ),
        (
            {"settings": replace(TINY, lr=float("nan"))},
            "train_upsampler needs lr to be a number between 0 and 1. Received: lr=nan.",
        ),
        (
            {"settings": replace(TINY, seed=-1)},
            "train_upsampler needs seed to be a whole number from 0 to 2**63 - 1. Received: seed=-1.",
        ),
        (
            {"held_out": 1},
            "train_upsampler needs held_out to be a number between 0 and 1. Received: held_out=1.",
        ),
        (
            {"settings": replace(TINY, features=513)},
            "upsampler needs features to be at most 512. Received: features=513.",
        ),
    ],
)
def test_settings_that_are_refused(
    words: dict[str, Any], message: str, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        train_upsampler(pictures, tmp_path / "m", **{"settings": TINY, "progress": False, **words})


def test_a_file_is_replaced_only_when_asked(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(
        ArgumentError, match=r"needs out to be a new file\. Received: .*, which is there already"
    ):
        train_upsampler(pictures, tmp_path / "m", TINY, progress=False)
    assert (tmp_path / "m").read_text() == "mine"
    with pytest.raises(ArgumentError, match=r"needs out to be a file\. Received: .*, which is a folder\.$"):
        train_upsampler(pictures, tmp_path, TINY, progress=False)
    with pytest.raises(ArgumentError, match=r"needs out to be in a folder that exists\. Received: out="):
        train_upsampler(pictures, tmp_path / "no" / "m", TINY, progress=False)
