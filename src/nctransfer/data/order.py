"""Order as a function: which image comes when follows from a key and the index, and from nothing that was drawn before.

The hash is splitmix64, written out here, so that no library's change of generator changes a split.
"""

from __future__ import annotations

import numpy as np

__all__ = ["apportion", "balanced_order", "occurrences", "random_keys", "random_order", "splitmix64"]

GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def random_keys(num: int, *key: int) -> np.ndarray:
    """Pseudo-random 64-bit numbers, one an index, determined by ``key``.

    Returns:
        Shape (num,), uint64.
    """
    state = GOLDEN
    for part in key:
        state = int(splitmix64(np.array([(state ^ (part & _MASK)) & _MASK], dtype=np.uint64))[0])
    index = np.arange(1, num + 1, dtype=np.uint64)
    return splitmix64(index * np.uint64(GOLDEN) + np.array([state], dtype=np.uint64))


def random_order(num: int, *key: int) -> np.ndarray:
    """A permutation of ``range(num)`` determined by ``key``.

    Returns:
        Shape (num,), int64.

    Example:
        >>> random_order(5, 0, 1).tolist() == random_order(5, 0, 1).tolist()
        True
        >>> sorted(random_order(5, 7).tolist())
        [0, 1, 2, 3, 4]
    """
    return np.argsort(random_keys(num, *key), kind="stable")


def balanced_order(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """N positions in random order in which every class stands equally often (±1), a function of (seed, epoch).

    Each class goes through its images in random rounds, and on through the epochs, so that none of its images is shown twice
    more often than another: large classes are spread over several epochs, small ones repeated within one.

    Args:
        labels: Class of each position, shape (N,).

    Returns:
        Shape (N,), int64.

    Example:
        >>> labels = np.array([0, 0, 0, 0, 0, 1])
        >>> np.bincount(labels[balanced_order(labels, 0, 0)]).tolist()
        [3, 3]
    """
    classes = np.unique(labels)
    quota = -(-len(labels) // len(classes))
    picked = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        places = epoch * quota + np.arange(quota)
        rounds = range(int(places[0]) // len(members), int(places[-1]) // len(members) + 1)
        shuffled = np.concatenate([members[random_order(len(members), seed, int(label), number)] for number in rounds])
        start = int(places[0]) - rounds.start * len(members)
        picked.append(shuffled[start : start + quota])
    drawn = np.concatenate(picked)
    # K ⌈N/K⌉ may be a few more than N: which are left out is random.
    return drawn[random_order(len(drawn), seed, epoch)][: len(labels)]


def occurrences(order: np.ndarray) -> np.ndarray:
    """How often each entry has stood in ``order`` before, shape (N,).

    Example:
        >>> occurrences(np.array([4, 2, 4, 4, 2])).tolist()
        [0, 0, 1, 2, 1]
    """
    place = np.argsort(order, kind="stable")
    ordered = order[place]
    first = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(order), dtype=np.int64)
    found[place] = np.arange(len(order)) - first
    return found


def batch_rows(
    order: np.ndarray, batch_size: int, *, drop_last: bool = False, start: int = 0, rank: int = 0, world_size: int = 1
) -> list[np.ndarray]:
    """An order cut into batches, of each the part that one process takes.

    Args:
        order: Positions, shape (N,).
        batch_size: Positions of a batch over all processes together.
        drop_last: Whether a last batch with fewer positions is left out.
        start: Number of the first batch.
        rank, world_size: Of B positions in a batch, this process takes those from ``B * rank // world_size`` up to
            ``B * (rank + 1) // world_size``: every process takes the same number of steps.

    Example:
        >>> [rows.tolist() for rows in batch_rows(np.arange(7), 3)]
        [[0, 1, 2], [3, 4, 5], [6]]
        >>> [rows.tolist() for rows in batch_rows(np.arange(7), 3, drop_last=True, start=1, rank=1, world_size=2)]
        [[4, 5]]
    """
    end = len(order) // batch_size * batch_size if drop_last else len(order)
    whole = (order[first : first + batch_size] for first in range(start * batch_size, end, batch_size))
    return [rows[len(rows) * rank // world_size : len(rows) * (rank + 1) // world_size] for rows in whole]


def apportion(total: int, weights: np.ndarray, low: int | np.ndarray, high: int | np.ndarray) -> np.ndarray:
    """Whole shares in proportion to ``weights`` that add to ``total``, by largest remainder, within bounds.

    Args:
        total: What the shares add to, as far as the bounds allow.
        weights: Shape (K,), non-negative.
        low, high: Least and largest share, scalar or shape (K,).

    Returns:
        Shares, shape (K,), int64.

    Example:
        >>> apportion(10, np.array([1, 1, 2]), 1, 10).tolist()
        [3, 2, 5]
    """
    quota = total * np.asarray(weights, dtype=np.float64) / max(float(np.sum(weights)), 1.0)
    low, high = np.broadcast_to(low, quota.shape), np.broadcast_to(high, quota.shape)
    share = np.clip(np.floor(quota), low, high).astype(np.int64)
    while share.sum() < total and np.any(share < high):
        share[np.argmax(np.where(share < high, quota - share, -np.inf))] += 1
    while share.sum() > total and np.any(share > low):
        share[np.argmax(np.where(share > low, share - quota, -np.inf))] -= 1
    return share


def splitmix64(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection of 64-bit words, each bit felt by all.

    Example:
        >>> hex(splitmix64(np.array([GOLDEN], dtype=np.uint64))[0])
        '0xe220a8397b1dcdaf'
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
