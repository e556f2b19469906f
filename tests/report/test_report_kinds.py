"""Pages of the other kinds of run: probes, pre-training, and several runs on one page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nctransfer.runs import EpochRow, PretrainRecord, Summary
from pages import Reader, plain, read, sentence


def test_reasons_of_pre_training_reach_its_page(make_folder: Callable, pretrain_record: PretrainRecord) -> None:
    why = "every class has one image"
    broken = {"nc1": None, "notes": {"nc1": why}}
    record = pretrain_record.model_copy(
        update={
            "layers": tuple(layer.model_copy(update=broken) for layer in pretrain_record.layers),
            "history": tuple(row.model_copy(update=broken) for row in pretrain_record.history),
        }
    )
    folder = make_folder(record, of="pretrained")
    (folder / "metrics.jsonl").unlink()
    said = plain(read(folder).text)
    assert f"NC1 is undefined at every layer: {why}." in said
    assert f"¹ {sentence(why)}." in said


def test_reasons_reach_the_page_of_several_runs(make_folder: Callable, grid_record: Summary) -> None:
    why = "every class has one image"
    first = grid_record.runs[0]
    row = first.methods["linear"].model_copy(update={"nc1_after": None, "notes": {"nc1_after": why}})
    runs = (first.model_copy(update={"methods": {**first.methods, "linear": row}}), *grid_record.runs[1:])
    record = grid_record.model_copy(update={"runs": runs, "warnings": ("seed0: few images",)})
    said = plain(read(make_folder(record, of="grid")).text)
    assert f"¹ {sentence(why)}." in said
    assert "Seed0: few images." in said


def test_probe_page(smoke: Any) -> None:
    reader = Reader(smoke.page("probe"))
    assert "A linear probe does best on the features of " in reader.text
    assert "Use the model" not in reader.text
    assert reader.tags["svg"] == 2


def test_pretrain_page_draws_curves_and_layers(smoke: Any, pretrain_record: PretrainRecord) -> None:
    reader = Reader(smoke.page("pretrained"))
    said = plain(reader.text)
    final = pretrain_record.final
    assert f"{pretrain_record.model.name}, trained with the ce loss for 3 epochs, reaches" in said
    assert f"{100 * final.test_accuracy:.1f} % on the test images" in said
    assert reader.tags["svg"] == 7
    for shown in ("under permuted labels", "NC1, test images", "Features of the training images after pre-training"):
        assert shown in said
    assert "Probe accuracy" not in said
    told = "What was drawn for validation was trained on as well: nothing is chosen here."
    assert told in said


def test_the_later_row_of_an_epoch_stands(make_folder: Callable) -> None:
    folder = make_folder(of="pretrained")
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"epoch": 3, "test_accuracy": 0.75}\n{"step": 1}\n{"epoch": 9')
    assert "75.0 % on the test images" in plain(read(folder).text)


def test_a_single_epoch_is_told_in_numbers(make_folder: Callable, pretrain_record: PretrainRecord) -> None:
    row = EpochRow(epoch=0, step=0, train_accuracy=0.1, test_accuracy=0.12, nc1=9.0, nc1_test=9.5)
    record = pretrain_record.model_copy(update={"final": row, "history": (row,), "layers": ()})
    folder = make_folder(record, of="pretrained")
    (folder / "metrics.jsonl").unlink()
    reader = read(folder)
    said = plain(reader.text)
    assert f"{record.model.name}, untrained, reaches 10.0 % on the training images" in said
    assert "its features have NC1 = 9.00" in said
    assert "NC1, encoder, test images" in said
    assert reader.tags["svg"] == 0


def test_pretrain_page_without_a_log(make_folder: Callable) -> None:
    folder = make_folder(plain={"kind": "pretrain"}, of="pretrained")
    (folder / "metrics.jsonl").unlink()
    assert "The network." in read(folder).text


def test_summary_page_links_to_every_run(make_folder: Callable, grid_record: Summary) -> None:
    outside = grid_record.runs[0].model_copy(update={"folder": "../elsewhere"})
    record = grid_record.model_copy(update={"runs": (*grid_record.runs, outside)})
    folder = make_folder(record, of="grid")
    (folder / grid_record.runs[0].folder).rename(folder / "seed 0 é")
    renamed = grid_record.runs[0].model_copy(update={"folder": "seed 0 é"})
    folder_record = record.model_copy(update={"runs": (renamed, *record.runs[1:])})
    (folder / "result.json").write_text(json.dumps(folder_record.plain()))
    (folder / "seed 0 é" / "report.html").unlink()
    reader = read(folder)
    links = [value for value in reader.values("href") if not value.startswith("#")]
    assert links == ["./seed%200%20%C3%A9/report.html", f"./{grid_record.runs[1].folder}/report.html"]
    assert (folder / "seed 0 é" / "report.html").is_file()
    assert "(mean ± standard deviation over 3 runs)" in plain(reader.text)


def test_the_summary_says_how_the_winner_stands_to_the_probe(grid_record: Summary, make_folder: Callable) -> None:
    runs = []
    for run, (probe, layer) in zip(grid_record.runs, [(0.9, 0.95), (0.9, 0.93)], strict=True):
        methods = {
            "linear": run.methods["linear"].model_copy(update={"test_accuracy": probe, "val_accuracy": 0.5}),
            "layer": run.methods["layer"].model_copy(update={"test_accuracy": layer, "val_accuracy": 0.6}),
        }
        runs.append(run.model_copy(update={"methods": methods, "model": "resnet18"}))
    said = plain(read(make_folder(grid_record.model_copy(update={"runs": tuple(runs)}), of="grid")).text)
    assert "Layer fine-tuning of resnet18 reaches 94.0 ± 1.4 % on the test images (mean ± standard deviation" in said
    assert "4.0 points above a linear probe on average and above it in 2 of 2 runs." in said


def test_summary_of_runs_that_only_measured(grid_record: Summary, make_folder: Callable) -> None:
    runs = tuple(
        run.model_copy(update={"methods": {}, "best_method": None, "model": "net"}) for run in grid_record.runs
    )
    record = grid_record.model_copy(update={"runs": runs, "best": None})
    said = read(make_folder(record, of="grid")).text
    assert "Over 2 runs, a linear probe does best on " in said
    assert "digits · net · 2 runs" in said


def test_the_strip_follows_the_epochs(smoke: Any, pretrain_record: PretrainRecord) -> None:
    assert [row.epoch for row in pretrain_record.history if row.picture is not None] == [1, 2, 3]
    said = plain(smoke.page("pretrained"))
    assert "Collapse, epoch by epoch" in said
    assert "From epoch 1 to 3 the classes" in said
