"""A method or a flow as exact matrices, reduced to its observable states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import sympy as sp
from jaxtyping import Float

from ...._support.arguments import by_name
from ...._support.errors import OdescentError, expected
from ...._support.rendering.brief import short
from ...._support.rendering.rendered import Rendered
from ....discretize.linear.matrices import inverse
from ....dynamics import System
from ....dynamics.algebra.exact import canonical, is_zero
from ....dynamics.algebra.scalars import as_scalar, check_class, constant
from ....dynamics.vector_fields.system import L as smoothness
from ....dynamics.vector_fields.system import mu as convexity
from ..checking.checker import ONE, Number
from ..checking.elimination import reduced, times
from ..checking.field import NotInField, NumberField, OfField, enclosure, reciprocal

if TYPE_CHECKING:
    from ....discretize import Algorithm, StateSpace

Matrix: TypeAlias = list[list[Any]]
Method: TypeAlias = "Algorithm | StateSpace | Mapping[str, object] | Sequence[Any] | str"
_ratio = sp.Symbol("q", positive=True)  # sqrt(mu / L)
THREE = ("alpha", "beta", "gamma", "delta")


class NoCertificate(OdescentError):
    """There is no certificate of the requested kind; the message gives the reason.

    ``counterexample`` is a function on which the method fails, if one is known.
    """

    def __init__(self, message: str, counterexample: Any = None) -> None:
        super().__init__(message)
        self.counterexample = counterexample


@dataclass(frozen=True)
class Plant(Rendered, OfField):
    """x+ = A x + B u, y = C x + D u with u = gradients at y, and what the certificate needs besides.

    Entries are numbers of the checker: in Q(sqrt d), or enclosures (``exact`` False). ``output`` is the row
    that reads the output off the state, ``fixed`` the state that rests at a minimizer 1.
    """

    A: Matrix
    B: Matrix
    C: Matrix
    D: Matrix
    output: list[Number]
    fixed: list[Number]
    mu: sp.Expr
    L: sp.Expr
    d: int
    exact: bool
    name: str = ""

    def floats(self) -> tuple[Float[np.ndarray, "n n"], Any, Any, Any]:
        """A, B, C, D rounded."""
        A, B, C, D = map(to_floats, (self.A, self.B, self.C, self.D))
        return A, B, C, D


def to_float(x: Number) -> float:
    """The number rounded (within a few units of the last place), also where a and b sqrt(d) nearly cancel."""
    a, b = Fraction(x.a), Fraction(x.b)
    if a * b >= 0:
        return float(a) + float(b) * math.sqrt(x.d)
    rest = a * a - x.d * b * b  # exactly, over the sum of two numbers of one sign
    larger = max(abs(a), abs(b))
    return float(rest / larger) / (float(a / larger) - float(b / larger) * math.sqrt(x.d))


def to_floats(entries: Any) -> Any:
    """An array of numbers, given as nested lists, rounded."""
    return np.vectorize(to_float, otypes=[float])(np.array(entries, dtype=object))


def constants_of(mu: object, L: object, infinite: bool = False) -> tuple[sp.Expr, sp.Expr]:
    """The constants of a class F(mu, L) as exact numbers.

    Args:
        mu, L: as they were given.
        infinite: whether L was found to be infinity.

    Raises:
        OdescentError: they are no numbers, or no class.
    """
    low, high = constant("mu", mu), sp.oo if infinite else constant("L", L, strict=True)
    if not (low.is_number and high.is_number):
        raise OdescentError(f"mu and L must be numbers for a certificate, not {mu} and {L}.")
    check_class(low, high)
    return low, high


def check_bound(free: Iterable[sp.Symbol], besides: str = "") -> None:
    """Refuse parameters without a value; ``besides`` says how else to give one."""
    for first in sorted(free, key=str)[:1]:
        way = f"give it one, as in bind({first}=1/2){besides.format(first)}."
        raise OdescentError(f"the parameter {first} of the method has no value: {way}")


def check_one_function(inputs: Sequence[Any], what: str) -> None:
    """Refuse oracles that are not gradients of one function."""
    if len({o.of for o in inputs}) != 1 or any(not o.form.field for o in inputs):
        called = ", ".join(dict.fromkeys(o.name for o in inputs)) or "nothing"
        raise OdescentError(
            f"a {what} over F(mu, L) applies to gradients of one function; this method calls {called}."
        )


def read(method: Method, mu: object, L: object) -> Plant:
    """The exact matrices of a method on the class F(mu, L).

    Raises OdescentError for constants outside their domain, a method with unbound parameters or of another
    structure, and NoCertificate if the method does not rest at minimizers.

    Args:
        method: as for `certify`.
        mu, L: the class, 0 <= mu <= L.
    """
    low, high = constants_of(mu, L)
    matrices, name = _matrices(method)
    d, exact, (A, B, C, D, (output,)), fixed = settled(matrices, low, high)
    return Plant(A, B, C, D, output, fixed, low, high, d, exact, name)


def settled(
    matrices: list[Matrix], low: sp.Expr, high: sp.Expr
) -> tuple[int, bool, list[Matrix], list[Number]]:
    """d, whether the numbers are exact, the observable part of A, B, C, D, output, and the state v with A v = v.

    Raises OdescentError for free parameters, NoCertificate if there is no such state that reads as 1.

    Args:
        matrices: A, B, C, D and the output row as expressions.
        low, high: mu and L, exact.
    """
    known = {convexity: low, smoothness: high}
    free = {s for m in matrices for row in m for e in row for s in e.free_symbols} - known.keys()
    check_bound(free, ", or --set {}=1/2 on the command line")
    found = _in_field(matrices, low, high)
    if found is None:
        matrices = _own_coordinates(tuple(tuple(map(tuple, m)) for m in matrices))
        found = _in_field(matrices, low, high)
    if found is not None:
        d, numbers, fixed = found
        return d, True, numbers, fixed
    values = {_ratio: sp.sqrt(low / high), **known}
    bound = [[[canonical(e.xreplace(values)) for e in row] for row in m] for m in matrices]
    bound, at = _reduced(bound, is_zero, _inverted, sp.S.One)
    (fixed,) = _enclosures([at])
    return 1, False, [_enclosures(m) for m in bound], fixed


def _in_field(
    matrices: list[Matrix], low: sp.Expr, high: sp.Expr
) -> tuple[int, list[Matrix], list[Number]] | None:
    """d, the matrices and the state at rest in Q(sqrt d); None if there is no such field."""
    values = {convexity: low, smoothness: high, _ratio: sp.sqrt(low / high)}
    field = NumberField()
    try:
        for _ in range(2):  # the second time with the final d
            field.number(low, {}), field.number(high, {})
            numbers = [[[field.number(e, values) for e in row] for row in m] for m in matrices]
    except NotInField:
        return None
    except ZeroDivisionError:
        raise OdescentError(
            f"the coefficients of the method have no finite values at mu = {low} and L = {high}."
        ) from None
    return field.d, *_reduced(numbers, lambda x: not x, reciprocal, ONE)


def _inverted(e: sp.Expr) -> sp.Expr:
    return canonical(1 / e)


@lru_cache(maxsize=256)
def _own_coordinates(matrices: tuple[tuple[tuple[sp.Expr, ...], ...], ...]) -> list[Matrix]:
    """The method with the rows of C, output, C A, ... as its coordinates, in L and q = sqrt(mu / L).

    A method may be written with sqrt(mu) and sqrt(L) where its behaviour only depends on q and L.
    """
    A, B, C, D, output = (sp.Matrix([list(row) for row in m]) for m in matrices)
    rows: Matrix = []
    echelon: Matrix = []
    waiting = [*C.tolist(), *output.tolist()]
    while waiting:
        row = [canonical(e) for e in waiting.pop(0)]
        found, pivots = reduced([*echelon, row], is_zero, _inverted)
        if len(found) > len(rows):
            rows.append(row)
            echelon = [[canonical(e) for e in line] for line in found]
            waiting.append(times(row, A.tolist()))
    basis, pivots = sp.Matrix(rows), sorted(pivots)
    back = inverse(basis[:, pivots])
    into = [m[:, pivots] * back for m in (basis * A, C, output)]
    own = [into[0], basis * B, into[1], D, into[2]]
    scaled = {convexity: _ratio**2 * smoothness}
    return [m.applyfunc(lambda e: canonical(e.xreplace(scaled))).tolist() for m in own]


def _matrices(method: Method) -> tuple[list[Matrix], str]:
    """A, B, C, D and the output row as expressions, and a name."""
    from ....discretize import Algorithm, StateSpace
    from ....discretize.linear.state_space import NotLTI

    name = ""
    if isinstance(method, str):
        method = by_name(method, ("Algorithm",))
    if isinstance(method, Mapping):
        unknown = sorted(set(method) - set(THREE))
        if unknown or "alpha" not in method:
            raise OdescentError(
                "a method in three-parameter form must have alpha and beta, gamma, delta (0 if left out), "
                f"not {', '.join(map(str, method))}."
            )
        alpha, beta, gamma, delta = (_scalar(n, method.get(n, 0)) for n in THREE)
        one, none = sp.S.One, sp.S.Zero
        return [
            [[1 + beta, -beta], [one, none]], [[-alpha], [none]], [[1 + gamma, -gamma]], [[none]],
            [[1 + delta, -delta]],
        ], "three-parameter method"  # fmt: skip
    if isinstance(method, Algorithm):
        name = method.name
        try:
            method = method.state_space()
        except NotLTI as reason:
            raise NotLTI(
                f"rates are certified for methods that are linear apart from their gradients, and "
                f"{name or 'this one'} is not one of them: {reason}"
            ) from None
    if isinstance(method, StateSpace):
        check_one_function(method.inputs, "rate")
        if method.output is None:
            raise OdescentError("the method's output is not linear in its blocks; give output=.")
        parts = (method.A, method.B, method.C, method.D, method.output)
        return [m.tolist() for m in parts], name
    whatever: object = method
    if not isinstance(whatever, Sequence) or len(whatever) not in (3, 4):
        raise expected(
            "a method",
            "an algorithm or its name, its state space, matrices (A, B, C) or (A, B, C, D), or a mapping of alpha, "
            "beta, gamma, delta",
            method,
        )
    if not all(isinstance(row, Iterable) for m in method for row in _rows(m)):
        raise expected("each of (A, B, C) or (A, B, C, D)", "a matrix, as rows of numbers", method)
    given = [[[_scalar("an entry", e) for e in row] for row in _rows(m)] for m in method]
    calls = len(given[2])
    if len(given) == 3:
        given.append([[sp.S.Zero] * calls for _ in range(calls)])
    n = len(given[0])
    for m, h, w in zip(given, (n, n, calls, calls), (n, calls, n, calls), strict=True):
        if len(m) != h or any(len(row) != w for row in m):
            raise OdescentError(
                "the sizes of A (n x n), B (n x p), C (p x n) and D (p x p) do not fit together."
            )
    return [*given, [given[2][-1]]], name


def _rows(m: Any) -> Sequence[Any]:
    rows = m.tolist() if hasattr(m, "tolist") else m
    return rows if isinstance(rows, Sequence) else [rows]


def _scalar(name: str, value: object) -> sp.Expr:
    try:
        return as_scalar(value)
    except TypeError:
        raise OdescentError(f"{name} must be a finite real number, not {short(value)}.") from None


def _enclosures(m: Matrix) -> Matrix:
    try:
        return [[enclosure(e) for e in row] for row in m]
    except (NotImplementedError, TypeError) as error:
        raise OdescentError(
            f"the number {error} has no enclosure here; use roots, exp, log, sin or cos."
        ) from None


def _reduced(
    matrices: list[Matrix], vanishes: Callable[[Any], bool], invert: Callable[[Any], Any], one: Any
) -> tuple[list[Matrix], list[Any]]:
    """The observable part of A, B, C, D, output, and its state at rest at a minimizer 1."""
    A, B, C, D, output = matrices
    basis, pivots = reduced([*C, *output], vanishes, invert)
    while len(basis) < len(A):  # the rows C, output, C A, ..., reduced
        more, places = reduced([*basis, *(times(row, A) for row in basis)], vanishes, invert)
        if len(more) == len(basis):
            break
        basis, pivots = more, places
    if len(basis) < len(A):
        into = ([times(row, A) for row in basis], C, output)
        A, C, output = ([[row[p] for p in pivots] for row in m] for m in into)
        B = [times(row, B) for row in basis]
    # A v = v, C v = 1, output v = 1
    rest = [[e - one if i == j else e for j, e in enumerate(row)] for i, row in enumerate(A)]
    system = [[*row, one - one] for row in rest] + [[*row, one] for row in (*C, *output)]
    rows, pivots = reduced(system, vanishes, invert)
    if len(A) in pivots:
        raise NoCertificate(
            "the method does not rest at every minimizer: no state with A v = v has its gradient points and its "
            "output there, so in general the method does not converge to the minimizer."
        )
    if len(pivots) < len(A):  # cannot be: the state is observable
        raise NoCertificate("the method has several states at rest for one minimizer.")
    return [A, B, C, D, output], [rows[pivots.index(i)][-1] for i in range(len(A))]


Flow: TypeAlias = "System | Sequence[Any]"


def read_flow(flow: Flow, mu: object, L: object) -> Plant:
    """The exact matrices of a flow, reduced to what its gradient points and output see; D is zero.

    ``L`` may be infinity (`sympy.oo` or a float's); then the flow must not name it.

    Raises OdescentError for constants outside their domain or a system that is not of this form, and NoCertificate if
    it does not rest at minimizers.

    Args:
        flow: a system, or matrices (A, B, C).
        mu, L: the class, 0 < mu < L.
    """
    infinite = L is None or as_scalar_or_infinity(L) is sp.oo
    low, high = constants_of(mu, L, infinite)
    if not low > 0:
        raise NoCertificate(
            "there is no exponential rate over convex functions, mu = 0: some are arbitrarily flat at the "
            "minimizer; give mu > 0, or bound f along the steps of a method by giving horizon=20."
        )
    if low == high:
        raise OdescentError(f"a flow's rate over F(mu, L) needs mu < L, not {low} = {high}.")
    matrices, name = _flow_matrices(flow)
    if infinite and any(smoothness in e.free_symbols for m in matrices for row in m for e in row):
        raise OdescentError("the flow depends on L, so L must be finite.")
    (A, *rest) = matrices
    shifted = [[e + 1 if i == j else e for j, e in enumerate(row)] for i, row in enumerate(A)]
    try:
        d, exact, found, fixed = settled([shifted, *rest], low, low if infinite else high)
    except NoCertificate:
        raise NoCertificate(
            "the flow does not rest at every minimizer: no state has A v = 0 and its gradient points and its output "
            "there."
        ) from None
    A, B, C, D, (output,) = found
    A = [[e - ONE if i == j else e for j, e in enumerate(row)] for i, row in enumerate(A)]
    if any(x for row in D for x in row):  # pragma: no cover
        raise AssertionError("a flow has no feed-through")
    return Plant(A, B, C, D, output, fixed, low, high, d, exact, name)


def as_scalar_or_infinity(value: object) -> sp.Expr:
    """A scalar; infinity stays itself."""
    if value == sp.oo or value == float("inf"):
        return sp.oo
    try:
        return as_scalar(value)
    except TypeError:
        raise OdescentError(
            f"L must be a positive number or infinity, not {short(value)}."
        ) from None


def _flow_matrices(flow: Flow) -> tuple[list[Matrix], str]:
    """A, B, C, D = 0 and the output row as expressions, and a name."""
    from ....discretize import Algorithm
    from ....discretize.library.schemes import scheme
    from ....discretize.linear.state_space import NotLTI
    from ....discretize.step.iteration import STEP

    if not isinstance(flow, System):
        if isinstance(flow, (str, dict)) or not hasattr(flow, "__len__") or len(flow) != 3:
            raise OdescentError(
                f"a flow must be a System or matrices (A, B, C), not {short(flow)}."
            )
        return _matrices(tuple(flow))
    if any(b.kind != "vector" for b in flow.blocks):
        odd = next(b for b in flow.blocks if b.kind != "vector")
        raise OdescentError(
            f"certificates require systems of vector blocks; {odd.name} is a {odd.kind}: bind it or "
            "eliminate it by a limit."
        )
    if not flow.autonomous:
        raise OdescentError(
            "exponential rates require autonomous systems; this one depends on time."
        )
    if any(f.noise for f in flow.fields.values()):
        raise OdescentError("certificates require systems without noise.")
    # x' = f(x) is x+ = x + h f(x), less x and over h
    try:
        (A, *rest), _ = _matrices(Algorithm(flow, scheme("explicit_euler"), STEP))
    except NotLTI as reason:
        raise OdescentError(
            "a flow's rate over F(mu, L) requires a drift linear in the blocks and gradients; this one is not: "
            f"{reason}"
        ) from None
    B, *points = rest
    A, B = (
        (m / STEP).applyfunc(canonical).tolist()
        for m in (sp.Matrix(A) - sp.eye(len(A)), sp.Matrix(B))
    )
    return [A, B, *points], flow.name
