"""The range of tolerances in which the paper's local penalty (arXiv 2303.02262) is inert: its value and gradient.

The paper makes a step of the length that an automatic selection would begin with (Hairer, Norsett and Wanner,
Solving ODEs I, II.4) and multiplies its error by its length. The step that the solver took from there is several
times longer, and its error, of fifth order in the length, close to the tolerance.

Its code also makes the first stage k_1 outside of differentiation. The weights d_i of an embedded error
h sum d_i k_i add up to zero and cancel five orders; with k_1 held constant the derivative in the weights of the
network lacks d_1 dk_1, nothing cancels, and what is left is of first order in h, in a direction of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..claims import Claim, above, at_least, at_most, between
from ..drawing import letter, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE, _OURS = "arXiv:2303.02262", "ours"
PAPER = 1.4e-8  # the tolerance of its experiments, in float32
_POWER = 0.2  # of the tolerance, as which the paper's penalty falls
FORMS = {
    "accepted": "the solver's own step: $E$",
    "initial": "the paper's: $E\\,h$, $k_1$ constant",
    "whole": "the same, $k_1$ differentiated",
}


def compute(
    dimension: int,
    hidden: int,
    batch: int,
    scale: float,
    exponents: Sequence[float],
    draws: int,
    seed: int,
) -> Result:
    """Both forms of the penalty for one network, in double and in single precision.

    Args:
        dimension, hidden, batch: of the state, of the hidden layer, and rows that are solved as one state.
        scale: of the weights, in units of Glorot's.
        exponents: the tolerances are ten to these; in single precision those from 1.4e-8 on, the paper's.
        draws: of the random time, averaged over.
        seed: of weights, rows and times.
    """
    import numpy as np

    tolerances = 10.0 ** np.asarray(exponents, float)
    # tolerances near the resolution of float32 are left out, but for the paper's
    single = np.append(tolerances[tolerances > 5 * PAPER], PAPER)
    sizes = (dimension, hidden, batch, scale, draws, seed)
    double = _values("float64", np.append(tolerances, PAPER), *sizes)
    found = {"float64": double, "float32": _values("float32", single, *sizes)}
    rows = [
        [form, precision, *map(float, row)]
        for precision, by_form in found.items()
        for form, values in by_form.items()
        for row in values
    ]
    columns = [
        "form",
        "precision",
        "tolerance",
        "penalty",
        "norm of its gradient",
        "cosine with the gradient of E h",
    ]
    # exponents are fitted at tight tolerances; float32 shows the rounding at the paper's
    own, theirs, whole = (double[form][:-1][tolerances <= 1e-5] for form in FORMS)
    decades = np.log10(own[:, 0])
    slope, level = (np.polyfit(decades, np.log10(x[:, 1]), 1)[0] for x in (theirs, own))
    same = np.max(np.abs(theirs[:, 1] / whole[:, 1] - 1))
    rounding = found["float32"]["initial"][-1, 1] / double["initial"][-1, 1]
    claims = (
        Claim("Tight tolerances: the paper's penalty over that of the solver's own step, largest",
              at_most(1e-2), float((theirs / own)[:, 1].max()), _OURS),
        Claim("The paper's falls with the tolerance as its step does, to the power 1/5", between(0.1, 0.3),
              float(slope), _OURS),
        Claim("That of the solver's own step does not depend on the tolerance: exponent", between(-0.1, 0.1),
              float(level), _OURS),
        Claim("Made again by hand, with k_1 differentiated, it has the same value: relative difference", at_most(1e-4),
              float(same), _OURS),
        Claim("With k_1 differentiated its gradient is as small as its value: over that of the own step, largest",
              at_most(1e-2), float((whole / own)[:, 2].max()), _OURS),
        Claim("With k_1 constant the gradient is larger than the true one: factor, least", at_least(10.0),
              float((theirs / whole)[:, 2].min()), _OURS),
        Claim("and points elsewhere: cosine with the true one, largest", at_most(0.5), float(theirs[:, 3].max()),
              _OURS),
        Claim("That of the solver's own step points along the true one: cosine, least", at_least(0.8),
              float(own[:, 3].min()), _OURS),
        Claim("At the paper's 1.4e-8 in float32 the penalty is rounding: over its value in float64", above(10.0),
              float(rounding), _SOURCE),
    )  # fmt: skip
    return Result({"table": {"columns": columns, "rows": rows}, "found": found}, claims)


def _values(
    precision: str,
    tolerances: Any,
    dimension: int,
    hidden: int,
    batch: int,
    scale: float,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Per form, rows of tolerance, penalty, norm of its gradient, and its cosine with that of the whole E h; means."""
    import diffrax as dfx
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import numpy as np

    from ...neural_de import initial_step, local, solve
    from ...neural_de.models.networks import TimeMLP

    # weights and starts are drawn in float64, so that both precisions see the same model
    dtype = jnp.dtype(precision)
    model = TimeMLP(dimension, [hidden], jr.key(seed), dtype=jnp.float64)
    model = jax.tree.map(lambda x: (scale * x).astype(dtype) if eqx.is_array(x) else x, model)
    start = jr.uniform(jr.key(seed + 1), (batch, dimension), jnp.float64).astype(dtype)
    field = lambda t, y, m: m(t, y)
    options: dict[str, Any] = {"dt0": 0.01, "max_steps": 2048, "paper": 2023}

    def penalty(model: Any, start: Any, form: str, tolerance: Any, key: Any) -> Any:
        tol = {"rtol": tolerance, "atol": tolerance}
        if form != "whole":
            r = local("error", "unbiased", form)
            return solve(
                field, start, 0.0, 1.0, model, key=key, regularizer=r, **tol, **options
            ).penalty
        # the reference: the penalty's step made by hand, with all of its error differentiated
        _, own = jr.split(key)  # as the penalty draws its time
        time = jr.uniform(own, dtype=dtype)
        frozen = jax.lax.stop_gradient(model)
        y = solve(field, start, 0.0, time, frozen, **tol, **options).ys[-1]
        h, _ = initial_step(field, time, y, frozen, order=5.0, **tol)
        h = jnp.minimum(h, 1 - time)
        term, solver = dfx.ODETerm(field), dfx.Tsit5()
        state = solver.init(term, time, time + h, y, model)
        after, error, *_ = solver.step(term, time, time + h, y, model, state, jnp.asarray(False))
        scaled = error / (tolerance + tolerance * jnp.maximum(jnp.abs(y), jnp.abs(after)))
        return jnp.sqrt(jnp.mean(scaled**2)) * h

    sloped: Any = eqx.filter_value_and_grad(penalty)  # carries no types

    @eqx.filter_jit
    def one(model: Any, start: Any, tolerance: Any, key: Any) -> Any:  # constants would be folded
        value, slope = {}, {}
        for form in FORMS:
            value[form], gradient = sloped(model, start, form, tolerance, key)
            parts = [jnp.ravel(g) for g in jax.tree.leaves(gradient)]
            slope[form] = jnp.concatenate(parts).astype(jnp.float64)
        size = {form: jnp.sqrt(jnp.sum(g**2)) for form, g in slope.items()}
        cosine = {
            f: jnp.sum(g * slope["whole"]) / (size[f] * size["whole"]) for f, g in slope.items()
        }
        return {f: jnp.stack([value[f].astype(jnp.float64), size[f], cosine[f]]) for f in FORMS}

    # means over random times
    keys = jr.split(jr.key(seed + 2), draws)
    found: dict[str, list[Any]] = {form: [] for form in FORMS}
    for t in tolerances:
        each = [jax.device_get(one(model, start, jnp.asarray(t, dtype), k)) for k in keys]
        for form in FORMS:
            found[form].append([float(t), *np.mean([e[form] for e in each], axis=0)])
    return {form: np.array(rows) for form, rows in found.items()}


def draw(data: Mapping[str, Any]) -> Figure:
    """Penalty, and norm of its gradient, against the tolerance; lines in double precision, crosses in single."""
    import numpy as np
    from matplotlib.lines import Line2D

    from ..._support import style

    fig, axes = style.figure(style.FULL_WIDTH, 0.8, ncols=2)
    for column, (ax, label) in enumerate(
        zip(axes, ("penalty", "norm of its gradient"), strict=True), 1
    ):
        for i, (form, text) in enumerate(FORMS.items()):
            look = style.series_style(i)
            rows = data["found"]["float64"][form]
            rows = rows[np.argsort(rows[:, 0])]
            ax.loglog(
                rows[:, 0], rows[:, column], color=look.color, marker=look.marker, linestyle=look.dash, label=text
            )  # fmt: skip
            if form == "initial" and column == 1:  # the power that is claimed
                slopes(ax, [(rows[:, 0], rows[:, 1], _POWER)], 0.4)
            if form != "whole":
                rows = data["found"]["float32"][form]
                ax.loglog(rows[:, 0], rows[:, column], "x", color=look.color)
        ax.axvline(PAPER, color="0.7", linewidth=0.6, zorder=0)
        ax.text(1.15 * PAPER, 0.33, "the paper's", rotation=90, fontsize=6.5, color="0.4", va="center",
                transform=ax.get_xaxis_transform())  # fmt: skip
        ax.minorticks_off()
        ax.set(xlabel="tolerance", ylabel=label)
    letter(axes, ["the penalty", "its gradient"])
    lines = axes[1].get_legend_handles_labels()[0]
    slope = next(line for line in axes[0].lines if line.get_gid())
    cross = Line2D([], [], marker="x", linestyle="", color="0.4", label="in float32")
    style.legend_below(axes[0], [*lines[:2], slope])
    style.legend_below(axes[1], [lines[2], cross])
    return fig


FIGURES = (
    PaperFigure(
        "forms",
        "The local penalty in the paper's form and with the solver's own step, against the tolerance.",
        compute,
        draw,
        quick={
            "dimension": 64, "hidden": 100, "batch": 64, "scale": 1.5, "exponents": [-2, -3, -4, -5, -6, -7, -8, -9],
            "draws": 4, "seed": 0,
        },
        full={"dimension": 784, "batch": 512, "draws": 32},
    ),
)  # fmt: skip
