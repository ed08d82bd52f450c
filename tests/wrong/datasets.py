"""Data sets, files, batches and augmentation: as for functions and layers; files are made where asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from wrong.kinds import (
    CHOICE,
    DATASET,
    FINITE,
    FLAG,
    NAME,
    PATH,
    SEED,
    Call,
    Wrong,
    ask,
    but,
    integer,
    only,
    wrongs,
)
from wrong.others import made

import tilewright as tw
from tilewright import data
from tilewright.data import augment

_CALLABLE: list[Wrong] = []  # called only with a sample, so wrong ones show then
_LABELS = np.arange(6) % 2


def _pictures() -> data.ArrayDataset:
    return data.ArrayDataset(np.zeros((6, 1, 8, 8), np.float32), _LABELS)


_COUNT = only(integer(1), "none", "a text", "a float", "nan", "a bool", "too small")
_PROBABILITY = [*FINITE, *wrongs(above_1=1.5, negative=-0.1)]
_SIZE = wrongs(
    none=None, a_text="8", a_float=2.5, negative=-1, three=(8, 8, 8), texts=("a", "b"), nan=math.nan
)
_USUAL: dict[str, list[Wrong]] = {
    **dict.fromkeys(("transform", "collate_fn"), _CALLABLE),
    **dict.fromkeys(
        ("shuffle", "drop_last", "pin_memory", "persistent_workers", "replacement", "masks"), FLAG
    ),
    **dict.fromkeys(("seed", "epoch"), SEED),
    **dict.fromkeys(("batch_size", "num_samples"), _COUNT),
    **dict.fromkeys(("mean", "std", "fill"), FINITE),
    "dataset": DATASET,
    "generator": wrongs(a_text="text", a_float=1.5, negative=-1),
    "sampler": wrongs(a_number=3, a_generator=iter([1])),
    "num_workers": only(integer(0), "none", "a text", "a float", "nan", "a bool", "too small"),
    "prefetch_factor": _COUNT,
    "p": _PROBABILITY,
    "lengths": wrongs(
        none=None, a_number=3, a_text="33", texts=["a"], negative=[-1, 7], too_few=[1, 2], nan=[math.nan]
    ),
    "size": _SIZE,
    "channels": wrongs(none=None, a_text="rgb", two=2, a_float=1.5, a_list=[3]),
    "bad_files": CHOICE,
    "path": PATH,
    "max_bytes": only(integer(0), "none", "a text", "a float", "nan", "too small"),
}


def _in_memory() -> Iterator[Call]:
    rows = [*wrongs(rank_0=np.ones(())), Wrong("too few", _LABELS[:5])]
    yield ask(
        Call("ArrayDataset", made(data.ArrayDataset), {"images": np.zeros((6, 2)), "labels": _LABELS}),
        _USUAL,
        images=rows,
        labels=rows,
    )
    yield ask(Call("DataLoader", made(data.DataLoader), {"dataset": _pictures()}), _USUAL)
    indices = [
        *wrongs(none=None, a_text="ab", a_number=3, rank_0=np.array(1)),
        Wrong("floats", [1.5], "index"),
        Wrong("outside", [6], "index"),
    ]
    yield ask(
        Call("Subset", made(data.Subset), {"dataset": _pictures(), "indices": [0, 1]}),
        _USUAL,
        indices=indices,
    )

    def tensors_together(tensors: Any) -> Any:
        return data.TensorDataset(tensors)

    yield ask(
        Call("TensorDataset", tensors_together, {"tensors": tw.ones(3, 2)}),
        {"tensors": wrongs(none=None, a_text="text", a_list=[1, 2], rank_0=np.ones(()), a_class=np.float32)},
    )
    weights = wrongs(
        none=None, a_text="text", negative=[-1.0, 1.0], zeros=[0.0, 0.0], a_matrix=np.ones((2, 2))
    )
    yield ask(
        Call(
            "WeightedRandomSampler",
            made(data.WeightedRandomSampler),
            {"weights": [1.0, 2.0], "num_samples": 2},
        ),
        _USUAL,
        weights=weights,
    )
    yield ask(
        Call("Standardise", made(data.Standardise), {"mean": 0.0, "std": 1.0}),
        _USUAL,
        mean=but(FINITE, "a bool"),
        std=[*but(FINITE, "a bool"), *wrongs(zero=0.0)],
    )
    yield ask(
        Call("MixUp", made(data.MixUp), {"dataset": _pictures(), "classes": 2}),
        _USUAL,
        dataset=only(DATASET, "none", "a number"),
        classes=only(integer(1), "a text", "a float", "nan", "too small"),
        alpha=[*FINITE, *wrongs(negative=-0.5)],
    )
    for name in ("random_split", "stratified_split"):
        call = Call(name, getattr(data, name), {"dataset": _pictures(), "lengths": [3, 3]})
        yield ask(
            call, _USUAL | {"labels": wrongs(a_text="ab", a_number=3, too_few=[0, 1], floats=np.ones(6))}
        )
    counted = wrongs(
        none=None,
        a_text="ab",
        a_number=3,
        floats=[1.5],
        negative=[-1],
        a_matrix=np.ones((2, 2), int),
        huge=[2**40],
    )
    for name in ("class_counts", "class_weights"):
        call = Call(name, getattr(data, name), {"labels": _LABELS})
        yield ask(
            call,
            {"labels": counted, "classes": [*but(integer(0), "a whole float"), Wrong("of terabytes", 2**45)]},
        )
    yield ask(Call("sample_weights", data.sample_weights, {"labels": _LABELS}), {"labels": counted})
    yield ask(
        Call("labels_of", data.labels_of, {"dataset": _pictures()}),
        {"dataset": [*DATASET, Wrong("samples without parts", [1, 2, 3], "labels_of")]},
    )
    samples = wrongs(
        none=None, a_number=3, empty=[], nothings=[None, None], of_two_shapes=[np.ones(2), np.ones(3)]
    )
    yield ask(
        Call("default_collate", data.default_collate, {"samples": [(np.zeros(3), 1)]}), {"samples": samples}
    )
    yield ask(Call("digits", data.digits, {}), {"fold": [*integer(0), *wrongs(five=5)], "seed": SEED})
    yield ask(
        Call("load", data.load, {"name": "digits"}),
        {"name": CHOICE, "folder": wrongs(a_folder="somewhere", a_number=3)},
    )
    image = np.zeros((1, 8, 8), np.float32)
    yield ask(
        Call("prepare_like", data.prepare_like, {"image": image, "mean": 0.1, "std": 0.5}),
        _USUAL,
        image=wrongs(
            none=None,
            a_list=[[[0.5]]],
            integers=np.zeros((1, 8, 8), int),
            a_plane=image[0],
            empty=image[:, :0],
        ),
        invert=CHOICE,
        mean=but(FINITE, "a bool"),
        std=but(FINITE, "a bool"),
    )


def _augmentation() -> Iterator[Call]:
    flip = augment.RandomHorizontalFlip()
    change = wrongs(none=None, a_text="flip", a_function=np.flip, a_class=augment.Compose)
    yield ask(
        Call("Augmented", made(augment.Augmented), {"dataset": _pictures(), "augment": flip}),
        _USUAL,
        augment=change,
        mask_fill=[],
    )
    spread = [*but(FINITE, "a list"), *wrongs(negative=-0.5, three=(0.1, 0.2, 0.3), falling=(2.0, 1.0))]
    yield ask(Call("ColorJitter", made(augment.ColorJitter), {}), {"brightness": spread, "contrast": spread})
    listed = wrongs(none=None, a_text="flip", itself=flip, others=[flip, None], numbers=[1, 2])
    yield ask(Call("Compose", made(augment.Compose), {"transforms": [flip]}), {"transforms": listed})
    yield ask(Call("Cutout", made(augment.Cutout), {"size": 2}), _USUAL)
    yield ask(
        Call("RandomCrop", made(augment.RandomCrop), {"size": 4}),
        _USUAL,
        padding=wrongs(a_text="same", a_float=1.5, negative=-1, three=(1, 1, 1)),
        padding_mode=CHOICE,
    )
    yield ask(Call("RandomHorizontalFlip", made(augment.RandomHorizontalFlip), {}), _USUAL)
    yield ask(Call("RandomVerticalFlip", made(augment.RandomVerticalFlip), {}), _USUAL)
    degrees = [*but(FINITE, "a list"), *wrongs(negative=-5, three=(1, 2, 3), falling=(5, -5))]
    yield ask(Call("RandomRotation", made(augment.RandomRotation), {"degrees": 5}), _USUAL, degrees=degrees)
    yield ask(Call("RandomShift", made(augment.RandomShift), {"most": 1}), _USUAL, most=_SIZE)
    words = [
        *wrongs(none=None, a_text="flip", a_number=3, rank_0=np.ones(())),
        Wrong("unknown", ["spin"], "word"),
        Wrong("too many", ["flip=1,2"], "word"),
    ]
    yield ask(
        Call("from_words", augment.from_words, {"words": ["flip"]}),
        {"words": words},
    )


def from_files(folder: Path) -> Iterator[Call]:
    """Those that read files; the files are made in ``folder``."""
    images = np.zeros((6, 8, 8), np.uint8)
    data.write_idx(folder / "x.idx", images)
    np.savez(folder / "a.npz", images=images, labels=_LABELS)
    (folder / "t.csv").write_text("a,b,y\n1,2,u\n3,4,v\n")
    lost = [*PATH, Wrong("lost", str(folder / "nowhere"))]
    yield ask(Call("read_idx", data.read_idx, {"path": str(folder / "x.idx")}), _USUAL, path=lost)
    array = wrongs(none=None, texts=["a"], a_number=3, ragged=[[1], [1, 2]], of_bools=np.ones(3, bool))
    yield ask(
        Call("write_idx", data.write_idx, {"path": str(folder / "y.idx"), "array": images}),
        _USUAL,
        array=array,
    )
    npz = str(folder / "a.npz")
    names = wrongs(a_number=3, unknown=["other"], numbers=[1], nothing=[None])
    yield ask(
        Call("read_npz", data.read_npz, {"path": npz}),
        _USUAL,
        path=lost,
        names=[Wrong(one.label, one.value, "named" if one.label == "unknown" else "") for one in names],
    )
    called = [*NAME, Wrong("unknown", "other", "named")]
    yield ask(
        Call("NpzDataset", made(data.NpzDataset), {"path": npz}),
        _USUAL,
        images=called,
        labels=called,
        path=lost,
    )
    columns = wrongs(a_number=3, a_text="a", numbers=[1], unknown=["z"], twice=["a", "a"])
    # Numbers are names as they are written: here of columns that the file hasn't.
    absent = ("unknown", "numbers")
    columns = [Wrong(one.label, one.value, "column" if one.label in absent else "") for one in columns]
    yield ask(
        Call("CsvDataset", made(data.CsvDataset), {"path": str(folder / "t.csv"), "label": "y"}),
        _USUAL,
        path=lost,
        label=[*NAME, Wrong("unknown", "z", "column")],
        features=columns,
        columns=columns,
        target=CHOICE,
        classes=wrongs(a_number=3, a_text="u", numbers=[1, 2], twice=["u", "u"]),
        shape=wrongs(a_text="2", another_number=3, negative=(-2,), another=(3,), floats=(2.0,)),
        delimiter=wrongs(none=None, a_number=3, two=",,", empty="", a_quote='"'),
    )


def from_pictures(folder: Path) -> Iterator[Call]:
    """Those that read images, where Pillow is."""
    from PIL import Image

    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for level in range(3):
            Image.fromarray(np.full((8, 8), 40 * level, np.uint8)).save(folder / name / f"{level}.png")
    lost = [*PATH, Wrong("lost", str(folder / "nowhere"))]
    size = [*but(_SIZE, "none"), *wrongs(a_number=8)]
    classes = wrongs(a_number=3, a_text="cat", unknown=["bird"], numbers=[1, 2], twice=["cat", "cat"])
    one = str(folder / "cat" / "1.png")
    yield ask(Call("read_image", data.read_image, {"path": one}), _USUAL, path=lost, size=size)
    yield ask(
        Call("find_images", data.find_images, {"paths": str(folder / "cat")}),
        {
            "paths": [
                *but(PATH, "a list"),
                Wrong("lost", [str(folder / "nowhere")], "find_images"),
                Wrong("none at all", [], "find_images"),
            ]
        },
    )
    yield ask(
        Call("ImageFolder", made(data.ImageFolder), {"root": str(folder), "size": (8, 8)}),
        _USUAL,
        root=lost,
        size=[],  # read_image says so, when the first picture is asked for
        classes=classes,
    )
    yield ask(
        Call("from_folder", data.from_folder, {"root": str(folder), "size": (8, 8)}),
        _USUAL,
        root=lost,
        size=size,
        held_out=[*FINITE, *wrongs(all=1.0, negative=-0.5)],
    )


def calls() -> list[Call]:
    return [*_in_memory(), *_augmentation()]
