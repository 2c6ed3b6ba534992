"""Cycles of momentum methods: over F(mu, L), their thresholds and regions, and exactly in one dimension.

`methods` looks for cycles on roots of unity (the condition itself stands in `analysis.certificates`), `thresholds`
finds the condition numbers that have one as algebraic numbers, `region` maps them over step and momentum.
`itineraries` and `windows` are about functions of one variable with a piecewise linear gradient: their cycles in
rational numbers, and from where they are reached, with the exact edges of these basins. `balance` is the reason: the
energy of one step, checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.lazy import attach

if TYPE_CHECKING:
    from .balance import energy_balance as energy_balance
    from .balance import energy_ledger as energy_ledger
    from .itineraries import PiecewiseCycle as PiecewiseCycle
    from .itineraries import piecewise_cycles as piecewise_cycles
    from .methods import cycle_table as cycle_table
    from .methods import cycles as cycles
    from .region import CycleRegion as CycleRegion
    from .region import cycle_region as cycle_region
    from .thresholds import cycle_range as cycle_range
    from .thresholds import cycle_threshold as cycle_threshold
    from .windows import BasinWindows as BasinWindows
    from .windows import basin_windows as basin_windows
    from .windows import exact_edges as exact_edges
else:
    __getattr__, __dir__, __all__ = attach(__name__)
