"""The ready models beside PyTorch's: the same keys and shapes, files that both read, the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.nn import Module, init, models
from tilewright.train import checkpoint

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
from torch_twins import TWINS  # noqa: E402 - after the skip

# Its threads cost more than these small images do.
torch.set_num_threads(1)

DEEP = {"rtol": 1e-8, "atol": 1e-10, "reason": "some dozens of layers in float64, each sum in another order"}
OURS = ("digitnet", "lenet5", "autoencoder")  # drawn here, so there is nobody to compare them with


def shapes(state: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in state.items()]


def test_every_published_model_has_a_twin() -> None:
    assert set(TWINS) == set(models.NAMES) - set(OURS)


@pytest.mark.parametrize("name", sorted(TWINS))
def test_states_have_the_published_names_and_shapes(name: str) -> None:
    with torch.device("meta"), init.skipped():
        ours, theirs = models.create(name), TWINS[name]()
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert [(n, p.requires_grad) for n, p in ours.named_parameters()] == [
        (n, p.requires_grad) for n, p in theirs.named_parameters()
    ]


def pair(name: str, own: dict[str, Any], its: dict[str, Any]) -> tuple[Any, Any]:
    """A model and its twin with the same weights and statistics, in float64."""
    torch.manual_seed(0)
    theirs = TWINS[name](**its).double()
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    with init.skipped():
        ours = models.create(name, **own).double()
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


# (name, arguments here, arguments there, shape of a small input)
CASES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[int, ...]]] = [
    ("resnet20", {}, {}, (2, 3, 16, 16)),
    ("resnet20", {"in_channels": 1, "classes": 4}, {"channels": 1, "classes": 4}, (2, 1, 9, 14)),
    ("resnet18", {"classes": 7}, {"classes": 7}, (2, 3, 40, 33)),
    ("resnet50", {"classes": 7}, {"classes": 7}, (1, 3, 32, 32)),
    ("densenet100", {"image_size": 8}, {}, (2, 3, 8, 8)),
    ("densenet121", {"classes": 5, "image_size": 32}, {"classes": 5}, (1, 3, 32, 32)),
    ("mobilenet_v2", {"classes": 6}, {"classes": 6}, (2, 3, 33, 32)),
    ("unet", {"base": 8}, {"base": 8}, (1, 1, 37, 48)),
    (
        "unet",
        {"in_channels": 3, "base": 4, "levels": 2, "norm": True, "classes": 1},
        {"channels": 3, "base": 4, "levels": 2, "norm": True, "classes": 1},
        (2, 3, 16, 13),
    ),
    ("edsr", {"features": 16, "blocks": 3}, {"f": 16, "blocks": 3}, (2, 3, 9, 12)),
    ("edsr", {"scale": 3, "features": 8, "blocks": 2}, {"scale": 3, "f": 8, "blocks": 2}, (1, 3, 8, 7)),
    ("edsr", {"scale": 4, "features": 8, "blocks": 2}, {"scale": 4, "f": 8, "blocks": 2}, (1, 3, 8, 7)),
    ("dcgan_generator", {"latent": 20, "width": 8}, {"nz": 20, "ngf": 8}, (3, 20, 1, 1)),
    ("dcgan_discriminator", {"width": 8}, {"ndf": 8}, (3, 3, 64, 64)),
    ("tcn", {"width": 8}, {"width": 8}, (2, 1, 70)),
    (
        "tcn",
        {"in_channels": 8, "width": 8, "causal": False},
        {"channels": 8, "width": 8, "causal": 0},
        (2, 8, 50),
    ),
    ("c3d", {"base": 4}, {"base": 4}, (2, 3, 5, 16, 19)),
]


@pytest.mark.parametrize(("name", "own", "its", "shape"), CASES)
def test_computes_and_learns_what_pytorch_does(
    name: str, own: dict[str, Any], its: dict[str, Any], shape: tuple[int, ...]
) -> None:
    ours, theirs = pair(name, own, its)
    x = np.random.default_rng(0).standard_normal(shape)
    ours.eval(), theirs.eval()
    with tw.no_grad(), torch.no_grad():
        assert_same(ours(tw.tensor(x)), theirs(torch.tensor(x)), **DEEP)
    for module in (*ours.modules(), *theirs.modules()):
        if "Dropout" not in type(module).__name__:
            module.training = True
    mine, other = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    if shape[0] == 1 and any("BatchNorm" in type(module).__name__ for module in ours.modules()):
        # The deepest maps are a single pixel each, of which batch norm makes 0 and PyTorch an error.
        ours.eval(), theirs.eval()
    y, z = ours(mine), theirs(other)
    # Batch norm over a handful of pixels divides by what is nearly nothing, which magnifies rounding.
    loose = {**DEEP, "rtol": 1e-6, "atol": 1e-8}
    assert_same(y, z, **loose)
    (y * y).sum().backward()
    (z * z).sum().backward()
    scale = float(other.grad.abs().max())
    assert_same(mine.grad, other.grad, **{**loose, "atol": 1e-6 * scale})
    for (key, p), (its_key, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert key == its_key
        if q.grad is None:
            assert p.grad is None, key
            continue
        scale = max(float(q.grad.abs().max()), 1e-3)
        assert_same(p.grad, q.grad, **{**loose, "atol": 1e-6 * scale})
    state = theirs.state_dict()
    for key, value in ours.state_dict().items():
        assert_same(value, state[key].numpy(), **loose)


def test_vgg11_computes_what_pytorch_does() -> None:
    with torch.device("meta"), init.skipped():
        ours, theirs = models.vgg11(), TWINS["vgg11"]()
    numbers = np.random.default_rng(0).standard_normal(100_003, np.float32)
    state = {name: value.numpy() for name, value in ours.state_dict().items()}
    for value in state.values():
        # Of a size with which 132 million numbers neither fade nor grow from layer to layer.
        value[...] = np.resize(numbers, value.shape) * np.sqrt(2 / max(value[0].size, 1), dtype=np.float32)
    # Both hold the same memory.
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, assign=True)
    ours.eval(), theirs.eval()
    x = np.random.default_rng(1).standard_normal((1, 3, 32, 48), np.float32)
    with tw.no_grad(), torch.no_grad():
        y, z = ours(tw.tensor(x)), theirs(torch.tensor(x))
    scale = float(z.abs().max())
    assert scale > 0.1
    assert_same(y, z, rtol=1e-4, atol=1e-4 * scale, reason="eleven layers in float32, sums of up to 25,088")


@pytest.mark.parametrize(
    ("name", "own", "its"),
    [
        ("resnet20", {}, {}),
        ("densenet100", {}, {}),
        ("unet", {"base": 4, "norm": True}, {"base": 4, "norm": True}),
        ("edsr", {"features": 8, "blocks": 2}, {"f": 8, "blocks": 2}),
        ("tcn", {}, {}),
    ],
)
def test_a_file_goes_both_ways(name: str, own: dict[str, Any], its: dict[str, Any], tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    torch.manual_seed(1)
    theirs: Any = TWINS[name](**its)
    there, back = tmp_path / "there.safetensors", tmp_path / "back.safetensors"
    safetensors.save_file(theirs.state_dict(), there)
    ours: Module = models.create(name, **own)
    assert ours.load_state_dict(checkpoint.load(there).tensors) == ([], [])
    given = theirs.state_dict()
    for key, value in ours.state_dict().items():
        assert_same(value, given[key].numpy(), rtol=0, atol=0, reason="copied")
    checkpoint.save(back, {key: value.numpy() for key, value in ours.state_dict().items()}, {})
    again: Any = TWINS[name](**its)
    found = again.load_state_dict(safetensors.load_file(back))
    assert not found.missing_keys and not found.unexpected_keys
    for key, value in again.state_dict().items():
        assert torch.equal(value, given[key]), key
