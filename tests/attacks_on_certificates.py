"""Attacks on certificate documents: altered copies of valid ones, and whether what is then printed is true.

    python tests/attacks_on_certificates.py [--sample N] [--seed S] [--random M] [KIND ...]

Every attack takes valid documents and alters them: (a) each leaf, in a dozen ways; (b) each symmetry of the
inequality, applied to every subset of the fields that it moves; (c) fields of other valid documents; (d) sizes beyond
all bounds, and states that nothing reads; (e) other methods with the same state at rest. The checker has to refuse, or
its statement has to be true of the method as altered, which `truth_of_certificates` decides from the statement alone,
without the checker. The command prints how many attacks ended how, by kind; it fails if any passed whose statement is
false, or not decided.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

from truth_of_certificates import verdict
from valid_certificates import VALID, Document, random_methods, valid

from odescent.analysis.certificates.checking import checker

Path = tuple[Any, ...]

# ---- Numbers as text -----------------------------------------------------------------------------


def scaled(value: Any, by: Fraction) -> Any:
    """Every number in a part of a document times a rational number; words stay."""
    if isinstance(value, str):
        try:
            return str(Fraction(value) * by)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {key: scaled(x, by) for key, x in value.items()}
    return [scaled(x, by) for x in value] if isinstance(value, list) else value


def added(x: Any, y: Any) -> Any:
    """The sum of two numbers of a document."""
    if isinstance(x, str) and isinstance(y, str):
        return str(Fraction(x) + Fraction(y))
    a, b = ([*map(Fraction, [t, "0"] if isinstance(t, str) else t)] for t in (x, y))
    total = [u + v for u, v in zip(a, b, strict=True)]
    return [str(total[0]), str(total[1])] if total[1] else str(total[0])


def combination(weights: list[int], values: list[Any]) -> Any:
    """A combination of numbers of a document with whole weights."""
    found: Any = "0"
    for w, x in zip(weights, values, strict=True):
        found = added(found, scaled(x, Fraction(w)))
    return found


# ---- (a) Leaves ----------------------------------------------------------------------------------


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of everything that is no container, and of empty containers."""
    if not isinstance(value, (dict, list)) or not value:
        yield path
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(inner, (*path, key))


def at(document: Any, path: Path) -> Any:
    """What is found along a path."""
    for key in path:
        document = document[key]
    return document


def put(document: Document, path: Path, value: Any) -> Document:
    """A copy with something else there."""
    found = copy.deepcopy(document)
    at(found, path[:-1])[path[-1]] = value
    return found


def leaf_attacks(document: Document) -> Iterator[Document]:
    """Each leaf scaled, negated, shifted, in another type, by a digit, twice, and gone; a key more in each object."""
    for path in leaves(document):
        old = at(document, path)
        box = {"from": old, "to": old}
        new: list[Any] = [None, True, 1, 1.5, [old], box, [old, "0"], "", "nan", "infinity"]
        if isinstance(old, str) and path[0] != "schema":
            for factor in ("4", "1/4", "101/100", "99/100", "-1", "0", "1000001/1000000", "1/3"):
                new.append(scaled(old, Fraction(factor)))
            new += [
                f" {old}",
                f"+{old}",
                f"0{old}",
                f"{old}/1",
                f"{old}.0",
                f"{old}e0",
                old.swapcase(),
            ]
            for i, digit in enumerate(old):
                if digit.isdigit() and i < 6:
                    new.append(f"{old[:i]}{(int(digit) + 1) % 10}{old[i + 1 :]}")
        elif type(old) is int:
            new += [old + 1, old - 1, -old, 4 * old, 10**9]
        for value in new:
            if value != old or type(value) is not type(old):
                yield put(document, path, value)
        gone = copy.deepcopy(document)
        home = at(gone, path[:-1])
        if isinstance(home, list):
            home.insert(path[-1], old)
            yield copy.deepcopy(gone)
            home.pop(path[-1])
        home.pop(path[-1])
        yield gone
        if isinstance(home, dict):
            yield put(document, (*path[:-1], "rate"), "1/2")
            yield put(document, (*path[:-1], "horizon"), 1)


# ---- (b) Symmetries ------------------------------------------------------------------------------


def scale_of_witness(document: Document) -> dict[Path, Any]:
    """P, multipliers and weights times four."""
    return {
        ("witness", k): scaled(x, Fraction(4))
        for k, x in document["witness"].items()
        if k not in ("memory", "cuts")
    }


def units_of_state(document: Document) -> dict[Path, Any]:
    """x -> 2 x in all coordinates: B, C and output, P by blocks, and what reads the past."""
    return _state(document, lambda n: [[2 * (i == j) for j in range(n)] for i in range(n)])


def shear_of_state(document: Document) -> dict[Path, Any]:
    """x -> T x with ones beside the diagonal of T."""
    return _state(document, lambda n: [[int(j - i in (0, 1)) for j in range(n)] for i in range(n)])


def _state(document: Document, transformation: Callable[[int], list[list[int]]]) -> dict[Path, Any]:
    s, w = document["statement"], document["witness"]
    n = len(s["A"])
    T = transformation(n)
    import sympy as sp

    back = [[Fraction(int(x.p), int(x.q)) for x in sp.Matrix(T).inv().row(i)] for i in range(n)]

    def left(rows: Any) -> Any:  # T M
        return [[_mix(t, [r[j] for r in rows]) for j in range(len(rows[0]))] for t in T]

    def right(row: Any) -> Any:  # row T^-1
        return [_mix([b[j] for b in back], row) for j in range(n)]

    if document["kind"] == "potential":
        if n > 1:
            return {}
        moved = {("statement", k): scaled(s[k], Fraction(2)) for k in ("B",)}
        moved |= {("statement", k): scaled(s[k], Fraction(1, 2)) for k in ("C", "output")}
        moved["statement", "rest"] = scaled(s["rest"], Fraction(2))
        powers = {"0,0": Fraction(1, 4), "0,1": Fraction(1, 2)}
        moved["witness", "Q"] = {
            k: scaled(x, powers.get(k, Fraction(1))) for k, x in w["Q"].items()
        }
        return moved
    moved = {
        ("statement", "A"): left([right(row) for row in s["A"]]), ("statement", "B"): left(s["B"]),
        ("statement", "C"): [right(row) for row in s["C"]], ("statement", "output"): right(s["output"]),
        ("statement", "rest"): [_mix(t, s["rest"]) for t in T],
    }  # fmt: skip
    if "P" in w:
        P, size = w["P"], range(len(w["P"]))
        half = [[P[min(i, j)][abs(i - j)] for j in size] for i in size]
        for _ in range(2):  # rows, then columns
            turned = [[*right(row[:n]), *row[n:]] for row in half]
            half = [list(column) for column in zip(*turned, strict=True)]
        moved["witness", "P"] = [row[i:] for i, row in enumerate(half)]
    return moved


def _mix(weights: list[Any], values: list[Any]) -> Any:
    found: Any = "0"
    for weight, x in zip(weights, values, strict=True):
        found = added(found, scaled(x, Fraction(weight)))
    return found


def units_of_function(document: Document) -> dict[Path, Any]:
    """f -> 4 f: mu and L times four, what multiplies gradients divided by four, and what is bounded."""
    s, w, kind = document["statement"], document["witness"], document["kind"]
    moved: dict[Path, Any] = {
        ("statement", k): scaled(s[k], Fraction(4)) for k in ("mu", "L") if k in s
    }
    moved |= {
        ("statement", k): scaled(s[k], Fraction(1, 4))
        for k in ("B", "D", "points")
        if k in s and kind != "potential"
    }
    if kind == "horizon":
        power = {"value": 1, "gradient": 2, "distance": 0}[s["measure"]] - (s["start"] == "value")
        moved["statement", "bound"] = scaled(s["bound"], Fraction(4) ** power)
    if kind == "flow":
        moved["witness", "P"] = scaled(w["P"], Fraction(4))
        moved["witness", "weight"] = scaled(w["weight"], Fraction(4))
    return moved


def units_of_length(document: Document) -> dict[Path, Any]:
    """x -> x/2 and f -> f: mu and L times four, steps divided by four, as after `units_of_function`; and the start."""
    s = document["statement"]
    moved: dict[Path, Any] = {
        ("statement", k): scaled(s[k], Fraction(1, 2)) for k in ("C", "output", "growth") if k in s
    }
    if "rest" in s:
        moved["statement", "rest"] = scaled(s["rest"], Fraction(2))
    if "lower" in document:
        moved["lower", "start"] = scaled(document["lower"].get("start"), Fraction(2))
    return moved


def units_of_time(document: Document) -> dict[Path, Any]:
    """t -> 2 t of a flow; the steps of a potential's clock."""
    s = document["statement"]
    names = ("A", "B", "rate") if document["kind"] == "flow" else ("clock", "growth")
    moved: dict[Path, Any] = {("statement", k): scaled(s[k], Fraction(2)) for k in names if k in s}
    if document["kind"] == "flow":
        moved["witness", "lambda"] = scaled(document["witness"]["lambda"], Fraction(2))
    return moved


def shift_of_clock(document: Document) -> dict[Path, Any]:
    """k -> k - 1 of a clock that counts: all polynomials of k about another start."""
    s, w = document["statement"], document["witness"]
    if document["kind"] != "potential" or s["clock"]["now"] != ["0", "1"]:
        return {}

    def about(p: Any) -> Any:
        import sympy as sp

        k = sp.Symbol("k")
        e = sum((sp.Rational(c) * (k - 1) ** i for i, c in enumerate(p)), sp.S.Zero)
        return [str(c) for c in reversed(sp.Poly(e, k).all_coeffs())] if e != 0 else []

    moved: dict[Path, Any] = {
        ("statement", "clock"): {**s["clock"], "from": str(Fraction(s["clock"]["from"]) + 1)},
        ("statement", "growth"): about(s["growth"]), ("witness", "a"): about(w["a"]),
        ("witness", "Q"): {k: about(x) for k, x in w["Q"].items()},
        ("witness", "nu"): {k: about(x) for k, x in w["nu"].items()},
    }  # fmt: skip
    moved["statement", "A"] = [[about(e) for e in row] for row in s["A"]]
    moved["statement", "B"] = [about(e) for e in s["B"]]
    for key in ("step_unit", "point_unit", "D"):
        moved["statement", key] = about(s[key])
    return moved


def permutation_of_points(document: Document) -> dict[Path, Any]:
    """The last two points change places, in the table and in the multipliers."""
    s, w = document["statement"], document["witness"]
    if document["kind"] == "horizon":
        count = len(s["points"])
        swap = {str(count - 1): str(count - 2), str(count - 2): str(count - 1)}
        points = [*s["points"][:-2], s["points"][-1], s["points"][-2]]
    else:
        swap, points = {"0": "1", "1": "0"}, None

    def renamed(weights: Any) -> Any:
        return {",".join(swap.get(i, i) for i in key.split(",")): x for key, x in weights.items()}

    moved: dict[Path, Any] = {
        ("witness", k): renamed(w[k]) for k in ("lambda", "nu") if isinstance(w.get(k), dict)
    }
    if points is not None:
        moved["statement", "points"] = points
    return moved


def shorter(document: Document) -> dict[Path, Any]:
    """The statement for another number of steps: the last point, its multipliers, the memory."""
    s, w = document["statement"], document["witness"]
    moved: dict[Path, Any] = {}
    if "points" in s:
        last = str(len(s["points"]) - 1)
        moved["statement", "points"] = s["points"][:-1]
        moved["witness", "lambda"] = {
            k: x for k, x in w["lambda"].items() if last not in k.split(",")
        }
        moved["statement", "bound"] = scaled(s["bound"], Fraction(1, 2))
    if "memory" in w:
        moved["witness", "memory"] = w["memory"] - 1 or 2
        moved["witness", "nu"] = {}
    return moved


SYMMETRIES = (
    scale_of_witness, units_of_state, shear_of_state, units_of_function, units_of_length, units_of_time,
    shift_of_clock, permutation_of_points, shorter,
)  # fmt: skip


def symmetry_attacks(document: Document) -> Iterator[Document]:
    """Each symmetry, on each subset of the fields that it moves; and without the lower bound."""
    for symmetry in SYMMETRIES:
        try:
            moved = symmetry(document)
        except (KeyError, ValueError, TypeError, IndexError):  # enclosures, or another kind
            continue
        paths = [p for p in moved if p[0] in document]
        for size in range(1, len(paths) + 1):
            for chosen in itertools.combinations(paths, size):
                found = copy.deepcopy(document)
                for path in chosen:
                    at(found, path[:-1])[path[-1]] = copy.deepcopy(moved[path])
                yield found
                if "lower" in found:
                    yield {k: v for k, v in found.items() if k != "lower"}


# ---- (c) Splices ---------------------------------------------------------------------------------


def splice_attacks(document: Document, others: list[Document]) -> Iterator[Document]:
    """Each part, and each pair of parts, from another valid document."""
    for other in others:
        paths = [(k,) for k in other] + [
            (k, n) for k in ("statement", "witness", "lower") for n in other.get(k, {})
        ]
        usable = [p for p in paths if len(p) == 1 or p[0] in document]
        for size in (1, 2):
            for chosen in itertools.combinations(usable, size):
                found = copy.deepcopy(document)
                for path in chosen:
                    at(found, path[:-1])[path[-1]] = copy.deepcopy(at(other, path))
                if found not in (document, other):
                    yield found


# ---- (d) Sizes, and what nothing reads -----------------------------------------------------------


def size_attacks(document: Document) -> Iterator[Document]:
    """Numbers, lists, tables and words longer than anything that is read, in every place; all are to be refused."""
    digits = "7" * 9000
    for path in leaves(document):
        if path[0] in ("schema", "kind"):
            continue
        box = {"from": "1", "to": digits}
        for long in (digits, f"1/{digits}", "-" + digits, [digits, digits], box, 10**90):
            yield put(document, path, long)
        deep: Any = at(document, path)
        for _ in range(600):
            deep = [deep]
        yield put(document, path, deep)
    for part in ("statement", "witness", "lower"):
        for key, old in document.get(part, {}).items():
            if isinstance(old, list) and old:
                yield put(document, (part, key), [old[0]] * 129)
                yield put(document, (part, key), [[*old, *old] * 65] * 129)
            if isinstance(old, dict):
                yield put(document, (part, key), {f"{i},{i + 1}": "1" for i in range(2000)})
    for key, value in (("memory", 9**9), ("memory", 10), ("d", 10**80 + 2), ("cuts", ["1"] * 200)):
        part = "witness" if key in document["witness"] else "statement"
        if key in document[part]:
            yield put(document, (part, key), value)
    yield put(document, ("name",), "a" * 101)


def hidden_attacks(document: Document) -> Iterator[Document]:
    """A state more that grows and that neither a point nor the output reads, with and without a place in P."""
    s, w = document["statement"], document["witness"]
    if document["kind"] not in ("rate", "quadratics", "flow"):
        return
    n = len(s["A"])
    found = copy.deepcopy(document)
    found["statement"] |= {
        "A": [*([*row, "0"] for row in s["A"]), [*["0"] * n, "2"]], "B": [*s["B"], ["0"] * len(s["C"])],
        "C": [[*row, "0"] for row in s["C"]], "output": [*s["output"], "0"], "rest": [*s["rest"], "0"],
    }  # fmt: skip
    if "gain" in found.get("lower", {}):
        found["lower"]["gain"].append("0")
    yield found
    for corner in ("1", "0", "-1", "1/1000000"):
        if "P" in w:
            wider = copy.deepcopy(found)
            rows = [[*row[: n - i], "0", *row[n - i :]] for i, row in enumerate(w["P"][:n])]
            past = len(w["P"]) - n
            wider["witness"]["P"] = [*rows, [corner, *["0"] * past], *w["P"][n:]]
            yield wider
            yield {k: x for k, x in wider.items() if k != "lower"}


# ---- (e) Other methods with the same state at rest -------------------------------------------------


def resting_attacks(document: Document) -> Iterator[Document]:
    """In each row that reads the state two entries are moved so that the state at rest still rests and is read."""
    s = document["statement"]
    rest = s.get("rest", [])
    if document["kind"] == "potential":
        return
    rows = [("A", i) for i in range(len(rest))] + [("C", i) for i in range(len(s.get("C", [])))]
    for path in [*rows, ("output",)] if rest else []:
        for i, j in itertools.permutations(range(len(rest)), 2):
            row = list(at(s, path))
            if not isinstance(rest[j], str) or rest[j] == "0" or any(type(x) is dict for x in row):
                continue
            for move in map(Fraction, ("1/100", "-1/100", "1/1000000", "-1/1000000")):
                back = scaled(rest[i], -move / Fraction(rest[j]))
                moved = {i: added(row[i], str(move)), j: added(row[j], back)}
                yield put(
                    document, ("statement", *path), [moved.get(k, x) for k, x in enumerate(row)]
                )


# ---- The count -----------------------------------------------------------------------------------


def attacks_on(name: str) -> Iterator[tuple[str, Document]]:
    """All attacks on one document, with their class."""
    document = valid(name)
    for attack in leaf_attacks(document):
        yield "leaf", attack
    for attack in symmetry_attacks(document):
        yield "symmetry", attack
    kind = name.split("/")[0]
    near = [n for n in VALID if n != name and n.split("/")[0] == kind][:6]
    far = [n for n in VALID if n.split("/")[0] != kind][::4]
    for attack in splice_attacks(document, [valid(n) for n in (*near, *far)]):
        yield "splice", attack
    for attack in size_attacks(document):
        yield "size", attack
    for attack in hidden_attacks(document):
        yield "hidden", attack
    for attack in resting_attacks(document):
        yield "resting", attack


def outcome(document: Document, original: Document) -> str:
    """ "refused", "same claim" (the statement is the original's), "true", "false" or "open"."""
    try:
        checker.check(document)
    except checker.Refused:
        return "refused"
    except Exception as error:  # anything else is a failure of the checker
        return f"crashed: {type(error).__name__}"
    return verdict(document, original)


def main() -> int:
    """Print the outcomes; 1 if something false, undecided or broken passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="attacks of each document, all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print what is false or open")
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--random", type=int, default=0, help="methods at random besides")
    given = parser.parse_args()
    random_methods(given.random, given.seed)
    rows: dict[str, Counter[str]] = {}
    bad = 0
    for name in VALID:
        kind = name.split("/")[0]
        words = {kind, name, "random" if "/random" in name else ""}
        if given.kinds and not words & {*given.kinds}:
            continue
        attacks = list(attacks_on(name))
        if given.sample is not None and len(attacks) > given.sample:
            attacks = random.Random(given.seed).sample(attacks, given.sample)
        original = valid(name)
        counts = rows.setdefault(kind, Counter())
        for form, attack in attacks:
            found = outcome(attack, original)
            counts[found] += 1
            if found not in ("refused", "same claim", "true"):
                bad += 1
                if given.show:
                    print(f"{name}, {form}: {found}\n{json.dumps(attack)[:3000]}", file=sys.stderr)
        print(f"{name:22} {len(attacks):6} attacks", flush=True)
    columns = sorted({c for counts in rows.values() for c in counts})
    print(f"{'kind':12}" + "".join(f"{c:>14}" for c in columns) + f"{'in all':>10}")
    for kind, counts in rows.items():
        print(f"{kind:12}" + "".join(f"{counts[c]:14}" for c in columns) + f"{counts.total():10}")
    total = sum((counts for counts in rows.values()), Counter[str]())
    print(f"{'in all':12}" + "".join(f"{total[c]:14}" for c in columns) + f"{total.total():10}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
