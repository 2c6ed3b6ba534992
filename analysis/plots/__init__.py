"""Drawings of results, registered here; results do not import this folder."""

from ..._support.drawable import register

register(
    __name__,
    {
        "Basins": "basins:draw_basins",
        "Bifurcation": "basins:draw_bifurcation",
        "Convergence": "gaps:draw",
        "CycleRegion": "cycles:draw_region",
        "Portrait": "portrait:draw",
        "Spectrum": "spectrum:draw_radius",
        "Spectrum as a locus": "spectrum:draw_locus",
    },
)
