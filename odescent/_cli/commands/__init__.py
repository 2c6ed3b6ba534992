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
        "list": ("list:run", "Show what there is by name"),
        "derive": ("derive:run", "Derive an algorithm from a principle, step by step"),
        "emit": ("emit:run", "Emit an algorithm as source that stands alone"),
        "certify": ("certify:run", "Prove a convergence rate, or show why there is none"),
        "synthesize": ("synthesize:run", "Search a family for the best worst-case rate"),
        "simulate": ("simulate:run", "Run an algorithm, or follow a system's flow"),
        "portrait": ("portrait:run", "Draw a phase portrait, with iterates over the flow"),
        "train": ("train:run", "Train a neural ODE or SDE to be cheap to solve"),
        "inspect": ("inspect:run", "Look at trained models: steps, errors, stiffness"),
        "demo": ("demo:run", "Derive a method, emit it, run it on real data, draw it"),
        "figures": ("figures:run", "Check the papers' claims by figures of our own"),
        "explore": ("explore:run", "Explore methods by sliders, live in a browser"),
        "doctor": ("doctor:run", "Show versions, devices and optional parts"),
    },
)
