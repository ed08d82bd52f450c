"""Optimisers, schedules, initialisers, gradient clipping, models, geometry: as for functions and layers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from wrong.kinds import (
    CHOICE,
    FINITE,
    FLAG,
    NUMBER,
    OPTIMIZER,
    POSITIVE,
    TENSORS,
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
from tilewright import geometry, nn, optim
from tilewright.optim import lr_scheduler


def made(kind: type) -> Callable[..., Any]:
    """A constructor as a function with the class's signature."""

    def make(**arguments: Any) -> Any:
        return kind(**arguments)

    make.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return make


def _optimizer() -> optim.Optimizer:
    return optim.SGD([tw.ones(3).requires_grad_()], lr=0.1, momentum=0.9)


_RATE = [*FINITE, *wrongs(negative=-0.1)]
_SHARE = [*_RATE, *wrongs(one=1.5)]
_PARAMETERS = [*TENSORS, *wrongs(none_at_all=[], the_same_twice=[tw.ones(2).requires_grad_()] * 2)]


def _optimizers() -> Iterator[Call]:
    usual = {
        **dict.fromkeys(("lr", "momentum", "weight_decay", "eps", "alpha"), _RATE),
        **dict.fromkeys(("nesterov", "maximize", "amsgrad", "centered"), FLAG),
        "dampening": FINITE,
        "betas": wrongs(
            none=None, a_number=0.9, one=(0.9,), too_large=(0.9, 1.0), texts=("a", "b"), nan=(math.nan, 0.9)
        ),
        "params": _renamed(but(_PARAMETERS, "the same twice"), "parameter", "numbers", "arrays"),
    }
    for name in ("SGD", "Adam", "AdamW", "RMSprop"):
        parameters = [tw.ones(3).requires_grad_()]
        yield ask(Call(f"optim.{name}", made(getattr(optim, name)), {"params": parameters}), usual)
    model = wrongs(none=None, a_text="model", a_number=3, parameters=[tw.ones(3)])
    average = made(optim.ExponentialMovingAverage)
    yield ask(
        Call("optim.ExponentialMovingAverage", average, {"model": nn.Linear(3, 2)}),
        {"model": model, "decay": _SHARE, "warmup": FLAG},
    )


_FUNCTION = wrongs(a_text="half", a_number=0.5, too_many=[lambda epoch: 1.0] * 3)
_SCHEDULES: dict[str, dict[str, Any]] = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.2},
    "ExponentialLR": {"gamma": 0.9},
    "LambdaLR": {"lr_lambda": lambda epoch: 1.0},
    "LinearLR": {},
    "MultiStepLR": {"milestones": [2, 3]},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 1.0},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 10},
    "PolynomialLR": {},
    "ReduceLROnPlateau": {},
    "StepLR": {"step_size": 2},
}


def _schedules() -> Iterator[Call]:
    count = only(integer(1), "none", "a text", "a float", "nan", "a bool", "too small")
    usual = {
        **dict.fromkeys(
            ("T_max", "T_0", "T_mult", "step_size", "step_size_up", "total_iters", "total_steps"), count
        ),
        "step_size_down": count,
        # Beside total_steps they say nothing, as in PyTorch; the second OneCycleLR below goes by them.
        "epochs": [],
        "steps_per_epoch": [],
        **dict.fromkeys(
            ("patience", "cooldown"), only(integer(0), "none", "a text", "a float", "nan", "too small")
        ),
        **dict.fromkeys(
            ("gamma", "factor", "start_factor", "end_factor", "power", "threshold", "eps"), FINITE
        ),
        "eta_min": FINITE,
        # One number, or a list of them, one per group.
        **dict.fromkeys(
            ("base_lr", "max_lr", "min_lr", "base_momentum", "max_momentum"), but(FINITE, "a list")
        ),
        **dict.fromkeys(("pct_start", "div_factor", "final_div_factor"), FINITE),
        **dict.fromkeys(("mode", "threshold_mode", "scale_mode", "anneal_strategy"), CHOICE),
        **dict.fromkeys(("cycle_momentum", "three_phase"), FLAG),
        "optimizer": OPTIMIZER,
        "last_epoch": only(integer(-1), "none", "a text", "a float", "nan", "too small"),
        "milestones": [
            *wrongs(none=None, a_text="12", a_number=3),
            Wrong("floats", [1.5], "milestone"),
            Wrong("negative", [-1], "milestone"),
        ],
        "lr_lambda": [*wrongs(none=None), *_FUNCTION],
        "scale_fn": wrongs(a_text="half", a_number=0.5),
        "schedulers": [
            *wrongs(none=None, a_text="text", a_number=3, empty=[]),
            Wrong("others", [1, 2], "schedules"),
        ],
        "scheduler": wrongs(none=None, a_text="text", a_number=3),
        "steps": but(count, "too small"),  # none is no warm-up
    }
    cycle = {"optimizer": _optimizer(), "max_lr": 0.1, "epochs": 2, "steps_per_epoch": 5}
    counts = {"epochs": but(count, "none"), "steps_per_epoch": but(count, "none"), "total_steps": []}
    yield ask(Call("OneCycleLR.epochs", made(lr_scheduler.OneCycleLR), cycle), usual | counts)
    for name, right in _SCHEDULES.items():
        arguments = {"optimizer": _optimizer(), **right}
        yield ask(Call(f"lr_scheduler.{name}", made(getattr(lr_scheduler, name)), arguments), usual)
    optimizer = _optimizer()
    parts = [lr_scheduler.StepLR(optimizer, 2), lr_scheduler.StepLR(optimizer, 3)]
    yield ask(
        Call("lr_scheduler.ChainedScheduler", made(lr_scheduler.ChainedScheduler), {"schedulers": parts}),
        usual,
    )
    arguments = {"optimizer": optimizer, "schedulers": parts, "milestones": [2]}
    yield ask(Call("lr_scheduler.SequentialLR", made(lr_scheduler.SequentialLR), arguments), usual)
    warmed = {"scheduler": lr_scheduler.StepLR(_optimizer(), 2), "steps": 3}
    yield ask(Call("lr_scheduler.with_warmup", lr_scheduler.with_warmup, warmed), usual)


def _initialisers() -> Iterator[Call]:
    tensor = wrongs(none=None, a_text="text", a_list=[[1.0]], integers=tw.ones(3, 2).long())
    usual = {
        **{key: [*NUMBER, *wrongs(nan=math.nan)] for key in ("a", "b", "mean", "std", "val", "gain")},
        **dict.fromkeys(("mode", "nonlinearity", "name"), CHOICE),
        "generator": wrongs(a_seed=3, a_text="text"),
        "tensor": tensor,
        "param": FINITE,
    }
    for name in sorted(vars(nn.init)):
        function = getattr(nn.init, name)
        if name.endswith("_") and not name.startswith("_"):
            right: dict[str, Any] = {"tensor": tw.ones(4, 3)} | ({"val": 1.0} if name == "constant_" else {})
            yield ask(Call(f"init.{name}", function, right), usual)
    yield ask(Call("init.calculate_gain", nn.init.calculate_gain, {"nonlinearity": "leaky_relu"}), usual)
    fans = [*but(tensor, "integers"), Wrong("a vector", tw.ones(3), "weight")]
    yield ask(Call("init.fans", nn.init.fans, {"tensor": tw.ones(4, 3)}), {"tensor": fans})
    yield ask(Call("init.by_name", nn.init.by_name, {"name": "he", "tensor": tw.ones(4, 3)}), usual)


def _clipping() -> Iterator[Call]:
    usual = {
        **dict.fromkeys(("parameters", "tensors"), TENSORS),
        **dict.fromkeys(("max_norm", "clip_value"), POSITIVE),
        "norm_type": [*NUMBER, *wrongs(zero=0.0, negative=-1.0, nan=math.nan)],
        "error_if_nonfinite": FLAG,
    }
    tensors = [tw.ones(3).requires_grad_()]
    for name, right in (
        ("clip_grad_norm_", {"parameters": tensors, "max_norm": 1.0}),
        ("clip_grad_value_", {"parameters": tensors, "clip_value": 1.0}),
        ("get_total_norm", {"tensors": tensors}),
    ):
        yield ask(Call(f"utils.{name}", getattr(nn.utils, name), right), usual)


def _renamed(found: list[Wrong], named: str, *labels: str) -> list[Wrong]:
    """With what messages call the values of these labels."""
    return [Wrong(one.label, one.value, named if one.label in labels else one.named) for one in found]


def _models() -> Iterator[Call]:
    sizes = (
        "in_channels",
        "out_channels",
        "classes",
        "base",
        "levels",
        "width",
        "features",
        "blocks",
        "scale",
        "latent",
    )
    usual = {
        **dict.fromkeys((*sizes, "kernel", "embedding"), integer(1)),
        **dict.fromkeys(("norm", "causal", "per_step"), FLAG),
        **dict.fromkeys(("pool", "output", "name"), CHOICE),
        **{key: [*FINITE, *wrongs(above_1=1.5, negative=-0.1)] for key in ("dropout", "keep")},
        **dict.fromkeys(("residual_scale", "value_range"), FINITE),
        "image_size": wrongs(
            none=None, a_text="large", a_float=28.5, negative=-1, zero=0, three=(8, 8, 8), nan=math.nan
        ),
        "model": wrongs(none=None, a_text="lenet5", a_class=nn.Linear),
        "input_shape": [
            *wrongs(none=None, a_text="28", a_number=3, floats=(1.5,), negative=(-3,)),
            Wrong("another", (4,), "input"),
        ],
        # Its first size is the number of channels, and refused as such.
        "shape": [
            *wrongs(none=None, a_text="28", a_number=3, short=(3,)),
            Wrong("floats", (1.5, 28, 28), "in_channels"),
            Wrong("negative", (-3, 8, 8), "in_channels"),
        ],
        "batch_size": integer(1),
        "dtype": wrongs(a_text="float33", a_number=3.5, a_class=dict),
    }
    small = {
        "unet": {"base": 4, "levels": 2},
        "tcn": {"width": 4, "levels": 2},
        "edsr": {"features": 4, "blocks": 1},
    }
    small |= {"dcgan_generator": {"width": 4}, "dcgan_discriminator": {"width": 4}, "c3d": {"base": 2}}
    for name in ("lenet5", "digitnet", "autoencoder", *small):
        yield ask(Call(f"models.{name}", getattr(nn.models, name), small.get(name, {})), usual)
    yield ask(Call("models.create", nn.models.create, {"name": "lenet5"}), usual)
    yield ask(
        Call("models.for_sample", nn.models.for_sample, {"name": "lenet5", "shape": (1, 28, 28)}), usual
    )
    yield ask(Call("summary", nn.summary, {"model": nn.Linear(3, 2), "input_shape": (3,)}), usual)


def _geometry() -> Iterator[Call]:
    def shape(of: str) -> list[Wrong]:
        sizes = f"every size of {of}"
        return [
            *wrongs(none=None, a_text="text", a_number=3, nested=[[1], 2]),
            Wrong("floats", (1.0, 4.0, 6.5, 6.0), sizes),
            Wrong("negative", (1, 4, -6, 6), sizes),
        ]

    usual = {
        "input_shape": shape("input"),
        "weight_shape": shape("weight"),
        **dict.fromkeys(("stride", "dilation", "kernel", "input_dilation"), per_axis(2, 1)),
        "padding": padding(2),
        "output_padding": per_axis(2, 0),
        "groups": [*integer(1), Wrong("not a divisor", 3)],
        "ceil_mode": FLAG,
        "output_size": but(per_axis(2, 0), "nothing"),
        "op": wrongs(none=None, a_number=3, a_list=["conv"]),
        "chain": wrongs(none=None, a_number=3, a_text="text", others=[1, 2]),
        "index": integer(-(2**63)),
        "dims": wrongs(none=None, a_text="text", a_shape=(1, 2)),
        "transposed": FLAG,
    }
    x, of = (2, 4, 6, 6), geometry.ConvDims.of
    yield ask(Call("ConvDims.of", of, {"input_shape": x, "weight_shape": (8, 4, 3, 3)}), usual)
    transposed = {"input_shape": x, "weight_shape": (4, 8, 3, 3)}
    yield ask(Call("ConvDims.of_transposed", geometry.ConvDims.of_transposed, transposed), usual)
    yield ask(
        Call("PoolDims.of", geometry.PoolDims.of, {"input_shape": x, "kernel": 2}),
        usual,
        kernel=[Wrong(one.label, one.value, "kernel_size") for one in per_axis(2, 1)],
    )
    yield ask(Call("AdaptiveDims.of", geometry.AdaptiveDims.of, {"input_shape": x, "output_size": 2}), usual)
    window = {name: integer(1) for name in ("kernel", "stride", "dilation", "input_dilation")}
    yield ask(Call("Window", made(geometry.Window), {"kernel": 3}), window | {"before": integer(-(2**63))})
    chain = [geometry.Window(3), geometry.Window(2)]
    yield ask(Call("receptive_field", geometry.receptive_field, {"chain": chain}), usual)
    yield ask(Call("field_of", geometry.field_of, {"chain": chain, "index": 0}), usual)
    dims = geometry.PoolDims.of(x, 2)
    yield ask(Call("windows_of", geometry.windows_of, {"dims": dims}), usual)


def calls() -> list[Call]:
    return [*_optimizers(), *_schedules(), *_initialisers(), *_clipping(), *_models(), *_geometry()]
