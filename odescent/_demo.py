"""The demo: derive Nesterov's method, emit it, run it on real data beside what people use, draw it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import analysis
from ._errors import OdescentError
from ._files import make_folder
from .discretize import Algorithm, algorithm, derive
from .discretize.emit import load
from .dynamics import Objective, objective

Report = Callable[[str], None]
TOLERANCES = (1e-6, 1e-10)
NO_RATE = "none over F(mu, L)"
SHOWN = 2500  # iterations in the picture


def run(out: Path, quick: bool = False, report: Report = print) -> dict[str, Any]:
    """Run the demo; files go to ``out``, lines to ``report``; returns what it found as plain data.

    ``quick`` takes fewer iterations. Raises OdescentError if ``out`` cannot be written, or if a check
    that the demo announces does not hold.
    """
    began = time.perf_counter()
    make_folder(out)
    with jax.enable_x64(True):
        derivations = _derive(out, report)
        problem = objective("logistic/breast_cancer")
        methods = {n: algorithm(n) for n in ("nesterov_sc", "triple_momentum")}
        files = _emit(methods, out, report)
        checks = _check(methods["nesterov_sc"], problem, report)
        table, comparison = _compare(problem, quick, report)
        pictures = _draw(comparison, out, report)
    seconds = time.perf_counter() - began
    report(f"\nDone in {seconds:.1f} s; everything is in {out}.")
    return {
        "schema": "odescent.demo/1",
        "derivations": derivations,
        "problem": _facts(problem),
        "agreement": checks,
        "methods": table,
        "files": [str(p) for p in (*files, *pictures)],
        "seconds": round(seconds, 2),
    }


def _derive(out: Path, report: Report) -> list[dict[str, Any]]:
    report("1. Derive")
    found = []
    for name, route in (
        ("nesterov_sc", "immersion"),
        ("nesterov_sc", "model"),
        ("triple_momentum", "model"),
    ):
        began = time.perf_counter()
        d = derive(name, route)
        done = sum(s.verified for s in d.steps)
        if not d.verified:
            raise OdescentError(
                f"the derivation of {name} by the {route} route does not hold: {d!r}."
            )
        (out / f"{name}_{route}.txt").write_text(d.text() + "\n", encoding="utf-8")
        (out / f"{name}_{route}.tex").write_text(d.latex(), encoding="utf-8")
        seconds = time.perf_counter() - began
        report(
            f"   {name:<16} by {route:<10} {done} of {len(d.steps)} steps verified  ({seconds:.1f} s)"
        )
        found.append({"name": name, "route": route, "steps": len(d.steps), "verified": done})
        if not found[1:]:
            from .dynamics.unicode import pretty

            for label, equation in d.equations.items():
                report(f"      {label:<18} {pretty(str(equation))}")
    return found


def _emit(methods: dict[str, Algorithm], out: Path, report: Report) -> list[Path]:
    report("\n2. Emit: stand-alone source that imports nothing of odescent")
    written = [
        methods[n].write(out / f"{n}_{t}.py", t) for n in methods for t in ("numpy", "jax", "optax")
    ]
    for path in written:
        report(f"   {path}")
    return written


def _constants(problem: Objective) -> tuple[float, float, int]:
    """mu, L and the dimension of a problem that has them."""
    assert problem.mu is not None and problem.L is not None and problem.dimension is not None
    return float(problem.mu), float(problem.L), problem.dimension


def _facts(problem: Objective) -> dict[str, Any]:
    mu, big_l, dimension = _constants(problem)
    star = problem.minimizer
    return {
        "name": problem.name,
        "dimension": dimension,
        "mu": mu,
        "L": big_l,
        "kappa": big_l / mu,
        "minimum": float(problem.value(star)),
        "gradient_norm_at_minimizer": float(jnp.linalg.norm(problem.grad(jnp.asarray(star)))),
    }


def _momentum(problem: Objective) -> tuple[float, float]:
    mu, big_l, _ = _constants(problem)
    return 1 / big_l, (big_l**0.5 - mu**0.5) / (big_l**0.5 + mu**0.5)


def _textbook(problem: Objective, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nesterov's method as the textbook writes it: iterates and gradient points."""
    step, beta = _momentum(problem)
    gradient = jax.jit(problem.grad)
    x = y = np.zeros(_constants(problem)[2])
    xs, ys = [x], [y]
    for _ in range(steps):
        following = y - step * np.asarray(gradient(y))
        y = following + beta * (following - x)
        x = following
        xs.append(x)
        ys.append(y)
    return np.array(xs), np.array(ys)


def _optax_points(
    transform: optax.GradientTransformation, problem: Objective, steps: int
) -> np.ndarray:
    """The parameters, which are the points where gradients are taken, of an optax transformation."""
    start = jnp.zeros(_constants(problem)[2])

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = transform.update(problem.grad(params), state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    _, points = jax.jit(lambda: jax.lax.scan(step, (start, transform.init(start)), None, steps))()
    return np.concatenate([np.asarray(start)[None], np.asarray(points)])


def _check(
    method: Algorithm, problem: Objective, report: Report, steps: int = 500
) -> dict[str, float]:
    report(f"\n3. The emitted files against the textbook, {steps} steps on {problem.name}")
    xs, ys = _textbook(problem, steps)
    mu, big_l, dimension = _constants(problem)
    gradient = jax.jit(problem.grad)
    emitted: ModuleType = load(method, "numpy")
    mine = emitted.run(
        lambda x: np.asarray(gradient(x)), np.zeros(dimension), steps, mu=mu, L=big_l
    )
    step, beta = _momentum(problem)
    as_optax = _optax_points(method.to_optax(mu=mu, L=big_l), problem, steps)
    theirs = _optax_points(optax.sgd(step, momentum=beta, nesterov=True), problem, steps)
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
    problem: Objective, quick: bool, report: Report
) -> tuple[list[dict[str, Any]], analysis.Convergence]:
    facts = _facts(problem)
    kappa = facts["kappa"]
    report(
        f"\n4. Real data: {problem.name}, {problem.dimension} unknowns, mu = {facts['mu']:.3g}, "
        f"L = {facts['L']:.4g}, kappa = {kappa:.3g}\n   minimizer found independently, gradient norm "
        f"{facts['gradient_norm_at_minimizer']:.0e}; start 0"
    )
    short, long = (4_000, 20_000) if quick else (12_000, 400_000)
    rows: list[tuple[str, Algorithm | None, int, float | None]] = [
        ("gradient descent, 1/L", algorithm("gradient_descent"), long, 1 - 1 / kappa),
        (
            "gradient descent, 2/(L+mu)",
            algorithm("gradient_descent", step="2/(L+mu)"),
            long,
            (kappa - 1) / (kappa + 1),
        ),
        ("heavy ball, Polyak", algorithm("heavy_ball"), short, None),
        ("Nesterov, emitted", algorithm("nesterov_sc"), short, (1 - kappa**-0.5) ** 0.5),
        ("triple momentum, emitted", algorithm("triple_momentum"), short, 1 - kappa**-0.5),
        ("optax.sgd(nesterov=True)", None, short, (1 - kappa**-0.5) ** 0.5),
    ]
    gaps, theory = {}, {}
    for name, method, steps, rate in rows:
        gaps[name] = _gap(problem, method, steps, facts["minimum"])
        if rate is not None:
            theory[name] = rate
    comparison = analysis.compute_convergence(
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
    shown = {
        n: (k[k <= SHOWN], gap[k <= SHOWN]) for n, (k, gap) in gaps.items() if "2/(L+mu)" not in n
    }
    squared = {n: theory[n] ** 2 for n in ("Nesterov, emitted", "triple momentum, emitted")}
    labels = (r"iteration $k$", r"$(F(x_k) - F^\star)\,/\,(F(x_0) - F^\star)$")
    return table, analysis.compute_convergence(shown, squared, labels, floor=1e-15)


def _gap(problem: Objective, method: Algorithm | None, steps: int, minimum: float) -> Any:
    if method is None:
        step, beta = _momentum(problem)
        points = _optax_points(optax.sgd(step, momentum=beta, nesterov=True), problem, steps)
        values = np.asarray(jax.jit(jax.vmap(problem.value))(points))
    else:
        values = np.asarray(method.run(problem, np.zeros(_constants(problem)[2]), steps).f)
    gap = (values - minimum) / (values[0] - minimum)
    kept = np.unique(np.r_[np.arange(min(steps, 20_000) + 1), np.arange(0, len(gap), 20)])
    kept = kept[kept < len(gap)]
    return kept, gap[kept]


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _cell(value: int | None, steps: int) -> str:
    return f"> {steps}" if value is None else str(value)


def _draw(comparison: analysis.Convergence, out: Path, report: Report) -> list[Path]:
    report("\n5. Draw")
    method = algorithm("nesterov_sc")
    portrait = analysis.phase_portrait(
        method.bound, curvature=10.0, algorithms={"Nesterov's iterates": method},
        parameters={"mu": 1, "L": 100, "h": 0.1}, steps=30,
    )  # fmt: skip
    pictures: list[Path] = []
    for name, drawn in (("portrait", portrait.plot()), ("convergence", comparison.plot())):
        figure = drawn.get_figure(root=True)
        assert figure is not None
        pictures += analysis.save(figure, out / name)
    for path in pictures:
        report(f"   {path}")
    return pictures
