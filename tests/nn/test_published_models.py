"""The networks of the literature: published sizes, what they give, what they refuse, that they learn."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn, optim
from tilewright.errors import ArgumentError, ShapeError, TilewrightError
from tilewright.nn import init, models
from tilewright.nn.parameter import ParameterLimitError, limited


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def built(name: str, **arguments: Any) -> Any:
    """A model of zeros: a hundred million weights are made in no time."""
    with init.skipped():
        return models.create(name, **arguments)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Torchvision's documentation of its weights.
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("vgg11", 132_863_336),
        ("vgg11_bn", 132_868_840),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("densenet121", 7_978_856),
        ("mobilenet_v2", 3_504_872),
        # He et al. say 0.27 million, Huang et al. 0.8 million; counted in the docstrings of the classes.
        ("resnet20", 269_722),
        ("densenet100", 769_162),
        # PyTorch's DCGAN example.
        ("dcgan_generator", 3_576_704),
        ("dcgan_discriminator", 2_765_568),
        # Counted by hand in the docstrings.
        ("unet", 31_030_658),
        ("edsr", 1_369_859 + 24),
        ("tcn", 34_666),
        ("c3d", 181_834),
    ],
)
def test_parameters_are_as_many_as_published(name: str, parameters: int) -> None:
    assert count(built(name)) == parameters


def test_the_counts_of_the_docstrings_add_up() -> None:
    edsr = built("edsr")
    assert sum(p.numel() for p in edsr.parameters() if p.requires_grad) == 1_369_859
    parts = {
        "head": 1_792,
        "body": 1_181_696 + 36_928,
        "tail": 147_712 + 1_731,
        "sub_mean": 12,
        "add_mean": 12,
    }
    assert {name: count(part) for name, part in edsr.named_children()} == parts
    unet = built("unet")
    assert count(unet.down) == 18_842_048 and count(unet.head) == 130
    assert count(unet.up) + count(unet.join) == 12_188_480
    small = built("resnet20")
    assert [count(part) for part in (small.layer1, small.layer2, small.layer3)] == [14_016, 51_072, 203_520]
    assert count(small.conv1) + count(small.bn1) == 432 + 32 and count(small.linear) == 650
    c3d = built("c3d")
    assert [count(layer) for layer in c3d.features if count(layer)] == [1_312, 13_856, 55_360, 110_656]


@pytest.mark.parametrize(
    ("c", "w", "k", "levels", "n"), [(1, 32, 3, 6, 10), (4, 4, 2, 3, 2), (3, 8, 5, 1, 7)]
)
def test_a_dilated_network_has_the_size_of_its_formula(c: int, w: int, k: int, levels: int, n: int) -> None:
    model = built("tcn", in_channels=c, width=w, kernel=k, levels=levels, classes=n)
    around = (c + 1) * w if c != w else 0
    assert count(model) == (c * k + 1) * w + around + (2 * levels - 1) * (w * k + 1) * w + (w + 1) * n


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "expected"),
    [
        ("resnet20", {}, (2, 3, 32, 32), (2, 10)),
        ("resnet20", {"in_channels": 1, "classes": 3}, (2, 1, 1, 5), (2, 3)),
        ("resnet18", {"classes": 4}, (1, 3, 1, 1), (1, 4)),
        ("resnet50", {"classes": 4}, (1, 3, 33, 64), (1, 4)),
        ("vgg11", {"classes": 4, "image_size": 32}, (1, 3, 32, 32), (1, 4)),
        ("densenet100", {"in_channels": 1, "image_size": 4}, (2, 1, 4, 4), (2, 10)),
        ("densenet121", {"classes": 4, "image_size": 29}, (1, 3, 29, 29), (1, 4)),
        ("mobilenet_v2", {"classes": 4}, (1, 3, 28, 28), (1, 4)),
        ("unet", {"base": 2}, (1, 1, 16, 31), (1, 2, 16, 31)),
        ("unet", {"base": 2, "levels": 1, "classes": 5}, (2, 1, 2, 3), (2, 5, 2, 3)),
        ("edsr", {"features": 4, "blocks": 1, "scale": 1}, (1, 3, 5, 6), (1, 3, 5, 6)),
        ("edsr", {"features": 4, "blocks": 1, "scale": 8, "in_channels": 1}, (1, 1, 2, 3), (1, 1, 16, 24)),
        ("dcgan_generator", {"latent": 3, "width": 2, "out_channels": 1}, (4, 3, 1, 1), (4, 1, 64, 64)),
        ("dcgan_discriminator", {"width": 2, "in_channels": 1}, (4, 1, 64, 64), (4,)),
        ("tcn", {"width": 4}, (2, 1, 1), (2, 10)),
        ("tcn", {"width": 4, "causal": False, "per_step": True}, (2, 1, 9), (2, 10, 9)),
        ("c3d", {"base": 2, "in_channels": 1}, (2, 1, 4, 8, 9), (2, 10)),
    ],
)
def test_outputs_have_the_documented_shape(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    model = built(name, **arguments).eval()
    assert tuple(model(tw.zeros(*shape)).shape) == expected
    # No images, no answers, and no fault.
    assert tuple(model(tw.zeros(0, *shape[1:])).shape) == (0, *expected[1:])


@pytest.mark.parametrize("name", [name for name in models.NAMES if "vgg16" not in name])
def test_a_model_can_be_built_for_a_sample_and_again_from_its_configuration(name: str) -> None:
    with init.skipped():
        model = models.for_sample(name, models.INPUTS[name])
        stored = json.loads(json.dumps(model.config))
        again = models.create(**stored)
    assert model.config["name"] == name
    assert repr(again) == repr(model) and again.config == model.config
    assert [(k, v.shape) for k, v in again.state_dict().items()] == [
        (k, v.shape) for k, v in model.state_dict().items()
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("resnet20", {}, (3, 32, 32)),
        ("resnet18", {}, (3, 40, 33)),
        ("densenet100", {}, (3, 8, 8)),
        ("mobilenet_v2", {}, (3, 32, 32)),
        ("unet", {"base": 4}, (1, 33, 40)),
        ("edsr", {"features": 8, "blocks": 2}, (3, 9, 8)),
        ("tcn", {}, (1, 70)),
        ("c3d", {"base": 4}, (3, 5, 9, 16)),
        ("resnet50", {"classes": 10}, (3, 32, 32)),
        ("densenet121", {"classes": 10}, (3, 32, 32)),
        ("mobilenet_v2", {"classes": 10, "image_size": 8}, (3, 8, 8)),
        ("unet", {"base": 4, "norm": True}, (1, 16, 16)),
        ("dcgan_generator", {"width": 4}, (100, 1, 1)),
        ("dcgan_discriminator", {"width": 4}, (3, 64, 64)),
    ],
)
def test_a_samples_result_is_the_same_bits_in_any_batch(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    tw.manual_seed(0)
    model = models.create(name, **arguments).eval()
    samples = tw.randn(7, *shape)
    with tw.no_grad():
        together = model(samples).numpy()
        assert np.isfinite(together).all() and together.std() > 0
        for first, last in ((0, 1), (1, 3), (3, 7)):
            assert model(samples[first:last]).numpy().tobytes() == together[first:last].tobytes()


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn"])
def test_a_large_networks_result_is_the_same_bits_in_any_batch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its dense layers have a hundred million weights, and nothing else that other networks lack.
    monkeypatch.setattr("tilewright.nn.models.vgg._DENSE", 64)
    test_a_samples_result_is_the_same_bits_in_any_batch(name, {"classes": 10}, (3, 32, 32))


@pytest.mark.parametrize(
    ("size", "halvings", "least"),
    # Five halvings down to the 3×3 of the smallest images in the paper, then one less each time.
    [
        (224, 5, 7),
        (96, 5, 3),
        (80, 5, 3),
        (64, 4, 4),
        (32, 3, 4),
        (28, 3, 4),
        (8, 1, 4),
        (4, 0, 4),
        (1, 0, 1),
    ],
)
def test_small_images_are_halved_less_often(size: int, halvings: int, least: int) -> None:
    model = built("mobilenet_v2", classes=4, image_size=size).eval()
    strides = [layer.stride for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert strides.count((2, 2)) == halvings and len(strides) == 52
    assert model.config["image_size"] == size
    assert tuple(model.features(tw.zeros(1, 3, size, size)).shape) == (1, 1280, least, least)
    # The same weights for all sizes.
    shapes = [(k, v.shape) for k, v in model.state_dict().items()]
    assert shapes == [(k, v.shape) for k, v in built("mobilenet_v2", classes=4).state_dict().items()]


def test_the_first_halvings_are_those_left_out() -> None:
    model = built("mobilenet_v2", image_size=32)
    assert model.features[0][0].stride == (1, 1) and model.features[2].conv[1][0].stride == (1, 1)
    for place in (4, 7, 14):
        assert model.features[place].conv[1][0].stride == (2, 2), place
    # A sample's own size decides, and the shorter side of it.
    small: Any = models.for_sample("mobilenet_v2", (3, 224, 8))
    assert small.config["image_size"] == [224, 8]
    assert small.features(tw.zeros(1, 3, 224, 8)).shape == (1, 1280, 112, 4)


def test_residual_blocks_pass_their_input_on_where_they_add_nothing() -> None:
    block = built("resnet20").layer2[0].eval()
    x = np.random.default_rng(0).random((1, 16, 5, 7), np.float32)
    # Weights of zeros: only the way around is left, every other pixel between eight channels of zeros.
    y = block(tw.tensor(x)).detach().numpy()
    expected = np.zeros((1, 32, 3, 4), np.float32)
    expected[:, 8:24] = x[:, :, ::2, ::2]
    assert_same(y, expected, rtol=0, atol=0, reason="copied")


def test_mean_colours_are_taken_off_and_added_again() -> None:
    model = built("edsr", features=4, blocks=1, value_range=255)
    # Weights of zeros: the mean colour of the training images is all that is left.
    y = model(tw.zeros(1, 3, 2, 2)).detach().numpy()
    expected = np.array([114.444, 111.4605, 103.02], np.float32)[:, None, None]
    assert_same(y, np.broadcast_to(expected, (1, 3, 4, 4)), rtol=1e-6, atol=0, reason="one float32 product")
    off = model.sub_mean(tw.tensor(np.broadcast_to(expected, (1, 3, 2, 2))))
    assert_same(off, np.zeros((1, 3, 2, 2), np.float32), rtol=0, atol=1e-5, reason="one float32 difference")
    assert not any(p.requires_grad for p in (*model.sub_mean.parameters(), *model.add_mean.parameters()))
    assert isinstance(built("edsr", in_channels=1, features=4, blocks=1).sub_mean, nn.Identity)


def test_the_weights_of_a_generator_start_as_in_the_paper() -> None:
    tw.manual_seed(0)
    model = models.dcgan_generator()
    first, norm = model.main[0].weight.detach().numpy(), model.main[1].weight.detach().numpy()
    # The deviation of n values is known to one part in √(2n).
    assert first.std() == pytest.approx(0.02, rel=4 / math.sqrt(2 * first.size))
    assert norm.mean() == pytest.approx(1, abs=4 * 0.02 / math.sqrt(norm.size))
    assert norm.std() == pytest.approx(0.02, rel=4 / math.sqrt(2 * norm.size))


@pytest.mark.parametrize(("levels", "kernel"), [(1, 2), (3, 3), (4, 2)])
def test_a_causal_network_sees_its_reach_and_nothing_to_come(levels: int, kernel: int) -> None:
    tw.manual_seed(0)
    model = models.tcn(width=4, levels=levels, kernel=kernel, per_step=True).double()
    assert model.reach == 1 + 2 * (kernel - 1) * (2**levels - 1)
    length, at = model.reach + 12, model.reach + 4
    x = tw.randn(1, 1, length, dtype=tw.float64).requires_grad_()
    # Smooth in place of cut off: a gradient of zero then means that there is no way, not that it is shut.
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
    model(x)[0, :, at].sum().backward()
    seen = np.flatnonzero(x.grad.numpy()[0, 0])
    assert (seen.min(), seen.max()) == (at - model.reach + 1, at)
    both = models.tcn(width=4, levels=levels, kernel=kernel, causal=False, per_step=True)
    answer = both(tw.zeros(1, 1, length))
    later = tw.zeros(1, 1, length)
    later[0, 0, at + 1] = 9.0
    assert not np.array_equal(both(later).detach().numpy()[..., at], answer.detach().numpy()[..., at])


def learns(model: nn.Module, x: Any, loss_of: Callable[[Any], Any], lr: float, steps: int) -> float:
    """The last loss as a part of the first."""
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[-1] / losses[0]


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("resnet20", {"in_channels": 1}, (8, 1, 8, 8)),
        ("tcn", {"width": 8, "levels": 3}, (8, 1, 20)),
        ("c3d", {"in_channels": 1, "base": 4}, (8, 1, 4, 8, 8)),
    ],
)
def test_classifiers_learn_a_handful_by_heart(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    tw.manual_seed(0)
    x = tw.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    target = tw.tensor(np.arange(shape[0]))
    loss = nn.CrossEntropyLoss()
    assert learns(models.create(name, **arguments), x, lambda y: loss(y, target), 3e-3, 40) < 0.5


def test_a_unet_learns_where_a_square_is() -> None:
    tw.manual_seed(0)
    numbers = np.random.default_rng(0)
    x = numbers.normal(0, 0.3, (6, 1, 16, 16)).astype(np.float32)
    inside = np.zeros((6, 16, 16), np.int64)
    for n, (top, left) in enumerate(numbers.integers(0, 10, (6, 2))):
        inside[n, top : top + 6, left : left + 6] = 1
    x[:, 0] += inside
    loss, target = nn.CrossEntropyLoss(), tw.tensor(inside)
    model = models.unet(base=4, levels=2)
    assert learns(model, tw.tensor(x), lambda y: loss(y, target), 1e-2, 60) < 0.3
    found = model(tw.tensor(x)).detach().numpy().argmax(1)
    assert (found & inside).sum() / (found | inside).sum() > 0.8


def test_a_super_resolution_network_learns_an_image() -> None:
    tw.manual_seed(0)
    large = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    small = large.reshape(2, 3, 8, 2, 8, 2).mean((3, 5))
    target = tw.tensor(large)
    model = models.edsr(features=8, blocks=2)
    before = model.add_mean.bias.detach().numpy().copy()
    assert learns(model, tw.tensor(small), lambda y: (y - target).abs().mean(), 1e-2, 60) < 0.7
    assert np.array_equal(model.add_mean.bias.detach().numpy(), before)


def test_a_pair_of_adversaries_takes_a_step() -> None:
    tw.manual_seed(0)
    generator = models.dcgan_generator(latent=8, width=4)
    discriminator = models.dcgan_discriminator(width=4)
    loss = nn.BCELoss()
    images = generator(tw.randn(4, 8, 1, 1))
    assert images.min().item() > -1 and images.max().item() < 1
    loss(discriminator(images), tw.ones(4)).backward()
    assert all(p.grad is not None and p.grad.any().item() for p in generator.parameters())


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (
            lambda: models.vgg11(image_size=31),
            ArgumentError,
            "vgg11 needs an image of at least 32×32. Received: image_size=31.",
        ),
        (
            lambda: models.vgg16_bn(dropout=2),
            ArgumentError,
            "vgg16_bn needs dropout to be a finite number, at least 0 and at most 1. Received:",
        ),
        (lambda: models.VGG(13), ArgumentError, "VGG needs layers to be 11 or 16. Received: layers=13."),
        (
            lambda: models.densenet121(image_size=(28, 40)),
            ArgumentError,
            "densenet121 needs an image of at least 29×29. Received: image_size=(28, 40).",
        ),
        (
            lambda: models.DenseNet("densenet"),
            ArgumentError,
            "DenseNet needs name to be one of 'densenet121', 'densenet100'. Received: name='densenet'.",
        ),
        (
            lambda: models.ResNet("resnet101"),
            ArgumentError,
            "ResNet needs name to be one of 'resnet18', 'resnet34', 'resnet50'. Received: name='resnet101'.",
        ),
        (
            lambda: models.resnet18(classes="10"),
            ArgumentError,
            "resnet18 needs classes to be an integer. Received: classes='10'.",
        ),
        (
            lambda: models.resnet20(in_channels=0),
            ArgumentError,
            "resnet20 needs in_channels to be at least 1. Received: in_channels=0.",
        ),
        (
            lambda: models.mobilenet_v2(image_size=0),
            ArgumentError,
            "mobilenet_v2 needs image_size to be at least 1. Received: image_size=0.",
        ),
        (
            lambda: models.mobilenet_v2(classes=None),
            ArgumentError,
            "mobilenet_v2 needs classes to be an integer. Received: classes=None.",
        ),
        (
            lambda: models.unet(levels=9),
            ArgumentError,
            "unet needs levels to be at most 8. Received: levels=9.",
        ),
        (
            lambda: models.unet(base=2)(tw.zeros(1, 1, 15, 40)),
            ShapeError,
            "unet needs an image of at least 16×16. Received: input with shape (1, 1, 15, 40)",
        ),
        (
            lambda: models.edsr(scale=5),
            ArgumentError,
            "edsr needs scale to be one of 1, 2, 3, 4, 8. Received: scale=5.",
        ),
        (
            lambda: models.edsr(scale=[2]),
            ArgumentError,
            "edsr needs scale to be one of 1, 2, 3, 4, 8. Received: scale=[2].",
        ),
        (
            lambda: models.edsr(blocks=257),
            ArgumentError,
            "edsr needs blocks to be at most 256. Received: blocks=257.",
        ),
        (
            lambda: models.edsr(residual_scale="no"),
            ArgumentError,
            "edsr needs residual_scale to be a finite number, at least 0.",
        ),
        (
            lambda: models.tcn(levels=17),
            ArgumentError,
            "tcn needs levels to be at most 16. Received: levels=17.",
        ),
        (
            lambda: models.c3d(base=1)(tw.zeros(1, 3, 3, 8, 8)),
            ShapeError,
            "c3d needs clips of at least 4 frames of 8×8. Received: input with shape (1, 3, 3, 8, 8)",
        ),
        (
            lambda: models.dcgan_discriminator(width=1)(tw.zeros(1, 3, 80, 80)),
            ShapeError,
            "dcgan_discriminator needs images of 64×64. Received: input with shape (1, 3, 80, 80)",
        ),
        (
            lambda: models.for_sample("resnet20", (32, 32)),
            ArgumentError,
            "resnet20 takes samples of (channels, height, width). Received: shape=(32, 32).",
        ),
        (
            lambda: models.for_sample("c3d", (3, 16, 16)),
            ArgumentError,
            "c3d takes samples of (channels, frames, height, width). Received: shape=(3, 16, 16).",
        ),
        (
            lambda: models.for_sample("dcgan_generator", (9, 1, 2)),
            ArgumentError,
            "dcgan_generator takes samples of (numbers, 1, 1). Received: shape=(9, 1, 2).",
        ),
        (
            lambda: models.for_sample("resnet20", 32),
            ArgumentError,
            "for_sample needs the shape of a sample as a tuple. Received: shape=32.",
        ),
        (
            lambda: models.for_sample("resnet21", (3, 32, 32)),
            ArgumentError,
            "The models are digitnet, lenet5, autoencoder, resnet20,",
        ),
        (
            lambda: models.for_sample("resnet20", (3, 32, 32), depth=4),
            ArgumentError,
            "resnet20 takes the arguments in_channels, classes. Received: depth=4.",
        ),
    ],
)
def test_refusals(build: Callable[[], Any], kind: type[TilewrightError], message: str) -> None:
    with pytest.raises(kind) as error:
        build()
    assert str(error.value).startswith(message)


def test_batches_are_asked_for_by_their_axes() -> None:
    for name, shape, axes in [
        ("unet", (1, 32, 32), "rank 4 (batch, channels, height, width)"),
        ("vgg11", (3, 32, 32), "rank 4 (batch, channels, height, width)"),
        ("densenet100", (3, 32, 32), "rank 4 (batch, channels, height, width)"),
        ("tcn", (1, 32), "rank 3 (batch, channels, length)"),
        ("c3d", (3, 8, 8, 8), "rank 5 (batch, channels, frames, height, width)"),
    ]:
        with pytest.raises(ShapeError) as error:
            built(name)(tw.zeros(*shape))
        assert str(error.value) == (
            f"{name} needs input of {axes}. Received: input with shape {shape} and dtype float32. "
            "For a single sample: input[None]."
        )
    with pytest.raises(ShapeError, match=r"^vgg11 needs an image of at least 32×32. Received: input with"):
        built("vgg11")(tw.zeros(1, 3, 32, 31))
    with pytest.raises(ShapeError, match=r"^densenet121 needs an image of at least 29×29. Received: input"):
        built("densenet121")(tw.zeros(1, 3, 28, 32))
    with pytest.raises(
        ShapeError, match=r"^tcn needs sequences of at least one sample. Received: input with"
    ):
        built("tcn")(tw.zeros(1, 1, 0))


@pytest.mark.parametrize("name", [name for name in models.NAMES if "16" not in name])
def test_a_wrong_input_never_meets_an_error_of_python_or_numpy(name: str) -> None:
    narrow: dict[str, dict[str, int]] = {"unet": {"base": 2}, "edsr": {"features": 4, "blocks": 1}}
    with init.skipped():
        model = models.for_sample(name, models.INPUTS[name], **narrow.get(name, {})).eval()
    channels, *sizes = models.INPUTS[name]
    empty = [0] * len(sizes)
    right = np.zeros((1, channels, *sizes), np.float32)
    for wrong in (
        None, "images", [1.0], 3, np.zeros((), np.float32), np.zeros(3, np.float32), right[None],
        right.astype(np.int32), right.astype(np.float64), right.astype(object), tw.zeros(2, 2),
        np.zeros((1, channels + 1, *sizes), np.float32), np.zeros((1, 0, *sizes), np.float32),
        np.zeros((1, channels, *empty), np.float32),
    ):  # fmt: skip
        with pytest.raises(TilewrightError):
            model(wrong)


def test_a_model_may_be_limited_before_it_takes_room() -> None:
    with limited(269_722 + 1_376 + 5):
        # 1,376 running statistics stand beside the parameters.
        models.resnet20()
    # All but the last batch norm (4 · 64 values) and the dense layer (650) have been made by then.
    with pytest.raises(ParameterLimitError) as error, limited(269_722):
        models.resnet20()
    assert str(error.value) == (
        "Conv2d needs to be within the number of values that a model may have here. "
        "Received: a weight of shape (64, 64, 3, 3), 470 values too many."
    )
    with pytest.raises(ParameterLimitError, match="a weight of shape"), limited(10**6):
        nn.Linear(2**30, 2**30)
    assert nn.Linear(3, 2).weight.shape == (2, 3)


def test_skipped_starts_draw_nothing() -> None:
    tw.manual_seed(3)
    with init.skipped():
        model = models.dcgan_discriminator(width=2)
        assert init.is_skipped()
    assert not init.is_skipped()
    drawn = tw.rand(3)
    tw.manual_seed(3)
    assert drawn.equal(tw.rand(3))
    assert not any(layer.weight.any().item() for layer in model.modules() if isinstance(layer, nn.Conv2d))
