"""The interactive explorer: the choice, the view computed from it, and (in `app`) the page.

All of the computing is plain functions of a `Choice`; only `app` needs marimo.
"""

from __future__ import annotations

from .choice import Choice, Parameter, objectives, options, parameters, schemes
from .view import View, certified, view

__all__ = [
    "Choice",
    "Parameter",
    "View",
    "certified",
    "objectives",
    "options",
    "parameters",
    "schemes",
    "view",
]
