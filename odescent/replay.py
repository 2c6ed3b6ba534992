"""Replay a derivation from its document: numerically, or by reconstruction of the whole derivation.

    odescent derive nesterov --json --out nesterov.json
    python -m odescent.replay nesterov.json     # both; needs odescent
    python replay.py nesterov.json              # the arithmetic: a copy of this file, with nothing else

The arithmetic. Each check is an equation between named claims. Both sides are evaluated at random points, which
depend on every character of the document, to more digits than any number in it has: blocks are vectors in R^3, oracles
sums of exponentials of linear forms with exact derivatives, parameters numbers of the assumed sign, derivatives of
claims central differences. A value that is not finite fails, and so does a claim that no check depends on. The program
of one step is executed and compared with the claims about it. This is numerical evidence, and compares no words.
The whole. odescent derives again from the principle, proves the steps symbolically, and compares the two documents
character by character: claims, texts, LaTeX, equations, system, scheme and program.
Exit codes: 0 if everything holds, 1 if not, 2 if the input is not such a document. Format: docs/json.md.
"""

import decimal
import hashlib
import itertools
import json
import random
import re
import sys
import time
from decimal import Decimal as Number
from math import ceil, gcd, inf, prod
from typing import Any

SCHEMA = "odescent.derivation/3"
SIZE, POINTS, DIGITS = 3, 3, 100  # of vectors, per check, and beyond the longest number
SLOTS = 8  # arguments that a function of several may have
LARGEST = {"bytes": 1 << 24, "digits": 1000, "derivatives": 3}
KEYS = {
    "document": "schema name route summary provenance references principle notation verified steps "
    "equations algorithm digest",
    "step": "number title kind statement assumes reference claims checks verified",
    "claim": "name text latex value",
    "check": "name text left right residual",
    "algorithm": "name system fields scheme where tuning parameters init program next outputs latex calls exact",
    "exact": "name reference provenance system scheme step where tuning clock outputs positive program",
    "program": "blocks counter instructions next outputs",
}
KEYS["sized"] = KEYS["exact"].replace(" step", " step size small")  # the step depends on the state
Env = dict[str, Any]  # values of symbols, by their trees written out
ODD = (AttributeError, LookupError, TypeError, ValueError, RecursionError)  # data of another form


class Malformed(ValueError):
    """No document of a derivation was given; the message is one sentence."""


def digest(document: dict[str, Any]) -> str:
    """SHA-256 of everything but the digest, in its order. It shows damage; anyone can write another."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    plain = json.dumps(rest, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(plain.encode("ascii")).hexdigest()


def shown(words: object, most: int = 300) -> str:
    """Words of a document as one line of printable characters, as nobody knows who wrote them."""
    text = "".join(c if c.isprintable() else "?" for c in str(words)[: most + 1])
    return text if len(text) <= most else text[: most - 3] + "..."


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise Malformed("a key stands twice in an object, and readers may see different things.")
    return found


def read(path: str) -> Any:
    """The JSON in a file; raises Malformed for what is none, or too large."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST["bytes"] + 1)
        if len(data) > LARGEST["bytes"]:
            raise Malformed(f"it has more than {LARGEST['bytes']} bytes.")
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        why = "it is nested too deeply." if isinstance(error, RecursionError) else shown(error)
        raise Malformed(f"{shown(path)} is no document of a derivation: {why}") from None


def _fields(what: str, data: Any) -> Any:
    """An object with exactly the keys that it must have, in their order."""
    if not isinstance(data, dict) or list(data) != KEYS[what].split():
        keys = set(data) if isinstance(data, dict) else set[str]()
        odd = shown(min(keys ^ set(KEYS[what].split()), default="their order"), 40)
        raise Malformed(f"the {what} has other keys than {KEYS[what]} (see {odd!r}).")
    return data


def _several(what: str, data: Any) -> list[dict[str, Any]]:
    """A list of objects, of which there is at least one; names occur once."""
    if not isinstance(data, list) or not data:
        raise Malformed(f"there is no {what} where one belongs, so nothing is proved.")
    names = [_fields(what, d).get("name", str(n)) for n, d in enumerate(data)]
    if len(set(map(str, names))) < len(names) or not all(isinstance(n, str) for n in names):
        raise Malformed(f"two {what}s of a step have one name, or one has none.")
    return data


def check_form(document: Any) -> Any:
    """The document, if it has the form that docs/json.md gives; raises Malformed if not."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        known = f"this reads {SCHEMA!r}, and its schema is {shown(schema, 60)!r}"
        raise Malformed(f"it is no document of a derivation: {known}.")
    if _fields("document", document)["digest"] != digest(document):
        raise Malformed("it is damaged: its digest is not that of what it holds.")
    for number, step in enumerate(_several("step", document["steps"]), 1):
        if step["number"] != number:
            raise Malformed(f"step {number} has another number.")
        _several("claim", step["claims"])
        _several("check", step["checks"])
    if not all(d["verified"] is True for d in (document, *document["steps"])):
        raise Malformed("it says itself that it is not verified.")
    exact = _fields("algorithm", document["algorithm"])["exact"]
    _fields("sized" if "size" in exact else "exact", exact)
    _fields("program", exact["program"])
    return document


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


class Dual(Vector):
    """What the adjoint of a map's derivative is applied to."""


def dot(u: Any, v: Any) -> Number:
    return sum((a * b for a, b in zip(u, v, strict=bool(u and v))), Number(0))


def _series(first: Number, ratio: Any) -> Number:
    """The sum of terms each of which is the one before times ratio(n), until they no longer count."""
    total, term, n = Number(0), first, 1
    while total + term != total:
        total, term, n = total + term, term * ratio(n), n + 1
    return total


def cos(x: Number) -> Number:
    if abs(x) > 1000:
        raise decimal.InvalidOperation  # digits are lost: another point is tried
    if abs(x) > Number("0.01"):
        return 2 * cos(x / 2) ** 2 - 1
    return _series(Number(1), lambda n: -x * x / ((2 * n - 1) * (2 * n)))


def atan(x: Number) -> Number:
    if abs(x) > Number("0.01"):
        return 2 * atan(x / (1 + (1 + x * x).sqrt()))
    return _series(x, lambda n: -x * x * (2 * n - 1) / (2 * n + 1))


FUNCTIONS: dict[str, Any] = {
    "add": lambda *a: sum(a, Number(0)), "mul": lambda *a: prod(a, start=Number(1)), "log": Number.ln, "atan": atan,
    "pow": lambda b, n: b.sqrt() if n == Number("0.5") else b**n, "sin": lambda x: cos(x - 2 * atan(Number(1))),
    "cos": cos, "tan": lambda x: FUNCTIONS["sin"](x) / cos(x), "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "exp": Number.exp, "cosh": lambda x: (x.exp() + (-x).exp()) / 2, "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "coth": lambda x: 1 + 2 / ((2 * x).exp() - 1), "sign": lambda x: Number((x > 0) - (x < 0)), "abs": abs,
    "pi": lambda: 4 * atan(Number(1)), "e": lambda: Number(1).exp(), "atanh": lambda x: ((1 + x) / (1 - x)).ln() / 2,
    "asin": lambda x: 2 * atan(x / (1 + (1 - x * x).sqrt())), "acos": lambda x: 2 * atan(((1 - x) / (1 + x)).sqrt()),
    "asinh": lambda x: (x + (x * x + 1).sqrt()).ln(), "acosh": lambda x: (x + (x * x - 1).sqrt()).ln(),
    "hadamard": lambda u, v: Vector(a * b for a, b in zip(u, v, strict=bool(u and v))),
    "apply": lambda m, v: Vector(dot(row, c) for row in rows(m) for c in rows(v, len(v) > SIZE)),
    "identity": lambda: Vector(Number(i == j) for i in range(SIZE) for j in range(SIZE)),
    "transpose": lambda m: Vector(a for column in rows(m, True) for a in column), "ceiling": lambda x: Number(ceil(x)),
    "diagonal": lambda v: Vector(a * (i == j) for i, a in enumerate(v) for j in range(SIZE)), "max": max, "min": min,
    "entries": lambda m: Vector(m[:: SIZE + 1]), "newest": lambda: Vector(Number(i == 0) for i in range(SIZE)),
    "outer": lambda u, v: Vector(a * b for a in u for b in v), "oldest": lambda: Vector(FUNCTIONS["newest"]()[::-1]),
    "delay": lambda: Vector(Number(j == i + 1) for i in range(SIZE) for j in range(SIZE)), "inner": dot,
}  # fmt: skip


def rows(m: Any, columns: bool = False) -> list[Any]:
    """The rows of a matrix, or its columns; a vector is one row."""
    listed = [m[i : i + SIZE] for i in range(0, len(m), SIZE)]
    return [*zip(*listed, strict=True)] if columns else listed


def eliminated(left: list[Any]) -> list[list[Number]]:
    """The rows of A^-1 B from those of A and B side by side, by elimination with the largest pivots."""
    for k in range(len(left)):
        left[k:] = sorted(left[k:], key=lambda row: -abs(row[k]))
        left[k] = [a / left[k][k] for a in left[k]]
        for i in {*range(len(left))} - {k}:
            left[i] = [a - left[i][k] * b for a, b in zip(left[i], left[k], strict=True)]
    return [row[len(left) :] for row in left]


def inverse(m: Any) -> Any:
    """The inverse of a matrix."""
    both = zip(rows(m), rows(FUNCTIONS["identity"]()), strict=True)
    return Vector(a for row in eliminated([[*row, *unit] for row, unit in both]) for a in row)


def rational(text: str) -> Number:
    """A whole number or a fraction in lowest terms, of a thousand digits at most."""
    if not re.fullmatch("(0|-?[1-9][0-9]*)(/[1-9][0-9]*)?", text) or len(text) > LARGEST["digits"]:
        raise ValueError("no whole number or fraction")
    top, _, bottom = text.partition("/")
    if bottom and (bottom == "1" or gcd(int(top), int(bottom)) != 1):
        raise ValueError("a fraction that is not in lowest terms")
    return Number(top) / Number(bottom or 1)


# The arithmetic


class World:
    """Values for every symbol, oracle and claim, by a seed; the claim that is ``moved`` is changed."""

    def __init__(self, claims: Env, seed: str, digits: int, moved: str = "", until: float = inf):
        self.claims, self.seed, self.moved, self.used = claims, seed, moved, set[str]()
        self.lost = digits // 2 + 10  # digits, by a central difference
        self.scale = Number(random.Random(f"{seed} scale").choice((1, 2)))
        self.drawn: dict[str, Vector] = {}
        self.weights: dict[Any, list[Number]] = {}  # of oracles, by where they are taken
        self.roots: dict[Any, list[Any]] = {}  # of equations, by their symbols' values
        self.until, self.inside, self.slots = until, False, dict[str, int]()

    def draw(self, what: Any, count: int, signed: bool = False) -> Vector:
        """Numbers between -1 and 1; those that are all of one sign are between 1/20 and a scale."""
        if (found := self.drawn.get(key := json.dumps([what, count, signed]))) is None:
            rng, least = random.Random(f"{self.seed} {key}"), Number("0.05")
            units = [Number(rng.randrange(1, 10**30)) / 10**30 for _ in range(count)]
            found = Vector(least + (self.scale - least) * u if signed else 2 * u - 1 for u in units)
            self.drawn[key] = found
        return found

    def symbol(self, tree: Any) -> Any:
        if tree[0] in ("block", "sample"):
            kind = {"matrix", "symmetric", "window"} & {*tree[2:]} if tree[0] == "block" else set()
            drawn = self.draw(tree, SIZE**2 if kind else SIZE)
            return drawn + FUNCTIONS["transpose"](drawn) if "symmetric" in kind else drawn
        negative = not {"negative", "nonpositive"}.isdisjoint(tree[2:])
        signed = negative or not {"positive", "nonnegative"}.isdisjoint(tree[2:])
        (number,) = self.draw(tree, 1, signed)
        number = Number(round(9 * number) or 1) if "integer" in tree[2:] else number
        return -number if negative else number

    def in_slot(self, slot: str, value: Any) -> Any:
        """A vector in an argument of a function of several, or to be applied to by an adjoint."""
        inside = [*value] or [Number(0)] * SIZE
        if slot in ("", "*"):
            return Dual(inside) if slot else Vector(inside)
        whole = [Number(0)] * (SIZE * SLOTS)
        whole[self.place(slot)] = inside
        return Vector(whole)

    def oracle(self, kind: str, of: Any, point: Any, along: Any = (), extra: Any = ()) -> Any:
        """D^k of |x|^2/2 + sum of exp(a . x + b . p + c), of its gradient, or of a sum of u exp(...) or its adjoint."""
        total: Any = Number(0) if kind == "value" else Vector()
        name, several, slot = of if isinstance(of, list) else (of, [], "")
        family = [kind * (kind in ("prox", "named")), name]
        size = len(point) or SIZE * (SLOTS if several else 1)
        part, image = self.place(slot) if slot else slice(None), SIZE if several else size
        slopes = [self.draw(["slope", i, *family], size) for i in range(SIZE)]
        place = (decimal.getcontext().prec, *family, tuple(point), tuple(extra))
        if (weights := self.weights.get(place)) is None:
            more = [self.draw(["extra", i, *family], len(extra) + 1) for i in range(SIZE)]
            pairs = zip(slopes, more, strict=True)
            weights = self.weights[place] = [(dot(s, point) + dot(b, [*extra, 1])).exp() for s, b in pairs]  # fmt: skip
        for i, (slope, weight) in enumerate(zip(slopes, weights, strict=True)):
            other = self.draw(["other", "map" if kind == "vjp" else kind, i, *family], image)
            sides = ((other if isinstance(d, Dual) else slope, d) for d in along)
            weight *= prod((dot(*pair) for pair in sides), start=Number(1))
            factor = Vector(slope[part]) if kind in ("grad", "prox", "vjp", "named") else other
            total += weight if kind == "value" else factor * weight
        if kind == "grad" and len(along) < 2:
            return total + Vector((along[0] if along else point)[part])
        if kind == "value" and len(along) < 3:
            total += dot(*[*along, point, point][:2]) / (1 if along else 2)
        return total

    def root(self, which: str, unknowns: Any, equations: Any, minimized: Any, env: Env) -> Any:
        """One of the unknowns that solve equations, by Newton's method with differences, from zero.

        Few digits at first, then all. Gradients of convex functions, as those of `oracle` are, have one root; where a
        scalar is minimized it is least.
        """
        whole = decimal.getcontext().prec
        key = (whole, json.dumps([unknowns, equations, minimized]), *env.items())
        if (known := self.roots.get(key)) is not None:
            return known[int(which)]
        sizes = [SIZE if u[0] == "block" else 1 for u in unknowns]
        ends = [*itertools.accumulate(sizes)]

        def parts(flat: Vector) -> list[Any]:
            cut = zip(unknowns, ends, sizes, strict=True)
            return [Vector(flat[e - n : e]) if u[0] == "block" else flat[e - 1] for u, e, n in cut]

        def at(flat: Vector, trees: Any) -> list[Any]:
            own = {json.dumps(u): v for u, v in zip(unknowns, parts(flat), strict=True)}
            return [self(tree, {**env, **own}) for tree in trees]

        def left(flat: Vector) -> Vector:
            made = zip(at(flat, equations), sizes, strict=True)
            listed = (([*v] or [Number(0)] * n) if isinstance(v, Vector) else [v] for v, n in made)
            return Vector(a for v in listed for a in v)

        units = [Vector(Number(i == j) for i in range(ends[-1])) for j in range(ends[-1])]
        found, size, digits = units[0] * 0, Number("inf"), 80
        for _ in range(99):
            with decimal.localcontext(prec=digits):
                value, by = left(found), Number(10) ** (20 - digits // 2)
                if size > by:  # after a step shorter than differences, slopes serve again
                    slopes = [(left(found + u * by) - value) * (1 / by) for u in units]
                moves = Vector(r[0] for r in eliminated([*zip(*slopes, value, strict=True)]))
                found -= moves * (1 / max(Number(1), size := abs(moves)))
            if size < Number(10) ** (40 - digits):
                if digits == whole:
                    break
                digits, size = min(whole, 2 * digits - 40), Number("inf")
        asked = [minimized] if minimized else []
        values = [v for u in (value * 0, *units) for v in at(found + u * by, asked)]
        if size >= Number(10) ** (40 - whole) or (values and min(values) < values[0]):
            raise decimal.InvalidOperation  # another point is tried
        self.roots[key] = parts(found)
        return self.roots[key][int(which)]

    def place(self, slot: str) -> slice:
        """Where an argument of a function of several is in the vector of all of them."""
        if (first := SIZE * self.slots.setdefault(slot, len(self.slots))) >= SIZE * SLOTS:
            raise ValueError("too many arguments")
        return slice(first, first + SIZE)

    def mean(self, body: Any, over: Any, env: Env) -> Any:
        """The mean over a sample: exact for signs and unit vectors. Signs stand for other vectors: what follows from
        linearity, symmetry and E z z^T = 1 holds so."""
        one, root = (Number(1), Number(-1)), Number(SIZE).sqrt()
        points: list[Any] = [*map(Vector, itertools.product(one, repeat=SIZE))]
        if over[2] == "coordinate":
            points = [Vector(u) * (s * root) for u in rows(FUNCTIONS["identity"]()) for s in one]
        if over[0] == "scalar sample":
            points = [Number(0), Number(1)] if over[2] in ("uniform", "rows") else [*one]
        values = [self(body, {**env, json.dumps(over): p}) for p in points]
        return sum(values[1:], values[0]) * (Number(1) / len(points))

    def claim(self, name: str, at: Env, *rates: Env) -> Any:
        """A claim, differentiated along the rates by differences whose steps are all different."""
        if len(rates) > LARGEST["derivatives"] or self.inside:
            raise ValueError("too many derivatives, or a claim that refers to claims")
        if not rates:
            self.used.add(name)
            self.inside = True
            value, self.inside = self(self.claims[name], at), False
            if name != self.moved:
                return value
            share = Number(1) / 9  # by which it is made false
            if isinstance(value, Vector):
                return value * (1 + share) + Vector([share] * (len(value) or SIZE))
            return value * (1 + share) + share
        (rate, *rest), step = rates, Number(10) ** -self.lost / (2 * len(rates) + 1)
        with decimal.localcontext(prec=decimal.getcontext().prec + self.lost):
            shifted = ({s: v + rate.get(s, 0) * k for s, v in at.items()} for k in (step, -step))
            up, down = (self.claim(name, end, *rest) for end in shifted)
            return (up - down) * (1 / (2 * step))

    def __call__(self, tree: Any, env: Env) -> Any:
        """The value of a tree, finite; ``env`` has the symbols that are not drawn."""
        value = self.value(tree, env)
        numbers = value if isinstance(value, Vector) else [value]
        if len(numbers) > SIZE * SLOTS or time.monotonic() > self.until:
            raise ValueError("more than a derivation has")
        if not all(n.is_finite() for n in numbers):
            raise ArithmeticError("not finite")
        return value

    def value(self, tree: Any, env: Env) -> Any:
        if isinstance(tree, str):
            return rational(tree)
        word, *rest = tree
        if word == "mean":
            return self.mean(rest[0], rest[1], env)
        if word == "root":
            return self.root(rest[0], rest[1], rest[3], rest[4], env)
        if word in ("symbol", "block", "slot", "sample", "scalar sample"):
            return env[key] if (key := json.dumps(tree)) in env else self.symbol(tree)
        if word == "sum":
            return sum((self(atom, env) * self(scale, env) for scale, atom in rest), Vector())
        if word in ("claim", "vector claim"):
            values = ({json.dumps(s): self(e, env) for s, e in d} for d in (rest[1], *rest[2]))
            return self.claim(rest[0], *values)
        if word in ("value", "oracle"):
            kind, of, point, *lists = tree if word == "value" else rest
            more = ([self(e, env) for e in part] for part in lists)
            return self.oracle(kind, of, self(point, env), *more)
        if word == "argument":
            return self.in_slot(rest[0], self(rest[1], env))
        if word == "inverse":  # after the operator, how numbers are found
            return inverse(self(rest[0], env))
        if word == "derivative":  # the columns, along unit vectors
            kind, of, point, along, extra, hole = rest
            fixed, given = ([self(e, env) for e in part] for part in (along, extra))
            at, eye = self(point, env), rows(FUNCTIONS["identity"]())
            found = [self.oracle(kind, of, at, [*fixed, self.in_slot(hole, u)], given) for u in eye]
            return FUNCTIONS["transpose"](Vector(a for column in found for a in column))
        if word == "elementwise":
            columns = zip(*(self(v, env) for v in rest[1]), strict=True)
            slots = ({f'["slot", "{i}"]': v for i, v in enumerate(c, 1)} for c in columns)
            return Vector(self(rest[0], {**env, **slot}) for slot in slots)
        return FUNCTIONS[word](*(self(a, env) for a in rest))


class Arithmetic:
    """Comparisons at random points, to as many digits as the numbers of a document ask for."""

    def __init__(self, data: Any, points: int = POINTS, seconds: float = 60) -> None:
        text = json.dumps(data)
        longest = max((len(n) for n in re.findall(r'"-?([0-9/]+)"', text)), default=1)
        if longest > LARGEST["digits"]:
            raise Malformed(f"it has a number of more than {LARGEST['digits']} digits.")
        self.digits, self.points, self.until = DIGITS + longest, points, time.monotonic() + seconds
        self.salt = hashlib.sha256(text.encode()).hexdigest()
        traps = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
        ends: Any = {"Emax": decimal.MAX_EMAX, "Emin": decimal.MIN_EMIN, "traps": traps}
        self.context = decimal.Context(self.digits + 100, **ends)

    def agree(self, sides: Any, claims: Env, moved: str = "") -> tuple[bool, set[str]]:
        """Whether two sides agree at all points (if not real or too large, others are drawn), and the claims used."""
        agreed, points = 0, 1 if moved else self.points
        for seed in range(20 * points):
            world = World(claims, f"{self.salt} {seed}", self.digits, moved, self.until)
            try:
                left, right = sides(world)
                size = 1 + abs(left) + abs(right)
                if not abs(left - right) <= size * Number(10) ** -self.digits:
                    return False, world.used
                agreed += size < Number(10) ** (self.digits - 60)
            except (decimal.InvalidOperation, decimal.Overflow):
                continue
            except (ArithmeticError, *ODD):
                return False, world.used
            if agreed == points:
                return True, world.used
        return False, set()

    def step(self, step: dict[str, Any], exact: Any = None) -> dict[str, bool]:
        """Whether the checks hold, by name, every claim matters to one, and is so in the exact data."""
        claims, noticed = {c["name"]: c["value"] for c in step["claims"]}, set[str]()
        with decimal.localcontext(self.context):
            about = _about(exact, step) if exact else {}
            said = "claim {} is what the exact data give"
            done = {said.format(w): self.agree(of, claims)[0] for w, of in about.items()}
            for check in step["checks"]:
                trees = check["left"], check["right"]
                sides = lambda world, trees=trees: [world(tree, {}) for tree in trees]
                done[f"check {check['name']}"], used = self.agree(sides, claims)
                noticed |= {n for n in used - noticed if not self.agree(sides, claims, n)[0]}
        return done | {f"claim {n} is in no check": False for n in claims if n not in noticed}


# The program of one step, executed

PARTS = {"point": "point", "mean": "mean", "start": "start", "slope": "rate", "duration": "duration"}  # fmt: skip
ALONE = "Titles, texts, LaTeX, assumptions, equations, system, scheme and names are compared by odescent only."


def _bound(world: World, values: Any) -> Env:
    """What is bound, as values of the symbols; they may refer to each other."""
    env: Env = {}
    for _ in values:
        env = {json.dumps(s): world(e, env) for s, e in values}
    return env


def _execute(world: World, program: Any, env: Env, answer: Any) -> tuple[Env, dict[str, Any]]:
    """All values after the instructions (a call is the ``answer``, else a symbol), and "point of g": what is asked."""
    values, asked = dict(env), dict[str, Any]()
    for i in program["instructions"]:
        if "assign" in i:
            values[json.dumps(i["assign"])] = world(i["value"], values)
            continue
        if names := i.get("choose") or i.get("loop"):  # guards accept, and a loop is one iteration
            first = zip(names, i.get("begin", ()), strict=False)
            values |= {json.dumps(s): world(e, values) for s, e in first}
            values, more = _execute(world, inner := i.get("body") or i["accept"], values, answer)
            last = zip(names, inner["values"], strict=False)
            values |= {json.dumps(s): world(e, values) for s, e in last}
            asked |= more
            continue
        target = next(iter(i.values()))
        parts = {word: world(i[key], values) for key, word in PARTS.items() if key in i}
        for key, word in (("directions", "direction"), ("parameters", "argument")):
            parts |= {f"{word} {n}": world(e, values) for n, e in enumerate(i.get(key, []), 1)}
        if "call" in i:
            if (value := answer(world, i, *parts.values())) is not None:
                values[json.dumps(target)] = value
            if i["implicit"] != "0":
                parts["point"] += world(target, values) * world(i["implicit"], values)
        elif "sweep" in i:
            parts["weight"] = world(i["implicit"], values)
        asked |= {f"{part} of {target[1]}": value for part, value in parts.items()}
    return values, asked


def _by_oracle(world: World, call: Any, point: Any, *more: Any) -> Any:
    """An oracle's value where it is asked; an implicit call's is compared by its name only."""
    (kind, of), cut = call["oracle"], len(call["directions"])
    value = world.oracle(kind, of, point, more[:cut], more[cut:])
    return value if call["implicit"] == "0" else None


def _about(exact: Any, step: Any) -> dict[str, Any]:
    """What a step claims of the exact data: functions of a world that give the claim and what it is about."""
    program, fields = exact["program"], exact["system"]["fields"].values()
    claims, found = {c["name"]: c["value"] for c in step["claims"]}, dict[str, Any]()
    blocks = [(b["symbol"], b["symbol"][1], b["init"]) for b in program["blocks"]]
    names, h = [json.dumps(symbol) for symbol, _, _ in blocks], json.dumps(exact["step"])

    def compare(what: str, claim: Any, of: Any, by: str = "tuning", answer: Any = None) -> None:
        def sides(world: World) -> list[Any]:
            env = _bound(world, exact[by])
            return [world(claim, env | taken(world, env, answer)), of(world, env)]

        found[what] = sides

    def taken(world: World, env: Env, answer: Any) -> Env:
        sized = answer is not None and "size" in exact  # the step that the program takes
        return {h: _execute(world, program, env, answer)[0][h]} if sized else {}

    def move(symbol: Any, answer: Any) -> Any:
        (after,) = (e for s, e in program["next"] if s == symbol)
        return lambda world, env: world(after, _execute(world, program, env, answer)[0])

    def flow(symbol: Any) -> Any:
        drifts = [["1", e] for f in fields for s, e in f["drift"] if s == symbol]
        whole = ["sum", *drifts] if symbol[0] == "block" else ["add", *(e for _, e in drifts)]
        return lambda world, env: world(whole, env)

    for check in step["checks"]:
        what, _, where = check["name"].rpartition(" of ")
        for symbol, name, _ in blocks:
            if check["name"] == f"{name}' is the sum of the fields":
                compare(f"{name}'", check["right"], flow(symbol), "where")
            if what == f"{name}+" and where in ("the program", "one step"):
                answer = _by_oracle if where == "the program" else lambda *_: None
                compare(what, check["right"], move(symbol, answer), answer=answer)
        if where == "one step" and not what.endswith("+"):
            asked = lambda w, env, what=what: _execute(w, program, env, lambda *_: None)[1][what]
            compare(what, check["right"], asked)
        if check["name"] == "the step of the program" and "size" in exact:
            compare("step", check["right"], lambda w, env: taken(w, env, _by_oracle)[h])
    for _, name, init in blocks:
        if f"{name}[0]" in claims:
            compare(f"{name}[0]", claims[f"{name}[0]"], lambda world, _, init=init: world(init, {}))
    if {"alpha", "beta", "gamma"} <= claims.keys():

        def answered(world: World) -> list[Any]:
            env, zero = _bound(world, exact["tuning"]), Vector([Number(0)] * SIZE)
            alpha, beta, gamma = (world(claims[name], env) for name in ("alpha", "beta", "gamma"))
            state, xi, before, points, wanted = dict.fromkeys(names, zero), zero, zero, zero, zero
            for k in range(2 * len(blocks) + 4):  # from rest, the same answers
                g = world.draw(f"answer {k}", SIZE)
                values, asked = _execute(world, program, env | state, lambda *_, g=g: g)
                (point,) = asked.values()
                state = {json.dumps(s): world(e, values) or zero for s, e in program["next"]}
                points = Vector([*points, *(point or zero)])
                wanted = Vector([*wanted, *(xi * (1 + gamma) - before * gamma)])
                xi, before = xi * (1 + beta) - before * beta - g * alpha, xi
            return [points, wanted]

        found["alpha, beta, gamma"] = answered
    return found


def replay(document: Any, points: int = POINTS, say: Any = print, seconds: float = 60) -> list[str]:
    """Replay the arithmetic of a document; then, if odescent is installed, the whole derivation.

    Args:
        document: as read from JSON.
        points: random points per check.
        say: called with a line for every result.
        seconds: limit for deriving a user's own system again.

    Returns: the failures, in words; empty if everything holds.
    """
    try:
        check_form(document)
        arithmetic, done, about = Arithmetic(document, points, seconds), dict[str, bool](), 0
        for step in document["steps"]:
            found = arithmetic.step(step, document["algorithm"]["exact"])
            done |= {f"{step['number']}. {step['title']}: {name}": found[name] for name in found}
            about += sum(name.startswith("claim") for name in found)
    except ODD as error:
        odd = f"it has not the form that docs/json.md gives ({type(error).__name__})."
        say(f"FAIL {(odd := str(error) if isinstance(error, Malformed) else odd)}")
        return [odd]
    for name, fine in done.items():
        say(f"{'ok  ' if fine else 'FAIL'} {shown(name)}")
    if failed := [shown(name) for name, fine in done.items() if not fine]:
        return failed
    say(
        f"The arithmetic holds: {len(done) - about} checks agree to {arithmetic.digits} digits at {points} random "
        f"points, each claim matters to one; {about or 'none'} are compared with the program, executed."
    )
    if not __package__:
        say(ALONE)
        return []
    from . import _rederive

    different, same = _rederive.compared(document, seconds)
    say(f"FAIL {shown(different)}" if different else same)
    return [shown(different)] if different else []


def main(arguments: list[str]) -> int:
    """Replay the file that is named; the exit code."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        if len(arguments) != 1:
            raise Malformed("give one file, the document that odescent derive NAME --json writes.")
        document = check_form(read(arguments[0]))
    except ODD as error:
        print(f"replay: {shown(error)}", file=sys.stderr)
        return 2
    wrong, how = replay(document), "all holds" if __package__ else "the arithmetic holds, no more"
    print(f"not proved: {len(wrong)} failed" if wrong else how)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
