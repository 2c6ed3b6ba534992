"""Gaps between certified rates and functions that attain a rate: gradient descent, triple momentum,
Nesterov's method and heavy ball, kappa from 2 to 10000.

    python benchmarks/certificate_gaps.py [--kappas 2 10 100] [--json]

Upper: the proved rate. Quadratics: the rate on the slowest one.
Lower: that of the slowest function found, a spiral or a quadratic. All three are proved in exact arithmetic.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

METHODS = ("gradient_descent", "triple_momentum", "nesterov_sc", "heavy_ball")
KAPPAS = (2, 4, 10, 17, 100, 1000, 10000)


def row(name: str, kappa: int) -> dict[str, object]:
    """One method at one condition number."""
    import odescent as od
    from odescent.analysis import NoCertificate, certify

    began = time.perf_counter()
    try:
        found = certify(od.algorithm(name), 1, kappa)
    except NoCertificate as reason:
        return {"method": name, "kappa": kappa, "none": str(reason).split(";")[0]}
    assert found.mode is not None
    lower, gap = found.lower(), found.rate - (found.lower() or 0.0)
    return {
        "method": name, "kappa": kappa, "upper": found.rate, "quadratics": float(found.mode.low), "lower": lower,
        "gap": gap, "verified": found.verify(), "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kappas", type=int, nargs="+", default=KAPPAS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [row(name, kappa) for name in METHODS for kappa in given.kappas]
    if given.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(
        f"{'method':17} {'kappa':>6} {'upper':>11} {'quadratics':>11} {'lower':>11} {'gap':>8}  s"
    )
    for r in rows:
        if "none" in r:
            print(f"{r['method']:17} {r['kappa']:>6} none: {r['none']}")
        else:
            print(
                f"{r['method']:17} {r['kappa']:>6} {r['upper']:11.8f} {r['quadratics']:11.8f} {r['lower']:11.8f} "
                f"{r['gap']:8.1e} {r['seconds']:5.1f}{'' if r['verified'] else '  NOT VERIFIED'}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
