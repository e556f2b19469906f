"""The blocks that a method tunes, from their names: one, several, or all from one upwards."""

from __future__ import annotations

from ..errors import UsageError, near_names
from ..models import Network

__all__ = ["find_tuned"]


def find_tuned(network: Network, text: str, *, where: str = "--layer") -> tuple[str, ...]:
    """The blocks that ``text`` names, none inside another, in the order in which the network runs them.

    Args:
        network: Whose blocks they are; a block that it did not look at before is looked at.
        text: Names separated by commas. ``NAME+`` stands for NAME and every block after it.
        where: What the text is, for messages.

    Raises:
        UsageError: there is no such block, its output cannot be read, or it has no parameters.

    Example:
        >>> from nctransfer.models import load_network
        >>> network = load_network("cifar_resnet20", weights="random", image_size=16)
        >>> find_tuned(network, "layer3.1,layer2.0")
        ('layer2.0', 'layer3.1')
        >>> find_tuned(network, "layer3.0+")
        ('layer3.0', 'layer3.1', 'layer3.2')
    """
    asked = [word.strip() for word in text.split(",") if word.strip()]
    if not asked:
        raise UsageError("no block is named", where=where, remedy=f"one of {', '.join(network.units)}")
    modules = dict(network.encoder.named_modules())
    for name in [word.removesuffix("+") for word in asked]:
        if name not in modules:
            raise UsageError(
                f"{network.name} has no block {name!r}", where=where, remedy=near_names(name, [*network.layer_shapes])
            )
        if not any(True for _ in modules[name].parameters()):
            raise UsageError(
                f"{name} of {network.name} has no parameters to tune",
                where=where,
                remedy=f"name a block, such as {', '.join(network.units)}",
            )
        network.add_layers([name])
    found: set[str] = set()
    for word in asked:
        name = word.removesuffix("+")
        found |= {name, *(_after(network, name) if word.endswith("+") else ())}
    outer = {name for name in found if not any(name.startswith(f"{other}.") for other in found)}
    return tuple(name for name in network.layer_shapes if name in outer)


def _after(network: Network, name: str) -> list[str]:
    """The blocks that begin when ``name`` has finished; one that holds it began before."""
    order = list(network.layer_shapes)
    blocks = {*network.layers, *network.units}
    return [
        other
        for other in order[order.index(name) + 1 :]
        if other in blocks and not name.startswith(f"{other}.") and not other.startswith(f"{name}.")
    ]
