"""Acceleration dynamics, claim 2: the role of each term of Nesterov's method, and the effect of its removal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_least, at_most, exactly, near
from ..drawing import draw_table, legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2509.18346, abstract; reconstructed"
# Certified rates of alpha = 1/L and Nesterov's beta with the correction a/h = 0, 1/4, ..., 1 by the two-step LMI.
_PUBLISHED = {
    10: (0.827477, 0.798628, 0.777549, 0.762513, 0.751821),
    25: (0.909216, 0.879147, 0.862901, 0.854927, 0.849622),
    100: (0.981143, 0.946944, 0.932624, 0.929725, 0.927934),
}


@dataclass(frozen=True)
class Variant:
    """Nesterov's method, or the same with one part taken away."""

    label: str
    term: str
    role: str
    algorithm: od.Algorithm
    stored: int = 1  # b in the energy b f + |psi|^2 / 2


def variants() -> dict[str, Variant]:
    """The method as kick, Cayley damping and drift of the passive flow, whole and without each part."""
    import sympy as sp

    from ...dynamics import L, mu

    K, a, b, h = od.parameters("K a b h")
    whole = [("kick", "explicit"), ("damp", "cayley"), ("drift", "explicit")]
    euler = [("kick", "explicit"), ("damp", "explicit"), ("drift", "explicit")]

    damping = 2 * sp.sqrt(mu)

    def made(
        feed: Any = h, gain: Any = damping, back: Any = 1, scheme: Any = whole
    ) -> od.Algorithm:
        system = od.system("passive").bind({K: gain, b: back})
        system = system if feed is h else system.bind({a: feed})
        chosen = od.scheme("explicit_euler") if scheme is None else od.scheme("lie_trotter", scheme)
        where = {a: h} if feed is h else {}
        return od.Algorithm(system, chosen, h, where=where, tuning={h: 1 / sp.sqrt(L)})

    rows: dict[str, Any] = {
        "whole": ("Nesterov's method", "all", "", made()),
        "feed": ("no feed-through", r"$-a\nabla f(y)$ in $\dot y$", "dissipates through the gradient;\nlook-ahead, "
                 "Hessian damping", made(feed=0)),
        "back": ("no interconnection", r"$-b\nabla f(y)$ in $\dot\psi$", "stores energy in the memory:\nacceleration",
                 made(back=0), 0),
        "damp": ("no damping", r"$-K\psi$ in $\dot\psi$", "empties the memory: attracts\nto the manifold",
              made(gain=0)),
        "cayley": ("damping by Euler's rule", "Cayley's rule", "puts both poles at $\\mu$\ntogether, at $1-q$",
              made(scheme=euler)),
        "order": ("simultaneous update", "memory before point",
                  "the point moves by the new\nmemory: keeps $L$ stable", made(scheme=None)),
    }  # fmt: skip
    return {name: Variant(*row) for name, row in rows.items()}


def _measured(variant: Variant, kappa: int) -> dict[str, Any]:
    """Spectral and certified rate, the flow's dissipation and the kind of its modes at mu and L."""
    from ...dynamics.algebra.calculus import derivative
    from ...dynamics.algebra.vectors import inner

    spectral = od.analysis.spectrum(variant.algorithm, 1, kappa)
    try:
        certified = float(od.analysis.certify(variant.algorithm, 1, kappa).rate)
    except od.analysis.NoCertificate:
        certified = float("inf")
    bound = variant.algorithm.bound
    symbols = {blk.name: blk.symbol for blk in bound.blocks}
    psi, y, f = symbols["psi"], symbols["y"], od.Objective("f")
    energy = variant.stored * f.value(y) + inner(psi, psi) / 2
    along = derivative(energy, bound.drift)
    values = {s.name: s for s in bound.parameters}
    numbers = {"mu": 1, "L": kappa, "h": kappa**-0.5}
    known = {s: numbers[n] for n, s in values.items() if n in numbers}
    g = f.grad(y)
    kinds = []
    for lam in (1, kappa):
        roots = np.linalg.eigvals(np.array(bound.linearize(lam).subs(known).evalf(), float))
        kinds.append("focus" if abs(roots.imag).max() > 1e-9 else "node")
    return {
        "spectral": spectral.rate,
        "certified": certified,
        "curvatures": spectral.curvatures,
        "radius": spectral.radius,
        "loses": [_coefficient(along, inner(g, g), known), _coefficient(along, inner(psi, psi), known)],
        "kinds": kinds,
    }  # fmt: skip


def _coefficient(expression: Any, term: Any, known: Mapping[Any, Any]) -> float:
    import sympy as sp

    return float(sp.expand(expression).coeff(term).subs(known))


def compute_term_table(kappa: int) -> Result:
    """Rates, dissipation and portrait of Nesterov's method without each of its parts."""
    found = {name: _measured(v, kappa) for name, v in variants().items()}
    q = kappa**-0.5
    claims = (
        Claim("Whole: the rate on quadratics is 1 - sqrt(mu/L).", near(1 - q, relative=1e-9),
              found["whole"]["spectral"]),
        Claim("Whole: its certified rate is no more than the classical sqrt(1 - sqrt(mu/L)).",
              at_most((1 - q) ** 0.5), found["whole"]["certified"], "Nesterov 2004"),
        Claim("Without feed-through the certified rate is worse, by how much.",
              above(0), found["feed"]["certified"] - found["whole"]["certified"], SOURCE),
        Claim("Without feed-through the flow dissipates nothing through the gradient: |grad f|^2 in E'.",
              near(0, absolute=1e-12), found["feed"]["loses"][0], SOURCE),
        Claim("With it, a b |grad f|^2 is dissipated at a = h.", near(-q, relative=1e-9), found["whole"]["loses"][0],
              SOURCE),
        Claim("Without interconnection nothing is accelerated: the rate is gradient descent's 1 - mu/L.",
              near(1 - 1 / kappa, relative=1e-9), found["back"]["spectral"], SOURCE),
        Claim("Without interconnection no mode oscillates: kinds at mu and L.",
              exactly("node, node"), ", ".join(found["back"]["kinds"]), SOURCE),
        Claim("Without damping the rate is sqrt(1 - mu/L).", near((1 - 1 / kappa) ** 0.5, relative=1e-9),
              found["damp"]["spectral"]),
        Claim("With both moved at once the mode at L does not contract: its modulus.",
              at_least(1 - 1e-9), float(found["order"]["radius"][-1]), SOURCE),
        Claim("With Euler's damping the two poles at mu are no longer one: the rate is worse, by how much.",
              above(0), found["cayley"]["spectral"] - found["whole"]["spectral"], SOURCE),
    )  # fmt: skip
    columns = ["variant", "term", "role", "rate on quadratics", "certified rate", "|grad f|^2 in E'", "|psi|^2 in E'",
               "mode mu", "mode L"]  # fmt: skip
    rows = [
        [v.label, v.term, v.role, m["spectral"], m["certified"], *m["loses"], *m["kinds"]]
        for v, m in zip(variants().values(), found.values(), strict=True)
    ]
    return Result({"kappa": kappa, "table": {"columns": columns, "rows": rows}}, claims)


def compute_terms(
    kappa: int, hard: int, shares: list[float], points: list[int], steps: int
) -> Result:
    """Spectra and runs of Nesterov's method without each of its terms; certified rates with part of the feed-through.

    Args:
        kappa: the condition number of the spectra.
        hard: the condition number of the runs.
        shares: of the feed-through a/h that are kept.
        points: condition numbers of the certified rates.
        steps: number of iterations.
    """
    claims = []
    sweep = {str(k): [_corrected(k, s) for s in shares] for k in points}
    for k in points:
        for share, value in zip(shares, sweep[str(k)], strict=True):
            if k in _PUBLISHED and (4 * share).is_integer():
                goal = _PUBLISHED[k][int(4 * share)]
                claims.append(Claim(f"kappa = {k}, a/h = {share:g}: certified rate.", near(goal, absolute=3e-6), value,
                                    "two-step LMI, computed independently"))  # fmt: skip
        claims.append(Claim(f"kappa = {k}: more feed-through, up to a = h, never certifies worse: largest rise.",
                            at_most(0), float(np.diff(sweep[str(k)]).max()), SOURCE))  # fmt: skip
    spectra = {n: od.analysis.spectrum(v.algorithm, 1, kappa) for n, v in variants().items()}
    runs = _runs(hard, steps)
    for n, v in variants().items():
        if n in ("feed", "back", "damp"):  # worst cases need not show on one function
            claims.append(Claim(
                f"{v.label}: behind Nesterov's method after {steps} steps, kappa = {hard}: ratio of the gaps.",
                above(1), float(runs[n][-1] / max(runs["whole"][-1], 1e-16)), SOURCE))  # fmt: skip
    data = {
        "kappa": kappa, "hard": hard, "shares": np.array(shares), "sweep": sweep, "runs": runs,
        "spectra": {n: {"curvatures": s.curvatures, "radius": s.radius} for n, s in spectra.items()},
        "labels": {n: v.label for n, v in variants().items()},
    }  # fmt: skip
    return Result(data, tuple(claims))


def _corrected(kappa: int, share: float) -> float:
    """The certified rate at alpha = 1/L, Nesterov's beta and the share of his correction term."""
    import sympy as sp

    from ...discretize.library.momentum import passive_algorithm

    q = 1 / sp.sqrt(kappa)
    beta, a = (1 - q) / (1 + q), sp.nsimplify(share)
    method = passive_algorithm(beta, a, 1 - a * (1 - beta), smoothness=sp.Integer(kappa))
    return float(od.analysis.worst_case_rate(method, 1, kappa))


def bent(kappa: float) -> od.Objective:
    """A smooth function in F(1, kappa) of 40 variables whose curvature changes along the way, with its minimizer."""
    import jax.numpy as jnp

    scale = np.geomspace(1, kappa - 1.0, 40) if kappa > 2 else np.full(40, kappa - 1.0)
    shift = np.linspace(-1, 1, 40)

    def value(x: Any) -> Any:
        # of curvature 1 to 1 + scale
        return jnp.sum(x**2 / 2 + scale * jnp.logaddexp(0.0, 4 * (x - shift)) / 4)

    def gradient(x: Any) -> Any:
        return x + scale / (1 + jnp.exp(-4 * (x - shift)))

    low, high = -np.full(40, float(kappa)), np.ones(40)
    for _ in range(200):  # bisection: the gradient increases in each coordinate
        middle = (low + high) / 2
        positive = np.asarray(gradient(middle)) > 0
        low, high = np.where(positive, low, middle), np.where(positive, middle, high)
    return od.Objective(
        "bent", value, gradient, mu=1.0, L=float(kappa), minimizer=(low + high) / 2, dimension=40
    )


def _runs(kappa: int, steps: int) -> dict[str, np.ndarray]:
    """Relative gaps of f along runs from one start."""
    f = bent(kappa)
    least = float(f.value(f.minimizer))
    found = {}
    for name, variant in variants().items():
        values = np.asarray(variant.algorithm.run(f, np.full(40, 1.5), steps).f)
        found[name] = np.maximum(values - least, 0) / (values[0] - least)
    return found


def draw_terms(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    kappa = data["kappa"]
    seen = {name: look_of(method) for name, method in _SAME.items()}
    seen |= {"damp": style.series_style(4), "cayley": style.series_style(5)}
    seen["order"] = style.SeriesStyle(style.TINTS[0], style.DASHES[6], "v")
    for name, label in data["labels"].items():
        look, m = seen[name], data["spectra"][name]
        axes[0].plot(m["curvatures"], m["radius"], **look.line, label=label)
        worst = int(np.argmax(m["radius"]))
        axes[0].plot(
            m["curvatures"][worst],
            m["radius"][worst],
            "o",
            color=look.color,
            ms=3.5,
            clip_on=False,
            zorder=4,
        )
        gap = data["runs"][name]
        shown = np.isfinite(gap) & (gap > 1e-14)
        steps = np.arange(len(gap))
        axes[2].semilogy(steps[shown], gap[shown], **look.line, label=label)
    axes[0].plot(
        [], [], "o", color="0.45", ms=3.5, label="largest over the modes: the rate on quadratics"
    )
    axes[0].axhline(1, color="0.5", lw=0.6)
    axes[0].set(
        xscale="log",
        xlim=(1, kappa),
        ylim=(0.4, 1.03),
        xlabel=r"mode $\lambda/\mu$",
        ylabel="modal radius",
    )
    # Nesterov's method itself stands at a = h, heavy ball's form at a = 0; grey is for no method
    for (k, values), shade, mark in zip(
        data["sweep"].items(), ("0.6", "0.4", "0.2"), "os^", strict=False
    ):
        axes[1].plot(data["shares"], values, color=shade, marker=mark, ms=3.5, lw=0.9)
        axes[1].text(0.98, values[-1] - 0.008, rf"$\kappa = {k}$", color=shade, ha="right", va="top",
                     fontsize=style.SMALL)  # fmt: skip
    axes[1].set(xlabel="share $a/h$ of the feed-through", ylabel="certified rate", ylim=(0.7, 1))
    axes[2].set(ylim=(1e-11, 30), xlabel="iteration $k$", ylabel="relative gap of $f$")
    letter(
        axes,
        [
            rf"spectra, $\kappa = {kappa}$",
            "what the feed-through buys",
            rf"runs, $\kappa = {data['hard']}$",
        ],
    )
    legend_under(figure, [axes[0]], ncols=4, handlelength=2.2, columnspacing=1.0)
    return figure


def draw_term_table(data: Mapping[str, Any]) -> Figure:
    rows = []
    for label, term, role, spectral, certified, *rest in data["table"]["rows"]:
        proved = f"{certified:.4f}" if np.isfinite(certified) else "none"
        lost = [f"{v:+.3f}" if v else "0" for v in rest[:2]]
        rows.append(
            [
                label,
                term,
                role,
                f"{spectral:.4f}",
                proved,
                *(s.replace("-", "\u2212") for s in lost),
                " / ".join(rest[2:]),
            ]
        )
    columns = ["variant", "its term", "what the term does", "rate on\nquadratics", "certified\nrate",
          r"$|\nabla f|^2$" "\n" r"in $\dot E$",
               r"$|\psi|^2$" "\n" r"in $\dot E$", r"modes $\mu$ / $L$"]  # fmt: skip
    note = r"$\dot E$: along the flow, coefficients of the energy $E = b f(y) + |\psi|^2/2$; " + (
        r"modes: of the flow at $\lambda = \mu$ and $\lambda = L$; " rf"$\kappa = {data['kappa']}$."
    )
    return draw_table(columns, rows, (24, 19, 27, 11, 11, 9, 9, 14), note=note)


# what a variant is: heavy ball and gradient descent, with another tuning
_SAME = {"whole": "nesterov_sc", "feed": "heavy_ball", "back": "gradient_descent"}
_QUICK = {
    "kappa": 100,
    "hard": 100,
    "shares": [0.0, 0.25, 0.5, 0.75, 1.0],
    "points": [10, 25, 100],
    "steps": 100,
}
FIGURES = (
    PaperFigure(
        "terms", "Nesterov's method without each of its parts: spectra, certified rates, runs.",
        compute_terms, draw_terms, _QUICK, {"shares": [i / 16 for i in range(17)]},
    ),
    PaperFigure(
        "term_table", "Each term of Nesterov's method, its role, and what breaks without it.",
        compute_term_table, draw_term_table, {"kappa": 10},
    ),
)  # fmt: skip
