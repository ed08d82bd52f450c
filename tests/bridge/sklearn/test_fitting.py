"""Fitting: known answers, and the same network from the same data however they come."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from compare import assert_same

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from bridge.sklearn.small import bars, classifier, regressor

import tilewright as tw
from tilewright import nn
from tilewright.bridge.sklearn import ConvClassifier, ConvRegressor
from tilewright.bridge.sklearn.learning import Course
from tilewright.bridge.sklearn.options import read_options
from tilewright.errors import StateError

Array = np.ndarray[Any, Any]
EITHER = pytest.mark.parametrize("make", [classifier, regressor])


def zero_net(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A dense layer that answers 0 to everything until it learns."""
    layer = nn.Linear(math.prod(shape), outputs, bias=False, init=nn.init.zeros_)
    return nn.Sequential(nn.Flatten(), layer)


def weights_of(estimator: Any) -> Array:
    """All weights in one line, as bits."""
    parts = [value.numpy().ravel() for value in estimator.model_.state_dict().values()]
    return np.concatenate(parts).view(np.uint32)


def same_networks(one: Any, other: Any) -> bool:
    return np.array_equal(weights_of(one), weights_of(other))


# Known answers ----------------------------------------------------------------------------------------------


def test_a_network_that_never_learns_has_the_loss_of_guessing() -> None:
    images, places = bars()
    model = classifier(model=zero_net, learning_rate=0, epochs=2).fit(images, places)
    # Equal probabilities for three classes; float32 keeps ln 3 to 1e-7.
    assert model.loss_curve_ == pytest.approx([math.log(3)] * 2, abs=1e-6)
    assert_same(
        model.predict_proba(images[:2]), np.full((2, 3), 1 / 3), rtol=1e-15, atol=0, reason="a rounding"
    )
    # The loss of predicting the mean, in variances, is 1; and R² is 0.
    guess = regressor(model=zero_net, learning_rate=0, epochs=1).fit(images, places)
    assert guess.loss_curve_ == pytest.approx([1.0], abs=1e-6)
    assert guess.predict(images[:3]) == pytest.approx([places.mean()] * 3, rel=1e-12)
    assert guess.score(images, places) == pytest.approx(0, abs=1e-12)


def test_the_first_step_is_adams() -> None:
    # Adam's first step moves a weight by the learning rate, whatever its gradient; y rises with x.
    x = np.array([[1.0], [2.0], [4.0]])
    model = regressor(model=zero_net, learning_rate=0.25, epochs=1, batch_size=3).fit(x, 3 * x[:, 0])
    (weight,) = model.model_.parameters()
    # eps = 1e-8 beside a gradient of 2.
    assert weight.item() == pytest.approx(0.25, rel=1e-6)
    # A quarter of the line through the samples, about their mean.
    assert model.predict(x) == pytest.approx(7 + 0.75 * (x[:, 0] - 7 / 3), rel=1e-6)


def test_weight_decay_shrinks_by_its_share_of_the_rate() -> None:
    def ones(shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(1, 1, bias=False, init=nn.init.ones_))

    x = np.array([[1.0], [2.0], [4.0]])
    # A weight of 1 is right already: the gradient is rounding, but Adam steps by 0.1 or less either way.
    plain, decayed = (
        regressor(model=ones, learning_rate=0.1, weight_decay=decay, epochs=1, batch_size=3)
        .fit(x, x[:, 0])
        .model_[1]
        .weight.item()
        for decay in (0.0, 0.5)
    )
    assert plain - decayed == pytest.approx(0.1 * 0.5, rel=1e-5)


def test_the_rate_falls_to_zero_over_a_fit_and_stays_in_a_partial_one() -> None:
    course = Course(seed=0)
    course.plan(read_options(classifier(epochs=2, learning_rate=0.8, batch_size=5)), 9, is_part=False)
    rates = []
    for course.step in range(4):
        rates.append(course.rate)
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2])
    course.plan(read_options(classifier(learning_rate=0.5)), 9, is_part=True)
    assert course.rate == 0.5


def test_both_learn() -> None:
    images, places = bars(300)
    unseen, there = bars(200, seed=1)
    model = classifier(hidden_channels=(8,), epochs=10).fit(images, places)
    # 0.99 here.
    assert model.score(unseen, there) > 0.9
    assert model.predict_proba(unseen).sum(axis=1) == pytest.approx(np.ones(200))
    assert regressor(hidden_channels=(8,), epochs=20).fit(images, places).score(unseen, there) > 0.8


def test_a_table_of_few_columns() -> None:
    generator = np.random.default_rng(0)
    # Columns of different sizes, and a boundary that isn't straight.
    table = generator.normal(size=(400, 2)) * (1, 1000)
    inside = (table[:, 0] ** 2 + (table[:, 1] / 1000) ** 2 < 1.2).astype(int)
    assert (
        ConvClassifier(epochs=20, random_state=0)
        .fit(table[:300], inside[:300])
        .score(table[300:], inside[300:])
        > 0.9
    )


def test_what_is_noted_of_a_training() -> None:
    images, places = bars(40)
    model = classifier(epochs=4, batch_size=16).fit(images, places)
    assert model.n_iter_ == 4 and model.n_features_in_ == 64 and model.classes_.tolist() == [0, 1, 2]
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4]
    assert [row["step"] for row in model.history_] == [3, 6, 9, 12]
    assert set(model.history_[0]) == {"step", "epoch", "train_loss", "train_accuracy"}
    assert model.loss_curve_ == [row["train_loss"] for row in model.history_]
    assert set(regressor().fit(images, places).history_[0]) == {"step", "epoch", "train_loss"}
    assert not any(module.training for module in model.model_.modules())
    assert all(parameter.grad is None for parameter in model.model_.parameters())


# The same network -------------------------------------------------------------------------------------------


@EITHER
def test_neither_order_nor_dtype_nor_layout_of_the_data_matters(make: Any) -> None:
    images, places = bars()
    images = np.rint(images * 8)
    one = make(early_stopping=True).fit(images, places)
    order = np.random.default_rng(5).permutation(len(images))
    variants = [
        (images[order], places[order]),
        (images.astype(np.int8), places.astype(np.uint8)),
        (images.astype(np.float32), places),
        (np.asfortranarray(images), places.tolist()),
        (images.reshape(60, 64), places),
        (images[..., None].tolist(), places),
        (np.repeat(images, 2, axis=2)[:, :, ::2], places[::1]),
    ]
    for X, y in variants:
        before = X.copy() if isinstance(X, np.ndarray) else X
        assert same_networks(make(early_stopping=True).fit(X, y), one)
        assert np.array_equal(X, before)


@EITHER
def test_a_weight_is_a_repetition_and_zero_is_absence(make: Any) -> None:
    images, places = bars()
    weights = np.random.default_rng(6).integers(0, 4, 60)
    weighted = make(early_stopping=True).fit(images, places, sample_weight=weights)
    # Shuffled, so that it isn't their order that makes them equal.
    order = np.random.default_rng(7).permutation(np.repeat(np.arange(60), weights))
    assert same_networks(make(early_stopping=True).fit(images[order], places[order]), weighted)
    # Only the ratios count: a power of two keeps every bit.
    assert same_networks(make(early_stopping=True).fit(images, places, weights * 2.0**1000), weighted)
    assert same_networks(make(early_stopping=True).fit(images, places, weights * 2.0**-1000), weighted)
    assert not same_networks(make(early_stopping=True).fit(images, places), weighted)


@EITHER
def test_threads_do_not_matter(make: Any) -> None:
    images, places = bars(100)
    before = tw.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            tw.set_num_threads(threads)
            # Pools, and channels enough for work to be shared out.
            model = make(hidden_channels=(16, 24), pooling="mean", batch_size=50).fit(images, places)
            found.append((model, model.predict(images)))
    finally:
        tw.set_num_threads(before)
    assert same_networks(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


@EITHER
def test_a_sample_is_answered_alone_as_in_company(make: Any) -> None:
    images, places = bars(300)
    model = make().fit(images, places)
    answer = model.predict if make is regressor else model.decision_function
    together = answer(images)
    assert np.array_equal(
        np.concatenate([answer(images[i : i + 1]) for i in range(0, 300, 37)]), together[::37]
    )
    assert np.array_equal(answer(images[::-1]), together[::-1])


def noisy_net(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Draws as it is made, and in every step of its training."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(3 * 36, outputs),
    )


@EITHER
def test_the_random_state_decides_and_other_generators_stand_still(make: Any) -> None:
    images, places = bars()
    tw.manual_seed(11)
    ours, numpys = tw.get_rng_state(), np.random.get_state()
    one = make(model=noisy_net).fit(images, places)
    assert tw.get_rng_state() == ours
    assert str(np.random.get_state()) == str(numpys)
    tw.manual_seed(12)
    assert same_networks(make(model=noisy_net).fit(images, places), one)
    assert same_networks(one.fit(images, places), make(model=noisy_net).fit(images, places))
    assert not same_networks(make(model=noisy_net, random_state=1).fit(images, places), one)


def test_without_a_random_state_numpys_generator_is_asked_as_scikit_learn_does() -> None:
    images, places = bars()
    before = np.random.get_state()
    try:
        networks = []
        for seed in (1, 1, 2):
            np.random.seed(seed)
            networks.append(classifier(random_state=None).fit(images, places))
        assert same_networks(*networks[:2]) and not same_networks(*networks[1:])
    finally:
        np.random.set_state(before)
    # A RandomState of one's own moves on, so that the next network is another one.
    state = np.random.RandomState(3)
    one, two = (classifier(random_state=state).fit(images, places) for _ in range(2))
    assert not same_networks(one, two)


def test_the_users_generator_goes_on_after_a_failure() -> None:
    def breaks(shape: tuple[int, ...], outputs: int) -> nn.Module:
        tw.rand(3)
        raise KeyboardInterrupt

    images, places = bars()
    before = tw.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        classifier(model=breaks).fit(images, places)
    assert tw.get_rng_state() == before


def test_fits_in_several_threads_do_not_mix() -> None:
    images, places = bars()
    alone = [classifier(model=noisy_net, random_state=seed).fit(images, places) for seed in range(4)]
    together = [classifier(model=noisy_net, random_state=seed) for seed in range(4)]
    threads = [threading.Thread(target=model.fit, args=(images, places)) for model in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_networks(one, other) for one, other in zip(alone, together, strict=True))


# Class weights ----------------------------------------------------------------------------------------------


def test_class_weights_are_sample_weights() -> None:
    images, places = bars()
    by_class = classifier(class_weight={0: 4, 2: 0.5}).fit(images, places)
    by_sample = classifier().fit(images, places, np.array([4, 1, 0.5])[places])
    assert same_networks(by_class, by_sample)
    both = classifier(class_weight={0: 4}).fit(images, places, np.array([1, 1, 0.5])[places])
    assert same_networks(both, by_sample)


def test_balanced_classes_weigh_the_same_in_all() -> None:
    images, places = bars(48)
    places = np.repeat([0, 1, 2], [32, 8, 8])
    balanced = classifier(class_weight="balanced").fit(images, places)
    assert same_networks(balanced, classifier(class_weight={0: 1, 1: 4, 2: 4}).fit(images, places))
    # Whatever the samples' own weights are.
    weights = np.where(places == 0, 0.25, 1.0)
    assert same_networks(
        classifier(class_weight="balanced").fit(images, places, weights),
        classifier().fit(images, places, weights),
    )


def test_a_class_of_weight_zero_is_known_and_not_learnt() -> None:
    images, places = bars()
    model = classifier(class_weight={1: 0}, early_stopping=True, epochs=20).fit(images, places)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(images).shape == (60, 3)
    assert set(model.predict(images)) <= {0, 2}


def test_a_sample_of_weight_zero_makes_no_class() -> None:
    images, places = bars()
    model = classifier().fit(images, places, sample_weight=places != 1)
    assert model.classes_.tolist() == [0, 2]
    one = classifier().fit(images, places, sample_weight=places == 1)
    assert set(one.predict(images)) == {1} and one.predict_proba(images).tolist() == [[1.0]] * 60


# Early stopping ---------------------------------------------------------------------------------------------


def test_it_stops_and_keeps_the_best_weights() -> None:
    generator = np.random.default_rng(0)
    images, coins = generator.normal(size=(80, 8, 8)), generator.integers(0, 2, 80)
    # Nothing to be learnt but the samples by heart: the validation loss soon rises.
    stopper = classifier(early_stopping=True, n_iter_no_change=3, epochs=200, learning_rate=0.02)
    stopper.fit(images, coins)
    losses = [row["val_loss"] for row in stopper.history_]
    best = int(np.argmin(losses))
    assert stopper.n_iter_ == len(losses) == best + 1 + 3 < 200
    assert all(0 <= row["val_accuracy"] <= 1 for row in stopper.history_)
    # Trained to the best epoch and no further, along the same line of rates, it is that network.
    steps = stopper.history_[best]["step"]
    kept = weights_of(stopper)
    stopper.n_iter_no_change = 1000
    stopper.fit(images, coins)
    assert np.array_equal(weights_of(stopper), kept) and stopper.n_iter_ == 200 and steps < 200


class Watching(nn.Module):
    """A dense layer that keeps what it learns from, and draws a number for each batch of it."""

    def __init__(self, outputs: int, seen: list[Array], drawn: list[float]) -> None:
        super().__init__()
        self.dense = nn.Linear(64, outputs)
        self.seen = seen
        self.drawn = drawn

    def forward(self, x: Any) -> Any:
        if self.training:
            self.seen.append(x.numpy())
            self.drawn.append(tw.rand(1).item())
        return self.dense(x.flatten(1))


def test_what_is_held_out_is_neither_learnt_from_nor_part_of_the_mean() -> None:
    images, places = bars(40)
    seen: list[Array] = []
    model = regressor(early_stopping=True, validation_fraction=0.25, epochs=1)
    model.set_params(model=lambda shape, outputs: Watching(outputs, seen, [])).fit(images, places)
    learnt_from = np.concatenate(seen)
    assert learnt_from.shape == (30, 1, 8, 8)
    # 1,920 numbers of size 1, each rounded to 6e-8.
    assert abs(learnt_from.mean(dtype=np.float64)) < 1e-6
    assert abs(learnt_from.std(dtype=np.float64) - 1) < 1e-6


# A part at a time -------------------------------------------------------------------------------------------


@EITHER
def test_passes_one_by_one(make: Any) -> None:
    images, places = bars(200)
    known = {"classes": [0, 1, 2]} if make is classifier else {}
    model = make(learning_rate=0.005)
    for start in range(0, 200, 50):
        model.partial_fit(images[start : start + 50], places[start : start + 50], **known)
    assert model.n_iter_ == 4 and [row["step"] for row in model.history_] == [4, 8, 12, 16]
    for _ in range(10):
        model.partial_fit(images, places)
    assert model.n_iter_ == 14 and model.score(images, places) > 0.7
    # A fit begins anew.
    assert same_networks(model.fit(images, places), make(learning_rate=0.005).fit(images, places))
    assert model.n_iter_ == 3
    # And can be gone on with.
    before = weights_of(model)
    assert model.partial_fit(images, places).n_iter_ == 4
    assert not np.array_equal(weights_of(model), before)


def test_classes_that_come_later() -> None:
    images, places = bars(60)
    model = classifier(learning_rate=0.005).partial_fit(
        images[places < 2], places[places < 2], classes=[2, 0, 1]
    )
    assert model.predict_proba(images).shape == (60, 3)
    for _ in range(30):
        model.partial_fit(images, places)
    assert set(model.predict(images)) == {0, 1, 2}


def test_what_layers_draw_goes_on_where_it_was() -> None:
    images, places = bars(60)
    drawn: list[list[float]] = [[], []]
    for numbers, partly in zip(drawn, (False, True), strict=True):
        tw.manual_seed(len(numbers))

        def make(shape: tuple[int, ...], outputs: int, numbers: list[float] = numbers) -> nn.Module:
            return Watching(outputs, [], numbers)

        model = regressor(model=make, epochs=3)
        if partly:
            for seed in range(3):
                # What the user's generator does in between is of no consequence.
                tw.manual_seed(seed)
                model.partial_fit(images, places)
        else:
            model.fit(images, places)
    # Three passes of four batches draw the same numbers, in one call as in three.
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 12


# A network of one's own ------------------------------------------------------------------------------------


def test_the_maker_is_told_shape_and_outputs_and_its_network_is_used() -> None:
    calls = []

    def make(shape: tuple[int, ...], outputs: int) -> nn.Module:
        calls.append((shape, outputs))
        return noisy_net(shape, outputs)

    generator = np.random.default_rng(0)
    model = classifier(model=make).fit(generator.normal(size=(20, 8, 8, 2)), np.arange(20) % 5)
    regressor(model=make).fit(generator.normal(size=(20, 64)), generator.normal(size=(20, 3)))
    assert calls == [((2, 8, 8), 5), ((1, 8, 8), 3)]
    assert isinstance(model.model_[1], nn.BatchNorm2d)


@EITHER
def test_networks_in_double_precision(make: Any) -> None:
    images, places = bars(200)
    before = tw.get_default_dtype()
    try:
        tw.set_default_dtype("float64")
        double = make(epochs=15, learning_rate=0.01).fit(images, places)
    finally:
        tw.set_default_dtype(before)
    assert next(double.model_.parameters()).dtype == np.float64
    assert double.score(images, places) > 0.9
    make(model=lambda shape, outputs: zero_net(shape, outputs).double()).fit(images, places).predict(images)


@EITHER
def test_what_surrounds_a_fit_does_not_matter(make: Any) -> None:
    images, places = bars()
    expected = make().fit(images, places)
    with tw.no_grad():
        assert same_networks(make().fit(images, places), expected)
    assert tw.is_grad_enabled()


def test_no_batch_of_one_is_left_over_for_batch_norm() -> None:
    images, places = bars(33)
    classifier(model=noisy_net, batch_size=16).fit(images, places)
    assert [row["step"] for row in classifier(batch_size=16, epochs=1).fit(images, places).history_] == [3]


@EITHER
def test_a_loss_that_runs_away_is_reported(make: Any) -> None:
    images, places = bars()
    model = make().fit(images, places)
    model.set_params(learning_rate=1e30)
    with pytest.raises(StateError) as caught:
        model.fit(images, places)
    assert str(caught.value).startswith("Training needs a loss that stays finite. Received: a loss of ")
    assert str(caught.value).endswith(" A smaller learning rate usually helps.")
    # Nor is the former network mistaken for the one that failed.
    assert not hasattr(model, "model_")


def test_verbose_says_how_it_goes_and_silence_is_usual(capfd: pytest.CaptureFixture[str]) -> None:
    images, places = bars()
    classifier(epochs=2).fit(images, places)
    assert capfd.readouterr() == ("", "")
    classifier(epochs=2, verbose=True, early_stopping=True).fit(images, places)
    said = capfd.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1  loss ")
    assert "  validation loss " in lines[0] and lines[0].endswith(" %")


def test_predictions_are_in_the_targets_own_units() -> None:
    images, places = bars(200)
    # All samples in one batch, since other numbers stand in another order.
    model = regressor(epochs=20, batch_size=200).fit(images, places)
    far = regressor(epochs=20, batch_size=200).fit(images, 1e6 * places + 3e9)
    assert_same(
        (far.predict(images) - 3e9) / 1e6,
        model.predict(images),
        rtol=0,
        atol=1e-4,
        reason="float64's rounding of 3e9 is 4e-7, and sums have another order; 20 steps of float32",
    )
    assert isinstance(model, ConvRegressor) and model.predict(images).dtype == np.float64
