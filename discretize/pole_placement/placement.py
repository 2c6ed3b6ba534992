"""Pole placement: the parameters of the passive form from given poles at modes of a quadratic.

On a mode lambda the passive system, discretized by semi-implicit Euler, has two poles. Asking for
them at mu, at L or anywhere between selects a method: a double pole 1 - sqrt(mu/L) at mu and a pole
0 at L is Nesterov's, the poles rho and rho^2 at mu are the triple momentum method's (Van Scoy,
Freeman and Lynch, 10.1109/LCSYS.2017.2722406) and the robust momentum method's (Cyrus, Hu, Van Scoy
and Lessard, arXiv:1710.04753). The solver is in `poles_solve`; nothing here is a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.vectors import Expr
from ...dynamics.notation.show import text
from ...dynamics.vector_fields.system import L as L_symbol
from ...dynamics.vector_fields.system import mu as mu_symbol
from ..equality.verdict import Equivalence
from ..faces import Algorithm
from ..library.momentum import (
    iterate_lead,
    modal_form,
    passive_algorithm,
    trace_and_determinant,
)
from .reduction import Branch, prescribed, solve, wanted
from .specification import PlacedMode, Reader, is_real, read, scalar
from .stability import stability


@dataclass(frozen=True)
class PoleSolution(Rendered):
    """One method with the wanted poles.

    Attributes:
        algorithm: the passive system by semi-implicit Euler, tuned exactly; its output is the iterate
            xi (the form's output at delta = 0), or the expression given by ``output=``. ``xi`` is recorded too.
        parameters: K and a in units of h = 1/sqrt(L) (that is K h and a/h), b, alpha, beta, gamma, delta as
            in the three-parameter form; gamma and delta are absent where alpha = 0, because that form
            does not exist then.
        free: the symbols that the specification leaves open: ``beta``, then ``a_0`` (for a), ``b_0`` (for b).
        poles: both poles at each mode of the specification, those that came along included.
        labels: among "family", "degenerate (beta = 0)" (gradient descent), "degenerate (b = 0, gamma =
            beta/(1 - beta))" (gradient descent beside a memory that it does not see), "degenerate (alpha = 0)"
            (the gradient has no lasting effect), "unstable", "stability depends on ...", and "no output"
            where the requested left eigenvector is orthogonal to the iterate.
        stable: whether every mode in [mu, L] is stable, for all values of the symbols; None if that depends
            on them or was only sampled. ``stability`` states how it was decided.
        residuals: what is left of each wanted condition in the engine's own modal matrix; all are zero.
    """

    algorithm: Algorithm
    parameters: Mapping[str, sp.Expr]
    free: tuple[sp.Symbol, ...]
    poles: Mapping[str, tuple[sp.Expr, sp.Expr]]
    labels: tuple[str, ...]
    stable: bool | None
    stability: str
    residuals: Mapping[str, sp.Expr]

    @property
    def output(self) -> Expr:
        """The output as an expression in the blocks psi and y."""
        return self.algorithm.output

    @property
    def coefficients(self) -> dict[str, sp.Expr]:
        """alpha, beta, gamma, delta, read off the algorithm; see `Algorithm.coefficients`."""
        return self.algorithm.coefficients

    def equivalent(
        self, other: Algorithm | PoleSolution, where: Mapping[sp.Symbol, object] | None = None
    ) -> Equivalence:
        """Whether it is another algorithm; see `Algorithm.equivalent`."""
        return self.algorithm.equivalent(
            other.algorithm if isinstance(other, PoleSolution) else other, where
        )

    def characteristic(self, curvature: Any, r: sp.Symbol) -> sp.Expr:
        """The characteristic polynomial in r of the mode of that curvature, from the algorithm's modal matrix."""
        matrix = self.algorithm.state_space().modal_matrix(scalar(curvature, "a curvature"))
        trace, determinant = trace_and_determinant(matrix)
        return r**2 - trace * r + determinant

    def __str__(self) -> str:
        q = sp.Symbol("q", positive=True)
        short = {
            n: sp.factor(canonical(e.xreplace({mu_symbol: q**2 * L_symbol})))
            for n, e in self.parameters.items()
        }
        shown = ", ".join(f"{n} = {text(e)}" for n, e in short.items())
        if any(q in e.free_symbols for e in short.values()):
            shown += "  (q = sqrt(mu/L))"
        return shown + (f"  [{'; '.join(self.labels)}]" if self.labels else "")


@dataclass(frozen=True)
class PoleSolutions(Rendered, Sequence[PoleSolution]):
    """All solutions of a specification.

    ``assumes`` lists what was divided by and may vanish for some values of the symbols: where one of
    them is zero, the solutions can be others.
    """

    solutions: tuple[PoleSolution, ...]
    assumes: tuple[sp.Expr, ...] = ()

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        return tuple(s.algorithm for s in self.solutions)

    @overload
    def __getitem__(self, index: int) -> PoleSolution: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PoleSolution, ...]: ...
    def __getitem__(self, index: int | slice) -> PoleSolution | tuple[PoleSolution, ...]:
        return self.solutions[index]

    def __len__(self) -> int:
        return len(self.solutions)

    def __str__(self) -> str:
        return "\n".join(map(str, self.solutions))


def place_poles(
    poles: Mapping[Any, Any],
    *,
    output: Any = None,
    fixed: Mapping[Any, Any] | None = None,
    mu: Any = None,
    L: Any = None,
) -> PoleSolutions:
    """The methods of the passive form with given poles, e.g. ``{"mu": (rho, rho), "L": (0,)}``.

    Args:
        poles: by mode, one or two poles each (a double pole is written twice). A mode is "mu", "L" or a
            curvature. Poles are numbers or SymPy expressions; symbols named mu, L, q = sqrt(mu/L) and
            kappa = L/mu mean these, all others stay free. Complex poles come in conjugate pairs.
        output: a pole r at mu: the output is then read off its left eigenvector there, so that it is
            multiplied by r in every step of that mode.
        fixed: values of parameters, by name: K, a (in units of h = 1/sqrt(L)), b, alpha, beta, gamma.
        mu, L: numbers, if the class is known.

    Returns:
        All solutions, exact: the regular ones first, then the degenerate branch beta = 0. An under-determined
        specification gives a family, with its free symbols in ``free``.

    Raises:
        OdescentError: bad input, or conditions that contradict one another (the message names them).
    """
    try:
        reader, modes, given = read(poles, fixed, mu, L)
        conditions = [c for m in modes for c in wanted(m)] + prescribed(given, reader)
        branches = solve(conditions, given.get("a"), given.get("b"), reader.fresh)
        asked = None if output is None else reader.expression(output, "the pole for output=")
        if asked is not None:
            _check_asked(asked, branches, reader, output)
        made = tuple(_solution(b, modes, reader, asked) for b in branches)
    except ArithmeticError as error:
        raise OdescentError(
            f"the specification is too intricate to be decided exactly: {error}"
        ) from None
    return PoleSolutions(made, reader.doubtful(e for b in branches for e in b.nonzero))


def _traces(branch: Branch, ell: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Trace and determinant of a mode."""
    at = (branch.beta, branch.a + branch.b, branch.a * branch.beta)
    t, d = (c + sum(x * y for x, y in zip(row, at, strict=True)) for c, row in modal_form(ell))
    return canonical(t), canonical(d)


def _check_asked(r: sp.Expr, branches: list[Branch], reader: Reader, given: object) -> None:
    if not is_real(r):
        raise OdescentError(
            f"output= takes a real pole at mu, because the output is real, not {given!r}."
        )
    for branch in branches:
        t, d = _traces(branch, reader.q**2)
        if is_zero(canonical(r**2 - t * r + d)):
            return
    raise OdescentError(
        f"output= reads the output off the left eigenvector of a pole at mu, but {given!r} is not a pole there; "
        "give one of the poles wanted at mu."
    )


def _lead(branch: Branch, r: sp.Expr | None, reader: Reader) -> sp.Expr | None:
    """w in units of h, of the output y + w psi: the left eigenvector of r at mu, or the iterate xi."""
    if r is None:
        return iterate_lead(branch.beta, branch.a, branch.b)
    engine = passive_algorithm(branch.beta, branch.a, branch.b, sp.S.One)
    rest = (engine.state_space().modal_matrix(reader.q**2) - r * sp.eye(2)).applyfunc(canonical)
    for column in (0, 1):  # (w, 1) times the matrix vanishes
        if not is_zero(rest[0, column]):
            w = canonical(-rest[1, column] / rest[0, column])
            left = [canonical(w * rest[0, k] + rest[1, k]) for k in (0, 1)]
            return w if all(map(is_zero, left)) else None
    return None


def _solution(
    branch: Branch, modes: list[PlacedMode], reader: Reader, asked: sp.Expr | None
) -> PoleSolution:
    beta, a, b = branch.beta, branch.a, branch.b
    lead = _lead(branch, asked, reader)
    labels = ["family"] if branch.free else []
    if asked is not None and lead is None:
        labels.append("no output")
        lead = _lead(branch, None, reader)
    assert lead is not None
    effect = canonical(a * (1 - beta) + b)  # alpha L
    parameters = {"K": 1 - beta, "a": a, "b": b, "alpha": effect / reader.smoothness, "beta": beta}
    if is_zero(effect):
        labels.append("degenerate (alpha = 0)")
    else:
        parameters["gamma"] = canonical(a * beta / effect)
        parameters["delta"] = canonical(parameters["gamma"] + lead * b / effect)
    if is_zero(beta):
        labels.append("degenerate (beta = 0)")
    elif is_zero(b):
        labels.append("degenerate (b = 0, gamma = beta/(1 - beta))")
    verdict = stability([_traces(branch, ell) for ell in (reader.q**2, sp.S.One)], reader.q)
    labels += [verdict.label] if verdict.label else []
    shown = [reader.public(e) for e in (beta, a, b)]
    algorithm = passive_algorithm(
        shown[0], shown[1], shown[2], reader.smoothness, reader.public(lead)
    )
    return PoleSolution(
        algorithm,
        {n: reader.public(e) for n, e in parameters.items()},
        branch.free,
        {m.label: tuple(map(reader.public, _both(branch, m))) for m in modes},
        tuple(labels),
        verdict.stable,
        verdict.how,
        _residuals(algorithm, modes, reader),
    )


def _both(branch: Branch, mode: PlacedMode) -> tuple[sp.Expr, sp.Expr]:
    if len(mode.poles) == 2:
        return mode.poles[0], mode.poles[1]
    t, _ = _traces(branch, mode.ell)
    return mode.poles[0], canonical(t - mode.poles[0])


def _residuals(algorithm: Algorithm, modes: list[PlacedMode], reader: Reader) -> dict[str, sp.Expr]:
    """Each wanted condition against the algorithm's own modal matrix; AssertionError if one fails."""
    found = {}
    space = algorithm.state_space()
    for m in modes:
        matrix = space.modal_matrix(reader.public(m.ell) * reader.smoothness)
        t, d = trace_and_determinant(matrix)
        if len(m.poles) == 1:
            r = reader.public(m.poles[0])
            found[m.label] = canonical(r**2 - t * r + d)
        else:
            total, product = map(reader.public, m.sum_and_product())
            found[f"{m.label} (sum)"] = canonical(t - total)
            found[f"{m.label} (product)"] = canonical(d - product)
    wrong = [n for n, e in found.items() if not is_zero(e)]
    if wrong:  # pragma: no cover
        raise AssertionError(f"the placed method misses its poles at {wrong[0]}")
    return found
