"""Certificates of worst cases: found in floats, proved in exact arithmetic, independently checkable.

`worst_cases.certify` reads a method (`methods`), bounds its rate from below (`lower_bounds`), looks for a Lyapunov
function (`searching`), and keeps what the checker, a script without dependencies, proves of it (`checking`). Linear
rates are `certificate`, bounds after finitely many steps `horizon`, after any number `potential`, rates of flows
`flow`, compared with those of their discretizations in `transfer`; `standalone` reads and checks all kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.lazy import attach

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate
    from .flow import FlowCertificate as FlowCertificate
    from .flow import certify_flow as certify_flow
    from .horizon import HorizonCertificate as HorizonCertificate
    from .horizon import certify_horizon as certify_horizon
    from .lower_bounds.cycle import Cycle as Cycle
    from .lower_bounds.cycle import counterexample as counterexample
    from .lower_bounds.cycle import roots_of_unity as roots_of_unity
    from .methods.plant import NoCertificate as NoCertificate
    from .potential import PotentialCertificate as PotentialCertificate
    from .potential import certify_potential as certify_potential
    from .searching.least import worst_case_rate as worst_case_rate
    from .standalone import load as load
    from .transfer import Transfer as Transfer
    from .transfer import rate_transfer as rate_transfer
    from .worst_cases import certified_rate as certified_rate
    from .worst_cases import certified_rates as certified_rates
    from .worst_cases import certify as certify
else:
    __getattr__, __dir__, __all__ = attach(__name__)
