"""The search for attractors: few points first, then all the others against what these have found."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from .attractors import NEUTRAL, Attractor, Catalogue, moduli, refine, told_apart
from .batching import pick, take
from .capture import capture, traps, visits
from .grid import PointGrid
from .lasting import KINDS, NEITHER, QUASIPERIODIC, Place, filling, fills, motions, places
from .settling import DIVERGES, SETTLED, UNDEFINED, UNRESOLVED, Limits, read, settle

_SCOUTS = 1024


def decide(
    p: PointGrid, limits: Limits, by: str, most: int
) -> tuple[Int[np.ndarray, " n"], tuple[Attractor, ...], Int[np.ndarray, " n"]]:
    """The attractor of each point.

    Some points are followed to the end. They find attractors, and around these the places from which no point returns
    (`capture`); the others are followed until they are in one of these. What remains is followed to the end too.

    Args:
        p: the points.
        limits: how long they are followed.
        by: "place" or "period".
        most: more attractors than that are taken together by period.

    Returns:
        labels, -1 for what is unresolved; the attractors; and the steps by which points were decided.
    """
    search = _Search(p, by, most)
    s, n = p.stepper, p.count
    alone = search.catalogue is not None and s.rates is None and not s.clocked
    scouts: Any = None
    if alone and n > 4 * _SCOUTS:
        scouts = np.sort(np.random.default_rng(0).choice(n, _SCOUTS, replace=False))
    done = settle(p, limits, search.confirm, scouts)
    verdict, period, when = done.verdict, done.period, done.when
    followed = np.arange(n) if scouts is None else scouts
    search.last(done.state, followed[verdict[followed] == UNRESOLVED])
    if scouts is None or search.catalogue is None:
        return (*search.labels(verdict, period, done.state), when)
    left = np.setdiff1d(np.arange(n), scouts)
    if not search.catalogue.full:
        own = search.catalogue
        trap = traps(s, own.found, own.traces, own.c, p.scale)
        first, ground = search.grounds[0] if search.grounds else (0, None)
        caught = capture(p, left, limits, trap, ground)
        inside, lasts = caught.label >= 0, caught.label < -1
        search.label[left[inside]] = caught.label[inside]
        search.lives[left[lasts]] = first - 2 - caught.label[lasts]
        verdict[left[inside]] = SETTLED
        verdict[left[caught.how > 0]] = caught.how[caught.how > 0]
        when[left] = caught.when
        left = left[~inside & ~lasts & (caught.how == 0)]
    state = done.state
    if len(left):
        rest = settle(p, limits, search.confirm, left)
        verdict[left], period[left], when[left] = (
            a[left] for a in (rest.verdict, rest.period, rest.when)
        )
        for whole, part in zip(jax.tree.leaves(state), jax.tree.leaves(rest.state), strict=True):
            whole[..., left] = part[..., left]
        search.last(state, left[verdict[left] == UNRESOLVED])
    return (*search.labels(verdict, period, state), when)


class _Search:
    """Labels of settled points as they come in."""

    def __init__(self, p: PointGrid, by: str, most: int) -> None:
        self.p, self.most = p, most
        self.moving = p.varies_parameters
        self.places = by == "place"
        self.label = np.full(p.count, -1)
        self.lasting: list[Attractor | None] = []  # None for what turns out to be no attractor
        self.lives = np.full(p.count, -1)  # on which of them
        self.grounds: list[
            tuple[int, Place]
        ] = []  # cells, with the number of their first attractor
        self.period = np.zeros(p.count)  # least periods
        c = None if self.moving else p.coefficients(np.zeros(1, int))
        self.catalogue = (
            None if c is None or not self.places else Catalogue(p.stepper, c, p.scale, most)
        )

    def confirm(
        self, state: Any, period: Float[np.ndarray, " n"], at: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        s = self.p.stepper
        if self.catalogue is not None and not self.catalogue.full:
            found = self.catalogue.assign(state, period)
            self.label[at] = found
            if not self.catalogue.full:
                return found >= 0
        self.period[at] = period
        fine = np.ones(len(at), bool)
        cycles = np.flatnonzero(period > 1)
        if s.clocked or s.rates is not None or not len(cycles):
            return fine
        some = take(state, cycles)
        c = pick(self.p.coefficients(at), cycles)
        done = refine(s, some, period[cycles], c, self.p.scale)
        self.period[at[cycles]] = done.period
        gaps = [
            np.abs(a - b).reshape(-1, len(cycles)).max(0, initial=0.0)
            for a, b in zip(jax.tree.leaves(some), jax.tree.leaves(done.state), strict=True)
        ]
        on_it = np.max(gaps, axis=0) <= 1e-12 * self.p.scale
        fine[cycles] = ~(moduli(done.jacobian) > 1 + NEUTRAL) | on_it
        return fine

    def last(self, state: Any, at: Int[np.ndarray, " m"]) -> None:
        """Chaotic and quasi-periodic attractors of those that did not settle.

        Args:
            state: the last states of all points.
            at: the flat indices of those that are still open.
        """
        s = self.p.stepper
        if not len(at) or s.clocked:
            return
        for first, place in self.grounds:  # found before
            here = visits(s, take(state, at), self.p.coefficients(at), place)
            self.lives[at[here >= 0]] = first + here[here >= 0]
            at = at[here < 0]
            if not len(at):
                return
        c = self.p.coefficients(at)
        found = motions(s, take(state, at), c, self.p.scale)
        if self.catalogue is None or self.catalogue.full:
            for kind, name in KINDS.items():
                these = np.flatnonzero(found.kind == kind)
                if kind == QUASIPERIODIC and len(these):
                    these = these[filling(s, take(found.state, these), pick(c, these))]
                own = at[these]
                if len(own):
                    self.lives[own] = len(self.lasting)
                    self.lasting.append(Attractor(name))
            return
        lasts = found.kind != NEITHER
        if not lasts.any():
            return
        z, kind = take(found.state, lasts), found.kind[lasts]
        picked, place = places(s, z, c, kind)
        first = len(self.lasting)
        here = visits(s, z, c, place)
        number = np.where(picked >= 0, picked, here)
        self.lives[at[lasts]] = np.where(number >= 0, first + number, -1)
        self.grounds.append((first, place))
        for g, orbit in enumerate(place.orbits):
            own = np.flatnonzero(lasts)[picked == g]
            if found.kind[own[0]] == QUASIPERIODIC and not fills(orbit):
                self.lasting.append(None)
                continue
            numbers = (found.exponent, found.low, found.high)
            exponent = tuple(float(a[own].mean()) for a in numbers)
            x = np.moveaxis(read(s, "output", orbit, c), -1, 0)
            named = {
                n: np.moveaxis(np.asarray(a), -1, 0) for n, a in zip(s.blocks, orbit, strict=False)
            }
            self.lasting.append(
                Attractor(KINDS[int(found.kind[own[0]])], None, x, named, exponent=exponent)
            )

    def labels(
        self, verdict: np.ndarray, period: np.ndarray, state: Any
    ) -> tuple[np.ndarray, tuple[Attractor, ...]]:
        """Labels and attractors, in an order of their own."""
        if self.catalogue is not None and not self.catalogue.full:
            found = list(self.catalogue.found)
            label = np.where(verdict == SETTLED, self.label, -1)
        else:
            label, found = self._families(verdict == SETTLED, period, state)
        for i, a in enumerate(self.lasting):
            if a is None:
                continue
            label[self.lives == i] = len(found)
            found.append(a)
        for kind, code in (("diverges", DIVERGES), ("undefined", UNDEFINED)):
            if (verdict == code).any():
                label[verdict == code] = len(found)
                found.append(Attractor(kind))
        used = [i for i in range(len(found)) if (label == i).any()]
        ranked = sorted(used, key=lambda i: found[i].order)
        new = np.full(len(found) + 1, -1)
        new[ranked] = np.arange(len(ranked))
        return new[label], told_apart([found[i] for i in ranked])

    def _families(
        self, settled: np.ndarray, period: np.ndarray, state: Any
    ) -> tuple[np.ndarray, list[Attractor]]:
        """Fixed points by place (if they are few), everything else by period alone."""
        flow = self.p.stepper.rates is not None
        known = self.period.copy()
        if self.catalogue is not None:
            for i, a in enumerate(self.catalogue.found):
                known[self.label == i] = a.period or 0.0
        label = np.full(self.p.count, -1)
        found: list[Attractor] = []
        fixed = settled & (known <= (0 if flow else 1))
        if self.places and self.catalogue is None:
            self._by_place(fixed, state, label, found)
        if fixed.any() and not found:
            label[fixed] = 0
            found.append(Attractor("fixed point", None if flow else 1.0))
        moving = settled & ~fixed
        if flow and moving.any():
            label[moving] = len(found)
            found.append(Attractor("limit cycle"))
        elif not flow:
            for q in np.unique(known[moving]).tolist():
                label[moving & (known == q)] = len(found)
                found.append(Attractor("cycle", q))
        return label, found

    def _by_place(
        self, fixed: np.ndarray, state: Any, label: np.ndarray, found: list[Attractor]
    ) -> None:
        at = np.flatnonzero(fixed)
        if not len(at):
            return
        c = self.p.coefficients(at)
        out = read(self.p.stepper, "output", take(state, at), c)
        shape = out.shape[:-1]
        x = np.asarray(out).reshape(-1, len(at))
        left = np.ones(len(at), bool)
        while left.any():
            if len(found) >= self.most:
                label[at] = -1
                found.clear()
                return
            centre = x[:, int(np.argmax(left))]
            near = left & (np.abs(x - centre[:, None]).max(0, initial=0.0) <= 1e-4 * self.p.scale)
            label[at[near]] = len(found)
            place = np.median(x[:, near], axis=1).reshape(1, *shape)
            place = np.where(np.abs(place) <= 1e-9 * self.p.scale, 0.0, place)
            found.append(Attractor("fixed point", None if self.p.stepper.rates else 1.0, place))
            left &= ~near
