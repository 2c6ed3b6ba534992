"""One module per command, with ``run``, whose signature and docstring define its options and help.

It loads when the command runs. A new command is a module here and one line below; it imports the package as users do,
and what commands share from ``base/``.
"""

from __future__ import annotations

from ..._support.registry import Registry

COMMANDS: Registry[int | None] = Registry(
    "command",
    __name__,
    {
        "list": ("list:run", "List registered names"),
        "derive": ("derive:run", "Derive an algorithm from a principle, step by step"),
        "emit": ("emit:run", "Emit an algorithm as stand-alone source code"),
        "certify": ("certify:run", "Prove a convergence rate, or give a counterexample"),
        "synthesize": ("synthesize:run", "Search a family for the best worst-case rate"),
        "simulate": ("simulate:run", "Run an algorithm, or integrate a system"),
        "portrait": ("portrait:run", "Draw a phase portrait, with iterates over the flow"),
        "train": ("train:run", "Train a neural ODE or SDE to be cheap to solve"),
        "inspect": ("inspect:run", "Inspect trained models: steps, errors, stiffness"),
        "demo": ("demo:run", "Derive a method, emit it, run it on real data, draw it"),
        "figures": ("figures:run", "Check the papers' claims with our own figures"),
        "explore": ("explore:run", "Explore methods with sliders in a browser"),
        "doctor": ("doctor:run", "Show versions, devices and extras"),
    },
)
