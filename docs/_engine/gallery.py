"""The pictures of the site: one function for each, shown with its code."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import odescent as od


def iterates_over_the_flow() -> plt.Figure:
    """Nesterov's method on one mode of a quadratic, x against the memory variable psi: flow, nullclines, iterates."""
    nag = od.algorithm("nesterov_sc").bind(mu=0.05, L=1)
    return od.analysis.phase_portrait(nag, curvature=0.4).plot().figure


def four_wells() -> plt.Figure:
    """Gradient flow on Himmelblau's function: all nine fixed points, with proof, and the separatrices."""
    f = od.objective("himmelblau")
    window = [(-5.5, 5.5), (-5.5, 5.5)]
    drawn = od.analysis.phase_portrait(od.system("gradient_flow"), f, window=window, x0=[0, 0])
    return drawn.plot().figure


def cycles_in_the_plane() -> plt.Figure:
    """Steps and momenta for which heavy ball cycles on a smooth, strongly convex function with condition number 25."""
    return od.analysis.cycle_region(1 / 25, 1.0, resolution=160, certified=24).plot().figure


def a_function_on_which_heavy_ball_cycles() -> plt.Figure:
    """Heavy ball's cycle on a function of two variables, with one run attracted to it and one that converges."""
    from odescent.analysis.plots.cycles import draw_cycle

    return draw_cycle(od.analysis.cycles("heavy_ball", 1, 25, 3)[0]).figure


def basins_of_the_counterexample() -> plt.Figure:
    """Basins of attraction of heavy ball on the one-dimensional counterexample, by starting point and speed."""
    f = od.objective("lessard_recht_packard")
    ball = od.algorithm("heavy_ball")
    axes = {"x0": (-6.0, 6.0, 240), "v": (-4.0, 4.0, 240)}
    return od.analysis.basins(ball, f, axes=axes).plot().figure


def modal_radius() -> plt.Figure:
    """Spectral radius against curvature: constant for heavy ball, largest at both ends for triple momentum."""
    from odescent._support.style import context, figure, legend_below, looks, titled

    drawn, (ax,) = figure(height_ratio=0.7)
    names = ("heavy_ball", "nesterov_sc", "triple_momentum")
    with context():
        for name, look in looks(names).items():
            found = od.analysis.spectrum(od.algorithm(name), 1, 30)
            label = f"{titled(name)}: {found.rate:.3f}"
            ax.plot(found.curvatures, found.radius, **look.line, label=label)
        ax.set(xlabel=r"curvature $\lambda$", ylabel="modal radius", ylim=(0, 1))
        legend_below(ax, ax.get_lines())
    return drawn


def gap_to_the_flow() -> plt.Figure:
    """Gap of f above its minimum for Nesterov's method and its limit flow at the times of the steps."""
    f = od.objective("quadratic", eigenvalues=[0.05, 0.3, 1.0])
    nag = od.algorithm("nesterov_sc")
    return od.analysis.convergence(nag, f, np.ones(3), 40).plot().figure


def consensus_beside_langevin() -> plt.Figure:
    """Sixty particles on Himmelblau's function: consensus chooses one minimum, Langevin dynamics samples all."""
    import jax

    from odescent._support.style import FULL_WIDTH, context, figure, legend_below, looks, titled

    f = od.objective("himmelblau")
    key, draw = jax.random.split(jax.random.key(0))
    start = jax.random.uniform(draw, (60, 2), minval=-4.5, maxval=4.5)
    runs = {
        "cbo": od.algorithm("cbo").bind(alpha=30, lam=1, sigma=0.7, h=0.05).run(f, start, 80, key=key).x,
        "unadjusted_langevin": np.stack(
            [od.algorithm("unadjusted_langevin", step=0.005).run(f, x, 80, key=i).x for i, x in enumerate(start)], 1
        ),
    }  # fmt: skip
    side = np.linspace(-5, 5, 201)
    height = np.array([[float(f.value(np.array([x, y]))) for x in side[::4]] for y in side[::4]])
    drawn, panels = figure(FULL_WIDTH, 1.0, ncols=2)
    with context():
        for ax, (name, look) in zip(panels, looks(runs).items(), strict=True):
            ax.contour(side[::4], side[::4], np.log1p(height), 12, colors="0.75", linewidths=0.6)
            for k, size, fill in ((0, 2.0, "none"), (10, 3.0, "white"), (80, 4.0, look.color)):
                marks = {
                    "ls": "none",
                    "marker": "o",
                    "ms": size,
                    "mfc": fill,
                    "mec": look.color,
                    "mew": 0.6,
                }
                ax.plot(*np.asarray(runs[name][k]).T, **marks, label=f"step {k}")
            ax.plot(*np.array([[3, 2], [-2.805, 3.131], [-3.779, -3.283], [3.584, -1.848]]).T, ls="none", marker="*",
                    ms=7, mfc="black", mec="white", mew=0.5, label="minimum")  # fmt: skip
            ax.set(title=titled(name), xlabel="$x_1$", ylabel="$x_2$", xlim=(-5, 5), ylim=(-5, 5))
            legend_below(ax)
    return drawn


def shares_of_basins() -> plt.Figure:
    """Gradient descent with larger and larger steps on Himmelblau's function: which minimum a random start reaches."""
    import jax

    eta = od.parameters("eta")
    descent = od.algorithm("gradient_descent", step=eta)
    axes = {"x0[0]": (-5.0, 5.0), "x0[1]": (-5.0, 5.0)}
    return od.analysis.basin_shares(
        descent, "himmelblau", parameter="eta", values=(0.004, 0.03, 27), axes=axes, key=jax.random.key(0)
    ).plot().figure  # fmt: skip


PICTURES = {
    function.__name__: function
    for function in (
        iterates_over_the_flow,
        four_wells,
        cycles_in_the_plane,
        a_function_on_which_heavy_ball_cycles,
        basins_of_the_counterexample,
        modal_radius,
        gap_to_the_flow,
        consensus_beside_langevin,
        shares_of_basins,
    )
}
