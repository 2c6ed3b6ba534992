"""Random systems with random schemes, and what they mean in exact arithmetic modulo a prime.

A system is drawn with several oracles, derivatives along directions, parameters, draws, samples and times; a scheme
with stages, look-aheads, assignments and Runge-Kutta substeps. Three readings of one step are compared: the scheme as
it is written, substep by substep, with every oracle called wherever it stands; its program; and its program with a
call kept across steps. Oracles are polynomial maps of everything that they are asked with. Numbers are residues
modulo 2^61 - 1, so that two readings that differ as rational functions differ here but for a chance of 1e-17.

    python tests/random_programs.py 5000

prints how many were compared and what was found.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp
from residues import KEPT, PRIME, SIZE, Number, Reading, added, asked, h, inverse, scaled

import odescent as od
from odescent._support.errors import OdescentError
from odescent.discretize.programs.program import Assign, CallOracle, Draw, Program
from odescent.discretize.programs.reuse import reuse_across_steps
from odescent.discretize.step.compile import COUNTER, compile_scheme
from odescent.dynamics.algebra.vectors import Vector, VectorSymbol
from odescent.dynamics.vector_fields.block import start
from odescent.dynamics.vector_fields.system import Diffusion, Field

STEPS = 4
x, v, w = od.blocks("x v w")
s = od.blocks("s", kind="scalar")
c, b, t = od.parameters("c b t")
f, e = od.Objective("f"), od.Objective("e")
G = od.Block("G", history=KEPT).symbol
z, u = od.sample("z", law="sphere", like=x), od.sample("u")
Values = dict[str, Any]  # by name: a residue, or a tuple of them for a vector


@dataclass(frozen=True)
class World:
    """What changes from step to step: the parameters, the step and the draws, functions of the step number."""

    seed: int
    scheduled: bool

    def _residue(self, *key: object) -> Number:
        return random.Random(repr((self.seed, *key))).randrange(1, PRIME)

    def root(self, k: int) -> Number:
        return self._residue("h", k if self.scheduled else 0)

    def env(self, k: int) -> Values:
        when = k if self.scheduled else 0
        values: Values = {n: self._residue(n, when) for n in ("c", "b")}
        values |= {
            "z": self.draw(k, "z", True),
            "u": self.draw(k, "u", False),
        }  # samples, afresh in every step
        return {**values, "h": self.root(k) ** 2 % PRIME, "k": k}

    def draw(self, k: int, name: str, vector: bool) -> Any:
        made = tuple(self._residue("draw", k, name, i) for i in range(SIZE))
        return made if vector else made[0]


# the readings


def begin(blocks: Any, world: World) -> Values:
    """The state at the start; a memory begins with what the program says."""
    env = {start.name: tuple(world._residue("x0", i) for i in range(SIZE)), **world.env(0)}
    empty = ((0,) * KEPT,) * SIZE
    return {
        one.name: empty if one.keeps else Reading(env, world.root(0))(one.init) for one in blocks
    }


def by_program(program: Program, world: World, steps: int = STEPS) -> list[Values]:
    """The states of a program."""
    states = [begin(program.blocks, world)]
    for k in range(steps):
        env: Values = {**world.env(k), **states[-1]}
        read = Reading(env, world.root(k))
        for i in program.instructions:
            if isinstance(i, Assign):
                env[i.target.name] = read(i.value)
            elif isinstance(i, Draw):
                vector = isinstance(i.target, Vector)
                env[i.target.name] = world.draw(k, i.target.name, vector)
            else:
                assert isinstance(i, CallOracle) and i.implicit == 0
                along, given = [read(d) for d in i.directions], [read(p) for p in i.parameters]
                env[i.target.name] = asked(i.oracle.name, read(i.point), along, given)
        states.append({a.name: read(value) for a, value in program.next.items()})
    return states


def by_scheme(
    system: od.System, scheme: od.Scheme, world: World, steps: int = STEPS
) -> list[Values]:
    """The states of a scheme as it is written: substep by substep, nothing remembered but the stages."""
    states = [begin(system.blocks, world)]
    stages: dict[str, Values] = defaultdict(lambda: states[0])
    for k in range(steps):
        stages = defaultdict(lambda: states[0], {f"previous {n}": v for n, v in stages.items()})
        states.append(_one_step(system, scheme, world, k, states[-1], stages))
    return states


def _one_step(
    system: od.System,
    scheme: od.Scheme,
    world: World,
    k: int,
    state: Values,
    stages: dict[str, Values],
) -> Values:
    """The next state; ``stages`` has those of the steps before, and gets this one's."""
    stages["start"] = state
    numbers, drawn = world.env(k), 0
    long = numbers["h"]

    def seen(step: Any) -> Values:
        stage = {n: step.read.get(n, step.read.get("*")) for n in state}
        return {n: value if stage[n] is None else stages[stage[n]][n] for n, value in state.items()}

    def rational(q: Any) -> Number:
        return int(q.p) * inverse(int(q.q)) % PRIME

    def reading(view: Values, offset: Any) -> Reading:
        time = (k + rational(offset)) * long % PRIME
        return Reading({**numbers, **view, "t": time}, world.root(k))

    for step in scheme.steps:
        view = seen(step)
        if isinstance(step, od.Let):
            moved = {a.name: reading(view, sp.S.Zero)(value) for a, value in step.assign.items()}
            state = {**state, **moved}
            if step.save is not None:
                stages[step.save] = state
            continue
        chosen = [system.fields[n] for n in step.fields or system.fields]
        named = dict.fromkeys(a.name for one in chosen for a in (*one.drift, *one.noise))
        moves = [n for n in named if not step.on or n in step.on]

        def slopes(at: Values, offset: Any, chosen: Any = chosen, moves: Any = moves) -> Values:
            read = reading(at, offset)
            total: Values = {}
            for one in chosen:
                for a, value in one.drift.items():
                    if a.name in moves:
                        rate = read(value)
                        total[a.name] = _plus(total.get(a.name), rate)
            return total

        duration = rational(step.fraction) * long % PRIME
        after = dict(state)
        if step.by.tableau is None:
            for n, rate in slopes(view, step.time).items():
                after[n] = _plus(after[n], _times(rate, duration))
            read = reading(view, step.time)
            root = rational(sp.sqrt(step.fraction)) * world.root(k) % PRIME
            made: Values = {}
            for one in chosen:
                for a, noise in one.noise.items():
                    if a.name not in moves:
                        continue
                    if noise.process not in made:
                        name = "xi" if drawn == 0 else f"xi_{drawn}"
                        made[noise.process] = world.draw(k, name, True)
                        drawn += 1
                    size = read(noise.amplitude)
                    kick = _times(made[noise.process], root)
                    both = zip(size, kick, strict=True) if isinstance(size, tuple) else None
                    kick = _times(kick, size) if both is None else tuple(p * q for p, q in both)
                    after[a.name] = _plus(after[a.name], kick)
        else:
            found: list[Values] = []
            for row, node in zip(step.by.tableau.a, step.by.tableau.c, strict=True):
                at = dict(view)
                for weight, slope in zip(row, found, strict=False):
                    for n, rate in slope.items():
                        at[n] = _plus(at[n], _times(rate, rational(weight) * duration % PRIME))
                found.append(slopes(at, step.time + node * step.fraction))
            for weight, slope in zip(step.by.tableau.b, found, strict=True):
                for n, rate in slope.items():
                    after[n] = _plus(after[n], _times(rate, rational(weight) * duration % PRIME))
        if step.save is not None:
            stages[step.save] = after
        if step.commit:
            state = after
    return state


def _plus(a: Any, d: Any) -> Any:
    if a is None:
        return d
    return added(a, d) if isinstance(a, tuple) else (a + d) % PRIME


def _times(a: Any, k: Number) -> Any:
    return scaled(a, k) if isinstance(a, tuple) else a * k % PRIME


# random systems and schemes


class Choices(random.Random):
    """Random choices that take samples, windows and linear solves, too, where they may."""

    def __init__(self, seed: int, *kinds: str) -> None:
        super().__init__(seed)
        self.kinds = kinds

    def takes(self, kind: str, share: float = 1.0) -> bool:
        return kind in self.kinds and self.random() < share


def a_vector(r: Choices, depth: int = 2) -> Vector:
    """A vector in the blocks, mostly a short one, so that points meet."""
    kind = r.random()
    if depth == 0 or kind < 0.45:
        found: Vector = r.choice([x, x, x, v, w])
        return found + z * r.choice([1, c]) if r.takes("samples", 0.06) else found
    if kind < 0.6:
        return a_vector(r, 0) + a_vector(r, 0) * r.choice([1, -1, sp.Rational(1, 2), c, s, h])
    return an_oracle(r, depth - 1)


def an_operator(r: Choices) -> Vector:
    """An operator of the space of the blocks that is invertible but by chance."""
    operators: list[Callable[[], Vector]] = []
    if "windows" in r.kinds:
        operators += [
            lambda: od.apply(G, od.transpose(G)),
            lambda: od.outer(v, od.apply(G, od.apply(od.transpose(G), w))),
        ]
    if "solves" in r.kinds:
        operators += [
            lambda: f.hessian(a_vector(r, 0)),
            lambda: od.outer(a_vector(r, 0), v),
            lambda: od.outer(f.grad(x), w),
        ]
    return od.identity * r.choice([1, c, s]) + r.choice(operators)() * r.choice([1, b, h])


def with_an_operator(r: Choices) -> Vector:
    """A vector that an operator made: a window's product, or the solution of a linear system."""
    operator, point = an_operator(r), r.choice([f.grad(x), x, v, f.grad(x + v), w])
    if r.takes("solves", 0.7):
        found: Vector = od.linear_solve(operator, point)
        return found
    return od.apply(operator, point)


def an_oracle(r: Choices, depth: int = 1) -> Vector:
    of, point = r.choice([f, f, f, e]), a_vector(r, depth)
    asks: list[Callable[[], Vector]] = [
        lambda: of.grad(point), lambda: of.grad(point), lambda: of.grad(point),
        lambda: of.hess(point, a_vector(r, depth)),
        lambda: of.third(point, a_vector(r, 0), a_vector(r, 0)),
        lambda: of.operator(point),
        lambda: of.prox(point, r.choice([h, c, sp.Integer(1), s])),
        lambda: od.Map(of.name)(point, r.choice([c, t, s, sp.Integer(2)])),
        lambda: od.Map(of.name)(point, h, b),
    ]  # fmt: skip
    found: Vector = r.choice(asks)()
    return found


def a_scalar(r: Choices) -> sp.Expr:
    return r.choice([
        sp.Integer(1), sp.Integer(1), -sp.Integer(1), c, b, s, t, sp.Rational(1, 2), od.inner(x, v),
        f.value(x), 1 / (1 + t), c * h, *([u, od.inner(z, x)] if r.takes("samples") else []),
    ])  # fmt: skip


def a_field(r: Choices, moves: list[VectorSymbol]) -> Field:
    drift: dict[Any, Any] = {}
    for block in moves:
        shape = r.random()
        if r.takes("windows", 0.3) or r.takes("solves", 0.3):
            drift[block] = with_an_operator(r) * a_scalar(r)
        elif shape < 0.55:
            drift[block] = an_oracle(r) * a_scalar(r)
        elif shape < 0.75:
            drift[block] = a_vector(r, 0) * a_scalar(r)
        else:
            drift[block] = an_oracle(r) + a_vector(r, 1) * a_scalar(r)
    if r.random() < 0.15:
        drift[s] = r.choice(
            [sp.Integer(1), c, t, s]
        )  # what is not a polynomial of low degree grows too fast
    noise = {}
    if r.random() < 0.2:
        size = r.choice([sp.Integer(1), c, a_vector(r, 0)])
        noise = {moves[0]: Diffusion(size, r.choice(["W", "B"]))}
    return Field(drift, noise)


def a_system(r: Choices) -> od.System:
    names = ["a", "b_field", "d"][: r.choice([1, 2, 2, 3])]
    fields = {n: a_field(r, r.sample([x, v, w], r.choice([1, 1, 2]))) for n in names}
    if (
        r.random() < 0.5
    ):  # a kick first and last, among other calls: what is kept, or only seems to be
        kick = [f.grad(x), *(an_oracle(r, 0) for _ in range(r.choice([0, 0, 1, 2])))]
        other = r.choice(
            [kick, [f.hess(x, a_vector(r, 0))], [od.Map("f")(x, c)], [f.grad(x + c * v)]]
        )
        for name, calls in zip(
            fields, r.choice([[kick], [kick], [kick, other], [other, kick]]), strict=False
        ):
            fields[name] = Field({v: sum((a * a_scalar(r) for a in calls), r.choice([v, w, x]))})
    blocks = [od.Block(n) for n in ("x", "v", "w")]
    blocks = [od.Block(one.name, init=start) for one in blocks]
    blocks.append(od.Block("s", "scalar", init=sp.Integer(2)))
    if "windows" in r.kinds:
        blocks.append(od.Block("G", history=KEPT))
    return od.System(fields, blocks=blocks, output=x, time=t)


def _perhaps_before(r: Choices, stage: str) -> str:
    """The stage, or that of the step before, or of the one before that."""
    return "previous " * r.choice([0, 0, 1, 1, 2]) + stage


def a_scheme(r: Choices, system: od.System) -> od.Scheme:
    """Mostly palindromes, whose last call is often the first one of the next step."""
    stages = ["start"]
    quarter = sp.Rational(1, 4)

    def substep(name: str, fraction: Any) -> Any:
        read = {}
        if (len(stages) > 1 and r.random() < 0.4) or r.random() < 0.1:
            read = {r.choice(["*", "x", "v", "w"]): _perhaps_before(r, r.choice(stages))}
        look = r.random() < 0.2
        save = f"at{len(stages)}" if look or r.random() < 0.15 else None
        noisy = bool(system.fields[name].noise)
        by: Any = "explicit" if noisy or r.random() < 0.8 else r.choice([HEUN, MIDPOINT])
        made = od.Flow(name, by, fraction, read=read, time=r.choice([0, 0, quarter, 1]),
                       save=save, commit=not look)  # fmt: skip
        if save is not None:
            stages.append(save)
        return made

    names = list(system.fields)
    first = [substep(n, r.choice([quarter, 1])) for n in names[:-1]]
    middle = substep(names[-1], 1)
    mirrored = [
        od.Flow(one.fields, one.by, one.fraction, read=dict(one.read), time=one.time)
        for one in reversed(first)
    ]
    steps = [*first, middle, *mirrored[: r.choice([0, 1, 1, 2, 2])]]
    if r.random() < 0.3:
        steps.append(substep(r.choice(names), quarter))
    if r.random() < 0.25:
        target = r.choice([x, v, w])
        value = r.choice([a_vector(r, 1), w, an_oracle(r)])
        steps.insert(r.randrange(len(steps) + 1), od.Let({target: value}))
    if r.random() < 0.15:
        steps.insert(r.randrange(len(steps) + 1), od.Let({s: r.choice([s + 1, 2 * s, t, c])}))
    if "windows" in r.kinds:
        value = r.choice([f.grad(x), f.grad(x), v, f.grad(x + v) - f.grad(x), e.grad(x)])
        steps.insert(r.randrange(len(steps) + 1), od.Let({G: od.push(G, value)}))
    return od.Scheme(steps)


KINDS = (
    (),
    ("samples",),
    ("windows",),
    ("solves",),
    ("windows", "solves"),
    ("samples", "windows", "solves"),
)
HEUN = od.scheme("heun").steps[0].by
MIDPOINT = od.scheme("midpoint").steps[0].by


def compared(seed: int, *kinds: str) -> tuple[str, str]:
    """What came of one random program: "kept", "made again" or a refusal, and what is wrong with it, if anything."""
    r = Choices(seed, *kinds)
    try:
        system = a_system(r)
        scheme = a_scheme(r, system)
        own = compile_scheme(system, scheme, h, COUNTER * h, {"x": x})
    except OdescentError as error:
        return f"refused: {str(error)[:60]}", ""
    kept = reuse_across_steps(own)
    names = [one.name for one in system.blocks]
    for scheduled in (False, True):
        world = World(seed, scheduled)

        def states(read: Callable[..., list[Values]], *of: Any, world: World = world) -> Any:
            try:
                return [{n: state[n] for n in names} for state in read(*of, world)]
            except ZeroDivisionError:  # of a system that is singular at these numbers
                return "divided by zero"

        written = states(by_scheme, system, scheme)
        alone, with_memory = states(by_program, own), states(by_program, kept)
        if alone != written:
            return "wrong", f"seed {seed}: the program is not the scheme"
        if with_memory != alone:
            return "wrong", f"seed {seed}: the kept call is another one (scheduled: {scheduled})"
    if len(kept.calls) < len(own.calls):
        return "kept", ""
    return "several calls" if len(own.calls) > 1 else "one call or none", ""


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seen: Counter[str] = Counter()
    for number in range(count):
        outcome, found = compared(number, *KINDS[number % len(KINDS)])
        seen[outcome] += 1
        if found:
            print(found)
    print(
        f"{count} random programs, exact modulo 2^61 - 1, {STEPS} steps each, parameters fixed and scheduled:"
    )
    for outcome, times in seen.most_common():
        print(f"  {times:6d}  {outcome}")
