"""The ready models: their sizes, their configurations, and that they can learn."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError
from tilewright.nn import models


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_digitnet_is_the_published_network() -> None:
    model = models.digitnet()
    assert repr(model) == (
        "DigitNet(\n"
        "  (conv): Conv2d(1, 32, kernel_size=(5, 5), stride=(1, 1), padding=same)\n"
        "  (tanh): Tanh()\n"
        "  (dropout): Dropout(p=0.2, inplace=False)\n"
        "  (flatten): Flatten(start_dim=1, end_dim=-1)\n"
        "  (dense): Linear(in_features=25088, out_features=10, bias=True)\n"
        ")"
    )
    # 800 weights make 25,088 features; biases beside both layers.
    assert count(model) == 800 + 32 + 25088 * 10 + 10
    assert not model.conv.bias.detach().numpy().any() and not model.dense.bias.detach().numpy().any()
    bound = np.sqrt(6 / (25 * (1 + 32)))
    assert 0.9 * bound < np.abs(model.conv.weight.detach().numpy()).max() <= bound
    assert models.digitnet(3, (8, 12), 4, keep=1)(tw.zeros(2, 3, 8, 12)).shape == (2, 4)


@pytest.mark.parametrize("size", [28, 32])
def test_lenet5_has_its_61706_parameters(size: int) -> None:
    model = models.lenet5(1, size, 10)
    assert count(model) == 61_706
    sizes = {layer.name: layer.output_shape for layer in nn.summary(model, (1, size, size)).layers}
    assert sizes["c1"] == (1, 6, 28, 28) and sizes["s2"] == (1, 6, 14, 14)
    assert sizes["c3"] == (1, 16, 10, 10) and sizes["s4"] == (1, 16, 5, 5)
    assert sizes["c5"] == (1, 120, 1, 1) and sizes["f6"] == (1, 84) and sizes["output"] == (1, 10)


@pytest.mark.parametrize("size", [8, 9, 10, 11, 12, 13, 16, 20, 27, 31, 33, 40, 64, (8, 28), (40, 10)])
def test_lenet5_adapts_to_other_images(size: Any) -> None:
    height, width = size if isinstance(size, tuple) else (size, size)
    model = models.lenet5(3, size, 7)
    assert model(tw.zeros(2, 3, height, width)).shape == (2, 7)
    assert nn.summary(model, (3, height, width)).layers[8].output_shape == (1, 120)


def test_lenet5_pools_by_maximum_or_mean() -> None:
    assert isinstance(models.lenet5().s2, nn.MaxPool2d)
    old = models.lenet5(pool="mean")
    assert isinstance(old.s2, nn.AvgPool2d) and isinstance(old.s4, nn.AvgPool2d) and count(old) == 61_706
    with pytest.raises(
        ArgumentError, match=r"^lenet5 needs pool to be one of 'max', 'mean'. Received: pool=3.$"
    ):
        models.lenet5(pool=3)


def test_lenet5_for_digits_of_8_by_8() -> None:
    model = models.lenet5(image_size=8)
    assert model.c3.kernel_size == (3, 3) and model.c5.kernel_size == (1, 1)


@pytest.mark.parametrize("size", [8, 9, 10, 11, 13, 14, 28, 31, (8, 11), (28, 20)])
@pytest.mark.parametrize("output", ["sigmoid", "logits"])
def test_autoencoders_give_back_the_size(size: Any, output: str) -> None:
    height, width = size if isinstance(size, tuple) else (size, size)
    model = models.autoencoder(2, size, embedding=5, output=output)
    x = tw.rand(3, 2, height, width)
    code = model.encode(x)
    assert code.shape == (3, 5)
    y = model(x)
    assert y.shape == (3, 2, height, width) and y.equal(model.decode(code))
    assert model.compression_ratio == 2 * height * width / 5
    if output == "sigmoid":
        assert y.min().item() > 0 and y.max().item() < 1
        logits = models.autoencoder(2, size, embedding=5, output="logits")
        logits.load_state_dict(model.state_dict())
        assert logits(x).sigmoid().equal(y)


def test_the_embedding_is_much_smaller_than_the_image() -> None:
    assert models.autoencoder().compression_ratio == 24.5
    small = models.autoencoder(image_size=8)
    assert small.embedding == small.config["embedding"] == 8 and small.compression_ratio == 8


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("digitnet", {"in_channels": 2, "image_size": 8, "classes": 3, "keep": 0.5}),
        ("lenet5", {"in_channels": 2, "image_size": (8, 28), "classes": 3, "pool": "mean"}),
        ("autoencoder", {"in_channels": 2, "image_size": (9, 9), "embedding": 4, "output": "logits"}),
        ("digitnet", {}),
        ("lenet5", {}),
        ("autoencoder", {}),
    ],
)
def test_a_configuration_builds_the_same_model(name: str, arguments: dict[str, Any]) -> None:
    model = models.create(name, **arguments)
    assert model.config["name"] == name
    assert set(model.config) >= set(arguments)
    # Through a file and back.
    stored = json.loads(json.dumps(model.config))
    as_toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in stored.items())
    assert tomllib.loads(as_toml) == model.config
    again = models.create(**stored)
    assert repr(again) == repr(model) and again.config == model.config
    again.load_state_dict(model.state_dict())
    assert type(again) is type(model)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: models.create("alexnet"),
            f"The models are {', '.join(models.NAMES)}. Received: name='alexnet'.",
        ),
        (lambda: models.create(["lenet5"]), "The models are digitnet, lenet5, autoencoder, resnet20,"),
        (
            lambda: models.create("lenet5", keep=0.5),
            "lenet5 takes the arguments in_channels, image_size, classes, pool. Received: keep=0.5.",
        ),
        (
            lambda: models.lenet5(image_size=7),
            "lenet5 needs an image of at least 8×8. Received: image_size=7.",
        ),
        (
            lambda: models.lenet5(image_size="28"),
            "lenet5 needs image_size to be an integer. Received: image_size='28'.",
        ),
        (lambda: models.lenet5(classes=0), "lenet5 needs classes to be at least 1. Received: classes=0."),
        (
            lambda: models.digitnet(image_size=(8, 8, 8)),
            "digitnet needs image_size to be an integer or 2 of them",
        ),
        (
            lambda: models.digitnet(keep=1.5),
            "digitnet needs keep to be a finite number, at least 0 and at most 1. Received: keep=1.5.",
        ),
        (lambda: models.autoencoder(image_size=(8, 7)), "autoencoder needs an image of at least 8×8."),
        (
            lambda: models.autoencoder(image_size=8, embedding=64),
            "autoencoder needs an embedding smaller than the image, which has "
            "64 values. Received: embedding=64.",
        ),
        (
            lambda: models.autoencoder(output="tanh"),
            "autoencoder needs output to be one of 'sigmoid', 'logits'. Received: output='tanh'.",
        ),
    ],
)
def test_refusals(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        build()
    assert str(error.value).startswith(message)


# Networks for images as small as those of the data sets that the library knows.
SMALL = ("digitnet", "lenet5", "autoencoder", "resnet20", "densenet100")


def test_models_that_learn_from_images_have_defaults() -> None:
    assert set(models.NAMES) == set(models.MODELS) == set(models.INPUTS)
    others = {"unet", "edsr", "dcgan_generator", "dcgan_discriminator", "tcn", "c3d"}
    assert set(models.DEFAULTS) == set(models.NAMES) - others
    for name, defaults in models.DEFAULTS.items():
        assert set(defaults.epochs) == ({"digits", "mnist", "fashion_mnist"} if name in SMALL else set())
        assert defaults.optimizer in ("sgd", "adam") and defaults.lr > 0 and defaults.batch_size > 0
        assert min(defaults.epochs.values(), default=1) > 0
    digitnet = models.DEFAULTS["digitnet"]
    assert (digitnet.optimizer, digitnet.momentum, digitnet.batch_size) == ("sgd", 0.9, 60)
    assert (digitnet.lr, digitnet.lr_decay) == (0.03, "linear")
    assert digitnet.epochs["mnist"] == 1


@pytest.mark.parametrize("name", ["digitnet", "lenet5", "autoencoder"])
def test_models_learn_two_patterns(name: str) -> None:
    tw.manual_seed(0)
    defaults = models.DEFAULTS[name]
    model = models.create(name, image_size=8)
    numbers = np.random.default_rng(0)
    x = tw.tensor(numbers.random((8, 1, 8, 8), np.float32))
    if defaults.target == "input":
        target, loss_of = x, nn.MSELoss()
    else:
        target, loss_of = tw.tensor(np.arange(8)), nn.CrossEntropyLoss()
    kind = {"sgd": optim.SGD, "adam": optim.Adam}[defaults.optimizer]
    options = {"momentum": defaults.momentum} if defaults.optimizer == "sgd" else {}
    optimizer = kind(model.parameters(), lr=defaults.lr, **options)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", ["digitnet", "lenet5", "autoencoder"])
def test_an_images_result_is_the_same_bits_in_any_batch(name: str) -> None:
    model = models.create(name).eval()
    images = tw.randn(37, 1, 28, 28)
    with tw.no_grad():
        together = model(images).numpy()
        for first, last in ((0, 1), (1, 4), (4, 20), (20, 37)):
            assert model(images[first:last]).numpy().tobytes() == together[first:last].tobytes()
