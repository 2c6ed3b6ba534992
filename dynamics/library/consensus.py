"""Flows of ensembles towards a consensus point, of all particles or of each particle's neighbors."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ..algebra.products import elementwise
from ..algebra.scalars import parameters
from ..algebra.vectors import Expr, Vector, inner
from ..flows.system import System
from ..vector_fields.block import blocks, start
from ..vector_fields.objective import Objective
from ..vector_fields.processes import Diffusion, Jumps, Noise
from ..vector_fields.system import Field
from .mirror import mirror_map

CLOCKS = ("own", "common")
NOISES = ("isotropic", "anisotropic", "constant")
MEMORIES = ("hard", "smooth")


def cbo(
    noise: str = "isotropic",
    memory: str | None = None,
    truncated: bool = False,
    gradient: bool = False,
    jumps: str | None = None,
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
        jumps: further noise jump D(X - m) dJ, where J jumps at the rate ``rate`` by normal marks, at times of each
            particle's own ("own") or of all particles ("common") (Kalise, Sharma and Tretyakov).

    Raises OdescentError for other words, and for noise that is constant and truncated.
    """
    check_choice("noise called", noise, NOISES)
    if memory is not None:
        check_choice("memory called", memory, MEMORIES)
    if jumps is not None:
        check_choice("clock of jumps called", jumps, CLOCKS)
    if truncated and noise == "constant":
        raise OdescentError("constant noise has nothing to truncate; leave truncated= out.")
    x = blocks("x")
    f = Objective("f")
    alpha, gamma = parameters("alpha gamma")
    fields: dict[str, Field]
    m = f.ensemble(x if memory is None else blocks("y"), alpha)
    fields = _pull(x, x - m, noise, truncated)
    if jumps is not None:
        jump, rate = parameters("jump rate")
        leap: Noise = Jumps(_size(x - m, noise, truncated) * jump, rate, common=jumps == "common")
        fields["leaps"] = Field({}, {x: leap})
    if memory is not None:
        y = blocks("y")
        own = _pull(x, x - y, noise, truncated, "_own", "V")
        fields |= {f"own_{name}": field for name, field in own.items()}
        kappa, beta = parameters("kappa beta")
        gain = f.value(y) - f.value(x)
        better = sp.Max(sp.sign(gain), 0) if memory == "hard" else (1 + sp.tanh(beta * gain)) / 2
        fields["memory"] = Field({y: elementwise(lambda a, b: kappa * better * (a - b), x, y)})
    if gradient:
        fields["descent"] = Field({x: -gamma * f.grad(x)})
    return System(
        fields, output=x, init=None if memory is None else {x: start, blocks("y"): start}, name="cbo",
        references=_references(noise, memory, truncated, gradient, jumps),
    )  # fmt: skip


def jump_cbo(noise: str = "anisotropic", jumps: str = "own") -> System:
    """dX = -lam (X - m) dt + sigma D(X - m) dW + jump D(X - m) dJ: CBO with jumps (Kalise, Sharma and Tretyakov).

    m is the consensus point for the exponent alpha, and J jumps at the rate ``rate``; the options are those of cbo.
    """
    made = cbo(noise, jumps=jumps)
    return made.with_fields(made.fields, name="jump_cbo", references=made.references[::-1])


def mirror_cbo(mirror: str = "map", noise: str = "isotropic") -> System:
    """dY = -lam (X - m) dt + sigma D(X - m) dW, X = grad phi*(Y): CBO in a dual variable.

    m is the consensus point of the law of X, for the exponent alpha (Bungert, Hoffmann, Kim and Roith). ``noise`` is
    as for cbo; ``mirror`` is "map", "identity" (CBO), "orthant" or "simplex", as for mirror_flow: with "map" it is
    any, by the oracles "map_mirror" and its inverse "map_dual", the projection on a convex set among them.
    """
    check_choice("noise called", noise, NOISES)
    Y = blocks("Y")
    x, begin = mirror_map(mirror, Y)
    m = Objective("f").ensemble(x, parameters("alpha"))
    return System(
        _pull(Y, x - m, noise, False), output=x, init={Y: begin}, name="mirror_cbo", references=("bungert2025",)
    )  # fmt: skip


def polar_cbo(noise: str = "isotropic") -> System:
    """dX = -lam (X - m(X)) dt + sigma D(X - m(X)) dW: every particle has a consensus point of its own.

    m(x) is the mean of the law with weights exp(-alpha f(y) - |x - y|^2 / (2 kappa^2)), so that the particles gather
    in several minimizers (Bungert, Roith and Wacker): it is the consensus point of f(y) + |x - y|^2 / (2 tau) with
    tau = alpha kappa^2, in which a proximal step is taken. ``noise`` is as for cbo.
    """
    check_choice("noise called", noise, NOISES)
    x = blocks("x")
    alpha, kappa = parameters("alpha kappa")
    m = Objective("f").ensemble(x, alpha, kappa)
    return System(
        _pull(x, x - m, noise, False), output=x, name="polar_cbo", references=("bungert2024",)
    )


def _size(away: Vector, noise: str, truncated: bool) -> Expr:
    """D(z) of the distance z from a point."""
    most = parameters("M")
    if noise == "isotropic":
        size = sp.sqrt(inner(away, away))
        return sp.Min(size, most) if truncated else size
    if noise == "anisotropic":
        return elementwise(lambda z: sp.Min(sp.Abs(z), most), away) if truncated else away
    return sp.S.One


def _pull(
    moved: Vector, away: Vector, noise: str, truncated: bool, suffix: str = "", process: str = "W"
) -> dict[str, Field]:
    """The drift back along ``away``, and the noise that grows with it."""
    lam, sigma = parameters(f"lam{suffix} sigma{suffix}")
    size = _size(away, noise, truncated)
    return {
        "attraction": Field({moved: -lam * away}),
        "exploration": Field({}, {moved: Diffusion(size * sigma, process)}),
    }


def _references(
    noise: str, memory: str | None, truncated: bool, gradient: bool, jumps: str | None
) -> tuple[str, ...]:
    first = {"isotropic": "pinnau2017", "anisotropic": "carrillo2021", "constant": "fornasier2026"}
    found = [first[noise]]
    found += ["grassi2020"] if memory is not None else []
    found += ["fornasier2023"] if truncated else []
    found += ["riedl2022"] if gradient else []
    found += ["kalise2022"] if jumps is not None else []
    return tuple(found)
