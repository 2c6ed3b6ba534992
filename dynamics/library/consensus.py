"""Flows of ensembles that meet in a consensus point."""

from __future__ import annotations

import sympy as sp

from ..._errors import unknown
from ..exact import parameters
from ..fields import Diffusion, Field, System
from ..oracles import Objective
from ..vectors import Expr, blocks, inner


def cbo(noise: str = "isotropic") -> System:
    """dX = -lam (X - m) dt + sigma D(X - m) dW, with m the consensus point of the law of X (CBO).

    m = E[X e^(-alpha f(X))] / E[e^(-alpha f(X))] is an oracle of the ensemble. ``noise`` "isotropic" has
    D(z) = |z| (Pinnau, Totzeck, Tse and Martin), "anisotropic" has D(z) = diag(z) (Carrillo and others).
    """
    if noise not in {"isotropic", "anisotropic"}:
        raise unknown("noise called", noise, ("isotropic", "anisotropic"))
    x = blocks("x")
    lam, sigma, alpha = parameters("lam sigma alpha")
    away = x - Objective("f").ensemble(x, alpha)
    size: Expr = sp.sqrt(inner(away, away)) if noise == "isotropic" else away
    return System(
        {
            "attraction": {x: -lam * away},
            "exploration": Field({}, {x: Diffusion(size * sigma)}),
        },
        output=x,
        name="cbo",
        references=("pinnau2017",) if noise == "isotropic" else ("carrillo2021",),
    )
