"""``nctransfer pretrain DATA``: train an encoder and watch its features collapse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("pretrain")(pretrain)


def _in(panel: str, text: str, *names: str, **options: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **options)


NETWORK, LOSS, DATA, ATTACK, PACE, WATCH, MACHINE = (
    "Network",
    "Loss and head",
    "Data",
    "Adversarial training",
    "Schedule",
    "What is measured",
    "Machine",
)


def pretrain(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A data set by name, or a folder of images.")],
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/pretrain"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that stands there.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that stands there.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
    arch: Annotated[str, _in(NETWORK, "cifar_resnet18/50/20/32/56, mlp, vit, or a timm name.")] = "cifar_resnet18",
    width: Annotated[float | None, _in(NETWORK, "Factor on all channels (cifar_resnet*, vit).")] = None,
    depth: Annotated[int | None, _in(NETWORK, "Number of layers (mlp: 12, vit: 6).")] = None,
    hidden: Annotated[int | None, _in(NETWORK, "Width of every layer of the mlp (3072).")] = None,
    image_size: Annotated[int, _in(NETWORK, "Side of the input in pixels.")] = 32,
    loss: Annotated[str, _in(LOSS, "ce, mse or supcon.")] = "ce",
    temperature: Annotated[float, _in(LOSS, "Of SupCon.")] = 0.1,
    kappa: Annotated[float | None, _in(LOSS, "Weight of the true class in mse; by class count if left out.")] = None,
    m: Annotated[float | None, _in(LOSS, "Target of the true class in mse; by class count if left out.", "--m")] = None,
    label_smoothing: Annotated[float, _in(LOSS, "Of ce.")] = 0.0,
    head: Annotated[str, _in(LOSS, "none, linear or mlp; dropped after training.")] = "none",
    head_layers: Annotated[int, _in(LOSS, "Linear layers of an mlp head.")] = 2,
    head_dim: Annotated[int, _in(LOSS, "Width of the head's output.")] = 128,
    augment: Annotated[int, _in(DATA, "1 none, 2 + crop, 3 + flip, 4 + colour jitter, 5 + grey.")] = 3,
    no_flip: Annotated[bool, _in(DATA, "Never flip: for digits, letters, signs.", "--no-flip")] = False,
    padding: Annotated[int | None, _in(DATA, "Pixels around the image before the crop; size/8 if left out.")] = None,
    limit: Annotated[int | None, _in(DATA, "Use at most so many training images.")] = None,
    on_bad_image: Annotated[str, _in(DATA, "stop or skip.")] = "stop",
    adversarial: Annotated[float | None, _in(ATTACK, "Radius ε in pixels of 255; trains on PGD examples.")] = None,
    attack_steps: Annotated[int, _in(ATTACK, "Steps of the attack in training.")] = 7,
    attack_step_size: Annotated[float | None, _in(ATTACK, "In pixels of 255; 2.5·ε/steps if left out.")] = None,
    epochs: Annotated[int, _in(PACE, "Epochs; 200 is the paper's, 0 measures the untrained network.")] = 200,
    batch_size: Annotated[int, _in(PACE, "Images of a step, over all processes together.")] = 128,
    schedule: Annotated[str, _in(PACE, "sgdr (cosine) or constant.")] = "sgdr",
    lr: Annotated[float, _in(PACE, "Learning rate at the start of a period.")] = 0.1,
    min_lr: Annotated[float, _in(PACE, "Learning rate at the end of a period.")] = 1e-4,
    restart_every: Annotated[float | None, _in(PACE, "Epochs of SGDR's first period; no restart if left out.")] = None,
    restart_factor: Annotated[float, _in(PACE, "By which each period is longer than the last.")] = 1.0,
    momentum: Annotated[float, _in(PACE, "Of SGD.")] = 0.9,
    weight_decay: Annotated[float, _in(PACE, "Of SGD.")] = 5e-4,
    measure_every: Annotated[int, _in(WATCH, "Epochs between measurements of collapse.")] = 5,
    measure_layers: Annotated[bool, _in(WATCH, "Measure every layer as well.", "--measure-layers")] = False,
    tracker: Annotated[list[str] | None, _in(WATCH, "tensorboard, wandb or mlflow; repeatable.")] = None,
    device: Annotated[str, _in(MACHINE, "auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, _in(MACHINE, "fp32, bf16 or fp16.")] = "fp32",
    compile: Annotated[bool, _in(MACHINE, "Run the network through torch.compile.", "--compile")] = False,
    accumulation: Annotated[int, _in(MACHINE, "Split each batch into so many parts to save memory.")] = 1,
    sync_batchnorm: Annotated[bool, _in(MACHINE, "BatchNorm over all GPUs.", "--sync-batchnorm")] = False,
    num_workers: Annotated[int, _in(MACHINE, "Processes that decode what does not fit into memory.")] = 0,
    memory_limit: Annotated[float, _in(MACHINE, "GiB of pixels that may stay in memory.")] = 2.0,
    save_every: Annotated[int | None, _in(MACHINE, "Steps between checkpoints; about 30 s if left out.")] = None,
) -> None:
    """Train an encoder from random weights and watch its features collapse.

    The run folder then serves every other verb as --model.
    """
    options = dict(locals())
    if not 0 <= memory_limit < float("inf"):
        raise UsageError(f"a number of GiB from 0 on is needed, got {memory_limit}", where="--memory-limit")
    from ..data import AugmentSettings
    from ..engine import TerminalTable
    from ..training.pretrain import pretrain as run
    from ..training.settings import make_settings

    for name in ("data", "out", "resume", "overwrite", "no_flip", "padding", "tracker", "memory_limit"):
        options.pop(name)
    given = {name: options.pop(name) for name in ("width", "depth", "hidden")}
    settings = make_settings(
        **options,
        arch_arguments={name: value for name, value in given.items() if value is not None},
        augment_settings=AugmentSettings(padding=padding, flip=not no_flip),
        trackers=tuple(tracker or ()),
        memory_limit=int(memory_limit * 2**30),
    )
    for name, reader in settings.idle().items():
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"{option} changes nothing here", where=option, remedy=f"leave it out, or add {reader}")
    result = run(data, out, settings, resume=resume, overwrite=overwrite, listeners=[TerminalTable(epochs)])
    typer.echo(f"encoder: {result.folder / 'checkpoints' / 'final.safetensors'}")
    typer.echo(f"report: {result.folder / 'report.html'}")
