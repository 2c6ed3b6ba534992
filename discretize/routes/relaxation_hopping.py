"""Relaxation of consensus hopping to noisy gradient descent: completed squares, Laplace's expansion, a Gaussian sum.

One mode of a quadratic, or one dimension with the derivatives f_1, f_2, ... of any f, where it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, substitute
from ...dynamics.algebra.named import taylor_terms
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol, inner
from ...dynamics.stochastic.consensus import laplace_mean, prox_expansion
from ...dynamics.stochastic.gaussians import normal_expectation
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.objective import Objective
from ..faces import Algorithm
from ..library import algorithm
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from ..weak.step_moments import step_map

x, xi = blocks("x xi")
noise: VectorSymbol = xi
h, f = STEP, Objective("f")
alpha, s, tau, d, N = parameters("alpha s tau d N")
curve = sp.Symbol("a", positive=True)  # of one mode of a quadratic
point = f.ensemble(x, alpha)
at, centre, y, t, slope = sp.symbols("x c y t g", real=True)
Claims = Mapping[str, Any]


def step_with_noise(method: Algorithm) -> Vector:
    """One step on the block x as a vector, with calls written out and the first draw called xi."""
    flat = method.tuned.inlined()
    known: dict[Symbol, Expr] = {c.target: c.as_call() for c in flat.calls}
    known |= dict(zip((i.target for i in flat.draws), (noise,), strict=False))
    made = substitute(flat.next[x], known)
    assert isinstance(made, Vector)
    return made


def chain() -> tuple[Step, ...]:
    """The steps from a hop to gradient descent with noise."""
    return (
        _quadratic(), _any_covariance(), _laplace(), _proximal(), _explicit(), _monte_carlo(),
        _temperature(), _few_samples(),
    )  # fmt: skip


def _quadratic() -> Step:
    """Completing the square: on quadratics a hop is the proximal step, for every alpha and every width."""
    width = s**2 / (1 + tau * curve)
    goal = (at + tau * curve * centre) / (1 + tau * curve)
    left = curve * (at - centre) ** 2 / (2 * (1 + tau * curve))

    def check(c: Claims) -> dict[str, Equation]:
        s2 = tau / alpha
        exponent = -alpha * curve * (y - centre) ** 2 / 2 - (y - at) ** 2 / (2 * s2)
        square = -((y - c["p"]) ** 2) / (2 * substitute(c["v"], {s: sp.sqrt(s2)})) - alpha * c["r"]
        prox = step_map(algorithm("minimizing_movement"), hessian=curve)
        moved = prox.after[0].subs({prox.state[0]: at, h: tau})
        return {
            "the weighted Gaussian is the Gaussian N(p, v)": Equation(exponent, square),
            "p solves the proximal step": Equation(curve * (c["p"] - centre) + (c["p"] - at) / tau),
            "p of the program of the minimizing movement": Equation(
                moved, substitute(c["p"], {centre: sp.S.Zero})
            ),
        }

    return Step(
        "Hopping is the minimizing movement, on quadratics",
        "With infinitely many samples the point after a hop from $x$ is the mean of the density proportional to "
        r"$\exp(-\alpha f(y) - (y - x)^2/(2 s^2))$. For $f = a (y - c)^2/2$, one mode of a quadratic, and $\tau = "
        r"\alpha s^2$ that is the Gaussian $N(p, v)$, whose mean is its mode: $p$ minimizes $f(y) + (y - "
        r"x)^2/(2\tau)$, the proximal step of length $\tau$, with no error at all, for every $\alpha$.",
        (Claim("p", goal), Claim("v", width), Claim("r", left)),
        check,
        assumes=r"$1 + \tau a > 0$ (else the density has no finite mass)",
    )


def _any_covariance() -> Step:
    """The same in any dimension, with any covariance of the samples: Hessians stand for the symmetric matrices."""
    p, u, c = blocks("p u c")
    law = Objective("law")

    def exponent(at: Vector) -> sp.Expr:
        bowl, around = at - c, at - x
        return -alpha * inner(bowl, f.hess(c, bowl)) / 2 - inner(around, law.hess(c, around)) / 2

    def check(q: Claims) -> dict[str, Equation]:
        apart = exponent(p + u) - exponent(p)
        return {"the exponent at p + u": Equation(apart, -q["form"] - inner(u, q["pull"]))}

    return Step(
        "In any dimension, for any covariance",
        r"With $f = \langle y - c, H (y - c)\rangle/2$, $H = \nabla^2 f$, and samples of covariance $B^{-1}$ around "
        r"$x$, $B = \nabla^2\mathrm{law}$, the exponent at $p + u$ is that at $p$ less the form and less the inner "
        r"product of $u$ and the pull. So the density is the Gaussian around the $p$ where the pull vanishes, $p = "
        r"x - \alpha B^{-1} H (p - c)$: the proximal step in the metric of the samples. For CBO, whose particles "
        r"have the covariance $C$, the step is preconditioned: $\alpha C$.",
        (
            Claim("pull", f.hess(c, p - c) * alpha + law.hess(c, p - x), r"\mathrm{pull}"),
            Claim("form", inner(u, f.hess(c, u) * alpha + law.hess(c, u)) / 2, r"\mathrm{form}"),
        ),
        check,
        assumes=r"$B + \alpha H > 0$",
    )  # fmt: skip


def _laplace() -> Step:
    """The two first corrections for large alpha, checked by the identities of integration by parts."""
    k, d3, d4, d5 = sp.symbols("k d_3 d_4 d_5", real=True)
    phi = sp.Function("Phi", real=True)(y)
    names = dict(zip((sp.diff(phi, y, n) for n in (2, 3, 4, 5)), (k, d3, d4, d5), strict=True))
    first, second = (e[0].xreplace(names) for e in laplace_mean(phi, [y], 2))
    fourth = 3 / k**2
    third = -5 * d3 / (2 * k**3)
    spread = (5 * d3**2 / (4 * k**3) - d4 / (2 * k**2)) / k

    def check(c: Claims) -> dict[str, Equation]:
        """E z^j Phi'(z) = (j/alpha) E z^(j - 1), at each power of 1/alpha; E z^2 begins with 1/(alpha k)."""
        m1, m2, v2, w2, u2 = (c[n] for n in ("m_1", "m_2", "v_2", "w_2", "u_2"))
        v1 = 1 / k
        half, sixth = sp.Rational(1, 2), sp.Rational(1, 6)
        return {
            "E Phi' = 0 at 1/alpha": Equation(k * m1 + half * d3 * v1),
            "E Phi' = 0 at 1/alpha^2": Equation(
                k * m2 + half * d3 * v2 + sixth * d4 * w2 + d5 * u2 / 24
            ),
            "E z Phi' = 1/alpha at 1/alpha^2": Equation(k * v2 + half * d3 * w2 + sixth * d4 * u2),
            "E z^2 Phi' = 2 E z/alpha at 1/alpha^2": Equation(k * w2 + half * d3 * u2, 2 * m1),
            "E z^3 Phi' = 3 E z^2/alpha at 1/alpha^2": Equation(k * u2, 3 * v1),
        }

    return Step(
        "Laplace's expansion",
        r"For any smooth $f$ the mean is the proximal point $y$ and corrections: $\Phi = f + (\cdot - x)^2/(2\tau)$ "
        r"has the derivatives $0, k, d_3, d_4, d_5$ at $y$, $k = f''(y) + 1/\tau$, and with $z$ the distance from "
        r"$y$, $E z = m_1/\alpha + m_2/\alpha^2 + O(\alpha^{-3})$, $E z^2 = 1/(\alpha k) + v_2/\alpha^2$, $E z^3 = "
        r"w_2/\alpha^2$ and $E z^4 = u_2/\alpha^2$ up to $O(\alpha^{-3})$. In $d$ dimensions $m_1 = -\frac{1}{2} "
        r"K\, D^3 f(y){:}K$ with $K = (\nabla^2 f(y) + I/\tau)^{-1}$. This is the Laplace term of the budget, "
        r"of order $\tau^2/\alpha$ for smooth $f$ and $\sqrt{\tau/\alpha}$ for any.",
        (
            Claim("m_1", first), Claim("m_2", second), Claim("v_2", sp.expand(spread)), Claim("w_2", third),
            Claim("u_2", fourth),
        ),
        check,
        assumes=r"one nondegenerate minimizer $y$",
        reference="Wong 2001, IX",
    )  # fmt: skip


def _proximal() -> Step:
    """The proximal step in powers of tau, in any dimension."""
    _, one, two, three = prox_expansion(f.grad, x, 3)

    def check(c: Claims) -> dict[str, Equation]:
        moved = x + c["p_1"] * tau + c["p_2"] * tau**2 + c["p_3"] * tau**3
        terms = taylor_terms(moved + f.grad(moved) * tau - x, tau, 3)
        return {f"y + tau grad f(y) = x at tau^{n}": Equation(terms[n]) for n in (1, 2, 3)}

    return Step(
        "The minimizing movement is a gradient step",
        r"The proximal point is $y = x + \tau p_1 + \tau^2 p_2 + \tau^3 p_3 + O(\tau^4)$, in any dimension: implicit "
        r"and explicit Euler agree to first order, which is the term $O(\tau)$ of the budget.",
        (Claim("p_1", one), Claim("p_2", two), Claim("p_3", three)),
        check,
    )


def _explicit() -> Step:
    """Hopping minus gradient descent, to second order in tau."""
    f1, f2, f3, f4 = sp.symbols("f_1 f_2 f_3 f_4", real=True)

    def check(c: Claims) -> dict[str, Equation]:
        bent = f3 - tau * f1 * f4  # the third derivative at y, as far as it matters
        curved = f2 - tau * f1 * f3
        proximal = -tau * f1 + tau**2 * f1 * f2
        hop = proximal - bent * tau**2 / (2 * alpha * (1 + tau * curved) ** 2)
        terms = taylor_terms(hop + tau * f1, tau, 2)
        return {
            "no difference at tau^0": Equation(terms[0]),
            "nor at tau^1": Equation(terms[1]),
            "at tau^2": Equation(terms[2], c["e_2"]),
        }

    return Step(
        "Hopping is gradient descent",
        r"Both together: with infinitely many samples a hop is $x - \tau f'(x) + e_2\tau^2 + O(\tau^3)$, where "
        r"$f_1, f_2, f_3, f_4$ are the derivatives of $f$ at $x$; in $d$ dimensions "
        r"$e_2 = \nabla^2 f\,\nabla f - \nabla\Delta f/(2\alpha)$.",
        (Claim("e_2", f1 * f2 - f3 / (2 * alpha)),),
        check,
    )


def _monte_carlo() -> Step:
    """The sampling error of N samples, by sums of Gaussians: exact for linear f to the order 1/N."""
    share = sp.exp(-alpha * tau * slope**2)
    size = sp.exp(alpha * tau * slope**2) * (d * tau / alpha + tau**2 * slope**2)

    def check(c: Claims) -> dict[str, Equation]:
        total = sp.exp(t * at + t**2 * tau / alpha / 2)  # E e^(t v) for v ~ N(x, tau/alpha)
        one, two = {t: -alpha * slope}, {t: -2 * alpha * slope}
        level, rise, bend = (sp.diff(total, t, n) for n in range(3))
        mass = level.subs(one)
        mean = c["m"]
        around = bend.subs(two) - 2 * mean * rise.subs(two) + mean**2 * level.subs(two)
        across = (d - 1) * tau / alpha * level.subs(two)
        return {
            "m = E v w / E w": Equation(rise.subs(one), mean * mass),
            "(E w)^2 = ESS/N E w^2": Equation(mass**2, c["ESS/N"] * level.subs(two)),
            "E w^2 |v - m|^2 = c (E w)^2": Equation(around + across, c["c"] * mass**2),
        }

    return Step(
        "Hopping with N samples is stochastic gradient descent",
        r"The consensus point of $N$ samples is a quotient of means: it errs by $\sqrt{c/N}$ with $c = E w^2 |v - "
        r"m|^2 / (E w)^2$, to first order in $1/N$. For $f$ linear over the samples, with the slope $g$ and $w = "
        r"e^{-\alpha f}$, $m = x - \tau g$ is the gradient step and $c$ is as given; the effective sample size is "
        r"$N$ times the share ESS$/N$. So $N$ has to be large against $e^{\alpha\tau|g|^2}$.",
        (
            Claim("m", at - tau * slope), Claim("c", size),
            Claim("ESS/N", share, r"\mathrm{ESS}/N"),
        ),
        check,
        assumes=r"$N$ large against $e^{\alpha\tau|g|^2}$; $f$ linear over the width $s$",
    )  # fmt: skip


def _temperature() -> Step:
    """The noise for even weights, which is that of Langevin dynamics, and of SGD."""

    def check(c: Claims) -> dict[str, Equation]:
        step = x - f.grad(x) * tau + noise * c["sd"]
        langevin = step_with_noise(algorithm("unadjusted_langevin"))
        heat = langevin + f.grad(x) * (h - c["beta"] * h)  # the program's objective is beta f
        sgd = step_with_noise(algorithm("sgd"))
        sigma = next(p for p in algorithm("sgd").parameters if p.name == "sigma")
        return {
            "Langevin dynamics of beta f with the step tau/beta": Equation(
                substitute(heat, {h: tau / c["beta"]}), step
            ),
            "SGD with the learning rate tau": Equation(
                substitute(sgd, {h: tau, sigma: c["error"]}), step
            ),
            "c as g -> 0, over d N": Equation(tau / alpha / N, c["sd"] ** 2),
        }

    return Step(
        "Its temperature",
        r"Where $\alpha\tau|g|^2$ is small the weights are nearly even, $c = d s^2 = d\tau/\alpha$, and a hop is $x "
        r"- \tau \nabla f(x) + \mathrm{sd}\,\xi$: the unadjusted Langevin algorithm at the inverse temperature "
        r"$\beta$, and stochastic gradient descent at the learning rate $\tau$ with gradients that err by error in "
        r"each coordinate.",
        (
            Claim("sd", sp.sqrt(tau / (alpha * N)), r"\mathrm{sd}"),
            Claim("beta", 2 * alpha * N, r"\beta"),
            Claim("error", 1 / sp.sqrt(alpha * tau * N), r"\mathrm{error}"),
        ),
        check,
        assumes=r"$\alpha\tau|g|^2$ small",
    )


def _few_samples() -> Step:
    """Mean and variance of a hop with any number of samples, for small widths."""

    # expand the hop in its width, then take expectations over the draws; a formula in N is compared at N = 2, 3
    def check(c: Claims) -> dict[str, Equation]:
        equations = {}
        for n in (2, 3):
            drawn = sp.symbols(f"xi_1:{n + 1}", real=True)
            weights = [sp.exp(-alpha * slope * s * z) for z in drawn]
            total = sp.Add(*[s * z * w for z, w in zip(drawn, weights, strict=True)])
            hop = total / sp.Add(*weights)
            terms = [e if isinstance(e, sp.Expr) else sp.S.Zero for e in taylor_terms(hop, s, 2)]
            mean = normal_expectation(sp.expand(terms[2]), drawn)
            square = normal_expectation(sp.expand(terms[1] ** 2), drawn)
            many = {N: sp.Integer(n)}
            shift = substitute(c["mean"], many)
            equations[f"mean, N = {n}"] = Equation(s**2 * mean, shift)
            equations[f"variance, N = {n}"] = Equation(
                s**2 * square, substitute(c["variance"], many)
            )
        # the gradient step, which Langevin dynamics of beta f makes with the step ratio/beta
        ratio = -c["mean"] / slope
        return {
            **equations,
            "2 steps / beta = variance": Equation(2 * ratio, c["beta"] * c["variance"]),
        }

    return Step(
        "Its temperature with few samples",
        r"As the width $s$ tends to 0 the move of a hop has the mean and the variance, in each coordinate, that are "
        r"given up to $O(s^3)$, for every number $N \ge 2$ of samples: the sample takes part in its own mean. So "
        r"the step is $\tau (1 - 1/N)$ and the inverse temperature $\beta$, which $2\alpha N$ approximates. The "
        r"identities are checked for two and three samples.",
        (
            Claim("mean", -alpha * s**2 * slope * (N - 1) / N, r"\mathrm{mean}"),
            Claim("variance", s**2 / N, r"\mathrm{variance}"),
            Claim("beta", 2 * alpha * (N - 1), r"\beta"),
        ),
        check,
        "finding",
    )
