"""Certificates of convergence rates: found in floats, proved in exact arithmetic, checked by anyone.

`search.certify` reads a method (`plant`), bounds its rate from below on quadratics (`modes`), looks for a Lyapunov
function by semidefinite programming (`lmi`), and keeps what `checker`, a script without dependencies, proves of it;
`iqc` does so by integral quadratic constraints. Exact rates come from `identity`, counterexamples from `cycle`,
functions on which a method is slow from `spiral`. Bounds after finitely many steps are made in `horizon`, after any
number of steps in `potential`, rates of flows in `flow`, and compared with those of their discretizations in
`transfer`. `standalone` has the checkers of all kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._lazy import attach

_PUBLIC = {
    "Certificate": "certificate",
    "Cycle": "cycle",
    "NoCertificate": "plant",
    "FlowCertificate": "flow",
    "HorizonCertificate": "horizon",
    "PotentialCertificate": "potential",
    "Transfer": "transfer",
    "certified_rate": "search",
    "certified_rates": "search",
    "certify": "search",
    "certify_flow": "flow",
    "certify_horizon": "horizon",
    "certify_potential": "potential",
    "load": "standalone",
    "rate_transfer": "transfer",
    "counterexample": "cycle",
    "roots_of_unity": "cycle",
    "worst_case_rate": "lmi",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate
    from .cycle import Cycle as Cycle
    from .cycle import counterexample as counterexample
    from .cycle import roots_of_unity as roots_of_unity
    from .flow import FlowCertificate as FlowCertificate
    from .flow import certify_flow as certify_flow
    from .horizon import HorizonCertificate as HorizonCertificate
    from .horizon import certify_horizon as certify_horizon
    from .lmi import worst_case_rate as worst_case_rate
    from .plant import NoCertificate as NoCertificate
    from .potential import PotentialCertificate as PotentialCertificate
    from .potential import certify_potential as certify_potential
    from .search import certified_rate as certified_rate
    from .search import certified_rates as certified_rates
    from .search import certify as certify
    from .standalone import load as load
    from .transfer import Transfer as Transfer
    from .transfer import rate_transfer as rate_transfer

else:
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
