"""ClassStatistics under any order of update, merge, save, load, reset and pickle, against a plain list of samples."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nctransfer.errors import CheckpointError, DataError, UsageError
from nctransfer.metrics import ClassStatistics

CLASSES, DIM = 3, 4


class StatisticsMachine(RuleBasedStateMachine):
    @initialize(scatter=st.booleans())
    def start(self, scatter):
        self.scatter = scatter
        self.statistics = self.fresh()
        self.features, self.labels = np.zeros((0, DIM)), np.zeros(0, dtype=int)

    def fresh(self):
        return ClassStatistics(CLASSES, DIM, scatter=self.scatter)

    def batch(self, seed, size):
        rng = np.random.default_rng(seed)
        features, labels = 3 + rng.normal(size=(size, DIM)), rng.integers(0, CLASSES, size)
        self.features = np.concatenate([self.features, features])
        self.labels = np.concatenate([self.labels, labels])
        return features, labels

    @rule(seed=st.integers(0, 10**6), size=st.integers(0, 6))
    def update(self, seed, size):
        self.statistics.update(*self.batch(seed, size))

    @rule(seed=st.integers(0, 10**6), size=st.integers(0, 6))
    def merge(self, seed, size):
        other = self.fresh()
        other.update(*self.batch(seed, size))
        self.statistics.merge(other)

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.statistics.save(Path(folder) / "statistics.safetensors")
            self.statistics = ClassStatistics.load(Path(folder) / "statistics.safetensors")

    @rule()
    def pickle_and_back(self):
        self.statistics = pickle.loads(pickle.dumps(self.statistics))

    @rule(label=st.sampled_from([-1, CLASSES]))
    def refuse(self, label):
        with pytest.raises(DataError, match=r"must lie in \[0, 3\)"):
            self.statistics.update(np.ones((1, DIM)), np.array([label]))
        with pytest.raises(DataError, match="row 0 holds NaN or infinity"):
            self.statistics.update(np.full((1, DIM), np.nan), np.array([0]))

    @rule()
    def reset(self):
        self.statistics.reset()
        self.features, self.labels = self.features[:0], self.labels[:0]

    @invariant()
    def equals_the_list(self):
        total = np.zeros((DIM, DIM))
        for label in range(CLASSES):
            rows = self.features[self.labels == label]
            assert int(self.statistics.counts[label]) == len(rows)
            if len(rows):
                rest = rows - rows.mean(0)
                total += rest.T @ rest
                np.testing.assert_allclose(self.statistics.means[label], rows.mean(0), rtol=1e-12)
                np.testing.assert_allclose(self.statistics.squares[label], (rest**2).sum(), rtol=1e-11, atol=1e-12)
        if self.scatter:
            np.testing.assert_allclose(self.statistics.scatter, total, rtol=1e-10, atol=1e-11)


TestStatisticsMachine = StatisticsMachine.TestCase
TestStatisticsMachine.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)


def test_the_callers_buffer_may_be_written_over():
    buffer, labels = torch.arange(8.0).reshape(2, 4), torch.tensor([0, 1])
    statistics = ClassStatistics(2, 4, scatter=True)
    statistics.update(buffer, labels)
    buffer.fill_(9)
    assert statistics.means[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_callers_features_are_not_touched(dtype, scatter):
    features, labels = torch.arange(12, dtype=dtype).reshape(3, 4), torch.tensor([0, 1, 1])
    statistics = ClassStatistics(2, 4, scatter=scatter)
    statistics.update(features, labels)
    assert statistics.num_samples == 3
    assert torch.equal(features, torch.arange(12, dtype=dtype).reshape(3, 4))


def test_messages():
    with pytest.raises(UsageError, match="num_classes must be a positive integer, got 0"):
        ClassStatistics(0, 4)
    with pytest.raises(DataError, match="features must have 4 columns, got 3"):
        ClassStatistics(2, 4).update(torch.ones(1, 3), torch.tensor([0]))
    with pytest.raises(UsageError, match="cannot merge statistics"):
        ClassStatistics(2, 4).merge(ClassStatistics(2, 5))
    with pytest.raises(UsageError, match="cannot merge statistics"):
        ClassStatistics(2, 4).merge(ClassStatistics(2, 4, scatter=True))


def test_damaged_files(tmp_path):
    path = tmp_path / "statistics.safetensors"
    with pytest.raises(CheckpointError, match="cannot read statistics"):
        ClassStatistics.load(path)
    ClassStatistics(2, 3).save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="cannot read statistics"):
        ClassStatistics.load(path)


def test_float16_keeps_its_digits():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(5000, 3)) + 100).half()
    statistics = ClassStatistics(1, 3)
    for part in features.split(64):
        statistics.update(part, torch.zeros(len(part), dtype=torch.int64))
    np.testing.assert_allclose(statistics.means[0], features.double().mean(0), rtol=1e-13)
    np.testing.assert_allclose(statistics.squares[0], 5000 * features.double().var(0, correction=0).sum(), rtol=1e-11)
