"""What PyTorch's modules do beside computing: hooks, modes, walking, states, lazy layers, groups."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from compare import assert_same

import tilewright as tw
from tilewright.errors import TilewrightError

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

CLOSE = {"rtol": 1e-10, "atol": 1e-12, "reason": "a few float64 sums in another order"}
BOTH = pytest.mark.parametrize("library", [tw, torch], ids=["ours", "theirs"])


def plain(value: Any) -> Any:
    """Tensors as lists of rounded numbers, so that the two libraries' records can be compared."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "detach"):
        array = np.asarray(value.detach())
        return [list(array.shape), str(array.dtype), np.round(array, 9).tolist()]
    return value


def net(library: Any) -> Any:
    nn = library.nn

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Linear(4, 4, bias=False)
            self.norm = nn.BatchNorm1d(4)
            self.register_buffer("offset", library.ones(4), persistent=False)

        def forward(self, x: Any, scale: float = 1.0) -> Any:
            return self.norm(self.left(x)) * scale + self.offset

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.branches = nn.ModuleDict({"a": Branch(), "b": Branch()})
            self.again = self.first
            self.scales = nn.ParameterList([library.ones(4), library.ones(4)])
            self.last = nn.Sequential(nn.Tanh(), nn.Linear(4, 2))
            self.nothing = None

        def forward(self, x: Any) -> Any:
            y = self.first(x)
            for scale, branch in zip(self.scales, self.branches.values(), strict=True):
                y = y + branch(y, scale=2.0) * scale
            return self.last(y)

    return Net().double()


def pair() -> tuple[Any, Any]:
    torch.manual_seed(0)
    ours, theirs = net(tw), net(torch)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs


INPUT = np.random.default_rng(0).standard_normal((5, 3))


def record(library: Any, model: Any, use: Any) -> Any:
    """What ``use(library, model, log)`` writes down."""
    log: list[Any] = []
    with warnings.catch_warnings():
        # PyTorch warns where a first layer's input needs no gradient.
        warnings.simplefilter("ignore")
        use(library, model, log)
    return plain(log)


def walk(library: Any, model: Any, log: list[Any]) -> None:
    log += [[name, type(module).__name__] for name, module in model.named_modules()]
    log += [name for name, _ in model.named_modules(prefix="net", remove_duplicate=False)]
    log += [name for name, _ in model.named_children()]
    for recurse in (True, False):
        for unique in (True, False):
            options = {"recurse": recurse, "remove_duplicate": unique, "prefix": "p"}
            log += [name for name, _ in model.named_parameters(**options)]
            log += [name for name, _ in model.named_buffers(**options)]
    log += list(model.state_dict())
    log += list(model.state_dict(prefix="x."))
    log.append([type(module).__name__ for module in model.modules()])
    model.apply(lambda module: log.append(type(module).__name__))
    log.append(tuple(model.get_parameter("branches.a.left.weight").shape))
    log.append(type(model.get_submodule("last.1")).__name__)


def modes(library: Any, model: Any, log: list[Any]) -> None:
    x = library.tensor(INPUT)
    model.train()
    model.branches["a"].eval().requires_grad_(False)
    log.append([module.training for module in model.modules()])
    log.append([p.requires_grad for p in model.parameters()])
    log.append(model(x))
    log.append(dict(model.state_dict()))
    model(x).sum().backward()
    log.append([p.grad for p in model.parameters()])
    log.append(model.eval()(x))
    model.zero_grad(set_to_none=False)
    log.append([p.grad for p in model.parameters()])
    model.zero_grad()
    log.append([p.grad for p in model.parameters()])
    model.float().half().double()
    log.append([str(p.dtype).removeprefix("torch.") for p in model.parameters()])
    log.append([str(b.dtype).removeprefix("torch.") for b in model.buffers()])


def hooks(library: Any, model: Any, log: list[Any]) -> None:
    def named(kind: str) -> Any:
        return lambda module, *rest: log.append([kind, type(module).__name__, rest])

    handles = []
    for module in model.modules():
        handles += [
            module.register_forward_pre_hook(named("pre")),
            module.register_forward_hook(named("post"), with_kwargs=True),
            module.register_full_backward_pre_hook(named("back pre")),
            module.register_full_backward_hook(named("back")),
        ]
    model.first.register_forward_hook(lambda module, args, y: y * 2, prepend=True)
    model.last.register_full_backward_hook(lambda module, into, out: (into[0] * 3,))
    model.branches["b"].register_full_backward_pre_hook(lambda module, out: (out[0] + 1,), prepend=True)
    for wants in (False, True):
        x = library.tensor(INPUT, requires_grad=wants)
        y = model(x)
        (y * y).sum().backward()
        log.append([p.grad for p in model.parameters()])
        log.append(x.grad)
    for handle in handles:
        handle.remove()
    before = len(log)
    model(library.tensor(INPUT)).sum().backward()
    assert len(log) == before


def copies(library: Any, model: Any, log: list[Any]) -> None:
    twin = copy.deepcopy(model)
    assert twin.again is twin.first and twin.first is not model.first
    log.append([name for name, _ in twin.named_parameters()])
    model(library.tensor(INPUT)).sum().backward()
    with library.no_grad():
        for p in model.parameters():
            p.sub_(p.grad * 0.1)
    log.append(twin.eval()(library.tensor(INPUT)))
    log.append(model.eval()(library.tensor(INPUT)))


def partial_states(library: Any, model: Any, log: list[Any]) -> None:
    state = dict(model.state_dict())
    state["stranger"] = library.ones(2)
    del state["last.1.bias"], state["branches.a.norm.running_mean"]
    found = model.load_state_dict(state, strict=False)
    log.append(sorted(found.missing_keys))
    log.append(list(found.unexpected_keys))
    for wrong in (state, {**model.state_dict(), "first.bias": library.ones(5)}):
        try:
            model.load_state_dict(wrong)
        except (RuntimeError, TilewrightError):
            log.append("refused")


def containers(library: Any, model: Any, log: list[Any]) -> None:
    nn = library.nn
    row = nn.Sequential(nn.Linear(2, 2), nn.ReLU()) + nn.Sequential(nn.Tanh())
    row += nn.Sequential(nn.Sigmoid())
    row *= 2
    log.append([type(layer).__name__ for layer in row])
    log.append(list(row.state_dict()))
    log.append([type(layer).__name__ for layer in 2 * row[1:3]])
    del row[1:3]
    row.insert(1, nn.ELU())
    log.append([[name, type(layer).__name__] for name, layer in row.named_children()])
    layers = nn.ModuleList([nn.Linear(1, 1)]) + nn.ModuleList([nn.ReLU()])
    layers[1] = nn.Tanh()
    layers.extend([nn.ReLU()])
    log.append([type(layer).__name__ for layer in layers[::2]])
    log.append([type(layers.pop(0)).__name__, list(layers.state_dict())])
    named = nn.ModuleDict([("b", nn.ReLU()), ("a", nn.Linear(1, 1))])
    named.update({"c": nn.Tanh(), "b": nn.Sigmoid()})
    log.append([[name, type(layer).__name__] for name, layer in named.items()])
    log.append(["a" in named, len(named), type(named.pop("b")).__name__, list(named)])
    scales = nn.ParameterList([library.ones(1)])
    scales.append(library.zeros(2))
    scales[0] = nn.Parameter(library.ones(3))
    log.append([list(scales.state_dict()), [tuple(p.shape) for p in scales]])
    weights = nn.ParameterDict(OrderedDict(b=library.ones(1), a=library.zeros(2)))
    log.append([list(weights.state_dict()), list(weights.keys()), "a" in weights])


def groups(library: Any, model: Any, log: list[Any]) -> None:
    def by(name: str) -> list[Any]:
        return [p for n, p in model.named_parameters() if n.startswith(name)]

    optimizer = library.optim.SGD(
        [{"params": by("first"), "lr": 0.5}, {"params": by("last"), "weight_decay": 0.1}],
        lr=0.1,
        momentum=0.9,
    )
    model.first.bias.requires_grad_(False)
    for step in range(3):
        if step == 1:
            optimizer.add_param_group({"params": by("branches"), "lr": 0.01})
        optimizer.zero_grad()
        (model(library.tensor(INPUT)) ** 2).sum().backward()
        optimizer.step()
    log.append(dict(model.state_dict()))
    log.append(
        [{k: group[k] for k in ("lr", "weight_decay", "momentum")} for group in optimizer.param_groups]
    )


USES = [walk, modes, hooks, copies, partial_states, containers, groups]


@pytest.mark.parametrize("use", USES, ids=[use.__name__ for use in USES])
def test_modules_behave_as_pytorchs(use: Any) -> None:
    ours, theirs = pair()
    mine, its = record(tw, ours, use), record(torch, theirs, use)
    assert len(mine) == len(its)
    for number, (one, two) in enumerate(zip(mine, its, strict=True)):
        same(one, two, f"entry {number}")


def same(one: Any, two: Any, where: str) -> None:
    assert type(one) is type(two), (where, one, two)
    if isinstance(one, dict):
        assert list(one) == list(two), where
        for key in one:
            same(one[key], two[key], f"{where}, {key}")
    elif isinstance(one, list):
        assert len(one) == len(two), (where, one, two)
        for number, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{where}, {number}")
    elif isinstance(one, float):
        # Numbers are written down rounded to nine places, and may fall to either side.
        assert abs(one - two) <= 2e-9 * max(1.0, abs(two)), (where, one, two)
    else:
        assert one == two, where


LAZY = [
    ("nn.LazyConv1d(4, 3, stride=2)", (2, 3, 9)),
    ("nn.LazyConv2d(6, (3, 2), groups=3, bias=False)", (2, 3, 7, 8)),
    ("nn.LazyConv2d(4, 3, padding='same')", (3, 7, 8)),
    ("nn.LazyConv3d(4, 2, dilation=2)", (1, 2, 4, 5, 5)),
    ("nn.LazyConvTranspose1d(4, 3, 2, 1, 1)", (2, 3, 9)),
    ("nn.LazyConvTranspose2d(4, 3, groups=2)", (2, 6, 3, 4)),
    ("nn.LazyConvTranspose3d(4, 2)", (1, 2, 3, 3, 2)),
    ("nn.LazyLinear(4)", (2, 5, 3)),
    ("nn.LazyLinear(4, bias=False)", (3,)),
    ("nn.LazyBatchNorm1d()", (5, 3)),
    ("nn.LazyBatchNorm2d(1e-3, 0.3)", (4, 3, 2, 2)),
    ("nn.LazyBatchNorm3d(affine=False)", (4, 3, 2, 2, 2)),
    ("nn.LazyInstanceNorm1d()", (4, 3, 5)),
    ("nn.LazyInstanceNorm2d(track_running_stats=False)", (4, 3, 2, 2)),
    ("nn.LazyInstanceNorm3d()", (2, 3, 2, 2, 2)),
]


@pytest.mark.parametrize(("text", "shape"), LAZY, ids=[text for text, _ in LAZY])
def test_lazy_layers_become_what_pytorchs_do(text: str, shape: tuple[int, ...]) -> None:
    ours, theirs = eval(text, {"nn": tw.nn}), eval(text, {"nn": torch.nn})
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours, theirs = ours.double(), theirs.double()
    x = np.random.default_rng(0).standard_normal(shape)
    y, z = ours(tw.tensor(x)), theirs(torch.tensor(x))
    assert tuple(y.shape) == tuple(z.shape) and repr(ours) == repr(theirs)
    assert type(ours).__name__ == type(theirs).__name__
    # PyTorch's states, given to a layer that has seen no input yet.
    fresh = eval(text, {"nn": tw.nn}).double()
    assert fresh.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()}) == ([], [])
    fresh.eval(), theirs.eval()
    assert_same(fresh(tw.tensor(x)), theirs(torch.tensor(x)), **CLOSE)


@BOTH
def test_a_lazy_model_written_once_runs_in_both(library: Any) -> None:
    nn = library.nn
    model = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )
    assert all(isinstance(p, nn.UninitializedParameter) for p in model.parameters())
    model(library.zeros(2, 3, 6, 6))
    optimizer = library.optim.SGD(model.parameters(), lr=0.1)
    model(library.ones(2, 3, 6, 6)).sum().backward()
    optimizer.step()
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
