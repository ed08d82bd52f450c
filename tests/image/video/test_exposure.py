"""Exposures, still scenes, and what differs from them."""

from __future__ import annotations

import numpy as np
import pytest
from compare import assert_same
from image.video.clips import street, with_car

from tilewright.image.video.background import Background, percentile
from tilewright.image.video.difference import difference, scene_of
from tilewright.image.video.exposure import fit
from tilewright.image.video.outline import close, outline
from tilewright.image.video.shrink import Shrinker


def planes_of(frame: np.ndarray) -> np.ndarray:
    return np.moveaxis(frame, 2, 0).astype(np.float32)


def still_street(size: tuple[int, int] = (90, 120)) -> np.ndarray:
    return planes_of(street(1, size)[0])


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.0, 1.25])
@pytest.mark.parametrize("offset", [-45.0, 0.0, 30.0])
def test_gain_and_offset_are_found_with_a_third_of_the_frame_covered(gain: float, offset: float) -> None:
    still = still_street()
    frame = gain * still + offset + np.random.default_rng(0).normal(0, 1, still.shape).astype(np.float32)
    frame[:, :, :40] = 230  # a white lorry
    frame = np.clip(frame, 0, 255)
    found = fit(frame, still)
    line = found.gain * 110 + found.offset  # where most of the street is
    assert line == pytest.approx(np.full(3, gain * 110 + offset), abs=1.0)
    covered = np.abs(found.undo(frame)[:, :, 40:] - still[:, :, 40:])
    assert np.median(covered) < 2.0 / gain


def test_an_even_wall_has_an_offset_and_no_gain() -> None:
    still = np.full((1, 30, 40), 100, np.float32)
    found = fit(still - 40, still)
    assert found.gain[0] == pytest.approx(1) and found.offset[0] == pytest.approx(-40)
    for level in (0.0, 255.0):  # nothing to be known, and no division by it
        odd = fit(np.full_like(still, level), still)
        assert np.isfinite([odd.gain, odd.offset]).all()
    tiny = fit(np.full((1, 1, 1), 9, np.float32), np.full((1, 1, 1), 5, np.float32))
    assert tiny.gain[0] * 5 + tiny.offset[0] == pytest.approx(9)


def test_percentile_is_that_of_the_sorted_samples() -> None:
    draw = np.random.default_rng(0)
    for count in (1, 2, 3, 4, 7, 15, 25):
        samples = draw.integers(-99, 99, (count, 3, 20, 30)).astype(np.int16)
        for share in (0.0, 0.25, 0.5, 1.0):
            rank = min(int(share * count), count - 1)
            assert np.array_equal(percentile(samples, share), np.sort(samples, axis=0)[rank])


def test_the_scene_comes_out_from_behind_what_moves_and_changing_exposure() -> None:
    film = with_car(street(31, (60, 80)), step=3).astype(np.float32)
    clean = planes_of(street(1, (60, 80))[0])
    shades = np.linspace(0, -50, 31, dtype=np.float32)
    samples = [planes_of(np.clip(frame + shade, 0, 255)) for frame, shade in zip(film, shades, strict=True)]
    background = Background(31)
    background.start(samples)
    assert len(background) == 31
    still = background.still()
    shade = float(np.median(still - clean))  # of which exposure it is, is open
    assert np.abs(still - clean - shade).max() < 9  # noise of 1.5 levels in both
    before = still.copy()
    background.add(samples[3])
    assert len(background) == 31
    assert np.abs(background.still() - before).mean() < 1


def test_a_still_frame_differs_nowhere() -> None:
    still = still_street()
    scene = scene_of(still)
    draw = np.random.default_rng(1)
    for gain, offset in ((1.0, 0.0), (0.8, -30.0), (1.1, 10.0)):
        frame = np.clip(gain * still + offset + draw.normal(0, 1.5, still.shape), 0, 255).astype(np.float32)
        found = difference(frame, scene, threshold=None, shadows=True)
        assert not found.moving.any()
        assert not found.signed.any()


def test_a_shaking_camera_moves_nothing() -> None:
    still = still_street()
    shaken = 0.6 * still + 0.4 * np.roll(still, 1, axis=2)  # 0.4 pixels to the right
    shaken[:, :, 0] = still[:, :, 0]
    found = difference(shaken.astype(np.float32), scene_of(still), threshold=None, shadows=True)
    assert not found.moving.any()


def test_what_is_lighter_is_positive_and_what_is_darker_negative() -> None:
    still = still_street()
    frame = still.copy()
    frame[:, 20:32, 10:30] += 60
    frame[:, 60:72, 80:100] -= 60
    found = difference(frame, scene_of(still), threshold=None, shadows=True)
    assert found.signed[26, 20] == pytest.approx(60, abs=3)
    assert found.signed[66, 90] == pytest.approx(-60, abs=3)
    assert outline(found.moving) == [(20, 10, 32, 30, 240), (60, 80, 72, 100, 240)] or all(
        abs(a - b) <= 1
        for one, wanted in zip(outline(found.moving), ((20, 10, 32, 30), (60, 80, 72, 100)), strict=True)
        for a, b in zip(one[:4], wanted, strict=True)
    )


def test_shadows_are_left_out_unless_asked_for() -> None:
    still = still_street()
    frame = still.copy()
    frame[:, 20:50, 10:50] *= 0.7  # an even share of the light, of all colours
    scene = scene_of(still)
    with_shadow = difference(frame, scene, threshold=None, shadows=True).moving
    without = difference(frame, scene, threshold=None, shadows=False).moving
    assert with_shadow[25:45, 15:45].all()
    assert without[25:45, 15:45].sum() < 30
    blue = still.copy()
    blue[:2, 20:50, 10:50] *= 0.7  # a colour, and no shadow
    assert difference(blue, scene, threshold=None, shadows=False).moving[25:45, 15:45].mean() > 0.9


def test_a_threshold_of_ones_own() -> None:
    still = np.full((1, 40, 40), 100, np.float32)
    frame = still.copy()
    frame[:, 10:20, 10:20] += 25
    scene = scene_of(still)
    assert difference(frame, scene, threshold=20.0, shadows=True).moving.any()
    assert not difference(frame, scene, threshold=30.0, shadows=True).moving.any()


def test_closing_like_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is what this is compared with")
    draw = np.random.default_rng(0)
    for _ in range(60):
        mask = draw.random(draw.integers(1, 30, 2)) < draw.random()
        reach = int(draw.integers(1, 4))
        square = np.ones((2 * reach + 1, 2 * reach + 1))
        wide = ndimage.binary_dilation(mask, square)
        assert np.array_equal(close(mask, reach), ndimage.binary_erosion(wide, square, border_value=1))


def test_outlines_that_overlap_are_one() -> None:
    mask = np.zeros((60, 60), bool)
    mask[5:50, 5:9] = mask[5:9, 5:50] = mask[46:50, 5:50] = True  # a bracket, and something in its mouth
    mask[20:35, 20:30] = True
    assert outline(mask) == [(5, 5, 50, 50, int(mask.sum()))]
    assert outline(np.zeros((5, 5), bool)) == []
    assert outline(np.ones((5, 7), bool)) == [(0, 0, 5, 7, 35)]


def test_shrinking_is_the_mean_of_squares() -> None:
    draw = np.random.default_rng(0)
    frame = draw.integers(0, 256, (1200, 1001, 3), dtype=np.uint8)
    shrinker = Shrinker("motion")
    small = shrinker.shrink(frame)
    assert shrinker.factor == 4 and shrinker.shape == (1200, 1001)
    assert small.shape == (3, 300, 251) and small.dtype == np.int16
    wanted = np.pad(frame, ((0, 0), (0, 3), (0, 0)), mode="edge").reshape(300, 4, 251, 4, 3).mean(axis=(1, 3))
    reason = "kept in 16ths of a grey level"
    found = shrinker.whole(small)
    assert_same(found, np.moveaxis(wanted, 2, 0).astype(np.float32), rtol=0, atol=1 / 32, reason=reason)
    # Floats of the same numbers, and grey frames, are the same.
    assert np.array_equal(Shrinker("motion").shrink(frame.astype(np.float64)), small)
    assert np.array_equal(Shrinker("motion").shrink(frame[..., 1])[0], small[1])
