"""Flows of ensembles that meet in a consensus point."""

from __future__ import annotations

import sympy as sp

from ..._errors import OdescentError, unknown
from ..exact import parameters
from ..fields import Diffusion, Field, System, start
from ..oracles import Objective
from ..vectors import Expr, Vector, blocks, elementwise, inner

NOISES = ("isotropic", "anisotropic", "constant")
MEMORIES = ("hard", "smooth")


def cbo(
    noise: str = "isotropic",
    memory: str | None = None,
    truncated: bool = False,
    gradient: bool = False,
) -> System:
    """dX = -lam (X - m) dt + sigma D(X - m) dW, with m the consensus point of the law of X (CBO).

    m = E[X e^(-alpha f(X))] / E[e^(-alpha f(X))] is an oracle of the ensemble.

    Args:
        noise: "isotropic" has D(z) = |z| (Pinnau, Totzeck, Tse and Martin), "anisotropic" D(z) = diag(z)
            (Carrillo and others), "constant" D = 1, which does not vanish: delta-CBO (Fornasier and others).
        memory: each particle keeps its best place Y, and m is the consensus point of the law of Y; X is pulled
            to Y too, by lam_own and sigma_own (Grassi and Pareschi). dY = kappa (X - Y) S dt with S = 1 where
            f(X) < f(Y) and else 0 ("hard"), or S = (1 + tanh(beta (f(Y) - f(X)))) / 2 ("smooth").
        truncated: D(z) = min(|z|, M), element by element where it is anisotropic (Fornasier and others).
        gradient: a further drift -gamma grad f(X) (Riedl).

    Raises OdescentError for other words, and for noise that is constant and truncated.
    """
    if noise not in NOISES:
        raise unknown("noise called", noise, NOISES)
    if memory is not None and memory not in MEMORIES:
        raise unknown("memory called", memory, MEMORIES)
    if truncated and noise == "constant":
        raise OdescentError("constant noise has nothing to truncate; leave truncated= out.")
    x = blocks("x")
    f = Objective("f")
    alpha, gamma = parameters("alpha gamma")
    fields: dict[str, Field]
    if memory is None:
        fields = _pull(x, f.ensemble(x, alpha), noise, truncated)
    else:
        y = blocks("y")
        fields = _pull(x, f.ensemble(y, alpha), noise, truncated)
        own = _pull(x, y, noise, truncated, "_own", "V")
        fields |= {f"own_{name}": field for name, field in own.items()}
        kappa, beta = parameters("kappa beta")
        gain = f.value(y) - f.value(x)
        better = sp.Max(sp.sign(gain), 0) if memory == "hard" else (1 + sp.tanh(beta * gain)) / 2
        fields["memory"] = Field({y: elementwise(lambda a, b: kappa * better * (a - b), x, y)})
    if gradient:
        fields["descent"] = Field({x: -gamma * f.grad(x)})
    return System(
        fields, output=x, init=None if memory is None else {x: start, blocks("y"): start}, name="cbo",
        references=_references(noise, memory, truncated, gradient),
    )  # fmt: skip


def _pull(
    x: Vector, to: Vector, noise: str, truncated: bool, suffix: str = "", process: str = "W"
) -> dict[str, Field]:
    """The drift to a point, and the noise that grows with the distance from it."""
    lam, sigma, most = parameters(f"lam{suffix} sigma{suffix} M")
    away = x - to
    size: Expr
    if noise == "isotropic":
        size = sp.sqrt(inner(away, away))
        size = sp.Min(size, most) if truncated else size
    elif noise == "anisotropic":
        size = elementwise(lambda z: sp.Min(sp.Abs(z), most), away) if truncated else away
    else:
        size = sp.S.One
    return {
        "attraction": Field({x: -lam * away}),
        "exploration": Field({}, {x: Diffusion(size * sigma, process)}),
    }


def _references(noise: str, memory: str | None, truncated: bool, gradient: bool) -> tuple[str, ...]:
    first = {"isotropic": "pinnau2017", "anisotropic": "carrillo2021", "constant": "fornasier2026"}
    found = [first[noise]]
    found += ["grassi2020"] if memory is not None else []
    found += ["fornasier2023"] if truncated else []
    found += ["riedl2022"] if gradient else []
    return tuple(found)
