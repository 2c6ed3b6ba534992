"""Basins along a parameter: shares of attractors that are followed, where they tip, and how probably."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ..attraction.attractors import Attractor
from ..attraction.basin_map import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FATES = {"unresolved": -1, "diverges": -2, "undefined": -3}  # what is no attractor


@dataclass(frozen=True)
class FollowedAttractor(Rendered):
    """One attractor along the parameter.

    Attributes:
        number: its place in `BasinShares.attractors`.
        at: by value of the parameter, the attractor there; None where it does not exist.
    """

    number: int
    at: tuple[Attractor | None, ...]

    @property
    def label(self) -> str:
        """The label where it is first found, with its number."""
        return f"{self.number + 1}: {next(a.label for a in self.at if a is not None)}"

    def __str__(self) -> str:
        there = sum(a is not None for a in self.at)
        return f"{self.label}, at {there} of {quantity(len(self.at), 'value')}"


@dataclass(frozen=True)
class Tip(Rendered):
    """An attractor that ends when the parameter changes.

    Attributes:
        before, after: neighbouring values of the parameter, the attractor exists at the first.
        source: the number of the attractor.
        target: the number of the attractor to which its points go, or "diverges", "undefined" or "unresolved".
    """

    before: float
    after: float
    source: int
    target: int | str

    def __str__(self) -> str:
        to = f"attractor {self.target + 1}" if isinstance(self.target, int) else self.target
        return f"attractor {self.source + 1} ends between {self.before:.6g} and {self.after:.6g}, and tips to {to}"


@dataclass(frozen=True)
class TippingProbabilities(Rendered):
    """Where the points of each basin are after a jump of the parameter.

    (Kaszas, Feudel, Tel, Sci. Rep. 9 (2019), doi:10.1038/s41598-019-44863-3: the share of the basin of one attractor
    before that lies in the basin of another after.)

    Attributes:
        first, last: values of the parameter before and after.
        sources, targets: names.
        counts: of starts, shape (sources, targets).
        probability: shape (sources, targets); rows sum to 1.
        low, high: Wilson's intervals.
    """

    first: float
    last: float
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    counts: Int[np.ndarray, "s t"]
    probability: Float[np.ndarray, "s t"]
    low: Float[np.ndarray, "s t"]
    high: Float[np.ndarray, "s t"]

    def __str__(self) -> str:
        rows = [f"from {self.first:.6g} to {self.last:.6g}:"]
        for i, source in enumerate(self.sources):
            for j, target in enumerate(self.targets):
                if self.counts[i, j]:
                    ends = f"[{self.low[i, j]:.2%}, {self.high[i, j]:.2%}]"
                    rows.append(f"  {source} -> {target}: {self.probability[i, j]:.2%} {ends}")
        return "\n".join(rows)


@dataclass(frozen=True)
class BasinShares(Rendered):
    """Shares of basins against a parameter.

    Attributes:
        parameter: its name.
        values: in the order in which it changes, shape (n,).
        attractors: followed along the parameter.
        labels: of every start at every value, shape (n, samples): the number of the attractor; -1 unresolved,
            -2 diverges, -3 undefined.
        tips: where attractors end.
        distances: from each attractor to the nearest of the starts that are in another basin, shape (n, attractors):
            at least as much as the least shock that tips it (`resilience` finds that one); NaN where there is none.
        confidence: of the intervals.
        name: the map, method or flow.
        after: of a method with noise, the steps after which the basin of the gradient flow was taken; None otherwise.
    """

    parameter: str
    values: Float[np.ndarray, " n"]
    attractors: tuple[FollowedAttractor, ...]
    labels: Int[np.ndarray, "n samples"]
    tips: tuple[Tip, ...]
    distances: Float[np.ndarray, "n attractors"]
    confidence: float
    name: str
    after: int | None = None
    starts: Float[np.ndarray, "samples ..."] = field(
        default_factory=lambda: np.empty((0, 0)), repr=False
    )

    @property
    def columns(self) -> dict[str, int]:
        """Names of the attractors, and of the other outcomes that occur, with their labels."""
        made = {a.label: a.number for a in self.attractors}
        return made | {n: i for n, i in FATES.items() if (self.labels == i).any()}

    def share(self, name: str | int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of an attractor (its number or label), or of "diverges" and so on: the share, and its interval, each (n,).

        Raises:
            OdescentError: no such attractor.
        """
        known = self.columns | FATES
        if isinstance(name, str) and name not in known:
            raise OdescentError(f"there is no attractor {name!r}: known are {', '.join(known)}.")
        number = known[name] if isinstance(name, str) else name
        if isinstance(name, int) and not 0 <= name < len(self.attractors):
            raise OdescentError(
                f"there is no attractor number {name}: there are {len(self.attractors)}."
            )
        count, of = (self.labels == number).sum(1), self.labels.shape[1]
        ends = np.array([wilson(int(c), of, self.confidence) for c in count])
        return count / of, ends[:, 0], ends[:, 1]

    def nearest(self, point: Any) -> int:
        """The number of the attractor nearest to an output, such as the good minimum."""
        at = np.ravel(np.asarray(point, float))
        gaps = []
        for a in self.attractors:
            points = [p.points.reshape(len(p.points), -1) for p in a.at if p is not None]
            gaps.append(min(float(np.abs(q - at).max(1).min()) for q in points if q.size))
        if not gaps:
            raise OdescentError("no attractor was found.")
        return int(np.argmin(gaps))

    def tipping(
        self, first: float | None = None, last: float | None = None
    ) -> TippingProbabilities:
        """Tipping probabilities when the parameter jumps between two of its values; by default the first and the last.

        Raises:
            OdescentError: values that were not computed.
        """
        i, j = (
            end if v is None else self._place(v)
            for v, end in ((first, 0), (last, len(self.values) - 1))
        )
        columns = self.columns
        sources = [n for n, k in columns.items() if k >= 0 and (self.labels[i] == k).any()]
        targets = [n for n, k in columns.items() if (self.labels[j] == k).any()]
        counts = np.array(
            [
                [int(((self.labels[i] == columns[a]) & (self.labels[j] == columns[b])).sum()) for b in targets]
                for a in sources
            ]
        ).reshape(len(sources), len(targets))  # fmt: skip
        of = counts.sum(1)
        ends = np.array(
            [[wilson(int(c), int(n), self.confidence) for c in row] for row, n in zip(counts, of, strict=True)]
        ).reshape(*counts.shape, 2)  # fmt: skip
        return TippingProbabilities(
            float(self.values[i]), float(self.values[j]), tuple(sources), tuple(targets), counts,
            counts / np.maximum(of, 1)[:, None], ends[..., 0], ends[..., 1],
        )  # fmt: skip

    def _place(self, value: float) -> int:
        i = int(np.argmin(np.abs(self.values - value)))
        if not np.isclose(self.values[i], value, rtol=1e-9, atol=1e-12):
            raise OdescentError(
                f"{self.parameter} = {value:g} was not computed; the nearest value is {self.values[i]:g}."
            )
        return i

    def __str__(self) -> str:
        n, of = self.labels.shape
        rows = [
            f"{self.name}: shares of basins at {n} values of {self.parameter} in "
            f"[{self.values.min():.6g}, {self.values.max():.6g}], {quantity(of, 'random start')}"
        ]
        if self.after is not None:
            rows.append(f"  in the basins of the gradient flow after {self.after} steps with noise")
        for name, k in self.columns.items():
            share = (self.labels == k).mean(1)
            rows.append(f"  {name}: {share[0]:.2%} at first, {share[-1]:.2%} at last")
        return "\n".join([*rows, *(f"  {tip}" for tip in self.tips)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the starts."""
        shares = {name: self.share(name) for name in self.columns}
        return {
            "name": self.name,
            "parameter": self.parameter,
            "values": self.values.tolist(),
            "shares": {
                n: {"share": s.tolist(), "low": a.tolist(), "high": b.tolist()}
                for n, (s, a, b) in shares.items()
            },
            "tips": [vars(t) for t in self.tips],
            "after": self.after,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the shares as areas against the parameter; dotted lines are where attractors end and tip.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)


@dataclass
class Follower:
    """Attractors from value to value: which of the new ones continue which of the old.

    Args:
        scale: of the region.
        reach: how far an attractor may move between two values, in units of the scale.
    """

    scale: float
    reach: float
    tracks: list[list[Attractor | None]] = field(default_factory=list)
    tips: list[tuple[int, int, int | str]] = field(default_factory=list)  # (value before, from, to)
    last: dict[int, Float[np.ndarray, "m d"]] = field(default_factory=dict)  # where each was last
    alive: list[int] = field(default_factory=list)

    def advance(
        self,
        k: int,
        found: tuple[Attractor, ...],
        fate: Mapping[int, int],
        points: list[np.ndarray],
    ) -> Int[np.ndarray, " m"]:
        """Put the attractors at value number k to the tracks, and return the label of each.

        Args:
            k: number of the value.
            found: the attractors there.
            fate: of the tracks with a seed, the index of the attractor to which it went; -1 for none.
            points: of each attractor in the space of states.
        """
        code = np.array([FATES.get(a.kind, 0) for a in found], int)
        taken: dict[int, int] = {}  # attractor to track
        near = self.reach * self.scale
        pairs = sorted(
            (self._gap(t, points[b]), t, b)
            for t in range(len(self.tracks)) for b in range(len(found))
            if code[b] == 0 and t in self.last and points[b].size
            and (t not in fate or fate[t] == b)
        )  # fmt: skip
        # those that exist go first; one that had ended may come back
        for alive in (True, False):
            for gap, t, b in pairs:
                free = b not in taken and t not in taken.values()
                if free and (t in self.alive) == alive and gap <= near:
                    taken[b] = t
        for b in range(len(found)):
            if code[b] == 0 and b not in taken:
                taken[b] = len(self.tracks)
                self.tracks.append([None] * k)
        label = code.copy()
        for b, t in taken.items():
            label[b] = t
            if points[b].size:
                self.last[t] = points[b]
        for t in self.alive:
            if t not in taken.values():
                to = fate.get(t, -1)
                name = {v: n for n, v in FATES.items()}.get(int(label[to]) if to >= 0 else -1)
                self.tips.append((k - 1, t, name if name is not None else int(label[to])))
        whose = {t: b for b, t in taken.items()}
        for t, track in enumerate(self.tracks):
            track.append(found[whose[t]] if t in whose else None)
        self.alive = sorted(whose)
        return label

    def _gap(self, t: int, points: Float[np.ndarray, "m d"]) -> float:
        old = self.last[t]
        if old.shape[1] != points.shape[1]:
            return np.inf
        return float(np.abs(old[:, None] - points[None]).max(2).min())


__all__ = ["FATES", "BasinShares", "FollowedAttractor", "Follower", "Tip", "TippingProbabilities"]
