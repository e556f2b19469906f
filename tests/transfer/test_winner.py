"""The choice of the handed-over method: paired, by held-out images alone, the cheaper within one standard error."""

import dataclasses

import numpy as np
import pytest

from nctransfer.errors import UsageError
from nctransfer.probes import CRITERIA
from nctransfer.transfer.winner import Candidate, close_to_best, pick_winner


def candidate(name, right):
    return Candidate(name, f"the method {name}", np.asarray(right, dtype=float))


def draw(accuracies, count=400, seed=0):
    random = np.random.default_rng(seed)
    return [candidate(name, random.random(count) < accuracy) for name, accuracy in accuracies.items()]


def test_a_clear_lead_wins_whatever_it_costs():
    verdict = pick_winner(draw({"linear": 0.6, "deep": 0.7, "full": 0.9}))
    assert verdict.name == "full"
    assert verdict.why.startswith("It was best on held-out images: ")
    assert verdict.why.endswith(" of 400.")


def test_within_one_standard_error_the_cheaper_wins_and_the_sentence_says_so():
    base = np.array([1.0] * 80 + [0.0] * 20)
    dear = base.copy()
    dear[[80, 81, 82]], dear[[0, 1]] = 1.0, 0.0  # 3 gained, 2 lost: 1 point, standard error 2.2
    verdict = pick_winner([candidate("linear", base), candidate("full", dear)])
    assert verdict.name == "linear"
    assert verdict.why == (
        "The method full was 1.0 points better on 100 held-out images, within one standard error (2.2 points) of the "
        "method linear, which is cheaper."
    )
    dear[[0, 1]] = 1.0  # nothing lost any more: 3 points, standard error 1.7
    assert pick_winner([candidate("linear", base), candidate("full", dear)]).name == "full"


def test_the_comparison_is_paired():
    """Two methods of the same mistakes are told apart by few images, two of independent mistakes are not."""
    random = np.random.default_rng(1)
    base = (random.random(300) < 0.7).astype(float)
    better = base.copy()
    better[np.flatnonzero(base == 0)[:6]] = 1.0
    assert pick_winner([candidate("linear", base), candidate("full", better)]).name == "full"
    shuffled = candidate("full", random.permutation(better))
    assert pick_winner([candidate("linear", base), shuffled]).name == "linear"


def test_probes_compete_on_all_images_and_meet_tuned_networks_on_the_validation_images():
    everywhere, nan = np.ones(100), np.nan
    good, poor = everywhere.copy(), everywhere.copy()
    good[:10], poor[:40] = 0.0, 0.0  # the same on the last 20 images
    tuned = np.r_[np.full(80, nan), [1.0] * 12 + [0.0] * 8]
    verdict = pick_winner([candidate("linear", poor), candidate("deep", good), candidate("full", tuned)])
    assert verdict.name == "deep"
    assert "100.0% of 20" in verdict.why


def test_a_tuned_network_gives_way_to_no_other_that_is_worse():
    """Both are trained already and cost the same to use; the probe alone is spared where it cannot be told from the best."""
    base = np.array([1.0] * 80 + [0.0] * 20)
    dear = base.copy()
    dear[[80, 81, 82]], dear[[0, 1]] = 1.0, 0.0
    layer, full = (
        dataclasses.replace(candidate(name, right), tuned=True) for name, right in (("layer", base), ("full", dear))
    )
    assert pick_winner([layer, full]).name == "full"
    assert pick_winner([candidate("deep", base), layer, full]).name == "deep"
    far = candidate("deep", np.r_[base[:60], np.zeros(40)])
    assert pick_winner([far, layer, full]).name == "full"


def test_of_equals_the_cheapest_wins():
    same = [1.0, 0.0, 1.0, 1.0]
    assert pick_winner([candidate(name, same) for name in ("linear", "deep", "full")]).name == "linear"


def test_one_method_needs_no_reason():
    assert pick_winner([candidate("full", [1.0, 0.0])]).why == ""


@pytest.mark.parametrize("seed", range(5))
def test_the_winner_is_never_more_than_one_standard_error_from_the_best(seed):
    found = draw({"linear": 0.7, "deep": 0.72, "layer": 0.74, "full": 0.75}, seed=seed)
    winner = next(item for item in found if item.name == pick_winner(found).name)
    best = max(found, key=lambda item: item.right.mean())
    difference = best.right - winner.right
    assert difference.mean() <= difference.std() / 20 + 1e-12


def test_the_criterion_decides():
    """One method is right on the large class, the other on the small one; one says so surely, the other not."""
    labels = np.array([0] * 180 + [1] * 20)
    large = np.zeros(200, dtype=np.int64)
    small = np.r_[np.zeros(140, dtype=np.int64), np.ones(60, dtype=np.int64)]
    sure, unsure = np.full(200, 0.1), np.full(200, 0.6)

    def method(name, said, losses):
        return Candidate(name, f"the method {name}", (said == labels).astype(float), said, losses)

    found = [method("linear", large, unsure), method("full", small, sure)]
    won = {metric: pick_winner(found, metric, labels) for metric in CRITERIA}
    assert {metric: verdict.name for metric, verdict in won.items()} == {
        "accuracy": "linear",
        "balanced_accuracy": "full",
        "macro_f1": "full",
        "log_loss": "full",
    }
    assert won["balanced_accuracy"].why == "It was best on held-out images: balanced accuracy 88.9% on 200."
    assert won["log_loss"].why == "It was best on held-out images: log-loss 0.100 on 200."
    assert pick_winner([found[0], dataclasses.replace(found[0], name="full")], "macro_f1", labels).name == "linear"


def test_a_criterion_needs_what_it_is_computed_from():
    with pytest.raises(UsageError, match="macro_f1 needs labels"):
        pick_winner([candidate("linear", [1.0, 0.0]), candidate("full", [1.0, 1.0])], "macro_f1")


def test_close_to_the_best_are_one_probe_and_tuned_networks_within_a_standard_error_of_what_all_were_judged_on():
    base = np.array([1.0] * 80 + [0.0] * 20)
    near = base.copy()
    near[[80, 81, 82]], near[[0, 1]] = 1.0, 0.0  # 1 point ahead, standard error 2.2
    far = np.r_[np.zeros(30), base[30:]]
    seen = np.r_[np.full(50, np.nan), near[50:]]  # judged on the second half alone

    def tuned(name, right, loss):
        return Candidate(name, name, right, losses=np.full(100, loss), tuned=True)

    probes = [candidate("linear", far), candidate("deep", base)]
    found = [*probes, tuned("layer", near, 0.9), tuned("full", near, 0.4), tuned("scl", far, 0.1)]
    assert close_to_best(found) == ["full", "layer", "deep"]
    assert close_to_best([*probes, tuned("full", seen, 0.4)]) == ["full"], "3 of 50 gained, nothing lost there"
    assert close_to_best(probes) == ["deep"]
