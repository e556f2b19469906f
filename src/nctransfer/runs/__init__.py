"""The disk: run folders, locks, atomic writes, checkpoints, and the typed record of a run's result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fronts import lazy_front

if TYPE_CHECKING:
    from .atomic import write_bytes, write_json
    from .checkpoint import load_tensors, load_weights_file, save_tensors, sha256
    from .environment import describe_environment
    from .folder import RunFolder
    from .ledger import Ledger
    from .lock import LOCK_FILES, FolderLock
    from .picture import PictureClass, PlanePicture, TuningPicture
    from .plan import Plan, duration
    from .rank_record import (
        DroppedRow,
        ForetoldRow,
        RankColumn,
        RankRecord,
        RankRound,
        RankRow,
        RankValidation,
        RankValue,
        ValidatedRow,
    )
    from .reading import KINDS, RunRecord, load_run, read_json, read_record
    from .record import (
        SCHEMA_VERSION,
        Augmentation,
        BadImage,
        Balance,
        Cost,
        DataReport,
        Dataset,
        DataSource,
        Duplicates,
        Environment,
        Hardware,
        ImageGroups,
        ImageSizes,
        ModelFacts,
        Preprocessing,
        Record,
        SkippedFile,
        SplitSizes,
        Twins,
    )
    from .results import BestRun, EpochRow, PretrainRecord, Result, Summary, SummaryRun, Verb
    from .rows import (
        Calibration,
        Decision,
        FrontierPoint,
        LayerAfter,
        LayerRow,
        Mark,
        Measured,
        Member,
        MethodRow,
        MethodSummary,
        MetricFacts,
        Mistake,
        ReliabilityBin,
        TrialRow,
        TuningEpoch,
    )
    from .study_record import (
        AxisRow,
        ClaimRow,
        FailureRow,
        OverSeeds,
        PlotPanel,
        SeriesRow,
        StudiesCost,
        StudyResult,
        StudyRow,
        TablePanel,
    )

__all__ = lazy_front(
    __name__,
    {
        "atomic": ["write_bytes", "write_json"],
        "checkpoint": ["load_tensors", "load_weights_file", "save_tensors", "sha256"],
        "environment": ["describe_environment"],
        "folder": ["RunFolder"],
        "ledger": ["Ledger"],
        "lock": ["LOCK_FILES", "FolderLock"],
        "picture": ["PictureClass", "PlanePicture", "TuningPicture"],
        "plan": ["Plan", "duration"],
        "rank_record": [
            "DroppedRow",
            "ForetoldRow",
            "RankColumn",
            "RankRecord",
            "RankRound",
            "RankRow",
            "RankValidation",
            "RankValue",
            "ValidatedRow",
        ],
        "reading": ["KINDS", "RunRecord", "load_run", "read_json", "read_record"],
        "record": [
            "SCHEMA_VERSION",
            "Augmentation",
            "Balance",
            "BadImage",
            "Cost",
            "DataReport",
            "Dataset",
            "DataSource",
            "Duplicates",
            "Environment",
            "Hardware",
            "ImageGroups",
            "ImageSizes",
            "ModelFacts",
            "Preprocessing",
            "Record",
            "SkippedFile",
            "SplitSizes",
            "Twins",
        ],
        "results": ["BestRun", "EpochRow", "PretrainRecord", "Result", "Summary", "SummaryRun", "Verb"],
        "rows": [
            "Calibration",
            "Decision",
            "FrontierPoint",
            "LayerAfter",
            "LayerRow",
            "Mark",
            "Measured",
            "Member",
            "MethodRow",
            "MethodSummary",
            "MetricFacts",
            "Mistake",
            "ReliabilityBin",
            "TrialRow",
            "TuningEpoch",
        ],
        "study_record": [
            "AxisRow",
            "ClaimRow",
            "FailureRow",
            "OverSeeds",
            "PlotPanel",
            "SeriesRow",
            "StudiesCost",
            "StudyResult",
            "StudyRow",
            "TablePanel",
        ],
    },
)
