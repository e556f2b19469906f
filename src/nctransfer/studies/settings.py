"""Settings of a run of studies, for the command line and YAML files alike."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..settings import Settings, option

__all__ = ["PaperSettings"]

STUDIES, CELLS, MACHINE, CLUSTER = (option(panel) for panel in ("Studies", "Cells", "Machine", "Cluster"))


class PaperSettings(Settings):
    """Settings of ``nctransfer paper run``."""

    verb: ClassVar[str] = "paper run"

    scale: Literal["smoke", "pilot", "mini", "paper"] = Field(
        "mini", description="Size of the data, the networks and the training.", json_schema_extra=STUDIES
    )
    seeds: int | None = Field(
        None,
        ge=1,
        description="Number of seeds, from 0 on; as many as the scale plans for each study if left out.",
        json_schema_extra=STUDIES,
    )
    accept_other_recipe: bool = Field(
        False,
        description="Use cells that follow another version of their recipe; the page says so.",
        json_schema_extra=option("Cells", aliases=("accept_other_code",)),
    )
    time_limit: float | None = Field(
        None, gt=0, description="Minutes after which to stop; the same command continues.", json_schema_extra=CELLS
    )
    jobs: int = Field(
        1, ge=1, description="Processes of this machine that share the cells and the cores.", json_schema_extra=MACHINE
    )
    device: str = Field("auto", description="Device: auto, cpu or cuda.", json_schema_extra=MACHINE)
    cluster: Literal["local", "slurm"] | None = Field(
        None,
        description="Where the cells run: slurm submits them with submitit, local is the same as --jobs.",
        json_schema_extra=CLUSTER,
    )
    partition: str | None = Field(None, description="Partition of the cluster.", json_schema_extra=CLUSTER)
