"""Phase portraits and convergence: data first, pictures second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.lazy import attach
from . import plots  # noqa: F401  it registers what draws results

if TYPE_CHECKING:
    from .._support.style import save as save
    from .attraction.basin_map import Basins as Basins
    from .attraction.basin_map import basins as basins
    from .attraction.batches import Batch as Batch
    from .attraction.batches import batch as batch
    from .branches.bifurcation_diagram import Bifurcation as Bifurcation
    from .branches.bifurcation_diagram import bifurcation as bifurcation
    from .branches.boundary import StabilityBoundary as StabilityBoundary
    from .branches.boundary import stability_boundary as stability_boundary
    from .branches.branch import SolutionBranch as SolutionBranch
    from .branches.continuation import Continuation as Continuation
    from .branches.continuation import continuation as continuation
    from .branches.critical_curve import CriticalCurve as CriticalCurve
    from .branches.critical_curve import DoublePoint as DoublePoint
    from .branches.special import SpecialPoint as SpecialPoint
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
    from .chaos.lyapunov import Lyapunov as Lyapunov
    from .chaos.lyapunov import lyapunov as lyapunov
    from .chaos.returns import Cobweb as Cobweb
    from .chaos.returns import Recurrences as Recurrences
    from .chaos.returns import cobweb as cobweb
    from .chaos.returns import recurrences as recurrences
    from .chaos.zero_one import zero_one_test as zero_one_test
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
    from .landscapes.build import landscape as landscape
    from .landscapes.landscape import Landscape as Landscape
    from .noise.action import MinimumAction as MinimumAction
    from .noise.action import minimum_action as minimum_action
    from .noise.density import PhaseDensity as PhaseDensity
    from .noise.density import fokker_planck as fokker_planck
    from .plots.cycles import heavy_ball_story as heavy_ball_story
    from .plots.interactive import interactive as interactive
    from .portraits.animation import animate as animate
    from .portraits.phase import phase_portrait as phase_portrait
    from .portraits.portrait import Portrait as Portrait
    from .portraits.portrait import compute_portrait as compute_portrait
    from .portraits.section import Section as Section
    from .portraits.space import SpacePortrait as SpacePortrait
    from .portraits.space import space_portrait as space_portrait
    from .rates.comparison import Comparison as Comparison
    from .rates.comparison import convergence as convergence
    from .rates.estimation import EstimatedConstants as EstimatedConstants
    from .rates.gaps import Convergence as Convergence
    from .rates.gaps import compute_convergence as compute_convergence
    from .rates.modal_spectrum import Spectrum as Spectrum
    from .rates.modal_spectrum import spectrum as spectrum
    from .sections.return_map import PoincareMap as PoincareMap
    from .sections.return_map import Returns as Returns
    from .sections.return_map import StroboscopicMap as StroboscopicMap
    from .sections.return_map import poincare_map as poincare_map
    from .sections.return_map import stroboscopic_map as stroboscopic_map
    from .sweeps.jobs import ParameterSweep as ParameterSweep
    from .sweeps.jobs import SweepInterrupted as SweepInterrupted
    from .sweeps.jobs import sweep as sweep
    from .tipping.along import basin_shares as basin_shares
    from .tipping.edges import EdgeState as EdgeState
    from .tipping.edges import edge_state as edge_state
    from .tipping.resilience import Resilience as Resilience
    from .tipping.resilience import resilience as resilience
    from .tipping.shares import BasinShares as BasinShares
    from .tipping.shares import TippingProbabilities as TippingProbabilities
else:
    __getattr__, __dir__, __all__ = attach(__name__)
