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
    }[kind]
    mine, its = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(mine, tw.tensor(target)), theirs(its, torch.tensor(target))
    assert_same(y, z, rtol=1e-5, atol=1e-6, reason="a float32 sum of twenty values")
    y.sum().backward(), z.sum().backward()
    assert_same(mine.grad, its.grad, rtol=1e-5, atol=1e-6, reason="a float32 quotient or two")


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss"])
def test_weights_of_losses_are_buffers(name: str) -> None:
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    ours = getattr(nn, name)(tw.tensor(weight))
    theirs = getattr(torch.nn, name)(torch.tensor(weight))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    x = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]], np.float32)
    target = np.array([1, 2]) if "BCE" not in name else x[::-1].copy()
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
