"""Zeroth-order estimates on softmax regression of the digits: random directions beside all coordinates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_least, at_most, below, between, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    import sympy as sp
    from matplotlib.figure import Figure

SOURCE = "derived here; the method is that of arXiv:2305.17333"
_COORDINATES = "all coordinates"


def digits(rows: int, ridge: float = 0.0) -> tuple[Callable[[Any], Any], int]:
    """The loss of softmax regression on the first digits, with ridge/2 |w|^2, and the number of its weights."""
    import jax.numpy as jnp
    from sklearn.datasets import load_digits

    found = load_digits()
    X = jnp.asarray(np.column_stack([found.data / 16, np.ones(len(found.target))])[:rows])
    y = jnp.asarray(found.target[:rows])

    return lambda w: softmax_loss(w, X, y, ridge), 10 * int(X.shape[1])


def softmax_loss(w: Any, X: Any, y: Any, ridge: float) -> Any:
    """The mean loss of softmax regression on rows with ten classes, with ridge/2 |w|^2."""
    import jax
    import jax.numpy as jnp

    z = X @ w.reshape(X.shape[1], 10)
    fit = jax.nn.logsumexp(z, 1) - jnp.take_along_axis(z, y[:, None], 1)[:, 0]
    return jnp.mean(fit) + ridge / 2 * jnp.sum(w * w)


def moved(name: str, oracle: Any, numbers: tuple[float, ...], **options: Any) -> Any:
    """The mean of a method's independent steps with a key each, as a function of point, rate and keys.

    Every step is x less an estimate that has its own sample, so that their mean is x less the mean of the estimates.
    """
    import jax
    import jax.numpy as jnp

    from ...discretize.emit import load

    module = load(od.algorithm(name, **options), "jax")

    def mean(x: Any, rate: Any, keys: Any) -> Any:
        state, known = module.init(x), module.coefficients(rate, *numbers)
        one = lambda key: module.output(module.step(state, oracle, known, key), known)
        return jnp.mean(jax.vmap(one)(keys), axis=0)  # type: ignore[no-untyped-call]

    return mean


def second_moment(rows: int) -> sp.Expr:
    """E|e|^2 / |g|^2 of the mean of so many directional derivatives along normals, as the engine finds it."""
    import sympy as sp

    x = od.blocks("x")
    g = od.Objective("f").grad(x)
    descent = od.system("sketched_flow", rows=rows).fields["descent"].drift[x]
    return sp.simplify(od.estimate(-descent, of=g).second_moment / od.inner(g, g))


def cosines(f: Any, x: Any, radius: float, counts: list[int], trials: int, seed: int) -> np.ndarray:
    """Cosines with the gradient of the means of the first so many estimates, by trial and count."""
    import jax
    import jax.numpy as jnp

    step = moved("zeroth_order", f, (radius,))
    g, sizes = jax.grad(f)(x), np.diff([0, *counts])
    chunk = jax.jit(lambda keys: x - step(x, 1.0, keys))
    rows = []
    for key in jax.random.split(jax.random.key(seed), trials):
        total, found = jnp.zeros_like(x), []
        keys = jax.random.split(key, counts[-1])
        for end, size in zip(counts, sizes, strict=True):
            total = total + float(size) * chunk(keys[end - size : end])
            found.append(float(total @ g / jnp.linalg.norm(total) / jnp.linalg.norm(g)))
        rows.append(found)
    return np.array(rows)


def descents(
    f: Any, d: int, radius: float, budget: int, sizes: list[int], rates: list[float], seed: int
) -> dict[str, np.ndarray]:
    """Losses at equal numbers of values, by the directions of a step and the rate; the last by all coordinates."""
    import jax
    import jax.numpy as jnp

    step, start = moved("zeroth_order", f, (radius,)), jnp.zeros(d)

    def directional(size: int) -> Any:
        def body(x: Any, k: Any, rate: Any) -> Any:
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), k), size)
            return step(x, rate, keys)

        return body

    ways = {f"{size}": (directional(size), budget * d // size) for size in sizes}
    along_coordinates = od.coordinate_differences(f, radius, block=130)
    ways[_COORDINATES] = (
        lambda x, k, rate: x - rate * along_coordinates(x),
        budget,
    )
    found = {}
    for name, (body, steps) in ways.items():
        run = jax.jit(
            lambda rate, body=body, steps=steps: f(
                jax.lax.fori_loop(0, steps, lambda k, x: body(x, k, rate), start)
            )
        )
        share = 1.0 if name == _COORDINATES else int(name) / (int(name) + d + 1)
        found[name] = np.array([float(run(rate * share)) for rate in rates])
    return found


def compute_directions(
    rows: int, trials: int, counts: list[int], radius: float, radii: list[float], few: int, ridge: float, budget: int,
    sizes: list[int], rates: list[float], seed: int,
) -> Result:  # fmt: skip
    """Cosines with the gradient, errors of coordinate differences, and losses at equal numbers of values.

    Args:
        rows: of the digits.
        trials: independent estimates of each kind.
        counts: numbers of directions; the dimension is among them.
        radius: of the differences.
        radii: of the coordinate differences whose errors are shown.
        few: rows for the descents.
        ridge: of their loss.
        budget: numbers of values of the descents, in units of two for each coordinate.
        sizes: numbers of directions in a step of these.
        rates: of these, in units of the step that is best for the law.
        seed: of points and directions.
    """
    import jax
    import jax.numpy as jnp
    import sympy as sp

    f, d = digits(rows)
    x = 0.1 * jax.random.normal(jax.random.key(seed), (d,))
    g = jax.grad(f)(x)
    found = cosines(f, x, radius, counts, trials, seed + 1)
    dim = sp.Symbol("d_x", positive=True)
    law = lambda n: 1 / np.sqrt(1 + (d + 1) / np.asarray(n, float))
    moments = [second_moment(k) for k in (1, 2, 3)]
    agreed = sum(
        sp.simplify(m.subs(dict.fromkeys(m.free_symbols, dim)) - (1 + (dim + 1) / sp.Integer(k)))
        == 0
        for k, m in enumerate(moments, start=1)
    )
    (symbol,) = moments[0].free_symbols
    # the mean of s independent estimates without bias has the excess of one of them, divided by s
    excess = float(moments[0].subs(symbol, d)) - 1
    predicted = 1 / np.sqrt(1 + excess / np.array(counts))
    at = counts.index(d)
    difference = {
        "forward": jax.jit(lambda r: od.coordinate_differences(f, r, "forward", block=130)(x)),
        "central": jax.jit(lambda r: od.coordinate_differences(f, r, block=130)(x)),
    }
    plain = difference["central"](radius)
    close = float(plain @ g / jnp.linalg.norm(plain) / jnp.linalg.norm(g))
    size = float(jnp.linalg.norm(g))
    errors = {
        name: [float(jnp.linalg.norm(difference[name](r) - g)) / size for r in radii]
        for name in difference
    }
    curved = jnp.diag(jax.hessian(f)(x))
    bias = float(jnp.linalg.norm(curved)) * radii[-1] / 2 / size
    squares = (found[:, 0] ** 2).mean() * (1 + excess) / counts[0]
    h, _ = digits(few, ridge)
    smooth = float(jnp.linalg.eigvalsh(jax.hessian(h)(jnp.zeros(d)))[-1])
    ends = descents(h, d, radius, budget, sizes, [r / smooth for r in rates], seed)
    best = {name: float(np.nanmin(row)) for name, row in ends.items()}
    inner = sum(0 < int(np.nanargmin(row)) < len(rates) - 1 for row in ends.values())
    few_, many = f"{min(sizes)}", f"{max(sizes)}"
    claims = (
        Claim("The engine finds the second moment 1 + (d + 1)/s of the mean of s directions, s = 1, 2, 3: equal ones.",
              exactly(3), int(agreed), SOURCE),
        Claim(f"From s = d = {d} directions the cosine with the gradient is 1/sqrt(1 + (d + 1)/d): mean of the trials.",
              near(float(law(d)), absolute=0.01), float(found[:, at].mean()), SOURCE),  # type: ignore[no-untyped-call]
        Claim("The law holds for all numbers of directions from 10 on: worst relative distance of the means.",
              at_most(0.05), float(np.abs(found.mean(0) / predicted - 1)[np.array(counts) >= 10].max()), SOURCE),
        Claim("Differences along all coordinates have, at the same number of values, a cosine of nearly one.",
              at_least(0.9999), close, "arXiv:2310.02025"),
        Claim("Forward differences along coordinates have an error of the first order in the distance: fitted order.",
              near(1, absolute=0.05), fitted_order(radii, errors["forward"]), "derived here"),
        Claim("It is half the distance times the diagonal of the Hessian: measured to claimed, largest distance.",
              near(1, absolute=0.05), errors["forward"][-1] / bias, "derived here"),
        Claim("Central ones have an error of the second order: fitted order.",
              near(2, absolute=0.05), fitted_order(radii, errors["central"]), "derived here"),
        Claim("The law is that of the mean square: of one direction the mean cosine is sqrt(2/pi) of it only.",
              between(0.6, 0.95), float(found[:, 0].mean() / predicted[0]), "limit; derived here"),
        Claim("The square of that cosine has the mean 1/d, times d + 2 by the law: measured in many trials.",
              between(0.6, 1.5), float(squares), "limit; derived here"),
        Claim("Each best rate lies inside its grid: number of them.",
              exactly(len(ends)), inner, "measured here"),
        Claim(f"At equal values {many} directions a step leave a higher loss than all coordinates: quotient.",
              above(1), best[many] / best[_COORDINATES], "measured here"),
        Claim(f"A better cosine is no lower loss: {few_} directions in each of more steps, to all coordinates.",
              below(1), best[few_] / best[_COORDINATES], "limit; measured here"),
    )  # fmt: skip
    return Result(
        {"counts": counts, "found": found, "law": predicted, "close": close, "d": d, "radii": radii, "errors": errors,
         "rates": rates, "ends": ends},
        claims,
    )  # fmt: skip


def draw_directions(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look = look_of("zeroth_order")
    counts, found = np.asarray(data["counts"]), np.asarray(data["found"])
    axes[0].loglog(counts, data["law"], color="black", ls=(0, (1, 1.3)), lw=1.0,
                   label=r"$1/\sqrt{1 + (d + 1)/s}$")  # fmt: skip
    axes[0].fill_between(counts, found.min(0), found.max(0), color=look.color, alpha=0.15, lw=0,
                         label="range over draws")  # fmt: skip
    axes[0].loglog(counts, found.mean(0), color=look.color, marker=look.marker, ms=4, ls="none",
                   label="along $s$ normal directions")  # fmt: skip
    axes[0].loglog(data["d"], data["close"], color=style.MODIFIED, marker="*", ms=8, ls="none",
                   label=f"all {data['d']} coordinates")  # fmt: skip
    axes[0].set(xlabel="directions $s$", ylabel="cosine with the gradient")
    for name, dash, fill in (("forward", (0, (4, 1.5)), "white"), ("central", "-", style.MODIFIED)):
        axes[1].loglog(data["radii"], data["errors"][name], color=style.MODIFIED, ls=dash, marker="o", mfc=fill, ms=4,
                       label=f"coordinates, {name} differences")  # fmt: skip
    slopes(
        axes[1],
        [
            (data["radii"], data["errors"]["forward"], 1),
            (data["radii"], data["errors"]["central"], 2),
        ],
    )
    axes[1].set(xlabel="distance $r$", ylabel=r"$|e - g| / |g|$")
    for (name, row), line in zip(data["ends"].items(), style.DASHES, strict=False):
        full = name == _COORDINATES
        shown = np.where(row < 4, row, np.nan)
        color = style.MODIFIED if full else look.color
        axes[2].loglog(data["rates"], shown, color=color, ls="-" if full else line,
                       marker="*" if full else look.marker, ms=6 if full else 3.5,
                       label=f"descent, {'all coordinates' if full else f'{name} directions per step'}")  # fmt: skip
    axes[2].set(xlabel="rate / best rate of the law", ylabel="loss after equally many values")
    mark(axes[2], y=(0.5, 1, 2, 3))
    letter(axes, ["directions", "coordinates", "descent"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "directions", "Zeroth-order estimates: what random directions give of a gradient, and what coordinates do.",
        compute_directions, draw_directions,
        {"rows": 200, "trials": 24, "counts": [1, 10, 100, 650], "radius": 1e-4,
         "radii": [1e-3, 1e-2, 1e-1], "few": 60, "budget": 8, "sizes": [13, 650], "ridge": 1e-2,
         "rates": [1, 2, 4, 8, 16, 32, 64], "seed": 0},
    ),
)  # fmt: skip
