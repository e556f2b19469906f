"""Tiny data sets that the tests make: noise images in class folders, and Parquet files in the Hugging Face layout."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def noise(seed: int, width: int = 10, height: int = 8) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def make_image():
    return noise


@pytest.fixture
def make_folder(tmp_path):
    """``make_folder({"train/cat": 3, ...})`` writes that many PNG files into each folder and returns the root."""

    def make(counts, root=None, first_seed=0):
        root = tmp_path / "set" if root is None else root
        seed = first_seed
        for folder, num in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(num):
                noise(seed).save(root / folder / f"{index}.png")
                seed += 1
        return root

    return make


@pytest.fixture
def make_parquet():
    """``make_parquet(path, labels, names)`` writes one file of noise images; returns the images."""

    def make(path, labels, names=("cat", "dog"), columns=("image", "label"), first_seed=0, group=4, contents=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [noise(first_seed + index) for index in range(len(labels))]
        rows = []
        for index, image in enumerate(images):
            file = io.BytesIO()
            image.save(file, "PNG")
            rows.append({"bytes": file.getvalue(), "path": None})
            if contents and index in contents:
                rows[-1] = contents[index]
        struct = pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
        table = pa.table({columns[0]: struct, columns[1]: pa.array(labels)})
        if names is not None:
            features = {columns[0]: {"_type": "Image"}, columns[1]: {"names": list(names), "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, path, row_group_size=group)
        return images

    return make


@pytest.fixture
def no_named_data(monkeypatch, tmp_path):
    """A machine that holds no named data set; returns the folder where one would be looked for."""
    monkeypatch.setenv("NCTRANSFER_DATA", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "named"
