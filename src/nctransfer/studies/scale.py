"""A scale: the data, networks and durations of every study, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Backbone", "Scale", "Spec", "Zoo", "seeded"]

Spec = dict[str, Any]


@dataclass(frozen=True)
class Backbone:
    """A network of Table 2 with the data sets that it is tuned on.

    Args:
        network: Name; None for the cross-entropy encoder that the scale pre-trains.
        title: As the page calls it.
        image_size: Side of the input in pixels; for the encoder that the scale pre-trains, its own.
        data: Downstream data sets by title.
        units: Blocks to tune.
        paper: Its column in the paper's tables.
        protocol: How it is tuned, by name; where empty, as ``tune`` does it, each rate chosen by short trials.
        epochs: Passes of every tuning; the scale's where None.
        seeds: Seeds that tune it at most; all where None.
    """

    network: str | None
    title: str
    image_size: int
    data: Mapping[str, Spec]
    units: tuple[str, ...]
    paper: str = ""
    protocol: str = ""
    epochs: int | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Zoo:
    """Released networks and the sets on which all their layers are measured.

    Args:
        networks: By title the name of a network; ``file:NAME`` is ``NAME.safetensors`` with its manifest under
            ``NCTRANSFER_NETWORKS``, ``loss:NAME`` the encoder that the scale pre-trains with that loss.
        sets: By title.
        image_size: Side of the input in pixels.
        broad, narrow: Titles of networks of one architecture: one trained on many kinds of things, the others on one kind.
    """

    networks: Mapping[str, str]
    sets: Mapping[str, Spec]
    image_size: int
    broad: str
    narrow: tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """One scale.

    Args:
        name: ``smoke``, ``mini`` or ``paper``.
        about: What it stands on, in a sentence.
        source: Data set of the pre-training.
        further_sources: More sources of Figure 1, by title.
        downstream: The downstream data set (CIFAR-10 in the paper).
        downstreams: Those of Figures 3 and 10, by title.
        network: Encoder of Table 1, Figure 9 and Figure 11: settings of the pre-training.
        deep: Encoder of Figures 1, 2, 3 and 10.
        training: Further settings of every pre-training.
        by_loss: Settings of one loss alone, by its name, and by its name and `` with head`` of that loss with a head.
        heads: Numbers of projection layers in Figure 1.
        attacks: Strengths of Figures 2, 3 and 10, in pixels of 255.
        attack: Settings of the adversarial training.
        augmentations: Levels of Figures 2, 3 and 10.
        mlp, vit: Encoders of Figures 5 and 6; for ``vit`` a name stands for released weights.
        vit_size: Side of the input of Figure 6.
        layered: Figure 9's further runs by title: data set and settings.
        tuned: The downstream set of Figure 11, small.
        tuned_units: Its blocks.
        backbones: Those of Table 2.
        tuning_epochs: Passes of every tuning; by the number of images where None.
        images_per_second: About how many images a second are trained on, for the estimate of cost.
        rates: The same by network and image size, ``"cifar_resnet20 16"``, where it was measured.
        basis: What the rates were measured on.
        skip: What the ablation of the skip connection tunes: one block of one network on one set; None for no ablation.
        skip_size: The other image size of the ablation.
        zoo: Released networks whose layers are measured; None for none.
        check_size: Image size at which Table 1 is run once more, on the first seed, to see whether its orderings depend on it.
        khosla: Settings of SupCon as Khosla et al. train it, an arm of Table 1; none where empty.
        khosla_seeds: Seeds of that arm.
        seeds: Planned seeds by study; under the empty name those of the others.
        partial: Names of data sets of which some Parquet files may be missing.
        unseeded: The scale before :meth:`at`; None where this is it.
    """

    name: str
    about: str
    source: Spec
    downstream: Spec
    downstreams: Mapping[str, Spec]
    network: Spec
    deep: Spec
    training: Spec
    heads: tuple[int, ...]
    attacks: tuple[float, ...]
    attack: Spec
    augmentations: tuple[int, ...]
    mlp: Spec
    vit: Spec | str
    vit_size: int
    layered: Mapping[str, tuple[Spec, Spec]]
    tuned: Spec
    tuned_units: tuple[str, ...]
    backbones: tuple[Backbone, ...]
    images_per_second: float
    further_sources: Mapping[str, Spec]
    by_loss: Mapping[str, Spec] = field(default_factory=dict)
    tuning_epochs: int | None = None
    skip: Backbone | None = None
    skip_size: int | None = None
    zoo: Zoo | None = None
    check_size: int | None = None
    khosla: Spec = field(default_factory=dict)
    khosla_seeds: int = 3
    seeds: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    basis: str = "two processor cores"
    partial: tuple[str, ...] = ()
    unseeded: Scale | None = None

    def at(self, seed: int) -> Scale:
        """The scale with every data set as a seed sees it; what is tuned is resolved with the tuning, which looks at two seeds.

        A set with ``parts: n`` becomes part ``seed`` (modulo n) of n that have no training image in common; one with
        ``class_sets: [size, number, shift]`` becomes the classes of set ``seed + shift`` (modulo the number).

        Example:
            >>> seeded({"name": "cifar100", "class_sets": [20, 5, 1]}, 4)
            {'name': 'cifar100', 'classes': [0, 20]}
        """
        whole = self.unseeded or self

        return replace(
            whole,
            source=seeded(whole.source, seed),
            downstream=seeded(whole.downstream, seed),
            downstreams={title: seeded(spec, seed) for title, spec in whole.downstreams.items()},
            layered={title: (seeded(spec, seed), settings) for title, (spec, settings) in whole.layered.items()},
            further_sources={title: seeded(spec, seed) for title, spec in whole.further_sources.items()},
            unseeded=whole,
        )

    def seeds_of(self, study: str) -> int:
        """How many seeds of a study are planned."""
        return self.seeds.get(study, self.seeds.get("", 1))


def seeded(spec: Spec, seed: int) -> Spec:
    """A data set as a seed sees it; see :meth:`Scale.at`.

    Example:
        >>> seeded({"name": "cifar10", "parts": 5}, 7)
        {'name': 'cifar10', 'part': [2, 5]}
    """
    made = dict(spec)
    if (parts := made.pop("parts", None)) is not None:
        made["part"] = [seed % parts, parts]
    if (sets := made.pop("class_sets", None)) is not None:
        size, number, shift = sets
        place = (seed + shift) % number
        made["classes"] = [size * place, size * (place + 1)]
    return made
