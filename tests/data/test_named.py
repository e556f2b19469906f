"""Data sets by name, read from tiny files in torchvision's own layouts, and what is said where they are missing."""

import hashlib
import os
import pickle
import struct
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from nctransfer.data import NAMES, bundle_from_torch, open_dataset
from nctransfer.errors import DataError, SetupError, UsageError

LABELS = np.arange(12) % 2


def grey(num=12, size=28):
    return np.random.default_rng(1).integers(0, 256, (num, size, size), dtype=np.uint8)


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def write_jpeg(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path, "JPEG")


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_mnist_layout(no_named_data, name, folder):
    images = grey()
    for part, count in (("train", 12), ("t10k", 4)):
        write_idx(no_named_data / name / folder / "raw" / f"{part}-images-idx3-ubyte", images[:count])
        write_idx(no_named_data / name / folder / "raw" / f"{part}-labels-idx1-ubyte", LABELS[:count])
    bundle = open_dataset(name)
    assert bundle.report["source"]["kind"] == "torchvision"
    assert len(bundle.class_names) == 2
    assert bundle.report["splits"] == {"train": 10, "validation": 2, "test": 4}
    np.testing.assert_array_equal(np.asarray(bundle.test.image(3))[..., 2], images[3])


def write_cifar(folder, monkeypatch):
    pixels = np.random.default_rng(2).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    folder.mkdir(parents=True)
    parts = {
        "data_batch_1": {"data": pixels.reshape(12, -1), "labels": LABELS.tolist()},
        "test_batch": {"data": pixels[:4].reshape(4, -1), "labels": LABELS[:4].tolist()},
        "batches.meta": {"label_names": ["airplane", "automobile"]},
    }
    sums = {}
    for name, content in parts.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums["batches.meta"]})
    return pixels


def test_cifar_layout_and_a_damaged_copy(no_named_data, monkeypatch):
    folder = no_named_data / "cifar-10-batches-py"
    pixels = write_cifar(folder, monkeypatch)
    bundle = open_dataset("cifar10")
    assert bundle.class_names == ("airplane", "automobile")
    np.testing.assert_array_equal(np.asarray(bundle.test.image(1)), pixels[1].transpose(1, 2, 0))
    (folder / "data_batch_1").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"cifar10 is damaged or incomplete.*remove the folder"):
        open_dataset("cifar10")


def test_dtd_layout(no_named_data):
    root = no_named_data / "dtd" / "dtd" / "dtd"
    for part, offset in (("train", 0), ("val", 10), ("test", 20)):
        lines = [f"{name}/{name}_{offset + index}.jpg" for name in ("banded", "dotted") for index in range(3)]
        (root / "labels").mkdir(parents=True, exist_ok=True)
        (root / "labels" / f"{part}1.txt").write_text("\n".join(lines) + "\n")
        for seed, line in enumerate(lines):
            write_jpeg(root / "images" / line, seed + offset)
    bundle = open_dataset("dtd")
    assert bundle.class_names == ("banded", "dotted")
    assert bundle.report["splits"] == {"train": 6, "validation": 6, "test": 6}
    assert bundle.test.identity(0).endswith("images/banded/banded_20.jpg")
    assert bundle.report["source"]["drawn"] == []


def test_aircraft_layout(no_named_data):
    root = no_named_data / "fgvc_aircraft" / "fgvc-aircraft-2013b" / "data"
    root.mkdir(parents=True)
    (root / "variants.txt").write_text("707-320\nA300B4 x\n")
    for part, offset in (("train", 0), ("val", 10), ("test", 20)):
        names = [f"{offset + index:07d}" for index in range(4)]
        lines = [f"{name} {('707-320', 'A300B4 x')[index % 2]}" for index, name in enumerate(names)]
        (root / f"images_variant_{part}.txt").write_text("\n".join(lines) + "\n")
        for seed, name in enumerate(names):
            write_jpeg(root / "images" / f"{name}.jpg", seed + offset)
    bundle = open_dataset("fgvc_aircraft")
    assert bundle.class_names == ("707-320", "A300B4 x")
    assert bundle.validation.labels.tolist() == [0, 1, 0, 1]
    assert bundle.test.image(0).size == (30, 20)


def test_pets_layout(no_named_data):
    root = no_named_data / "oxford-iiit-pet"
    (root / "annotations").mkdir(parents=True)
    for part, offset in (("trainval", 0), ("test", 10)):
        names = [
            (f"{breed}_{offset + index}", label)
            for label, breed in enumerate(("Abyssinian", "great_dane"), 1)
            for index in range(4)
        ]
        (root / "annotations" / f"{part}.txt").write_text("".join(f"{name} {label} 1 1\n" for name, label in names))
        for seed, (name, _) in enumerate(names):
            write_jpeg(root / "images" / f"{name}.jpg", seed + offset)
    bundle = open_dataset("oxford_pets")
    assert bundle.class_names == ("Abyssinian", "Great Dane")
    assert bundle.report["splits"] == {"train": 6, "validation": 2, "test": 8}


def test_parquet_under_the_name_comes_first(no_named_data, make_parquet):
    make_parquet(no_named_data / "cifar10" / "train-00000-of-00001.parquet", [0, 1] * 5)
    bundle = open_dataset("cifar10")
    assert (bundle.name, bundle.report["source"]["kind"]) == ("cifar10", "parquet")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "digits"])
def test_a_missing_set_names_the_place(no_named_data, name):
    with pytest.raises(SetupError, match=f"{name} is not on this machine .expected at .*{name}") as caught:
        open_dataset(name, download=False)
    assert caught.value.exit_code == 6
    assert "NCTRANSFER_DATA" in caught.value.remedy


def test_a_download_that_fails_leaves_nothing(no_named_data, monkeypatch):
    def fail(url, download_root, **options):
        Path(download_root).mkdir(parents=True, exist_ok=True)
        (Path(download_root) / "half").write_bytes(b"half a file")
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("torchvision.datasets.dtd.download_and_extract_archive", fail)
    with pytest.raises(SetupError, match=r"could not be downloaded.*no network"):
        open_dataset("dtd")
    assert list(no_named_data.iterdir()) == []


def test_a_download_is_put_in_place_when_whole(no_named_data, monkeypatch):
    def download(self):
        for part, count in (("train", 12), ("t10k", 4)):
            write_idx(no_named_data.parent / self.root / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", grey(count))
            write_idx(no_named_data.parent / self.root / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", LABELS[:count])

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    assert open_dataset("mnist").report["splits"]["test"] == 4
    assert [path.name for path in no_named_data.iterdir()] == ["mnist"]
    monkeypatch.delattr(torchvision.datasets.MNIST, "download")
    assert open_dataset("mnist").report["splits"]["test"] == 4


def test_unknown_names_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"unknown data set 'cifar11'.*did you mean cifar10") as caught:
        open_dataset("cifar11")
    assert caught.value.exit_code == 2
    for missing in ("./cifar11", str(tmp_path / "none"), tmp_path / "none"):
        with pytest.raises(DataError, match="no such folder") as found:
            open_dataset(missing)
        assert found.value.exit_code == 3
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="circle"):
        open_dataset(tmp_path / "loop")


def test_the_hub_needs_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(SetupError, match=r"'datasets' is not installed.*nctransfer\[hub\]"):
        open_dataset("hf:owner/name")


def test_the_hub_library_reads_a_local_set(tmp_path, make_parquet, monkeypatch):
    pytest.importorskip("datasets", reason="datasets (the extra `hub`) is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    images = make_parquet(tmp_path / "set" / "train-00000-of-00001.parquet", [0, 1] * 5)
    make_parquet(tmp_path / "set" / "test-00000-of-00001.parquet", [0, 1], first_seed=20)
    bundle = open_dataset(f"hf:{tmp_path / 'set'}")
    assert bundle.class_names == ("cat", "dog")
    np.testing.assert_array_equal(np.asarray(bundle.train.image(0)), np.asarray(images[bundle.train.indices[0]]))


def test_torch_data_sets():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 3, 6, 5), dtype=np.uint8))
    labels = torch.arange(20) % 2
    expected = pixels[4].permute(1, 2, 0).numpy()
    scaled = torch.utils.data.TensorDataset(pixels.float() / 255, labels)
    plain = torch.utils.data.TensorDataset(pixels, labels)
    part = torch.utils.data.Subset(plain, [4, 5, 6, 7])
    for dataset in (plain, scaled):
        bundle = bundle_from_torch(dataset, validation=part, test=part, class_names=("even", "odd"))
        np.testing.assert_array_equal(np.asarray(bundle.train.image(4)), expected)
        np.testing.assert_array_equal(np.asarray(bundle.test.image(0)), expected)
        assert bundle.test.labels.tolist() == [0, 1, 0, 1]
        assert bundle.class_names == ("even", "odd")
        assert bundle.report["duplicates"]["train_test"]["pixels"] == 4
    normalised = torch.utils.data.TensorDataset(pixels.float() / 50 - 2, labels)
    with pytest.raises(DataError, match=r"20 of 20 images .* must lie in \[0, 1\], got"):
        bundle_from_torch(normalised)
    with pytest.raises(DataError, match=r"without its Normalize"):
        bundle_from_torch(normalised, check=False).train.image(0)
    with pytest.raises(DataError, match=r"must lie in \[0, 1\), got 1 at row 1"):
        bundle_from_torch(plain, class_names=("one",))


@pytest.mark.data
@pytest.mark.skipif(
    not os.environ.get("NCTRANSFER_DATA"), reason="the folder of real data is missing: NCTRANSFER_DATA is not set"
)
@pytest.mark.parametrize(
    ("name", "num_classes", "size"), [("cifar10", 10, 32), ("cifar100", 100, 32), ("mnist", 10, 28)]
)
def test_real_sets(name, num_classes, size):
    bundle = open_dataset(name, limit=20 * num_classes, check=False, download=False)
    assert len(bundle.class_names) == num_classes
    assert len(bundle.train) == 16 * num_classes
    assert len(bundle.test) == 10_000
    assert bundle.train.image(0).size == (size, size)
    missing = any("missing" in note for note in bundle.report["notes"])
    assert missing == (
        name == "cifar10" and len(list((Path(os.environ["NCTRANSFER_DATA"]) / name).glob("train-*"))) < 4
    )
