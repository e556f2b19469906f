"""The main job as a scikit-learn estimator: images and labels in, classes and probabilities out."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn

from ..data import DataBundle, Decoding, bundle_from_arrays, bundle_from_files, read_image, shown
from ..engine import Runtime, Watch
from ..errors import CheckpointError, DataError, UsageError
from ..runs import Result, save_tensors
from .handover import load_classifier
from .methods import default_methods, find_method
from .prediction import decoding_of, temperature_of
from .run import run_transfer
from .settings import settings_from

__all__ = ["ImageClassifier"]

_BATCH, _BATCH_ON_CPU = 64, 16
"""Images in a pass, filled up with black ones: the last digits of a product depend on the size of the batch, so with one size
an image's probabilities are the same whatever else is asked for."""
_WEIGHTS, _PARAMETERS = "model.safetensors", "estimator.json"
Images = np.ndarray | Sequence[str | Path]


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """A pretrained network tuned on your images, with the interface of scikit-learn.

    Images are an array of shape (N, H, W, 3) or (N, H, W), uint8, or N paths of image files. ``fit`` holds out a part of
    them to choose the block, the learning rate and the epoch by; nothing is held out for testing, which ``score`` on
    other images or ``cross_val_score`` does.

    Args:
        model: A timm name, a built-in name, a run folder, or an ``nn.Module`` that gives features (B, D).
        method: A tuning method by name, or ``auto`` to compare all of them on validation.
        layer: The block that the methods of one block tune; chosen by trials if None.
        weights: File with weights for ``model``, or ``random``.
        image_size: Side of the input in pixels; the network's own if None.
        epochs: Passes of a tuned network over the training images; chosen by their number if None.
        augment: Augmentation level from 1 to 5, or ``auto``.
        learning_rate: Chosen on validation if None.
        batch_size: Images in one step; chosen by their number if None.
        validation_fraction: Fraction of the images that is held out to choose by.
        random_state: Seed of the split, the order, the augmentation and the initialisation.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        settings: Further settings of :func:`nctransfer.auto`, by name.

    Attributes:
        classes_: The classes, of shape (K,).
        method_: The method that validation chose.
        layer_: The block that it tunes, or None.
        validation_accuracy_: Accuracy on the part that was held out, in [0, 1].

    Example:
        >>> from sklearn.datasets import load_digits
        >>> digits = load_digits()
        >>> images = (digits.images[:80] * 15).astype("uint8")
        >>> classifier = ImageClassifier(
        ...     "cifar_resnet20", method="linear", weights="random", image_size=8, device="cpu", settings={"layers": "layer3.2"}
        ... )
        >>> classifier.fit(images, digits.target[:80]).predict_proba(images[:2]).shape
        (2, 10)
    """

    def __init__(
        self,
        model: str | Path | nn.Module = "tf_efficientnet_lite0",
        *,
        method: str = "auto",
        layer: str | None = None,
        weights: str | None = None,
        image_size: int | None = None,
        epochs: int | None = None,
        augment: str | int = "auto",
        learning_rate: float | None = None,
        batch_size: int | None = None,
        validation_fraction: float = 0.2,
        random_state: int | None = 0,
        device: str = "auto",
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.method = method
        self.layer = layer
        self.weights = weights
        self.image_size = image_size
        self.epochs = epochs
        self.augment = augment
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.settings = settings

    def fit(self, X: Images, y: Any, watch: Watch | None = None, *, groups: Any = None) -> ImageClassifier:
        """Tune the network.

        Args:
            X: Images: an array or paths, see the class.
            y: Labels of shape (N,), of any type that scikit-learn takes for classes.
            watch: Receives progress.
            groups: What each image belongs to (a patient, a video), of shape (N,): whole groups are held out, in the split
                and in every fold, so that what was seen of a group flatters nothing.

        Raises:
            DataError: fewer than two classes, too few images of a class, images that cannot be read, too few
                groups or a missing one.
            UsageError: an unknown network, method or setting.
        """
        images = _images(X)
        labels = column_or_1d(_given(y), warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        if len(labels) != len(images):
            raise DataError(f"inconsistent numbers of samples: {len(images)} images, {len(labels)} labels", where="y")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"classification needs at least 2 classes, got {len(self.classes_)} class", where="y")
        seed = 0 if self.random_state is None else int(self.random_state)
        bundle = _bundle(images, codes, [str(name) for name in self.classes_], seed, self.validation_fraction, groups)
        methods = list(default_methods()) if self.method == "auto" else [find_method(self.method, where="method").name]
        module = self.model if isinstance(self.model, nn.Module) else None
        settings = settings_from(
            {"step_cost": False, **(self.settings or {})},
            {
                "data": bundle.name,
                "model": self.model if module is None else type(module).__name__,
                "methods": methods,
                "weights": self.weights,
                "image_size": self.image_size,
                "epochs": self.epochs,
                "augment": self.augment,
                "lr": self.learning_rate,
                "batch_size": self.batch_size,
                "validation_fraction": self.validation_fraction,
                "seed": seed,
                "device": self.device,
            },
            where="ImageClassifier",
        )
        with tempfile.TemporaryDirectory(prefix="nctransfer-") as folder:
            out = Path(folder) / "run"
            record = run_transfer(
                "auto", settings, out, unit=self.layer, bundle=bundle, module=module, watch=watch
            ).record
            self._take(out, module)
        assert isinstance(record, Result)
        assert record.best_method is not None
        self.method_ = record.best_method
        self.layer_ = record.methods[self.method_].unit
        self.validation_accuracy_ = record.methods[self.method_].val_accuracy
        return self

    def predict_proba(self, X: Images) -> np.ndarray:
        """Calibrated probabilities of shape (N, K), in the order of ``classes_``; each row sums to 1.

        The logits are divided by the temperature that was fitted on images held out of training, where there were enough.
        """
        check_is_fitted(self, "model_")
        images = _images(X)
        runtime = Runtime(self.device)
        model, decoding = self.model_.to(runtime.device), decoding_of(self._manifest)
        temperature = temperature_of(self._manifest)[0]
        found = []
        size = _BATCH_ON_CPU if runtime.device.type == "cpu" else _BATCH
        for start in range(0, len(images), size):
            part = [self._preprocess.pixels(_opened(image, decoding)) for image in images[start : start + size]]
            pixels = torch.stack(part + [torch.zeros_like(part[0])] * (size - len(part)))
            with torch.inference_mode():
                logits = model(pixels.to(runtime.device))[: len(part)].double()
                found.append((logits / temperature).softmax(1).cpu().numpy())
        return np.concatenate(found)

    def predict(self, X: Images) -> np.ndarray:
        """The most probable class of each image, of shape (N,)."""
        check_is_fitted(self, "model_")
        return self.classes_[self.predict_proba(X).argmax(1)]

    def save(self, folder: str | Path) -> Path:
        """Write the fitted estimator to a folder: safetensors and JSON, no pickle.

        Raises:
            UsageError: a class or a parameter is neither text nor a number; nothing is written.
        """
        check_is_fitted(self, "model_")
        folder = Path(folder)
        parameters = self.get_params(deep=False)
        if isinstance(self.model, nn.Module):
            parameters["model"] = None
        facts = {
            "parameters": parameters,
            "classes": self.classes_.tolist(),
            "dtype": self.classes_.dtype.str,
            "method": self.method_,
            "layer": self.layer_,
            "validation_accuracy": self.validation_accuracy_,
        }
        try:
            text = json.dumps(facts, indent=1, default=_plain)
        except TypeError as error:
            raise UsageError(
                f"the estimator cannot be written as JSON: {error}", where="ImageClassifier.save"
            ) from error
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / _WEIGHTS, self.model_.state_dict(), self._manifest)
        (folder / _PARAMETERS).write_text(text, encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, module: nn.Module | None = None) -> ImageClassifier:
        """The estimator that :meth:`save` wrote.

        Args:
            folder: Where it lies.
            module: The network, where ``model`` was an ``nn.Module``.

        Raises:
            CheckpointError: a file is missing, damaged or altered.
        """
        path = Path(folder) / _PARAMETERS
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            parameters = facts["parameters"]
            made = cls(**{**parameters, "model": module if module is not None else parameters["model"]})
            made.classes_ = np.array(facts["classes"], dtype=np.dtype(facts["dtype"]))
            made.method_, made.layer_ = facts["method"], facts["layer"]
            made.validation_accuracy_ = facts["validation_accuracy"]
        except FileNotFoundError as error:
            raise CheckpointError(
                "no estimator stands here", where=str(folder), remedy="name what save() wrote"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError("the estimator's file is damaged", where=str(path), remedy="save it again") from error
        made._take(Path(folder) / _WEIGHTS, module)
        return made

    def _take(self, where: Path, module: nn.Module | None) -> None:
        self.model_, self._preprocess, self._manifest = load_classifier(where, module=module)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _bundle(
    images: np.ndarray | list[str],
    codes: np.ndarray,
    names: list[str],
    seed: int,
    validation_fraction: float,
    groups: Any,
) -> DataBundle:
    """All images for training and validation. The test split of the run is its validation: its figures are not shown."""
    open_bundle: Any = bundle_from_arrays if isinstance(images, np.ndarray) else bundle_from_files
    bundle = open_bundle(
        images,
        codes,
        names,
        test=(images, codes),
        name="images",
        groups=groups,
        seed=seed,
        validation_fraction=validation_fraction,
        check=False,
    )
    return dataclasses.replace(bundle, test=bundle.validation)


def _plain(value: Any) -> Any:
    """A parameter as JSON has it: a path as text, a number of NumPy, such as a grid search gives, as one of Python."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is neither text nor a number")


def _given(values: Any) -> Any:
    if values is None:
        raise DataError(
            "ImageClassifier requires y to be passed, but the target y is None", where="y", remedy="pass the labels"
        )
    return values


def _images(X: Any) -> np.ndarray | list[str]:
    """Images as an array, or as paths.

    Raises:
        DataError: neither, none, or paths at which nothing stands.
    """
    if isinstance(X, str | os.PathLike):
        raise DataError("one path, where a list of paths is expected", where="X", remedy="pass [path], or auto(folder)")
    values = list(X) if not isinstance(X, np.ndarray) else X
    if len(values) == 0:
        raise DataError("no images: found array with 0 sample(s), at least 1 is required", where="X")
    if all(isinstance(value, str | os.PathLike) for value in values):
        paths = [os.fspath(value) for value in values]
        if missing := [path for path in paths if not os.path.exists(path)]:
            raise DataError(
                f"{len(missing)} of {len(paths)} images are not there",
                where=", ".join(map(shown, missing[:10])) + (" and others" if len(missing) > 10 else ""),
                remedy="check the paths; relative ones start at the working directory",
            )
        return paths
    array = np.asarray(values)
    if array.dtype != np.uint8 or not (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3)):
        raise DataError(
            f"images must be uint8 of shape (N, H, W, 3) or (N, H, W), or paths, got {array.dtype} {array.shape}; "
            "reshape your data",
            where="X",
            remedy="scale to 0..255, put channels last and convert with astype('uint8')",
        )
    return array


def _opened(image: np.ndarray | str, decoding: Decoding) -> Image.Image:
    return read_image(Path(image), decoding) if isinstance(image, str) else Image.fromarray(image).convert("RGB")
