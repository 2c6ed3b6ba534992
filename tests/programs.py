"""A small numeric interpreter of programs, and the fit of an order of convergence, for the tests.

It knows only what a program means (calls, draws, assignments in order), in NumPy or in the numbers
that ``number`` makes, so that tests can set what the package builds against the outside world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from scipy import optimize

from odescent.discretize.programs.guards import Guard, Joined
from odescent.discretize.programs.program import (
    Assign,
    CallOracle,
    Choose,
    Instruction,
    Loop,
    Program,
    SweepCoordinates,
)
from odescent.dynamics.algebra.operators import Inverse, OracleDerivative
from odescent.dynamics.algebra.products import Elementwise, Product, Unary, identity, slots
from odescent.dynamics.algebra.vectors import Call, ScalarNode, Vector, VectorSymbol, by_slot
from odescent.dynamics.algebra.windows import Delay, UnitPlace
from odescent.dynamics.vector_fields.block import start

Oracles = Mapping[
    str, Callable[..., Any]
]  # by "kind_of", as in "grad_f"; along directions "grad_f_2" for D^2


class Machine:
    """One step of a program on numbers; the program's parameters are bound to ``values`` (by name)."""

    def __init__(
        self,
        program: Program,
        oracles: Oracles,
        number: Callable[[Any], Any] = float,
        **values: object,
    ) -> None:
        named = {s.name: s for s in program.parameters}
        self.program = program.bind(
            {named[n]: sp.sympify(v) for n, v in values.items() if n in named}
        )
        self.oracles, self.number = oracles, number
        self.population = any(c.oracle.kind == "ensemble" for c in program.calls)
        self._functions: dict[sp.Expr, Any] = {}

    @property
    def length(self) -> int:
        """How many values the window keeps, where there is one."""
        (length,) = (int(b.history) for b in self.program.blocks if b.keeps)
        return length

    def scalar(self, e: sp.Expr, env: Mapping[str, Any]) -> Any:
        if e not in self._functions:
            nodes = sorted(e.atoms(ScalarNode), key=str)
            opened = e.xreplace({node: sp.Symbol(f"_n{i}") for i, node in enumerate(nodes)})
            names = sorted(s.name for s in opened.free_symbols if not s.name.startswith("_n"))
            if not names and not nodes:
                self._functions[e] = self.number(e)
            else:
                plain = opened.xreplace({s: sp.Symbol(s.name) for s in opened.free_symbols})
                arguments = [*names, *(f"_n{i}" for i in range(len(nodes)))]
                self._functions[e] = (
                    nodes,
                    names,
                    sp.lambdify([sp.Symbol(a) for a in arguments], plain, "numpy"),
                )
        found = self._functions[e]
        if not isinstance(found, tuple):
            return found
        nodes, names, function = found
        return function(*[env[n] for n in names], *[self._node(node, env) for node in nodes])

    def _node(self, node: ScalarNode, env: Mapping[str, Any]) -> Any:
        several = node.oracle is not None and node.oracle.args
        arguments = [] if several else [self.evaluate(a, env) for a in node.arguments]
        if node.kind == "inner" and self.population:  # one for each particle
            return np.sum(arguments[0] * arguments[1], axis=-1, keepdims=True)
        if node.kind == "inner":
            return np.sum(arguments[0] * arguments[1])
        assert node.oracle is not None
        oracle = self.oracles[node.oracle.name]
        if self.population:
            return np.array([[oracle(p)] for p in arguments[0]])
        if node.oracle.args:
            return oracle(*self._places(node.oracle.args, node.arguments[0], env))
        return oracle(*arguments)

    def evaluate(self, e: Any, env: Mapping[str, Any]) -> Any:
        if not isinstance(e, Vector):
            return self.scalar(e, env)
        total: Any = None
        for atom, coefficient in sorted(e.terms.items(), key=lambda item: item[0] == identity):
            if (
                atom == identity
            ):  # last, with the size of the others, or of the space of all vectors
                sizes = [np.shape(v)[-1] for v in env.values() if np.ndim(v)]
                value = np.eye(max(sizes) if total is None else len(total))
            else:
                value = self._atom(atom, env)
            term = value * self.scalar(coefficient, env)
            total = term if total is None else total + term
        return (
            np.zeros_like(next(v for v in env.values() if np.ndim(v))) if total is None else total
        )

    def _atom(self, atom: Vector, env: Mapping[str, Any]) -> Any:
        if isinstance(atom, VectorSymbol):
            return env[atom.name]
        if isinstance(atom, Call):
            directions = [self.evaluate(d, env) for d in atom.directions]
            parameters = [self.scalar(p, env) for p in atom.parameters]
            name = atom.oracle.name + (f"_{len(directions) + 1}" if directions else "")
            return self.oracles[name](self.evaluate(atom.point, env), *directions, *parameters)
        if isinstance(atom, Elementwise):
            named = {s: sp.Symbol(f"a{i}") for i, s in enumerate(slots(len(atom.arguments)))}
            arguments = {f"a{i}": self.evaluate(a, env) for i, a in enumerate(atom.arguments)}
            return self.scalar(atom.body.xreplace(named), {**env, **arguments})
        if isinstance(atom, (UnitPlace, Delay)):
            m = self.length
            if isinstance(atom, UnitPlace):
                return np.eye(m)[0 if atom.which == "newest" else m - 1]
            return np.eye(m, k=-1 if atom.back else 1)
        if isinstance(atom, Inverse):
            return np.linalg.inv(self.evaluate(atom.argument, env))
        if isinstance(atom, OracleDerivative):  # column by column
            name = f"{atom.oracle.name}_{len(atom.directions) + 2}"
            point = self.evaluate(atom.point, env)
            along = [self.evaluate(d, env) for d in atom.directions]
            return np.stack([self.oracles[name](point, e, *along) for e in np.eye(len(point))], 1)
        if isinstance(atom, Unary):
            inside = self.evaluate(atom.argument, env)
            return np.transpose(inside) if atom.kind == "transpose" else np.diag(inside)
        assert isinstance(atom, Product)
        left, right = (self.evaluate(a, env) for a in atom.arguments)
        return {"hadamard": np.multiply, "outer": np.outer, "apply": np.matmul}[atom.kind](
            left, right
        )

    def init(self, x0: Any, **others: Any) -> dict[str, Any]:
        """The initial state from x0; blocks named in ``others`` start there instead."""
        made = {
            b.name: np.zeros((np.size(x0), self.length))
            if b.keeps
            else self.evaluate(b.init, {start.name: x0})
            for b in self.program.blocks
        }
        return {**made, **others}

    def step(
        self, state: Mapping[str, Any], k: int = 0, draws: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        env: dict[str, Any] = {**state, **(draws or {}), "k": k}
        self._perform(self.program.instructions, env)
        return {s.name: self.evaluate(e, env) for s, e in self.program.next.items()}

    def _perform(self, instructions: Sequence[Instruction], env: dict[str, Any]) -> None:
        for i in instructions:
            if isinstance(i, Assign):
                env[i.target.name] = self.evaluate(i.value, env)
            elif isinstance(i, CallOracle):
                env[i.target.name] = self._call(i, env)
            elif isinstance(i, SweepCoordinates):
                env[i.target.name] = self._sweep(i, env)
            elif isinstance(i, Choose):
                branch = i.accept if self.holds(i.guard, env) else i.reject
                self._perform(branch.instructions, env)
                env |= self._named(i.names, branch.values, env)
            elif isinstance(i, Loop):
                self._repeat(i, env)

    def _repeat(self, i: Loop, env: dict[str, Any]) -> None:
        env |= self._named(i.names, i.begin, env)
        for n in range(1, round(float(self.scalar(i.limit, env))) + 1):
            env[i.count.name] = float(n)
            self._perform(i.body.instructions, env)
            ended = i.until is not None and self.holds(i.until, env)
            env |= self._named(i.names, i.body.values, env)
            if ended:
                return
        if i.until is not None:
            raise ArithmeticError(f"the loop until {i.said} has not ended")

    def _named(self, names: Any, values: Any, env: Mapping[str, Any]) -> dict[str, Any]:
        return {s.name: self.evaluate(e, env) for s, e in zip(names, values, strict=True)}

    def holds(self, guard: Guard, env: Mapping[str, Any]) -> bool:
        if isinstance(guard, Joined):
            found = [self.holds(part, env) for part in guard.parts]
            return all(found) if guard.every else any(found)
        left, right = self.scalar(guard.left, env), self.scalar(guard.right, env)
        return bool(left < right if guard.strict else left <= right)

    def _several(self, i: CallOracle, env: Mapping[str, Any]) -> Any:
        """A call of a function of several arguments; its oracle is named by the slots of the directions too."""
        along = [next(iter(by_slot(d).items())) for d in i.directions]
        name = "_".join((i.oracle.name, *(slot for slot, _ in along)))
        directions = [self.evaluate(d, env) for _, d in along]
        return self.oracles[name](*self._places(i.oracle.args, i.point, env), *directions)

    def _places(self, slots: Sequence[str], point: Vector, env: Mapping[str, Any]) -> list[Any]:
        """The values of a function's arguments, in their order."""
        place = {slot: self.evaluate(v, env) for slot, v in by_slot(point).items()}
        return [place[slot] for slot in slots]

    def _call(self, i: CallOracle, env: Mapping[str, Any]) -> Any:
        if i.oracle.args:
            return self._several(i, env)
        point = self.evaluate(i.point, env)
        directions = [self.evaluate(d, env) for d in i.directions]
        parameters = [self.scalar(p, env) for p in i.parameters]
        name = i.oracle.name + (f"_{len(directions) + 1}" if directions else "")
        oracle = lambda p: self.oracles[name](p, *directions, *parameters)
        if i.implicit == 0:
            return oracle(point)
        weight = self.scalar(i.implicit, env)  # p = point + weight F(p), solved for p
        solved = optimize.root(lambda p: p - point - weight * oracle(p), point, tol=1e-14).x
        return oracle(solved)

    def _sweep(self, i: SweepCoordinates, env: Mapping[str, Any]) -> Any:
        """One coordinate after the other, each by its scalar equation, with whole gradients and scipy's roots."""
        z = np.array(self.evaluate(i.start, env), dtype=float)
        h, own = self.scalar(i.duration, env), float(i.implicit)

        def rate(j: int, u: float) -> float:
            p = np.array(z)
            p[j] = u
            machine = self
            if i.quotient and u != z[j]:
                (of,) = i.oracles
                f = self.oracles[f"value_{of.of}"]
                quotient = np.full_like(z, (f(p) - f(z)) / (u - z[j]))
                machine = Machine(self.program, {of.name: lambda _: quotient}, self.number)
            return float(machine.evaluate(i.slope, {**env, i.moving.name: p})[j])

        for j in reversed(range(z.size)) if i.backward else range(z.size):
            first = h * rate(j, z[j])
            residual = lambda u, j=j, first=first: (
                u - z[j] - (1 - own) * first - own * h * rate(j, u)
            )
            end = z[j] + first
            if own != 0 and first != 0:
                while residual(end) * first < 0:
                    end = z[j] + 2 * (end - z[j])
                end = (
                    end
                    if residual(end) == 0
                    else optimize.brentq(residual, z[j], end, xtol=1e-15, rtol=1e-14)
                )
            z[j] = end
        return z

    def run(self, x0: Any, steps: int, **others: Any) -> list[dict[str, Any]]:
        """The states, the initial one first."""
        states = [self.init(x0, **others)]
        for k in range(steps):
            states.append(self.step(states[-1], k))
        return states

    def output(self, state: Mapping[str, Any], name: str = "x", k: int = 0) -> Any:
        return self.evaluate(self.program.outputs[name], {**state, "k": k})


def fitted_order(steps: Sequence[float], errors: Sequence[float]) -> float:
    """The slope of log(error) against log(step), by least squares."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


def global_order(
    machine: Callable[[float], Machine],
    reference: Callable[[float], Mapping[str, Any]],
    x0: Any,
    end: float = 1.0,
    counts: Sequence[int] = (20, 40, 80, 160),
    **others: Any,
) -> float:
    """The order at which the blocks in ``reference(end)`` are approached, with h = end / count."""
    exact, errors = reference(end), []
    for count in counts:
        last = machine(end / count).run(x0, count, **others)[-1]
        errors.append(max(float(np.max(np.abs(np.asarray(last[n] - v)))) for n, v in exact.items()))
    return fitted_order([end / n for n in counts], errors)
