"""Figures and tables for the claims of the papers that odescent builds on: computed, checked, drawn.

A folder for each paper, a module for each family of figures, listed in `papers.py`; `odescent figures` makes them.
This folder is the engine and imports `_support` and the sweeps' store; a paper's folder imports from all rooms.
"""

from __future__ import annotations

from .claims import (
    HOLDS,
    UNDECIDED,
    WRONG,
    Claim,
    Expected,
    Spread,
    above,
    at_least,
    at_most,
    below,
    between,
    exactly,
    near,
)
from .entry import PaperFigure, Result
from .papers import PAPERS, Paper, find

__all__ = [
    "HOLDS",
    "PAPERS",
    "UNDECIDED",
    "WRONG",
    "Claim",
    "Expected",
    "Paper",
    "PaperFigure",
    "Result",
    "Spread",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "exactly",
    "find",
    "near",
]
