"""The statements of one routine: vectors in few terms, scalars with their constant parts taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.direct_sums import covectors_and_directions, points_of
from ....dynamics.algebra.exact import canonical
from ....dynamics.algebra.operators import Inverse, OracleDerivative
from ....dynamics.algebra.oracles import Oracle, in_argument
from ....dynamics.algebra.products import (
    Elementwise,
    Kronecker,
    Product,
    Unary,
    identity,
    slots,
)
from ....dynamics.algebra.vectors import (
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    by_slot,
)
from ....dynamics.algebra.windows import inner_gram_of, is_window, pushed
from ....dynamics.maps import form_of
from ....dynamics.solves.routes import (
    diagonal_by_products,
    multiplied,
    solve_in,
    solve_of,
)
from ...programs.program import Assign, Choose, Count, Draw, Instruction, Loop, SweepCoordinates
from ..accuracy.cancellation import accurate_step, less_one
from ..printing.language import JNP
from ..printing.lines import WIDTH, width
from ..printing.printer import Printer, ones_like
from .coefficients import Coefficients, minus, negative, presentable, presentable_body, stem
from .guarding import GuardWriter
from .parts import _hint, _part, _size, _without
from .statements import (
    Ask,
    CountLet,
    InnerLet,
    Sample,
    ScalarLet,
    Statement,
    SweepLet,
    VectorLet,
    WindowLet,
    ZeroLet,
)

TERMS = 4  # a longer sum is written in two lines
LINE = WIDTH - 8 - 2 - len(" = ")  # for a scalar and its name, in the deepest indentation
OPERATIONS = 8  # a longer element-wise expression too


class Writer(GuardWriter):
    """Writes the statements of one routine."""

    def __init__(
        self,
        table: Coefficients,
        arguments: Mapping[Oracle, str],
        blocks: set[str],
        within: bool = False,
        like: VectorSymbol | None = None,
    ) -> None:
        self.table, self.arguments, self.blocks = table, arguments, blocks
        self.like = like  # a vector of the shape of all, where they have one: that of zero
        self.within = within  # in the product of a solve
        self.statements: list[Statement] = []
        self.made: dict[object, Any] = {}  # the names of vectors and scalars
        self.assigned: dict[Vector, Assign] = {}  # vectors that get a name, in any order
        self.later: set[Vector] = set()  # those that are not written yet
        self.latest: dict[VectorSymbol, VectorSymbol] = {}  # what was pushed last to a window

    def inside(self) -> Writer:
        made = Writer(self.table, self.arguments, self.blocks, True, self.like)
        made.made = dict(self.made)
        return made

    def nested(self) -> Writer:
        made = Writer(self.table, self.arguments, self.blocks, self.within, self.like)
        made.made, made.latest = dict(self.made), dict(self.latest)
        return made

    def expect(self, listed: Iterable[Instruction]) -> None:
        """Note what instructions assign to vectors: it is written where it is read first, and read by its name.

        A map assigns all blocks at once: in ``{x: x - h * u(m + g), m: m + g}`` the second is part of the first.
        """
        for i in listed:
            if isinstance(i, Assign) and isinstance(i.value, Vector) and i.value:
                assert isinstance(i.target, VectorSymbol)
                if not i.target.operates and not isinstance(i.value, VectorSymbol):
                    self.assigned.setdefault(i.value, i)
        self.later = set(self.assigned)

    def instruction(self, i: Instruction) -> None:
        if isinstance(i, Draw):
            self.statements.append(Sample(i.target, i.like))
        elif isinstance(i, Count):
            mean = self.scalar(presentable(i.mean), "mean")
            self.statements.append(CountLet(i.target, mean, i.like, i.common))
        elif isinstance(i, Assign):
            if isinstance(i.value, Vector):
                assert isinstance(i.target, VectorSymbol)
                if self.made.get(i.value) == i.target:  # written where it was read
                    return
                self.later.discard(i.value)
                if (found := pushed(i.value)) is not None:
                    window, value = found
                    value = self.named(value, f"{i.target.name}_new")
                    self.statements.append(WindowLet(i.target, "push", (window, value)))
                    self.latest[i.target] = value
                    return
                done = self.made.get(i.value) or self.vector(i.value, stem(i.target))
                self.statements.append(VectorLet(i.target, done))
                self.made.setdefault(i.value, i.target)
            else:
                value = self.hoisted(accurate_step(presentable(i.value)), "s")
                self.statements.append(ScalarLet(i.target, self.short(value, i.target.name)))
        elif isinstance(i, SweepCoordinates):
            self.sweep(i)
        elif isinstance(i, Choose):
            self.choose(i)
        elif isinstance(i, Loop):
            self.repeat(i)
        else:
            self.ask(i.oracle, i.target, i.point, i.directions, i.parameters)

    def sweep(self, i: SweepCoordinates) -> None:
        """A sweep, its slope written for one coordinate."""
        symbols: dict[Vector, sp.Symbol] = {}

        def named(a: Atom, hint: str) -> sp.Symbol:
            if a not in symbols:
                symbols[a] = sp.Symbol(self.table.fresh(hint), real=True)
            return symbols[a]

        own = named(i.moving, "u")

        def component(v: Vector) -> sp.Expr:
            """The vector's component, in the components of what it is made of."""
            return sp.Add(*[c * inside(a) for a, c in v.terms.items()])

        def inside(a: Atom) -> sp.Expr:
            if isinstance(a, Product) and a.kind == "hadamard":
                return inside(a.left) * inside(a.right)
            if isinstance(a, Elementwise):
                values = [component(v) for v in a.arguments]
                return a.body.xreplace(dict(zip(slots(len(values)), values, strict=True)))
            if isinstance(a, (Call, VectorSymbol)):
                return named(a, "p" if isinstance(a, Call) else f"{stem(a)}_i")
            raise NotCarried(f"a sweep has no components of {a}.")

        slope = self.hoisted(presentable(component(i.slope)), "s")
        calls = {s: c.oracle for c, s in symbols.items() if isinstance(c, Call)}
        asked = {s: self.arguments[Oracle(o.form.component, o.of)] for s, o in calls.items()}
        value = None
        if i.quotient:
            (of,) = {o.of for o in calls.values()}
            value = self.arguments[Oracle("value", of)]
        parts = {s: v for v, s in symbols.items() if isinstance(v, VectorSymbol) and s != own}
        fresh = self.table.fresh
        local = (fresh(f"{i.target.name}_slope"), fresh("z"), fresh("i"), fresh("begin"))
        start = self.named(i.start, f"{i.target.name}_from")
        duration = self.scalar(presentable(i.duration), "duration")
        self.statements.append(
            SweepLet(i.target, start, slope, own, asked, parts, duration, i.implicit, value, i.backward, local)
        )  # fmt: skip

    def result(self, name: str, e: Expr) -> Expr:
        if not isinstance(e, Vector):
            return self.short(self.hoisted(accurate_step(presentable(e)), f"{name}_next"), name)
        return self.vector(e, name)

    # vectors

    def ask(
        self,
        oracle: Oracle,
        target: Symbol,
        point: Vector,
        directions: tuple[Vector, ...],
        parameters: tuple[sp.Expr, ...],
    ) -> None:
        """The statement that asks an oracle.

        Args:
            oracle: what is asked.
            target: the name of what it returns.
            point: where it is asked.
            directions: along which it is differentiated, one at most.
            parameters: scalars that it is given too.

        Raises:
            NotCarried: a derivative that no argument stands for.
        """
        argument = self.arguments[oracle]
        covectors, directions = covectors_and_directions(directions)
        points = [*points_of(oracle, point), *covectors]
        if not (all(points) or self.like):
            raise NotCarried(
                f"emitted code has no argument of {oracle.text} that is zero: zero has no shape where vectors have "
                "several."
            )
        if directions:
            derived = oracle.form.product
            if not derived or len(directions) > 1:
                raise NotCarried(
                    f"emitted code has no derivative of order {len(directions)} of {oracle.name!r}."
                )
            ((slot, along),) = by_slot(directions[0]).items()
            argument = in_argument(argument.replace(oracle.kind, derived, 1), slot)
            directions = (along,)
        vectors = tuple(self.named(v, f"{target.name}_at") for v in (*points, *directions))
        scalars = tuple(self.scalar(presentable(p), "w") for p in parameters)
        over = form_of(oracle.of).over if oracle.form.registered else ""
        self.statements.append(Ask(target, argument, vectors, scalars, over))

    def named(self, v: Vector, name: str) -> VectorSymbol:
        """A name for a vector, which may need a statement."""
        if isinstance(v, VectorSymbol):
            return v
        if v in self.later:
            self.instruction(self.assigned[v])
        if v not in self.made:
            value = self.vector(v, name)
            if isinstance(value, VectorSymbol):
                return value
            target = VectorSymbol(self.table.fresh(name, name))
            none = ZeroLet(target, self.like) if self.like and not value else None
            self.statements.append(none or VectorLet(target, value))
            self.made[v] = target
        found: VectorSymbol = self.made[v]
        return found

    def vector(self, v: Vector, target: str) -> Vector:
        """The vector with simple coefficients, in few terms."""
        v = self.in_assigned(self.solved(v))
        terms = [(self.atom(a, alone=len(v.terms) == 1), a, c) for a, c in v.terms.items()]
        momentum = sum(stem(a) in self.blocks for a in v.terms) == 1  # not a mean of blocks
        done = Vector.of((b, self.coefficient(c, target, stem(a), momentum)) for b, a, c in terms)
        if len(done.terms) <= TERMS:
            return done
        listed = list(done.terms.items())
        head = VectorSymbol(self.table.fresh(f"{target}_sum"))
        self.statements.append(VectorLet(head, Vector.of(listed[:TERMS])))
        return self.vector(Vector.of([(head, sp.S.One), *listed[TERMS:]]), target)

    def in_assigned(self, v: Vector) -> Vector:
        """The vector with a multiple of an assigned one by its name, if it has all terms of one in that ratio."""
        for known in self.assigned:
            if not 2 <= len(known.terms) < len(v.terms) or not known.terms.keys() <= v.terms.keys():
                continue
            ratio, *others = {canonical(v.terms[a] / c) for a, c in known.terms.items()}
            if not others and sp.fraction(ratio)[1].is_Rational:  # else it divides by what may be 0
                rest = {a: c for a, c in v.terms.items() if a not in known.terms}
                return Vector.of([(self.named(known, "w"), ratio), *rest.items()])
        return v

    def atom(self, a: Atom, alone: bool = True) -> Atom:
        if isinstance(a, Call):
            if a not in self.made:
                hints = {"grad": "g", "map": a.oracle.of, "named": a.oracle.of}
                hint = hints.get(a.oracle.kind, a.oracle.kind)
                hint = "image" if self.within and a.directions else hint
                result = VectorSymbol(self.table.fresh(hint))
                self.ask(a.oracle, result, a.point, a.directions, a.parameters)
                self.made[a] = result
            made: VectorSymbol = self.made[a]
            return made
        if isinstance(a, Product) and (of_window := self.of_window(a)) is not None:
            return of_window
        if isinstance(a, Product) and solve_in(a) is not None:
            return self.named(a, "solution")
        if isinstance(a, Product):
            return Product(a.kind, self.atom(a.left), self.atom(a.right))
        if isinstance(a, Kronecker):
            return Kronecker(self.atom(a.left), self.atom(a.right))
        if isinstance(a, Unary) and diagonal_by_products(a):
            return self.entries(a)
        if isinstance(a, Unary):
            return Unary(a.kind, self.atom(a.argument))
        if isinstance(a, Inverse):
            return Inverse(self.inverted(a.argument), solve_of(a).route.name)
        if isinstance(a, OracleDerivative):
            return self.matrix(a)
        if isinstance(a, Elementwise):
            if a in self.made or a in self.later:
                return self.named(a, "w")
            arguments = tuple(self.named(v, "w") for v in a.arguments)
            done = self.elementwise(a.body, arguments)
            if alone or sp.count_ops(done.body) <= 3:
                return done
            target = VectorSymbol(self.table.fresh("w"))
            self.statements.append(VectorLet(target, done))
            self.made[a] = target
            return target
        return a

    def inverted(self, operator: Vector) -> Vector:
        """An operator that is inverted as a matrix; the identity beside a product has the size of that product."""
        if identity not in operator.terms or not any(
            isinstance(a, Product) for a in operator.terms
        ):
            return self.vector(operator, "operator")
        terms = operator.terms.items()
        parts = [(self.named(a, "form") if isinstance(a, Product) else a, c) for a, c in terms]
        return self.named(Vector.of(parts), "operator")

    def of_window(self, a: Product) -> VectorSymbol | None:
        """A product with a window, or a solve of the size of one, by its name."""
        if a.kind != "apply" or a.right.operates:
            return None
        left, function, scalars = a.left, "combine", tuple[sp.Expr, ...]()
        window: Vector | None = left
        if isinstance(left, Unary) and left.kind == "transpose":
            function, window = "against", left.argument
        elif isinstance(left, Inverse):
            terms = dict(left.argument.terms)
            one = terms.pop(identity, sp.S.Zero)
            found = [(inner_gram_of(b), c) for b, c in terms.items()]
            function, window = "within", found[0][0] if len(found) == 1 else None
        if not is_window(window):
            return None
        if function == "within":
            pairs = ((one, "c_identity"), (found[0][1], "c_gram"))
            scalars = tuple(self.scalar(presentable(e), hint) for e, hint in pairs)
        if a not in self.made:
            given = (window, self.named(a.right, f"{window.name}_of"))
            target = VectorSymbol(self.table.fresh(f"{window.name}_{function}"))
            if function == "against" and self.latest.get(window) == given[1]:
                made = WindowLet(target, "latest", (window,))
            else:
                made = WindowLet(target, function, given, scalars)
            self.statements.append(made)
            self.made[a] = target
        done: VectorSymbol = self.made[a]
        return done

    def elementwise(self, body: sp.Expr, arguments: tuple[VectorSymbol, ...]) -> Elementwise:
        """An element-wise expression; what is too long for one line is named first."""
        places = dict(zip(slots(len(arguments)), arguments, strict=True))
        done = self.array(less_one(presentable_body(body)), set(places))
        while sp.count_ops(done) > OPERATIONS:
            parts = [n for n in sp.preorder_traversal(done) if n.free_symbols & set(places)]
            small = [n for n in parts if 0 < sp.count_ops(n) <= OPERATIONS and n != done]
            if not small:
                break
            part = max(reversed(small), key=_size)
            used = [s for s in places if s in part.free_symbols]
            renamed = dict(zip(used, slots(len(used)), strict=True))
            target = VectorSymbol(self.table.fresh("w"))
            inside = tuple(places[s] for s in used)
            self.statements.append(VectorLet(target, Elementwise(part.xreplace(renamed), inside)))
            place = sp.Symbol(f"_{len(places) + 1}", real=True)
            places[place] = target
            done = done.xreplace({part: place})
        if done.free_symbols.isdisjoint(places):  # a number for each entry
            done = done * ones_like(next(iter(places)))
        kept = [s for s in places if s in done.free_symbols]
        renamed = dict(zip(kept, slots(len(kept)), strict=True))
        return Elementwise(done.xreplace(renamed), tuple(places[s] for s in kept))

    def array(self, body: sp.Expr, inside: set[sp.Symbol]) -> sp.Expr:
        """An element-wise body with its scalar parts named."""
        if not (body.free_symbols & inside):
            return body if body.is_Rational else self.scalar(body, "s")
        if body.is_Symbol:
            return body
        if body.is_Add or body.is_Mul:
            scalars = [a for a in body.args if not (a.free_symbols & inside)]
            arrays = [self.array(a, inside) for a in body.args if a.free_symbols & inside]
            whole = [self.array(body.func(*scalars), inside)] if scalars else []
            return body.func(*whole, *arrays)
        return body.func(*[self.array(a, inside) for a in body.args])

    # scalars

    def coefficient(self, c: sp.Expr, target: str, atom: str, momentum: bool) -> sp.Expr:
        """A rational number or a name, with its sign.

        Args:
            c: the coefficient.
            target: the name of the vector that is assigned.
            atom: what the vector that it multiplies is called.
            momentum: whether it may be called beta, the weight of the target's own value.

        Returns:
            the scalar as it stands in the sum.
        """
        own = ("beta",) if target == atom and momentum else ()
        return self.scalar(presentable(c), *own, f"c_{atom}", f"c_{atom}_{target}")

    def scalar(self, e: sp.Expr, *hints: str, turned: bool = False) -> sp.Expr:
        """A scalar as it stands in a sum, under a name that is hinted; turned, it has had its sign taken out."""
        if e.is_Rational or (e.is_Symbol and e in self.table.fields):
            return e
        if not self.table.static(e):
            e = accurate_step(e)
        if not turned and negative(e):  # once: its opposite may look like one, too
            opposite = presentable(-e) if self.table.static(e) else minus(e)
            return -self.scalar(opposite, *hints, turned=True)
        if self.table.static(e):
            return self.table.field(e, *hints)
        value = self.hoisted(e, *(f"{h}_part" for h in hints[-1:]))
        if value.is_Symbol:
            return value
        if value not in self.made:
            target = _scalar(self.table.fresh(*hints), value.is_nonnegative)
            self.statements.append(ScalarLet(target, self.short(value, target.name)))
            self.made[value] = target
        return self.made[value]

    def hoisted(self, e: sp.Expr, *hints: str) -> sp.Expr:
        """A scalar of the step with its constant parts taken from the coefficient table."""
        if isinstance(e, ScalarNode):
            return self.node(e)
        if e.is_Rational or (e.is_Symbol and e in self.table.fields):
            return e
        if self.table.static(e):
            plain = self.table.plain(e)
            return self.table.field(e, *hints) if plain is None else plain
        if e.is_Symbol:
            return e
        if e.is_Add or e.is_Mul:
            fixed = [a for a in e.args if self.table.static(a)]
            moving = [self.hoisted(a, *hints) for a in e.args if not self.table.static(a)]
            constant = e.func(*fixed)
            if fixed and not constant.is_Rational:
                sign = -1 if negative(constant) else 1
                constant = sign * self.hoisted(sign * constant, *hints)
            return e.func(constant, *moving) if fixed else e.func(*moving)
        return e.func(*[self.hoisted(a, *hints) for a in e.args])

    def short(self, e: sp.Expr, target: str) -> sp.Expr:
        """A scalar of the step that fits its line in every backend; what does not fit is named before it."""
        for _ in range(1000):
            if width(target) + self.length(e) <= LINE:
                break
            part = _part(e)
            if part is None:
                break
            if part not in self.made:
                symbol = _scalar(self.table.fresh(_hint(e, part, target)), part.is_nonnegative)
                self.statements.append(ScalarLet(symbol, self.short(part, symbol.name)))
                self.made[part] = symbol
            e = _without(e, part, self.made[part])
        return e

    def length(self, e: sp.Expr) -> int:
        """How long the scalar is in the widest notation."""
        inside = {s.name for s in self.table.fields}
        return width(Printer(JNP, lambda n: f"c.{n}" if n in inside else n).scalar(e))

    def node(self, e: ScalarNode) -> sp.Symbol:
        if e not in self.made:
            if e.kind == "inner":
                if {*e.arguments} == {identity}:
                    raise NotCarried(
                        f"emitted code has no number of rows of the identity, {e}: give it as a parameter."
                    )
                hints = ("entries", "ones") if identity in e.arguments else ("a", "a")
                left, right = map(self.named, multiplied(e), hints)
                target = _scalar(self.table.fresh(f"{left.name}_dot_{right.name}"), left == right)
                self.statements.append(InnerLet(target, left, right))
            else:
                assert e.oracle is not None
                target = sp.Symbol(self.table.fresh(f"f_{e.oracle.of}"), real=True)
                self.ask(e.oracle, target, e.arguments[0], (), ())
            self.made[e] = target
        return self.made[e]


def _scalar(name: str, nonnegative: bool | None) -> sp.Symbol:
    """The symbol of a scalar, with what is known of its sign."""
    return sp.Symbol(name, **({"nonnegative": True} if nonnegative else {"real": True}))
