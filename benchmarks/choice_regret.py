"""Regret of the choice by short trials, against tuning every unit fully with the chosen rate.

    python benchmarks/choice_regret.py cifar10 --limit 1000 --image-size 64      # needs NCTRANSFER_DATA
    python benchmarks/choice_regret.py digits --image-size 32

For each method: the test accuracy of the unit that the trials chose, of every unit tuned to the end, and the paper's
maximum over units (Table 2), which looks at the test split and is not to be had in practice. Regret is that maximum less
what the choice reached; `validation_regret` is the same on the validation split.
"""

from __future__ import annotations

import argparse

from timing import save

from nctransfer.runs.ledger import Ledger
from nctransfer.transfer.choose import Choice, Chooser, whole_accuracy
from nctransfer.transfer.settings import settings_from
from nctransfer.transfer.tuning import train_method
from nctransfer.transfer.workbench import Workbench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bench = Workbench(settings_from(vars(options)))
    results = {}
    for method in ("layer", "scl"):
        chooser = Chooser(bench, Ledger(None))
        choice = chooser.choose(method)
        trials = {row["unit"]: row for row in chooser.trials if row["purpose"] == "unit"}
        rows = {}
        for unit in bench.units:
            model, outcome = train_method(bench, method, Choice(unit, choice.learning_rate, ""))
            rows[unit] = {
                "trial_val_accuracy": trials[unit]["val_accuracy"],
                "trial_nc1": trials[unit]["nc1"],
                "val_accuracy": outcome.val_accuracy,
                "test_accuracy": whole_accuracy(model, bench, "test"),
                "chosen": unit == choice.unit,
            }
            print(method, unit, rows[unit], flush=True)
        results[method] = {
            "learning_rate": choice.learning_rate,
            "chosen": choice.unit,
            "why": choice.why,
            "units": rows,
            "regret": max(row["test_accuracy"] for row in rows.values()) - rows[choice.unit]["test_accuracy"],
            "validation_regret": max(row["val_accuracy"] for row in rows.values()) - rows[choice.unit]["val_accuracy"],
        }
        print(f"{method}: chose {choice.unit}, regret {results[method]['regret']:.4f} on test")
    sizes = {name: len(split) for name, split in bench.bundle.splits().items()}
    print(
        save(
            f"choice_regret-{bench.bundle.name}-seed{options.seed}",
            {"setting": vars(options), "splits": sizes, **results},
        )
    )


if __name__ == "__main__":
    main()
