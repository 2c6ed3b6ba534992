"""The figures and tables of the papers that odescent stands on: computed, checked against their claims, drawn.

One module per figure or family of figures, listed by paper in `papers.py`; `odescent figures` makes them.
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
