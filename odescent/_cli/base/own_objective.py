"""The user's own objective on the command line, MODULE:FUNCTION: the only text by which anything is imported."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from ..._support.errors import OdescentError

if TYPE_CHECKING:
    from ...dynamics import Objective


def objective(text: str) -> Objective:
    """A registered objective by its name, or the user's own by MODULE:FUNCTION, whose module is imported and so run.

    The module is looked for in the current folder first, as Python does for its own programs. What it names is a JAX
    function of one array, or an `od.Objective`.

    Raises:
        OdescentError: an unknown name, a module that is not there or fails, or what is neither.
    """
    import odescent as od

    if ":" not in text:
        return od.objective(text)
    module, _, name = text.partition(":")
    if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise OdescentError(
            f"--objective takes the name of an objective or MODULE:FUNCTION, such as my_module:fun, not {text!r}."
        )
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise OdescentError(f"{module} cannot be imported: {error}.") from None
        raise OdescentError(
            f"there is no module {module!r} in the current folder or where Python looks for modules."
        ) from None
    except Exception as error:  # of the user's module, whatever it is
        raise OdescentError(
            f"{module} cannot be imported: {type(error).__name__}: {error}."
        ) from None
    finally:
        sys.path.remove(here)
    if not hasattr(found, name):
        raise OdescentError(f"the module {module!r} has no {name!r}.")
    made = getattr(found, name)
    if isinstance(made, od.Objective):
        return made
    if not callable(made):
        raise OdescentError(
            f"{text} must be a JAX function of one array or an od.Objective, not of type {type(made).__name__}."
        )
    return od.Objective(made)
