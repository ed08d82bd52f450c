"""``tilewright info`` and ``tilewright summary``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from cli.commands import Command

from tilewright import plan
from tilewright._version import __version__
from tilewright.kernel import threads
from tilewright.train import checkpoint


def test_info_names_the_machine_the_families_and_the_versions(tilewright: Command) -> None:
    found = tilewright("info", "--json").json
    assert found["processor"] == plan.processor.describe()
    assert [(entry["name"], entry["about"]) for entry in found["families"]] == plan.families()
    assert found["versions"]["tilewright"] == __version__
    assert found["versions"]["numpy"] == np.__version__
    assert set(found["versions"]) == {
        "tilewright", "numpy", "llvmlite", "python", "safetensors", "BLAS", "system",
    }  # fmt: skip
    assert found["optional"]["click"]["version"]
    text = tilewright("info").out
    for words in (
        found["processor"]["name"],
        "Kernel families, in the order they are asked",
        "reference",
        "BLAS",
    ):
        assert words in text


def test_info_says_how_to_install_what_is_missing(
    tilewright: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tilewright.cli.info._version", lambda package: None if package == "pooch" else "1.0")
    assert "  pooch            not installed: pip install 'tilewright[data]'" in tilewright("info").out


def test_info_names_the_target_the_threads_and_the_folder(
    tilewright: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("llvmlite", reason="compiles through LLVM")
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path))
    found = tilewright("info", "--json").json["compiled"]
    assert found == {
        "target": plan.host().name,
        "runnable": [target.name for target in plan.runnable()],
        "reason": None,
        "threads": threads.get_num_threads(),
        "folder": str(tmp_path / "kernels"),
        "state": "empty: it is made with the first kernel",
    }
    text = tilewright("info").out
    assert f"  target           {found['target']}; this processor runs {found['runnable'][0]}" in text
    assert f"  threads          {found['threads']}\n" in text
    assert f"  folder           {found['folder']} ({found['state']})\n" in text


def test_info_says_why_nothing_is_compiled(tilewright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned_off(dtype: str) -> bool:
        warnings.warn("Compiled kernels can't be used here.", RuntimeWarning, stacklevel=2)
        return False

    monkeypatch.setattr(plan.compiled, "serves", turned_off)
    assert "  target           none: Compiled kernels can't be used here.\n" in tilewright("info").out
    assert tilewright("info", "--json").json["compiled"]["target"] is None


def test_info_shows_thread_settings(tilewright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert "OPENBLAS_NUM_THREADS=3" in tilewright("info").out


@pytest.mark.parametrize("model", ["digitnet", "lenet5", "autoencoder"])
def test_a_ready_network_is_summarised(tilewright: Command, model: str) -> None:
    text = tilewright("summary", model).out
    assert "1×1×28×28" in text
    found = tilewright("summary", model, "--input", "3,16,12", "--json").json
    assert found["input_shape"] == [1, 3, 16, 12]
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])


@pytest.mark.parametrize(
    ("name", "input_shape", "parameters", "multiplications"),
    [
        ("lenet5", [1, 1, 28, 28], 61_706, None),
        # The last column is torchvision's, of multiplications with one addition each, in units of 10 million.
        ("resnet18", [1, 3, 224, 224], 11_689_512, 181),
        ("resnet50", [1, 3, 224, 224], 25_557_032, 409),
        ("mobilenet_v2", [1, 3, 224, 224], 3_504_872, 30),
        ("tcn", [1, 1, 256], 34_666, None),
        ("c3d", [1, 3, 16, 64, 64], 181_834, None),
        ("dcgan_generator", [1, 100, 1, 1], 3_576_704, None),
    ],
)
def test_networks_have_their_known_sizes(
    tilewright: Command, name: str, input_shape: list[int], parameters: int, multiplications: int | None
) -> None:
    found = tilewright("summary", name, "--json").json
    assert (found["input_shape"], found["parameters"]) == (input_shape, parameters)
    if multiplications is not None:
        # Pools are counted here and not there: half a percent at most.
        assert found["flops"] / 2e7 == pytest.approx(multiplications, rel=0.02)


def test_a_run_is_summarised_for_the_images_it_learnt_from(tilewright: Command, digits_run: Path) -> None:
    for place in (digits_run, digits_run / "model.safetensors"):
        found = tilewright("summary", place, "--json").json
        assert found["model"] == "DigitNet"
        assert found["input_shape"] == [1, 1, 8, 8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["lenet6"],
            "summary needs a run, a model.safetensors file, or one of digitnet, lenet5, autoencoder, "
            "resnet20,",
        ),
        (["lenet5", "--input", "28,28"], "lenet5 takes samples of (channels, height, width)."),
        (
            ["tcn", "--input", "1,28,28"],
            "tcn takes samples of (channels, length). Received: shape=(1, 28, 28).",
        ),
        (["vgg11", "--input", "3,28,28"], "vgg11 needs an image of at least 32×32."),
        (["dcgan_generator", "--input", "9,2,2"], "dcgan_generator takes samples of (numbers, 1, 1)."),
        (["lenet5", "--input", "1,4,4"], "lenet5 needs an image of at least 8×8."),
    ],
)
def test_what_cannot_be_summarised(tilewright: Command, arguments: list[str], message: str) -> None:
    ended = tilewright("summary", *arguments)
    assert ended.code == 2
    assert ended.only_error.startswith(f"error: {message}")


def test_a_folder_without_weights_and_a_file_of_another_kind(tilewright: Command, tmp_path: Path) -> None:
    ended = tilewright("summary", tmp_path)
    assert ended.code == 2
    assert "A run folder needs a model.safetensors, which the first validation writes." in ended.only_error
    (tmp_path / "odd.safetensors").write_bytes(b"GIF89a" * 10)
    ended = tilewright("summary", tmp_path / "odd.safetensors")
    assert ended.code == 2
    assert "odd.safetensors' isn't a whole safetensors file." in ended.only_error


def test_a_file_that_promises_a_gigantic_network_is_refused_before_it_is_made(
    tilewright: Command, digits_run: Path, tmp_path: Path
) -> None:
    found = checkpoint.load(digits_run / "model.safetensors")
    found.state["config"]["model"]["options"]["image_size"] = 2**19
    checkpoint.save(tmp_path / "lie.safetensors", found.tensors, found.state)
    ended = tilewright("summary", tmp_path / "lie.safetensors")
    assert ended.code == 2
    assert "names a network of a size that its weights don't bear out. Received: options=" in ended.only_error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 9}, "needs dense.weight of shape (10, 2592) and dtype float32."),
        ({"image_size": 0}, "needs to name a network that nn.models can make."),
        ({"colour": True}, "needs to name a network that nn.models can make."),
    ],
)
def test_a_file_whose_network_does_not_fit_its_weights_is_refused(
    tilewright: Command, digits_run: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    found = checkpoint.load(digits_run / "model.safetensors")
    found.state["config"]["model"]["options"].update(options)
    checkpoint.save(tmp_path / "lie.safetensors", found.tensors, found.state)
    ended = tilewright("summary", tmp_path / "lie.safetensors")
    assert ended.code == 2
    assert message in ended.only_error
