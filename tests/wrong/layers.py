"""Every layer of `tilewright.nn`, with right arguments, what is asked of each, and of its input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from wrong.functions import image
from wrong.kinds import (
    ARRAY,
    CHOICE,
    DEVICE,
    DTYPE,
    FINITE,
    FLAG,
    NUMBER,
    POSITIVE,
    Call,
    Wrong,
    ask,
    but,
    integer,
    only,
    padding,
    per_axis,
    wrongs,
)

import tilewright as tw
from tilewright import nn

_RANKS = {"1d": 1, "2d": 2, "3d": 3}
_DIM = only(integer(0), "a text", "a float", "nan", "a list")
# What PyTorch has given up: taken as None, refused otherwise.
_OLD = wrongs(a_bool=True, a_text="yes")
_WEIGHTS = but(ARRAY, "none")
_CALLABLE = wrongs(a_number=3, nonsense="nonsense", a_list=[1])


def _usual(rank: int) -> dict[str, list[Wrong]]:
    flags = (
        "affine",
        "track_running_stats",
        "bias",
        "ceil_mode",
        "count_include_pad",
        "return_indices",
        "inplace",
    )
    flags += (
        "keepdim",
        "elementwise_affine",
        "per_class",
        "squared",
        "full",
        "log_target",
        "log_input",
        "swap",
    )
    numbers = (
        "alpha",
        "beta",
        "gamma",
        "k",
        "lambd",
        "lower",
        "upper",
        "margin",
        "min_val",
        "max_val",
        "threshold",
    )
    return {
        **dict.fromkeys(flags, FLAG),
        "p": [*FINITE, *wrongs(above_1=1.5, negative=-0.1)],
        # Without one the mean of all batches counts.
        "momentum": [*but(FINITE, "none"), *wrongs(above_1=1.5, negative=-0.1)],
        **dict.fromkeys((*numbers, "negative_slope", "value", "smooth", "delta", "eps"), NUMBER),
        **dict.fromkeys(("reduction", "padding_mode", "approximate", "mode"), CHOICE),
        # Without the size of its input a layer learns it.
        **dict.fromkeys(("in_channels", "in_features", "num_features"), but(integer(1), "none")),
        **dict.fromkeys(
            ("out_channels", "out_features", "num_channels", "num_groups", "size", "num_parameters"),
            integer(1),
        ),
        **dict.fromkeys(("size_average", "reduce"), _OLD),
        **dict.fromkeys(("weight", "pos_weight"), _WEIGHTS),
        **dict.fromkeys(("stride", "dilation", "kernel_size"), per_axis(rank, 1)),
        "padding": padding(rank),
        "output_padding": per_axis(rank, 0),
        "output_size": but(per_axis(rank, 0), "nothing"),
        "groups": [*integer(1), Wrong("not a divisor", 3)],
        "divisor_override": integer(1),
        "norm_type": [*NUMBER, *wrongs(zero=0, negative=-1.0, nan=float("nan"))],
        "device": DEVICE,
        "dtype": [*DTYPE, Wrong("integers", "int32")],
        "init": _CALLABLE,
        "rank": [*integer(1), Wrong("more than arrays have", 2**40)],
        "dim": _DIM,
        "start_dim": _DIM,
        "end_dim": _DIM,
        "ignore_index": only(integer(0), "none", "a text", "a float", "nan", "a list"),
        "label_smoothing": [*FINITE, *wrongs(above_1=1.5, negative=-0.1)],
        "normalized_shape": [*but(per_axis(1, 1), "too many"), *wrongs(empty=())],
        "upscale_factor": but(per_axis(2, 1), "too many"),
        "downscale_factor": but(per_axis(2, 1), "too many"),
        "normalize": wrongs(a_text="nonsense", a_number=3.5, none=None),
        "fill": but(NUMBER, "none"),
        "return_mask": FLAG,
    }


def _right(name: str, rank: int) -> dict[str, Any]:
    """The arguments that a layer needs."""
    stem = name[:-2] if name[-2:] in _RANKS else name
    kernel: Any = 3 if name[-2:] in _RANKS else (3,) * rank
    needs: dict[str, dict[str, Any]] = {
        **{
            key: {"in_channels": 4, "out_channels": 8, "kernel_size": kernel}
            for key in ("Conv", "ConvTranspose", "PartialConv")
        },
        **{key: {"out_channels": 8, "kernel_size": kernel} for key in ("LazyConv", "LazyConvTranspose")},
        **{key: {"kernel_size": 2} for key in ("AvgPool", "MaxPool", "MaxUnpool")},
        **{key: {"output_size": 2} for key in ("AdaptiveAvgPool", "AdaptiveMaxPool")},
        **{key: {"num_features": 4} for key in ("BatchNorm", "InstanceNorm")},
        **{key: {"padding": 1} for key in ("CircularPad", "ReflectionPad", "ReplicationPad", "ZeroPad")},
        **{key: {"normalized_shape": 6} for key in ("LayerNorm", "RMSNorm")},
        "ConstantPad": {"padding": 1, "value": 0.5},
        "LPPool": {"norm_type": 2, "kernel_size": 2},
        "Linear": {"in_features": 6, "out_features": 3},
        "LazyLinear": {"out_features": 3},
        "GroupNorm": {"num_groups": 2, "num_channels": 4},
        "LocalResponseNorm": {"size": 3},
        "Fold": {"output_size": (6, 6), "kernel_size": 2, "stride": 2},
        "Unfold": {"kernel_size": 2},
        "PixelShuffle": {"upscale_factor": 2},
        "PixelUnshuffle": {"downscale_factor": 2},
        "Threshold": {"threshold": 0.1, "value": 1.0},
        "Unflatten": {"dim": 1, "unflattened_size": (2, 2)},
        "Upsample": {"size": 3},
        "UpsamplingBilinear": {"size": 3},
        "UpsamplingNearest": {"size": 3},
    }
    return dict(needs.get(stem, {}))


def _special(name: str, rank: int, any_rank: bool) -> dict[str, list[Wrong]]:
    """What some layers ask otherwise than their parameters' names say."""
    sides = [*but(padding(rank), "an unknown name", "triples"), *wrongs(a_text="same")]
    free = {key: but(per_axis(2, 1), "too many") for key in ("kernel_size", "dilation", "stride")}
    size = but(per_axis(2, 1), "too many")
    scale = [*NUMBER, *wrongs(zero=0, negative=-1.0, nan=float("nan"))]
    found: dict[str, list[Wrong]] = {}
    if "Pad" in name:
        # An integer for all sides, or two for each axis.
        sides = [one if one.label != "too many" else Wrong("too many", (1,) * 7) for one in sides]
        found["padding"] = sides
    elif any_rank and ("Pool" in name or "Unpool" in name):
        for key in ("kernel_size", "output_size"):
            usual = per_axis(2, 1) if key == "kernel_size" else but(per_axis(2, 0), "nothing")
            found[key] = but(usual, "too many")
        found = {
            key: value
            for key, value in found.items()
            if key in inspect.signature(getattr(nn, name)).parameters
        }
    elif any_rank and "Conv" in name:
        # A single integer needs a rank beside it; another length is another rank.
        found["kernel_size"] = but(per_axis(2, 1), "too many")
    if name == "Unfold":
        found = {**free, "padding": but(padding(2), "too many")}
    elif name == "Fold":
        # How many axes there are, and whether a window fits, shows when it is called.
        found = {"output_size": but(per_axis(2, 1), "too small", "too many", "one too small")}
    elif name.startswith("Upsampl"):
        found = {"size": size, "scale_factor": scale}
        if name == "Upsample":
            flag = but(FLAG, "none")
            found |= {"align_corners": flag, "recompute_scale_factor": flag}
    elif name == "Unflatten":
        found = {
            "unflattened_size": wrongs(
                none=None, a_text="ab", a_number=3, floats=(2.0, 2.0), texts=("a", "b")
            )
        }
    elif name in ("RMSNorm", "SigmoidFocalLoss", "DiceLoss"):
        found = {
            "RMSNorm": {"eps": but(POSITIVE, "none")},
            "SigmoidFocalLoss": {"alpha": but(NUMBER, "none")},
            "DiceLoss": {"ignore_index": only(integer(0), "a text", "a float", "nan", "a list")},
        }[name]
    elif name == "PReLU":
        found = {"init": FINITE}
    elif name in ("PairwiseDistance", "TripletMarginLoss"):
        found = {"p": [*NUMBER, *wrongs(nan=float("nan"))]}
    elif name == "MultiMarginLoss":
        found = {"p": [*NUMBER, *wrongs(three=3, nan=float("nan"))]}
    return found


#: Not layers, or layers that take anything.
NOT_LAYERS = {
    "Identity",
    "LayerSummary",
    "MemberError",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RemovableHandle",
    "Sequential",
    "Summary",
    "UninitializedBuffer",
    "UninitializedError",
    "UninitializedParameter",
    "functional",
    "init",
    "models",
    "summary",
    "utils",
}
#: Their calls take something else than one array of real numbers.
_OTHER_CALLS = ("Loss", "Unpool", "CosineSimilarity", "PairwiseDistance")
#: They take an input of any rank.
_ANY_INPUT = ("Pad", "Norm", "Upsampling", "Linear", "Flatten", "Unflatten", "Global")


def names() -> list[str]:
    return [name for name in nn.__all__ if name not in NOT_LAYERS]


def _rank_of(name: str) -> int:
    return _RANKS.get(name[-2:], 2)


def _made(kind: type) -> Callable[..., Any]:
    """The constructor as a function with the class's own signature."""

    def make(**arguments: Any) -> Any:
        return kind(**arguments)

    # A lazy layer's is that of the layer it becomes, without the size that it learns.
    signature = inspect.signature(kind)
    full = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    if len(full) != len(signature.parameters) or any(one.kind is one.VAR_POSITIONAL for one in full):
        whole = inspect.signature(getattr(nn, kind.__name__.removeprefix("Lazy")))
        full = list(whole.parameters.values())[1:]
    make.__signature__ = inspect.Signature(full)  # type: ignore[attr-defined]
    return make


def constructors() -> Iterator[Call]:
    for name in names():
        rank = _rank_of(name)
        call = Call(name, _made(getattr(nn, name)), _right(name, rank))
        special = _special(name, rank, name[-2:] not in _RANKS)
        yield ask(call, _usual(rank) | special)


def forwards() -> Iterator[Call]:
    """Layers, given something else than their input."""
    for name in names():
        if any(part in name for part in _OTHER_CALLS):
            continue
        rank = _rank_of(name)
        right = _right(name, rank)
        layer = getattr(nn, name)(
            **right | ({"dim": 1} if name in ("Softmax", "LogSoftmax", "Softmin") else {})
        )
        x = tw.ones(2, 16, 9) if name == "Fold" else tw.tensor(image(rank))
        wrong = list(ARRAY)
        if name[-2:] in _RANKS and not any(part in name for part in _ANY_INPUT):
            # Upsampling is for any number of axes, whatever PyTorch calls it.
            wrong += wrongs(rank_0=tw.ones(()), rank_9=tw.ones((1,) * 9))
        call = Call(f"{name}()", _called(layer), {"input": x})
        yield ask(call, {"input": wrong})


def _called(layer: Any) -> Callable[..., Any]:
    def call(input: Any) -> Any:
        return layer(input)

    return call


def calls() -> list[Call]:
    return [*constructors(), *forwards()]
