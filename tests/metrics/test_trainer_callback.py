"""The callback for transformers logs, at each epoch's end, the collapse of the training batches and of nothing else."""

import pytest
import torch

from nctransfer import metrics
from nctransfer.errors import DataError, SetupError

transformers = pytest.importorskip("transformers", reason="transformers (the extra of its name) is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
]


class Classifier(torch.nn.Module):
    """A body of six features and a head; remembers what the training batches gave."""

    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)
        self.seen = []

    def forward(self, pixel_values, labels=None, targets=None):
        features = self.body(pixel_values if self.training else pixel_values + 100)
        labels = targets if labels is None else labels
        if self.training:
            self.seen.append((features.detach(), labels))
        logits = self.head(features)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def train(folder, callback, label="labels", **changes):
    torch.manual_seed(0)
    samples = [{"pixel_values": torch.randn(6), label: number % 3} for number in range(48)]
    arguments = transformers.TrainingArguments(
        str(folder),
        per_device_train_batch_size=16,
        learning_rate=0.0,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        **{"num_train_epochs": 1, **changes},
    )
    model = Classifier()
    trainer = transformers.Trainer(model, arguments, train_dataset=samples, eval_dataset=samples, callbacks=[callback])
    return trainer, model


@pytest.mark.parametrize("through_trainer", [False, True])
def test_it_logs_what_the_training_batches_gave(tmp_path, through_trainer):
    callback = metrics.collapse_trainer_callback(3, ["body"])
    trainer, model = train(
        tmp_path, callback, num_train_epochs=2, gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=1
    )
    callback.log = trainer.log if through_trainer else None
    trainer.train()
    logged = [record for record in trainer.state.log_history if "collapse/body/nc1" in record]
    assert [record["epoch"] for record in logged] == [1.0, 2.0]
    whole = metrics.measure(*(torch.cat(part) for part in zip(*model.seen[:3], strict=True)))
    for name in ("nc1", "cdnv", "equinorm"):
        assert logged[0][f"collapse/body/{name}"] == pytest.approx(getattr(whole, name), rel=1e-5), name
    assert not any(module._forward_hooks for module in model.modules())


def test_labels_may_have_another_name_and_are_asked_for_where_they_are_missing(tmp_path):
    callback = metrics.collapse_trainer_callback(3, ["body"], lambda keywords: keywords["targets"], scatter=False)
    trainer, _ = train(tmp_path, callback, "targets")
    trainer.train()
    assert any("collapse/body/cdnv" in record for record in trainer.state.log_history)
    trainer, _ = train(tmp_path, metrics.collapse_trainer_callback(3, ["body"]), "targets")
    with pytest.raises(DataError, match=r"no `labels`, but pixel_values, targets.*labels_of"):
        trainer.train()


def test_a_missing_module_or_package_is_named(tmp_path, monkeypatch):
    trainer, _ = train(tmp_path, metrics.collapse_trainer_callback(3, ["tail"]))
    with pytest.raises(DataError, match="no module 'tail'"):
        trainer.train()
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(SetupError, match="transformers is not installed"):
        metrics.collapse_trainer_callback(3, ["body"])
