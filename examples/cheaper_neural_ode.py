"""A neural ODE that is trained to be cheap to solve.

    python examples/cheaper_neural_ode.py

Problem: classify the 8x8 digits of scikit-learn with a neural ODE. Each prediction costs evaluations of its field, as
many as an adaptive solver finds it needs. Here the solver's own estimates of its errors are added to the loss, so that
training looks for dynamics that are easy to solve (Pal, Ma, Shah, Rackauckas, 2021, arXiv:2105.03918); the first step
is the cheapest on validation rows, for both.

Claim: predictions cost at most half, at an accuracy that is no worse by more than two percentage points (of 360 test
rows). The value is the ratio of the evaluations of the field, the theory is the bound 1/2.
"""

from __future__ import annotations

from odescent.neural_de import Config, train

PLAIN = Config("digits-ode", steps=100, dt0="calibrated", validate_every=50)
CHEAP = PLAIN.replace(regularizer="error", coefficient=0.3)


def main() -> tuple[float, float]:
    """Train with and without; returns the ratio of evaluations per prediction, and the bound."""
    tests = {}
    for name, config in (("plain", PLAIN), ("regularized", CHEAP)):
        tests[name] = test = train(config).test
        print(f"{name:<12} {test['nfe']:.0f} evaluations, accuracy {test['accuracy']:.1%}")
    plain, cheap = tests["plain"], tests["regularized"]
    assert cheap["accuracy"] >= plain["accuracy"] - 0.02
    return cheap["nfe"] / plain["nfe"], 0.5


if __name__ == "__main__":
    main()
