"""Filters over time and place: known answers, SciPy's, and the same bits for any chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from compare import assert_same

from tilewright.errors import ArgumentError, DtypeError, ShapeError
from tilewright.image.video import filter_frames, motion_kernel, temporal_gaussian


def test_the_motion_kernel_sees_what_changes() -> None:
    """Known answer: zero where nothing moves, signed where a square covers and uncovers the background."""
    film = np.full((5, 20, 30), 50, np.uint8)
    for time, frame in enumerate(film):
        frame[5:15, 5 + 4 * time : 15 + 4 * time] = 140
    answers = list(filter_frames(film, motion_kernel(3)))
    assert len(answers) == 4
    for time, answer in enumerate(answers):
        assert answer.shape == (20, 30) and answer.dtype == np.float32
        assert answer[10, 5 + 4 * time + 1] == pytest.approx(-90)  # uncovered
        assert answer[10, 15 + 4 * time + 1] == pytest.approx(90)  # covered
        assert abs(answer[10, 10 + 4 * time]) < 1e-4  # inside, of one colour
        assert abs(answer[0]).max() < 1e-4  # where nothing moves


def test_kernels() -> None:
    kernel = motion_kernel()
    assert kernel.shape == (2, 3, 3) and kernel.dtype == np.float32
    assert np.array_equal(kernel[0], np.full((3, 3), -1 / 9, np.float32))
    assert np.array_equal(kernel[1], -kernel[0])
    smooth = temporal_gaussian(2.0, 1, order=0)
    assert smooth.shape == (13, 1, 1)
    assert smooth.sum() == pytest.approx(1, abs=1e-6)
    slope = temporal_gaussian(2.0, 3)
    assert slope.shape == (13, 3, 3)
    assert_same(slope[::-1], -slope, rtol=1e-6, atol=0, reason="odd in time, rounded to float32")
    # A picture that grows lighter by 2.5 a frame.
    ramp = 2.5 * np.arange(13, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    answer = next(filter_frames(ramp, slope))
    whole = np.full((4, 4), 2.5, np.float32)
    assert_same(answer, whole, rtol=1e-5, atol=0, reason="117 products of up to 24 bits")
    # So narrow that a Gaussian is one frame: its derivative's limit is the central difference.
    assert temporal_gaussian(0.01, 1).ravel().tolist() == [-0.5, 0.0, 0.5]


_PADS = {"nearest": "edge", "reflect": "symmetric"}


def expected(film: Any, kernel: Any, time_border: str, border: str, cval: float) -> Any:
    """SciPy's correlation, frame by frame, over a film that NumPy has padded in time."""
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    reach = len(kernel)
    if time_border != "valid":
        pads = ((reach // 2, reach - 1 - reach // 2), (0, 0), (0, 0))
        film = np.pad(film, pads, mode=_PADS[time_border])
    answers = [
        sum(
            ndimage.correlate(film[at + i], kernel[i].astype(float), mode=border, cval=cval)
            for i in range(reach)
        )
        for at in range(max(0, len(film) - reach + 1))
    ]
    return np.array(answers).reshape(-1, *film.shape[1:])


def test_like_scipy_whatever_the_chunk() -> None:
    pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    draw = np.random.default_rng(5)
    for _ in range(150):
        film = draw.integers(0, 256, draw.integers(1, 9, 3)).astype(draw.choice([np.uint8, np.float64]))
        kernel = draw.normal(size=draw.integers(1, 6, 3)).astype(np.float32)
        border = str(draw.choice(["reflect", "mirror", "nearest", "wrap", "constant"]))
        time_border = str(draw.choice(["valid", "nearest", "reflect"]))
        flip = bool(draw.integers(2))
        settings: dict[str, Any] = {"time_border": time_border, "border": border, "cval": 3.5, "flip": flip}
        answers = [
            np.array(list(filter_frames(film, kernel, chunk=chunk, **settings))) for chunk in (1, 3, 8)
        ]
        assert answers[0].tobytes() == answers[1].tobytes() == answers[2].tobytes()
        turned = kernel[::-1, ::-1, ::-1] if flip else kernel
        wanted = expected(film.astype(float), turned, time_border, border, 3.5)
        assert len(answers[0]) == len(wanted)
        if wanted.size:
            reason = "up to 125 products of 255 by numbers of about 1, each rounded to 24 bits"
            assert_same(answers[0], wanted.astype(np.float32), rtol=1e-5, atol=2e-3, reason=reason)


def test_channels_are_filtered_each_by_itself() -> None:
    draw = np.random.default_rng(0)
    film = draw.integers(0, 256, (6, 7, 8, 3), dtype=np.uint8)
    kernel = draw.normal(size=(3, 3, 2)).astype(np.float32)
    colour = list(filter_frames(film, kernel))
    assert len(colour) == 4
    for channel in range(3):
        for frame, plane in zip(colour, filter_frames(film[..., channel], kernel), strict=True):
            assert np.array_equal(frame[..., channel], plane)


def test_a_stream_is_taken_as_it_comes() -> None:
    taken = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal taken
        buffer = np.zeros((4, 4), np.float32)
        while True:  # without end, and always in the same memory
            buffer += 1
            taken += 1
            yield buffer

    for border in ("valid", "nearest", "reflect"):
        taken = 0
        answers = filter_frames(stream(), motion_kernel(1), chunk=4, time_border=border)
        first = next(answers)
        assert taken <= 8
        assert first[0, 0] == (1 if border == "valid" else 0)
        assert all(next(answers)[0, 0] == 1 for _ in range(20))


def test_any_layout() -> None:
    draw = np.random.default_rng(1)
    film = draw.normal(size=(5, 6, 7))
    kernel = motion_kernel()
    wanted = np.array(list(filter_frames(film, kernel)))
    backwards = np.ascontiguousarray(film[:, ::-1, ::-1])[:, ::-1, ::-1]
    fixed = film.copy()
    fixed.flags.writeable = False
    for other in (backwards, np.asfortranarray(film), fixed, list(film), iter(film)):
        assert np.array_equal(np.array(list(filter_frames(other, kernel))), wanted)
    still = np.broadcast_to(film[0], film.shape)
    assert abs(np.array(list(filter_frames(still, kernel)))).max() < 1e-6  # sums of 18 numbers of about 1/9
    assert list(filter_frames([], kernel)) == []
    assert list(filter_frames(film[:1], kernel)) == []


def test_nan_and_infinity_come_out_where_they_reach() -> None:
    film = np.zeros((3, 5, 5))
    film[1, 2, 2] = np.nan
    answers = np.array(list(filter_frames(film, motion_kernel())))
    assert np.isnan(answers[:, 1:4, 1:4]).all()
    assert np.isnan(answers).sum() == 18


@pytest.mark.parametrize(
    ("arguments", "settings", "kind", "message"),
    [
        (
            (np.zeros((2, 3, 3)), np.zeros((3, 3))),
            {},
            ShapeError,
            "filter_frames needs a kernel of rank 3, (frames, rows, columns), none of them 0. "
            "Received: kernel with shape (3, 3) and dtype float64.",
        ),
        (
            (np.zeros((2, 3, 3)), np.zeros((5000, 1, 1))),
            {},
            ShapeError,
            "filter_frames needs a kernel over at most 4096 frames. "
            "Received: kernel with shape (5000, 1, 1) and dtype float64.",
        ),
        (
            (np.zeros((2, 3, 3)), "motion"),
            {},
            DtypeError,
            "filter_frames needs kernel to be of bools, integers, float16, float32, float64. "
            "Received: kernel with shape () and dtype <U6.",
        ),
        (
            (np.zeros((3, 3)), np.zeros((1, 1, 1))),
            {},
            DtypeError,
            "filter_frames needs frames that can be walked through. "
            "Received: frames with shape (3, 3) and dtype float64.",
        ),
        (
            (None, np.zeros((1, 1, 1))),
            {},
            DtypeError,
            "filter_frames needs frames that can be walked through. Received: frames=None.",
        ),
        (
            (np.zeros((2, 3, 3)), np.zeros((1, 1, 1))),
            {"time_border": "wrap"},
            ArgumentError,
            "filter_frames needs time_border to be one of 'valid', 'nearest', 'reflect'. "
            "Received: time_border='wrap'.",
        ),
        (
            (np.zeros((2, 3, 3)), np.zeros((1, 1, 1))),
            {"chunk": 0},
            ArgumentError,
            "filter_frames needs chunk to be at least 1. Received: chunk=0.",
        ),
        (
            ([np.zeros((3, 3)), np.zeros((3, 4))], np.zeros((1, 1, 1))),
            {},
            ShapeError,
            "filter_frames needs frames of one shape, here (3, 3). "
            "Received: frame with shape (3, 4) and dtype float64, frame 1.",
        ),
        (
            ([np.zeros((3, 0))], np.zeros((1, 1, 1))),
            {},
            ShapeError,
            "filter_frames needs frames (height, width) or (height, width, channels), none of them 0. "
            "Received: frame with shape (3, 0) and dtype float64.",
        ),
    ],
)
def test_refusals(arguments: Any, settings: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as refused:
        list(filter_frames(*arguments, **settings))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: motion_kernel(0), "motion_kernel needs size to be at least 1. Received: size=0."),
        (
            lambda: motion_kernel(10**9),
            "motion_kernel needs size to be at most 4096. Received: size=1000000000.",
        ),
        (
            lambda: temporal_gaussian(0.0),
            "temporal_gaussian needs sigma to be a finite number above 0. Received: sigma=0.0.",
        ),
        (
            lambda: temporal_gaussian(float("nan")),
            "temporal_gaussian needs sigma to be a finite number above 0. Received: sigma=nan.",
        ),
        (
            lambda: temporal_gaussian(order=2),
            "temporal_gaussian needs order to be 0 or 1. Received: order=2.",
        ),
        (
            lambda: temporal_gaussian(1e9),
            "temporal_gaussian needs to reach over at most 4096 frames and pixels either way. "
            "Received: sigma=1000000000.0, truncate=3.0, size=3.",
        ),
    ],
)
def test_refusals_of_kernels(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        call()
    assert str(refused.value) == message
