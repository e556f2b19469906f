"""Data folders as nobody would make them on purpose, each a function of its seed, with the truth about every image.

The class of an image is encoded in its content: the bright quadrant. Whatever format, depth, orientation or name a file has,
what is decoded must show the class that its place says, or be refused.
"""

from __future__ import annotations

import io
import json
import os
import struct
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

__all__ = ["Truth", "make_folder", "quadrant_of"]

NAMES = [
    "cat", "Dog", "café", unicodedata.normalize("NFD", "naïve"), "日本語", " padded ", "<b>x<", "$x_1$", "a,b",
    "train station", "test tube", "0", "10", "crash test", "valet", "runs", "images", "class.with.dots", "-dash", "ünïcode",
    "very " * 20 + "long", "emoji 🐈", "back\\slash", "quote'\"", "train", "con", "NaN", "None", "100%",
]  # fmt: skip
LAYOUTS = ["flat"] * 4 + ["splits"] * 5 + ["inside"] * 2 + ["parquet"] * 3 + ["nested", "loose", "empty", "stray"]
TURNED_BACK = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transpose that undoes each orientation


@dataclass
class Truth:
    """What is known of a folder.

    Attributes:
        root: The folder.
        layout: How it was laid out.
        classes: Class by identity, of every image that was written in full.
        quadrants: Quadrant by class name.
        splits: Split by identity, where the layout gives one.
        damaged: Identities of files whose bytes were changed: whatever they show is not held against anybody.
        gain: Factor and offset of the folder's 16-bit images, as one camera has.
        hostile: Whether something was added that may make the whole be refused.
    """

    root: Path
    layout: str
    classes: dict[str, str] = field(default_factory=dict)
    quadrants: dict[str, int] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    hostile: bool = False
    gain: tuple[int, int] = (1, 0)


def quadrant_of(image: Image.Image) -> int:
    """The bright quadrant of a decoded image: 0 to 3, row by row."""
    grey = np.asarray(image.convert("L"), dtype=float)
    half_y, half_x = grey.shape[0] // 2, grey.shape[1] // 2
    parts = grey[:half_y, :half_x], grey[:half_y, -half_x:], grey[-half_y:, :half_x], grey[-half_y:, -half_x:]
    return int(np.argmax([part.mean() for part in parts]))


def make_folder(root: Path, seed: int) -> Truth:
    """Write the folder of this seed below ``root``."""
    rng = np.random.default_rng(seed)
    truth = Truth(root, str(rng.choice(LAYOUTS)))
    root.mkdir(parents=True)
    truth.gain = int(rng.choice([1, 4, 16, 250])), int(rng.choice([0, 0, 100]))
    num = int(rng.integers(2, 5))
    names = [NAMES[index] for index in rng.choice(len(NAMES), num, replace=False)]
    truth.quadrants = {_shown(name): quadrant for quadrant, name in enumerate(names)}
    if truth.layout == "parquet":
        _write_parquet(truth, names, rng)
    elif truth.layout == "loose":
        _write_images(truth, "", names[0], 5, rng, "")
        truth.hostile = True
    elif truth.layout != "empty":
        _write_layout(truth, names, rng)
    if rng.random() < 0.5:
        _add_oddities(truth, names, rng)
    return truth


def _shown(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _write_layout(truth: Truth, names: list[str], rng: np.random.Generator) -> None:
    words = {
        "train": ["train", "Train", "training", "train_set", "TRAIN"],
        "validation": ["val", "valid", "validation", "Val", "valset"],
        "test": ["test", "Test", "testing", "test_images"],
    }
    used = {split: str(rng.choice(options)) for split, options in words.items()}
    given = ["train", "test"] + ["validation"] * bool(rng.random() < 0.5)
    for name in names:
        if truth.layout in ("flat", "stray", "nested"):
            place = f"{name}/inner/deep" if truth.layout == "nested" and rng.random() < 0.7 else name
            _write_images(truth, place, name, int(rng.integers(3, 9)), rng, "")
            continue
        for split in given:
            if split != "train" and rng.random() < 0.04:
                continue  # a class that a split lacks
            place = f"{used[split]}/{name}" if truth.layout == "splits" else f"{name}/{used[split]}"
            _write_images(truth, place, name, int(rng.integers(3, 7)), rng, split)
    if truth.layout == "stray":
        place = f"{used['test']}/{names[0]}"
        _write_images(truth, place, names[0], 2, rng, "")
        truth.hostile = True


def _write_images(truth: Truth, place: str, name: str, num: int, rng: np.random.Generator, split: str) -> None:
    folder = truth.root / place
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(num):
        content, suffix = _content(truth.quadrants[_shown(name)], rng, truth.gain)
        kind = rng.random()
        if kind < 0.08:
            suffix = str(rng.choice(["", ".jpg?width=640", ".heic", ".JPG", ".dat", ".png", ".jpeg_large"]))
        path = folder / f"{index}{suffix}"
        identity = f"{place}/{path.name}".lstrip("/")
        if rng.random() < 0.03:
            content = _damaged(content, rng)
            truth.damaged.add(identity)
        path.write_bytes(content)
        truth.classes[identity] = _shown(name)
        if split:
            truth.splits[identity] = split


def _pixels(quadrant: int, rng: np.random.Generator) -> np.ndarray:
    high, wide = (int(side) for side in rng.integers(8, 40, 2))
    grey = rng.integers(0, 60, (high, wide))
    rows = slice(0, high // 2) if quadrant < 2 else slice(high - high // 2, high)
    columns = slice(0, wide // 2) if quadrant % 2 == 0 else slice(wide - wide // 2, wide)
    grey[rows, columns] = rng.integers(190, 256, (high // 2, wide // 2))
    return grey.astype(np.uint8)


def _content(quadrant: int, rng: np.random.Generator, gain: tuple[int, int]) -> tuple[bytes, str]:
    grey = _pixels(quadrant, rng)
    other = _pixels((quadrant + 1) % 4, rng)
    image = Image.fromarray(grey)
    form = str(rng.choice(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
    options: dict = {}
    if form == "JPEG":
        mode = str(rng.choice(["RGB", "L", "CMYK"]))
        return _with_exif(image, mode, rng), ".jpg"
    if form == "PNG":
        mode = str(rng.choice(["RGB", "L", "P", "LA", "RGBA", "1", "I;16"]))
        if mode == "I;16":
            image = Image.fromarray(grey.astype(np.uint16) * gain[0] + np.uint16(gain[1]))
        elif mode in ("LA", "RGBA"):
            image = image.convert(mode)
        else:
            image = image.convert(mode)
    elif form == "GIF":
        second = Image.fromarray(other).resize(image.size)
        options = {"save_all": True, "append_images": [second]} if rng.random() < 0.5 else {}
    elif form == "TIFF":
        kind = rng.integers(4)
        if kind == 0:
            options = {"save_all": True, "append_images": [Image.fromarray(other)]}
        elif kind == 1:
            image = Image.fromarray(grey.astype(np.float32) / 255)
        elif kind == 2:
            options = {"compression": "tiff_lzw"}
            image = image.convert("RGB")
        else:
            image = Image.fromarray(grey.astype(np.uint16) * gain[0] + np.uint16(gain[1]))
    elif form in ("WEBP", "PPM"):
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue(), "." + form.lower()


def _with_exif(image: Image.Image, mode: str, rng: np.random.Generator) -> bytes:
    orientation = int(rng.integers(1, 9)) if rng.random() < 0.5 else 1
    back = TURNED_BACK[orientation]
    if back is not None:
        image = image.transpose(Image.Transpose(back))
    file = io.BytesIO()
    image.convert(mode).save(file, "JPEG", quality=90)
    data = file.getvalue()
    if orientation == 1 and rng.random() < 0.5:
        return data
    entries = [struct.pack("<HHII", 0x0112, 3, 1, orientation)]
    for tag in rng.choice([0x010F, 0x0213, 0x8769, 0x9286, 0xA005], int(rng.integers(0, 3)), replace=False):
        entries.append(struct.pack("<HHII", tag, rng.integers(1, 14), rng.integers(0, 2**31), rng.integers(0, 2**31)))
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    block = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def _damaged(content: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(4)
    if kind == 0:
        return b""
    if kind == 1:
        return content[: int(rng.integers(1, max(len(content), 2)))]
    if kind == 2:
        return rng.bytes(int(rng.integers(1, 300)))
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), 5):
        changed[place] = int(rng.integers(256))
    return bytes(changed)


def _write_parquet(truth: Truth, names: list[str], rng: np.random.Generator) -> None:
    folder = truth.root / str(rng.choice(["", "data", "test-run", "train-data"]))
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        file = folder / f"{split}{rng.choice(['', '-00000-of-00001'])}.parquet"
        order = [names[index] for index in rng.permutation(len(names))]
        kind = str(rng.choice(["declared", "declared", "declared", "strings"]))
        rows, labels = [], []
        where = os.path.relpath(file, truth.root)
        for row in range(int(rng.integers(4, 8)) * len(names)):
            name = names[row % len(names)]
            content, _ = _content(truth.quadrants[_shown(name)], rng, truth.gain)
            identity = f"row {row} of {where}"
            if rng.random() < 0.02:
                content = _damaged(content, rng)
                truth.damaged.add(identity)
            rows.append({"bytes": content, "path": None})
            labels.append(order.index(name) if kind == "declared" else name)
            truth.classes[identity], truth.splits[identity] = _shown(name), split
        struct_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(rows, struct_type), "label": pa.array(labels)})
        if kind == "declared":
            features = {"image": {"_type": "Image"}, "label": {"names": order, "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, file, row_group_size=5)


def _add_oddities(truth: Truth, names: list[str], rng: np.random.Generator) -> None:
    root = truth.root
    for kind in rng.choice(12, int(rng.integers(1, 4)), replace=False):
        folders = [path for path in sorted(root.rglob("*")) if path.is_dir() and not path.is_symlink()]
        place = folders[int(rng.integers(len(folders)))] if folders else root
        if kind == 0:
            (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
            (root / "__MACOSX").mkdir(exist_ok=True)
            (root / "__MACOSX" / "._0.png").write_bytes(b"junk")
        elif kind == 1:
            run = root / "runs" / "first"
            (run / "mistakes").mkdir(parents=True, exist_ok=True)
            for name in ("config.json", "environment.json"):
                (run / name).write_text("{}")
            Image.fromarray(_pixels(0, rng)).save(run / "mistakes" / "000.png")
        elif kind == 2:
            (place / "readme.txt").write_text("see the paper")
            (place / "labels.csv").write_text("image,label\n")
        elif kind == 3:
            (place / "IMG_0001.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(80))
        elif kind == 4:
            (place / "gone.png").symlink_to("nowhere.png")
            truth.hostile = True
        elif kind == 5:
            (place / "again").symlink_to("..")
            truth.hostile = True
        elif kind == 6:
            (root / "nothing here").mkdir(exist_ok=True)
        elif kind == 7:
            os.mkfifo(place / "pipe.png")
        elif kind == 8:
            (root / names[0].strip().upper()).mkdir(exist_ok=True)
        elif kind == 9:
            (root / (names[0] + " ")).mkdir(exist_ok=True)
            truth.hostile = True
        elif kind == 10:
            (place / "notes.parquet").write_bytes(b"PAR1")
            truth.hostile = truth.hostile or truth.layout == "parquet"
        else:
            (root / "test").mkdir(exist_ok=True)
            truth.hostile = True
