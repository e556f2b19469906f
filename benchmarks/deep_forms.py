"""Forms of a linear head over all layers, compared on development validation images; the test images are not read.

For each data set a training part is drawn from the training images, and a disjoint part of up to 2,000 of them judges. All
that a form chooses (strengths, layers, weights, temperature) it chooses by 5-fold cross-validation inside the training part.

No result of this script is committed yet: the form in use was adopted on trials that were not kept, so this is yet to confirm it.

Run ``NCTRANSFER_DATA=... python benchmarks/deep_forms.py`` (about an hour on one core). It goes on where it was stopped.
``--features FOLDER`` says where pooled features are kept between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from hardware import machine, result_path
from scipy.optimize import minimize

from nctransfer.data import PixelLoader, Preprocess, open_dataset
from nctransfer.metrics import nc1
from nctransfer.models import load_network
from nctransfer.probes import SoftmaxRegression, assign_folds

SETS = {  # name: (input in pixels, largest training part, most judging images, classes kept)
    "digits": (64, 1000, 438, 10),
    "cifar10": (64, 2000, 2000, 10),
    "cifar100": (64, 1000, 2000, 20),
    "fashion_mnist": (64, 1000, 2000, 10),
    "clothing": (96, 800, 2000, 10),
    "trash": (96, 800, 1222, 6),
}
JOBS = [
    (size, seed, name)
    for size, seed in ((120, 0), (320, 0), (800, 0))
    for name in ("clothing", "trash", "cifar10", "fashion_mnist", "cifar100", "digits")
]
STRENGTHS = [10 ** (-half / 2) for half in range(-1, 8)]
LARGE = 700  # training images from which only the leading forms are fitted
LEADING = {"concat", "concat_width", "concat_width_nc1^1", "concat_width_cv0.1", "concat_width_cv0.3"}
ADOPTED = {
    "form": "concat_width_cv0.3",
    "why": "all layers side by side, standardised, one strength for each layer: λ_l = λ D_l exp((loss_l − min) / 0.3), "
    "loss_l the held-out log-loss of the layer's own probe. Best mean gain over the penultimate probe; one convex "
    "problem, so certified as a whole. Strengths by NC1 (λ_l = λ D_l NC1_l) come next: the collapse of a layer is nearly "
    "as good a guide as its own held-out loss.",
}


def standardised(train, *others):
    mean, deviation = train.mean(0), train.std(0)
    deviation = np.where(deviation > 1e-6 * max(1e-12, np.abs(train).max()), deviation, np.inf)
    return [(part - mean) / deviation for part in (train, *others)]


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def log_loss(logits, labels):
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def accuracy(logits, labels):
    return float((logits.argmax(1) == labels).mean())


class Kernels:
    """Kernel matrices of every block of columns in every fold; a head with scales s_l sees Σ s_l² K_l."""

    def __init__(self, train, judge, labels, num_classes, seed):
        self.labels, self.num_classes = labels, num_classes
        self.widths = {name: block.shape[1] for name, block in train.items()}
        folds = assign_folds(torch.from_numpy(labels), seed=seed).numpy()
        self.parts = []
        for fold in [*range(5), None]:
            rows = np.arange(len(labels)) if fold is None else np.flatnonzero(folds != fold)
            held = None if fold is None else np.flatnonzero(folds == fold)
            kernels = {}
            for name, block in train.items():
                seen, other = standardised(block[rows], judge[name] if fold is None else block[held])
                kernels[name] = (seen @ seen.T, other @ seen.T)
            self.parts.append((rows, held, kernels))

    def fit(self, squares):
        """Held-out and judging logits, and each block's ‖W_l‖, at the strength with the smallest held-out log-loss."""
        total = sum(self.widths[name] for name in squares)
        factor = total / sum(squares[name] * self.widths[name] for name in squares)
        squares = {name: value * factor for name, value in squares.items()}
        out = np.zeros((len(STRENGTHS), len(self.labels), self.num_classes))
        for rows, held, kernels in self.parts:
            train = sum(squares[name] * kernels[name][0] for name in squares)
            other = sum(squares[name] * kernels[name][1] for name in squares)
            values, vectors = np.linalg.eigh(train)
            kept = values > 1e-9 * values[-1]
            values, vectors = values[kept], vectors[:, kept]
            points = self.path(vectors * np.sqrt(values), self.labels[rows])
            logits = np.stack([(other @ vectors / np.sqrt(values)) @ weight.T + bias for weight, bias in points])
            if held is not None:
                out[:, held] = logits
        best = int(np.argmin([log_loss(values, self.labels) for values in out]))
        dual = (vectors / np.sqrt(values)) @ points[best][0].T
        norms = {name: squares[name] * float(np.sqrt((dual * (kernels[name][0] @ dual)).sum())) for name in squares}
        return out[best], logits[best], norms

    def path(self, columns, labels):
        present, compact = np.unique(labels, return_inverse=True)
        columns = torch.from_numpy(np.ascontiguousarray(columns, dtype=np.float32))
        model = SoftmaxRegression(columns, torch.from_numpy(compact), len(present))
        found, fit = [], None
        for strength in STRENGTHS:
            fit = model.fit(strength, tolerance=2e-3, start=fit)
            weight, bias = np.zeros((self.num_classes, columns.shape[1])), np.full(self.num_classes, -20.0)
            point = fit.point.numpy()
            weight[present], bias[present] = point[:, :-1], point[:, -1] - point[:, -1].mean()
            found.append((weight, bias))
        return found


def stacking_weights(held, labels, ridge):
    """Non-negative weights of the probes' logits by held-out log-loss, pulled towards equal ones by ``ridge``."""
    logits, equal = np.stack(held), 1 / len(held)

    def objective(weights):
        mixed = log_softmax(np.tensordot(weights, logits, 1))
        residual = np.exp(mixed)
        residual[np.arange(len(labels)), labels] -= 1
        slope = np.array([(residual * part).sum() / len(labels) for part in logits])
        loss = -mixed[np.arange(len(labels)), labels].mean() + ridge * ((weights - equal) ** 2).sum()
        return loss, slope + 2 * ridge * (weights - equal)

    bounds = [(0, None)] * len(held)
    return minimize(objective, np.full(len(held), equal), jac=True, method="L-BFGS-B", bounds=bounds).x


class Forms:
    """Every form on one training part."""

    def __init__(self, train, judge, labels, judge_labels, num_classes, seed, with_std):
        self.labels, self.judge_labels, self.found = labels, judge_labels, {}
        self.layers = [name for name in train if not name.startswith("std/")]
        self.data = Kernels(train, judge, labels, num_classes, seed)
        self.single = {name: self.data.fit({name: 1.0})[:2] for name in train}
        self.losses = {name: log_loss(self.single[name][0], labels) for name in train}
        self.nc1 = {name: float(nc1(torch.from_numpy(train[name]), torch.from_numpy(labels))) for name in self.layers}
        self.run()
        if with_std:
            self.run_std([*self.layers, *(name for name in train if name.startswith("std/"))])

    def put(self, form, held, judged, **more):
        self.found[form] = {
            "cv_accuracy": accuracy(held, self.labels),
            "cv_log_loss": log_loss(held, self.labels),
            "accuracy": accuracy(judged, self.judge_labels),
            "log_loss": log_loss(judged, self.judge_labels),
            **more,
        }
        return held, judged

    def side_by_side(self, form, squares):
        if len(self.labels) > LARGE and form not in LEADING:
            return None
        held, judged, norms = self.data.fit(squares)
        self.put(form, held, judged)
        return norms

    def mean_of(self, form, names, weights):
        """Mean log-probability of single probes: the mean of their logits, a linear head as well."""
        weights = np.asarray(weights, dtype=float)
        held = sum(weight * self.single[name][0] for weight, name in zip(weights, names, strict=True))
        judged = sum(weight * self.single[name][1] for weight, name in zip(weights, names, strict=True))

        def loss(log_factor):
            return log_loss(held * np.exp(log_factor[0]), self.labels)

        factor = np.exp(minimize(loss, [0.0], method="Nelder-Mead", options={"maxiter": 60}).x[0])
        self.put(form, held * factor, judged * factor)

    def run(self):
        layers, widths, losses, least = self.layers, self.data.widths, self.losses, min(self.losses.values())
        trust = {
            temperature: {n: np.exp((least - losses[n]) / temperature) for n in layers} for temperature in (0.1, 0.3)
        }
        self.put("penultimate", *self.single["penultimate"])
        best = max(layers, key=lambda name: (accuracy(self.single[name][0], self.labels), -losses[name]))
        self.put("best_layer_by_accuracy", *self.single[best], layer=best)
        best = min(layers, key=lambda name: losses[name])
        self.put("best_layer_by_log_loss", *self.single[best], layer=best)
        self.side_by_side("concat", dict.fromkeys(layers, 1.0))
        norms = self.side_by_side("concat_width", {name: 1 / widths[name] for name in layers})
        self.side_by_side("concat_halfwidth", {name: widths[name] ** -0.5 for name in layers})
        for power in (1, 2):
            self.side_by_side(f"concat_nc1^{power}", {name: self.nc1[name] ** -power for name in layers})
            squares = {name: self.nc1[name] ** -power / widths[name] for name in layers}
            self.side_by_side(f"concat_width_nc1^{power}", squares)
        for temperature, values in trust.items():
            squares = {name: values[name] / widths[name] + 1e-9 for name in layers}
            self.side_by_side(f"concat_width_cv{temperature}", squares)
        for turn in range(3):  # group lasso by reweighted squares: λ √D_l ‖W_l‖
            if norms is None:
                break
            squares = {name: max(norms[name] / np.sqrt(widths[name]), 1e-6) for name in layers}
            norms = self.side_by_side("group_lasso", squares) if turn < 3 else norms
        stages = [
            name
            for name, following in zip(layers, [*layers[1:], "end"], strict=True)
            if name.split(".")[:2] != following.split(".")[:2]
        ]
        self.side_by_side("concat_stages", dict.fromkeys(stages, 1.0))
        self.side_by_side("concat_width_stages", {name: 1 / widths[name] for name in stages})
        self.mean_of("meanlog", layers, np.full(len(layers), 1 / len(layers)))
        half = sorted(layers, key=lambda name: losses[name])[: len(layers) // 2 + 1]
        self.mean_of("meanlog_best_half", half, np.full(len(half), 1 / len(half)))
        self.mean_of("meanlog_stages", stages, np.full(len(stages), 1 / len(stages)))
        for temperature, values in trust.items():
            weights = np.array([values[name] for name in layers])
            self.mean_of(f"meanlog_cv{temperature}", layers, weights / weights.sum())
        weights = np.array([1 / self.nc1[name] for name in layers])
        self.mean_of("meanlog_nc1", layers, weights / weights.sum())
        for ridge in (0, 0.01, 0.1):
            weights = stacking_weights([self.single[name][0] for name in layers], self.labels, ridge)
            self.mean_of(f"stacking_ridge{ridge}", layers, weights)

    def run_std(self, names):
        """Mean and standard-deviation pooling together."""
        self.side_by_side("concat_meanstd", dict.fromkeys(names, 1.0))
        self.side_by_side("concat_width_meanstd", {name: 1 / self.data.widths[name] for name in names})
        least = min(self.losses[name] for name in names)
        squares = {n: np.exp((least - self.losses[n]) / 0.3) / self.data.widths[n] + 1e-9 for n in names}
        self.side_by_side("concat_width_cv0.3_meanstd", squares)
        weights = stacking_weights([self.single[name][0] for name in names], self.labels, 0.01)
        self.mean_of("stacking_meanstd_ridge0.01", names, weights)


def spread(output):
    return output.flatten(2).std(2, unbiased=False) if output.dim() == 4 else None


def features_of(name, folder):
    """Pooled features of the largest training part and of the judging part, kept in ``folder``."""
    file = folder / f"{name}.npz"
    if file.is_file():
        return dict(np.load(file))
    size, most_train, most_judge, classes = SETS[name]
    data = name if name == "digits" else str(Path(os.environ["NCTRANSFER_DATA"]) / name)
    split = open_dataset(data, seed=0, check=False).train
    random = np.random.default_rng(0)
    rows = np.flatnonzero(split.labels < classes)
    random.shuffle(rows)
    share = most_train / len(rows)
    train = np.concatenate(
        [own[: max(2, round(share * len(own)))] for k in range(classes) for own in [rows[split.labels[rows] == k]]]
    )
    random.shuffle(train)
    judge = np.setdiff1d(rows, train)
    random.shuffle(judge)
    network = load_network("tf_efficientnet_lite0", image_size=size).eval()
    facts = network.describe()["preprocess"]
    preprocess = Preprocess(size=size, interpolation=facts["interpolation"], crop_pct=facts["crop_pct"])
    found = {}
    for part, chosen in (("train", train), ("judge", judge[:most_judge])):
        loader = PixelLoader(split.subset(chosen), preprocess, batch_size=128)
        blocks, caught = {}, {}
        hooks = [
            network.encoder.get_submodule(layer).register_forward_hook(
                lambda module, inputs, output, layer=layer, caught=caught: caught.__setitem__(layer, output)
            )
            for layer in network.layers
        ]
        with torch.inference_mode():
            for batch in loader.epoch(0):
                last = network(batch.images)
                for layer, output in caught.items():
                    blocks.setdefault(layer, []).append(network.pool(layer, output).numpy().copy())
                    blocks.setdefault(f"std/{layer}", []).append(spread(output).numpy())
                blocks.setdefault("penultimate", []).append(last.numpy())
        for hook in hooks:
            hook.remove()
        found |= {f"{part}/{layer}": np.concatenate(values) for layer, values in blocks.items()}
        found[f"{part}/labels"] = split.labels[chosen]
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(file, **found)
    return found


def part_of(labels, size, seed):
    """Rows of a stratified part of ``size``, at least two of each class."""
    order, left = np.random.default_rng(seed).permutation(len(labels)), {}
    for label in np.unique(labels):
        left[label] = max(2, round(size * np.mean(labels == label)))
    chosen = []
    for row in order:
        if left[labels[row]] > 0:
            left[labels[row]] -= 1
            chosen.append(row)
    return np.array(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, default=Path("runs/deep_forms"))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    out = options.out or result_path("deep_forms")
    content = json.loads(out.read_text()) if out.is_file() else {"machine": machine(), "adopted": ADOPTED, "runs": []}
    done = {(run["size"], run["seed"], run["set"]) for run in content["runs"]}
    for size, seed, name in JOBS:
        if (size, seed, name) in done:
            continue
        stored = features_of(name, options.features)
        with_std = size == 320 and name in ("clothing", "cifar10")
        names = [key.removeprefix("train/") for key in stored if key.startswith("train/") and key != "train/labels"]
        names = [key for key in names if with_std or not key.startswith("std/")]
        rows = part_of(stored["train/labels"], size, seed)
        train = {key: stored[f"train/{key}"][rows].astype(np.float64) for key in names}
        judge = {key: stored[f"judge/{key}"].astype(np.float64) for key in names}
        labels, judge_labels = stored["train/labels"][rows], stored["judge/labels"]
        started = time.time()
        forms = Forms(train, judge, labels, judge_labels, SETS[name][3], seed, with_std)
        content["runs"].append(
            {
                "set": name,
                "size": size,
                "seed": seed,
                "train": len(labels),
                "judge": len(judge_labels),
                "seconds": time.time() - started,
                "nc1": forms.nc1,
                "layer_log_loss": forms.losses,
                "forms": forms.found,
            }
        )
        content["gain_over_penultimate"] = gains(content["runs"])
        out.write_text(json.dumps(content, indent=1))
        print(f"{name}, {len(labels)} images", {key: round(100 * v["accuracy"], 1) for key, v in forms.found.items()})


def gains(runs):
    """Points of accuracy above the penultimate probe, by form: mean, worst and number of parts; best first."""
    table = {}
    for run in runs:
        for form, values in run["forms"].items():
            gain = 100 * (values["accuracy"] - run["forms"]["penultimate"]["accuracy"])
            table.setdefault(form, []).append(gain)
    rows = {form: {"mean": float(np.mean(v)), "worst": min(v), "parts": len(v)} for form, v in table.items()}
    return dict(sorted(rows.items(), key=lambda item: -item[1]["mean"]))


if __name__ == "__main__":
    main()
