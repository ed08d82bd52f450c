"""Wrong calls of every public function and class: each is refused in the one format, naming the argument.

The tables under ``wrong/`` hold right arguments for everything, and for every parameter what is asked of it.
Here each wrong value takes the place of the right one, one at a time. Nothing may come to light as an error
of NumPy's or Python's own; what Python itself refuses are arguments that a function doesn't have.
"""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wrong import datasets, functions, layers, others
from wrong.kinds import Call, Wrong

import tilewright as tw
import tilewright.functional as F
from tilewright import data, geometry, nn, optim
from tilewright.errors import ArgumentError, ShapeError, TilewrightError
from tilewright.geometry.axes import MOST_AXES
from tilewright.kernel import buffers


@cache
def _calls() -> dict[str, Call]:
    found = [*functions.calls(), *layers.calls(), *others.calls(), *datasets.calls()]
    assert len({call.name for call in found}) == len(found)
    return {call.name: call for call in found}


_CASES = [
    pytest.param(call.name, argument, id=f"{call.name}-{argument}")
    for call in _calls().values()
    for argument, wrongs in call.asked.items()
    if wrongs
]


def _refused(call: Call, argument: str, wrong: Wrong) -> None:
    """The call with one wrong argument is refused, in the one format, naming that argument."""
    what = f"{call.name} with {argument} {wrong.label}"
    try:
        call.function(**{**call.right, argument: wrong.value})
    except TilewrightError as error:
        text = str(error)
    except Exception as error:
        pytest.fail(f"{what} gives {type(error).__name__}: {error}")
    else:
        pytest.fail(f"{what} is taken")
    assert "Received: " in text, f"{what}: {text}"
    named = wrong.named or argument
    assert re.search(rf"(?<![A-Za-z]){re.escape(named)}(?![A-Za-z])", text), f"{what}: {text}"


@pytest.mark.parametrize(("name", "argument"), _CASES)
def test_wrong_arguments_are_refused(name: str, argument: str) -> None:
    call = _calls()[name]
    for wrong in call.asked[argument]:
        _refused(call, argument, wrong)


def test_there_are_many_cases() -> None:
    assert len(_CASES) > 1000
    assert sum(len(wrongs) for call in _calls().values() for wrongs in call.asked.values()) > 10_000


def _missing(group: str) -> str:
    return f"has no entry in tests/wrong/{group}"


def test_every_function_has_an_entry() -> None:
    for name in F.__all__:
        assert name in _calls(), f"{name} {_missing('functions.py')}"


def test_every_layer_has_an_entry() -> None:
    for name in layers.names():
        assert name in _calls(), f"{name} {_missing('layers.py')}"


def test_everything_of_the_other_packages_has_an_entry() -> None:
    known = {name.rpartition(".")[2] for name in _calls()} | {name.partition(".")[0] for name in _calls()}
    # Bases and plain values; and what reads files, which the tests below give wrong arguments.
    known |= {"Optimizer", "LRScheduler", "lr_scheduler", "ReceptiveField", "Dataset", "ImageSet", "BadFile"}
    known |= {
        "SampleIndexError",
        "DATASET_NAMES",
        "IMAGE_SUFFIXES",
        "AUGMENTATIONS",
        "Augmentation",
        "augment",
    }
    known |= {"mnist", "fashion_mnist", "read_idx", "write_idx", "read_npz", "NpzDataset", "CsvDataset"}
    known |= {"ImageFolder", "from_folder", "find_images", "read_image"}
    for package in (optim, optim.lr_scheduler, geometry, data, data.augment):
        for name in package.__all__:
            assert name in known, f"{package.__name__}.{name} {_missing('others.py or datasets.py')}"


@pytest.mark.parametrize("name", list(_calls()))
def test_right_arguments_are_taken(name: str) -> None:
    """Otherwise every refusal above might be that of another argument."""
    call = _calls()[name]
    call.function(**call.right)


@pytest.mark.parametrize("name", list(_calls()))
def test_python_refuses_what_there_is_no_parameter_for(name: str) -> None:
    call = _calls()[name]
    # What hands arguments on to a model, by its name, says itself which ones that takes.
    hands_on = name in ("models.create", "models.for_sample")
    with pytest.raises(ArgumentError if hands_on else TypeError, match="no_such_argument"):
        call.function(**call.right, no_such_argument=1)


_X = np.ones((2, 4, 6, 6), np.float32)
# Right here and there, by chance; whatever they are, no error but our own may come of them.
_ANYTHING: list[Any] = [
    None,
    "three",
    "",
    3,
    0,
    -1,
    2.5,
    True,
    math.nan,
    math.inf,
    10**30,
    10**400,
    10**5000,
    2**63 - 1,
    2**40,
    -(2**62),
    np.int64(2),
    np.float32(2),
    [],
    (),
    (1, 2),
    (1, 1, 1),
    ((1, 1), (1, 1)),
    ("a", "b"),
    (None, None),
    (math.nan, 1),
    {},
    object(),
    b"x",
    1j,
    float,
    np.ones(()),
    np.array(3),
    np.ones((2, 4), int),
    np.zeros((0, 4, 6, 6)),
    np.zeros((2, 0, 6, 6), np.float32),
    _X,
    _X.astype(np.float16),
    _X.astype(complex),
    _X.astype(bool),
    _X.astype(">f4"),
    np.array(["text"]),
    np.array([None]),
    tw.ones(2, 4, 6, 6),
    tw.ones(3).int(),
    np.ones((1,) * 12, np.float32),
    np.ones((1,) * 30, np.float32),  # adaptive pools would make 2 of each of its 28 axes: 1 GiB
    *([np.ones((1,) * 62, np.float32)] if MOST_AXES == 64 else []),
]
# Far more than any result of the right arguments, and soon filled.
_ROOM = 16 << 20


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16 MiB: a value that asks for a huge result is refused, and keeps nobody waiting."""
    whole = buffers.empty

    def empty(shape: int | tuple[int, ...], dtype: Any) -> Any:
        sizes = shape if isinstance(shape, tuple) else (shape,)
        if math.prod(sizes) * np.dtype(dtype).itemsize > _ROOM:
            raise MemoryError
        return whole(shape, dtype)

    monkeypatch.setattr(buffers, "empty", empty)


def _no_other_errors(call: Call) -> None:
    for parameter in call.parameters():
        for value in _ANYTHING:
            try:
                call.function(**{**call.right, parameter.name: value})
            except TilewrightError as error:
                assert str(error)
            except Exception as error:
                what = f"{type(value).__name__} {getattr(value, 'shape', '')}"
                pytest.fail(
                    f"{call.name} with {parameter.name} as {what} gives {type(error).__name__}: {error}"
                )


@pytest.mark.usefixtures("little_memory")
def test_functions_that_read_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # "three" is the path of a file to write, too
    for call in datasets.from_files(tmp_path):
        call.function(**call.right)
        for argument, wrongs in call.asked.items():
            for wrong in wrongs:
                _refused(call, argument, wrong)
        _no_other_errors(call)


@pytest.mark.usefixtures("little_memory")
def test_functions_that_read_pictures(tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="reads pictures")
    for call in datasets.from_pictures(tmp_path):
        call.function(**call.right)
        for argument, wrongs in call.asked.items():
            for wrong in wrongs:
                _refused(call, argument, wrong)
        _no_other_errors(call)


@pytest.mark.usefixtures("little_memory")
def test_huge_results_are_refused() -> None:
    """Otherwise the test below might take hours over a value that somebody adds."""
    with pytest.raises(ShapeError, match=r"adaptive_avg_pool needs a result that memory holds\. Received: "):
        F.adaptive_avg_pool(np.ones((1,) * 30, np.float32), 2)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", list(_calls()))
def test_nothing_but_our_own_errors(name: str) -> None:
    _no_other_errors(_calls()[name])


def test_layers_know_only_what_they_are_made_of() -> None:
    """The names that the table of layers leaves out aren't layers, or take whatever they are given."""
    open_to_all = {
        "Identity",
        "Module",
        "ModuleDict",
        "ModuleList",
        "ParameterDict",
        "ParameterList",
        "Sequential",
    }
    for name in layers.NOT_LAYERS - open_to_all:
        found = getattr(nn, name)
        assert not (isinstance(found, type) and issubclass(found, nn.Module)), name
