"""Your first system: write a flow, choose a scheme, take the algorithm home.

    python examples/first_system.py [output folder]

Change a coefficient of the system below (say, the 2 in the damping) and run it again: the derivation,
the algorithm, the emitted code and the picture follow.

Claim: on a quadratic the emitted method contracts, per step and in the long run, by the largest
modulus of its modal matrix's eigenvalues over the curvatures in [mu, L].
"""

from __future__ import annotations

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import sympy as sp

import odescent as od
from odescent.dynamics import L, mu

# 1. A flow: a ball that rolls down f against friction. Vectors are blocks, the gradient is an oracle.
x, v = od.blocks("x v")
f = od.Objective("f")
h = od.parameters("h")
system = od.System(
    {
        "damp": {v: -2 * sp.sqrt(mu) * v},
        "kick": {v: -f.grad(x)},
        "drift": {x: v},
    }
)

# 2. A scheme, which is data: damping exactly, then kick and drift by explicit Euler.
scheme = od.scheme("lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")])

# 3. The algorithm. The step stays a symbol until the tuning binds it, last.
method = od.Algorithm(system, scheme, step=h, tuning={h: 1 / sp.sqrt(L)}, name="first_method")


def main(out: Path = Path("out/first_system")) -> tuple[float, float]:
    """Derive, emit, run and draw; returns the measured contraction and the theory's."""
    derivation = method.derivation()
    print(derivation.text())
    assert derivation.verified

    # 4. Take it home: one file that needs NumPy only.
    out.mkdir(parents=True, exist_ok=True)
    print("\nwrote", method.write(out / "first_method.py", "numpy"))

    # 5. Run it on your own function: here a quadratic with curvatures between mu = 1 and L = 50.
    curvatures = np.geomspace(1, 50, 20)
    run = method.run(lambda x: jnp.sum(curvatures * x**2) / 2, np.ones(20), 200, mu=1, L=50)
    gaps = np.linalg.norm(np.asarray(run.x), axis=-1)
    late = slice(len(gaps) // 2, None)
    measured = float(np.exp(np.polyfit(np.arange(len(gaps))[late], np.log(gaps[late]), 1)[0]))

    bound = method.bind(mu=1, L=50).state_space()
    radii = []
    for curvature in curvatures:
        modal = np.array(bound.modal_matrix(sp.Float(curvature)).evalf(), dtype=float)
        radii.append(max(abs(np.linalg.eigvals(modal))))
    theory = float(max(radii))
    print(f"contraction per step: measured {measured:.4f}, theory {theory:.4f}")
    print(
        "(the slowest mode oscillates with a period of 115 steps, and the fit over 100 steps sees part of it)"
    )

    # 6. The flow on one mode, with the method's iterates over it.
    portrait = od.analysis.phase_portrait(
        method, curvature=10, parameters={"mu": 1, "L": 50}, steps=25
    )
    figure = portrait.plot().figure
    print("wrote", *od.analysis.save(figure, out / "portrait"))
    return measured, theory


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/first_system"))
