"""One other tool on one data set: a worker of `against_others.py`, run in whatever environment holds the tool.

``python other_tools.py TOOL FOLDER`` reads ``pixels.npz`` (uint8 squares and labels of train, validation and test) and
``encoder.pt`` (a state dict of a timm network, by ``network.json``) in FOLDER, and prints one line of JSON: test and
validation accuracy, seconds, settings. It imports nothing of this package.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np


def main() -> None:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    data = dict(np.load(folder / "pixels.npz"))
    about = json.loads((folder / "network.json").read_text())
    started = time.perf_counter()
    found = TOOLS[tool](folder, data, about)
    print(json.dumps({"tool": tool, "seconds": time.perf_counter() - started, **found}))


def encoder_of(folder: Path, about: dict):
    import timm
    import torch

    network = timm.create_model(about["arch"], pretrained=False, num_classes=0, **about["arguments"])
    network.load_state_dict(torch.load(folder / "encoder.pt", weights_only=True))
    return network


def tensors(data: dict, part: str, about: dict):
    import torch

    pixels = torch.from_numpy(data[f"{part}_pixels"]).float().div(255)
    mean, std = (torch.tensor(about[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (pixels - mean) / std, torch.from_numpy(data[f"{part}_labels"])


def sklearn_probe(folder: Path, data: dict, about: dict) -> dict:
    """Logistic regression on standardised penultimate features, C by 5-fold cross-validation."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = encoder_of(folder, about).eval()
    features, labels = {}, {}
    for part in ("train", "validation", "test"):
        images, labels[part] = tensors(data, part, about)
        with torch.inference_mode():
            features[part] = torch.cat([network(rows) for rows in images.split(128)]).numpy()
    both = np.concatenate([features["train"], features["validation"]])
    targets = np.concatenate([labels["train"], labels["validation"]])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]},
        cv=min(5, int(np.bincount(targets).min())) if np.bincount(targets).min() > 1 else 3,
    ).fit(both, targets)
    return {
        "test_accuracy": float((search.predict(features["test"]) == labels["test"].numpy()).mean()),
        "validation_accuracy": float(search.best_score_),
        "settings": {"C": search.best_params_["logisticregression__C"], "trained_on": "train and validation"},
    }


def plain_full(folder: Path, data: dict, about: dict) -> dict:
    """Full fine-tuning as in a tutorial: AdamW, 20 epochs, cosine, batch 32, flip and padded crop; two rates."""
    runs = {rate: _plain_run(folder, data, about, rate) for rate in (1e-3, 3e-4)}
    best = max(runs, key=lambda rate: runs[rate]["validation_accuracy"])
    return {**runs[best], "settings": {"rate": best, "epochs": 20, "batch": 32, "flip": True}, "rates": runs}


def _plain_run(folder: Path, data: dict, about: dict, rate: float, epochs: int = 20, batch: int = 32) -> dict:
    import torch
    from torch import nn

    started = time.perf_counter()
    torch.manual_seed(about["seed"])
    network = encoder_of(folder, about)
    model = nn.Sequential(network, nn.Linear(about["width"], about["classes"]))
    model = model.to(memory_format=torch.channels_last)
    images, labels = tensors(data, "train", about)
    steps = max(1, len(labels) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / (epochs * steps)))
    )
    size = images.shape[-1]
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(labels))
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            view = torch.nn.functional.pad(images[rows], [size // 8] * 4, value=0.0)
            top, left = torch.randint(0, 2 * (size // 8) + 1, (2,)).tolist()
            view = view[..., top : top + size, left : left + size]
            flips = torch.rand(len(rows)) < 0.5
            view = torch.where(flips[:, None, None, None], view.flip(-1), view)
            loss = nn.functional.cross_entropy(model(view.contiguous(memory_format=torch.channels_last)), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    found = {}
    for part in ("validation", "test"):
        pixels, targets = tensors(data, part, about)
        with torch.inference_mode():
            predicted = torch.cat([model(rows).argmax(1) for rows in pixels.split(128)])
        found[f"{part}_accuracy"] = float((predicted == targets).double().mean())
    return {**found, "seconds": time.perf_counter() - started}


def fastai(folder: Path, data: dict, about: dict) -> dict:
    """fastai's ``fine_tune`` with its defaults (one frozen epoch, base rate 2e-3, batch 64), 15 epochs, its transforms."""
    import torch
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        IndexSplitter,
        Normalize,
        PILImage,
        accuracy,
        aug_transforms,
        set_seed,
        vision_learner,
    )

    set_seed(about["seed"])
    parts = ("train", "validation", "test")
    pixels = np.concatenate([data[f"{part}_pixels"] for part in parts]).transpose(0, 2, 3, 1)
    labels = np.concatenate([data[f"{part}_labels"] for part in parts])
    ends = np.cumsum([len(data[f"{part}_labels"]) for part in parts])
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=list(range(about["classes"])), sort=False)),
        get_x=lambda row: PILImage.create(pixels[row]),
        get_y=lambda row: int(labels[row]),
        splitter=IndexSplitter(list(range(ends[0], ends[1]))),
        batch_tfms=[*aug_transforms(size=pixels.shape[1]), Normalize.from_stats(about["mean"], about["std"])],
    )
    loaders = block.dataloaders(range(ends[1]), bs=min(64, int(ends[0])), num_workers=0)
    learner = vision_learner(loaders, about["arch"], pretrained=False, normalize=False, metrics=accuracy)
    body = {
        key: value
        for key, value in torch.load(folder / "encoder.pt", weights_only=True).items()
        if not key.startswith("classifier")
    }
    learner.model[0].model.load_state_dict(body, strict=True)
    learner.freeze()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(15)
        found = {"validation_accuracy": float(learner.validate()[1])}
        loader = loaders.test_dl(range(ends[1], ends[2]))
        logits, _ = learner.get_preds(dl=loader)
    found["test_accuracy"] = float((logits.argmax(1).numpy() == labels[ends[1] :]).mean())
    return {**found, "settings": {"epochs": 15, "batch": 64}}


def autogluon(folder: Path, data: dict, about: dict) -> dict:
    """AutoGluon's ``MultiModalPredictor`` with its defaults but for the network, whose weights it reads from a folder."""
    import pandas
    import torch
    from autogluon.multimodal import MultiModalPredictor
    from PIL import Image

    weights = folder / "network"
    weights.mkdir()
    size = data["train_pixels"].shape[-1]
    settings = {"input_size": [3, size, size], "mean": about["mean"], "std": about["std"], "interpolation": "bicubic"}
    (weights / "config.json").write_text(
        json.dumps({"architecture": about["arch"], "num_classes": 0, "num_features": about["width"], **settings})
    )
    torch.save(torch.load(folder / "encoder.pt", weights_only=True), weights / "pytorch_model.bin")
    tables = {}
    for part in ("train", "validation", "test"):
        rows = []
        for number, (pixels, label) in enumerate(zip(data[f"{part}_pixels"], data[f"{part}_labels"], strict=True)):
            path = folder / f"{part}-{number}.png"
            Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
            rows.append({"image": str(path), "label": int(label)})
        tables[part] = pandas.DataFrame(rows)
    predictor = MultiModalPredictor(label="label", problem_type="multiclass", path=str(folder / "run"), verbosity=0)
    predictor.fit(
        tables["train"],
        tuning_data=tables["validation"],
        seed=about["seed"],
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": str(weights),
            "model.timm_image.image_size": size,
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
        },
    )
    found = {
        f"{part}_accuracy": float((predictor.predict(tables[part]).to_numpy() == data[f"{part}_labels"]).mean())
        for part in ("validation", "test")
    }
    return {**found, "settings": {"defaults": True}}


TOOLS = {"autogluon": autogluon, "sklearn": sklearn_probe, "plain_full": plain_full, "fastai": fastai}

if __name__ == "__main__":
    main()
