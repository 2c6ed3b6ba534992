"""Times of certified rates, exact proof included, against a cvxpy bisection without proof.

    python benchmarks/certificates.py [--runs 5] [--kappa 10 100] [--json]
    python benchmarks/certificates.py --map 100 [--workers 2] [--picture rates.png]
    python benchmarks/certificates.py --table

Milliseconds of processor time (what else runs on the machine counts less), medians over the runs: `certify` (search,
rounding and exact proof), `Certificate.verify` alone, and `worst_case_rate`, the rate without a proof. With --map,
certified rates over so many steps and momenta of heavy ball and of Nesterov's form, by `od.analysis.sweep`. With
--table, 1 - rate of many methods, a person's own among them, for condition numbers from 1.0001 to 1e10, beside what the
slowest quadratic allows. The peer states the same two-step inequality in cvxpy and bisects on the solver's status to
the same tolerance, 1e-7: plainly, a new problem at each rate, and with the problem compiled once.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

METHODS = ("gradient_descent", "triple_momentum", "nesterov_sc", "heavy_ball")


def milliseconds(call: Callable[[], Any], runs: int) -> float:
    """The median processor time of a call, after one that is not counted."""
    call()
    taken = []
    for _ in range(runs):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return 1e3 * statistics.median(taken)


def feasible(A: Any, B: Any, C: Any, ratio: float, tau: Any) -> Any:
    """The inequality in cvxpy: feasibility in P, function-value weights and multipliers."""
    import cvxpy as cp

    n, steps = len(A), 2
    size, m = n + steps + 1, n + steps
    inputs = np.eye(size)[n:]
    state, points, after = np.eye(n, size), [(np.zeros((1, size)),) * 2], None
    for u in inputs:
        points.append((C @ state, u[None]))
        state = A @ state + B @ u[None]
        after = state if after is None else after
    count = len(points)

    def square(a: Any, b: Any) -> Any:
        return (a.T @ b + b.T @ a) / 2

    def slack(i: int, j: int) -> Any:
        (yi, gi), (yj, gj) = points[i], points[j]
        dy, dg = yi - yj, gi - gj
        bent = square(dg, dg) + ratio * square(dy, dy) - 2 * ratio * square(dg, dy)
        return -2 * (1 - ratio) * square(gj, dy) - bent

    P, p = cp.Variable((m, m), symmetric=True), cp.Variable(steps)
    lam = {(i, j): cp.Variable(nonneg=True) for i in range(count) for j in range(count) if i != j}
    nu = {ij: cp.Variable(nonneg=True) for ij in lam if max(ij) <= steps}
    early, late = np.eye(m, size), np.vstack([after, np.eye(size)[n + 1 :]])
    decrease = tau * (early.T @ P @ early) - late.T @ P @ late
    decrease -= sum(w * slack(*ij) for ij, w in lam.items())
    energy = P - sum(w * slack(*ij)[:m, :m] for ij, w in nu.items())
    unit = np.eye(count)[1:]
    first, last = np.eye(steps + 1, steps), np.eye(steps + 1, steps, -1)
    net = lambda w: sum(x * (unit[:, i] - unit[:, j]) for (i, j), x in w.items())
    return cp.Problem(
        cp.Minimize(0),
        [
            decrease >> 0, energy >> 0, cp.trace(P) == 1,
            first @ p == net(nu), tau * (first @ p) - last @ p == net(lam),
        ],
    )  # fmt: skip


def bisect(works: Callable[[float], Any], tolerance: float = 1e-7) -> float:
    """The least rate that the solver calls feasible: what one would write first."""
    import cvxpy as cp

    low, high = 0.0, 1.0
    while high - low > tolerance:
        middle = (low + high) / 2
        try:
            problem = works(middle)
            problem.solve(solver="CLARABEL")
            good = "optimal" in problem.status
        except cp.error.SolverError:
            good = False
        low, high = (low, middle) if good else (middle, high)
    return high


def peers(A: Any, B: Any, C: Any, ratio: float) -> tuple[Callable[[], float], Callable[[], float]]:
    """A new problem at each rate, and one problem compiled once."""
    import cvxpy as cp

    tau = cp.Parameter(nonneg=True)
    compiled = feasible(A, B, C, ratio, tau)

    def at(rate: float) -> Any:
        tau.value = rate**2
        return compiled

    plain = lambda: bisect(lambda rate: feasible(A, B, C, ratio, rate**2))
    return plain, lambda: bisect(at)


def measure(runs: int, kappa: int = 10) -> dict[str, dict[str, float]]:
    """Milliseconds and rates by method."""
    import odescent as od
    from odescent.analysis import NoCertificate, certify, worst_case_rate
    from odescent.analysis.certificates.methods.plant import read

    found = {}
    for name in METHODS:
        algorithm = od.algorithm(name)
        try:
            certificate = certify(algorithm, 1, kappa)
        except NoCertificate:
            continue  # heavy ball from 9 + 4 sqrt(5) on
        A, B, C, D = read(algorithm, 1, kappa).floats()
        fresh = milliseconds(lambda a=algorithm: certify(a, 1, kappa), runs)
        found[name] = {
            "rate": certificate.rate,
            "gap": certificate.gap,
            "certify": fresh,
            "verify": milliseconds(certificate.verify, runs),
            "worst_case_rate": milliseconds(
                lambda m=(A, B, C, D): worst_case_rate(m, 1.0, float(kappa)), runs
            ),
        }
        try:
            plain, compiled = peers(A, B * kappa, C, 1 / kappa)
            found[name]["cvxpy's rate"] = plain()
            found[name]["cvxpy, plain"] = milliseconds(plain, max(1, runs // 3))
            found[name]["cvxpy, compiled"] = milliseconds(compiled, max(1, runs // 3))
            found[name]["plain / certify"] = found[name]["cvxpy, plain"] / fresh
        except ImportError:
            pass
    return found


def rate_map(points: int, workers: int, picture: str) -> dict[str, float]:
    """Certified rates at kappa = 10 over (step, momentum), a row a job; seconds, and what was found."""
    import tempfile

    from odescent.analysis import sweep
    from odescent.analysis.certificates import certified_rates

    steps = [str(Fraction(4 * i, points)) for i in range(1, points + 1)]
    momenta = [str(Fraction(i, points)) for i in range(points)]
    figures: dict[str, float] = {}
    maps = {}
    for name in ("heavy ball", "Nesterov's form"):
        grid = [
            {
                "mu": "1/10",
                "L": "1",
                "methods": [
                    {"alpha": a, "beta": b, "gamma": b if name != "heavy ball" else "0"}
                    for b in momenta
                ],
            }
            for a in steps
        ]
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            done = sweep(certified_rates, grid, folder=folder, workers=workers, progress=False)
        seconds = time.perf_counter() - began
        rates = np.array([job.result for job in done.jobs], dtype=float)
        maps[name] = rates
        figures |= {
            f"{name}: seconds": seconds,
            f"{name}: rates": float(rates.size),
            f"{name}: below 1": float(np.isfinite(rates).sum()),
            f"{name}: milliseconds a rate": 1e3 * sum(job.seconds or 0.0 for job in done.jobs) / rates.size,
            f"{name}: least": float(rates.min()),
        }  # fmt: skip
    if picture:
        draw(
            maps,
            [float(Fraction(a)) for a in steps],
            [float(Fraction(b)) for b in momenta],
            picture,
        )
    return figures


def draw(maps: dict[str, Any], steps: list[float], momenta: list[float], picture: str) -> None:
    """The maps side by side; white where no rate below 1 was proved."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(maps), figsize=(3.5 * len(maps), 3), layout="constrained")
    for ax, (name, rates) in zip(axes, maps.items(), strict=True):
        shown = np.where(np.isfinite(rates), rates, np.nan).T
        image = ax.pcolormesh(
            steps, momenta, shown, cmap="viridis", vmin=0.6, vmax=1, shading="nearest"
        )
        ax.set(title=name, xlabel="step, in units of 1 / L", ylabel="momentum")
    figure.colorbar(image, ax=axes, label="certified rate, L / mu = 10")
    figure.savefig(picture, dpi=150)


def own_methods(kappa: Any) -> dict[str, Any]:
    """Methods for mu = 1 and L = kappa by name: the library's, and some of a person's own."""
    import sympy as sp

    import odescent as od

    q = 1 / sp.sqrt(kappa)
    momentum = (1 - q) / (1 + q)
    x, f = od.blocks("x"), od.Objective("f")
    half = x - f.grad(x) / (2 * kappa)

    def three(alpha: Any, beta: Any = 0, gamma: Any = 0) -> dict[str, Any]:
        return {"alpha": alpha / kappa, "beta": beta, "gamma": gamma}

    def decimal(value: Any) -> Any:
        return sp.Rational(str(float(value)))

    return {
        "gradient descent, 1/L": od.algorithm("gradient_descent"),
        "gradient descent, 2/(L+mu)": od.algorithm("gradient_descent", step="2/(L+mu)"),
        "gradient descent, 0.7/L": three(sp.Rational(7, 10)),
        "gradient descent, 1.9/L": three(sp.Rational(19, 10)),
        "triple momentum": od.algorithm("triple_momentum"),
        "robust momentum": od.algorithm("robust_momentum").bind(rho=1 - (q + 1 / kappa) / 2),
        "Nesterov": od.algorithm("nesterov_sc"),
        "Nesterov, .98 momentum": three(1, *2 * [decimal(momentum * 98 / 100)]),
        "Nesterov, half the step": three(sp.Rational(1, 2), *2 * [decimal(1 - 1.4 * float(q) / (1 + 0.7 * float(q)))]),
        "heavy ball, careful": three(sp.Rational(1, 4), sp.Rational(9, 10)),
        "random, three parameters": three(sp.Rational(6, 5), decimal(0.61 * (1 - 0.8 * float(q))), sp.Rational(2, 5)),
        "proximal point, 3/mu": od.algorithm("proximal_point").bind(h=3),
        "extragradient": od.method({x: x - f.grad(half) / (2 * kappa)}, output=x),
        "two steps in one": od.method({x: half - f.grad(half) / kappa}, output=x),
    }  # fmt: skip


def table() -> None:
    """1 - rate by method and condition number."""
    import sympy as sp

    from odescent.analysis import NoCertificate, certify

    kappas = [sp.Rational(10001, 10000), sp.Rational(3, 2), *(sp.Integer(10) ** e for e in range(1, 6)),
              sp.Integer(3 * 10**5), *(sp.Integer(10) ** e for e in range(6, 11))]  # fmt: skip
    print(f"{'method':27} {'kappa':>9} {'1 - rate':>16} {'of quadratics':>13} memory seconds")
    for name in own_methods(kappas[0]):
        for kappa in kappas:
            began = time.process_time()
            try:
                found = certify(own_methods(kappa)[name], 1, kappa)
            except NoCertificate as reason:
                print(f"{name:27} {float(kappa):9.5g} none: {str(reason)[:80]}")
                continue
            seconds = time.process_time() - began
            gap = 1 - found.proved
            assert found.mode is not None and found.verify()
            share = float(gap) / float(1 - found.mode.low)
            exact = ", exact" if found.exact is not None else ""
            print(
                f"{name:27} {float(kappa):9.5g} {float(gap):16.9e} {share:13.9f} {found.witness['memory']:>6}"
                f" {seconds:7.2f}{exact}"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--kappa", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--map", type=int, default=0, metavar="N")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--picture", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import warnings

    warnings.simplefilter("ignore")  # the peer's own, on inaccurate solutions
    if options.table:
        table()
        return
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    if options.map:
        figures = rate_map(options.map, options.workers, options.picture)
        if options.json:
            print(json.dumps({"machine": machine, **figures}, indent=1))
            return
        for what, value in figures.items():
            print(f"{what:<36} {value:.6g}")
        return
    found = {kappa: measure(options.runs, kappa) for kappa in options.kappa}
    if options.json:
        print(json.dumps({"machine": machine, "milliseconds": found}, indent=1))
        return
    for kappa, methods in found.items():
        print(
            f"# {machine}, kappa = {kappa}; milliseconds of processor time, medians of {options.runs} runs"
        )
        for name, figures in methods.items():
            print(f"{name}: rate {figures.pop('rate'):.9f}, gap {figures.pop('gap'):.1e}")
            for what, value in figures.items():
                digits = 9 if "rate" in what and "cvxpy" in what else 1
                print(f"    {what:<18} {value:.{digits}f}")


if __name__ == "__main__":
    sys.exit(main())
