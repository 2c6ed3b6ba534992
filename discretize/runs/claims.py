"""What a run says of the claims of its method: how often they failed."""

from __future__ import annotations

import numpy as np

from ..._support.errors import listed
from ..programs.claims import claims
from ..step.iteration import Iteration
from .trajectory import Trajectory


def sentences(algorithm: Iteration, done: Trajectory) -> str:
    """A sentence for each claim: it held in all steps, or in how many it failed, and by when the first of them was."""
    said = []
    steps = int(np.asarray(done.k)[-1])
    for claim in claims(algorithm.scheme.steps):
        failed, first = _last(done, str(claim.violated))
        parts = [f"was violated in {failed:g} of {steps} steps, first by step {first}"] * (
            failed > 0
        )
        if claim.unchecked is not None:
            open_, first = _last(done, str(claim.unchecked))
            parts += [f"could not be checked in {open_:g}, first by step {first}"] * (open_ > 0)
        found = listed(parts) if parts else f"held in all {steps} steps"
        said.append(f"The claim {claim.guard} {found}.")
    return "\n".join(said)


def _last(done: Trajectory, name: str) -> tuple[float, int]:
    """A count at the end of a run, and the first recorded step at which it had grown."""
    counts = np.asarray(done.states[name])
    grown = np.flatnonzero(counts > counts[0])
    return float(counts[-1] - counts[0]), int(np.asarray(done.k)[grown[0]]) if len(grown) else 0
