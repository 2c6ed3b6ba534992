"""Valid certificate documents of all kinds, for attacks: of methods of the library, and of methods at random."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import odescent as od
from odescent.analysis import certify
from odescent.analysis.certificates import certify_flow

Document = dict[str, Any]
THREE = {"alpha": Fraction(1, 2), "beta": Fraction(1, 4), "gamma": Fraction(1, 4)}


def _with_lower(found: Any) -> Any:
    found.lower(20)
    return found


VALID: dict[str, Callable[[], Any]] = {
    "rate/nesterov": lambda: _with_lower(certify(od.algorithm("nesterov"), 1, 4)),
    "rate/nesterov10": lambda: certify(od.algorithm("nesterov"), 1, 10),
    "rate/heavy_ball": lambda: certify(od.algorithm("heavy_ball"), 1, 10),
    "rate/gradient": lambda: certify(od.algorithm("gradient_descent"), 1, 4),
    "rate/triple_momentum": lambda: certify(od.algorithm("triple_momentum"), 1, 10),
    "rate/robust_momentum": lambda: certify(
        od.algorithm("robust_momentum").bind(rho=Fraction(7, 10)), 1, 10
    ),
    "rate/proximal": lambda: certify(od.algorithm("proximal_point").bind(h=2), 1, 10),
    "rate/enclosed": lambda: certify(od.algorithm("conformal_heavy_ball").bind(h=Fraction(1, 4), c=2), 1, 10),
    "iqc/heavy_ball": lambda: certify(od.algorithm("heavy_ball"), 1, 10, multipliers="off_by_one"),
    "iqc/three": lambda: certify(THREE, Fraction(1, 9), 1, multipliers="zames_falb"),
    "quadratics/ogda": lambda: certify(od.algorithm("ogda"), 1, 10, over="quadratics"),
    "quadratics/nesterov": lambda: certify(od.algorithm("nesterov"), 1, 4, over="quadratics"),
    "flow/gradient": lambda: certify(od.system("gradient_flow"), Fraction(1, 3), 2),
    "flow/infinite": lambda: certify(od.system("gradient_flow"), 1),
    "flow/heavy_ball": lambda: certify(
        od.system("heavy_ball").bind({od.system("heavy_ball").parameters[0]: 2}), 1, 10
    ),
    "horizon/nesterov": lambda: certify(od.algorithm("nesterov_c"), 0, 1, horizon=2),
    "horizon/longer": lambda: certify(od.algorithm("nesterov_c"), 0, 1, horizon=4),
    "horizon/gradient": lambda: certify(
        od.algorithm("gradient_descent"), 0, 2, horizon=2, measure="gradient", start="value"
    ),
    "horizon/distance": lambda: certify(
        od.algorithm("gradient_descent"), Fraction(1, 10), 1, horizon=2, measure="distance"
    ),
    "potential/gradient": lambda: certify(od.algorithm("gradient_descent"), 0, 3, horizon="all"),
    "potential/short": lambda: certify({"alpha": Fraction(1, 2)}, 0, 1, horizon="all"),
    "potential/ogm": lambda: certify(od.algorithm("ogm"), 0, 1, horizon="all"),
    "potential/nesterov": lambda: certify(od.algorithm("nesterov_c"), 0, 1, horizon="all"),
}  # fmt: skip


def random_methods(count: int, seed: int) -> None:
    """Documents of methods that nobody wrote down, of all kinds, beside those of `VALID`."""
    draw = random.Random(f"methods {seed}")

    def fraction(low: int, high: int) -> Fraction:  # in twelfths
        return Fraction(draw.randint(low, high), 12)

    def made(kind: str) -> Callable[[], Any]:
        L = Fraction(draw.randint(2, 40))
        three = {"alpha": fraction(4, 14) / L, "beta": fraction(0, 6), "gamma": fraction(0, 6)}
        step = fraction(6, 18)
        table = [[fraction(-3, 20) for _ in range(i + 1)] for i in range(draw.randint(1, 4))]
        measure = draw.choice(("value", "gradient", "distance"))
        multipliers = draw.choice(("sector", "off_by_one", "zames_falb"))
        return {
            "rate": lambda: _with_lower(certify(three, 1, L)),
            "iqc": lambda: certify(three, 1, L, multipliers=multipliers),
            "quadratics": lambda: certify(three, 1, L, over="quadratics"),
            "flow": lambda: certify_flow(([[0, 1], [0, -6 * step]], [[0], [-1]], [[1, 0]]), 1, L),
            "horizon": lambda: certify({"h": table}, 0, L, horizon=len(table), measure=measure),
            "potential": lambda: certify({"alpha": step / L}, 0, L, horizon="all"),
        }[kind]

    for i in range(count):
        kind = ("rate", "iqc", "quadratics", "flow", "horizon", "potential")[i % 6]
        name, maker = f"{kind}/random{i}", made(kind)
        try:
            found = maker()
        except od.analysis.NoCertificate:
            continue
        VALID[name] = functools.partial(_itself, found)


def _itself(found: Any) -> Any:
    return found


@cache
def text_of(name: str) -> str:
    """A valid document as JSON."""
    found = VALID[name]()
    assert found.verify()
    return json.dumps(found.to_dict())


def valid(name: str) -> Document:
    """A valid document."""
    document: Document = json.loads(text_of(name))
    return document
