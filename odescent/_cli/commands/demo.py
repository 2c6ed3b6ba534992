"""``odescent demo``: derive Nesterov's method, emit it, compare it on real data with other methods, draw it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError
from ..._support.files import make_folder, write_whole
from ..base import console
from ..base.values import Folder

if TYPE_CHECKING:
    import numpy as np
    import optax

    from ...analysis import Convergence
    from ...discretize import Algorithm
    from ...dynamics import Objective

Report = Callable[[str], None]
TOLERANCES = (1e-6, 1e-10)
NO_RATE = "none over F(mu, L)"
SHOWN = 2500  # iterations in the picture


def run(*, out: Folder = Path("out/demo"), quick: bool = False, json: bool = False) -> None:
    """Derive a method, emit it, run it on real data, draw it.

    The demo compares Nesterov's method with gradient descent, heavy ball, triple momentum and optax.

    Args:
        out: Folder for pictures and code.
        quick: Fewer steps and smaller pictures.
        json: Print one JSON document, for machines.

    Examples:
        odescent demo
        odescent demo --quick --out /tmp/demo
    """
    result = demonstrate(out, quick, console.note if json else console.say)
    if json:
        console.say_exactly(console.document(result, "odescent.demo/1"))


def demonstrate(out: Path, quick: bool = False, report: Report = print) -> dict[str, Any]:
    """Run the demo.

    Args:
        out: a folder for its files.
        quick: take fewer iterations.
        report: gets its lines.

    Returns:
        What it found, as plain data.

    Raises:
        OdescentError: the folder cannot be written, or a check that the demo announces does not hold.
    """
    make_folder(out)
    import jax

    import odescent as od

    began = time.perf_counter()
    with jax.enable_x64(True):
        derivations = _derive(out, report)
        problem = _Problem.of(od.objective("logistic/breast_cancer"))
        methods = {n: od.algorithm(n) for n in ("nesterov_sc", "triple_momentum")}
        files = _emit(methods, out, report)
        checks = _check(methods["nesterov_sc"], problem, report)
        table, comparison = _compare(problem, quick, report)
        pictures = _draw(comparison, out, report)
    seconds = time.perf_counter() - began
    report(f"\nDone in {seconds:.1f} s; everything is in {out}.")
    return {
        "schema": "odescent.demo/1",
        "derivations": derivations,
        "problem": problem.facts,
        "agreement": checks,
        "methods": table,
        "files": [str(p) for p in (*files, *pictures)],
        "seconds": round(seconds, 2),
    }


def _derive(out: Path, report: Report) -> list[dict[str, Any]]:
    import odescent as od

    report("1. Derive")
    found = []
    for name, route in (
        ("nesterov_sc", "immersion"),
        ("nesterov_sc", "model"),
        ("triple_momentum", "model"),
    ):
        began = time.perf_counter()
        d = od.derive(name, route)
        done = sum(s.verified for s in d.steps)
        if not d.verified:
            raise OdescentError(
                f"the derivation of {name} by the {route} route does not hold: {d!r}."
            )
        write_whole(out / f"{name}_{route}.txt", d.text() + "\n")
        write_whole(out / f"{name}_{route}.tex", d.latex())
        seconds = time.perf_counter() - began
        report(
            f"   {name:<16} by {route:<10} {done} of {len(d.steps)} steps verified  ({seconds:.1f} s)"
        )
        found.append({"name": name, "route": route, "steps": len(d.steps), "verified": done})
        if not found[1:]:
            from ...dynamics.notation.unicode import pretty

            for label, equation in d.equations.items():
                report(f"      {label:<18} {pretty(str(equation))}")
    return found


def _emit(methods: dict[str, Algorithm], out: Path, report: Report) -> list[Path]:
    report("\n2. Emit: stand-alone source that does not import odescent")
    written = [
        methods[n].write(out / f"{n}_{t}.py", t) for n in methods for t in ("numpy", "jax", "optax")
    ]
    for path in written:
        report(f"   {path}")
    return written


@dataclass(frozen=True)
class _Problem:
    """An objective with what is known of it, and the step and the momentum of Nesterov's method on it."""

    objective: Objective
    mu: float
    L: float
    dimension: int
    minimum: float
    gradient_norm: float

    @staticmethod
    def of(objective: Objective) -> _Problem:
        import jax.numpy as jnp

        mu, L, n, star = objective.mu, objective.L, objective.dimension, objective.minimizer
        assert mu is not None and L is not None and n is not None
        norm = float(jnp.linalg.norm(objective.grad(jnp.asarray(star))))
        return _Problem(objective, float(mu), float(L), n, float(objective.value(star)), norm)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "name": self.objective.name, "dimension": self.dimension, "mu": self.mu, "L": self.L,
            "kappa": self.L / self.mu, "minimum": self.minimum, "gradient_norm_at_minimizer": self.gradient_norm,
        }  # fmt: skip

    @property
    def momentum(self) -> tuple[float, float]:
        root, least = self.L**0.5, self.mu**0.5
        return 1 / self.L, (root - least) / (root + least)

    def optax_points(
        self, transform: optax.GradientTransformation | None, steps: int
    ) -> np.ndarray:
        """The parameters, where gradients are taken, of an optax transformation; Nesterov's method of optax if None."""
        import jax
        import jax.numpy as jnp
        import numpy as np
        import optax

        from ...dynamics.flows.stepper import orbit

        h, beta = self.momentum
        chosen = transform or optax.sgd(h, momentum=beta, nesterov=True)

        def step(_: Any, carry: Any) -> Any:
            params, state = carry
            updates, state = chosen.update(self.objective.grad(params), state, params)
            return optax.apply_updates(params, updates), state

        start = jnp.zeros(self.dimension)
        begin = (start, chosen.init(start))
        return np.asarray(jax.jit(lambda: orbit(step, lambda carry: carry[0], begin, steps)[1])())


def _textbook(problem: _Problem, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nesterov's method as the textbook writes it: iterates and gradient points."""
    import jax
    import numpy as np

    step, beta = problem.momentum
    gradient = jax.jit(problem.objective.grad)
    x = y = np.zeros(problem.dimension)
    xs, ys = [x], [y]
    for _ in range(steps):
        following = y - step * np.asarray(gradient(y))
        y = following + beta * (following - x)
        x = following
        xs.append(x)
        ys.append(y)
    return np.array(xs), np.array(ys)


def _check(
    method: Algorithm, problem: _Problem, report: Report, steps: int = 500
) -> dict[str, float]:
    import jax
    import numpy as np

    from ...discretize.emit import load

    report(
        f"\n3. The emitted files against the textbook, {steps} steps on {problem.objective.name}"
    )
    xs, ys = _textbook(problem, steps)
    gradient = jax.jit(problem.objective.grad)
    constants = {"mu": problem.mu, "L": problem.L}
    mine = load(method, "numpy").run(
        lambda x: np.asarray(gradient(x)), np.zeros(problem.dimension), steps, **constants
    )
    as_optax = problem.optax_points(method.to_optax(**constants), steps)
    theirs = problem.optax_points(None, steps)
    found = {
        "emitted NumPy, iterates": float(np.abs(mine - xs).max()),
        "emitted optax, gradient points": float(np.abs(as_optax - ys).max()),
        "optax.sgd(nesterov=True), gradient points": float(np.abs(theirs - ys).max()),
    }
    for name, difference in found.items():
        report(f"   {name:<43} largest difference {difference:.1e}")
        if not difference <= 1e-12:
            raise OdescentError(
                f"{name} differ from the textbook by {difference}; at most 1e-12 was expected."
            )
    return found


def _compare(
    problem: _Problem, quick: bool, report: Report
) -> tuple[list[dict[str, Any]], Convergence]:
    import odescent as od

    kappa = problem.L / problem.mu
    report(
        f"\n4. Real data: {problem.objective.name}, {problem.dimension} unknowns, mu = {problem.mu:.3g}, "
        f"L = {problem.L:.4g}, kappa = {kappa:.3g}\n   minimizer found independently, gradient norm "
        f"{problem.gradient_norm:.0e}; start 0"
    )
    short, long = (4_000, 20_000) if quick else (12_000, 400_000)
    rows: list[tuple[str, Algorithm | None, int, float | None]] = [
        ("gradient descent, 1/L", od.algorithm("gradient_descent"), long, 1 - 1 / kappa),
        (
            "gradient descent, 2/(L+mu)",
            od.algorithm("gradient_descent", step="2/(L+mu)"),
            long,
            (kappa - 1) / (kappa + 1),
        ),
        ("heavy ball, Polyak", od.algorithm("heavy_ball"), short, None),
        ("Nesterov, emitted", od.algorithm("nesterov_sc"), short, (1 - kappa**-0.5) ** 0.5),
        ("triple momentum, emitted", od.algorithm("triple_momentum"), short, 1 - kappa**-0.5),
        ("optax.sgd(nesterov=True)", None, short, (1 - kappa**-0.5) ** 0.5),
    ]
    gaps, theory = {}, {}
    for name, method, steps, rate in rows:
        gaps[name] = _gap(problem, method, steps)
        if rate is not None:
            theory[name] = rate
    comparison = od.analysis.compute_convergence(
        gaps, labels=(r"iteration $k$", r"relative gap"), floor=1e-15
    )
    reached = [comparison.iterations_to(t) for t in TOLERANCES]
    contraction = comparison.contraction()
    report(f"   {'method':<28}{'to 1e-6':>10}{'to 1e-10':>10}{'contraction':>14}{'theory':>20}")
    table = []
    for name, _, steps, rate in rows:
        measured, diverged = contraction[name], comparison.series[name].diverged_at
        whole = [_whole(r[name]) for r in reached]
        row = {
            "method": name,
            "iterations_to_1e-6": whole[0],
            "iterations_to_1e-10": whole[1],
            "contraction": measured.root if measured else None,
            "theory": rate,
            "steps": steps,
            "diverged_at": _whole(diverged),
        }
        cells = [_cell(count, steps) for count in whole]
        found = (
            f"diverged at {diverged:.0f}"
            if diverged is not None
            else f"{measured.root:.6f}"
            if measured
            else "-"
        )
        bound = f"{rate:.6f}" if rate is not None else NO_RATE
        report(f"   {name:<28}{cells[0]:>10}{cells[1]:>10}{found:>14}{bound:>20}")
        table.append(row)
    report(
        "   Gap: (F(x_k) - F*) / (F(x_0) - F*). Contraction: of the distance, per step, measured as the\n"
        "   square root of the gap's; theory: proved for every function with these mu and L. Heavy ball\n"
        "   has no such rate from kappa = 9 + 4 sqrt(5) = 17.9 on, where functions exist on which it\n"
        "   cycles: what it does here is no promise."
    )
    # pictures know methods by their registered names, with one title and one colour everywhere
    drawn = {
        "gradient descent, 1/L": "gradient_descent", "heavy ball, Polyak": "heavy_ball",
        "Nesterov, emitted": "nesterov_sc", "triple momentum, emitted": "triple_momentum",
        "optax.sgd(nesterov=True)": "optax.sgd(nesterov=True)",
    }  # fmt: skip
    shown = {
        name: tuple(v[gaps[row][0] <= SHOWN] for v in gaps[row]) for row, name in drawn.items()
    }
    squared = {drawn[n]: theory[n] ** 2 for n in ("Nesterov, emitted", "triple momentum, emitted")}
    labels = (r"iteration $k$", r"$(F(x_k) - F^\star)\,/\,(F(x_0) - F^\star)$")
    return table, od.analysis.compute_convergence(shown, squared, labels, floor=1e-15)


def _gap(problem: _Problem, method: Algorithm | None, steps: int) -> Any:
    import jax
    import numpy as np

    if method is None:
        points = problem.optax_points(None, steps)
        values = np.asarray(jax.jit(jax.vmap(problem.objective.value))(points))
    else:
        values = np.asarray(method.run(problem.objective, np.zeros(problem.dimension), steps).f)
    gap = (values - problem.minimum) / (values[0] - problem.minimum)
    kept = np.unique(np.r_[np.arange(min(steps, 20_000) + 1), np.arange(0, len(gap), 20)])
    kept = kept[kept < len(gap)]
    return kept, gap[kept]


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _cell(value: int | None, steps: int) -> str:
    return f"> {steps}" if value is None else str(value)


def _draw(comparison: Convergence, out: Path, report: Report) -> list[Path]:
    import odescent as od

    report("\n5. Draw")
    method = od.algorithm("nesterov_sc")
    portrait = od.analysis.phase_portrait(
        method.bound, curvature=10.0, algorithms={"nesterov_sc": method},
        parameters={"mu": 1, "L": 100, "h": 0.1}, steps=30,
    )  # fmt: skip
    pictures: list[Path] = []
    for name, drawn in (("portrait", portrait.plot()), ("convergence", comparison.plot())):
        figure = drawn.get_figure(root=True)
        assert figure is not None
        pictures += od.analysis.save(figure, out / name)
    for path in pictures:
        report(f"   {path}")
    return pictures
