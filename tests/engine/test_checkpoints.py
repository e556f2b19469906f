"""Checkpoints that are whole or absent, and found again past damaged ones."""

import errno

import pytest
import torch
from torch import nn

from nctransfer.engine import Checkpoints, pack_training, unpack_training
from nctransfer.errors import CheckpointError, ResourceError


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path, keep=2)
    for step in (5, 10, 15):
        made.save(step, {"weight": torch.full((4,), float(step))}, {"seconds": 1.0})
    return made


def test_only_the_newest_stay(checkpoints):
    assert checkpoints.steps() == [10, 15]
    assert len(list(checkpoints.folder.iterdir())) == 4
    tensors, manifest = checkpoints.latest()
    assert tensors["weight"][0] == 15
    assert manifest["step"] == 15


@pytest.mark.parametrize("damage", ["truncated", "altered", "manifest"])
def test_a_damaged_one_is_passed_over_with_a_warning(checkpoints, damage):
    newest = checkpoints.folder / "step-00000015.safetensors"
    content = newest.read_bytes()
    if damage == "truncated":
        newest.write_bytes(content[:-3])
    elif damage == "altered":
        newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        newest.with_suffix(".json").write_text("{")
    with pytest.warns(UserWarning, match="passed over a damaged checkpoint"):
        _, manifest = checkpoints.latest()
    assert manifest["step"] == 10


@pytest.mark.filterwarnings("ignore:passed over")
def test_when_all_are_damaged_it_is_an_error(checkpoints):
    for path in checkpoints.folder.glob("*.safetensors"):
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"every checkpoint.*--overwrite"):
        checkpoints.latest()


def test_none_where_none_was_completed(tmp_path):
    empty = Checkpoints(tmp_path)
    (tmp_path / "step-00000003.safetensors").write_bytes(b"half")
    (tmp_path / ".step-00000004.safetensors.x.partial").write_bytes(b"half")
    assert empty.latest() is None
    empty.clean()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_last_good_one(checkpoints, monkeypatch):
    def full(tensors, path):
        path.write_bytes(b"part of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ResourceError, match="disk is full"):
        checkpoints.save(20, {"weight": torch.zeros(4)}, {})
    assert checkpoints.latest()[1]["step"] == 15
    assert not list(checkpoints.folder.glob(".*partial"))


def trained(layout):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).to(
        memory_format=layout
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_training_goes_on_to_the_same_bits(tmp_path, layout):
    def steps(model, optimizer, numbers):
        for number in numbers:
            torch.manual_seed(number)
            optimizer.zero_grad()
            model(torch.randn(6, 3, 4, 4)).square().sum().backward()
            optimizer.step()

    whole = trained(layout)
    steps(*whole, range(6))
    first, second = trained(layout), trained(layout)
    steps(*first, range(3))
    Checkpoints(tmp_path).save(3, pack_training(*first), {})
    unpack_training(Checkpoints(tmp_path).latest()[0], *second)
    steps(*second, range(3, 6))
    for name, tensor in whole[0].state_dict().items():
        assert torch.equal(tensor, second[0].state_dict()[name]), name
    assert second[0][0].weight.stride() == whole[0][0].weight.stride()


def test_a_checkpoint_of_another_network_is_refused():
    packed = pack_training(*trained(torch.contiguous_format))
    other = nn.Linear(3, 3)
    with pytest.raises(CheckpointError, match=r"another network.*settings"):
        unpack_training(packed, other, torch.optim.SGD(other.parameters(), lr=0.1))
