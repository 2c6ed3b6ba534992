"""Wrappers of solvers, controllers and paths, with the attributes of the wrapped objects."""

from __future__ import annotations

from typing import Any

import diffrax as dfx


def of_wrapped(holder: str, name: str) -> Any:
    """A property: the attribute of this name of what `holder` holds."""
    return property(lambda self: getattr(getattr(self, holder), name))


def attribute_of(controller: Any, name: str) -> Any:
    """An attribute of the controller or of one that it wraps; None if there is none."""
    while controller is not None:
        found = getattr(controller, name, None)
        if found is not None:
            return found
        controller = getattr(controller, "controller", None)
    return None


def innermost(solver: Any) -> Any:
    """The solver inside wrappers such as HalfSolver."""
    while isinstance(getattr(solver, "solver", None), dfx.AbstractSolver):
        solver = solver.solver
    return solver
