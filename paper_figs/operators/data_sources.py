"""Weights of data sources as a bilevel problem: sources that have gone wrong lose theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_least, at_most, exactly
from ..drawing import legend_under, letter, mark, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALE_BIO = "arXiv:2406.19976; the problem and its sizes are made here"
_SOURCES = 5
_DECAY = 1e-4  # of the weights, beside their gradient
WRONG = {  # what is wrong with the first sources, and with how many of them
    "labels": 2,
    "images": 2,
    "duplicates": 2,
}


class Digits:
    """Softmax regression on the digits with five sources of training rows, some of which are wrong.

    Args:
        wrong: "labels", two sources with shuffled labels; "images", two whose pixels are noise; "duplicates", two that
            are one; "" for none.
        seed: of the rows and the faults.
        rows: of all sources.
        held: rows by which sources are weighted; the rest are for the test.
        ridge: curvature of the training loss, on |w|^2.
    """

    def __init__(self, wrong: str, seed: int, rows: int, held: int, ridge: float) -> None:
        import jax.numpy as jnp
        from sklearn.datasets import load_digits

        rng = np.random.default_rng(seed)
        images, labels = load_digits(return_X_y=True)
        order = rng.permutation(len(labels))
        images, labels = images[order] / 16, labels[order]
        parts = np.split(np.arange(rows), _SOURCES)
        told, seen = labels.copy(), images.copy()
        for part in parts[: WRONG.get(wrong, 0)]:
            if wrong == "labels":
                told[part] = rng.permutation(told[part])
            elif wrong == "images":
                seen[part] = rng.uniform(size=seen[part].shape)
            else:
                told[part], seen[part] = told[parts[0]], seen[parts[0]]
        features = np.column_stack([seen, np.ones(len(seen))])
        self.sources = [(jnp.asarray(features[p]), jnp.asarray(told[p])) for p in parts]
        clean = np.column_stack([images, np.ones(len(images))])
        self.held = jnp.asarray(clean[rows : rows + held]), jnp.asarray(labels[rows : rows + held])
        self.test = clean[rows + held :], labels[rows + held :]
        self.ridge, self.shape = ridge, (clean.shape[1], 10)

    def loss(self, w: Any, rows: Any) -> Any:
        """The mean loss over rows of features and labels."""
        import jax
        import jax.numpy as jnp

        features, labels = rows
        scores = jax.nn.log_softmax(features @ w)
        return -jnp.mean(scores[jnp.arange(len(labels)), labels])

    def upper(self, x: Any, w: Any) -> Any:
        """That over the rows that are held out."""
        return self.loss(w, self.held)

    def lower(self, x: Any, w: Any) -> Any:
        """That over the sources by their weights, the softmax of x, with the ridge."""
        import jax

        shares = zip(jax.nn.softmax(x), self.sources, strict=True)
        return self.ridge * (w * w).sum() + sum(p * self.loss(w, s) for p, s in shares)

    def accuracy(self, w: Any) -> float:
        """The share of test rows that are told right."""
        features, labels = self.test
        return float(np.mean(np.argmax(features @ np.asarray(w), 1) == labels))

    def trained(self, which: Sequence[int]) -> float:
        """The accuracy of training on some sources alone, with equal weights."""
        import jax
        from scipy.optimize import minimize

        of = [self.sources[i] for i in which]

        def fit(flat: Any) -> Any:
            w = flat.reshape(self.shape)
            return self.ridge * (w * w).sum() + sum(self.loss(w, s) for s in of) / len(of)

        both = jax.jit(jax.value_and_grad(fit))
        found = minimize(both, np.zeros(self.shape[0] * self.shape[1]), jac=True, method="L-BFGS-B")
        return self.accuracy(found.x.reshape(self.shape))


def weighted(digits: Digits, sigma: float, steps: int) -> tuple[np.ndarray, float]:
    """The weights that the penalty finds, and the accuracy of the weights that are trained with them."""
    import jax

    found = od.bilevel(
        digits.upper, digits.lower, np.zeros(_SOURCES), np.zeros(digits.shape), method="penalty",
        sigma=sigma, steps=steps, tolerance=1e-4, lower_tolerance=1e-5,
    )  # fmt: skip
    return np.asarray(jax.nn.softmax(found.x)), digits.accuracy(found.y)


def multiplied(
    digits: Digits, multipliers: Sequence[float], steps: int, rates: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """The same by one loop over x, w and u, AdamW on the blocks, and a multiplier that grows as the rates fall.

    It is min over x and w, max over u of F(w) + alpha (G(x, w) - G(x, u)); each alpha has as many steps.
    """
    import jax
    import jax.numpy as jnp
    import optax

    unit = od.algorithm("adam", h=1, beta1=0.9, beta2=0.999, eps=1e-8).to_optax()
    decayed = optax.chain(unit, optax.add_decayed_weights(-_DECAY))
    p = {"x": jnp.zeros(_SOURCES), "w": jnp.zeros(digits.shape), "u": jnp.zeros(digits.shape)}

    def whole(p: Any, alpha: Any) -> Any:
        gap = digits.lower(p["x"], p["w"]) - digits.lower(p["x"], p["u"])
        return digits.upper(p["x"], p["w"]) + alpha * gap

    @jax.jit  # once for all multipliers and rates
    def stretch(p: Any, alpha: Any, upper: Any, lower: Any) -> Any:
        each = {"x": optax.chain(unit, optax.scale(upper))}
        each |= {n: optax.chain(decayed, optax.scale(lower)) for n in ("w", "u")}
        blocks = optax.multi_transform(each, {n: n for n in each})

        def step(state: Any, _: Any) -> Any:
            p, kept = state
            slopes = jax.grad(whole)(p, alpha)
            slopes |= {"u": -slopes["u"]}  # u climbs
            moved, kept = blocks.update(slopes, kept, p)
            return (optax.apply_updates(p, moved), kept), None

        (p, _), _ = jax.lax.scan(step, (p, blocks.init(p)), None, length=steps)
        return p

    for k, alpha in enumerate(multipliers):
        p = stretch(p, alpha, *(rate / (1 + k) for rate in rates))
    return np.asarray(jax.nn.softmax(p["x"])), digits.accuracy(p["w"])


def multiplier_is_the_penalty() -> int:
    """How many of the three rates of min max F + alpha (G(x, w) - G(x, u)) are those of the penalty's flow."""
    from ...dynamics.algebra.calculus import substitute, vanishes

    flow, alpha = od.system("penalty_bilevel"), od.parameters("alpha")
    x, w, u = (flow.block(n).symbol for n in "xyz")
    F, G = (od.Objective(n, args=("x", "y")) for n in "FG")
    value = F.value(x, w) + alpha * (G.value(x, w) - G.value(x, u))
    named = {s.name: s for s in flow.parameters}
    at = {named["sigma"]: 1 / alpha, named["epsilon"]: 1 / alpha, named["rho"]: 1}
    rates = {s: substitute(flow.drift[s], at) for s in (x, w, u)}
    signs = {x: -1, w: -1, u: 1}
    return sum(vanishes(rates[s] - signs[s] * od.gradient(value, s)) for s in (x, w, u))


def compute_sources(
    seeds: list[int], rows: int, held: int, ridge: float, sigma: float, steps: int, multipliers: list[float], each: int,
    rates: list[float],
) -> Result:  # fmt: skip
    """Weights of five sources of digits, two of which are wrong, by the penalty and by a loop with a multiplier.

    Args:
        seeds: of the rows and of what is wrong with their labels; other faults are tried with the first.
        rows, held: of training and of validation; the rest are for the test.
        ridge: of the training loss.
        sigma, steps: of the penalty, and of its upper level.
        multipliers, each: of the loop, with so many steps each.
        rates: the first ones of the upper level and of the two lower ones.
    """
    pair = rates[0], rates[1]
    found: dict[str, dict[str, list[Any]]] = {}
    for fault in WRONG:
        row: dict[str, list[Any]] = {n: [] for n in ("penalty", "loop", "good", "all")}
        for seed in seeds if fault == "labels" else seeds[:1]:
            digits = Digits(fault, seed, rows, held, ridge)
            row["penalty"].append(weighted(digits, sigma, steps))
            row["loop"].append(multiplied(digits, multipliers, each, pair))
            row["good"].append(digits.trained(range(WRONG[fault], _SOURCES)))
            row["all"].append(digits.trained(range(_SOURCES)))
        found[fault] = row
    labels, images, twice = (found[f] for f in WRONG)
    wrong: Callable[[Any, str], float] = lambda row, way: max(
        float(np.max(w[:2])) for w, _ in row[way]
    )
    behind: Callable[[Any, str], float] = lambda row, way: min(
        a - good for (_, a), good in zip(row[way], row["good"], strict=True)
    )
    apart = max(
        float(np.abs(w - v).max())
        for (w, _), (v, _) in zip(labels["penalty"], labels["loop"], strict=True)
    )
    uniform = [a - b for a, b in zip(labels["all"], labels["good"], strict=True)]
    twins = max(abs(float(w[0] - w[1])) for way in ("penalty", "loop") for w, _ in twice[way])
    uneven = min(float(np.max(w[2:]) / np.min(w[2:])) for w, _ in labels["penalty"])
    claims = (
        Claim("Two sources of five have shuffled labels: their largest weight by the penalty, over seeds.",
              at_most(0.01), wrong(labels, "penalty"), SCALE_BIO),
        Claim("By one loop with AdamW and a multiplier that grows.",
              at_most(0.01), wrong(labels, "loop"), SCALE_BIO),
        Claim("Test accuracy less that of training on the three good sources, the worst seed: the penalty.",
              at_least(-0.01), behind(labels, "penalty"), SCALE_BIO),
        Claim("The loop.",
              at_least(-0.01), behind(labels, "loop"), SCALE_BIO),
        Claim("Equal weights for all five cost accuracy, in the mean over seeds.",
              at_most(-0.01), float(np.mean(uniform)), "measured here"),
        Claim("Two sources whose pixels are noise: their largest weight, both ways.",
              at_most(0.01), max(wrong(images, "penalty"), wrong(images, "loop")), SCALE_BIO),
        Claim("Two sources that are one have one weight: difference, both ways.",
              at_most(0.01), twins, "by symmetry"),
        Claim("The multiplier is the penalty, alpha = 1/sigma: rates of the two flows that agree exactly.",
              exactly(3), multiplier_is_the_penalty(), "derived here"),
        Claim("Both ways find the same weights: the largest difference over sources and seeds.",
              at_most(0.1), apart, "measured here"),
        Claim("Good sources do not get equal weights, though they are alike: the least ratio of two, over seeds.",
              at_least(1.2), uneven, "limit; measured here"),
    )  # fmt: skip
    return Result(
        {"weights": {way: [w for w, _ in labels[way]] for way in ("penalty", "loop")},
         "accuracy": {way: [a for _, a in labels[way]] for way in ("penalty", "loop")}
         | {way: labels[way] for way in ("good", "all")}},
        claims,
    )  # fmt: skip


_LOOKS: dict[str, dict[str, Any]] = {
    "penalty": {"color": "C0", "marker": "o", "label": "penalty"},
    "loop": {"color": "C1", "marker": "x", "label": "loop with a multiplier"},
    "good": {
        "color": "0.35",
        "marker": "_",
        "ms": 11,
        "label": "training on the three good sources",
    },
    "all": {"color": "0.6", "marker": "v", "label": "on all five, with equal weights"},
}


def draw_sources(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 2, height=2.7)
    for shift, way in zip((-0.12, 0.12), ("penalty", "loop"), strict=True):
        for k, row in enumerate(data["weights"][way]):
            look = {**_LOOKS[way], **({} if k == 0 else {"label": None})}
            axes[0].plot(1 + shift + np.arange(len(row)), row, ls="none", ms=4, **look)
    axes[0].set(xlabel="source; 1 and 2 have shuffled labels", ylabel="weight", ylim=(-0.03, None))
    mark(axes[0], x=range(1, 1 + len(data["weights"]["loop"][0])))
    for way, look in _LOOKS.items():
        row = data["accuracy"][way]
        axes[1].plot(1 + np.arange(len(row)), row, ls="none", **{"ms": 4, **look})
    axes[1].set(xlabel="seed", ylabel="accuracy on the test")
    mark(axes[1], x=range(1, 1 + len(data["accuracy"]["good"])))
    letter(axes, ["weights of the sources", "accuracy"])
    legend_under(figure, axes, ncols=2)
    return figure


FIGURES = (
    PaperFigure(
        "sources", "Weights of data sources, of which two are wrong, by a penalty and by a loop with a multiplier.",
        compute_sources, draw_sources,
        {"seeds": [0, 1, 2, 3, 4], "rows": 1000, "held": 300, "ridge": 2e-3, "sigma": 0.02, "steps": 25,
         "multipliers": [10.0, 20.0, 40.0, 80.0], "each": 500, "rates": [0.05, 0.02]},
    ),
)  # fmt: skip
