"""Drawings of results, registered here; results do not import this folder."""

from ..._support.rendering.drawable import register

register(
    __name__,
    {
        "BasinShares": "tipping:draw_shares",
        "Basins": "basins:draw_basins",
        "Bifurcation": "basins:draw_bifurcation",
        "Cobweb": "chaos:draw_cobweb",
        "Continuation": "branches:draw_branches",
        "Convergence": "rates:draw",
        "CriticalCurve": "branches:draw_critical",
        "CycleRegion": "cycles:draw_region",
        "Landscape": "landscape:draw",
        "Lyapunov": "chaos:draw_exponents",
        "MinimumAction": "noise:draw_path",
        "PhaseDensity": "noise:draw_density",
        "Portrait": "portrait:draw",
        "StabilityBoundary": "branches:draw_boundary",
        "Recurrences": "chaos:draw_recurrences",
        "Solution": "runs:draw_solution",
        "SpacePortrait": "space:draw_space",
        "Spectrum": "rates:draw_radius",
        "Spectrum as a locus": "rates:draw_locus",
        "Trajectory": "runs:draw_run",
    },
)
