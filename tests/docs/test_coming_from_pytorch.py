"""The page for those who come from PyTorch: its lists are what both have, its differences are true."""

from __future__ import annotations

import inspect
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from sections import put

import tilewright as tw
import tilewright.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
import pytorch_page  # noqa: E402 - after the skip
import torch.nn.functional as TF  # noqa: E402

# Its threads cost more than these small arrays do.
torch.set_num_threads(1)

_PAGE = Path(__file__).resolve().parents[2] / "docs/coming-from-pytorch.md"
_TABLE = _PAGE.read_text(encoding="utf-8").partition("| | here | PyTorch |\n|---|---|---|\n")[2]
_ROWS = _TABLE.partition("\n\n")[0].splitlines()
_NAN = math.nan
_EXACT = {"rtol": 0, "atol": 0, "reason": "samples are copied"}
_SAME_SUM = {"rtol": 1e-12, "atol": 1e-12, "reason": "the same sum in another order, float64"}

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith(pytorch_page.VERSION),
    reason=f"the page is about PyTorch {pytorch_page.VERSION}",
)


# -- the lists ------------------------------------------------------------------------------------------


def test_the_lists_are_up_to_date() -> None:
    text = page = _PAGE.read_text(encoding="utf-8")
    for name, lines in pytorch_page.parts().items():
        text = put(text, name, lines)
    assert text == page, "docs/coming-from-pytorch.md isn't what the packages have: run make pages"


# What is taken by name only, after what PyTorch has in between.
_BY_NAME = {"DataLoader"}


def test_what_both_have_takes_the_same_parameters_in_the_same_order_with_the_same_defaults() -> None:
    compared = 0
    for package in (
        "nn",
        "nn.functional",
        "nn.init",
        "nn.utils",
        "optim",
        "optim.lr_scheduler",
        "utils.data",
    ):
        theirs, ours = pytorch_page.both(package)
        for name in sorted(pytorch_page.names_of(theirs) & set(dir(ours)) - _BY_NAME):
            left, right = (pytorch_page.parameters_of(getattr(one, name)) for one in (theirs, ours))
            if left is None or right is None or name.endswith("_with_indices"):
                continue
            shared = [one for one in left if one in right]
            assert [one for one in right if one in left] == shared, name
            defaults = [_defaults(getattr(one, name), shared) for one in (theirs, ours)]
            if name not in (
                "random_split",
                "default_collate",
            ):  # a generator object; its one parameter's name
                assert defaults[0] == defaults[1], name
            compared += 1
    assert compared > 200


def _defaults(function: Any, names: list[str]) -> list[Any]:
    parameters = inspect.signature(function).parameters
    return [parameters[name].default for name in names]


def test_numbers_for_whole_number_dtypes_are_not_checked_yet() -> None:
    """When they are, the page has a line too many, under what is missing."""
    assert tw.tensor([300], dtype=tw.uint8).tolist() == [44]
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.tensor([300], dtype=torch.uint8)


# -- the differences, a test for each row ---------------------------------------------------------------


def test_there_are_as_many_rows_as_tests_of_them() -> None:
    assert len(_ROWS) == sum(name.startswith("test_row_") for name in globals())


def test_row_max_unpool_with_shared_places() -> None:
    x, indices = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1, 4, 1]]])
    ours, theirs = tw.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = F.max_unpool1d(ours, indices, 2), TF.max_unpool1d(theirs, torch.tensor(indices), 2)
    assert_same(y, z, **_EXACT)
    y.sum().backward()
    z.sum().backward()
    assert ours.grad.tolist() == [[[0.0, 1.0, 1.0]]]
    assert theirs.grad.tolist() == [[[1.0, 1.0, 1.0]]]


def test_row_several_nan_in_a_window() -> None:
    x = np.array([[[[1.0, _NAN], [_NAN, 2.0]]]])
    assert F.max_pool2d(x, 2, return_indices=True)[1].item() == 1
    assert TF.max_pool2d(torch.tensor(x), 2, return_indices=True)[1].item() == 2


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_row_nearest(mode: str) -> None:
    wrong = 0
    for size in range(1, 30):
        for wanted in range(1, 120):
            x = np.arange(size, dtype=np.float32)[None, None]
            twice = [2 * place + (mode == "nearest-exact") for place in range(wanted)]
            exact = [number * size // (2 * wanted) for number in twice]
            assert F.interpolate(x, wanted, mode=mode)[0, 0].tolist() == exact
            wrong += TF.interpolate(torch.tensor(x), wanted, mode=mode)[0, 0].tolist() != exact
    assert wrong > 0


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_row_transposed_convolution_with_padding_modes(mode: str) -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.standard_normal((2, 3, 3, 3)), rng.standard_normal((1, 2, 6, 5))
    up = tw.nn.ConvTranspose2d(2, 3, 3, padding=1, padding_mode=mode, bias=False, dtype=tw.float64)
    up.load_state_dict({"weight": weight})
    ours = up(tw.tensor(x)).detach().numpy()
    y = rng.standard_normal(ours.shape)
    down = torch.nn.Conv2d(3, 2, 3, padding=1, padding_mode=mode, bias=False, dtype=torch.float64)
    down.load_state_dict({"weight": torch.tensor(weight)})
    # <up(x), y> = <x, down(y)>: that is what being adjoint means.
    theirs = down(torch.tensor(y)).detach().numpy()
    assert_same(np.array([np.sum(ours * y)]), np.array([np.sum(x * theirs)]), **_SAME_SUM)
    with pytest.raises(ValueError, match='Only "zeros" padding mode is supported'):
        torch.nn.ConvTranspose2d(2, 3, 3, padding=1, padding_mode=mode)


def test_row_pad_with_what_the_dtype_cannot_hold() -> None:
    for dtype, value, theirs in (("int64", 0.5, 0), ("bool", 7, True)):
        with pytest.raises(tw.ArgumentError, match=f"dtype {dtype} can hold. Received: value={value}"):
            F.pad(np.ones(2, dtype), (1, 0), value=value)
        assert TF.pad(torch.ones(2, dtype=getattr(torch, dtype)), (1, 0), value=value)[0].item() == theirs
    for dtype, value in (("uint8", 300), ("uint8", -1), ("float32", 1e300)):
        with pytest.raises(tw.ArgumentError, match=f"dtype {dtype} can hold"):
            F.pad(np.ones(2, dtype), (1, 0), value=value)
        with pytest.raises(RuntimeError, match="without overflow"):
            TF.pad(torch.ones(2, dtype=getattr(torch, dtype)), (1, 0), value=value)


def test_row_lp_pool_of_an_odd_p() -> None:
    x = np.array([[[-1.0, -2.0]]])
    assert_same(F.lp_pool1d(x, 3, 2), np.array([[[-(9 ** (1 / 3))]]]), **_SAME_SUM)
    assert TF.lp_pool1d(torch.tensor(x), 3, 2).isnan().all()


def test_row_lp_pool_of_a_p_that_is_no_whole_number() -> None:
    x = np.array([[[-1.0, -2.0]]])
    assert_same(F.lp_pool1d(x, 1.5, 2), np.array([[[(1 + 2**1.5) ** (1 / 1.5)]]]), **_SAME_SUM)
    assert TF.lp_pool1d(torch.tensor(x), 1.5, 2).isnan().all()


def test_row_losses_of_different_dtypes_and_shapes() -> None:
    with pytest.raises(tw.DtypeError, match="mse_loss needs operands of one dtype"):
        F.mse_loss(np.zeros(3, np.float32), np.zeros(3))
    assert TF.mse_loss(torch.zeros(3), torch.zeros(3, dtype=torch.float64)).dtype == torch.float64
    with pytest.raises(tw.ShapeError, match="mse_loss needs input and target of one shape"):
        F.mse_loss(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.warns(UserWarning, match="different to the input size"):
        TF.mse_loss(torch.zeros(2, 3), torch.zeros(1, 3))


def test_row_one_cycle_after_its_last_step() -> None:
    rates = []
    for library in (tw, torch):
        optimizer = library.optim.SGD(library.nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.9)
        scheduler = library.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=4)
        found = []
        for _ in range(4):
            optimizer.step()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step()
            found.append(optimizer.param_groups[0]["lr"])
        rates.append(found)
    ours, theirs = rates
    assert ours[:3] == pytest.approx(theirs[:3], rel=1e-12)  # the same formula in another order
    assert ours[3] == ours[2]
    assert theirs[3] > 1000 * theirs[2]


def test_row_gradients_whose_squares_overflow() -> None:
    ours, theirs = tw.nn.Parameter(tw.ones(4)), torch.nn.Parameter(torch.ones(4))
    ours.grad, theirs.grad = tw.full((4,), 1e25), torch.full((4,), 1e25)
    assert tw.nn.utils.clip_grad_norm_([ours], 1.0).item() == pytest.approx(2e25, rel=1e-6)  # float32
    assert ours.grad.tolist() == [0.5] * 4
    assert math.isinf(torch.nn.utils.clip_grad_norm_([theirs], 1.0).item())
    assert theirs.grad.tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("name", "arguments"), [("group_norm", (1,)), ("layer_norm", ((64, 64),)), ("instance_norm", ())]
)
def test_row_norms_of_numbers_far_from_0(name: str, arguments: tuple[Any, ...]) -> None:
    x = (1e4 + np.random.default_rng(0).standard_normal((1, 1, 64, 64))).astype(np.float32)
    wide = x.astype(np.float64)
    exact = (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5)
    ours = getattr(F, name)(x, *arguments)
    theirs = getattr(TF, name)(torch.tensor(x), *arguments).numpy()
    # The numbers are up to 4, and float32 rounds those by 2.4e-7.
    assert_same(ours, exact.astype(np.float32), rtol=0, atol=1e-6, reason="a few roundings of float32")
    assert np.abs(theirs - exact).max() > 1e-5


def test_row_random_numbers() -> None:
    tw.manual_seed(0)
    torch.manual_seed(0)
    assert F.dropout(np.ones(64)).tolist() != TF.dropout(torch.ones(64)).tolist()
    assert tw.rand(8).tolist() != torch.rand(8).tolist()


def test_row_dropout2d_of_rank_3() -> None:
    with pytest.raises(tw.ShapeError, match="dropout2d needs input of rank 4"):
        F.dropout2d(np.ones((2, 3, 8)))
    with pytest.warns(UserWarning, match="dropout1d"):
        found = TF.dropout2d(torch.ones(2, 3, 8))
    assert (found == found[..., :1]).all()  # whole rows of the last axis: (batch, channels, length)


def test_row_in_place() -> None:
    ours, theirs = tw.tensor([-1.0, 2.0]), torch.tensor([-1.0, 2.0])
    assert F.relu(ours, inplace=True).tolist() == TF.relu(theirs, inplace=True).tolist() == [0.0, 2.0]
    assert ours.tolist() == [-1.0, 2.0]
    assert theirs.tolist() == [0.0, 2.0]


def test_row_windows_as_tuples() -> None:
    with pytest.raises(tw.ArgumentError, match="an integer or 2 of them"):
        F.avg_pool2d(np.zeros((1, 1, 4, 4)), (2,))
    assert TF.avg_pool2d(torch.zeros(1, 1, 4, 4), (2,)).shape == (1, 1, 2, 2)


def test_row_dtypes() -> None:
    assert tw.zeros(1).dtype == np.float32
    assert isinstance(tw.float32, np.dtype)
    assert isinstance(torch.float32, torch.dtype)


def test_row_what_loading_prints() -> None:
    for library, printed in (
        (tw, "LoadResult(missing_keys=[], unexpected_keys=[])"),
        (torch, "<All keys matched successfully>"),
    ):
        layer = library.nn.Linear(1, 1)
        assert repr(layer.load_state_dict(layer.state_dict())) == printed
