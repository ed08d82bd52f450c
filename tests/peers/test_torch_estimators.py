"""scikit-learn's kind of estimator, trained once more by PyTorch from the same start: the same network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compare import assert_same

pytest.importorskip("torch", reason="needs PyTorch, to compare with")
pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

import torch

from tilewright.bridge.sklearn import ConvClassifier, ConvRegressor
from tilewright.bridge.sklearn.samples import batches

Array = np.ndarray[Any, Any]
CLOSE = {
    "rtol": 0,
    "atol": 2e-5,
    "reason": "12 steps of float32, whose sums have another order: 5e-7 here; a step moves weights by 3e-3",
}


def theirs(channels: int, outputs: int) -> Any:
    """The network that the parameters below make, in PyTorch."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 5, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(20, 6),
        torch.nn.ReLU(),
        torch.nn.Linear(6, outputs),
    )


@pytest.mark.parametrize("kind", [ConvClassifier, ConvRegressor])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_same_steps_as_pytorchs(kind: Any, decay: float) -> None:
    generator = np.random.default_rng(0)
    images, y = generator.normal(3, 2, (30, 8, 8, 2)), generator.integers(0, 3, 30)
    weights = generator.integers(1, 5, 30).astype(float)
    sizes = {"hidden_channels": (4, 5), "dense_width": 6, "batch_size": 8, "weight_decay": decay}
    model = kind(**sizes, epochs=3, learning_rate=3e-3, random_state=7).fit(images, y, weights)

    peer = theirs(2, 3 if kind is ConvClassifier else 1)
    start = kind(**sizes, epochs=1, learning_rate=0, random_state=7).fit(images, y, weights)
    copies = {name: torch.tensor(value.numpy()) for name, value in start.model_.state_dict().items()}
    peer.load_state_dict(copies)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=3e-3, weight_decay=decay)

    # The samples in their own order, worked out here in a plain way; each is there once.
    mean = np.average(images, axis=0, weights=weights).mean((0, 1))
    deviation = np.sqrt(np.average((images - mean) ** 2, axis=0, weights=weights).mean((0, 1)))
    seen = torch.tensor(np.moveaxis((images - mean) / deviation, -1, 1).astype(np.float32))
    middle = np.average(y, weights=weights)
    spread = np.sqrt(np.average((y - middle) ** 2, weights=weights))
    order = own_order(images.reshape(30, -1), y)
    step = 0
    for epoch in range(3):
        for batch in batches(30, 8, model._course.seed, epoch):
            part = order[batch]
            answers = peer(seen[part])
            if kind is ConvClassifier:
                losses = torch.nn.functional.cross_entropy(answers, torch.tensor(y[part]), reduction="none")
            else:
                wanted = torch.tensor(((y[part] - middle) / spread).astype(np.float32))
                losses = (answers[:, 0] - wanted) ** 2
            loss = (losses * torch.tensor((weights / weights.mean())[part].astype(np.float32))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 12)
            optimizer.step()
            step += 1
    assert step == 12
    answers = peer(seen).detach().numpy().astype(np.float64)
    if kind is ConvClassifier:
        assert_same(model.decision_function(images), answers, **CLOSE)
    else:
        assert_same(model.predict(images), answers[:, 0] * spread + middle, **CLOSE)
    assert np.abs(start.model_(seen.numpy()).detach().numpy() - answers).max() > 0.01, "nothing was learnt"


def own_order(rows: Array, y: Array) -> Array:
    """Which samples come first: those of the least digest, whose two words are compared as numbers."""
    from hashlib import blake2b

    digests = [
        blake2b(np.append(row, label).tobytes(), digest_size=16).digest()
        for row, label in zip(rows, y, strict=True)
    ]
    words = [tuple(np.frombuffer(digest, "<u8").tolist()) for digest in digests]
    return np.array(sorted(range(len(rows)), key=words.__getitem__))
