"""Ready models, each with a configuration to build it again and settings that train it well."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tilewright.errors import ArgumentError, describe
from tilewright.nn.models.autoencoder import Autoencoder, autoencoder
from tilewright.nn.models.c3d import C3D, c3d
from tilewright.nn.models.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    dcgan_discriminator,
    dcgan_generator,
)
from tilewright.nn.models.densenet import DenseNet, densenet100, densenet121
from tilewright.nn.models.digitnet import DigitNet, digitnet
from tilewright.nn.models.edsr import EDSR, edsr
from tilewright.nn.models.lenet import LeNet5, lenet5
from tilewright.nn.models.mobilenet import MobileNetV2, mobilenet_v2
from tilewright.nn.models.resnet import ResNet, resnet18, resnet34, resnet50
from tilewright.nn.models.resnet_small import SmallResNet, resnet20
from tilewright.nn.models.tcn import TCN, tcn
from tilewright.nn.models.unet import UNet, unet
from tilewright.nn.models.vgg import VGG, vgg11, vgg11_bn, vgg16, vgg16_bn

#: The functions that build them, by name.
MODELS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "digitnet": digitnet,
        "lenet5": lenet5,
        "autoencoder": autoencoder,
        "resnet20": resnet20,
        "resnet18": resnet18,
        "resnet34": resnet34,
        "resnet50": resnet50,
        "vgg11": vgg11,
        "vgg11_bn": vgg11_bn,
        "vgg16": vgg16,
        "vgg16_bn": vgg16_bn,
        "densenet100": densenet100,
        "densenet121": densenet121,
        "mobilenet_v2": mobilenet_v2,
        "unet": unet,
        "edsr": edsr,
        "dcgan_generator": dcgan_generator,
        "dcgan_discriminator": dcgan_discriminator,
        "tcn": tcn,
        "c3d": c3d,
    }
)
#: The names that :func:`create` knows.
NAMES = tuple(MODELS)
_PHOTOGRAPH = (3, 224, 224)
#: The shape of one sample that each was drawn for.
INPUTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(NAMES, _PHOTOGRAPH),
        **dict.fromkeys(("digitnet", "lenet5", "autoencoder"), (1, 28, 28)),
        **dict.fromkeys(("resnet20", "densenet100"), (3, 32, 32)),
        "unet": (1, 256, 256),
        # What a corner of 96×96 is shrunk to in the paper's training.
        "edsr": (3, 48, 48),
        "dcgan_generator": (100, 1, 1),
        "dcgan_discriminator": (3, 64, 64),
        "tcn": (1, 256),
        "c3d": (3, 16, 64, 64),
    }
)


@dataclass(frozen=True)
class TrainingDefaults:
    """Settings that train a model well.

    Attributes:
        optimizer: "sgd" or "adam".
        lr: learning rate.
        momentum: of "sgd"; 0 for "adam", which has its own.
        weight_decay: factor of the weights added to their gradient.
        batch_size: samples per step.
        epochs: passes over the training data, per data set by name.
        target: what the model learns to give: "classes", or "input" for an autoencoder.
        lr_decay: "none", or "linear": the rate falls in a straight line to zero at the last step.
    """

    optimizer: str
    lr: float
    batch_size: int
    momentum: float = 0.0
    weight_decay: float = 0.0
    epochs: Mapping[str, int] = field(default_factory=dict)
    target: str = "classes"
    lr_decay: str = "none"


def _deep(lr: float, weight_decay: float = 1e-4, batch_size: int = 128, **epochs: int) -> TrainingDefaults:
    """Settings of the kind that deep networks of convolutions are published with."""
    return TrainingDefaults(
        optimizer="sgd",
        lr=lr,
        momentum=0.9,
        weight_decay=weight_decay,
        batch_size=batch_size,
        epochs=MappingProxyType(epochs),
        lr_decay="linear",
    )


#: By name of the model, for those that learn classes of images, or the images. ``digits`` holds 1,797 images
#: where the others hold 70,000, so it takes more passes.
DEFAULTS: Mapping[str, TrainingDefaults] = MappingProxyType(
    {
        # This network is published with a constant rate of 0.01, where one pass over MNIST gives 96.3 to
        # 96.8 % from two starts. A higher rate that falls to zero gave 97.4 and 97.9 %.
        "digitnet": TrainingDefaults(
            optimizer="sgd",
            lr=0.03,
            lr_decay="linear",
            momentum=0.9,
            batch_size=60,
            epochs=MappingProxyType({"digits": 30, "mnist": 1, "fashion_mnist": 5}),
        ),
        # From three starts, the same settings in PyTorch 2.13 gave 98.1 to 98.3 % of MNIST's tests after
        # one pass and 98.8 to 98.9 % after five.
        "lenet5": TrainingDefaults(
            optimizer="sgd",
            lr=0.02,
            lr_decay="linear",
            momentum=0.9,
            batch_size=64,
            epochs=MappingProxyType({"digits": 40, "mnist": 5, "fashion_mnist": 10}),
        ),
        "autoencoder": TrainingDefaults(
            optimizer="adam",
            lr=2e-3,
            batch_size=64,
            epochs=MappingProxyType({"digits": 100, "mnist": 5, "fashion_mnist": 5}),
            target="input",
        ),
        # The rate, momentum and decay of the paper (sections 4.2 and 3.4), over fewer passes.
        "resnet20": _deep(lr=0.1, digits=30, mnist=3, fashion_mnist=10),
        "resnet18": _deep(lr=0.05),
        "resnet34": _deep(lr=0.05),
        "resnet50": _deep(lr=0.05),
        # The paper's section 3.1: its decay, and without batch norm its rate.
        "vgg11": _deep(lr=0.01, weight_decay=5e-4, batch_size=64),
        "vgg11_bn": _deep(lr=0.05, weight_decay=5e-4, batch_size=64),
        "vgg16": _deep(lr=0.01, weight_decay=5e-4, batch_size=64),
        "vgg16_bn": _deep(lr=0.05, weight_decay=5e-4, batch_size=64),
        # The paper's section 4.2: batches of 64 and a rate of 0.1 for small images.
        "densenet100": _deep(lr=0.1, batch_size=64, digits=30, mnist=2, fashion_mnist=5),
        "densenet121": _deep(lr=0.05, batch_size=64),
        # The paper's section 6.1 decays weights by 0.00004.
        "mobilenet_v2": _deep(lr=0.05, weight_decay=4e-5),
    }
)


def for_sample(name: str, shape: Sequence[int], **kwargs: Any) -> Any:
    """Build a model for samples of a shape: its channels, and its image's size where the model asks for it.

    Args:
        name: of the model.
        shape: of one sample, such as (3, 32, 32).
        kwargs: more arguments of the model.

    Raises:
        ArgumentError: an unknown name or argument, or a shape of another rank than the model takes.

    >>> for_sample("resnet20", (1, 28, 28), classes=10).conv1
    Conv2d(1, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    known = inspect.signature(_builder(name)).parameters
    if not isinstance(shape, (tuple, list)):
        raise ArgumentError("for_sample needs the shape of a sample as a tuple.", describe(shape=shape))
    sizes = tuple(shape)
    if len(sizes) != len(INPUTS[name]):
        axes = {
            2: "(channels, length)",
            3: "(channels, height, width)",
            4: "(channels, frames, height, width)",
        }
        raise ArgumentError(f"{name} takes samples of {axes[len(INPUTS[name])]}.", describe(shape=sizes))
    if name == "dcgan_generator":
        if sizes[1:] != (1, 1):
            raise ArgumentError(f"{name} takes samples of (numbers, 1, 1).", describe(shape=sizes))
        return create(name, **{"latent": sizes[0], **kwargs})
    own = {"in_channels": sizes[0], "image_size": sizes[1:]}
    return create(name, **{**{key: value for key, value in own.items() if key in known}, **kwargs})


def create(name: str, **kwargs: Any) -> Any:
    """Build a model by name: ``create("lenet5", image_size=32)``, or ``create(**model.config)``.

    Raises:
        ArgumentError: an unknown name or argument, or an argument outside its rule.
    """
    builder = _builder(name)
    known = inspect.signature(builder).parameters
    unknown = {key: value for key, value in kwargs.items() if key not in known}
    if unknown:
        raise ArgumentError(f"{name} takes the arguments {', '.join(known)}.", describe(**unknown))
    return builder(**kwargs)


def _builder(name: Any) -> Callable[..., Any]:
    builder = MODELS.get(name) if isinstance(name, str) else None
    if builder is None:
        raise ArgumentError(f"The models are {', '.join(NAMES)}.", describe(name=name))
    return builder


__all__ = [
    "C3D",
    "DEFAULTS",
    "EDSR",
    "INPUTS",
    "MODELS",
    "NAMES",
    "TCN",
    "VGG",
    "Autoencoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DenseNet",
    "DigitNet",
    "LeNet5",
    "MobileNetV2",
    "ResNet",
    "SmallResNet",
    "TrainingDefaults",
    "UNet",
    "autoencoder",
    "c3d",
    "create",
    "dcgan_discriminator",
    "dcgan_generator",
    "densenet100",
    "densenet121",
    "digitnet",
    "edsr",
    "for_sample",
    "lenet5",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "tcn",
    "unet",
    "vgg11",
    "vgg11_bn",
    "vgg16",
    "vgg16_bn",
]
