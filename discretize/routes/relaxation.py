"""Consensus-based optimization as a relaxation of gradient descent, relation by relation.

CBO -> consensus hopping -> minimizing movement -> gradient descent with noise. What is exact is an identity in
any dimension or in one mode of a quadratic; what is asymptotic is an expansion whose coefficients are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ..._support.citations import short_reference
from ..._support.errors import unknown
from ...dynamics.algebra.calculus import substitute
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Expr, Vector, inner
from ...dynamics.stochastic.gaussians import polynomial_terms
from ...dynamics.stochastic.processes import generator
from ..faces import Algorithm, Derivation
from ..library.consensus import cbo as cbo_method
from ..library.consensus import consensus_hopping as hopping_method
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from ..weak.step_moments import step_map
from .notation import RELAXATION
from .relaxation_hopping import chain, noise, point, step_with_noise, x

h = STEP
lam, sigma, alpha, s, tau, d = parameters("lam sigma alpha s tau d")
mean, variance, spread, met = sp.symbols("mean variance spread m", real=True)
PROVENANCE = (
    "Reconstructed: the chain is that of the abstract and of the authors' code of arXiv:2306.09778, whose body was "
    "not available; the error terms are this package's own. Convention: the hopping law has the standard deviation s "
    "in every coordinate, and tau is alpha times its square. Not machine-checked, and cited only: the bound on the "
    "remainder that holds with high probability, the mean-field limit and global convergence."
)


def _mean_field(method: Algorithm) -> Step:
    system = method.bound
    (diffusion,) = [a for field in system.fields.values() for a in field.noise.values()]
    away = x - point
    anisotropic = isinstance(diffusion.amplitude, Vector)
    size: Expr = away * sigma if anisotropic else sigma * sp.sqrt(inner(away, away))
    return Step(
        "Mean-field equation",
        r"Each particle is drawn to the consensus point $m$ of the law of all, the mean of $x$ with the weights "
        r"$e^{-\alpha f(x)}$, and shaken in proportion to its distance from it: $dX = X' dt + S\, dW$. $\alpha$ is "
        r"large, so that $m$ lies near the best particles; only values of $f$ enter.",
        (Claim("x'", x * -lam + point * lam, r"\dot{x}"), Claim("S", size)),
        lambda c: {
            "x' is the sum of the fields": Equation(system.drift[x], c["x'"]),
            "S is the amplitude of the noise": Equation(diffusion.amplitude, c["S"]),
        },
        reference=" and ".join(map(short_reference, system.references)),
    )


def _euler_maruyama(method: Algorithm) -> Step:
    made = step_with_noise(method)
    return Step(
        "Discretization",
        r"Euler-Maruyama with the step $h$, $m$ that of the particles before the step and $\xi$ standard normal, "
        r"drawn for each of them.",
        (Claim("x+", made, "x^+"),),
        lambda c: {
            "drift of the system, the mean over xi and -xi": Equation(
                (c["x+"] + substitute(c["x+"], {noise: -noise})) * sp.Rational(1, 2),
                x + method.bound.drift[x] * h,
            ),
            "x+ of the program": Equation(made, c["x+"]),
        },
        reference="Kloeden and Platen 1992, 10.2",
    )


def _moved(method: Algorithm, n: int) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Mean and variance of the first of n coordinates after a step, given m, and the spread before it.

    Over any law of the particles whose coordinates have a mean and a variance each; the step is exact.
    """
    step = step_map(method, n)
    centre = _centre(step.after, n)
    law = [
        (mean, variance),
        *(sp.symbols(f"mean_{j} variance_{j}", real=True) for j in range(2, n + 1)),
    ]
    held = dict(zip(centre, [met, *sp.symbols(f"m_2:{n + 1}", real=True)], strict=True))

    def over_the_law(e: sp.Expr) -> sp.Expr:
        total = sp.S.Zero
        for powers, c in polynomial_terms(e, step.state).items():
            moments = [(1, m, v + m**2)[k] for k, (m, v) in zip(powers, law, strict=True)]
            total += c * sp.Mul(*moments)
        return sp.expand(total.xreplace(held))

    first = over_the_law(step.mean(step.state[0]))
    second = over_the_law(step.mean(step.state[0] ** 2))
    gaps = zip(law, held.values(), strict=True)
    return first, sp.expand(second - first**2), sp.Add(*[v + (m - c) ** 2 for (m, v), c in gaps])


def _moments(method: Algorithm, isotropic: bool) -> Step:
    """The exact moments of one step, and when it contracts in mean square."""
    count = d if isotropic else sp.S.One

    # formulas in the dimension are compared with the exact moments in dimensions 1 to 3
    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        equations = {}
        for n in (1, 2) if isotropic else (1,):
            first, second, before = _moved(method, n)
            equations[f"mean of a coordinate, d = {n}"] = Equation(first, c["mean+"])
            equations[f"variance of a coordinate, d = {n}"] = Equation(
                second, substitute(c["variance+"], {spread: before})
            )
        for n in (1, 2, 3):
            step = step_map(method, n)
            centre = _centre(step.after, n)
            gap = sp.Add(*[(p - q) ** 2 for p, q in zip(step.state, centre, strict=True)])
            factor = substitute(c["q"], {d: sp.Integer(n)})
            equations[f"E |x+ - m|^2 for d = {n}"] = Equation(
                sp.expand(step.mean(gap)), sp.expand(gap) * factor
            )
            rate = substitute(c["r"], {d: sp.Integer(n)})
            moved = sp.expand(generator(method.bound, gap, n))
            equations[f"L |x - m|^2 for d = {n}"] = Equation(moved, sp.expand(gap) * rate)
        return equations

    what = (
        r"$\mathrm{spread} = E|X - m|^2$, the same for all coordinates"
        if isotropic
        else r"$\mathrm{spread} = E(X_j - m_j)^2$, each coordinate by itself"
    )
    return Step(
        "Moments of one step",
        rf"Given $m$, mean and variance of a coordinate of the particles after the step, with {what}. With "
        r"$V = |x - m|^2$ and $m$ held, $E V^+ = q V$: the scheme contracts in mean square iff $q < 1$; the equation, "
        r"where $L V = r V$, iff $r < 0$. Exact for every $h$.",
        (
            Claim("mean+", (1 - lam * h) * mean + lam * h * met, r"\mathrm{mean}^+"),
            Claim("variance+", (1 - lam * h) ** 2 * variance + sigma**2 * h * spread, r"\mathrm{variance}^+"),
            Claim("q", (1 - lam * h) ** 2 + count * h * sigma**2),
            Claim("r", -2 * lam + count * sigma**2),
        ),
        check,
    )  # fmt: skip


def _centre(after: tuple[sp.Expr, ...], n: int) -> tuple[sp.Symbol, ...]:
    names = ["m_f"] if n == 1 else [f"m_f_{i + 1}" for i in range(n)]
    found = {p.name: p for e in after for p in e.free_symbols}
    return tuple(found[name] for name in names)


def _fresh(method: Algorithm) -> Step:
    """lam h = 1: the particles forget where they were."""
    made = step_with_noise(method)
    fresh = substitute(made, {lam: 1 / h})
    return Step(
        "Full relaxation",
        r"At $\lambda h = 1$ the drift puts every particle on $m$ and only the noise is left: $x^+ = m + "
        r"\eta$. For any other $\lambda$ what remains of the old place is exactly the gap: the term $|\lambda - "
        r"1/h|$ of the budget.",
        (
            Claim("eta", fresh - point, r"\eta"),
            Claim("gap", (x - point) * (1 - lam * h), r"\mathrm{gap}"),
        ),
        lambda c: {"x+ = m + eta + gap": Equation(made, point + c["eta"] + c["gap"])},
        "defect",
        reference=short_reference("riedl2023"),
    )


def _to_hopping(method: Algorithm, isotropic: bool) -> Step:
    fresh = substitute(step_with_noise(method), {lam: 1 / h})
    hop = step_with_noise(hopping_method())
    _, moved, before = _moved(method, 2 if isotropic else 1)
    what = r"|x - m|^2" if isotropic else r"\mathrm{diag}((x_j - m_j)^2)"
    return Step(
        "Consensus hopping",
        r"Replace the noise by one of constant width: $x^+ = m + s\xi$, drawn anew from $N(m, s^2 I)$ in every step, "
        "and the next point is the consensus point of that draw. The two differ by the change, whose size is the term "
        rf"$\sigma\sqrt{{h}}$ of the budget: the ensemble has the covariance $\sigma^2 h\,{what}$, averaged over the "
        r"particles, in the place of $s^2 I$, hence the step $\tau = \alpha\,\mathrm{variance}^+$ along a gradient "
        "that the next steps find.",
        (
            Claim(f"{x.name}+", hop, "x^+"),
            Claim("change", fresh - hop, r"\mathrm{change}"),
            Claim("tau", alpha * sigma**2 * h * spread, r"\tau"),
        ),
        lambda c: {
            "the program of consensus hopping": Equation(hop, c["x+"]),
            "CBO at lam h = 1": Equation(fresh, c["x+"] + c["change"]),
            "alpha times the variance at lam h = 1": Equation(
                alpha * moved.subs(lam, 1 / h), substitute(c["tau"], {spread: before})
            ),
        },
        "choice",
        reference=short_reference("riedl2023"),
    )


def cbo(noise: str = "isotropic") -> Derivation:
    """CBO -> consensus hopping -> minimizing movement -> gradient descent with noise.

    ``noise`` is "isotropic" or "anisotropic". Raises OdescentError for another.
    """
    if noise not in ("isotropic", "anisotropic"):
        raise unknown("noise of the relaxation", noise, ("isotropic", "anisotropic"))
    method, isotropic = cbo_method(noise=noise), noise == "isotropic"
    steps = (
        _mean_field(method), _euler_maruyama(method), _moments(method, isotropic), _fresh(method),
        _to_hopping(method, isotropic), *chain(),
    )  # fmt: skip
    return Derivation(
        "cbo", "relaxation",
        "Consensus-based optimization moves its consensus point as gradient descent with noise does, although it asks "
        "for values only: fully relaxed it is consensus hopping, which is a proximal step, which is a gradient step.",
        steps, method, provenance=PROVENANCE, references=(*method.system.references, "riedl2023"),
        notation=RELAXATION,
    )  # fmt: skip


def consensus_hopping() -> Derivation:
    """Consensus hopping -> minimizing movement -> gradient descent with noise."""
    method = hopping_method()
    return Derivation(
        "consensus_hopping", "relaxation",
        "Hopping to the consensus point of a Gaussian around the last one is a proximal step, and so a gradient step, "
        "with noise whose temperature the number of samples sets.",
        chain(), method, provenance=PROVENANCE, references=("riedl2023", "fornasier2026"),
        notation=RELAXATION,
    )  # fmt: skip
