"""Reading a pole specification: modes, poles and prescribed parameters as exact expressions in q = sqrt(mu/L)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, unknown
from ..._support.rendering.brief import short
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import as_scalar, check_class, constant
from ...dynamics.vector_fields.system import L as L_symbol
from ...dynamics.vector_fields.system import mu as mu_symbol

PARAMETERS = ("K", "a", "b", "alpha", "beta", "gamma")
# names inside the placed algorithm
_TAKEN = ["K", "a", "b", "h", "lead", "psi", "y", "x", "x0", "xi", "f", "z"]
_Q = sp.Symbol("q", positive=True)


@dataclass(frozen=True)
class PlacedMode:
    """A curvature lambda = ell L with the poles wanted there."""

    label: str
    ell: sp.Expr
    poles: tuple[sp.Expr, ...]

    def sum_and_product(self) -> tuple[sp.Expr, sp.Expr]:
        """Trace and determinant of two poles; OdescentError unless both are real."""
        r, p = self.poles
        return _real(r + p, self), _real(r * p, self)


def _parts(e: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Real and imaginary part; symbols are taken to be real unless declared otherwise."""
    if not e.has(sp.I) and e.is_real is not False:
        return canonical(e), sp.S.Zero
    plain = {s: sp.Dummy(s.name, real=True) for s in e.free_symbols if s.is_real is None}
    back = {d: s for s, d in plain.items()}
    parts = sp.expand(e.xreplace(plain), complex=True).as_real_imag()
    real, imaginary = (canonical(part.xreplace(back)) for part in parts)
    return real, imaginary


def is_real(e: sp.Expr) -> bool:
    """Whether an expression is real for real values of its symbols."""
    return is_zero(_parts(e)[1])


def _real(e: sp.Expr, mode: PlacedMode) -> sp.Expr:
    real, imaginary = _parts(e)
    if not is_zero(imaginary):
        shown = " and ".join(map(str, mode.poles))
        word = "are no conjugate pair" if len(mode.poles) == 2 else "is not real"
        noun = "the poles" if len(mode.poles) == 2 else "the pole"
        raise OdescentError(
            f"{noun} {shown} at {mode.label} {word}, and the coefficients of a method are real; "
            "give a complex pole together with its conjugate."
        )
    return real


@dataclass
class Reader:
    """The meaning of the names mu, L, q and kappa, and the names in use."""

    q: sp.Expr
    smoothness: sp.Expr  # L
    convexity: sp.Expr | None  # mu, where it is a number
    symbols: dict[str, sp.Symbol]

    def expression(self, value: Any, what: str) -> sp.Expr:
        """A number or expression, exact, in q, L and free symbols."""
        if isinstance(value, complex):
            value = scalar(value.real, what) + sp.I * scalar(value.imag, what)
        e = scalar(value, what)
        meaning = {
            "q": self.q, "L": self.smoothness, "mu": self.q**2 * self.smoothness, "kappa": self.q**-2
        }  # fmt: skip
        for s in sorted(e.free_symbols, key=str):
            if s.name in meaning:
                continue
            if s.name in _TAKEN:
                raise OdescentError(
                    f"{what} contains the symbol {s}, a name that the placed method uses itself; rename it."
                )
            if self.symbols.setdefault(s.name, s) != s:
                raise OdescentError(
                    f"the name {s.name!r} stands for two different symbols; use one throughout."
                )
        return e.xreplace({s: meaning[s.name] for s in e.free_symbols if s.name in meaning})

    def public(self, e: sp.Expr) -> sp.Expr:
        """The expression in mu and L again."""
        if not self.q.is_Symbol:
            return canonical(e)
        mu = mu_symbol if self.convexity is None else self.convexity
        return canonical(e.xreplace({self.q: sp.sqrt(mu) / sp.sqrt(self.smoothness)}))

    def fresh(self, name: str) -> sp.Symbol:
        """A real symbol for a parameter that stays free, the same one in every branch."""
        key = f"free {name}"
        if key not in self.symbols:
            taken = {s.name for s in self.symbols.values()} | {"mu", "L", "q", "kappa"}
            names = (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2)))
            self.symbols[key] = sp.Symbol(next(n for n in names if n not in taken), real=True)
        return self.symbols[key]

    def doubtful(self, expressions: Iterable[sp.Expr]) -> tuple[sp.Expr, ...]:
        """The factors among divisors that may vanish for some q in (0, 1) or values of the free symbols."""
        found: dict[sp.Expr, None] = {}
        for e in expressions:
            for part in sp.fraction(sp.together(e)):
                for factor, _ in sp.factor_list(part)[1] if part.free_symbols else ():
                    if not factor.is_positive and not (
                        factor.free_symbols == {self.q} and _rootless(factor, self.q)
                    ):
                        found[self.public(factor)] = None
        return tuple(found)


def _rootless(e: sp.Expr, q: sp.Symbol) -> bool:
    """Whether a polynomial in q has no root in the open interval (0, 1)."""
    try:
        poly = sp.Poly(e, q)
        return all(not 0 < r < 1 for r in sp.real_roots(poly))
    except (sp.PolynomialError, NotImplementedError, TypeError):
        return False


def scalar(value: Any, what: str) -> sp.Expr:
    """`as_scalar` with a message that names the use of the value."""
    try:
        e = as_scalar(value)
    except TypeError:
        raise OdescentError(
            f"{what} must be a finite number or a SymPy expression, not {short(value)}."
        ) from None
    if e.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise OdescentError(f"{what} must be finite, not {short(value)}.")
    if e.atoms(sp.Symbol) != e.free_symbols:
        raise OdescentError(
            f"{what} has a symbol of its own (a root of a polynomial, a sum, an integral), which is not decided "
            f"exactly here: {value}; give it by radicals or as a decimal."
        )
    return e


def read(
    poles: Any, fixed: Any, mu: Any, L: Any
) -> tuple[Reader, list[PlacedMode], dict[str, sp.Expr]]:
    """Parse a specification of poles.

    Args:
        poles: tuples of poles by mode, such as {"mu": (rho, rho), "L": (0,)}.
        fixed: prescribed parameters of the passive form by name, or None.
        mu: the strong convexity, a number or a symbol.
        L: the smoothness, a number or a symbol.

    Returns:
        the reader of expressions, the modes, and the prescribed parameters.

    Raises:
        OdescentError: malformed input, or one mode given twice.
    """
    reader = _reader(mu, L)
    if not isinstance(poles, Mapping) or not poles:
        raise OdescentError(
            f'poles must be given by mode, as in {{"mu": (rho, rho), "L": (0,)}}, not as {poles!r}.'
        )
    modes: list[PlacedMode] = []
    for key, wanted in poles.items():
        mode = _mode(key, wanted, reader)
        for other in modes:
            if is_zero(canonical(mode.ell - other.ell)):
                raise OdescentError(
                    f"{mode.label} and {other.label} are the same mode; give its poles in one tuple."
                )
        modes.append(mode)
    if fixed is not None and not isinstance(fixed, Mapping):
        raise OdescentError(
            f'fixed parameters must be given by name, as in {{"a": 0}}, not as {fixed!r}.'
        )
    given: dict[str, sp.Expr] = {}
    for key, value in (fixed or {}).items():
        name = getattr(key, "name", key)
        if name not in PARAMETERS:
            raise unknown("parameter of the passive form", name, PARAMETERS)
        e = reader.expression(value, f"the fixed parameter {name}")
        given[name] = _real(e, PlacedMode(f"fixed {name}", sp.S.One, (e,)))
    return reader, modes, given


def _reader(mu: Any, L: Any) -> Reader:
    low, high = (
        None if v is None else constant(n, v, strict=True) for n, v in (("mu", mu), ("L", L))
    )
    for name, v in (("mu", low), ("L", high)):
        if v is not None and v.free_symbols:
            raise OdescentError(
                f"{name} must be a number, not {v}; leave it out to keep it a symbol."
            )
    check_class(low, high)
    if low is not None and high is not None:
        return Reader(canonical(sp.sqrt(low / high)), high, low, {})
    return Reader(_Q, L_symbol if high is None else high, low, {})


def _mode(key: Any, wanted: Any, reader: Reader) -> PlacedMode:
    if isinstance(key, str):
        if key not in ("mu", "L"):
            raise unknown("mode", key, ("mu", "L"))
        label, ell = key, reader.q**2 if key == "mu" else sp.S.One
    else:
        curvature = reader.expression(key, "a mode")
        ell = canonical(curvature / reader.smoothness)
        label = str(key) if str(key) in ("mu", "L") else f"lambda = {key}"
        if not _may_be_positive(ell, reader.q):
            raise OdescentError(
                f"a mode is a positive curvature, such as mu or L, but {key} is not positive."
            )
    if isinstance(wanted, (str, bytes)) or not isinstance(wanted, (tuple, list)):
        raise OdescentError(
            f"the poles at {label} must be a tuple of one or two, as in (0,), not {short(wanted)}."
        )
    if not 1 <= len(wanted) <= 2:
        raise OdescentError(
            f"a mode of the passive form has two poles, so give one or two at {label}, not {len(wanted)}."
        )
    roots = tuple(canonical(reader.expression(r, f"a pole at {label}")) for r in wanted)
    mode = PlacedMode(label, ell, roots)
    if len(roots) == 1:
        return PlacedMode(label, ell, (_real(roots[0], mode),))
    mode.sum_and_product()
    return mode


def _may_be_positive(ell: sp.Expr, q: sp.Expr) -> bool:
    """False for a curvature that is not positive for any 0 < mu < L."""
    if ell.is_number:
        return bool(ell.is_real) and bool(sp.N(ell, 40) > 0)
    if ell.is_nonpositive or ell.is_real is False:
        return False
    if ell.free_symbols <= {q}:
        values = [
            sp.N(ell.subs(q, v), 30) for v in ("1/100", "1/10", "1/3", "1/2", "3/4", "99/100")
        ]
        return any(v.is_real and v > 0 for v in values)
    return True
