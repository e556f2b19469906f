"""Which methods further folds should judge: regret and cost of several rules, on simulated answers.

Four methods (a probe, two of 0.6 of the cost of full fine-tuning, and full fine-tuning) answer n images. Their true accuracies
are drawn around the probe's, tuned ones higher by 1 to 2 points on average and ``spread`` points around that; their mistakes
are correlated by a common difficulty of the images (0.8), as those of networks that share a start are. The probe is judged on all
images, tuned networks on a fifth and on the further folds that a rule trains. Every rule ends as `transfer.contest` does: within
one standard error of the best the probe wins. Regret is the best true accuracy less that of the chosen method, in points; cost
counts trainings of full fine-tuning on a fold, of which a rule has at most ``most``.

    python benchmarks/contest_rules.py        # two minutes on a core, no data
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import norm
from timing import save

from nctransfer.transfer.winner import Candidate, close_to_best, pick_winner

COST = {"probe": 0.0, "layer": 0.6, "scl": 0.6, "full": 1.0}
GAIN = {"probe": 0.0, "layer": 1.0, "scl": 1.5, "full": 2.0}
FOLDS, CORRELATION = 5, 0.8
SCENES = [  # images, accuracy of the probe, spread of the gains in points, most cost
    (300, 0.75, 1.0, 4.0),
    (300, 0.75, 2.5, 4.0),
    (800, 0.80, 1.0, 2.7),
    (800, 0.80, 2.5, 2.7),
    (2000, 0.70, 1.0, 4.3),
    (2000, 0.70, 2.5, 4.3),
]


class Scene:
    """One draw: what each method says of each image, and what each is truly worth."""

    def __init__(self, images: int, base: float, spread: float, random: np.random.Generator) -> None:
        gains = {name: gain + (random.normal(0.0, spread) if COST[name] else 0.0) for name, gain in GAIN.items()}
        self.truth = {name: float(np.clip(base + gain / 100, 0.02, 0.995)) for name, gain in gains.items()}
        common = random.normal(size=images) * CORRELATION**0.5
        self.right = {
            name: (common + (1 - CORRELATION) ** 0.5 * random.normal(size=images) < norm.ppf(worth)).astype(float)
            for name, worth in self.truth.items()
        }
        self.folds = np.arange(images) % FOLDS

    def candidates(self, names: list[str], folds: int) -> list[Candidate]:
        """The methods as they are judged when so many folds are known of the tuned ones."""
        known = self.folds < folds
        return [
            Candidate(name, name, np.where(known | (COST[name] == 0), self.right[name], np.nan), tuned=COST[name] > 0)
            for name in COST
            if name in names
        ]


def contest(scene: Scene, most: float, tuned_at_most: int, *, behind: bool) -> tuple[str, float]:
    """The rule of `transfer.contest`: (winner, cost). Without ``behind``, only where the probe wins a tie of its own."""
    everyone = scene.candidates(list(COST), 1)
    verdict = pick_winner(everyone)
    field = close_to_best(everyone)
    tuned = [name for name in field if COST[name]][:tuned_at_most]
    field = [name for name in field if name in tuned or not COST[name]]
    if not behind:
        if verdict.name == verdict.best or verdict.name != "probe":
            return verdict.name, 0.0
        field = ["probe", verdict.best]
    spent = 0.0
    for known in range(2, FOLDS + 1):
        cost = sum(COST[name] for name in field)
        if len(field) < 2 or not cost or spent + cost > most:
            break
        spent += cost
        judged = scene.candidates(field, known)
        verdict, field = pick_winner(judged), close_to_best(judged)
    return verdict.name, spent


RULES: dict[str, Callable[[Scene, float], tuple[str, float]]] = {
    "validation images alone": lambda scene, most: (pick_winner(scene.candidates(list(COST), 1)).name, 0.0),
    "the best tuned one, where a probe wins a tie": lambda scene, most: contest(scene, most, 1, behind=False),
    "the best tuned one, ahead or behind": lambda scene, most: contest(scene, most, 1, behind=True),
    "the best two": lambda scene, most: contest(scene, most, 2, behind=True),
    "the best three": lambda scene, most: contest(scene, most, 3, behind=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    rows = []
    for images, base, spread, most in SCENES:
        random = np.random.default_rng(0)
        scenes = [Scene(images, base, spread, random) for _ in range(options.draws)]
        for rule, choose in RULES.items():
            found = [choose(scene, most) for scene in scenes]
            regrets = [
                100 * (max(scene.truth.values()) - scene.truth[name])
                for scene, (name, _) in zip(scenes, found, strict=True)
            ]
            rows.append(
                {
                    "images": images,
                    "probe": base,
                    "spread": spread,
                    "most": most,
                    "rule": rule,
                    "regret": float(np.mean(regrets)),
                    "standard_error": float(np.std(regrets) / options.draws**0.5),
                    "cost": float(np.mean([cost for _, cost in found])),
                    "probe_wins": float(np.mean([name == "probe" for name, _ in found])),
                }
            )
            print(
                {key: round(value, 3) if isinstance(value, float) else value for key, value in rows[-1].items()},
                flush=True,
            )
    print(save("contest_rules", {"draws": options.draws, "rows": rows}))


if __name__ == "__main__":
    main()
