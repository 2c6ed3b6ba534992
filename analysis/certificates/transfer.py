"""The transfer of a flow's certified rate to an algorithm: the share of exp(-r h) retained by a scheme with step h."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics import System
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.vector_fields.system import L as smoothness
from ...dynamics.vector_fields.system import mu as convexity
from .certificate import Certificate
from .flow import FlowCertificate, certify_flow
from .methods.plant import NoCertificate
from .searching.least import has_rate
from .worst_cases import certify

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...discretize import Algorithm, Scheme


@dataclass(frozen=True)
class TransferRow(Rendered):
    """One scheme at one step.

    Attributes:
        scheme: its name.
        h: the step.
        rho: the certified rate of the algorithm per step, 1 where none was found.
        decay: -ln(rho) / h, per unit of the flow's time; 0 where none was found.
        kept: decay over the flow's rate.
        certificate: the proof; None where there is none.
    """

    scheme: str
    h: float
    rho: float
    decay: float
    kept: float
    certificate: Certificate | None


@dataclass(frozen=True)
class Transfer(Rendered):
    """Certified rates of schemes over the step, beside the flow's.

    Attributes:
        flow: the flow's certificate.
        rows: by scheme, then step.
        largest: by scheme, the largest step with a certified rate below 1, to 3 digits (in floats); infinite where a
            step of ``reach`` still has one, 0 where none has.
    """

    flow: FlowCertificate
    rows: tuple[TransferRow, ...]
    largest: Mapping[str, float]

    @property
    def best(self) -> dict[str, TransferRow]:
        """By scheme, the row with the least rate per step."""
        found: dict[str, TransferRow] = {}
        for row in self.rows:
            if row.scheme not in found or row.rho < found[row.scheme].rho:
                found[row.scheme] = row
        return found

    def __str__(self) -> str:
        width = max(len(row.scheme) for row in self.rows)
        lines = [
            f"flow: rate {self.flow.rate:.6g}",
            f"{'scheme':{width}}  {'h':>9}  {'rho':>11}  {'-ln rho / h':>11}  {'kept':>7}",
        ]
        for r in self.rows:
            if r.certificate is None:
                lines.append(f"{r.scheme:{width}}  {r.h:9.4g}  {'none':>11}  {'':>11}  {'':>7}")
            else:
                lines.append(
                    f"{r.scheme:{width}}  {r.h:9.4g}  {r.rho:11.8f}  {r.decay:11.6f}  {r.kept:7.1%}"
                )
        for name, h in self.largest.items():
            row = self.best[name]
            fastest = (
                f"least rate {row.rho:.6g} at h = {row.h:.4g}" if row.certificate else "no rate"
            )
            lines.append(f"{name}: {fastest}; certified up to h = {h:.4g}")
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """-ln(rho) / h over h for each scheme, and the flow's rate."""
        from ..._support import style

        with style.context():
            ax = style.axes_or_new(ax, height_ratio=0.7)
            ax.set_xscale("log")
            ax.set_xlabel("step h")
            ax.set_ylabel("certified decay per unit of time")
            for name in self.largest:
                rows = [r for r in self.rows if r.scheme == name and r.certificate is not None]
                ax.plot([r.h for r in rows], [r.decay for r in rows], marker="o", ms=3, label=name)
            ax.axhline(self.flow.rate, color="0.4", lw=1, ls="--", label="flow")
            ax.legend(frameon=False)
        return ax


@checked
def rate_transfer(
    system: System,
    mu: object,
    L: object,
    schemes: Sequence[str | Scheme] | Mapping[str, Scheme],
    steps: Sequence[object],
    reach: float = 100.0,
) -> Transfer:
    """Certified rates of each scheme at each step and of the flow, over F(mu, L).

    Args:
        system: a system with a certified rate; see `certify`. Its parameters are numbers.
        mu, L: the class, 0 < mu < L, both finite.
        schemes: names of the registry, schemes, or schemes by the name they are to be shown with.
        steps: positive numbers; exact ones stay exact.
        reach: the largest step that is looked at for ``largest``, in units of 1 / L.

    Raises:
        OdescentError: input outside its domain, or a scheme that does not fit the system.
        NoCertificate: the flow has no certified rate.
    """
    from ...discretize import Algorithm
    from ...discretize.library.schemes import scheme as named
    from ...discretize.step.iteration import STEP

    try:
        sizes = [as_scalar(h) for h in steps]
    except (TypeError, ValueError):
        sizes = []
    if not sizes or any(not (h.is_number and h.is_positive) for h in sizes):
        raise OdescentError(f"steps must be positive numbers, at least one, not {list(steps)!r}.")
    flow = certify_flow(system, mu, L)
    given: Mapping[str, Any] = schemes if isinstance(schemes, Mapping) else {
        s if isinstance(s, str) else s.name: s for s in schemes
    }  # fmt: skip
    if not given:
        raise OdescentError("schemes must name at least one scheme.")
    rows, largest = [], {}
    for name, s in given.items():
        algorithm = Algorithm(system, named(s) if isinstance(s, str) else s, STEP)
        rows += [_row(name, algorithm, h, mu, L, flow.rate) for h in sizes]
        largest[name] = _largest(algorithm, mu, L, reach)
    return Transfer(flow, tuple(rows), largest)


def _memory(algorithm: Algorithm) -> int:
    """Steps of memory of the Lyapunov function: with many gradients a step, one is enough."""
    return 2 if algorithm.calls == 1 else 1


def _row(
    name: str, algorithm: Algorithm, h: sp.Expr, mu: object, L: object, flow: float
) -> TransferRow:
    try:
        found = certify(_at(algorithm, h), mu, L, steps=_memory(algorithm))
    except NoCertificate:
        return TransferRow(name, float(h), 1.0, 0.0, 0.0, None)
    decay = -math.log(found.rate) / float(h) if found.rate else math.inf
    return TransferRow(name, float(h), found.rate, decay, decay / flow, found)


def _at(algorithm: Algorithm, h: sp.Expr) -> Algorithm:
    return algorithm.bind({algorithm.step: h})


def _largest(algorithm: Algorithm, mu: object, L: object, reach: float) -> float:
    """By bisection: of these schemes, the steps with a rate below 1 are an interval from 0."""
    low_, high_ = float(as_scalar(mu)), float(as_scalar(L))
    view = algorithm.state_space()
    matrices = sp.lambdify(
        [algorithm.step, convexity, smoothness], [view.A, view.B, view.C, view.D], "numpy"
    )

    def works(h: float) -> bool:
        A, B, C, D = (np.asarray(m, dtype=float) for m in matrices(h, low_, high_))
        return has_rate((A, B, C, D), low_, high_, _memory(algorithm))

    low, high = 0.0, reach / high_
    if works(high):
        return math.inf
    start = 1e-2 / high_
    if not works(start):
        return 0.0
    low = start
    while high > low * (1 + 5e-4):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if works(middle) else (low, middle)
    return low
