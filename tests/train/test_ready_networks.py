"""Ready networks by name: their settings, and their way into a file and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import data, optim
from tilewright.errors import ArgumentError, FileFormatError
from tilewright.nn import models
from tilewright.train import checkpoint
from tilewright.train.config import TrainingConfig, describe_run
from tilewright.train.presets import TRAINABLE, make_model, preset_for
from tilewright.train.rebuild import rebuild
from tilewright.train.state import Position, save_model


def saved(path: Path, name: str, **options: Any) -> Any:
    """A network of that name, and a file that it was saved to as after training on small images."""
    tw.manual_seed(0)
    model = models.create(name, **options)
    images = data.load("digits")
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    config = describe_run(model, images, optimizer, TrainingConfig("classify", 1, 2, 0, 1, 1))
    save_model(path, model, config, Position())
    return model


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("resnet20", {"in_channels": 1}, (2, 1, 8, 8)),
        ("densenet100", {"in_channels": 1, "image_size": 8}, (2, 1, 8, 8)),
        ("unet", {"base": 2, "levels": 2, "norm": True}, (1, 1, 8, 9)),
        ("edsr", {"features": 4, "blocks": 1, "residual_scale": 0.1}, (1, 3, 4, 5)),
        ("tcn", {"width": 4, "levels": 2, "causal": False}, (2, 1, 9)),
        ("c3d", {"base": 2}, (1, 3, 4, 8, 8)),
    ],
)
def test_a_network_comes_back_from_its_file(
    tmp_path: Path, name: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    model = saved(tmp_path / "model.safetensors", name, **options).eval()
    tw.manual_seed(5)
    again, config = rebuild(tmp_path / "model.safetensors")
    # The weights come from the file: no number was drawn for them.
    drawn = tw.rand(4)
    tw.manual_seed(5)
    assert drawn.equal(tw.rand(4))
    assert config.model.name == name and type(again) is type(model) and not again.training
    x = tw.randn(*shape)
    assert again(x).detach().numpy().tobytes() == model(x).detach().numpy().tobytes()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"base": 2**20}),
        ("tcn", {"width": 2**20, "levels": 16}),
        ("edsr", {"features": 2**15, "blocks": 256}),
        ("dcgan_generator", {"latent": 2**20, "width": 2**20}),
        ("digitnet", {"image_size": 2**20}),
        ("vgg16", {}),
    ],
)
def test_a_file_can_not_promise_a_gigantic_network(tmp_path: Path, name: str, options: Any) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, "resnet20", in_channels=1)
    found = checkpoint.load(path)
    found.state["config"]["model"] = {"name": name, "options": options}
    checkpoint.save(path, found.tensors, found.state)
    with pytest.raises(FileFormatError) as error:
        rebuild(path)
    assert str(error.value) == (
        f"Checkpoint {str(path)!r} names a network of a size that its weights don't bear out. "
        f"Received: options={options!r} beside {sum(a.size for a in found.tensors.values())} weights."
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, "resnet20", in_channels=1)
    found = checkpoint.load(path)
    found.state["config"]["model"]["options"]["classes"] = 11
    checkpoint.save(path, found.tensors, found.state)
    with pytest.raises(FileFormatError, match=r"needs linear.weight of shape \(11, 64\) and dtype float32"):
        rebuild(path)


def test_networks_for_other_work_have_no_settings() -> None:
    with pytest.raises(ArgumentError) as error:
        preset_for("edsr", "mnist")
    assert str(error.value) == (
        f"Networks with settings to learn from a set of images are {', '.join(TRAINABLE)}. "
        "Received: model='edsr'. Train it from Python, with data, a task and an optimiser of your own."
    )
    with pytest.raises(ArgumentError, match=r"Received: model='edsr2'\.$"):
        preset_for("edsr2", "mnist")
    assert preset_for("resnet20", "fashion_mnist").lr_decay == "linear"
    assert preset_for("vgg16", "mnist").epochs == 10


def test_a_network_is_made_for_the_images_of_a_data_set() -> None:
    images = data.load("digits")
    model: Any = make_model("resnet20", images)
    assert model.conv1.in_channels == 1 and model.linear.out_features == 10
    assert model(tw.tensor(np.asarray(images.test[0][0])[None])).shape == (1, 10)
    with pytest.raises(
        ArgumentError, match=r"vgg11 needs an image of at least 32×32. Received: image_size=\(8, 8\)"
    ):
        make_model("vgg11", images)
