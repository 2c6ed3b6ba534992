"""Drawings of results, registered here; results do not import this folder."""

from ..._support.drawable import register

register(
    __name__,
    {
        "Basins": "basins:draw_basins",
        "Bifurcation": "basins:draw_bifurcation",
        "Convergence": "rates:draw",
        "CycleRegion": "cycles:draw_region",
        "Portrait": "portrait:draw",
        "Spectrum": "rates:draw_radius",
        "Spectrum as a locus": "rates:draw_locus",
    },
)
