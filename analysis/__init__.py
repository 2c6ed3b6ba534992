"""Phase portraits and convergence: data first, pictures second."""

from __future__ import annotations

from inspect import isfunction
from typing import TYPE_CHECKING, Any

from odescent._lazy import attach

_PUBLIC = {
    "animate": "animation",
    "basin_windows": "cycling",
    "Basins": "basin_map",
    "basins": "basin_map",
    "Batch": "batches",
    "batch": "batches",
    "Bifurcation": "bifurcation_diagram",
    "bifurcation": "bifurcation_diagram",
    "Certificate": "certificates",
    "certified_rate": "certificates",
    "certified_rates": "certificates",
    "certify": "certificates",
    "Comparison": "comparison",
    "compute_convergence": "gaps",
    "compute_portrait": "portrait",
    "Convergence": "gaps",
    "FlowCertificate": "certificates",
    "HorizonCertificate": "certificates",
    "convergence": "comparison",
    "counterexample": "certificates",
    "cycle_range": "cycling",
    "cycle_region": "cycling",
    "cycle_table": "cycling",
    "cycle_threshold": "cycling",
    "cycles": "cycling",
    "energy_balance": "cycling",
    "energy_ledger": "cycling",
    "exact_edges": "cycling",
    "heavy_ball_story": "story",
    "NoCertificate": "certificates",
    "PotentialCertificate": "certificates",
    "phase_portrait": "phase",
    "rate_transfer": "certificates",
    "piecewise_cycles": "cycling",
    "Portrait": "portrait",
    "save": "style",
    "Section": "plane",
    "Spectrum": "modal_spectrum",
    "spectrum": "modal_spectrum",
    "Sweep": "sweep_jobs",
    "sweep": "sweep_jobs",
    "SweepInterrupted": "sweep_jobs",
    "worst_case_rate": "certificates",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .animation import animate as animate
    from .basin_map import Basins as Basins
    from .basin_map import basins as basins
    from .batches import Batch as Batch
    from .batches import batch as batch
    from .bifurcation_diagram import Bifurcation as Bifurcation
    from .bifurcation_diagram import bifurcation as bifurcation
    from .certificates import Certificate as Certificate
    from .certificates import FlowCertificate as FlowCertificate
    from .certificates import HorizonCertificate as HorizonCertificate
    from .certificates import NoCertificate as NoCertificate
    from .certificates import PotentialCertificate as PotentialCertificate
    from .certificates import certified_rate as certified_rate
    from .certificates import certified_rates as certified_rates
    from .certificates import certify as certify
    from .certificates import counterexample as counterexample
    from .certificates import rate_transfer as rate_transfer
    from .certificates import worst_case_rate as worst_case_rate
    from .comparison import Comparison as Comparison
    from .comparison import convergence as convergence
    from .cycling import basin_windows as basin_windows
    from .cycling import cycle_range as cycle_range
    from .cycling import cycle_region as cycle_region
    from .cycling import cycle_table as cycle_table
    from .cycling import cycle_threshold as cycle_threshold
    from .cycling import cycles as cycles
    from .cycling import energy_balance as energy_balance
    from .cycling import energy_ledger as energy_ledger
    from .cycling import exact_edges as exact_edges
    from .cycling import piecewise_cycles as piecewise_cycles
    from .gaps import Convergence as Convergence
    from .gaps import compute_convergence as compute_convergence
    from .modal_spectrum import Spectrum as Spectrum
    from .modal_spectrum import spectrum as spectrum
    from .phase import phase_portrait as phase_portrait
    from .plane import Section as Section
    from .portrait import Portrait as Portrait
    from .portrait import compute_portrait as compute_portrait
    from .story import heavy_ball_story as heavy_ball_story
    from .style import save as save
    from .sweep_jobs import Sweep as Sweep
    from .sweep_jobs import SweepInterrupted as SweepInterrupted
    from .sweep_jobs import sweep as sweep
else:

    def _public(found: Any) -> Any:
        """Functions take names of what is registered, and refuse other types in a sentence."""
        if isfunction(found):
            from odescent._arguments import checked

            found = checked(found)
            found.__module__ = __name__  # where it is found by its name, as other processes do
        return found

    __getattr__, __dir__ = attach(__name__, _PUBLIC, _public)
