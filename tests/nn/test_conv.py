"""Convolution layers beyond what PyTorch takes: any rank, every padding, named initialisers; and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn
from tilewright.errors import ArgumentError, DtypeError, ShapeError, TilewrightError
from tilewright.nn import functional as F

# The same products, summed in an order that depends on the geometry.
SAME = {"rtol": 1e-5, "atol": 1e-6, "reason": "float32 sums of some tens of products in two orders"}


def test_rank_comes_from_the_kernel_or_is_given() -> None:
    by_tuple = nn.Conv(2, 3, (3, 1, 2, 3), padding="same")
    assert by_tuple.rank == 4
    assert by_tuple(tw.zeros(1, 2, 4, 2, 3, 5)).shape == (1, 3, 4, 2, 3, 5)
    given = nn.Conv(2, 3, 3, rank=2)
    assert given.kernel_size == (3, 3)
    assert repr(given) == "Conv(2, 3, kernel_size=(3, 3), stride=(1, 1))"
    assert nn.Conv(2, 3, 3, rank=1).weight.shape == (3, 2, 3)
    assert nn.Conv2d(2, 3, 3, rank=2).rank == 2
    up = nn.ConvTranspose(2, 4, (2, 2, 2, 2), stride=2)
    assert up(tw.zeros(1, 2, 2, 1, 3, 2)).shape == (1, 4, 4, 2, 6, 4)
    assert isinstance(nn.Conv2d(1, 1, 1), nn.Conv)
    assert isinstance(nn.ConvTranspose1d(1, 1, 1), nn.ConvTranspose)


def test_any_rank_is_the_fixed_rank_layer() -> None:
    fixed = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2)
    free = nn.Conv(2, 4, (3, 3), stride=2, padding=1, groups=2)
    free.load_state_dict(fixed.state_dict())
    x = tw.randn(2, 2, 6, 7)
    assert np.array_equal(free(x).detach().numpy(), fixed(x).detach().numpy())


@pytest.mark.parametrize(
    ("padding", "kept", "printed"),
    [
        (1, (1, 1), "padding=(1, 1)"),
        ((1, 2), (1, 2), "padding=(1, 2)"),
        ([2, 0], (2, 0), "padding=(2, 0)"),
        (((1, 1), (2, 2)), (1, 2), "padding=(1, 2)"),
        (((0, 1), (2, 2)), ((0, 1), (2, 2)), "padding=((0, 1), (2, 2))"),
        ("causal", "causal", "padding=causal"),
        (0, (0, 0), None),
        ("full", "full", "padding=full"),
    ],
)
def test_padding_is_kept_in_its_least_form(padding: Any, kept: Any, printed: str | None) -> None:
    layer = nn.Conv2d(1, 1, 3, padding=padding)
    assert layer.padding == kept
    assert (printed in repr(layer)) if printed else ("padding" not in repr(layer))
    x = tw.randn(1, 1, 5, 6)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=padding)
    assert np.array_equal(layer(x).detach().numpy(), expected.detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", "same_lower", "causal", ((2, 0), (1, 3)), (1, 2)])
def test_padding_modes_pad_first(mode: str, padding: Any) -> None:
    layer = nn.Conv2d(2, 3, (3, 4), stride=(2, 1), padding=padding, padding_mode=mode)
    x = tw.randn(2, 2, 6, 5)
    pairs = layer.dims(x.shape).padding
    sides = (*pairs[1], *pairs[0])
    expected = F.conv2d(F.pad(x, sides, mode=mode), layer.weight, layer.bias, stride=(2, 1))
    assert_same(layer(x), expected, **SAME)
    assert tuple(layer(x).shape) == layer.dims(x.shape).output_shape


def test_padding_modes_without_a_batch() -> None:
    layer = nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular")
    x = tw.randn(2, 5)
    assert_same(layer(x), layer(x[None])[0], **SAME)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 4, "stride": 2, "padding": "same"},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": 5, "stride": 3, "padding": ((0, 2),)},
        {"kernel_size": 5, "stride": 1, "padding": ((-1, 4),)},
        {"kernel_size": 3, "stride": 2, "dilation": 2},
    ],
)
def test_a_transposed_layer_is_the_adjoint_of_the_layer_of_its_mode(
    mode: str, arguments: dict[str, Any]
) -> None:
    back = nn.ConvTranspose1d(3, 2, padding_mode=mode, dtype=tw.float64, **arguments)
    arguments = {name: value for name, value in arguments.items() if name != "output_padding"}
    forward = nn.Conv1d(2, 3, padding_mode=mode, dtype=tw.float64, bias=False, **arguments)
    with tw.no_grad():
        back.weight.copy_(forward.weight)
    y = tw.randn(2, 3, 7, dtype=tw.float64)
    up = back(y) - back.bias.reshape(-1, 1)
    x = tw.randn(*up.shape, dtype=tw.float64)
    assert forward(x).shape == y.shape
    assert_same(
        (forward(x) * y).sum(),
        (x * up).sum(),
        rtol=1e-12,
        atol=1e-12,
        reason="float64 sums of some hundred products",
    )


def test_a_circular_transposed_layer_goes_round() -> None:
    layer = nn.ConvTranspose1d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    with tw.no_grad():
        layer.weight.copy_(tw.tensor([[[1.0, 2.0, 3.0]]]))
    # The kernel laid down at the first sample: what leaves at the start comes in at the end.
    assert layer(tw.tensor([[[1.0, 0.0, 0.0, 0.0]]])).tolist() == [[[2.0, 3.0, 0.0, 1.0]]]


def test_output_size_chooses_the_output_padding() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=(2, 3))
    x = tw.zeros(1, 1, 4, 4)
    assert layer(x).shape == (1, 1, 9, 12)
    assert layer(x, output_size=(10, 14)).shape == (1, 1, 10, 14)
    assert layer(x, output_size=tw.zeros(1, 1, 9, 13).shape).shape == (1, 1, 9, 13)
    with pytest.raises(ShapeError) as error:
        layer(x, output_size=(11, 12))
    assert str(error.value) == (
        "ConvTranspose2d reaches output sizes from (9, 12) to (10, 14) from this input. "
        "Received: input with shape (1, 1, 4, 4), output_size=(11, 12)."
    )


def test_output_size_agrees_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")
    theirs = torch.nn.ConvTranspose2d(2, 3, 3, stride=(2, 3), padding=1)
    ours = nn.ConvTranspose2d(2, 3, 3, stride=(2, 3), padding=1)
    ours.load_state_dict({k: v.detach().numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4)).astype(np.float32)
    assert_same(ours(tw.tensor(x), output_size=(8, 11)), theirs(torch.tensor(x), output_size=(8, 11)), **SAME)


def test_dims_know_the_geometry() -> None:
    layer = nn.Conv2d(3, 64, 7, stride=2, padding=3)
    dims = layer.dims((1, 3, 224, 224))
    assert dims.output == (112, 112)
    assert layer.dims((3, 224, 224)) == dims
    assert dims.parameters == layer.weight.numel()
    assert nn.ConvTranspose2d(8, 4, 3, 2).dims((1, 8, 5, 5)).spatial == (11, 11)


def test_initialisers_by_name_start_the_bias_at_zero() -> None:
    tw.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3, init="glorot")
    bound = (6 / (9 * (8 + 16))) ** 0.5
    weight = layer.weight.detach().numpy()
    assert np.abs(weight).max() <= bound and np.abs(weight).max() > 0.98 * bound
    assert not layer.bias.detach().numpy().any()
    given = nn.Conv2d(1, 1, 2, init=lambda weight: nn.init.constant_(weight, 0.25))
    assert given.weight.detach().numpy().tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    with tw.no_grad():
        given.weight.fill_(9.0)
        given.bias.fill_(9.0)
    given.reset_parameters()
    assert given.weight.sum().item() == 1 and given.bias.item() == 0


@pytest.mark.parametrize("build", [lambda d: nn.Conv2d(2, 3, 3, dtype=d), lambda d: nn.Linear(4, 5, dtype=d)])
def test_dtype_of_parameters(build: Any) -> None:
    assert build(None).weight.dtype == np.float32
    assert build(tw.float64).bias.dtype == np.float64
    assert build("float64").weight.dtype == np.float64
    with pytest.raises(
        DtypeError, match=r"needs a floating dtype, such as float32. Received: dtype=dtype.'int64'.."
    ):
        build(tw.int64)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Conv2d(0, 3, 3), "Conv2d needs in_channels to be at least 1. Received: in_channels=0."),
        (
            lambda: nn.Conv2d(3, 3.0, 3),
            "Conv2d needs out_channels to be an integer. Received: out_channels=3.0.",
        ),
        (lambda: nn.Conv2d(3, 4, 3, groups=0), "Conv2d needs groups to be at least 1. Received: groups=0."),
        (
            lambda: nn.Conv2d(3, 4, 3, groups=2),
            "Conv2d needs in_channels to be divisible by groups. Received: in_channels=3, groups=2.",
        ),
        (
            lambda: nn.ConvTranspose2d(4, 3, 3, groups=2),
            "ConvTranspose2d needs out_channels to be divisible by groups. "
            "Received: out_channels=3, groups=2.",
        ),
        (
            lambda: nn.Conv2d(1, 1, (3, 3, 3)),
            "Conv2d needs kernel_size to be an integer or 2 of them, one per spatial axis. Received: "
            "kernel_size=(3, 3, 3).",
        ),
        (lambda: nn.Conv2d(1, 1, 0), "Conv2d needs kernel_size to be at least 1. Received: kernel_size=0."),
        (lambda: nn.Conv3d(1, 1, 3, stride=0), "Conv3d needs stride to be at least 1. Received: stride=0."),
        (lambda: nn.Conv1d(1, 1, 3, dilation=(1, 2)), "Conv1d needs dilation to be an integer or 1 of them"),
        (lambda: nn.Conv2d(1, 1, 3, padding="sane"), "Conv2d knows the padding names 'valid', 'same'"),
        (lambda: nn.Conv2d(1, 1, 3, padding=(1, 2, 3)), "Conv2d needs padding to be an integer, 2 integers"),
        (
            lambda: nn.Conv2d(1, 1, 3, padding_mode="zero"),
            "Conv2d needs padding_mode to be one of 'zeros', 'reflect', 'replicate', 'circular'. Received: "
            "padding_mode='zero'.",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, output_padding=-1),
            "ConvTranspose2d needs output_padding to be at least 0. Received: output_padding=-1.",
        ),
        (
            lambda: nn.Conv2d(1, 1, 3, device="cuda"),
            "Conv2d knows only the device 'cpu'. Received: device='cuda'.",
        ),
        (
            lambda: nn.Conv(1, 1, 3),
            "Conv needs kernel_size with one integer per spatial axis, or "
            "rank beside a single one. Received: "
            "kernel_size=3. For two axes: Conv(…, kernel_size=(3, 3)) or Conv(…, kernel_size=3, rank=2).",
        ),
        (lambda: nn.Conv(1, 1, (3, 3), rank=3), "Conv needs kernel_size to be an integer or 3 of them"),
        (lambda: nn.Conv2d(1, 1, 3, rank=3), "Conv2d has rank 2. Received: rank=3. Conv takes any rank."),
        (
            lambda: nn.Conv2d(1, 1, 3, init="golrot"),
            "Conv2d needs init to be one of 'glorot', 'glorot_uniform'",
        ),
        (
            lambda: nn.Linear(2, 2, init=3),
            "Linear needs init to be a name or a function. Received: init=3.",
        ),
        (lambda: nn.Linear(0, 3), "Linear needs in_features to be at least 1. Received: in_features=0."),
        (
            lambda: nn.Linear(3, True),
            "Linear needs out_features to be an integer. Received: out_features=True.",
        ),
    ],
)
def test_refuses_bad_arguments(build: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        build()
    assert str(error.value).startswith(message)


def test_refuses_input_that_does_not_fit() -> None:
    for layer, shape, name in (
        (nn.Conv2d(3, 4, 3), (1, 2, 5, 5), "conv2d"),
        (nn.Conv2d(3, 4, 3), (5, 5), "conv2d"),
        (nn.ConvTranspose1d(3, 4, 3), (1, 2, 5), "conv_transpose1d"),
        (nn.Conv3d(1, 1, 3), (1, 1, 2, 5, 5), "conv3d"),
        (nn.Linear(3, 4), (1, 2), "linear"),
    ):
        with pytest.raises(ShapeError, match=f"^{name} needs"):
            layer(tw.zeros(*shape))


def test_arrays_are_taken_and_give_tensors() -> None:
    layer = nn.Conv2d(1, 2, 3)
    y = layer(np.zeros((1, 1, 4, 4), np.float32))
    assert isinstance(y, tw.Tensor) and y.requires_grad


def test_errors_are_one_family() -> None:
    with pytest.raises(TilewrightError):
        nn.Conv2d(1, 1, -1)
