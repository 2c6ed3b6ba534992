"""Functions of numbers in an emitted step: the same in Python's floats as in JAX, at the ends of their ranges too."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
import pytest
import sympy as sp

from odescent.discretize.emit.modules.numpy_helpers import HELPERS
from odescent.discretize.emit.printing.language import JNP, STEP
from odescent.discretize.emit.printing.printer import FUNCTIONS, Printer, ones_like

x, y = sp.symbols("x y", real=True)
p = sp.Symbol("p", positive=True)
n = sp.Symbol("n", nonnegative=True)
POINTS = (
    -math.inf,
    -1e308,
    -800.0,
    -2.5,
    -0.5,
    -0.0,
    0.0,
    0.5,
    2.0,
    800.0,
    1e308,
    math.inf,
    math.nan,
)
SCALARS = [
    *(function(x) for function in FUNCTIONS if function is not ones_like),
    sp.sqrt(x), sp.sqrt(n), x ** sp.Rational(1, 3), n ** sp.Rational(3, 2), x**-1, x**3, 2**x, x**y,
    sp.sech(x), sp.coth(x), sp.Max(x, 1), sp.Max(x, y), sp.Min(x, y, 3), sp.Min(p, x), sp.Max(sp.sqrt(x), y),
    sp.Max(y, 1 + x**2), sp.ceiling(x) - x,
]  # fmt: skip


@pytest.mark.parametrize("e", SCALARS, ids=str)
def test_python_and_jax_have_the_same_number_or_python_says_that_it_has_none(e: sp.Expr) -> None:
    """A division by zero and an overflow may raise, which a run takes for a number that is not finite."""
    names = sorted(s.name for s in e.free_symbols)
    made: dict[str, Any] = {"math": math, "jnp": jnp}
    both = {"ours": Printer(STEP).scalar(e), "theirs": Printer(JNP).scalar(e)}
    defined = [f"def {name}({', '.join(names)}): return {e}" for name, e in both.items()]
    helpers = [text for text in HELPERS.values() if "np." not in text]
    text = "\n".join(["from __future__ import annotations", *helpers, *defined])
    exec(text, made)  # noqa: S102
    ranges = [[v for v in POINTS if name in "xy" or v > 0] for name in names]
    for values in itertools.product(*ranges):
        wanted = float(made["theirs"](*map(jnp.asarray, values)))
        try:
            found = made["ours"](*values)
        except (ZeroDivisionError, OverflowError):
            assert not math.isfinite(wanted) or wanted == 0
            continue
        assert isinstance(found, (float, int)), values
        if not (math.isnan(found) and math.inf in map(abs, values) and e.is_Pow):  # inf**(1/3)
            assert found == pytest.approx(wanted, rel=1e-12, abs=1e-307, nan_ok=True), values
