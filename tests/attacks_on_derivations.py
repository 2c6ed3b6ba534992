"""Attacks on the documents of derivations: every leaf, list and key altered, splices, and digests written anew.

    python tests/attacks_on_derivations.py [--sample N] [NAME ...]

alters N places of each document (200 unless told; 0 is all of them) and prints how many attacks there were, what
refused them, and each that passed with the sentence that is printed of it.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import sympy as sp

import odescent as od
from odescent import _rederive, replay
from odescent.discretize.routes import REGISTRY

Path = tuple[Any, ...]


@cache
def original(name: str) -> str:
    """The document of a derivation by its name, as text: a registered one, or "own/" and an algorithm or "plant"."""
    if name == "own/plant":
        found = _plant()
    elif name.startswith("own/"):
        found = od.algorithm(name.removeprefix("own/")).derivation()
    else:
        found = od.derive(*name.split("/")) if "/" in name else od.derive(name, "direct")
    return json.dumps(found.to_dict())


def _plant() -> od.Derivation:
    """A plant of one's own, with time."""
    x, p, u = od.blocks("x p u")
    a, h, t = od.parameters("a h t")
    f, k = od.Objective("f"), sp.Symbol("k")
    graph = {p: -a * f.grad(x) / t}
    return od.immerse({x: p, p: u}, u, gain=3 / t, immersion=graph, time=t, clock=1 + k * h)


def places(data: Any, path: Path = ()) -> Iterator[Path]:
    """Where everything in a document stands, but the digest."""
    if path and path != ("digest",):
        yield path
    parts = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, part in parts:
        yield from places(part, (*path, key))


def at(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data


def put(data: Any, path: Path, value: Any) -> Any:
    """A document in which something else stands at a place; its digest is written anew, as anybody can."""
    return sealed(_with(data, path, value))


def _with(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    made = copy.copy(data)
    made[path[0]] = _with(data[path[0]], path[1:], value)
    return made


def sealed(document: Any) -> Any:
    return {**document, "digest": replay.digest(document)}


def altered(value: Any, rng: random.Random) -> Iterator[Any]:
    """What may stand in the place of a value: scaled, negated, doubled, of another type, one character altered."""
    yield from (None, "Infinity", ["log", "0"], 1, True, {}, [])
    if isinstance(value, str):
        k = rng.randrange(len(value) + 1)
        yield from (
            value[:k] + rng.choice("0179xβ ") + value[k + 1 :],
            value + value,
            value[1:],
            "-" + value,
            " " + value,
        )
        yield from (
            ["mul", "8/7", value],
            ["add", value, "1/10000000000000000000000000000000000"],
            ["add", value, "0"],
        )
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (-value, value + 1, float(value))
    elif isinstance(value, list) and value:
        k = rng.randrange(len(value))
        yield from (
            value[:k] + value[k + 1 :],
            value[: k + 1] + value[k:],
            value[::-1],
            ["mul", "8/7", value],
        )
        yield [*value, value[-1]]
    elif isinstance(value, dict) and value:
        key = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        yield from (
            rest,
            {**rest, key + "_": value[key]},
            {**value, "more": "1"},
            {**rest, key: value[key]},
        )


def attacks(document: Any, sample: int, rng: random.Random) -> Iterator[tuple[str, Any]]:
    """Documents that differ from the one that is given, each with where."""
    found = list(places(document))
    for path in rng.sample(found, min(sample, len(found))) if sample else found:
        value = at(document, path)
        for other in altered(value, rng):
            if json.dumps(other) != json.dumps(value):
                yield "/".join(map(str, path)), put(document, path, other)


def structural(document: Any) -> Iterator[tuple[str, Any]]:
    """The attacks of a hostile reader, by hand: each keeps the form, and the digest is right."""
    steps = document["steps"]
    yield "no steps", put(document, ("steps",), [])
    yield "no claims", put(document, ("steps",), [{**s, "claims": [], "checks": []} for s in steps])
    for k in range(len(steps)):
        left = [{**s, "number": n} for n, s in enumerate(steps[:k] + steps[k + 1 :], 1)]
        yield f"without step {k + 1}", put(document, ("steps",), left)
    for i, step in enumerate(steps):
        for j, check in enumerate(step["checks"]):
            here = ("steps", i, "checks", j)
            zero = {
                **check,
                "left": ["mul", "0", check["left"]],
                "right": ["mul", "0", check["right"]],
            }
            yield "checks times 0", put(document, here, zero)
            yield "a check of itself", put(document, here, {**check, "left": check["right"]})
        for j, claim in enumerate(step["claims"]):
            here = ("steps", i, "claims", j)
            for value in (
                "Infinity",
                "NaN",
                ["log", "0"],
                ["pow", "0", "-1"],
                ["exp", ["exp", "999"]],
            ):
                yield "not finite", put(document, (*here, "value"), value)
            yield "claimed twice", put(document, here[:-1], [*step["claims"], claim])
            for word in ("text", "latex"):
                yield "what people read", put(document, (*here, word), "beta = 0.99")
            share = ["pow", "10", "-34"]
            tiny = ["mul", claim["value"], ["add", "1", share]]
            if claim["value"][:1] == ["sum"] or claim["value"][0] in (
                "block",
                "oracle",
                "hadamard",
            ):
                tiny = ["sum", [["add", "1", share], claim["value"]]]
            yield "1e-34", put(document, (*here, "value"), tiny)
    exact = ("algorithm", "exact")
    for path, value in (
        ((*exact, "tuning"), []), ((*exact, "where"), []), ((*exact, "system", "fields"), {}),
        ((*exact, "program", "instructions"), []), ((*exact, "scheme", "steps"), []), (("verified",), False),
        (("schema",), "odescent.derivation/99"), (("provenance",), "Proved in 1983."), (("principle",), None),
        (("steps", 0, "assumes"), ""), (("steps", 0, "statement"), "All is well."), (("name",), "nesterov_sc"),
    ):  # fmt: skip
        if at(document, path) != value:
            yield "/".join(map(str, path)), put(document, path, value)
    for i, (symbol, _) in enumerate(document["algorithm"]["exact"]["program"]["next"]):
        wild = ["sum", ["1000", symbol]] if symbol[0] == "block" else ["mul", "1000", symbol]
        yield "another program", put(document, (*exact, "program", "next", i, 1), wild)


def splices(document: Any, other: Any) -> Iterator[tuple[str, Any]]:
    """Parts of one valid document in another."""
    for key in document:
        if key != "digest" and document[key] != other[key]:
            yield f"{key} of another", put(document, (key,), other[key])
    for i, step in enumerate(document["steps"]):
        for taken in other["steps"]:
            if taken["claims"] != step["claims"] and taken["title"] == step["title"]:
                yield (
                    f"step {i + 1} of another",
                    put(document, ("steps", i), {**taken, "number": i + 1}),
                )
    mine, theirs = document["algorithm"]["exact"], other["algorithm"]["exact"]
    for key in {**mine, **theirs}:
        if mine.get(key) != theirs.get(key):  # a part that the other lacks is left out
            rest = {k: v for k, v in mine.items() if k != key}
            taken = {**rest, **({key: theirs[key]} if key in theirs else {})}
            yield f"exact {key} of another", put(document, ("algorithm", "exact"), taken)


@cache
def _made(principle: str, exact: str) -> Any:
    """What follows from a principle, or the sentence that refuses it; made once."""
    document = {"principle": json.loads(principle), "algorithm": {"exact": json.loads(exact)}}
    return _rederive.made(document)


def outcome(document: Any) -> tuple[str, str]:
    """Which part of the replay refuses a document, or "passes" with the sentence that is printed."""
    try:
        replay.check_form(document)
    except replay.ODD:
        return "form", ""
    principle, exact = document["principle"], document["algorithm"]["exact"]
    by_scheme = isinstance(principle, dict) and principle.get("by") == "scheme"
    found = _made(json.dumps(principle), json.dumps(exact if by_scheme else None))
    if not isinstance(found, str):
        refused, sentence = _rederive.judged(document, *found)
        if not refused:
            arithmetic = replay.Arithmetic(document)
            steps, exact = document["steps"], document["algorithm"]["exact"]
            held = all(all(arithmetic.step(s, exact).values()) for s in steps)
            return ("passes", sentence) if held else ("arithmetic", "")
    return "derived again", ""


def true_as_altered(where: str, document: Any, sentence: str) -> bool:
    """Whether a document that passes, in both checkers, says what is so.

    It may be of another method that its author defined, and then says that no registered one is meant and that
    names and references are the author's words.
    """
    own = "its names, references and provenance are words of its author"
    return document["principle"]["by"] != "derive" and own in sentence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*REGISTRY.names(), *od.algorithms()])
    parser.add_argument("--sample", type=int, default=200)
    chosen = parser.parse_args()
    total, false = Counter[str](), 0
    for n, name in enumerate(chosen.names):
        document, rng = json.loads(original(name)), random.Random(name)
        other = json.loads(original(chosen.names[n - 1]))
        seen = Counter[str]()
        for made in (
            structural(document),
            splices(document, other),
            attacks(document, chosen.sample, rng),
        ):
            for where, attack in made:
                if json.dumps(attack) == original(name):
                    continue
                how, sentence = outcome(attack)
                seen[how] += 1
                if how == "passes" and not true_as_altered(where, attack, sentence):
                    false += 1
                    print(f"FALSE {name}: {where}: {sentence}")
        print(f"{name}: {dict(seen)}", flush=True)
        total += seen
    print(f"{total.total()} attacks: {dict(total)}; {false} that pass say something false")


if __name__ == "__main__":
    main()
