"""Drawings of results, registered here; results do not import this folder."""

from ..._support.drawable import register

register(
    __name__,
    {
        "BasinShares": "tipping:draw_shares",
        "Basins": "basins:draw_basins",
        "Bifurcation": "basins:draw_bifurcation",
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
        "Spectrum": "rates:draw_radius",
        "Spectrum as a locus": "rates:draw_locus",
    },
)
