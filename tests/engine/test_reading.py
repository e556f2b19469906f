"""The one pass over a split: rows in order, statistics, halves, and errors that name the sample."""

import pytest
import torch

from nctransfer.engine import CachedBatches, ClassSums, Rows, Runtime, StopRequest, read_split
from nctransfer.errors import DataError, PreemptedError
from nctransfer.metrics import nc1

NUM, DIM = 23, 4


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(NUM, DIM, generator=generator), torch.arange(NUM) % 3


def batches(samples, **options):
    inputs, labels = samples
    return CachedBatches(inputs, labels, batch_size=5, shuffle=False, **options).epoch(0)


def test_rows_come_back_in_the_split_s_order_from_any_order(samples):
    inputs, labels = samples
    shuffled = list(CachedBatches(inputs, labels, batch_size=5, shuffle=False).epoch(0))[::-1]
    reading = read_split(lambda rows: {"twice": 2 * rows}, shuffled, NUM, Runtime("cpu"))
    assert torch.equal(reading.found["twice"], 2 * inputs)
    assert torch.equal(reading.labels, labels)


def test_statistics_say_what_the_rows_say(samples):
    sinks = {"sums": ClassSums(3)}
    reading = read_split(lambda rows: {"rows": rows, "sums": rows}, batches(samples), NUM, Runtime("cpu"), sinks=sinks)
    assert nc1(reading.found["sums"]) == pytest.approx(nc1(reading.found["rows"], reading.labels), rel=1e-6)


def test_batches_that_do_not_fit_go_in_halves(samples):
    sizes = []

    def forward(rows):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"rows": rows}

    assert torch.equal(read_split(forward, batches(samples), NUM, Runtime("cpu")).found["rows"], samples[0])
    assert sizes[:4] == [5, 2, 3, 1]


def test_the_place_and_the_first_sample_of_a_bad_value_are_named(samples):
    samples[0][7, 2] = torch.inf
    with pytest.raises(DataError, match=r"1 of the 5 .*layer rows, first at image 7"):
        read_split(lambda rows: {"rows": rows}, batches(samples), NUM, Runtime("cpu"), identity="image {}".format)


def test_a_pass_ends_between_batches(samples):
    calls = []
    with StopRequest(seconds=0) as stop, pytest.raises(PreemptedError):
        read_split(lambda rows: calls.append(rows) or {}, batches(samples), NUM, Runtime("cpu"), stop=stop)
    assert calls == []


def test_rows_may_be_kept_in_a_tensor_of_one_s_own(samples):
    kept = torch.zeros(NUM, DIM)
    reading = read_split(
        lambda rows: {"rows": rows}, batches(samples), NUM, Runtime("cpu"), sinks={"rows": Rows(NUM, values=kept)}
    )
    assert reading.found["rows"] is kept
    assert torch.equal(kept, samples[0])


def test_parts_of_two_processes_make_up_the_batches(samples):
    parts = [list(batches(samples, rank=rank, world_size=2)) for rank in (0, 1)]
    whole = [torch.cat([one.indices, other.indices]) for one, other in zip(*parts, strict=True)]
    assert torch.equal(torch.cat(whole), torch.arange(NUM))
