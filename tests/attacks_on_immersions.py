"""Attacks on immersion: random plants of vectors, whose printed law, manifold and loop are integrated as they stand.

    python tests/attacks_on_immersions.py [--count N] [--first SEED]

Objectives are quadratics with random matrices, an operator is a matrix that is not symmetric. What is integrated is
read from the text that people read, by the few rules below, with nothing of the engine. Of each design it is checked
that psi' = -K psi + w along the plant under the printed law, that the manifold stays where w = 0, that the distance
from it falls, and that the printed loop and its equation of second order are what the plant does.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import odescent as od

f, R, F = od.Objective("f"), od.Objective("R"), od.Objective("F")
u = od.blocks("u")
K = od.parameters("K")
SIZE, END, NEAR, LARGE = 3, 0.8, 1e-7, 20


class Linear:
    """The derivative of a linear map along a direction; with ``None`` for the matrix that of a constant."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    def __getitem__(self, direction: Any) -> Any:
        return np.zeros(SIZE) if self.matrix is None else self.matrix @ direction


def printed(text: str, values: dict[str, Any], matrices: dict[str, Any]) -> Any:
    """The value of a printed expression."""
    text = re.sub(r"\|([^|]*)\|", r"norm(\1)", text).replace("^", "**")
    text = re.sub(r"<([^<>]*), ([^<>]*)>", r"dot(\1, \2)", text)
    text = re.sub(r"\b(?:hess|D) (\w)\([^()]*\)\[", r"d_\1[", text)
    text = re.sub(r"\bD3 \w\([^()]*\)\[", "nothing[", text)
    text = re.sub(r"\b(?:grad )?(\w)\(", r"at_\1(", text)
    known = {f"at_{name}": lambda v, m=m: m @ (v * np.ones(SIZE)) for name, m in matrices.items()}
    known |= {f"d_{name}": Linear(m) for name, m in matrices.items()}
    known["nothing"] = Linear(None)
    names = {"norm": np.linalg.norm, "dot": np.dot, "exp": np.exp, "sqrt": np.sqrt}
    return eval(text, {"__builtins__": {}}, {**names, **known, **values})  # noqa: S307


def random_design(seed: int) -> tuple[dict[Any, Any], Any, Any, Any, dict[str, float]]:
    """A plant, a manifold, a gain, a port, and the values of parameters."""
    rng = random.Random(seed)
    number = lambda: sp.Rational(rng.choice((-3, -2, -1, 1, 2, 3)), rng.choice((1, 2, 3)))
    chain = list(od.blocks(["x p", "x p q", "y x p"][rng.randrange(3)]))
    x = next(s for s in chain if s.name == "x")
    oracles = [f.grad(x), R.grad(x), F.operator(x), f.grad(x + chain[0] * number())]
    squared = od.inner(x, x)

    # every block but the last moves by the next, and by something of its own; the control moves the last
    plant = {
        s: after * abs(number()) + s * number() * rng.choice((0, 1)) + rng.choice(oracles) * number() / 4
        for s, after in itertools.pairwise(chain)
    }  # fmt: skip
    factor = rng.choice((sp.S.One, abs(number()), 1 + squared, -2 - squared / 3, K + 1))
    plant[chain[-1]] = u * factor + rng.choice(oracles) * number() + chain[0] * number() / 2
    slope = rng.choice((sp.S.One, number(), 1 + squared / 5))
    manifold = chain[-1] * slope + rng.choice(oracles) * number() / 3 + chain[0] * number() / 3
    if rng.random() < 0.4:
        manifold = manifold + f.hess(x, chain[0]) * number() / 5
    if rng.random() < 0.3:
        manifold = manifold + x * (squared * number() / 9)
    gain = rng.choice((K, sp.Integer(2), K + 1, 1 + squared / 4, K / 2))
    port = rng.choice((0, 1)) * (rng.choice(oracles) * number() / 3)
    return plant, manifold, gain, port or 0 * x, {"K": rng.uniform(0.5, 2)}


def faults(seed: int, wrong: float = 1.0) -> list[str]:
    """What the numbers contradict, in words; the printed law is multiplied by ``wrong``."""
    plant, manifold, gain, port, values = random_design(seed)
    derivation = od.immerse(plant, u, gain=gain, manifold=manifold, port=port)
    claims = {c.name: c.text().partition(" = ")[2] for s in derivation.steps[:5] for c in s.claims}
    own = next(s for s in derivation.steps if s.title == "Closed loop as a cascade")
    loop = {c.name.rstrip("'"): c.text().partition(" = ")[2] for c in own.claims if "'" in c.name}
    rng = np.random.default_rng(seed)
    plain = {name: rng.normal(size=(SIZE, SIZE)) / 2 for name in "fRF"}
    matrices = {n: m @ m.T if n != "F" else m for n, m in plain.items()}
    names = [s.name for s in plant]
    fibre = names[-1]

    def value(text: str, state: dict[str, Any], **more: Any) -> Any:
        return np.asarray(printed(text, {**values, **state, **more}, matrices)) + 0.0

    def parts(z: Any) -> dict[str, Any]:
        return dict(zip(names, np.split(z, len(names)), strict=True))

    def moved(z: Any, w: str) -> Any:
        state = parts(z)
        outside = value(w, {**state, "psi": value(claims["psi"], state)}) * np.ones(SIZE)
        law = wrong * value(claims["u"], state, w=outside)
        rates = (value(claims[f"{n}' of the plant"], state, u=law) for n in names)
        return np.concatenate([r * np.ones(SIZE) for r in rates])

    def solved(rates: Any, start: Any) -> tuple[Any, Any]:
        """The path, and the times of comparison before it gets large."""
        large = lambda t, z: np.abs(z).max() - LARGE
        large.terminal = True
        tight = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12, "dense_output": True}
        done = solve_ivp(rates, (0, END), start, events=large, **tight)
        return done.sol, np.linspace(0, END, 13)[: int(12 * done.t[-1] / END) + 1]

    found: list[str] = []
    control = next(s for s in derivation.steps if s.title == "Control law and passivity")
    rate = "K" if control.claims[0].name == "u" else claims[control.claims[0].name]
    start = rng.normal(size=SIZE * len(names)) / 2

    # psi decays at the gain, integrated along the plant
    with_gain = lambda t, z: np.append(moved(z[:-1], "0"), value(rate, parts(z[:-1])))
    path, times = solved(with_gain, np.append(start, 0))
    first = value(claims["psi"], parts(start))
    for t in times:
        decayed = first * np.exp(-path(t)[-1])
        if np.abs(value(claims["psi"], parts(path(t)[:-1])) - decayed).max() > NEAR:
            found.append(f"psi does not decay as printed at {t:.2f}")
            break

    # the manifold stays
    on = parts(start)
    on[fibre] = value(claims[f"pi of {fibre}"], on) * np.ones(SIZE)
    path, times = solved(lambda t, z: moved(z, "0"), np.concatenate(list(on.values())))
    if max(np.abs(value(claims["psi"], parts(path(t)))).max() for t in times) > NEAR:
        found.append("the manifold does not stay where it is")

    # the loop that is printed, with its port, moves as the plant does under the law
    w = str(port) if port else "0"
    path, times = solved(lambda t, z: moved(z, w), start)
    blocks = list(loop)
    state_of = lambda z: dict(zip(blocks, np.split(z, len(blocks)), strict=True))
    begin = [value(claims["psi"], parts(start)) if n == "psi" else parts(start)[n] for n in blocks]
    cascade, others = solved(
        lambda t, z: np.concatenate([value(loop[n], state_of(z)) * np.ones(SIZE) for n in blocks]),
        np.concatenate(begin),
    )
    for t in times[: len(others)]:
        here, there = parts(path(t)), state_of(cascade(t))
        here["psi"] = value(claims["psi"], here)
        if any(
            np.abs(here[n] - there[n]).max() > NEAR * (1 + np.abs(here[n]).max()) for n in blocks
        ):
            found.append(f"the printed loop is elsewhere than the plant at {t:.2f}")
            break

    # the equation of second order, by central differences of the plant's own speed
    shown = str(derivation.equations["bound system"])
    if shown.startswith("x'' ") and "D3" not in shown:
        text = shown.removesuffix(" = 0").replace("x''", "x_2").replace("x'", "x_1")
        i, d = names.index("x"), 1e-4
        speed = lambda t: moved(path(t), w)[SIZE * i : SIZE * (i + 1)]
        for t in times[1:-1:2]:
            bent = (8 * (speed(t + d) - speed(t - d)) - speed(t + 2 * d) + speed(t - 2 * d)) / (
                12 * d
            )
            left = value(text, {"x": parts(path(t))["x"], "x_1": speed(t), "x_2": bent})
            if np.abs(left).max() > 1e-5 * (1 + np.abs(bent).max()):
                found.append(f"the printed equation of second order does not hold at {t:.2f}")
                break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    wrong = refused = 0
    for seed in range(chosen.first, chosen.first + chosen.count):
        try:
            found = faults(seed)
        except od.OdescentError as sentence:
            refused += 1
            print(f"refused {seed}: {sentence}")
            continue
        wrong += bool(found)
        for sentence in found:
            print(f"FALSE {seed}: {sentence}", flush=True)
    print(f"{chosen.count} designs: {refused} refused, {wrong} of which something printed is false")


if __name__ == "__main__":
    main()
