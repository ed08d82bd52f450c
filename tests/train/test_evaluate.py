"""Judging a network: sums over batches, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
from train.nets import tiny_images, tiny_net

from tilewright.autograd.create import as_tensor
from tilewright.data import TensorDataset
from tilewright.errors import ArgumentError, DtypeError
from tilewright.nn import Conv2d, Identity, Linear, MaxPool2d, Sequential
from tilewright.train import evaluate
from tilewright.train.evaluate import confusion_matrix, softmax
from tilewright.train.layers import feature_maps, first_kernels, layer_outputs, narrowest
from tilewright.train.tasks import Reconstruct


def test_the_result_is_that_of_the_whole_set_at_once() -> None:
    # More than one batch of 256, the last one smaller.
    data, model = tiny_images(test=600).test, tiny_net()
    images, labels = data.take_batch(np.arange(600))
    model.eval()
    logits = model(as_tensor(images)).detach().numpy()
    model.train()
    found = evaluate(model, data, keep=True)
    likely = softmax(logits)[np.arange(600), labels]
    # cross_entropy works in float32: a few of its roundings (6e-8 each) of a loss near 1.
    assert found.loss == pytest.approx(-np.log(likely).mean(), abs=1e-6)
    assert found.correct == (logits.argmax(axis=1) == labels).sum()
    assert found.accuracy == found.correct / 600
    assert found.inputs is not None and found.outputs is not None and found.labels is not None
    # A sample's result is the same bits in any batch.
    assert found.outputs.tobytes() == logits.tobytes()
    assert found.inputs.tobytes() == images.tobytes()
    assert found.labels.tolist() == labels.tolist()
    assert model.training


def test_nothing_is_kept_unasked_and_no_tape_is_written() -> None:
    found = evaluate(tiny_net(), tiny_images().test)
    assert (found.inputs, found.outputs, found.labels) == (None, None, None)


def test_reconstruction_is_judged_in_pixels() -> None:
    data = tiny_images()
    found = evaluate(Identity(), data.test, Reconstruct(data.mean, data.std), keep=True)
    assert found.accuracy is None
    assert found.inputs is not None
    pixels = found.inputs.astype(np.float64) * data.std + data.mean
    # The identity answers with standardised values where pixels are wanted; float32 sums of 21·36 squares.
    assert found.loss == pytest.approx(((found.inputs - pixels) ** 2).mean(), rel=1e-5)


def test_labels_of_small_integers_serve() -> None:
    images, labels = tiny_images().test.take_batch(np.arange(21))
    small = evaluate(tiny_net(), TensorDataset(images, labels.astype(np.uint8)))
    assert small.loss == evaluate(tiny_net(), TensorDataset(images, labels)).loss


def test_refusals() -> None:
    images, labels = tiny_images().test.take_batch(np.arange(21))
    with pytest.raises(ArgumentError, match=r"evaluate needs a data set with at least one sample\."):
        evaluate(tiny_net(), TensorDataset(images[:0], labels[:0]))
    with pytest.raises(
        DtypeError, match=r"'classify' needs one integer label for each image\. Received: labels with"
    ):
        evaluate(tiny_net(), TensorDataset(images, labels.astype(float)))
    with pytest.raises(DtypeError, match="needs one integer label for each image"):
        evaluate(tiny_net(), TensorDataset(images, np.eye(3, dtype=int)[labels]))


def test_softmax_of_large_logits_does_not_overflow() -> None:
    made = softmax(np.array([[1000.0, 1000.0], [-1e30, 0.0]], np.float32))
    assert made.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_the_confusion_matrix_has_truths_as_rows() -> None:
    made = confusion_matrix(np.array([0, 0, 2, 2]), np.array([0, 1, 2, 0]), 4)
    assert made.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_looking_inside_leaves_no_trace() -> None:
    model = tiny_net()
    image = tiny_images().test[0][0]
    outputs = layer_outputs(model, image)
    assert [(layer.name, layer.kind, layer.output.shape) for layer in outputs] == [
        ("0", "Conv2d", (1, 3, 6, 6)),
        ("1", "Tanh", (1, 3, 6, 6)),
        ("2", "Dropout", (1, 3, 6, 6)),
        ("3", "Flatten", (1, 108)),
        ("4", "Linear", (1, 3)),
    ]
    assert outputs[1].output.tobytes() == outputs[2].output.tobytes()  # evaluation mode: dropout passes all
    assert [name for name, _ in feature_maps(outputs)] == ["0 Conv2d", "1 Tanh"]
    assert all(module.training and not module._forward_hooks for module in model.modules())


def test_the_narrowest_layer_is_the_embedding() -> None:
    model = Sequential(Conv2d(1, 2, 3), MaxPool2d(4), Conv2d(2, 8, 1))
    assert narrowest(layer_outputs(model, np.ones((1, 6, 6), np.float32))).name == "1"


def test_the_first_convolution_gives_the_kernels() -> None:
    found = first_kernels(tiny_net())
    assert found is not None
    assert (found[0], found[1].shape) == ("0", (3, 1, 3, 3))
    assert first_kernels(Sequential(Linear(2, 2))) is None
