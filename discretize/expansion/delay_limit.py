"""The limit of a method whose windows keep the values of a fixed time: a delay equation.

With m = T/h columns v_{k-j} and a small step, h G G^T is the integral of v v^T over the last time T, a symmetric W with
W' = v v^T - v_T v_T^T, where v_T is v at the time t - T, and zero before the start. What reads the window reads it by
products G K G^T: of Woodbury's, G (a + c G^T G)^-1 G^T, there is (1 - a (a + c G G^T)^-1)/c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, singular, substitute, symbols_of, tidy
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.operators import Inverse, inverse
from ...dynamics.algebra.products import Product, apply, identity, outer, transpose
from ...dynamics.algebra.vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol, zero
from ...dynamics.algebra.windows import inner_gram_of, is_window, pushed
from ...dynamics.notation.show import latex, symbol_latex, text
from ..programs.substeps import Let
from ..step.iteration import Iteration


@dataclass(frozen=True)
class DelayEquation(Rendered):
    """The limit of a method with windows over a fixed time.

    Attributes:
        drift: the rates of the blocks and, by a symmetric matrix for each window, of the integral of v v^T.
        pushed: what each window is given, v, by its matrix.
        past: the symbol of v at the time t - T, by its matrix; it is zero before the start.
        delay: T, by the matrix.
    """

    drift: Mapping[Symbol, Expr]
    pushed: Mapping[VectorSymbol, Vector]
    past: Mapping[VectorSymbol, VectorSymbol]
    delay: Mapping[VectorSymbol, sp.Expr]

    def __str__(self) -> str:
        rows = [f"{s}' = {text(e)}" for s, e in self.drift.items()]
        rows += [
            f"{p} is {text(self.pushed[s])} at t - {self.delay[s]}, and zero before t = {self.delay[s]}"
            for s, p in self.past.items()
        ]
        return "\n".join(rows)

    def latex(self) -> str:
        rows = [rf"\dot{{{symbol_latex(str(s))}}} &= {latex(e)}" for s, e in self.drift.items()]
        rows += [
            rf"{symbol_latex(p.name)}(t) &= ({latex(self.pushed[s])})(t - {latex(self.delay[s])})"
            for s, p in self.past.items()
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def delays(algorithm: Iteration) -> dict[VectorSymbol, sp.Expr]:
    """The time T that each window keeps, where its length is T/h."""
    h = algorithm.step
    lengths = {b.symbol: b.history for b in algorithm.bound.blocks if b.keeps}
    return {s: canonical(e * h) for s, e in lengths.items() if h in e.free_symbols}


def delay_limit(algorithm: Iteration) -> DelayEquation:
    """The delay equation that a method tends to as the step tends to zero.

    Args:
        algorithm: with windows whose lengths are bound to T/h, as in ``where={m: T/h}``.

    Raises:
        OdescentError: no window has such a length.
        NotCarried: what reads a window, or is pushed to one, has no limit of this form.
    """
    h, kept = algorithm.step, delays(algorithm)
    if not kept or any(h in e.free_symbols for e in kept.values()):
        raise OdescentError(
            "a delay equation is the limit of a method with a window over a fixed time: bind its length to a time over "
            f"the step, as in where={{m: T/{h}}}."
        )
    taken = {b.name for b in algorithm.bound.blocks}
    integrals = {s: VectorSymbol(_fresh(f"W_{s.name}", taken), "symmetric") for s in kept}
    given = _given(algorithm, set(kept))
    drift: dict[Symbol, Expr] = {}
    for s, e in algorithm.bound.drift.items():
        if s not in kept:
            drift[s] = _at_zero(_in_products(e, integrals, h), h)
    past = {w: VectorSymbol(_fresh(f"{s.name}_T", taken)) for s, w in integrals.items()}
    for s, w in integrals.items():
        drift[w] = outer(given[s], given[s]) - outer(past[w], past[w])
    return DelayEquation(
        drift, {w: given[s] for s, w in integrals.items()}, past,
        {w: kept[s] for s, w in integrals.items()},
    )  # fmt: skip


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _given(algorithm: Iteration, windows: set[VectorSymbol]) -> dict[VectorSymbol, Vector]:
    """What the scheme pushes, at the limit of the step."""
    values = {**algorithm.where}
    found: dict[VectorSymbol, Vector] = {}
    for step in algorithm.scheme.steps:
        for e in step.assign.values() if isinstance(step, Let) else ():
            if (push := pushed(e)) is not None and push[0] in windows:
                found[push[0]] = _at_zero(substitute(push[1], values), algorithm.step)
    states = {b.symbol for b in algorithm.bound.blocks if b.role == "state"}
    for window in windows:
        v = found.get(window)
        if v is None or {s for s in symbols_of(v) if isinstance(s, VectorSymbol)} - states:
            raise NotCarried(
                f"the limit of the window {window} is known where the scheme pushes a function of the states to it."
            )
    return found


def _at_zero(e: Expr, h: sp.Symbol) -> Expr:
    if not isinstance(e, Vector):
        value = sp.limit(e, h, 0, "+") if h in symbols_of(e) else e
        return value
    made = tidy(substitute(tidy(e), {h: sp.S.Zero}))
    if singular(made):
        raise NotCarried(f"{e} has no limit as {h} tends to zero.")
    return made


def _in_products(e: Expr, integrals: Mapping[VectorSymbol, VectorSymbol], h: sp.Symbol) -> Expr:
    """An expression with W for h G G^T."""
    scalars = e.terms.values() if isinstance(e, Vector) else [e]
    within = {n for c in scalars for n in c.atoms(ScalarNode)}
    if any(set(integrals) & symbols_of(n) for n in within):
        raise NotCarried(f"the limit of {e} is not known: it has inner products with a window.")
    if not isinstance(e, Vector):
        return e
    return sum((_atom(a, integrals, h) * c for a, c in e.terms.items()), zero)


def _atom(a: Atom, integrals: Mapping[VectorSymbol, VectorSymbol], h: sp.Symbol) -> Vector:
    if not set(integrals) & a.symbols():
        return a
    if isinstance(a, Inverse):
        inside = _in_products(a.argument, integrals, h)
        assert isinstance(inside, Vector)
        scaled: Vector = inverse(tidy(inside * h)) * h
        return scaled
    word: list[Atom] = []
    end: Vector = a
    while isinstance(end, Product) and end.kind == "apply":
        word.append(end.left)
        end = end.right
    if isinstance(end, Atom) and end.operates:
        word.append(end)
        end = identity
    done: list[Vector] = []
    while word:
        first = word.pop(0)
        if not is_window(first):
            done.append(_atom(first, integrals, h))
            continue
        back, w = transpose(first), integrals[first]
        if word and word[0] == back:
            word.pop(0)
            done.append(w / h)
        elif len(word) > 1 and isinstance(word[0], Inverse) and word[1] == back:
            done.append(_woodbury(word[0], first, w, h))
            del word[:2]
        else:
            raise NotCarried(
                f"the limit of {a} is not known: it has more of the window than its product with itself."
            )
    made = end if end == identity else _in_products(end, integrals, h)
    assert isinstance(made, Vector)
    for operator in reversed(done):
        made = apply(operator, made)
    return made


def _woodbury(inverted: Inverse, window: VectorSymbol, w: VectorSymbol, h: sp.Symbol) -> Vector:
    """G (a + c G^T G)^-1 G^T = (1 - a (a + c G G^T)^-1)/c, with W/h for G G^T."""
    terms = dict(inverted.argument.terms)
    a = terms.pop(identity, sp.S.Zero)
    if len(terms) != 1 or inner_gram_of(next(iter(terms))) != window or a == 0:
        raise NotCarried(f"the limit of {inverted} is not known: it is no solve with a + c G^T G.")
    (c,) = terms.values()
    within = inverse(tidy(identity * canonical(h * a) + w * c))
    made: Vector = (identity - within * canonical(h * a)) / c
    return made
