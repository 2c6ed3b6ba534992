"""Parameters of consensus hopping and CBO from a given step and temperature.

The formulas are read off the checked steps of `odescent derive cbo` and off the moments of the scheme itself; what
is solved for is solved by SymPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, unknown
from ..._support.numbers import check_whole
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...discretize.library import algorithm
from ...discretize.routes.relaxation_hopping import chain
from ...discretize.weak.step_moments import step_map

NOISES = ("isotropic", "anisotropic", "constant")
SAMPLES = 100.0  # effective samples by default: the consensus point then errs by a tenth of the cloud's width


@dataclass(frozen=True)
class Parameters(Rendered):
    """Parameters of `consensus_hopping` (alpha, s) or `cbo` (alpha, lam, sigma, h), and the number of particles.

    Attributes:
        alpha, s, particles: tau = alpha s^2 and N.
        lam, sigma, h: of CBO; lam h = 1, where it is hopping but for the law of the noise.
        spread: E|X - m|^2 for which the step of CBO is tau; it decreases with the particles.
        step, temperature, ess: tau, 1 / (2 alpha N), and N times the share that the weights leave.
        contraction: E|X+ - m|^2 / E|X - m|^2 of a step of CBO with m held.
        stable: whether that is below 1: the scheme contracts in mean square.
        formulas: by the name of the result, as text.
    """

    alpha: float
    s: float
    particles: int
    lam: float
    sigma: float
    h: float
    spread: float
    step: float
    temperature: float
    ess: float
    contraction: float
    stable: bool
    formulas: dict[str, str] = field(default_factory=dict)

    def _headline(self) -> str:
        size = f"{self.particles} particles, alpha = {self.alpha:.4g}, lam = {self.lam:.4g}, sigma = {self.sigma:.4g}"
        return f"{size}, h = {self.h:.4g}"

    def __str__(self) -> str:
        names = [n for n in self.__dataclass_fields__ if n not in ("stable", "formulas")]
        rows = [(n, f"{getattr(self, n):.6g}", self.formulas.get(n, "")) for n in names]
        lines = [f"{n:<12} {value:<12} {formula}".rstrip() for n, value, formula in rows]
        verdict = "contracts" if self.stable else "does not contract"
        return "\n".join([*lines, f"CBO {verdict} in mean square: stable iff contraction < 1."])


@checked
@lru_cache(maxsize=8)
def contraction(noise: str = "isotropic") -> sp.Expr:
    """E|X+ - m|^2 / |X - m|^2 of one step of CBO for fixed m, in h, lam, sigma and the dimension d, exactly.

    Read off the scheme's own map in one and in two dimensions, in between which it is affine in d. Raises
    OdescentError for constant noise, where the ratio depends on |X - m|.
    """
    if noise not in ("isotropic", "anisotropic"):
        raise unknown("noise that vanishes at the consensus point called", noise, NOISES[:2])
    method, ratios = algorithm("cbo", noise=noise), []
    for n in (1, 2):
        step = step_map(method, n)
        names = ["m_f"] if n == 1 else [f"m_f_{i + 1}" for i in range(n)]
        known = {p.name: p for e in step.after for p in e.free_symbols}
        gap = sp.Add(*[(a - known[c]) ** 2 for a, c in zip(step.state, names, strict=True)])
        ratios.append(sp.cancel(sp.expand(step.mean(gap)) / sp.expand(gap)))
    first, second = ratios
    d = sp.Symbol("d", positive=True)
    return sp.expand(first + (d - 1) * (second - first))


@lru_cache(maxsize=1)
def _claims() -> dict[str, sp.Expr]:
    """What the derivation claims, by name."""
    named = {step.title: {c.name: c.value for c in step.claims} for step in chain()}
    return {
        **named["Hopping with N samples is stochastic gradient descent"],
        **named["Its temperature"],
    }


@lru_cache(maxsize=2)
def _solved(noise: str) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """alpha from the share of effective samples, N from the temperature T, and sigma^2 from the contraction q."""
    claims = _claims()
    alpha, g, share, count, cold, q, square = sp.symbols("alpha g ess N T q square", positive=True)
    law = claims["ESS/N"].subs(sp.Symbol("g", real=True), g)
    (strength,) = sp.solve(sp.log(law).expand(force=True) - sp.log(share), alpha)
    (needed,) = sp.solve(1 / claims["beta"] - cold, count)
    h, lam, sigma = sp.symbols("h lam sigma", positive=True)
    full = contraction(noise).subs(lam, 1 / h).subs(sigma, sp.sqrt(square))
    (size,) = sp.solve(sp.expand(full) - q, square)
    return strength, needed, size


def _number(e: sp.Expr, **values: float) -> float:
    return float(e.subs({p: values[p.name] for p in e.free_symbols}))


def parameters(
    *,
    step: float,
    gradient_scale: float,
    dimension: int,
    temperature: float | None = None,
    particles: int | None = None,
    ess: float = 0.5,
    noise: str = "isotropic",
    h: float = 0.01,
    spread: float | None = None,
    contract: float = 0.9,
) -> Parameters:
    """Parameters of an ensemble that takes the gradient step tau = ``step`` at a temperature.

    Args:
        step: tau, the length of the step along the gradient; a proximal step where it is large.
        gradient_scale: a typical |grad f|, for instance the length of a move of the consensus point over tau.
        dimension: d.
        temperature: 1 / (2 alpha N) at most; the particles may have to be more for the effective sample size.
        particles: N, in the place of a temperature. With neither, as many as the effective sample size requires.
        ess: the effective sample size over N, between 0 and 1; it fixes alpha.
        noise: "isotropic" or "anisotropic".
        h: the step of CBO.
        spread: E|X - m|^2 at which CBO takes that step (with anisotropic noise, too, the sum over all coordinates).
        contract: where ``spread`` is not given, the factor by which a step of CBO multiplies E|X - m|^2, m held.

    Returns:
        All parameters, with the formulas that they follow from.

    Raises OdescentError for numbers out of their range, and for both a temperature and a number of particles.
    """
    _positive(
        step=step,
        gradient_scale=gradient_scale,
        h=h,
        spread=spread,
        temperature=temperature,
        contract=contract,
    )
    if not 0 < ess < 1:
        raise OdescentError(
            f"ess, the effective sample size over N, must be between 0 and 1, not {short(ess)}."
        )
    sizes: dict[str, object] = {"dimension": dimension, "particles": particles}
    for name, size in sizes.items():
        if size is not None:
            check_whole(name, size, 1)
    if temperature is not None and particles is not None:
        raise OdescentError(
            "give a temperature or a number of particles, not both: one fixes the other."
        )
    if noise not in NOISES[:2]:
        raise unknown("noise that vanishes at the consensus point called", noise, NOISES[:2])
    # the effective sample size fixes alpha, and the temperature then fixes the number of particles
    strength, needed, solved = _solved(noise)
    alpha = _number(strength, ess=ess, tau=step, g=gradient_scale)
    if particles is None:
        least = math.ceil(SAMPLES / ess)
        asked = 0.0 if temperature is None else _number(needed, alpha=alpha, T=temperature)
        particles = max(least, math.ceil(asked * (1 - 1e-12)))
    # with lam h = 1 a step ends at the consensus point up to noise; spread and sigma determine each other
    s, lam = math.sqrt(step / alpha), 1 / h
    coordinates = dimension if noise == "anisotropic" else 1  # that share the spread
    if spread is None:
        square = _number(solved, q=contract, h=h, d=dimension)
        spread = s**2 / (square * h) * coordinates
    else:
        square = s**2 * coordinates / (spread * h)
    # the contraction factor decides whether the ensemble keeps its spread
    sigma, ratio = math.sqrt(square), contraction(noise)
    factor = _number(ratio, h=h, lam=lam, sigma=sigma, d=dimension)
    return Parameters(
        alpha, s, particles, lam, sigma, h, float(spread), step, 1 / (2 * alpha * particles),
        ess * particles, factor, factor < 1, _formulas(strength, needed, ratio, noise),
    )  # fmt: skip


def _formulas(strength: sp.Expr, needed: sp.Expr, ratio: sp.Expr, noise: str) -> dict[str, str]:
    shared = "E|X - m|^2" if noise == "isotropic" else "E|X - m|^2/d"
    return {
        "alpha": f"= {strength}, from ESS/N = {_claims()['ESS/N']}",
        "s": "= sqrt(tau/alpha)",
        "particles": f">= {needed} and >= {SAMPLES:.0f}/ess",
        "lam": "= 1/h",
        "sigma": f"from sigma^2 h {shared} = s^2",
        "temperature": "= 1/(2*N*alpha)",
        "ess": "effective samples, ess*N",
        "contraction": f"= {ratio}",
    }


def _positive(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise OdescentError(f"{name} must be a number more than 0, not {short(value)}.")
