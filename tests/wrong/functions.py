"""Every public function of `tilewright.functional`, with right arguments and what is asked of each."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from wrong.kinds import (
    ARRAY,
    CHOICE,
    DTYPE,
    FLAG,
    NUMBER,
    Call,
    Wrong,
    ask,
    but,
    dim,
    integer,
    only,
    padding,
    per_axis,
    shaped,
    wrongs,
)

import tilewright.functional as F


def image(rank: int, dtype: Any = np.float32) -> Any:
    return np.ones((2, 4) + (6,) * rank, dtype)


def _usual(rank: int) -> dict[str, list[Wrong]]:
    """What is asked of a parameter of this name by functions of windows over ``rank`` axes."""
    flags = ("ceil_mode", "count_include_pad", "return_indices", "training", "inplace")
    return {
        **dict.fromkeys(flags, FLAG),
        "kernel_size": per_axis(rank, 1),
        # An empty list means the window's size, as in PyTorch.
        "stride": per_axis(rank, 1),
        "dilation": per_axis(rank, 1),
        "padding": padding(rank),
        "output_padding": per_axis(rank, 0),
        "output_size": but(per_axis(rank, 0), "nothing"),  # None keeps the input's size
        "groups": [*integer(1), Wrong("not a divisor", 3)],
        "divisor_override": integer(1),
        "padding_mode": CHOICE,
        "norm_type": [*NUMBER, *wrongs(zero=0, negative=-1.0, nan=float("nan"))],
        "mask": [*but(ARRAY, "a list"), Wrong("another shape", np.ones((5, 5), bool))],
        "normalize": wrongs(a_text="nonsense", a_number=3.5, none=None, an_array=np.ones(3)),
        "fill": but(NUMBER, "none", "a bool"),
        "return_mask": FLAG,
    }


def _windows() -> Iterator[Call]:
    for rank, suffix in ((2, ""), (1, "1d"), (2, "2d"), (3, "3d")):
        usual = _usual(rank)
        x = image(rank)
        # Any-rank forms take the rank from a list of sizes, so that another length is another rank.
        any_rank = not suffix
        sizes = but(per_axis(rank, 1), "too many") if any_rank else per_axis(rank, 1)
        operand = [*shaped(x), Wrong("of bools", x > 0)]
        for name, weight in (
            ("conv", np.ones((8, 4) + (3,) * rank, np.float32)),
            ("conv_transpose", np.ones((4, 8) + (3,) * rank, np.float32)),
        ):
            of_weight = [
                *shaped(weight),
                Wrong("of another dtype", weight.astype(np.float64)),
                Wrong("of five channels", np.ones((5, 5) + (3,) * rank, np.float32)),
                Wrong("of an empty kernel", weight[..., :0], "kernel"),
            ]
            if any_rank:
                of_weight = [one for one in of_weight if one.label != "rank 9"]
            bias = np.ones(8, np.float32)
            of_bias = [
                *shaped(bias),
                Wrong("of another dtype", bias.astype(np.float64)),
                Wrong("too long", np.ones(9, np.float32)),
            ]
            yield ask(
                Call(name + suffix, getattr(F, name + suffix), {"input": x, "weight": weight, "bias": bias}),
                usual,
                input=[*operand, Wrong("of five channels", np.ones((2, 5) + (6,) * rank, np.float32))],
                weight=of_weight,
                bias=of_bias,
            )
        for name in ("max_pool", "avg_pool", "lp_pool"):
            right: dict[str, Any] = {"input": x, "kernel_size": 2}
            if name == "lp_pool":
                right["norm_type"] = 2.0
            yield ask(
                Call(name + suffix, getattr(F, name + suffix), right), usual, input=operand, kernel_size=sizes
            )
            if name == "max_pool" and suffix:
                full = f"max_pool{suffix}_with_indices"
                yield ask(Call(full, getattr(F, full), right), usual, input=operand)
        for name in ("adaptive_avg_pool", "adaptive_max_pool"):
            special = {"input": operand}
            if any_rank:
                special = {
                    "input": but(operand, "rank 9"),
                    "output_size": but(usual["output_size"], "too many"),
                }
            right = {"input": x, "output_size": 2}
            yield ask(Call(name + suffix, getattr(F, name + suffix), right), usual, **special)
            if name == "adaptive_max_pool" and suffix:
                full = f"adaptive_max_pool{suffix}_with_indices"
                yield ask(Call(full, getattr(F, full), right), usual, input=operand)
        values, places = F.max_pool(x, (2,) * rank, return_indices=True)
        of_places = [
            *shaped(places),
            Wrong("of floats", places.astype(float)),
            Wrong("outside", places + 6**rank, "index"),
        ]
        yield ask(
            Call(
                f"max_unpool{suffix}",
                getattr(F, f"max_unpool{suffix}"),
                {"input": values, "indices": places, "kernel_size": 2},
            ),
            usual,
            input=operand,
            indices=of_places,
            kernel_size=sizes,
            output_size=per_axis(rank, 0),
        )
        if suffix:
            yield ask(
                Call(f"dropout{suffix}", getattr(F, f"dropout{suffix}"), {"input": x}),
                usual,
                input=operand,
                p=_P,
            )


_P = [*NUMBER, *wrongs(above_1=1.5, negative=-0.1, nan=float("nan"))]


def _others() -> Iterator[Call]:
    x, usual = image(2), _usual(2)
    weight = np.ones((8, 4, 3, 3), np.float32)
    operand = shaped(x)
    yield ask(
        Call("convolve", F.convolve, {"input": x, "weight": weight}),
        usual,
        input=operand,
        weight=but(shaped(weight), "rank 9"),
        bias=shaped(x),
    )
    right = {"input": x, "weight": weight}
    yield ask(
        Call("masked_conv", F.masked_conv, {**right, "mask": x > 0}),
        usual,
        input=operand,
        weight=but(shaped(weight), "rank 9"),
        bias=shaped(x),
        mask=but(usual["mask"], "none"),
    )
    kernels = np.ones((4, 1, 3, 3), np.float32)
    yield ask(
        Call("separate", F.separate, {"weight": kernels, "tolerance": 0.1}),
        {},
        weight=[*but(shaped(kernels), "rank 9"), Wrong("of two inputs", np.ones((4, 2, 3, 3), np.float32))],
        tolerance=[*NUMBER, *wrongs(negative=-0.1, nan=float("nan"), infinite=float("inf"))],
    )
    yield ask(
        Call(
            "conv_separable",
            F.conv_separable,
            {"input": x, "weights": F.separate(kernels, 0.0), "groups": 4},
        ),
        usual,
        input=operand,
        weights=wrongs(none=None, a_text="text", a_number=3, empty=[], texts=["a", "b"], an_array=kernels),
        bias=shaped(x),
    )
    shape = wrongs(none=None, a_text="text", a_number=3, texts=("a", "b", "c"), floats=(1.0, 4.0, 6.0, 6.0))
    yield ask(
        Call("explain", F.explain, right),
        usual,
        input=[*shape, Wrong("an empty batch", (0, 4, 6, 6))],
        weight=[*shape, Wrong("no outputs", (0, 4, 3, 3))],
        operation=CHOICE,
        dtype=[*DTYPE, Wrong("bools", "bool")],
    )
    rows, matrix = np.ones((2, 4), np.float32), np.ones((3, 4), np.float32)
    yield ask(
        Call("linear", F.linear, {"input": rows, "weight": matrix, "bias": np.ones(3, np.float32)}),
        {},
        input=[*but(shaped(rows), "rank 9"), Wrong("of five columns", np.ones((2, 5), np.float32))],
        weight=[*shaped(matrix), Wrong("of five columns", np.ones((3, 5), np.float32))],
        bias=[*shaped(rows), Wrong("too long", np.ones(4, np.float32))],
    )
    yield ask(
        Call("one_hot", F.one_hot, {"tensor": np.zeros(3, int), "num_classes": 4}),
        {},
        tensor=[*ARRAY, Wrong("of floats", np.zeros(3)), Wrong("negative", np.array([-1]), "label")],
        num_classes=[*integer(-1), Wrong("for terabytes", 2**45, named="shape")],
    )
    yield ask(Call("dropout", F.dropout, {"input": x}), usual, input=ARRAY, p=_P)
    pads = wrongs(
        none=None,
        a_number=3,
        odd=(1,),
        floats=(1.5, 1.5),
        texts=("a", "b"),
        nan=(float("nan"), 1),
        huge=(2**64, 0),
    )
    yield ask(
        Call("pad", F.pad, {"input": x, "pad": (1, 1)}),
        usual,
        input=ARRAY,
        pad=[*pads, Wrong("too many", (1,) * 10), Wrong("more than there is", (-9, 0))],
        mode=CHOICE,
        value=wrongs(a_text="half", a_list=[0.5], an_array=np.ones((2, 2))),
    )
    columns = np.ones((2, 16, 9), np.float32)
    fold = {"input": columns, "output_size": (6, 6), "kernel_size": 2, "stride": 2}
    yield ask(
        Call("fold", F.fold, fold),
        usual,
        input=shaped(columns),
        # Sizes that no window fits into are refused as such.
        output_size=[
            Wrong(one.label, one.value, "input" if "small" in one.label else "") for one in per_axis(2, 1)
        ],
        stride=per_axis(2, 1),
    )
    free = {name: but(per_axis(2, 1), "too many") for name in ("kernel_size", "dilation", "stride")}
    yield ask(
        Call("unfold", F.unfold, {"input": x, "kernel_size": 2}),
        usual,
        input=[*ARRAY, Wrong("rank 1", np.ones(3))],
        **free,
        padding=but(padding(2), "too many"),
    )
    for name, factor in (("pixel_shuffle", "upscale_factor"), ("pixel_unshuffle", "downscale_factor")):
        yield ask(
            Call(name, getattr(F, name), {"input": x, factor: 2}),
            {factor: but(per_axis(2, 1), "too many")},
            input=[*ARRAY, Wrong("rank 1", np.ones(3))],
        )
    flag = but(FLAG, "none")
    yield ask(
        Call("interpolate", F.interpolate, {"input": x, "size": (3, 3)}),
        usual,
        input=but(shaped(x), "rank 9"),
        size=but(per_axis(2, 1), "too many"),  # that is an input without batch
        scale_factor=[*NUMBER, *wrongs(zero=0, negative=-1.0, nan=float("nan"), three=(1.0,) * 3)],
        mode=CHOICE,
        align_corners=flag,
        recompute_scale_factor=flag,
        antialias=flag,
    )
    rank = [*integer(1), Wrong("more than arrays have", 2**40)]
    yield ask(Call("global_avg_pool", F.global_avg_pool, {"input": x}), usual, input=ARRAY, rank=rank)
    yield ask(Call("global_max_pool", F.global_max_pool, {"input": x}), usual, input=ARRAY, rank=rank)


# Functions of one value at a time, of norms, of losses and of distances: arguments by name.
_MODULES = (
    "activations",
    "activations_piecewise",
    "activations_smooth",
    "distances",
    "group_norms",
    "losses",
    "losses_imbalance",
    "losses_likelihood",
    "losses_margin",
    "norms",
)
_X = np.ones((2, 4, 3))
_SCORES = _X[:, :, 0]
_RIGHT: dict[str, Any] = {
    "num_groups": 2,
    "normalized_shape": 3,
    "size": 3,
    "running_mean": np.zeros(4),
    "running_var": np.ones(4),
    "threshold": 0.5,
    "value": 1.0,
    "weight": np.ones(4),
}
_RIGHT_FOR: dict[str, dict[str, Any]] = {
    "softmax": {"dim": 1},
    "log_softmax": {"dim": 1},
    "softmin": {"dim": 1},
    "glu": {"dim": 1},
    "cross_entropy": {"target": np.zeros((2, 3), int)},
    "nll_loss": {"target": np.zeros((2, 3), int)},
    "focal_loss": {"target": np.zeros((2, 3), int)},
    "dice_loss": {"target": np.zeros((2, 3), int)},
    "multi_margin_loss": {"input": _SCORES, "target": np.zeros(2, int)},
    "multilabel_margin_loss": {"input": _SCORES, "target": np.zeros((2, 4), int)},
    "cosine_embedding_loss": {"input1": _SCORES, "input2": _SCORES, "target": np.ones(2)},
}
_SHAPES = [
    *but(per_axis(1, 0), "too many", "too small", "one too small"),
    *wrongs(empty=(), another=(7,), negative=(-1,)),
]
_ASKED: dict[str, list[Wrong]] = {
    **dict.fromkeys(("inplace", "training", "log_target", "log_input", "full", "swap", "keepdim"), FLAG),
    **dict.fromkeys(("per_class", "squared", "use_input_stats"), FLAG),
    **dict.fromkeys(
        ("alpha", "min_val", "max_val", "negative_slope", "lambd", "lower", "upper", "beta"), NUMBER
    ),
    **dict.fromkeys(("threshold", "value", "k", "momentum", "delta", "gamma", "smooth", "margin"), NUMBER),
    **dict.fromkeys(("eps", "label_smoothing", "p"), NUMBER),
    **dict.fromkeys(("reduction", "approximate"), CHOICE),
    **dict.fromkeys(
        ("input", "target", "x1", "x2", "input1", "input2", "anchor", "positive", "negative"), ARRAY
    ),
    **dict.fromkeys(
        ("weight", "bias", "running_mean", "running_var", "var", "pos_weight"), but(ARRAY, "a number")
    ),
    "dim": dim(3),
    "dtype": DTYPE,
    "ignore_index": only(integer(0), "none", "a text", "a float", "nan", "a list"),
    "num_groups": [*integer(1), Wrong("not a divisor", 3)],
    "size": integer(1),
    "normalized_shape": _SHAPES,
}


def _by_name() -> Iterator[Call]:
    for module in _MODULES:
        for name in importlib.import_module(f"tilewright.functional.{module}").__all__:
            call = Call(name, getattr(F, name), {})
            needed = [one.name for one in call.parameters() if one.default is one.empty]
            call.right = {key: _RIGHT.get(key, _X) for key in needed} | _RIGHT_FOR.get(name, {})
            special = {"alpha": but(NUMBER, "none")} if name == "sigmoid_focal_loss" else {}
            yield ask(call, _ASKED, **special)


def calls() -> list[Call]:
    return [*_windows(), *_others(), *_by_name()]
