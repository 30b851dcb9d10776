import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from spikingconvnet.errors import UsageError
from spikingconvnet.utilities import metrics

LABELS = [7, 7, 7, 1, 1, 0, 0, 0, 0, 8]
GUESSES = [7, 1, 7, 1, 1, 0, 7, 0, 1, 0]
ORDER = (8, 0, 1, 7)


def test_the_confusion_matrix_has_the_true_class_by_row_in_the_order_given():
    matrix = metrics.confusion_matrix(LABELS, GUESSES, ORDER)
    assert matrix.tolist() == [[0, 1, 0, 0], [0, 2, 1, 1], [0, 0, 2, 0], [0, 0, 1, 2]]


@pytest.mark.parametrize("seed", range(5))
def test_everything_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(10)[: rng.integers(2, 8)]
    labels = rng.choice(classes, 60)
    guesses = np.where(rng.random(60) < 0.6, labels, rng.choice(classes, 60))
    result = metrics.evaluate(labels, guesses, classes)
    expected = oracle.precision_recall_fscore_support(
        labels, guesses, labels=classes, zero_division=0
    )
    for name, value in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert np.allclose(getattr(result, name), value), name
    assert np.array_equal(
        result.confusion, oracle.confusion_matrix(labels, guesses, labels=classes)
    )
    assert result.accuracy == pytest.approx(oracle.accuracy_score(labels, guesses))
    assert result.accuracy == pytest.approx(metrics.accuracy(labels, guesses))


def test_a_class_never_guessed_or_never_shown_counts_as_0():
    result = metrics.evaluate([1, 1, 2], [1, 1, 1], classes=[1, 2, 3])
    assert result.precision.tolist() == [pytest.approx(2 / 3), 0, 0]
    assert result.recall.tolist() == [1, 0, 0]
    assert result.f1.tolist() == [pytest.approx(0.8), 0, 0]


def test_classes_are_by_default_all_that_occur():
    assert metrics.evaluate([5, 3], [3, 9]).classes == (3, 5, 9)


def test_the_dictionary_survives_json_and_the_table_shows_it():
    result = metrics.evaluate(LABELS, GUESSES)
    known = json.loads(json.dumps(result.as_dict()))
    assert known["accuracy"] == 0.6 and known["correct"] == 6 and known["images"] == 10
    assert known["confusion"] == result.confusion.tolist()
    text = result.as_text()
    assert "accuracy 60.00 % (6 of 10 images)" in text
    assert len(text.splitlines()) == 7
    assert text.splitlines()[2].split() == ["1", "0.500", "1.000", "0.667", "2"]


@pytest.mark.parametrize(
    ("labels", "guesses", "message"),
    [
        ([], [], "labels: none"),
        ([1, 2], [1], r"predictions: shape \(1,\)"),
        ([[1], [2]], [[1], [2]], r"shape \(2, 1\)"),
    ],
)
def test_unpaired_labels_are_refused(labels, guesses, message):
    with pytest.raises(UsageError, match=message):
        metrics.accuracy(labels, guesses)


def test_values_that_are_no_class_are_named():
    with pytest.raises(UsageError, match=r"predictions: 4 \(must be one of 1, 2\)"):
        metrics.evaluate([1, 2], [1, 4], classes=[1, 2])
    with pytest.raises(UsageError, match=r"labels: 3 "):
        metrics.evaluate([3, 2], [1, 1], classes=[1, 2])
    with pytest.raises(UsageError, match=r"classes: \[1, 1\]"):
        metrics.evaluate([1], [1], classes=[1, 1])


def test_silence_is_an_answer_that_is_never_right():
    judged = metrics.evaluate([0, 0, 1, 1], [0, metrics.SILENT, 1, 0], [0, 1])
    assert judged.images == 4 and judged.correct == 2
    assert judged.silent.tolist() == [1, 0]
    assert judged.recall.tolist() == [0.5, 0.5]
    assert judged.confusion.tolist() == [[1, 0], [1, 1]]
    assert "1 without an answer" in judged.as_text()
    assert metrics.evaluate([3, 4], [-1, 4]).classes == (3, 4)


@pytest.mark.parametrize("seed", range(4))
def test_the_area_under_the_curve_agrees_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    classes = [4, 0, 7]
    labels = rng.choice(classes, 50)
    # Whole numbers, so that many scores are equal; some images have high scores for all classes.
    scores = (labels[:, None] == classes) + rng.integers(0, 3, (50, 3))
    scores = scores + rng.integers(0, 100, (50, 1))
    found = metrics.roc_auc(labels, scores, classes)
    leads = scores - scores.mean(axis=1, keepdims=True)
    wanted = [oracle.roc_auc_score(labels == label, leads[:, i]) for i, label in enumerate(classes)]
    assert found == pytest.approx(wanted)
    judged = metrics.evaluate(labels, labels, classes, scores, ["d", "a", "g"])
    assert judged.macro["roc_auc"] == pytest.approx(np.mean(wanted))
    assert judged.as_dict()["roc_auc"] == pytest.approx(wanted)
    assert judged.as_text().splitlines()[1].split()[0] == "d"
    assert f"ROC AUC {np.mean(wanted):.4f}" in judged.as_text()


def test_a_class_that_nobody_or_everybody_belongs_to_has_no_area():
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isnan(metrics.roc_auc([3, 3], scores, [3, 5])).all()
    judged = metrics.evaluate([3, 3], [3, 5], [3, 5], scores)
    assert "roc_auc" not in judged.macro and judged.as_dict()["roc_auc"] == [None, None]
    assert metrics.roc_auc([3, 5], scores, [3, 5]).tolist() == [1, 1]


@pytest.mark.parametrize("scores", [np.zeros((2, 3)), np.zeros(2), np.full((2, 2), np.nan)])
def test_scores_of_another_shape_or_no_numbers_are_refused(scores):
    with pytest.raises(UsageError, match="scores: "):
        metrics.roc_auc([1, 2], scores, [1, 2])
