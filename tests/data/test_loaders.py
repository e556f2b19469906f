"""Order is a function, bits do not depend on the road, and a worker's death is told."""

import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from nctransfer.data import PixelLoader, Preprocess, balanced_order, bundle_from_arrays, open_dataset
from nctransfer.errors import DataError, ResourceError, UsageError


@pytest.fixture(scope="module")
def split():
    images = np.random.default_rng(0).integers(0, 256, (53, 9, 12, 3), dtype=np.uint8)
    return bundle_from_arrays(images, np.arange(53) % 3, check=False).train


PREPROCESS = Preprocess(size=8)


def everything(loader, epoch=0, start=0):
    batches = list(loader.epoch(epoch, start))
    return [torch.cat([getattr(batch, name) for batch in batches]) for name in ("images", "labels", "indices")]


@pytest.mark.parametrize(("num_workers", "memory_limit"), [(0, 0), (2, 0), (5, 0)])
def test_bits_do_not_depend_on_the_road(split, num_workers, memory_limit):
    loader = PixelLoader(split, PREPROCESS, batch_size=7, shuffle=True, seed=4)
    other = PixelLoader(
        split, PREPROCESS, batch_size=7, shuffle=True, seed=4, num_workers=num_workers, memory_limit=memory_limit
    )
    assert loader.in_memory
    assert not other.in_memory
    for epoch in (0, 3):
        for here, there in zip(everything(loader, epoch), everything(other, epoch), strict=True):
            assert torch.equal(here, there)


def test_batches_hold_what_they_say(split):
    loader = PixelLoader(split, PREPROCESS, batch_size=8, shuffle=True)
    batch = next(loader.epoch(1))
    assert batch.images.shape == (8, 3, 8, 8)
    assert batch.images.dtype == torch.uint8
    for image, label, index in zip(batch.images, batch.labels, batch.indices, strict=True):
        assert torch.equal(image, PREPROCESS.pixels(split.image(int(index))))
        assert int(label) == split.labels[index]


def test_epochs_differ_and_each_holds_every_image_once(split):
    loader = PixelLoader(split, PREPROCESS, batch_size=8, shuffle=True)
    first, second = everything(loader, 0)[2], everything(loader, 1)[2]
    assert not torch.equal(first, second)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(len(split)))
    still = PixelLoader(split, PREPROCESS, batch_size=8)
    assert everything(still, 5)[2].tolist() == list(range(len(split)))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_goes_on_where_it_stopped(split, num_workers):
    loader = PixelLoader(split, PREPROCESS, batch_size=4, shuffle=True, num_workers=num_workers, memory_limit=0)
    whole = everything(loader, 2)
    rest = everything(loader, 2, start=3)
    for all_of_it, part in zip(whole, rest, strict=True):
        assert torch.equal(all_of_it[12:], part)
    assert list(loader.epoch(2, start_batch=len(loader))) == []


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_each_batch(split, world_size):
    one = PixelLoader(split, PREPROCESS, batch_size=10, shuffle=True)
    ranks = [
        PixelLoader(split, PREPROCESS, batch_size=10, shuffle=True, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for whole, *parts in zip(one.epoch(1), *(rank.epoch(1) for rank in ranks), strict=True):
        assert torch.equal(whole.indices, torch.cat([part.indices for part in parts]))
        assert torch.equal(whole.images, torch.cat([part.images for part in parts]))


def test_more_ranks_than_images_in_the_last_batch():
    images = np.zeros((20, 4, 4), np.uint8)
    split = bundle_from_arrays(images, [0, 1] * 10, check=False).train.subset(range(5))
    for num_workers in (0, 1):
        ranks = [
            PixelLoader(
                split, PREPROCESS, batch_size=4, rank=rank, world_size=2, num_workers=num_workers, memory_limit=0
            )
            for rank in range(2)
        ]
        assert [[len(batch) for batch in rank.epoch()] for rank in ranks] == [[2, 0], [2, 1]]


def test_drop_last(split):
    num = len(split)
    assert len(PixelLoader(split, PREPROCESS, batch_size=num - 1)) == 2
    loader = PixelLoader(split, PREPROCESS, batch_size=num - 1, drop_last=True)
    assert len(loader) == len(list(loader.epoch())) == 1


def test_pixels_are_decoded_once_for_a_size(split):
    counted = split.subset(range(10))
    calls = []
    inner = counted.source
    counted.source = type("Counting", (), {"image": lambda self, index: calls.append(index) or inner.image(index)})()
    for size, expected in ((8, 10), (8, 10), (6, 20)):
        list(PixelLoader(counted, Preprocess(size=size), batch_size=4).epoch())
        assert len(calls) == expected


def test_a_killed_worker_is_told(split):
    loader = PixelLoader(split, Preprocess(size=200), batch_size=4, num_workers=2, memory_limit=0)
    batches = loader.epoch()
    next(batches)
    workers = [child for child in multiprocessing.active_children() if child.name.startswith("nctransfer-decode")]
    assert len(workers) == 2
    os.kill(workers[0].pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match=r"worker process .* died .*exit code -9.*--num-workers") as caught:
        list(batches)
    assert caught.value.exit_code == 5
    assert not any(child.name.startswith("nctransfer-decode") for child in multiprocessing.active_children())


def test_an_abandoned_epoch_leaves_no_process(split):
    batches = PixelLoader(split, PREPROCESS, batch_size=4, num_workers=2, memory_limit=0).epoch()
    next(batches)
    batches.close()
    assert not any(child.name.startswith("nctransfer-decode") for child in multiprocessing.active_children())


@pytest.mark.parametrize(("num_workers", "memory_limit"), [(0, 1 << 30), (0, 0), (2, 0)])
def test_an_image_that_goes_bad_is_named(make_folder, num_workers, memory_limit):
    root = make_folder({"a": 9, "b": 9})
    split = open_dataset(root).train
    (root / split.identity(3)).write_bytes(b"overwritten")
    loader = PixelLoader(split, PREPROCESS, batch_size=2, num_workers=num_workers, memory_limit=memory_limit)
    with pytest.raises(DataError, match=f"known format .{split.identity(3)}"):
        list(loader.epoch())


def test_splits_pickle_without_their_pixels(split):
    whole = split.subset(range(len(split)))
    before = len(pickle.dumps(whole))
    list(PixelLoader(whole, Preprocess(size=100), batch_size=8).epoch())
    assert len(pickle.dumps(whole)) == before
    again = pickle.loads(pickle.dumps(whole))
    assert again.image(3).tobytes() == whole.image(3).tobytes()


@pytest.mark.parametrize(
    "setting", [{"batch_size": 0}, {"num_workers": -1}, {"rank": 2, "world_size": 2}, {"rank": -1}]
)
def test_settings_that_cannot_be_meant(split, setting):
    with pytest.raises(UsageError, match=f"`{next(iter(setting))}` must"):
        PixelLoader(split, PREPROCESS, **{"batch_size": 4, **setting})


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize(("size", "crop_pct"), [(32, 1.0), (32, 0.875), (31, 0.9), (64, 0.95)])
def test_preprocess_is_timms_evaluation_transform(make_image, interpolation, size, crop_pct):
    from timm.data import create_transform

    transform = create_transform(size, interpolation=interpolation, crop_pct=crop_pct, normalize=False)
    for width, height in ((32, 32), (50, 37), (37, 90), (8, 8), (200, 100)):
        image = make_image(width, width, height)
        pixels = Preprocess(size, interpolation, crop_pct).pixels(image)
        expected = transform(image)
        if expected.is_floating_point():
            expected = (expected * 255).round().to(torch.uint8)
        assert torch.equal(pixels, expected)


def test_a_strip_does_not_fill_the_memory(make_image):
    # Half contrast, so that no overshoot of the kernel is clipped: Pillow's order of passes depends on the size.
    strip = make_image(0, 5, 400).point(lambda value: 64 + value // 2)
    whole = np.asarray(strip.resize((32, 2560), Image.Resampling.BICUBIC))[1264:1296]
    pixels = Preprocess(32).array(strip)
    assert np.abs(pixels.astype(int) - whole.astype(int)).max() <= 1
    assert Preprocess(224).array(Image.new("RGB", (1, 60_000))).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"size": 0}, "`size`"),
        ({"crop_pct": 1.2}, "`crop_pct`"),
        ({"interpolation": "bicubik"}, "did you mean bicubic"),
        ({"mean": (0.5,)}, "`mean`"),
    ],
)
def test_preprocess_settings(setting, message):
    with pytest.raises(UsageError, match=message):
        Preprocess(**{"size": 8, **setting})


@pytest.mark.parametrize("seed", range(4))
def test_a_balanced_epoch_holds_every_class_and_in_time_every_image_alike(seed):
    labels = np.random.default_rng(seed).choice(4, 200, p=[0.6, 0.3, 0.07, 0.03])
    seen = np.zeros(200, dtype=int)
    for epoch in range(12):
        order = balanced_order(labels, seed, epoch)
        assert len(order) == 200
        assert np.array_equal(order, balanced_order(labels, seed, epoch))
        counts = np.bincount(labels[order], minlength=4)
        assert counts.max() - counts.min() <= 1
        seen += np.bincount(order, minlength=200)
    for label in range(4):
        own = seen[labels == label]
        assert own.max() - own.min() <= 1, "no image of a class is shown two times more often than another"


def test_a_balanced_order_that_does_not_divide_leaves_out_few():
    labels = np.array([0] * 7 + [1] * 3 + [2])
    for epoch in range(5):
        counts = np.bincount(labels[balanced_order(labels, 1, epoch)], minlength=3)
        assert counts.sum() == 11
        assert counts.max() <= 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_balanced_loader_gives_the_same_bits_on_every_road_and_a_key_to_every_draw(num_workers):
    images = np.random.default_rng(0).integers(0, 256, (40, 9, 12, 3), dtype=np.uint8)
    split = bundle_from_arrays(images, np.array([0] * 30 + [1] * 10), check=False).train
    settings = {"batch_size": 7, "shuffle": True, "seed": 4, "balanced": True}
    here = PixelLoader(split, PREPROCESS, **settings)
    there = PixelLoader(split, PREPROCESS, **settings, num_workers=num_workers, memory_limit=0)
    batches = list(here.epoch(1)), list(there.epoch(1))
    for first, second in zip(*batches, strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.keys, second.keys)
        assert torch.equal(first.keys % len(split), first.indices)
    keys = torch.cat([batch.keys for batch in batches[0]])
    assert len(keys.unique()) == len(keys)
    late = next(here.epoch(1, 3))
    assert torch.equal(late.keys, batches[0][3].keys)
