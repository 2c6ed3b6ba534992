"""Replay the checks of a derivation elsewhere, with this file, Python's standard library and the JSON.

    odescent derive nesterov --json --out nesterov.json
    python replay.py nesterov.json

Each check is an equation in which the claims stand by name. Both sides are evaluated at random points with
200 digits: blocks are vectors in R^3, oracles sums of exponentials of linear forms with exact derivatives,
parameters numbers of the sign assumed of them. Claims are differentiated by central differences, right to
some 90 digits. The exit code is 1 if an equation fails or a claim is in none. Format: docs/json.md.
"""

import decimal
import json
import random
import sys
from decimal import Decimal as Number
from math import factorial, prod
from typing import Any

SIZE, STEP, TOLERANCE = 3, Number("1e-50"), Number("1e-30")
Env = dict[str, Any]  # values of symbols, by their trees written out


class Vector(tuple[Number, ...]):
    """Numbers that add and scale together; the empty vector is zero."""

    def __add__(self, other: Any) -> Any:
        if not self or not other:
            return self or other or self
        return Vector(a + b for a, b in zip(self, other, strict=True))

    def __mul__(self, scale: Any) -> Any:
        return Vector(a * scale for a in self)

    def __sub__(self, other: Any) -> Any:
        return self + other * Number(-1)

    def __abs__(self) -> Number:
        return max(map(abs, self), default=Number(0))


def dot(u: Any, v: Any) -> Number:
    return sum((a * b for a, b in zip(u, v, strict=bool(u and v))), Number(0))


def cos(x: Number) -> Number:
    if abs(x) > Number("0.01"):
        return 2 * cos(x / 2) ** 2 - 1
    return sum(((-x * x) ** n / factorial(2 * n) for n in range(40)), Number(0))


def atan(x: Number) -> Number:
    if abs(x) > Number("0.01"):
        return 2 * atan(x / (1 + (1 + x * x).sqrt()))
    return sum(((-x * x) ** n * x / (2 * n + 1) for n in range(60)), Number(0))


FUNCTIONS: dict[str, Any] = {
    "add": lambda *a: sum(a, Number(0)), "mul": lambda *a: prod(a, start=Number(1)), "log": Number.ln, "atan": atan,
    "pow": lambda b, n: b.sqrt() if n == Number("0.5") else b**n, "sin": lambda x: cos(x - 2 * atan(Number(1))),
    "cos": cos, "tan": lambda x: FUNCTIONS["sin"](x) / cos(x), "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "exp": Number.exp, "cosh": lambda x: (x.exp() + (-x).exp()) / 2, "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "coth": lambda x: 1 + 2 / ((2 * x).exp() - 1), "sign": lambda x: Number((x > 0) - (x < 0)), "abs": abs,
    "pi": lambda: 4 * atan(Number(1)), "e": lambda: Number(1).exp(), "max": max, "min": min, "inner": dot,
    "hadamard": lambda u, v: Vector(a * b for a, b in zip(u, v, strict=True)),
    "outer": lambda u, v: Vector(a * b for a in u for b in v),
    "apply": lambda m, v: Vector(dot(m[i : i + SIZE], v) for i in range(0, len(m), SIZE)),
}  # fmt: skip


class World:
    """Values for every symbol, oracle and claim, the same for the same seed."""

    def __init__(self, claims: dict[str, Any], seed: int) -> None:
        self.claims, self.seed, self.used = claims, seed, set[str]()
        self.drawn: dict[tuple[str, int, float], Vector] = {}
        self.weights: dict[Any, list[Number]] = {}  # of oracles, by where they are taken

    def draw(self, what: str, count: int, least: float = -1.0) -> Vector:
        if (found := self.drawn.get((what, count, least))) is None:
            rng = random.Random(f"{self.seed} {what}")
            found = Vector(Number(str(round(rng.uniform(least, 1), 6))) for _ in range(count))
            self.drawn[what, count, least] = found
        return found

    def symbol(self, word: str, name: str, *tags: str) -> Any:
        if word == "block":
            return self.draw(name, SIZE**2 if "matrix" in tags else SIZE)
        negative = not {"negative", "nonpositive"}.isdisjoint(tags)
        signed = negative or not {"positive", "nonnegative"}.isdisjoint(tags)
        (number,) = self.draw(name, 1, 0.05 if signed else -1.0)
        number = Number(round(9 * number) or 1) if "integer" in tags else number
        return -number if negative else number

    def oracle(self, kind: str, of: str, point: Any, along: Any = (), extra: Any = ()) -> Any:
        """D^k of a sum of w exp(a . x), of its gradient (grad, prox), or of a sum of u exp(a . x)."""
        total: Any = Number(0) if kind == "value" else Vector()
        slopes = [self.draw(f"slope {of} {i}", len(point) or SIZE) for i in range(SIZE)]
        if (weights := self.weights.get(place := (of, tuple(point), tuple(extra)))) is None:
            by_extra = (self.draw(f"extra {of} {i}", len(extra)) for i in range(SIZE))
            weights = [
                (dot(s, point) + dot(b, extra)).exp() for s, b in zip(slopes, by_extra, strict=True)
            ]
            self.weights[place] = weights
        for i, (slope, weight) in enumerate(zip(slopes, weights, strict=True)):
            weight *= prod((dot(slope, d) for d in along), start=Number(1))
            other = slope if kind in ("grad", "prox") else self.draw(f"{kind} {of} {i}", len(slope))
            total += weight if kind == "value" else other * weight
        return total

    def claim(self, name: str, at: Env, *rates: Env) -> Any:
        """A claim, differentiated along the rates by differences whose steps are all different."""
        if not rates:
            self.used.add(name)
            return self(self.claims[name], at)
        (rate, *rest), step = rates, STEP / (2 * len(rates) + 1)
        zero, ends = Number(0), (step, -step)
        shifted = ({s: v + rate.get(s, zero) * k for s, v in at.items()} for k in ends)
        up, down = (self.claim(name, end, *rest) for end in shifted)
        return (up - down) * (1 / (2 * step))

    def __call__(self, tree: Any, env: Env) -> Any:
        """The value of a tree; ``env`` has the symbols that are not drawn."""
        if isinstance(tree, str):
            top, _, bottom = tree.partition("/")
            return Number(top) / Number(bottom or 1)
        word, *rest = tree
        if word in ("symbol", "block", "slot"):
            return env[key] if (key := json.dumps(tree)) in env else self.symbol(*tree)
        if word == "sum":
            return sum((self(atom, env) * self(scale, env) for scale, atom in rest), Vector())
        if word in ("claim", "vector claim"):
            values = ({json.dumps(s): self(e, env) for s, e in d} for d in (rest[1], *rest[2]))
            return self.claim(rest[0], *values)
        if word in ("value", "oracle"):
            kind, of, point, *lists = tree if word == "value" else rest
            more = ([self(e, env) for e in part] for part in lists)
            return self.oracle(kind, of, self(point, env), *more)
        if word == "elementwise":
            columns = zip(*(self(v, env) for v in rest[1]), strict=True)
            slots = ({f'["slot", "{i}"]': v for i, v in enumerate(c, 1)} for c in columns)
            return Vector(self(rest[0], {**env, **slot}) for slot in slots)
        return FUNCTIONS[word](*(self(a, env) for a in rest))


def holds(check: Any, claims: dict[str, Any], used: set[str], points: int) -> bool:
    """Whether both sides agree at so many points; where they are not real, another one is tried."""
    agree = []
    for seed in range(40 * points):
        world = World(claims, seed)
        try:
            left, right = (world(check[side], {}) for side in ("left", "right"))
            agree.append(abs(left - right) <= TOLERANCE * (1 + abs(left) + abs(right)))
            used |= world.used
        except (decimal.DecimalException, ZeroDivisionError):
            continue
        except (
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ):  # it says nothing that has a value
            return False
        if not agree[-1]:
            return False
        if len(agree) == points:
            return True
    return False


def replay(document: Any, points: int = 2, say: Any = print) -> list[str]:
    """Carry out every check of a document; returns those that fail, by step and name."""
    failed = []
    with decimal.localcontext() as context:
        context.prec = 200
        for step in document["steps"]:
            claims, used = {c["name"]: c["value"] for c in step["claims"]}, set[str]()
            done = {c["name"]: holds(c, claims, used, points) for c in step["checks"]}
            done |= {f"{name} is in no check": False for name in claims if name not in used}
            for name, fine in done.items():
                say(f"{'ok  ' if fine else 'FAIL'} {step['title']}: {name}")
                failed += [] if fine else [f"{step['title']}: {name}"]
    return failed


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        wrong = replay(json.load(file))
    print(f"{len(wrong)} failed" if wrong else "all hold")
    sys.exit(1 if wrong else 0)
