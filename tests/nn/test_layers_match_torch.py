"""Every layer beside PyTorch's: what it prints, what its state holds, what it computes, what it learns."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright import nn

torch = pytest.importorskip("torch", reason="needs PyTorch, to compare with")

# Sums of a few hundred float32 products, in another order on each side.
RTOL, ATOL = 1e-4, 1e-5
REASON = "float32 sums of a few hundred products in two orders"

# (how both libraries build the layer, shape of its input)
LAYERS: list[tuple[str, tuple[int, ...]]] = [
    ("nn.Conv1d(3, 4, 3)", (2, 3, 9)),
    ("nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False)", (2, 4, 11)),
    ("nn.Conv2d(3, 4, 3)", (2, 3, 7, 6)),
    ("nn.Conv2d(3, 4, (3, 2), (2, 1), (1, 0), (1, 2))", (2, 3, 8, 9)),
    ("nn.Conv2d(4, 8, 3, padding='same', groups=4)", (2, 4, 6, 5)),
    ("nn.Conv2d(4, 8, 3, padding='valid')", (2, 4, 6, 5)),
    ("nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode='reflect')", (2, 2, 6, 5)),
    ("nn.Conv2d(2, 3, 3, padding=1, padding_mode='replicate')", (2, 2, 6, 5)),
    ("nn.Conv2d(2, 3, 4, padding='same', padding_mode='circular')", (2, 2, 6, 5)),
    ("nn.Conv1d(2, 3, 3, padding=2, padding_mode='reflect')", (2, 2, 6)),
    ("nn.Conv3d(2, 3, 2, padding=1, padding_mode='circular')", (2, 2, 4, 5, 3)),
    ("nn.Conv3d(2, 3, (2, 3, 1), padding=(0, 1, 0))", (2, 2, 4, 5, 3)),
    ("nn.Conv2d(3, 4, 3)", (3, 7, 6)),
    ("nn.ConvTranspose1d(3, 4, 3, stride=2)", (2, 3, 5)),
    ("nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False)", (2, 4, 5, 4)),
    ("nn.ConvTranspose2d(4, 2, (3, 2), stride=(2, 3), dilation=2)", (2, 4, 3, 4)),
    ("nn.ConvTranspose3d(2, 3, 2, stride=2, padding=1)", (2, 2, 3, 4, 2)),
    ("nn.Linear(6, 4)", (3, 6)),
    ("nn.Linear(6, 4, bias=False)", (2, 3, 6)),
    ("nn.BatchNorm1d(3)", (5, 3)),
    ("nn.BatchNorm1d(3, eps=1e-3, momentum=0.2)", (5, 3, 4)),
    ("nn.BatchNorm2d(3)", (4, 3, 5, 2)),
    ("nn.BatchNorm2d(3, momentum=None)", (4, 3, 5, 2)),
    ("nn.BatchNorm2d(3, affine=False)", (4, 3, 5, 2)),
    ("nn.BatchNorm2d(3, bias=False)", (4, 3, 5, 2)),
    ("nn.BatchNorm2d(3, track_running_stats=False)", (4, 3, 5, 2)),
    ("nn.BatchNorm3d(2)", (3, 2, 2, 3, 4)),
    ("nn.MaxPool1d(2)", (2, 3, 9)),
    ("nn.MaxPool2d(3, stride=2, padding=1)", (2, 3, 7, 6)),
    ("nn.MaxPool2d((2, 3), dilation=(2, 1), ceil_mode=True)", (2, 3, 8, 8)),
    ("nn.MaxPool3d(2)", (2, 3, 4, 6, 5)),
    ("nn.AvgPool1d(2)", (2, 3, 9)),
    ("nn.AvgPool1d(3, stride=2, padding=1)", (2, 3, 9)),
    ("nn.AvgPool2d(2)", (2, 3, 7, 6)),
    ("nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)", (2, 3, 8, 8)),
    ("nn.AvgPool2d(2, divisor_override=3)", (2, 3, 8, 8)),
    ("nn.AvgPool3d((2, 1, 2), 1)", (2, 3, 4, 6, 5)),
    ("nn.ReLU()", (3, 7)),
    ("nn.ReLU6()", (3, 7)),
    ("nn.LeakyReLU()", (3, 7)),
    ("nn.LeakyReLU(0.2)", (3, 7)),
    ("nn.ELU()", (3, 7)),
    ("nn.ELU(alpha=0.5)", (3, 7)),
    ("nn.Tanh()", (3, 7)),
    ("nn.Sigmoid()", (3, 7)),
    ("nn.SiLU()", (3, 7)),
    ("nn.GELU()", (3, 7)),
    ("nn.GELU('tanh')", (3, 7)),
    ("nn.GELU(approximate='tanh')", (3, 7)),
    ("nn.Softplus()", (3, 7)),
    ("nn.Softplus(2, 1)", (3, 7)),
    ("nn.Hardtanh()", (3, 7)),
    ("nn.Hardtanh(-0.5, 0.25)", (3, 7)),
    ("nn.Softmax(dim=1)", (3, 7)),
    ("nn.Softmax(dim=-2)", (3, 4, 5)),
    ("nn.LogSoftmax(dim=1)", (3, 7)),
    ("nn.GroupNorm(2, 6)", (2, 6, 5, 4)),
    ("nn.GroupNorm(3, 6, eps=1e-3, bias=False)", (2, 6, 5)),
    ("nn.GroupNorm(1, 4, affine=False)", (3, 4)),
    ("nn.LayerNorm(5)", (2, 3, 5)),
    ("nn.LayerNorm((3, 5), eps=1e-3, bias=False)", (2, 3, 5)),
    ("nn.LayerNorm([4], elementwise_affine=False)", (3, 4)),
    ("nn.RMSNorm(5)", (2, 3, 5)),
    ("nn.RMSNorm((3, 5), 1e-3, elementwise_affine=False)", (2, 3, 5)),
    ("nn.InstanceNorm1d(3)", (2, 3, 6)),
    ("nn.InstanceNorm1d(3, affine=True)", (3, 6)),
    ("nn.InstanceNorm2d(3, affine=True, track_running_stats=True)", (2, 3, 5, 4)),
    ("nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.3)", (3, 5, 4)),
    ("nn.InstanceNorm2d(3, affine=True, track_running_stats=True, momentum=None)", (2, 3, 5, 4)),
    ("nn.InstanceNorm3d(2, eps=1e-3, affine=True, bias=False)", (2, 2, 3, 4, 2)),
    ("nn.LocalResponseNorm(3)", (2, 5, 4, 3)),
    ("nn.LocalResponseNorm(2, alpha=0.5, beta=1.3, k=2.0)", (2, 5, 4)),
    ("nn.Hardsigmoid()", (3, 7)),
    ("nn.Hardswish()", (3, 7)),
    ("nn.Hardshrink()", (3, 7)),
    ("nn.Softshrink(0.25)", (3, 7)),
    ("nn.Threshold(0.1, 20)", (3, 7)),
    ("nn.PReLU()", (3, 7)),
    ("nn.PReLU(num_parameters=3, init=0.1)", (2, 3, 7)),
    ("nn.GLU()", (3, 8)),
    ("nn.GLU(dim=1)", (2, 6, 3)),
    ("nn.SELU()", (3, 7)),
    ("nn.CELU(alpha=0.5)", (3, 7)),
    ("nn.Mish()", (3, 7)),
    ("nn.LogSigmoid()", (3, 7)),
    ("nn.Softsign()", (3, 7)),
    ("nn.Tanhshrink()", (3, 7)),
    ("nn.Softmin(dim=1)", (3, 7)),
    ("nn.Softmax2d()", (2, 3, 4, 5)),
    ("nn.Softmax2d()", (3, 4, 5)),
    ("nn.Identity(3, other=4)", (3, 7)),
    ("nn.Flatten()", (2, 3, 4)),
    ("nn.Flatten(0, 1)", (2, 3, 4)),
    ("nn.Unflatten(1, (3, 2))", (2, 6, 4)),
    ("nn.Unflatten(1, (3, -1))", (2, 6)),
    ("nn.Dropout()", (3, 7)),
    ("nn.Dropout2d(0.25)", (2, 3, 4, 5)),
    ("nn.ZeroPad1d(2)", (2, 3, 5)),
    ("nn.ZeroPad2d((1, 2, 3, 0))", (2, 3, 5, 4)),
    ("nn.ZeroPad3d(1)", (2, 3, 5, 4, 2)),
    ("nn.ConstantPad1d((1, 2), 3.5)", (2, 3, 5)),
    ("nn.ConstantPad2d(1, -1.5)", (2, 3, 5, 4)),
    ("nn.ConstantPad3d(1, 2.0)", (2, 3, 2, 3, 2)),
    ("nn.ReflectionPad1d(2)", (2, 3, 5)),
    ("nn.ReflectionPad2d((1, 2, 0, 3))", (2, 3, 5, 4)),
    ("nn.ReflectionPad3d(1)", (2, 3, 4, 3, 2)),
    ("nn.ReplicationPad1d((3, 1))", (2, 3, 5)),
    ("nn.ReplicationPad2d(2)", (2, 3, 5, 4)),
    ("nn.ReplicationPad3d(1)", (2, 3, 4, 3, 2)),
    ("nn.CircularPad1d(2)", (2, 3, 5)),
    ("nn.CircularPad2d((1, 2, 3, 0))", (2, 3, 5, 4)),
    ("nn.CircularPad3d(1)", (2, 3, 4, 3, 2)),
    ("nn.Unfold(3)", (2, 3, 5, 4)),
    ("nn.Unfold((2, 3), dilation=(2, 1), padding=1, stride=2)", (2, 3, 5, 4)),
    ("nn.Unfold(2, stride=2)", (3, 5, 4)),
    ("nn.Fold((5, 4), kernel_size=2)", (2, 12, 12)),
    ("nn.Fold(4, (2, 3), padding=(0, 1), stride=(2, 1))", (2, 12, 8)),
    ("nn.PixelShuffle(2)", (2, 12, 3, 4)),
    ("nn.PixelUnshuffle(2)", (2, 3, 4, 6)),
    ("nn.Upsample(scale_factor=2)", (2, 3, 4)),
    ("nn.Upsample(size=(5, 7), mode='bilinear', align_corners=True)", (2, 3, 4, 6)),
    ("nn.Upsample(scale_factor=(1.5, 2), mode='bicubic')", (2, 3, 4, 6)),
    ("nn.Upsample(scale_factor=1.6, mode='trilinear', recompute_scale_factor=True)", (2, 3, 4, 2, 3)),
    ("nn.Upsample(size=3, mode='area')", (2, 3, 4)),
    ("nn.UpsamplingNearest2d(scale_factor=3)", (2, 3, 4, 2)),
    ("nn.UpsamplingBilinear2d(size=(5, 3))", (2, 3, 4, 2)),
    ("nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())", (3, 1, 5, 5)),
    ("nn.Sequential(nn.Sequential(nn.Linear(3, 2)), nn.Sequential())", (3, 3)),
]

# Printed only: in place they change their input, or they hold what the test below does not run.
PRINTED = [
    "nn.ReLU(inplace=True)",
    "nn.ReLU6(True)",
    "nn.LeakyReLU(0.2, True)",
    "nn.ELU(inplace=True)",
    "nn.SiLU(True)",
    "nn.Hardtanh(-2, 2, inplace=True)",
    "nn.Dropout(0.2, inplace=True)",
    "nn.Dropout1d(0.1)",
    "nn.Dropout3d(0.1)",
    "nn.Softmax()",
    "nn.Sequential()",
    "nn.ModuleList()",
    "nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.ReLU(), nn.Linear(1, 2)])",
    "nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.ReLU(), nn.Tanh())])",
    "nn.ModuleDict({'a': nn.ReLU(), 'b': nn.Sequential(nn.Tanh())})",
    "nn.ModuleDict()",
    "nn.Module()",
    "nn.CrossEntropyLoss()",
    "nn.NLLLoss()",
    "nn.MSELoss()",
    "nn.L1Loss()",
    "nn.SmoothL1Loss()",
    "nn.HuberLoss()",
    "nn.BCELoss()",
    "nn.BCEWithLogitsLoss()",
    "nn.RReLU(0.1, 0.2, inplace=True)",
    "nn.RReLU()",
    "nn.Hardswish(inplace=True)",
    "nn.Hardsigmoid(True)",
    "nn.Threshold(0.1, 20, inplace=True)",
    "nn.SELU(inplace=True)",
    "nn.CELU(0.5, True)",
    "nn.Mish(inplace=True)",
    "nn.KLDivLoss(reduction='batchmean')",
    "nn.PoissonNLLLoss()",
    "nn.GaussianNLLLoss()",
    "nn.SoftMarginLoss()",
    "nn.HingeEmbeddingLoss()",
    "nn.MarginRankingLoss()",
    "nn.MultiMarginLoss()",
    "nn.MultiLabelMarginLoss()",
    "nn.MultiLabelSoftMarginLoss()",
    "nn.CosineEmbeddingLoss()",
    "nn.TripletMarginLoss()",
    "nn.CosineSimilarity()",
    "nn.PairwiseDistance()",
]


def both(text: str) -> tuple[Any, Any]:
    return eval(text, {"nn": nn}), eval(text, {"nn": torch.nn})


def as_arrays(state: Any) -> dict[str, Any]:
    # Copies, since PyTorch's running statistics change under the array that shares their memory.
    return {name: value.detach().numpy().copy() for name, value in state.items()}


@pytest.mark.parametrize("text", [*dict.fromkeys(text for text, _ in LAYERS), *PRINTED])
def test_prints_as_pytorch_does(text: str) -> None:
    ours, theirs = both(text)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("text", list(dict.fromkeys(text for text, _ in LAYERS)))
def test_state_has_pytorchs_keys_shapes_and_dtypes(text: str) -> None:
    ours, theirs = both(text)
    state = ours.state_dict()
    assert [(k, tuple(v.shape), v.dtype.name) for k, v in state.items()] == [
        (k, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in theirs.state_dict().items()
    ]
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]


@pytest.mark.parametrize(("text", "shape"), LAYERS)
def test_computes_and_learns_what_pytorch_does(text: str, shape: tuple[int, ...]) -> None:
    ours, theirs = both(text)
    if "Dropout" in text:
        ours.eval(), theirs.eval()
    numbers = np.random.default_rng(0)
    assert ours.load_state_dict(as_arrays(theirs.state_dict())) == ([], [])
    for step in range(2):  # the second pass finds what the first left in running statistics
        x = numbers.standard_normal(shape).astype(np.float32)
        mine = tw.tensor(x, requires_grad=True)
        its = torch.tensor(x, requires_grad=True)
        ours.zero_grad(), theirs.zero_grad()
        y, z = ours(mine), theirs(its)
        assert_same(y, z, rtol=RTOL, atol=ATOL, reason=REASON)
        gradient = numbers.standard_normal(tuple(y.shape)).astype(np.float32)
        y.backward(tw.tensor(gradient))
        z.backward(torch.tensor(gradient))
        assert_same(mine.grad, its.grad, rtol=RTOL, atol=ATOL, reason=REASON)
        for (name, p), (its_name, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert name == its_name
            assert_same(p.grad, q.grad, rtol=RTOL, atol=ATOL, reason=f"{REASON}: {name} in pass {step}")
        state = theirs.state_dict()
        for name, value in ours.state_dict().items():
            assert_same(value, state[name], rtol=RTOL, atol=ATOL, reason=f"{REASON}: {name}")
    ours.eval(), theirs.eval()
    assert_same(ours(mine), theirs(its), rtol=RTOL, atol=ATOL, reason=REASON)


@pytest.mark.parametrize(
    "text",
    [
        "nn.ReLU(inplace=True)",
        "nn.ReLU6(True)",
        "nn.LeakyReLU(0.2, True)",
        "nn.ELU(inplace=True)",
        "nn.SiLU(True)",
        "nn.Hardtanh(-0.5, 0.5, inplace=True)",
        "nn.Hardswish(True)",
        "nn.Hardsigmoid(True)",
        "nn.Threshold(0.1, 20, True)",
        "nn.SELU(True)",
        "nn.CELU(0.5, True)",
        "nn.Mish(True)",
    ],
)
def test_inplace_makes_no_difference_to_what_comes_out(text: str) -> None:
    ours, theirs = both(text)
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    mine, its = tw.tensor(x), torch.tensor(x)
    y, z = ours(mine), theirs(its)
    assert_same(y, z, rtol=RTOL, atol=ATOL, reason="one float32 exponential")
    assert_same(mine, x, rtol=0, atol=0, reason="an input is never written to")


def small_net(library: Any) -> Any:
    module = library.nn

    class Net(module.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = module.Conv2d(1, 4, 3, padding=1)
            self.norm = module.BatchNorm2d(4)
            self.body = module.Sequential(module.ReLU(), module.MaxPool2d(2))
            self.fc1 = module.Linear(4 * 4 * 4, 8)
            self.fc2 = module.Linear(8, 3, bias=False)

        def forward(self, x: Any) -> Any:
            f = module.functional
            y = self.body(self.norm(self.conv(x)) + x)
            y = f.relu(self.fc1(library.flatten(y, 1)))
            return f.log_softmax(self.fc2(y), dim=1)

    return Net()


def test_a_model_written_once_runs_in_both_libraries() -> None:
    ours, theirs = small_net(tw), small_net(torch)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(as_arrays(theirs.state_dict()))
    x = np.random.default_rng(1).standard_normal((6, 1, 8, 8)).astype(np.float32)
    target = np.array([0, 1, 2, 2, 1, 0])
    ours_loss = nn.NLLLoss()(ours(tw.tensor(x)), tw.tensor(target))
    theirs_loss = torch.nn.NLLLoss()(theirs(torch.tensor(x)), torch.tensor(target))
    ours_loss.backward(), theirs_loss.backward()
    assert_same(ours_loss, theirs_loss, rtol=RTOL, atol=ATOL, reason=REASON)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(p.grad, q.grad, rtol=RTOL, atol=ATOL, reason=REASON)
    twin = copy.deepcopy(ours).eval()
    assert_same(twin(tw.tensor(x)), theirs.eval()(torch.tensor(x)), rtol=RTOL, atol=ATOL, reason=REASON)


LOSSES = [
    ("nn.MSELoss()", "values"),
    ("nn.MSELoss(reduction='sum')", "values"),
    ("nn.L1Loss(reduction='none')", "values"),
    ("nn.SmoothL1Loss(beta=0.5)", "values"),
    ("nn.HuberLoss(delta=0.7)", "values"),
    ("nn.BCELoss()", "probabilities"),
    ("nn.BCEWithLogitsLoss()", "probabilities"),
    ("nn.CrossEntropyLoss()", "classes"),
    ("nn.CrossEntropyLoss(ignore_index=2, label_smoothing=0.1)", "classes"),
    ("nn.CrossEntropyLoss(reduction='sum')", "classes"),
    ("nn.NLLLoss(ignore_index=1)", "classes"),
    ("nn.KLDivLoss(reduction='batchmean')", "probabilities"),
    ("nn.KLDivLoss(reduction='sum', log_target=True)", "values"),
    ("nn.PoissonNLLLoss(full=True)", "probabilities"),
    ("nn.PoissonNLLLoss(False, eps=0.1, reduction='sum')", "positive"),
    ("nn.SoftMarginLoss()", "signs"),
    ("nn.HingeEmbeddingLoss(0.5, reduction='sum')", "signs"),
    ("nn.MultiMarginLoss()", "classes"),
    ("nn.MultiMarginLoss(p=2, margin=0.5, reduction='none')", "classes"),
    ("nn.MultiLabelSoftMarginLoss()", "probabilities"),
    ("nn.MultiLabelMarginLoss(reduction='none')", "lists"),
]


@pytest.mark.parametrize(("text", "kind"), LOSSES)
def test_losses_and_their_gradients(text: str, kind: str) -> None:
    ours, theirs = both(text)
    numbers = np.random.default_rng(2)
    x = numbers.standard_normal((5, 4)).astype(np.float32)
    if text.startswith("nn.BCELoss"):
        x = 1 / (1 + np.exp(-x))
    if text.startswith("nn.NLLLoss"):
        x = x - np.log(np.exp(x).sum(1, keepdims=True))
    target = {
        "values": numbers.standard_normal((5, 4)).astype(np.float32),
        "probabilities": numbers.random((5, 4)).astype(np.float32),
        "classes": np.array([0, 1, 2, 3, 2]),
        "positive": numbers.random((5, 4)).astype(np.float32),
        "signs": np.where(numbers.random((5, 4)) < 0.5, -1, 1).astype(np.float32),
        "lists": np.array([[0, 1, -1, 2], [3, 2, 1, 0], [-1, 0, 0, 0], [2, -1, -1, -1], [1, 3, 0, -1]]),
    }[kind]
    if kind == "positive":
        x = np.exp(x)
    mine, its = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(mine, tw.tensor(target)), theirs(its, torch.tensor(target))
    assert_same(y, z, rtol=1e-5, atol=1e-6, reason="a float32 sum of twenty values")
    y.sum().backward(), z.sum().backward()
    assert_same(mine.grad, its.grad, rtol=1e-5, atol=1e-6, reason="a float32 quotient or two")


PAIRS = [
    ("nn.MarginRankingLoss(0.5)", 2, (5, 4), (5, 4)),
    ("nn.CosineEmbeddingLoss(0.2)", 2, (5, 4), (5,)),
    ("nn.CosineEmbeddingLoss(reduction='sum')", 2, (4,), ()),
    ("nn.TripletMarginLoss(2.0, p=3, swap=True)", 3, (5, 4), None),
    ("nn.TripletMarginLoss(reduction='none')", 3, (5, 4), None),
    ("nn.CosineSimilarity(dim=-1)", 2, (5, 4), None),
    ("nn.PairwiseDistance(p=3.0, keepdim=True)", 2, (5, 4), None),
]


@pytest.mark.parametrize(("text", "count", "shape", "of_target"), PAIRS)
def test_losses_of_several_inputs(
    text: str, count: int, shape: tuple[int, ...], of_target: tuple[int, ...] | None
) -> None:
    ours, theirs = both(text)
    numbers = np.random.default_rng(3)
    inputs = [numbers.standard_normal(shape).astype(np.float32) for _ in range(count)]
    targets = []
    if of_target is not None:
        targets = [np.where(numbers.random(of_target) < 0.5, -1, 1).astype(np.float32)]
    mine = [tw.tensor(x, requires_grad=True) for x in inputs]
    its = [torch.tensor(x, requires_grad=True) for x in inputs]
    y = ours(*mine, *map(tw.tensor, targets))
    z = theirs(*its, *map(torch.tensor, targets))
    assert_same(y, z, rtol=1e-5, atol=1e-6, reason="a float32 sum of twenty values")
    y.sum().backward(), z.sum().backward()
    for x, other in zip(mine, its, strict=True):
        assert_same(x.grad, other.grad, rtol=1e-5, atol=1e-6, reason="a float32 quotient or two")


def test_gaussian_likelihood() -> None:
    ours, theirs = both("nn.GaussianNLLLoss(full=True, eps=0.2)")
    numbers = np.random.default_rng(4)
    inputs = [f((5, 4)).astype(np.float32) for f in (numbers.standard_normal,) * 2 + (numbers.random,)]
    mine = [tw.tensor(x, requires_grad=True) for x in inputs]
    its = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, z = ours(*mine), theirs(*its)
    assert_same(y, z, rtol=1e-5, atol=1e-6, reason="a float32 sum of twenty values")
    y.backward(), z.backward()
    for x, other in zip(mine, its, strict=True):
        assert_same(x.grad, other.grad, rtol=1e-5, atol=1e-6, reason="a float32 quotient or two")


@pytest.mark.parametrize(
    "name",
    ["CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"],
)
def test_weights_of_losses_are_buffers(name: str) -> None:
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    ours = getattr(nn, name)(tw.tensor(weight))
    theirs = getattr(torch.nn, name)(torch.tensor(weight))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    x = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]], np.float32)
    target = np.array([1, 2]) if name in ("CrossEntropyLoss", "NLLLoss") else x[::-1].copy()
    assert_same(
        ours(tw.tensor(x), tw.tensor(target)),
        theirs(torch.tensor(x), torch.tensor(target)),
        rtol=1e-5,
        atol=1e-6,
        reason="a float32 sum of six values",
    )


def test_the_weight_of_positives_is_a_buffer_too() -> None:
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    ours = nn.BCEWithLogitsLoss(pos_weight=tw.tensor(weight))
    theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["pos_weight"]
    x = np.array([[0.2, -0.3, 0.5]], np.float32)
    assert_same(
        ours(tw.tensor(x), tw.tensor(x > 0).float()),
        theirs(torch.tensor(x), torch.tensor(x > 0).float()),
        rtol=1e-5,
        atol=1e-6,
        reason="a float32 sum of three values",
    )
