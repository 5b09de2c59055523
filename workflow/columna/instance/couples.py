"""Which predictions of neighbouring windows show the same vertebra."""

from collections import defaultdict
from dataclasses import dataclass

from columna.instance.window_parts import Part

REACH = 2
"""Windows this many places up and down may show the same vertebra."""
MIN_DICE = 0.3
MAX_PARTNERS = 2


@dataclass(frozen=True)
class Couple:
    """Up to three predictions of one vertebra and how well they agree (mean Dice)."""

    members: tuple[Part, ...]
    score: float


def find_couples(parts: list[Part]) -> list[Couple]:
    """Group predictions by agreement (docs/method.md#couples).

    Every prediction looks for its best partners; couples that several members found are one.

    Returns
    -------
    list of Couple
        Best first: ordered by (members + 1) x score. Predictions without partner come last.
    """
    dice = _pairwise_dice(parts)
    windows = [part.window for part in parts]
    agreements: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for anchor in range(len(parts)):
        partners = _partners(anchor, windows, dice)
        values = [dice[anchor][p] for p in partners]
        agreements[tuple(sorted([anchor, *partners]))].append(
            sum(values) / len(values) if values else 0.0
        )
    couples = [
        Couple(tuple(parts[m] for m in members), sum(found) / len(found))
        for members, found in agreements.items()
    ]
    return sorted(couples, key=lambda c: -(len(c.members) + 1) * c.score)


def _pairwise_dice(parts: list[Part]) -> list[dict[int, float]]:
    """Dice of every part with the others, as far apart as two partners of one anchor can be."""
    dice: list[dict[int, float]] = [{} for _ in parts]
    for a, part in enumerate(parts):
        for b in range(a + 1, len(parts)):
            if parts[b].window - part.window > 2 * REACH:
                break
            dice[a][b] = dice[b][a] = part.dice(parts[b])
    return dice


def _partners(anchor: int, windows: list[int], dice: list[dict[int, float]]) -> list[int]:
    """Return the best parts of other windows that overlap with `anchor` and with each other."""
    near = {
        other: value
        for other, value in dice[anchor].items()
        if 0 < abs(windows[other] - windows[anchor]) <= REACH and value > MIN_DICE
    }
    best = sorted(near, key=lambda other: -near[other])[:MAX_PARTNERS]
    if len(best) == MAX_PARTNERS and dice[best[0]][best[1]] < MIN_DICE:
        return best[:1]
    return best
