"""The torchmetrics Metric, the Lightning callback's watcher and the plain-loop logger, alone and over two processes."""

import numpy as np
import pytest
import torch
from torch import multiprocessing, nn

from nctransfer import metrics
from nctransfer.errors import DataError, SetupError
from nctransfer.metrics.training import LayerWatcher


def samples(number=90):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, number)
    features = rng.normal(size=(3, 6))[labels] * 2 + rng.normal(size=(number, 6)) + 50
    return torch.from_numpy(features), torch.from_numpy(labels)


def test_metric_updates_forwards_and_resets():
    features, labels = samples()
    metric = metrics.collapse_metric(3, 6)
    for part in range(3):
        step = metric(features[part * 30 : part * 30 + 30], labels[part * 30 : part * 30 + 30])
        assert float(step["nc1"]) == pytest.approx(
            metrics.nc1(features[part * 30 : part * 30 + 30], labels[part * 30 : part * 30 + 30]), rel=1e-9
        )
    whole = metrics.measure(features, labels)
    for name, value in metric.compute().items():
        assert float(value) == pytest.approx(getattr(whole, name), rel=1e-9), name
    metric.reset()
    metric.update(features[:40], labels[:40])
    assert float(metric.compute()["cdnv"]) == pytest.approx(metrics.cdnv(features[:40], labels[:40]), rel=1e-9)


def test_metric_survives_half_and_a_state_dict():
    features, labels = samples()
    metric = metrics.collapse_metric(3, 6).half()
    metric.persistent(True)
    metric.update(features, labels)
    again = metrics.collapse_metric(3, 6)
    again.load_state_dict(metric.state_dict())
    again.update(features[:0], labels[:0])
    assert float(again.compute()["nc1"]) == pytest.approx(metrics.nc1(features, labels), rel=1e-9)


def worker(rank, port, queue):
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    features, labels = samples()
    for shares in ((90, 0), (70, 20)):
        own = slice(0, shares[0]) if rank == 0 else slice(shares[0], 90)
        metric = metrics.collapse_metric(3, 6)
        metric.update(features[own], labels[own])
        statistics = metrics.ClassStatistics(3, 6, scatter=True)
        statistics.update(features[own], labels[own])
        statistics.all_reduce()
        queue.put((shares, {name: float(value) for name, value in metric.compute().items()}, metrics.nc1(statistics)))
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_processes_with_unequal_and_empty_shards():
    """The first of them is this one."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=worker, args=(1, port, queue))
    process.start()
    worker(0, port, queue)
    results = [queue.get() for _ in range(4)]
    process.join()
    assert process.exitcode == 0
    whole = metrics.measure(*samples())
    for _, numbers, merged in results:
        assert merged == pytest.approx(whole.nc1, rel=1e-12)
        assert set(numbers) == {"nc1", "cdnv", "equinorm", "equiangularity", "etf_angle_error", "etf_error", "vci"}
        for name, value in numbers.items():
            assert value == pytest.approx(getattr(whole, name), rel=1e-10), name


def test_logger_follows_every_layer_in_one_pass():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    watcher = LayerWatcher(2, ["1", "3"])
    watcher.attach(network)
    images, labels, kept = torch.randn(40, 3, 8, 8), torch.arange(40) % 2, []
    for part in range(4):
        network(images[part * 10 : part * 10 + 10])
        kept.append(watcher.caught["3"])
        watcher.take(labels[part * 10 : part * 10 + 10])
    watcher.detach()
    network(images)
    assert watcher.caught == {}
    numbers = watcher.logger.compute()
    assert numbers["3/nc1"] == pytest.approx(metrics.nc1(torch.cat(kept), labels), rel=1e-5)
    assert numbers["1/nc1"] == pytest.approx(numbers["3/nc1"], rel=1e-5)
    assert watcher.logger.compute() == {}
    with pytest.raises(DataError, match="the network has no module 'layer9'"):
        LayerWatcher(2, ["layer9"]).attach(network)


def lightning_parts():
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning (the extra `lightning`) is not installed")

    class Classifier(lightning.LightningModule):
        """Keeps the features of the epoch in hand, as the callback must have seen them."""

        def __init__(self):
            super().__init__()
            self.body, self.scores = nn.Sequential(nn.Linear(6, 5), nn.ReLU()), nn.Linear(5, 3)
            self.seen = []

        def on_train_epoch_start(self):
            self.seen.clear()

        def training_step(self, batch, index):
            features = self.body(batch[0])
            self.seen.append((features.detach(), batch[1]))
            return nn.functional.cross_entropy(self.scores(features), batch[1])

        def validation_step(self, batch, index):
            self.scores(self.body(batch[0] + 100))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return lightning, Classifier()


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # Lightning's own use of torch
def test_lightning_logs_what_the_training_batches_gave(tmp_path):
    torch.manual_seed(0)
    lightning, model = lightning_parts()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[metrics.collapse_callback(3, ["body"])],
        val_check_interval=2,
    )
    samples = torch.utils.data.TensorDataset(torch.randn(64, 6), torch.arange(64) % 3)
    loader = torch.utils.data.DataLoader(samples, batch_size=16)
    trainer.fit(model, loader, loader)
    whole = metrics.measure(*(torch.cat(part) for part in zip(*model.seen, strict=True)))
    for name in ("nc1", "cdnv", "equinorm"):
        logged = float(trainer.callback_metrics[f"collapse/body/{name}"])
        assert logged == pytest.approx(getattr(whole, name), rel=1e-5), name
    assert not model.body._forward_hooks


def test_lightning_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightning.pytorch", None)
    with pytest.raises(SetupError, match="Lightning is not installed"):
        metrics.collapse_callback(2, ["1"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_statistics_on_a_gpu_equal_those_on_the_cpu():
    features, labels = samples()
    statistics = metrics.ClassStatistics(3, 6, scatter=True, device="cuda")
    for part in range(3):
        index = slice(part * 30, part * 30 + 30)
        statistics.update(features[index].cuda(), labels[index].cuda())
    assert metrics.nc1(statistics) == pytest.approx(metrics.nc1(features, labels), rel=1e-9)
    assert metrics.nc1(features.cuda(), labels.cuda()) == pytest.approx(metrics.nc1(features, labels), rel=1e-9)
    statistics.update(torch.full((1, 6), float("nan"), device="cuda"), torch.tensor([0], device="cuda"))
    with pytest.raises(DataError, match="a batch held NaN"):
        statistics.counts  # noqa: B018
