"""``tilewright edges``, ``denoise`` and ``upsample``: the library's numbers, and what belongs together."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.commands import Command
from compare import assert_same

import tilewright as tw
from tilewright.cli import denoise as denoise_module
from tilewright.cli import edges as edges_module
from tilewright.image import edges, gradients, resizing, restoration
from tilewright.image.files import read_image, write_image
from tilewright.image.picture import Picture

pytest.importorskip("PIL", reason="pictures are read by Pillow")


def same(actual: np.ndarray | None, expected: np.ndarray) -> None:
    assert_same(actual, expected, rtol=0, atol=0, reason="the same integers")


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def square(dtype: Any = np.uint8) -> np.ndarray:
    values = np.zeros((24, 24), dtype)
    values[6:18, 6:18] = np.iinfo(dtype).max
    return values


# Edges.


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_canny_draws_white_lines(tilewright: Command, tmp_path: Path, dtype: Any) -> None:
    values = square(dtype)
    write_image(tmp_path / "a.png", values)
    assert tilewright("edges", tmp_path / "a.png", tmp_path / "b.png").code == 0
    found = read_image(tmp_path / "b.png").pixels
    expected = edges.canny(values / np.iinfo(dtype).max, 1.0, mode="nearest")
    same(found, np.where(expected, np.iinfo(dtype).max, 0).astype(dtype))
    assert 30 < (found > 0).sum() < 60  # around the square, of 12 pixels a side
    assert tilewright("edges", tmp_path / "a.png", tmp_path / "c.png", "--invert").code == 0
    same(read_image(tmp_path / "c.png").pixels, np.iinfo(dtype).max - found)


def test_thresholds_reach_canny(tilewright: Command, tmp_path: Path) -> None:
    values = noise(40, 40)
    write_image(tmp_path / "a.png", values)
    grey = values / 255
    for flags, expected in (
        (("--sigma", 2, "--low", 0.02, "--high", 0.3), edges.canny(grey, 2.0, 0.02, 0.3, mode="nearest")),
        (
            ("--low", 0.8, "--high", 0.9, "--quantiles"),
            edges.canny(grey, 1.0, 0.8, 0.9, use_quantiles=True, mode="nearest"),
        ),
    ):
        assert tilewright("edges", tmp_path / "a.png", tmp_path / "b.png", *flags, "--overwrite").code == 0
        assert 0 < expected.sum() < expected.size / 2
        same(read_image(tmp_path / "b.png").pixels > 0, expected)


def test_a_step_from_black_to_white_is_white(tilewright: Command, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", square())
    for operator in edges_module.OPERATORS:
        flags = ("--method", "gradient", "--operator", operator, "--overwrite")
        assert tilewright("edges", tmp_path / "a.png", tmp_path / "b.png", *flags).code == 0
        found = read_image(tmp_path / "b.png").pixels
        assert found[12, 4:8].max() == 255, operator
        assert found[12, 12] == found[0, 0] == 0


def test_the_gradient_of_colours_is_the_steepest(tilewright: Command, tmp_path: Path) -> None:
    values = noise(12, 13, 4) | 1
    write_image(tmp_path / "a.png", values)
    assert (
        tilewright(
            "edges", tmp_path / "a.png", tmp_path / "b.png", "--method", "gradient", "--gain", 0.5
        ).code
        == 0
    )
    found = read_image(tmp_path / "b.png")
    steep = gradients.gradient_magnitude(
        values[..., :3].astype(np.float32), normalize=True, channel_axis=2
    ).max(axis=2)
    same(found.pixels, np.clip(np.rint(steep * np.float32(1.0)), 0, 255).astype(np.uint8))
    same(found.alpha, values[..., 3])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--gain", 2), "--gain belongs to --method gradient."),
        (("--operator", "sobel"), "--operator belongs to --method gradient."),
        (("--method", "gradient", "--low", 0.1), "--low belongs to --method canny."),
        (("--method", "gradient", "--quantiles"), "--quantiles belongs to --method canny."),
        (("--quantiles",), "--quantiles needs --low and --high, the shares."),
        (("--low", 0.5, "--high", 0.1), "error: canny needs"),
        (("--sigma", -1), "-1.0 is not in the range x>=0."),
    ],
)
def test_wrong_usage_of_edges(
    tilewright: Command, tmp_path: Path, flags: tuple[object, ...], message: str
) -> None:
    write_image(tmp_path / "a.png", square())
    ended = tilewright("edges", tmp_path / "a.png", tmp_path / "b.png", *flags)
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "b.png").exists()


# Denoise.


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ((), {"method": "median"}),
        (("--size", 5), {"method": "median", "size": 5}),
        (("--method", "mean", "--border", "wrap"), {"method": "mean", "border": "wrap"}),
        (("--method", "gaussian", "--sigma", 0.7), {"method": "gaussian", "sigma": 0.7}),
        (
            ("--method", "bilateral", "--sigma-color", 0.2, "--sigma-spatial", 1.5),
            {"method": "bilateral", "sigma_color": 0.2, "sigma_spatial": 1.5},
        ),
        (
            ("--method", "nonlocal", "--patch-size", 3, "--patch-distance", 2, "--h", 0.1),
            {"method": "nonlocal", "patch_size": 3, "patch_distance": 2, "h": 0.1},
        ),
    ],
)
def test_denoise_is_the_librarys(
    tilewright: Command, tmp_path: Path, flags: tuple[object, ...], arguments: dict[str, Any]
) -> None:
    for name, values in (("grey", noise(20, 21)), ("deep", noise(20, 22, 4, dtype=np.uint16) | 1)):
        write_image(tmp_path / f"{name}.png", values)
        ended = tilewright("denoise", tmp_path / f"{name}.png", tmp_path / f"{name}-out.png", *flags)
        assert ended.code == 0, ended.err
        found = read_image(tmp_path / f"{name}-out.png")
        colour = values if values.ndim == 2 else values[..., :3]
        same(
            found.pixels,
            restoration.denoise(colour, channel_axis=None if values.ndim == 2 else 2, **arguments),
        )
        if values.ndim == 3:
            same(found.alpha, values[..., 3])


def test_parameters_of_another_method_are_refused(tilewright: Command, tmp_path: Path) -> None:
    ended = tilewright("denoise", "a.png", "b.png", "--sigma", 1)
    assert ended.code == 2
    assert "--sigma belongs to --method gaussian and nonlocal." in ended.err
    ended = tilewright("denoise", "a.png")
    assert ended.code == 2
    assert "Name at least one picture, and what to write: IN... OUT." in ended.err
    write_image(tmp_path / "a.png", square())
    ended = tilewright(
        "denoise", tmp_path / "a.png", tmp_path / "b.png", "--method", "bilateral", "--win-size", 4
    )
    assert ended.code == 2
    assert "win_size" in ended.only_error


def test_what_is_written_out_is_the_librarys() -> None:
    assert tuple(denoise_module.METHODS) == restoration.METHODS
    for method, known in denoise_module.METHODS.items():
        signature = inspect.signature(restoration._METHODS[method])
        found = [
            name for name in signature.parameters if name not in ("image", "border", "cval", "channel_axis")
        ]
        assert known == tuple(found), method
    assert tuple(gradients.OPERATORS) == edges_module.OPERATORS


# Upsample.


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic"])
def test_upsample_is_the_librarys(tilewright: Command, tmp_path: Path, method: str) -> None:
    values = noise(10, 12, 4, dtype=np.uint16) | 1
    write_image(tmp_path / "a.png", Picture(values[..., :3], values[..., 3], resolution=(100.0, 50.0)))
    ended = tilewright(
        "upsample", tmp_path / "a.png", tmp_path / "b.png", "--factor", 2.5, "--method", method
    )
    assert ended.code == 0, ended.err
    found = read_image(tmp_path / "b.png")
    assert found.pixels.shape == (25, 30, 3)
    same(found.pixels, resizing.upsample(values[..., :3], 2.5, method, channel_axis=2))
    same(found.alpha, resizing.upsample(values[..., 3], 2.5, method))
    # PNG counts whole pixels of a metre.
    assert found.resolution == pytest.approx((250.0, 125.0), rel=1e-3)


def test_too_large_a_result_is_refused(tilewright: Command, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(10, 10))
    ended = tilewright("upsample", tmp_path / "a.png", tmp_path / "b.png", "--factor", 10000)
    assert ended.code == 2
    assert ended.only_error == (
        "error: An enlarged picture has at most 134,217,728 pixels. Received: 10 × 10 pixels, enlarged "
        "10000 times. Choose a smaller --factor, or allow more by --max-pixels."
    )
    assert not (tmp_path / "b.png").exists()


def test_a_learnt_upsampler(tilewright: Command, tmp_path: Path) -> None:
    from tilewright.train.upsampler import Upsampler, enlarge, save_upsampler

    tw.manual_seed(0)
    network = Upsampler(8, 1)
    save_upsampler(tmp_path / "net.safetensors", network, {})
    values = noise(9, 11, 3)
    write_image(tmp_path / "a.png", values)
    for factor, times in ((2, 1), (4, 2)):
        flags = ("--model", tmp_path / "net.safetensors", "--factor", factor, "--overwrite")
        ended = tilewright("upsample", tmp_path / "a.png", tmp_path / "b.png", *flags)
        assert ended.code == 0, ended.err
        expected = values
        for _ in range(times):
            expected = enlarge(network, expected, channel_axis=2)
        same(read_image(tmp_path / "b.png").pixels, expected)
    ended = tilewright("upsample", "a.png", "b.png", "--model", "net.safetensors", "--factor", 3)
    assert ended.code == 2
    assert "A --model doubles pictures: the --factor is 2, 4, 8 or 16." in ended.err
    ended = tilewright("upsample", "a.png", "b.png", "--model", "net.safetensors", "--method", "cubic")
    assert ended.code == 2
    assert "--method and --model are two ways to do the same" in ended.err
    ended = tilewright("upsample", "a.png", "b.png", "--model", tmp_path / "a.png")
    assert ended.code == 2
    assert "a.png" in ended.only_error
