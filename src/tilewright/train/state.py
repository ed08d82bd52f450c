"""Where a training run stands, and how that goes into a file and comes back.

``last.safetensors`` holds everything that the next step depends on: weights, the optimiser's state, the
averaged weights, a scheduler's state, the generator of random numbers, the loader's place in the epoch; and
what is carried along: the running sums, the best validation, how long there was no progress, and the time
spent. ``model.safetensors`` holds the weights alone, under PyTorch's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.data import DataLoader
from tilewright.errors import FileFormatError, TilewrightError, describe
from tilewright.nn import Module
from tilewright.op.random import get_rng_state, set_rng_state
from tilewright.train import checkpoint
from tilewright.train.checkpoint import Checkpoint
from tilewright.train.config import RunConfig, same_facts
from tilewright.train.config_file import config_from
from tilewright.train.packing import pack, unpack
from tilewright.train.rows import RunningSums
from tilewright.train.scores import Score

Array = np.ndarray[Any, Any]

_WEIGHTS = "model."
_KIND_STATE = "training state"
_KIND_MODEL = "model"


@dataclass
class Position:
    """Where the run stands, beside what the network, optimiser, generator and loader know themselves.

    Attributes:
        step: updates of the weights done.
        seconds: training time so far.
        sums: what was measured since the last row of ``metrics.csv``.
        best: the best validation.
        last: the latest one.
        progress: the last one that early stopping counts as progress.
        stale: validations since.
    """

    step: int = 0
    seconds: float = 0.0
    sums: RunningSums = field(default_factory=RunningSums)
    best: Score | None = None
    last: Score | None = None
    progress: Score | None = None
    stale: int = 0


@dataclass(frozen=True, eq=False)
class Parts:
    """What has a state of its own.

    Attributes:
        model: the network.
        optimizer: over its parameters.
        loader: of the training images.
        average: of the weights (:class:`~tilewright.optim.ExponentialMovingAverage`), or None.
        scheduler: of ``optim.lr_scheduler``, or None.
    """

    model: Module
    optimizer: Any
    loader: DataLoader
    average: Any = None
    scheduler: Any = None

    def named(self) -> dict[str, Any]:
        """The optimiser, and what else there is, by name."""
        found = {"optimizer": self.optimizer, "average": self.average, "scheduler": self.scheduler}
        return {name: part for name, part in found.items() if part is not None}


def save_model(path: Path, model: Module, config: RunConfig, position: Position) -> None:
    """Write the weights, and beside them what rebuilds the network.

    The folder of the data and the recipe (which names it) are left out: this file is the one that is passed
    on to others.
    """
    shared = replace(config, data=replace(config.data, folder=None), recipe={})
    state, _ = pack("", {"config": shared.to_dict(), "best": _score_to(position.best)})
    checkpoint.save(path, weights_of(model), {"kind": _KIND_MODEL, **state})


def save_state(path: Path, parts: Parts, config: RunConfig, position: Position) -> None:
    """Write everything that the next step depends on."""
    states: dict[str, Any] = {}
    tensors = {_WEIGHTS + name: array for name, array in weights_of(parts.model).items()}
    for name, part in parts.named().items():
        states[name], arrays = pack(name, part.state_dict())
        tensors |= arrays
    states["generator"], arrays = pack("generator", get_rng_state())
    tensors |= arrays
    where, _ = pack(
        "",
        {
            "step": position.step,
            "seconds": position.seconds,
            "sums": asdict(position.sums),
            "best": _score_to(position.best),
            "last": _score_to(position.last),
            "progress": _score_to(position.progress),
            "stale": position.stale,
        },
    )
    checkpoint.save(
        path,
        tensors,
        {
            "kind": _KIND_STATE,
            "config": config.to_dict(),
            "position": where,
            "loader": parts.loader.state_dict(),
            **states,
        },
    )


def load_state(path: Path, parts: Parts, config: RunConfig) -> Position:
    """Put the state of ``last.safetensors`` into everything that has a share in it.

    Raises:
        FileFormatError: the file is damaged, isn't such a state, or is of another run.
    """
    found = checkpoint.load(path)
    _check_kind(found, _KIND_STATE)
    differences = same_facts(config_from(_object(found, "config"), path), config)
    if differences:
        raise FileFormatError(
            f"Checkpoint {str(path)!r} needs to be of the run whose folder it is in.", "; ".join(differences)
        )
    position = _position_from(found)
    weights = {
        name.removeprefix(_WEIGHTS): array
        for name, array in found.tensors.items()
        if name.startswith(_WEIGHTS)
    }
    put_weights(parts.model, weights, path)
    # What an optimiser, a generator or a loader says of a state that isn't its own comes in many forms.
    try:
        for name, part in parts.named().items():
            part.load_state_dict(unpack(found.state.get(name), found.tensors))
        set_rng_state(unpack(found.state.get("generator"), found.tensors))
        parts.loader.load_state_dict(_object(found, "loader"))
    except (TilewrightError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise FileFormatError(
            f"Checkpoint {str(path)!r} needs the state of this run's optimiser, generator and loader.",
            f"{type(error).__name__}: {error}",
        ) from error
    return position


def weights_of(model: Module) -> dict[str, Array]:
    """The state dict as arrays."""
    return {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def put_weights(model: Module, weights: Mapping[str, Array], path: Path) -> None:
    """Load weights of a file into the network, exactly these names, shapes and dtypes.

    Raises:
        FileFormatError: naming the first tensor that doesn't fit; nothing has been changed.
    """
    wanted = weights_of(model)
    missing = [name for name in wanted if name not in weights]
    strange = [name for name in weights if name not in wanted]
    if missing or strange:
        parts = [f"no {', '.join(missing[:3])}"] if missing else []
        parts += [f"besides {', '.join(strange[:3])}"] if strange else []
        raise FileFormatError(
            f"Checkpoint {str(path)!r} needs exactly the tensors of the network that it names.",
            " and ".join(parts),
        )
    for name, array in wanted.items():
        given = weights[name]
        if given.shape != array.shape or given.dtype != array.dtype:
            raise FileFormatError(
                f"Checkpoint {str(path)!r} needs {name} of shape {array.shape} and dtype {array.dtype}.",
                describe(**{name: given}),
            )
    model.load_state_dict(weights)


def load_model(path: Path) -> tuple[RunConfig, dict[str, Array]]:
    """What rebuilds a network, and its weights, from ``model.safetensors``.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it is damaged, or isn't a model that Tilewright saved.
    """
    found = checkpoint.load(path)
    _check_kind(found, _KIND_MODEL)
    return config_from(_object(found, "config"), path), found.tensors


def _check_kind(found: Checkpoint, kind: str) -> None:
    if found.state.get("kind") != kind:
        raise FileFormatError(
            f"Checkpoint {str(found.path)!r} needs to hold a {kind} that Tilewright saved.",
            describe(kind=found.state.get("kind")),
        )


def _position_from(found: Checkpoint) -> Position:
    name = str(found.path)
    try:
        where = unpack(_object(found, "position"), {})
        sums = where["sums"]
        position = Position(
            step=_whole(where["step"]),
            seconds=float(where["seconds"]),
            sums=_sums_from(sums),
            best=_score_from(where["best"]),
            last=_score_from(where["last"]),
            progress=_score_from(where.get("progress")),
            stale=_whole(where.get("stale", 0)),
        )
    except (TilewrightError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"Checkpoint {name!r} needs a whole account of where the run stands.",
            f"{type(error).__name__}: {error}",
        ) from error
    return position


def _object(found: Checkpoint, key: str) -> dict[str, Any]:
    value = found.state.get(key)
    if not isinstance(value, dict):
        raise FileFormatError(
            f"Checkpoint {str(found.path)!r} needs an object as its {key}.", describe(**{key: value})
        )
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} where a count belongs")
    return value


def _score_to(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else asdict(score)


def _score_from(found: Any) -> Score | None:
    if found is None:
        return None
    accuracy = found["accuracy"]
    # Before there were other tasks than classification, the accuracy was the score.
    score = found.get("score", accuracy)
    return Score(
        _whole(found["step"]),
        float(found["loss"]),
        None if accuracy is None else float(accuracy),
        None if score is None else float(score),
    )


def _sums_from(found: Any) -> RunningSums:
    images = _whole(found["images"])
    # The first version divided by the images alone.
    weight, judged = float(found.get("weight", images)), _whole(found.get("judged", images))
    return RunningSums(float(found["loss"]), weight, _whole(found["correct"]), judged, images)
