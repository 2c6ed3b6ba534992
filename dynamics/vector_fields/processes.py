"""Driving processes of a field's noise: Wiener processes and compound Poisson processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.scalars import as_real
from ..algebra.vectors import Expr, Vector
from ..notation.show import latex, symbol_latex, text


@dataclass(frozen=True)
class Diffusion(Rendered):
    """Noise on one block: ``amplitude`` times the increment of the Wiener process ``process``.

    A scalar amplitude is isotropic noise, a vector amplitude acts element by element (diagonal). Every
    process has one component for each coordinate. Blocks of one kind that name the same process move by
    the same increment, their coordinates one by one, and so do fields; a vector and a scalar block never
    share one. Different names are independent: two processes on one block, give two fields each its own.
    """

    amplitude: Expr
    process: str = "W"

    def __post_init__(self) -> None:
        object.__setattr__(self, "amplitude", _amplitude(self.amplitude))

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All expressions in it."""
        return (self.amplitude,)

    def mapped(self, rule: Any) -> Diffusion:
        """With its expressions rewritten by ``rule``."""
        return replace(self, amplitude=rule(self.amplitude))

    def driver(self, as_latex: bool = False) -> str:
        """The name of the process that drives it, for people."""
        return symbol_latex(self.process) if as_latex else self.process


@dataclass(frozen=True)
class Jumps(Rendered):
    """Jumps of one block: ``amplitude`` times the increment of a compound Poisson process, in Ito's sense.

    The process is a Wiener process that is read on the clock of a Poisson process N of ``rate`` jumps in a unit of
    time: J_t = W(N_t), so that it jumps at random times, each time by a standard normal mark in every coordinate.
    Amplitudes and processes are those of `Diffusion`; blocks that name the same process jump at the same times by
    the same marks. The rate is a scalar, evaluated at the start of a step.

    The coordinates of a point jump at the same times. In an ensemble each particle has a clock of its own, or they all
    jump at the same times, by marks of their own, where it is ``common``; so have the rows of an array of several axes.
    """

    amplitude: Expr
    rate: sp.Expr
    process: str = "J"
    common: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "amplitude", _amplitude(self.amplitude))
        object.__setattr__(self, "rate", _rate(self.rate))

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All expressions in it."""
        return (self.amplitude, self.rate)

    def mapped(self, rule: Any) -> Jumps:
        """With its expressions rewritten by ``rule``."""
        return replace(self, amplitude=rule(self.amplitude), rate=rule(self.rate))

    def driver(self, as_latex: bool = False) -> str:
        """The name of the process that drives it, for people: J(rate)."""
        if as_latex:
            return rf"{symbol_latex(self.process)}^{{({latex(self.rate)})}}"
        return f"{self.process}({text(self.rate)})"


Noise: TypeAlias = Diffusion | Jumps


def common_clock(d: Noise) -> bool:
    """Whether all particles of an ensemble jump at the same times."""
    return isinstance(d, Jumps) and d.common


def _amplitude(given: object) -> Expr:
    if isinstance(given, Vector):
        return given
    try:
        return as_real(given)
    except TypeError as error:
        raise OdescentError(
            f"the amplitude of noise must be a scalar or a vector: {error}"
        ) from None


def _rate(given: object) -> sp.Expr:
    try:
        rate = as_real(given)
    except TypeError as error:
        raise OdescentError(f"the rate of jumps must be a scalar expression: {error}") from None
    if rate.is_negative or rate.is_real is False or rate.is_finite is False:
        raise OdescentError(f"the rate of jumps must be a finite number, at least 0, not {rate}.")
    return rate
