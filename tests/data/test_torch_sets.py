"""Torch data sets: classes go by name through every usual wrapper, or are refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from torchvision.datasets import ImageFolder

from nctransfer.data import bundle_from_torch
from nctransfer.data.memory import bundle_from_object
from nctransfer.errors import DataError, UsageError

COLOURS = {"amber": (250, 190, 0), "brick": (150, 40, 30), "cyan": (0, 240, 250), "denim": (20, 60, 160)}


def colour_of(image) -> str:
    """The class that an image was made for."""
    mean = np.asarray(image, dtype=float).mean((0, 1))
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def assert_named(split):
    for index in range(len(split)):
        assert split.class_names[split.labels[index]] == colour_of(split.image(index))


class Painted(Dataset):
    """Images of one colour; ``order`` gives the numbers of the classes."""

    def __init__(self, order, num=24, declared=True):
        self.order, self.num = order, num
        if declared:
            self.classes = list(order)

    def __len__(self):
        return self.num

    def __getitem__(self, index):
        label = index % len(self.order)
        rng = np.random.default_rng(index)
        pixels = np.clip(rng.normal(0, 12, (6, 6, 3)) + COLOURS[self.order[label]], 0, 255)
        return Image.fromarray(pixels.astype(np.uint8)), label


class Listed(Painted):
    def __init__(self, order, num=24):
        super().__init__(order, num)
        self.targets = [index % len(order) for index in range(num)]


class Wrapped(Dataset):
    """What people write to add a transform."""

    def __init__(self, inner, relabel=None):
        self.inner, self.relabel = inner, relabel

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, index):
        image, label = self.inner[index]
        return image, self.relabel[label] if self.relabel else label


ABC, CBA, ABD = ["amber", "brick", "cyan"], ["cyan", "brick", "amber"], ["amber", "brick", "denim"]


@pytest.mark.parametrize(
    "test",
    [
        Painted(CBA, 6),
        Listed(CBA, 6),
        Subset(Listed(CBA), [0, 1, 2, 5]),
        Subset(Subset(Listed(CBA), range(12)), [3, 4, 5]),
        random_split(Listed(CBA), [8, 16], torch.Generator().manual_seed(0))[0],
        ConcatDataset([Listed(CBA, 3), Listed(ABC, 3)]),
        Wrapped(Listed(CBA, 6)),
    ],
)
def test_another_order_of_classes_is_matched_by_name(test):
    bundle = bundle_from_torch(Listed(ABC), None, test)
    assert bundle.class_names == tuple(ABC)
    for split in bundle.splits().values():
        assert_named(split)


def test_names_of_the_data_set_itself_win_over_positions_given_by_the_caller():
    bundle = bundle_from_torch(Listed(ABC), None, Listed(["amber", "cyan"], 4), class_names=ABC)
    assert_named(bundle.test)
    renamed = bundle_from_torch(Listed(ABC), None, Listed(ABC, 6), class_names=["one", "two", "three"])
    assert renamed.class_names == ("one", "two", "three")
    with pytest.raises(DataError, match="2 class names were given, and the data set has 3"):
        bundle_from_torch(Listed(ABC), class_names=["one", "two"])


def test_class_to_idx_names_classes_as_well():
    train, test = Painted(ABC, declared=False), Painted(CBA, 6, declared=False)
    train.class_to_idx = {name: number for number, name in enumerate(ABC)}
    test.class_to_idx = {name: number for number, name in enumerate(CBA)}
    assert_named(bundle_from_torch(train, None, test).test)
    test.classes = ABC
    with pytest.raises(DataError, match=r"`classes` says that .* `class_to_idx`"):
        bundle_from_torch(train, None, test)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (Listed(["amber", "cyan"], 4), "test lacks 'brick'"),
        (Listed(ABD, 6), "test has 'denim', which train lacks"),
        (Painted(ABC, 6, declared=False), "numbers and those of train have names"),
        (Wrapped(Listed(ABC, 6), relabel=[1, 2, 0]), "cannot be matched to its labels"),
        (ConcatDataset([Listed(ABC, 3), Painted(ABC, 3, declared=False)]), "some of the joined data sets"),
    ],
)
def test_what_cannot_be_matched_by_name_is_refused(test, message):
    with pytest.raises(DataError, match=message):
        bundle_from_torch(Listed(ABC), None, test)


def test_a_target_transform_takes_the_names_away(tmp_path):
    for name in ABC:
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.new("RGB", (6, 6), COLOURS[name]).save(tmp_path / name / f"{index}.png")
    plain = ImageFolder(tmp_path)
    for split in bundle_from_torch(plain).splits().values():
        assert_named(split)
    moved = ImageFolder(tmp_path, target_transform=lambda label: (label + 1) % 3)
    with pytest.raises(DataError, match="target_transform"):
        bundle_from_torch(moved)
    assert bundle_from_torch(ImageFolder(tmp_path, target_transform=int)).class_names == tuple(ABC)
    assert_named(bundle_from_torch(moved, class_names=["cyan", "amber", "brick"]).train)


def test_a_child_of_subset_that_relabels_is_read_item_by_item():
    class Relabelled(Subset):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image, 2 - label

        def __getitems__(self, indices):
            return [self[index] for index in indices]

    with pytest.raises(DataError, match="cannot be matched"):
        bundle_from_torch(Relabelled(Listed(ABC), range(12)))


def test_targets_that_are_not_the_items_labels_are_found():
    lying = Listed(ABC)
    lying.targets = lying.targets[::-1]
    with pytest.raises(DataError, match=r"the item's label is 0, but the data set lists 2 for it"):
        bundle_from_torch(lying)


def test_names_may_be_tuples_of_synonyms():
    train = Listed(ABC)
    train.classes = [("amber", "gold"), ("brick",), ("cyan",)]
    train.class_to_idx = {"amber": 0, "gold": 0, "brick": 1, "cyan": 2}
    assert bundle_from_torch(train).class_names == ("amber, gold", "brick", "cyan")


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(Painted(ABC))


class Broken(Painted):
    def __getitem__(self, index):
        if index == 3:
            raise KeyError("picture")
        return super().__getitem__(index)


class Dicts(Painted):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return {"image": image, "label": label}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Streamed(), "map-style"),
        (torch.utils.data.DataLoader(Painted(ABC)), "DataLoader"),
        (np.zeros((4, 6, 6, 3), np.uint8), "bundle_from_arrays"),
        (torch.zeros(4, 3, 6, 6), "bundle_from_arrays"),
        (None, "None"),
        (Broken(ABC), "raised KeyError: 'picture'.*train item 3"),
        (Dicts(ABC), r"an item must be \(image, label\), got dict"),
        (TensorDataset(torch.zeros(4, 3, 6, 6)), "got tuple of 1"),
        (TensorDataset(torch.zeros(4, 3, 6, 6), torch.tensor([0.0, 0.5, 1.0, 0.0])), "got float 0.5"),
        (TensorDataset(torch.zeros(4, 3, 6, 6), torch.zeros(4, 6, 6)), "one label an image|lengths|whole numbers"),
    ],
)
def test_objects_that_are_no_data_set(train, message):
    with pytest.raises(DataError, match=message):
        bundle_from_torch(train)


def test_a_mapping_by_split_and_a_tuple():
    parts = {"train": Listed(ABC), "val": Listed(CBA, 6), "test": Listed(CBA, 9)}
    bundle = bundle_from_object(parts)
    assert bundle.report["splits"] == {"train": 24, "validation": 6, "test": 9}
    for split in bundle_from_object(tuple(parts.values())).splits().values():
        assert_named(split)
    with pytest.raises(DataError, match="'extra' names no split"):
        bundle_from_object({"train": Listed(ABC), "extra": Listed(ABC)})
    with pytest.raises(DataError, match="paths cannot stand in a tuple"):
        bundle_from_object(("train", None, "test"))


def test_a_bundle_keeps_to_a_limit_and_refuses_what_comes_too_late():
    bundle = bundle_from_torch(Listed(ABC, 120))
    small = bundle_from_object(bundle, limit=30, seed=3)
    assert len(small.train) + len(small.validation) == 30
    assert small.report["source"]["limit"] == 30
    assert small.report["splits"]["train"] == len(small.train)
    assert len(small.test) == len(bundle.test)
    with pytest.raises(UsageError, match=r"test_fraction.*too late"):
        bundle_from_object(bundle, test_fraction=0.5)


def test_bad_items_are_skipped_on_request():
    class Holed(Listed):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return (np.zeros((2, 2, 2, 2)) if index == 5 else image), label

    with pytest.raises(DataError, match="1 of 60 images"):
        bundle_from_object((Holed(ABC, 60),))
    bundle = bundle_from_object((Holed(ABC, 60),), on_bad_image="skip")
    assert sum(bundle.report["splits"].values()) == 59
    assert any("1 unreadable images were skipped: train item 5" in note for note in bundle.report["notes"])


def test_a_hub_data_set_dict_is_matched_by_name():
    datasets = pytest.importorskip("datasets", reason="datasets (the extra `hub`) is not installed")

    def made(order, num):
        painted = Painted(order, num)
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=order)})
        rows = {"image": [painted[i][0] for i in range(num)], "label": [painted[i][1] for i in range(num)]}
        return datasets.Dataset.from_dict(rows, features=features)

    both = datasets.DatasetDict({"train": made(ABC, 24), "test": made(CBA, 6)})
    for split in bundle_from_object(both).splits().values():
        assert_named(split)
    assert_named(bundle_from_object(made(ABC, 24)).train)
    with pytest.raises(DataError, match="test has 'denim'"):
        bundle_from_object(datasets.DatasetDict({"train": made(ABC, 24), "test": made(ABD, 6)}))
