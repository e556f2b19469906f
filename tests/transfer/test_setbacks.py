"""What one layer or one method fails at does not take the run with it."""

import json

import numpy as np
import pytest
import torch

from nctransfer.data import bundle_from_arrays
from nctransfer.errors import DataError, ResourceError
from nctransfer.models import wrap_module
from nctransfer.transfer import auto, load_classifier
from tiny import full_while_training


class Damaged(torch.nn.Module):
    """A network with a sound layer, one that is NaN on some images, one that is constant, and a sound output."""

    def __init__(self, output=1.0):
        super().__init__()
        self.sound, self.dead = (torch.nn.Conv2d(3, 6, 1) for _ in range(2))
        self.broken = torch.nn.LogSoftmax(1)
        self.layers, self.units = ("sound", "broken", "dead"), ("sound",)
        self.output = output
        torch.nn.init.zeros_(self.dead.weight)

    def forward(self, images):
        maps = torch.relu(self.sound(images))
        self.broken(maps * torch.nan), self.dead(images)
        return self.output * maps.mean((2, 3))


@pytest.fixture(scope="module")
def coloured():
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = random.integers(0, 120, (90, 12, 12, 3), dtype=np.uint8)
    images[np.arange(90), ..., labels] += 60
    return bundle_from_arrays(images, labels, ["red", "green", "blue"], name="colours")


def test_layers_that_are_constant_or_not_finite_are_left_out_and_named(coloured, tmp_path):
    torch.manual_seed(0)
    network = wrap_module(Damaged(), size=12, name="damaged")
    run = auto(
        coloured, network, out=tmp_path / "run", methods=["linear", "deep", "full"], lr=1e-3, epochs=1, augment=1,
        device="cpu", step_cost=False,
    )  # fmt: skip
    rows = {row.name: row for row in run.record.layers}
    assert rows["broken"].nc1 is None
    assert "NaN or infinite" in rows["broken"].notes["nc1"]
    assert rows["dead"].probe_val_accuracy is None
    assert rows["sound"].probe_val_accuracy > 0.5
    said = [warning for warning in run.record.warnings if "left out of the probes" in warning]
    assert any("broken (" in warning and "NaN" in warning for warning in said)
    assert any("dead (" in warning and "constant" in warning for warning in said)
    assert run.record.left_out == {}
    assert set(run.methods) >= {"linear", "deep", "full"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Left out of the probes: layer broken" in page


def test_an_output_that_is_constant_is_refused(coloured, tmp_path):
    network = wrap_module(Damaged(output=0.0), size=12, name="dead-end")
    with pytest.raises(DataError, match=r"constant.*penultimate features"):
        auto(coloured, network, out=tmp_path / "run", methods=["linear"], device="cpu", step_cost=False)


def test_out_of_memory_in_one_method_leaves_the_others(coloured, tmp_path):
    torch.manual_seed(0)
    network = wrap_module(Damaged(), size=12, name="damaged")
    network.encoder.register_forward_hook(full_while_training)
    run = auto(
        coloured, network, out=tmp_path / "run", methods=["linear", "deep", "full"], lr=1e-3, epochs=1, augment=1,
        device="cpu", step_cost=False,
    )  # fmt: skip
    assert "full" not in run.methods
    assert run.best_method in run.methods
    assert "smaller --batch-size" in run.record.left_out["full"]
    assert any("full fine-tuning is left out: out of memory" in warning for warning in run.record.warnings)
    assert "method/full" not in json.loads((tmp_path / "run" / "steps.json").read_text())
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert load_classifier(run.folder, module=Damaged())[2]["method"] == run.best_method


def test_out_of_memory_in_every_method_is_an_error(coloured, tmp_path):
    network = wrap_module(Damaged(), size=12, name="damaged")
    network.encoder.register_forward_hook(full_while_training)
    with pytest.raises(ResourceError, match="smaller --batch-size") as caught:
        auto(coloured, network, out=tmp_path / "run", methods=["full"], lr=1e-3, epochs=1, augment=1, device="cpu")
    assert caught.value.exit_code == 5
