"""float16: computed in float32 and rounded once, for every activation, norm and loss."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from operands import normal, probabilities

import tilewright as tw
import tilewright.functional as F
from tilewright.errors import DtypeError
from tilewright.functional.halves import takes_halves

_HALF = np.float16
_X = normal((2, 4, 6), 1, _HALF)
_P = probabilities((2, 4, 6), 2).astype(_HALF)
_W = normal((4,), 3, _HALF)
_SIGNS = np.where(normal((2, 4, 6), 4) > 0, 1, -1)
_LABELS = np.array([[0, 1, 2, 3, -100, 1], [3, 3, 2, 0, 1, 0]])
_FLAT = _X[:, :, 0].copy()

# Name → the call on operands in float16 or float32, and its operands.
_CALLS: dict[str, tuple[Any, list[Any]]] = {
    **{
        name: (getattr(F, name), [_X])
        for name in (
            "relu",
            "relu6",
            "leaky_relu",
            "elu",
            "selu",
            "celu",
            "silu",
            "gelu",
            "mish",
            "softplus",
            "hardtanh",
            "hardswish",
            "hardsigmoid",
            "hardshrink",
            "softshrink",
            "tanh",
            "sigmoid",
            "softsign",
            "tanhshrink",
            "logsigmoid",
            "rrelu",
            "glu",
            "normalize",
        )
    },
    "threshold": (lambda x: F.threshold(x, 0.1, 7.0), [_X]),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), [_X]),
    "softmax": (lambda x: F.softmax(x, 1), [_X]),
    "log_softmax": (lambda x: F.log_softmax(x, 1), [_X]),
    "softmin": (lambda x: F.softmin(x, 1), [_X]),
    "prelu": (F.prelu, [_X, _W]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [_X, _W, _W]),
    "layer_norm": (lambda x, w: F.layer_norm(x, (4, 6), w), [_X, _X[0].copy()]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4, 6), w), [_X, _X[0].copy()]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), [_X, _W, _W]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.5), [_X]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [_X, _W, _W]),
    "cross_entropy": (lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), [_X, _LABELS]),
    "cross_entropy of shares": (F.cross_entropy, [_X, _P]),
    "nll_loss": (F.nll_loss, [_X, _LABELS]),
    "mse_loss": (F.mse_loss, [_X, _P]),
    "l1_loss": (F.l1_loss, [_X, _P]),
    "smooth_l1_loss": (F.smooth_l1_loss, [_X, _P]),
    "huber_loss": (F.huber_loss, [_X, _P]),
    "binary_cross_entropy": (F.binary_cross_entropy, [_P, _P[::-1].copy()]),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, [_X, _P]),
    "kl_div": (lambda x, t: F.kl_div(x, t, reduction="sum"), [_X, _P]),
    "poisson_nll_loss": (lambda x, t: F.poisson_nll_loss(x, t, full=True), [_X, _P]),
    "gaussian_nll_loss": (F.gaussian_nll_loss, [_X, _P, _P]),
    "soft_margin_loss": (F.soft_margin_loss, [_X, _SIGNS]),
    "hinge_embedding_loss": (F.hinge_embedding_loss, [_X, _SIGNS]),
    "margin_ranking_loss": (F.margin_ranking_loss, [_X, _P, _SIGNS]),
    "multi_margin_loss": (F.multi_margin_loss, [_FLAT, _LABELS[:, 0]]),
    "multilabel_margin_loss": (F.multilabel_margin_loss, [_FLAT, np.array([[0, 2, -1, 0], [1, -1, 0, 0]])]),
    "multilabel_soft_margin_loss": (F.multilabel_soft_margin_loss, [_X, _P]),
    "cosine_embedding_loss": (F.cosine_embedding_loss, [_FLAT, _FLAT[::-1].copy(), np.array([1, -1])]),
    "triplet_margin_loss": (F.triplet_margin_loss, [_FLAT, _FLAT[::-1].copy(), -_FLAT]),
    "cosine_similarity": (F.cosine_similarity, [_X, _P]),
    "pairwise_distance": (F.pairwise_distance, [_X, _P]),
    "sigmoid_focal_loss": (F.sigmoid_focal_loss, [_X, _P]),
    "focal_loss": (F.focal_loss, [_X, _LABELS]),
    "dice_loss": (F.dice_loss, [_P, _P[::-1].copy()]),
}


def _widened(operands: list[Any]) -> list[Any]:
    return [x.astype(np.float32) if x.dtype == _HALF else x for x in operands]


@pytest.mark.parametrize("name", _CALLS)
def test_computed_in_float32_and_rounded_once(name: str) -> None:
    function, operands = _CALLS[name]
    wide = _widened(operands)
    expected = function(*wide).astype(_HALF)
    y = function(*operands)
    assert type(y) is np.ndarray
    assert_same(y, expected, rtol=0, atol=0, reason="the same numbers, rounded")
    # Gradients take the same way.
    mine = [tw.tensor(x, requires_grad=x.dtype.kind == "f") for x in operands]
    theirs = [tw.tensor(x, requires_grad=x.dtype.kind == "f") for x in wide]
    t, s = function(*mine), function(*theirs)
    assert_same(t, expected, rtol=0, atol=0, reason="the same numbers, rounded")
    start = normal(tuple(t.shape), 5, _HALF)
    t.backward(tw.tensor(start))
    s.backward(tw.tensor(start.astype(np.float32)))
    for x, other in zip(mine, theirs, strict=True):
        if x.requires_grad:
            assert x.grad.dtype == _HALF
            rounded = other.grad.numpy().astype(_HALF)
            assert_same(x.grad, rounded, rtol=2e-3, atol=1e-6, reason="a rounding to eleven bits on the way")


def test_every_function_is_tried() -> None:
    """What takes arrays and isn't here takes no halves yet, and says so."""
    tried = {name.split(" ")[0] for name in _CALLS}
    listed = {name for name in F.__all__ if hasattr(inspect.getattr_static(F, name), "__wrapped__")}
    assert listed <= tried


def test_running_statistics_are_kept_in_halves() -> None:
    for function, options in ((F.batch_norm, {"training": True}), (F.instance_norm, {})):
        halves = np.zeros(4, _HALF), np.ones(4, _HALF)
        singles = np.zeros(4, np.float32), np.ones(4, np.float32)
        tensors = tw.zeros(4, dtype=tw.float16), tw.ones(4, dtype=tw.float16)
        function(_X, *halves, **options)
        function(_X.astype(np.float32), *singles, **options)
        function(tw.tensor(_X), *tensors, **options)
        for half, single, tensor in zip(halves, singles, tensors, strict=True):
            assert_same(half, single.astype(_HALF), rtol=0, atol=0, reason="the same numbers, rounded")
            assert_same(tensor, half, rtol=0, atol=0, reason="the same computation")
        # In evaluation they are only read.
        evaluation = {"training": False} if function is F.batch_norm else {"use_input_stats": False}
        for half in halves:
            half.flags.writeable = False
        y = function(_X, *halves, **evaluation)
        wide = function(_X.astype(np.float32), *(half.astype(np.float32) for half in halves), **evaluation)
        assert_same(y, wide.astype(_HALF), rtol=0, atol=0, reason="the same numbers, rounded")
        with pytest.raises(DtypeError, match="updates running_mean in place"):
            function(_X, *halves, **options)


def test_a_model_of_halves_trains() -> None:
    tw.manual_seed(0)
    nn = tw.nn
    model = nn.Sequential(nn.BatchNorm1d(6), nn.PReLU(6), nn.LayerNorm(6), nn.Mish(), nn.RMSNorm(6)).half()
    x = tw.tensor(normal((16, 6), 1, _HALF))
    target = tw.tensor(np.arange(16) % 6)
    y = model(x)
    assert y.dtype == tw.float16
    nn.CrossEntropyLoss()(y, target).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == tw.float16


def test_softmax_of_halves_in_another_dtype() -> None:
    x = np.array([0.5, 1.0, -3.0], _HALF)
    for function in (F.softmax, F.log_softmax, F.softmin):
        wide = function(x.astype(np.float64), 0)
        y = function(x, 0, dtype=np.float64)
        assert_same(y, wide, rtol=1e-15, atol=0, reason="a half is exact in float64")
        narrow = function(x.astype(np.float64), 0, dtype=_HALF)
        assert_same(narrow, wide.astype(_HALF), rtol=0, atol=0, reason="rounded once")
    assert_same(F.softmax(np.array(3.0, _HALF), 0), np.array(1.0, _HALF), rtol=0, atol=0, reason="exact")


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.mse_loss(_X, _X.astype(np.float32)),
        lambda: F.mse_loss(_X.astype(np.float32), _X),
        lambda: F.group_norm(_X, 2, _W.astype(np.float32)),
        lambda: F.group_norm(_X.astype(np.float64), 2, _W),
        lambda: F.prelu(_X, weight=_W.astype(np.float32)),
        lambda: F.instance_norm(_X, np.zeros(4), np.ones(4)),
        lambda: F.batch_norm(_X, np.zeros(4, np.float32), np.ones(4, np.float32)),
    ],
)
def test_halves_beside_other_floats_are_refused(call: Any) -> None:
    with pytest.raises(DtypeError, match="Received: "):
        call()


def test_large_halves_do_not_overflow_on_the_way() -> None:
    # Their squares are beyond 65,504, the largest half.
    x = np.array([[300.0, -300.0, 300.0, -300.0]], _HALF)
    expected = np.array([[1.0, -1.0, 1.0, -1.0]], _HALF)
    for call in (lambda: F.layer_norm(x, 4), lambda: F.rms_norm(x, 4), lambda: F.group_norm(x, 1)):
        assert_same(call(), expected, rtol=0, atol=0, reason="exact to eleven bits")
    y = F.mse_loss(x, -x, reduction="mean")
    assert_same(y, np.array(np.inf, _HALF), rtol=0, atol=0, reason="360,000 is no half")


def test_the_decorator_keeps_names_and_signatures() -> None:
    def add(x: Any, y: Any = None, *, scale: float = 1.0) -> Any:
        """Adds."""
        return (x if y is None else x + y) * np.float32(scale)

    taking = takes_halves(add)
    assert taking.__name__ == "add"
    assert taking.__doc__ == "Adds."
    assert inspect.signature(taking) == inspect.signature(add)
    half = np.array([1.5], _HALF)
    assert_same(taking(half, y=half, scale=2.0), np.array([6.0], _HALF), rtol=0, atol=0, reason="exact")
    assert_same(taking(x=half), half, rtol=0, atol=0, reason="exact")
    whole = taking(np.array([3]), y=half)
    assert_same(whole, np.array([4.5], _HALF), rtol=0, atol=0, reason="whole numbers are left alone")
