"""The configuration of a run: written, read back, and refused where it isn't one."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from train.nets import tiny_images, tiny_net

from tilewright._version import __version__
from tilewright.errors import ArgumentError, FileFormatError
from tilewright.nn import models
from tilewright.optim import SGD, Adam
from tilewright.train.config import (
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainingConfig,
    describe_run,
    same_facts,
)
from tilewright.train.config_file import config_from, read_config, write_config

CONFIG = RunConfig(
    ModelConfig("digitnet", {"in_channels": 1, "image_size": (6, 8), "keep": 0.8}),
    DataConfig("digits", 1437, 360, (1, 8, 8), ("0", "T-shirt/top"), 0.30526, 0.37589, "some/folder"),
    OptimizerConfig("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": False}),
    TrainingConfig("classify", 30, 60, 2**63 - 1, 100, 20),
    versions={"tilewright": "0.1.0"},
)


def changed(**parts: Any) -> dict[str, Any]:
    """CONFIG's dictionary with ``table__key=value`` put in, or taken out for None."""
    found = deepcopy(CONFIG.to_dict())
    for path, value in parts.items():
        *tables, key = path.split("__")
        place = found
        for table in tables:
            place = place[table]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return found


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(path, CONFIG)
    assert read_config(path) == CONFIG
    assert 'name = "digitnet"' in path.read_text()


def test_a_file_of_the_first_version_is_read() -> None:
    old = changed(schedule=None, training__lr_decay="linear")
    for name in ("accumulate", "min_delta", "label_smoothing", "mixup"):
        del old["training"][name]
    del old["data"]["augment"]
    del old["data"]["columns"]
    found = config_from(old, "x")
    assert found.schedule == ScheduleConfig("linear")
    assert found == replace(CONFIG, schedule=ScheduleConfig("linear"))
    del old["training"]["lr_decay"]
    assert config_from(old, "x") == CONFIG


def test_everything_that_may_be_set_is_kept(tmp_path: Path) -> None:
    full = replace(
        CONFIG,
        data=replace(
            CONFIG.data, augment=("RandomShift((2, 2), fill=0) with seed 3",), columns=("area", "Größe")
        ),
        training=replace(
            CONFIG.training, accumulate=4, clip_norm=1.0, ema=0.999, patience=3, min_delta=0.01,
            label_smoothing=0.1, class_weight=(1.0, 2.5), mixup=0.2, ignore_index=-1, loss="l1",
        ),
        schedule=ScheduleConfig("cosine", {"warmup": 5, "end": 0.1}),
        recipe={"seed": 2**63 - 1, "augment": ["shift=2"], "lr": 1e-300, "overwrite": True},
    )  # fmt: skip
    write_config(tmp_path / "config.toml", full)
    assert read_config(tmp_path / "config.toml") == full
    assert config_from(json.loads(json.dumps(full.to_dict(), allow_nan=False)), "x") == full


def test_json_holds_it_as_well() -> None:
    assert config_from(json.loads(json.dumps(CONFIG.to_dict(), allow_nan=False)), "x") == CONFIG


def test_the_folder_of_the_data_may_be_unknown(tmp_path: Path) -> None:
    found = config_from(changed(data__folder=None), "x")
    assert found.data.folder is None
    write_config(tmp_path / "config.toml", found)
    assert read_config(tmp_path / "config.toml") == found


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"format": None}, r"'c\.toml' needs to be a configuration of format 1, .* Received: format=None\."),
        ({"format": 2}, r"Received: format=2\."),
        ({"format": True}, r"Received: format=True\."),
        ({"extra": 1}, r"needs fields that a run's configuration has\. Received: extra\."),
        ({"model__size": 1}, r"needs fields that a run's configuration has\. Received: model\.size\."),
        ({"model": "digitnet"}, r"needs model to be a table\. Received: model='digitnet'\."),
        ({"data": None}, r"needs data to be a table\. Received: no such field\."),
        (
            {"model__name": ""},
            r"needs model\.name to be a text that isn't empty\. Received: model\.name=''\.",
        ),
        ({"model__options": []}, r"needs model\.options to be a table\."),
        ({"model__options__keep": {}}, r"needs model\.options\.keep to be a text, a truth, a number"),
        ({"model__options__size": 2**40}, r"needs model\.options\.size to be .* a number of at most 1048576"),
        ({"model__options__keep": float("nan")}, r"needs model\.options\.keep to be"),
        ({"data__mean": "much"}, r"needs data\.mean to be a finite number\. Received: data\.mean='much'\."),
        ({"data__mean": float("inf")}, r"needs data\.mean to be a finite number\."),
        ({"data__std": 0.0}, r"needs data\.std to be a number above 0\. Received: data\.std=0\.0\."),
        ({"data__std": True}, r"needs data\.std to be a finite number\."),
        ({"data__classes": [1, 2]}, r"needs data\.classes to be a list of texts\."),
        ({"data__classes": "ten"}, r"needs data\.classes to be a list of texts\."),
        ({"data__image_shape": [1, 0, 8]}, r"needs data\.image_shape to be a list of one to eight sizes"),
        ({"data__image_shape": [2**30] * 3}, r"needs data\.image_shape to be a list of one to eight sizes"),
        ({"data__image_shape": []}, r"needs data\.image_shape to be a list of one to eight sizes"),
        ({"data__folder": 3}, r"needs data\.folder to be a text that isn't empty\."),
        ({"data__train_samples": -1}, r"needs data\.train_samples to be a whole number from 0 to"),
        (
            {"training__task": "guess"},
            r"needs training\.task to be one of classify, reconstruct, regress, segment\.",
        ),
        ({"training__epochs": 0}, r"needs training\.epochs to be a whole number from 1 to"),
        ({"training__epochs": 1.5}, r"needs training\.epochs to be a whole number from 1 to"),
        ({"training__batch_size": True}, r"needs training\.batch_size to be a whole number from 1 to"),
        ({"training__seed": 2**63}, r"needs training\.seed to be a whole number from 0 to"),
        ({"optimizer__options__lr": 10**400}, r"needs optimizer\.options\.lr to be"),
        ({"training__accumulate": 0}, r"needs training\.accumulate to be a whole number from 1 to"),
        ({"training__ema": "much"}, r"needs training\.ema to be a finite number\."),
        (
            {"training__class_weight": [1, "a"]},
            r"needs training\.class_weight to be a list of finite numbers\.",
        ),
        ({"training__class_weight": 3}, r"needs training\.class_weight to be a list of finite numbers\."),
        ({"training__loss": ""}, r"needs training\.loss to be a text that isn't empty\."),
        ({"training__patience": -1}, r"needs training\.patience to be a whole number from 1 to"),
        ({"training__speed": 3}, r"fields that a run's configuration has\. Received: training\.speed\."),
        ({"schedule": 3}, r"needs schedule to be a table\. Received: schedule=3\."),
        ({"schedule__name": 3}, r"needs schedule\.name to be a text that isn't empty\."),
        (
            {"schedule__options": {"x": {}}},
            r"needs schedule\.options\.x to be a text, a truth, a finite number",
        ),
        ({"schedule__speed": 3}, r"fields that a run's configuration has\. Received: schedule\.speed\."),
        ({"recipe": {"lr": float("nan")}}, r"needs recipe\.lr to be a text, a truth, a finite number"),
        ({"recipe": 3}, r"needs recipe to be a table\."),
        ({"data__augment": [3]}, r"needs data\.augment to be a list of texts\."),
        ({"data__columns": "area"}, r"needs data\.columns to be a list of texts\."),
    ],
)
def test_fields_that_are_wrong_are_named(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        config_from(changed(**parts), "c.toml")


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", b"\x89PNG\r\n", b"a = " + b"[" * 5000, b"{}"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"config\.toml' isn't a TOML file in UTF-8\. Received: "):
        read_config(path)


def test_every_cut_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(path, CONFIG)
    content = path.read_bytes()
    # The last table holds the versions, any number of them: cut within it, what is left is whole.
    for length in range(0, content.index(b"[versions]") + len("[versions]") - 1, 7):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=r"config\.toml'"):
            read_config(path)


def test_a_very_long_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"# long\n" * 200_000)
    with pytest.raises(FileFormatError, match="needs to be at most 1048576 bytes long"):
        read_config(path)


def test_a_missing_file_is_an_argument_error(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"read_config needs a file that exists\."):
        read_config(tmp_path / "config.toml")


def test_a_strangers_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(tomli_w.dumps({"tool": {"name": "else"}}))
    with pytest.raises(FileFormatError, match="needs to be a configuration of format 1"):
        read_config(tmp_path / "config.toml")


def test_a_ready_network_is_noted_so_that_it_can_be_made_again(tmp_path: Path) -> None:
    model = models.create("digitnet", image_size=(6, 8), classes=3)
    training = TrainingConfig("classify", 1, 10, 0, 100, 20)
    found = describe_run(
        model, tiny_images(), SGD(model.parameters(), lr=np.float64(0.5)), training, tmp_path / "here"
    )
    assert found.model.name == "digitnet"
    assert models.create(found.model.name, **found.model.options).config == model.config
    assert found.data == DataConfig(
        "bars",
        50,
        21,
        (1, 6, 6),
        ("top", "middle/bar", "bottom"),
        found.data.mean,
        found.data.std,
        str(tmp_path / "here"),
    )
    assert found.optimizer.name == "SGD"
    assert found.optimizer.options["lr"] == 0.5
    assert found.versions["tilewright"] == __version__
    assert found.versions["numpy"] == np.__version__


def test_a_network_of_ones_own_is_noted_by_its_class() -> None:
    model = tiny_net()
    data = tiny_images()
    training = TrainingConfig("classify", 1, 10, 0, 100, 20)
    found = describe_run(model, (data.train, data.test), Adam(model.parameters()), training)
    assert found.model == ModelConfig("Sequential", {})
    assert found.data == DataConfig("own data", 50, 21, (1, 6, 6))
    assert config_from(json.loads(json.dumps(found.to_dict())), "x") == found


def test_what_keeps_a_run_from_being_taken_up_is_listed() -> None:
    other = config_from(
        changed(
            training__seed=1,
            training__epochs=99,
            data__folder="elsewhere",
            versions__tilewright="9",
            optimizer__options__lr=0.5,
        ),
        "x",
    )
    assert same_facts(CONFIG, CONFIG) == []
    assert same_facts(CONFIG, other) == [
        "optimizer.options={'lr': 0.01, 'momentum': 0.9, 'nesterov': False} there and "
        "{'lr': 0.5, 'momentum': 0.9, 'nesterov': False} here",
        f"training.seed={2**63 - 1} there and 1 here",
    ]
