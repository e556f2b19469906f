"""The scikit-learn estimator: what it owes scikit-learn, images of every kind, and a way to disk without pickle."""

import copy
import inspect
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils import estimator_checks
from sklearn.utils._testing import SkipTest

import nctransfer
from nctransfer import ImageClassifier
from nctransfer.cli import main
from nctransfer.engine import Watch
from nctransfer.errors import CheckpointError, DataError, UsageError

# These draw two-dimensional data of floats, which are no images: they run on `RowClassifier` (below, slow) or not at all:
# sparse data, complex data, NaN, feature names and counts of columns do not exist for images; a run is no function of
# the columns of a row; weights of samples are not offered.
API_CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_valid_tag_types",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_tags_renamed",
]
ROW_CHECKS = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_estimators_unfitted",
    "check_readonly_memmap_input",
    "check_classifiers_one_label",
    "check_classifiers_regression_target",
    "check_supervised_y_no_nan",
    "check_supervised_y_2d",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_dict_unchanged",
    "check_methods_subset_invariance",
    "check_methods_sample_order_invariance",
    "check_estimators_pickle",
    "check_requires_y_none",
]


def small(**changes):
    settings = {"layers": ["layer1.0"], "step_cost": False}
    given = {"weights": "random", "image_size": 8, "epochs": 1, "augment": 1, "learning_rate": 1e-3, "device": "cpu"}
    return ImageClassifier("cifar_resnet20", **{**given, "method": "linear", "settings": settings, **changes})


class RowClassifier(ImageClassifier):
    """The estimator on rows of numbers, each made a grey image: for scikit-learn's own checks."""

    def __init__(self, model="cifar_resnet20", *, random_state=0):
        self.model, self.random_state = model, random_state
        vars(self).update(
            {name: value for name, value in small().get_params().items() if name not in ("model", "random_state")}
        )

    @staticmethod
    def images(rows):
        rows = np.asarray(rows, dtype=float)
        if rows.ndim != 2:
            raise ValueError("Expected 2D array, got another. Reshape your data.")
        side = np.resize(np.arange(rows.shape[1]), 64)
        return np.uint8(127.5 + 127 * np.sin(rows[:, side])).reshape(-1, 8, 8)

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return super().fit(self.images(X), y)

    def predict_proba(self, X):
        return super().predict_proba(self.images(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.array(["cat", "dog"])[np.arange(40) % 2]
    images = rng.integers(0, 90, (40, 8, 8, 3)) + 160 * (labels == "dog")[:, None, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


@pytest.mark.parametrize("name", API_CHECKS)
def test_what_scikit_learn_asks_of_every_estimator(name):
    check = getattr(estimator_checks, name)
    check(*(["ImageClassifier", ImageClassifier()][-len(inspect.signature(check).parameters) :]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ROW_CHECKS)
def test_what_scikit_learn_asks_of_a_classifier(name):
    try:
        getattr(estimator_checks, name)("RowClassifier", RowClassifier())
    except SkipTest as reason:
        pytest.skip(f"scikit-learn leaves this check out: {reason}")


def test_probabilities_and_classes(data, fitted):
    images, labels = data
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    assert (fitted.classes_[probabilities.argmax(1)] == fitted.predict(images)).all()
    assert fitted.score(images, labels) > 0.9
    assert (fitted.method_, fitted.layer_) == ("linear", None)
    assert fitted.validation_accuracy_ > 0.5
    np.testing.assert_allclose(fitted.predict_proba(images[3:5]), probabilities[3:5], rtol=1e-7)


def test_paths_give_what_arrays_give(data, fitted, tmp_path):
    images, labels = data
    paths = [tmp_path / f"{row}.png" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    by_path = small().fit(paths, labels)
    np.testing.assert_array_equal(by_path.predict_proba(paths), fitted.predict_proba(images))
    (tmp_path / "3.png").write_bytes(b"broken")
    with pytest.raises(DataError):
        by_path.predict(paths)


def test_an_unfitted_clone_has_the_same_parameters_and_fits_to_the_same_numbers(data, fitted):
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "classes_")
    np.testing.assert_array_equal(twin.fit(*data).predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_saved_and_loaded_it_is_the_same_estimator_without_pickle(data, fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    again = ImageClassifier.load(folder)
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.predict_proba(data[0]), fitted.predict_proba(data[0]))
    assert again.classes_.dtype == fitted.classes_.dtype
    (folder / "estimator.json").write_text(json.dumps({"parameters": {}}))
    with pytest.raises(CheckpointError, match="damaged"):
        ImageClassifier.load(folder)
    with pytest.raises(CheckpointError, match="no estimator stands here"):
        ImageClassifier.load(tmp_path / "nowhere")


def test_parameters_of_a_grid_search_are_saved_and_others_are_refused(fitted, tmp_path):
    found = copy.copy(fitted).set_params(validation_fraction=np.float64(0.25), random_state=np.int64(3))
    again = ImageClassifier.load(found.save(tmp_path / "model"))
    assert again.get_params() == found.get_params()
    assert type(again.random_state) is int
    with pytest.raises(UsageError, match=r"cannot be written as JSON.*object at"):
        copy.copy(fitted).set_params(settings={"tracker": object()}).save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_predict_of_the_command_line_gives_the_same(data, fitted, tmp_path, capsys):
    images = data[0][:3]
    paths = [str(tmp_path / f"{row}.png") for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    weights = fitted.save(tmp_path / "model") / "model.safetensors"
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(weights), *paths, "--json", "--device", "cpu", "--top", "2"])
    assert stopped.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    found = np.array([[dict(row["ranking"])[name] for name in fitted.classes_] for row in rows])
    np.testing.assert_allclose(found, fitted.predict_proba(images), rtol=2e-5)
    assert [row["label"] for row in rows] == fitted.predict(images).tolist()


def test_no_group_is_torn(data):
    images, labels = data
    held = {}

    class Listening(Watch):
        def say(self, text):
            held.setdefault("said", []).append(text)

    patients = [f"p{row // 4}" for row in range(len(images))]
    found = small().fit(images, labels, Listening(), groups=patients)
    assert any("whose groups it has not seen" in text for text in held["said"])
    assert found.predict_proba(images).shape == (40, 2)
    # Where all images of a class are of one group, none of it can be held out.
    with pytest.raises(DataError, match="group"):
        small().fit(images, labels, groups=list(labels))


@pytest.mark.parametrize(
    ("groups", "message"),
    [(["a"] * 39, "40 images and 39 groups"), (["a"] * 39 + [None], "a group is missing"), (["a"] * 40, "one group")],
)
def test_groups_that_cannot_serve(data, groups, message):
    with pytest.raises(DataError, match=message):
        small().fit(*data, groups=groups)


@pytest.mark.slow
def test_it_serves_model_selection(data):
    scores = cross_val_score(small(), *data, cv=2)
    assert scores.shape == (2,)
    assert (scores > 0.8).all()


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (np.zeros((4, 8, 8, 3)), [0, 1, 0, 1], DataError, r"uint8 of shape \(N, H, W, 3\).*got float64"),
        (np.zeros((0, 8, 8), np.uint8), [], DataError, "no images"),
        (np.zeros((4, 8, 8), np.uint8), [0, 1], DataError, "4 images, 2 labels"),
        (np.zeros((4, 8, 8), np.uint8), [1, 1, 1, 1], DataError, "at least 2 classes, got 1"),
        (np.zeros((4, 8, 8), np.uint8), None, DataError, "y is None"),
        (np.zeros((4, 8, 8), np.uint8), [0.5, 1.5, 2.5, 3.5], ValueError, "Unknown label type"),
        (["a.png", "b.png"], [0, 1], DataError, r"2 of 2 images are not there \(a.png, b.png\); check the paths"),
        ("folder/of/images", [0], DataError, "a list of paths is expected"),
        (np.zeros((3, 8, 8), np.uint8), [0, 0, 1], DataError, "too few images"),
    ],
)
def test_what_it_refuses(images, labels, error, message):
    with pytest.raises(error, match=message):
        small().fit(images, labels)


def test_an_unknown_method_or_setting_is_named(data):
    with pytest.raises(UsageError, match="unknown method 'magic'"):
        small(method="magic").fit(*data)
    with pytest.raises(UsageError, match="unknown setting 'epoch'"):
        small(settings={"epoch": 1}).fit(*data)


def test_it_is_a_public_name():
    assert nctransfer.ImageClassifier is ImageClassifier
