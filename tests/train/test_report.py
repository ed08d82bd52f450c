"""What a finished run leaves: pictures, samples, comparisons; and what it says when it can't draw."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lens.pictures import read_png
from PIL import Image
from train.nets import tiny_images, tiny_net

from tilewright.data import TensorDataset, read_image
from tilewright.nn import Conv1d, Conv2d, ConvTranspose2d, Flatten, Linear, Sequential, Sigmoid, Tanh
from tilewright.op.random import manual_seed
from tilewright.optim import Adam
from tilewright.train import Trainer
from tilewright.train.run import RunFolder


def coder() -> Any:
    """6×6 pixels to 4 numbers and back."""
    manual_seed(0)
    return Sequential(Conv2d(1, 4, 6), Tanh(), ConvTranspose2d(4, 1, 6), Sigmoid())


def test_a_classifiers_pictures_and_samples(tmp_path: Path) -> None:
    data = tiny_images()
    result = Trainer(tiny_net(), data, epochs=2, run_dir=tmp_path / "run", progress=False).fit()
    report = result.report
    assert report is not None
    drawn = [path.name for path in report.pictures]
    assert drawn == ["curves.png", "kernels.png", "features.png", "confusion.png", "mistakes.png"]
    for path in report.pictures:
        read_png(path)
    assert report.notices == []
    assert report.reconstruction is None
    assert [path.name for path in report.samples] == [
        "test-top.png",
        "test-middle-bar.png",
        "test-bottom.png",
    ]
    for label, path in enumerate(report.samples):
        place = int(np.flatnonzero(data.test.labels == label)[0])
        pixels = read_image(path)
        assert pixels.shape == (1, 108, 108)  # 18 times as large: the most below 112
        # uint8 levels: half a step of 1/255 from the float pixels.
        centres = pixels[:, 9::18, 9::18]
        np.testing.assert_allclose(centres, data.test.images[place], rtol=0, atol=0.5 / 255 + 1e-7)


def test_an_autoencoder_beside_its_baselines(tmp_path: Path) -> None:
    data = tiny_images(train=200)
    model = coder()
    result = Trainer(
        model,
        data,
        optimizer=Adam(model.parameters(), lr=0.02),
        task="reconstruct",
        batch_size=20,
        epochs=15,
        run_dir=tmp_path / "run",
        progress=False,
    ).fit()
    report = result.report
    assert report is not None and report.reconstruction is not None
    found = report.reconstruction
    assert [path.name for path in report.pictures] == [
        "reconstruction.png",
        "curves.png",
        "kernels.png",
        "features.png",
    ]
    assert (found.embedding, found.embedding_values, found.image_values) == ("0 Conv2d", 4, 36)
    assert found.ratio == 9.0
    assert found.thumbnail_size[0] * found.thumbnail_size[1] <= 4
    # The same error, once as a float32 loss over batches and once in float64 over everything.
    assert found.error == pytest.approx(report.test.loss, rel=1e-5)
    # Where the bar stands is one of three cases, which four learnt numbers tell better than a mean.
    assert found.error < found.mean_image_error
    assert result.best.accuracy is None
    assert report.samples == []


def test_the_weights_of_the_last_step_return_after_the_best_were_judged(tmp_path: Path) -> None:
    kept = Trainer(
        tiny_net(), tiny_images(), epochs=3, run_dir=tmp_path / "run", progress=False, pictures=False
    )
    free = Trainer(tiny_net(), tiny_images(), epochs=3, progress=False)
    kept.fit()
    free.fit()
    for (name, mine), (_, other) in zip(
        kept.model.state_dict().items(), free.model.state_dict().items(), strict=True
    ):
        assert mine.numpy().tobytes() == other.numpy().tobytes(), name


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    usual = builtins.__import__

    def find(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in packages:
            raise ImportError(f"No module named {name!r}", name=name)
        return usual(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", find)


def test_without_matplotlib_and_pillow_there_is_one_notice_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "matplotlib", "PIL")
    result = Trainer(tiny_net(), tiny_images(), run_dir=tmp_path / "run", progress=False).fit()
    assert result.report is not None
    assert result.report.pictures == []
    assert result.report.notices == [
        "No pictures were drawn: Drawing a picture needs the package matplotlib, which is not installed. "
        "Install it with: pip install 'tilewright[plot]'.",
        "No sample images were written: Writing sample images needs the package pillow, which is not "
        "installed. Install it with: pip install 'tilewright[plot]'.",
    ]
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_a_picture_that_cannot_be_drawn_is_noted_and_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    trainer = Trainer(tiny_net(), tiny_images(), run_dir=run, progress=False)
    usual = RunFolder.create

    def create(self: RunFolder, *args: Any) -> None:
        usual(self, *args)
        (run / "confusion.png").mkdir()

    monkeypatch.setattr(RunFolder, "create", create)
    report = trainer.fit().report
    assert report is not None
    assert len(report.pictures) == 4
    assert len(report.notices) == 1
    assert report.notices[0].startswith("confusion.png was not drawn: A picture is saved to a file.")


def test_replacing_a_run_spares_what_was_put_beside_its_samples(tmp_path: Path) -> None:
    run = tmp_path / "run"
    Trainer(tiny_net(), tiny_images(), run_dir=run, progress=False).fit()
    Image.new("L", (8, 8)).save(run / "samples" / "mine.png")
    (run / "samples" / "test-of-another-class.png").touch()
    trainer = Trainer(tiny_net(), tiny_images(), run_dir=run, progress=False, pictures=False)
    trainer.fit(overwrite=True)
    kept = ["mine.png", "test-bottom.png", "test-middle-bar.png", "test-top.png"]
    assert sorted(os.listdir(run / "samples")) == kept
    assert not list(run.glob("*.png"))


def test_one_dimensional_data_has_pictures_too(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    data = TensorDataset(generator.random((30, 1, 8), dtype=np.float32), generator.integers(0, 2, 30))
    manual_seed(0)
    model = Sequential(Conv1d(1, 2, 3), Flatten(), Linear(12, 2))
    report = Trainer(model, (data, data), run_dir=tmp_path / "run", progress=False).fit().report
    assert report is not None
    assert "features.png" in [path.name for path in report.pictures]
