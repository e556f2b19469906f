"""A run's data are remembered, and other data are refused with what changed."""

import shutil

import numpy as np
import pytest
from PIL import Image

from nctransfer.data import bundle_from_arrays, check_same_data, check_same_place, open_dataset
from nctransfer.errors import DataError


@pytest.fixture
def begun(make_folder, tmp_path):
    root = make_folder({"train/a": 9, "train/b": 9, "test/a": 4, "test/b": 4})
    out = tmp_path / "run"
    out.mkdir()
    check_same_data(out, open_dataset(root))
    return root, out


def add(root):
    Image.new("RGB", (9, 9), (7, 7, 7)).save(root / "test/a/-1.png")


def remove(root):
    (root / "train/b/3.png").unlink()


def add_class(root):
    shutil.copytree(root / "train/a", root / "train/c")
    shutil.copytree(root / "test/a", root / "test/c")


def relabel(root):
    (root / "train/b/3.png").rename(root / "train/a/x.png")


def drop_split(root):
    shutil.rmtree(root / "test")


def repaint(root):
    first, second = root / "test/b/0.png", root / "test/b/1.png"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes().ljust(len(content), b"\0")[: max(len(content), 80)])
    pixels = np.asarray(Image.open(root / "test/b/2.png"))
    Image.fromarray(255 - pixels).save(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add, "'a' in test: 1 images added"),
        (remove, "'b' in train: 1 removed"),
        (add_class, "the class 'c' is new in train; the class 'c' is new in test"),
        (relabel, "'a' in train: 1 images added; 'b' in train: 1 removed"),
        (drop_split, "there is no test split"),
        (repaint, "content of images of 'b'|'b' in test: files of another size"),
    ],
)
def test_changed_data_are_refused(begun, change, message):
    root, out = begun
    check_same_data(out, open_dataset(root))
    change(root)
    with pytest.raises(DataError, match=rf"data changed since the run was started: .*({message})") as caught:
        check_same_data(out, open_dataset(root))
    assert "resume on the same images" in caught.value.remedy


def test_names_and_sizes_alone_show_most_changes(begun):
    root, out = begun
    check_same_place(out, root)
    add(root)
    with pytest.raises(DataError, match="'a' in test: 1 images added"):
        check_same_place(out, root)


def test_arrays_by_their_pixels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    check_same_data(tmp_path, bundle_from_arrays(images, np.arange(40) % 2))
    check_same_data(tmp_path, bundle_from_arrays(images.copy(), np.arange(40) % 2))
    with pytest.raises(DataError, match="content of images"):
        check_same_data(tmp_path, bundle_from_arrays(255 - images, np.arange(40) % 2))
    with pytest.raises(DataError, match="images added"):
        check_same_data(tmp_path, bundle_from_arrays(images, np.arange(40) // 20))


def test_what_was_not_looked_at_is_not_held_against_it(begun):
    root, out = begun
    check_same_data(out, open_dataset(root, check=False))
