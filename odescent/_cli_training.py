"""The commands about trained models: train, inspect."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from . import _cli_options as o
from ._cli_app import app, example
from ._errors import OdescentError


def use_data(folder: Path | None) -> None:
    """Let data sets be read from a folder; OdescentError if there is none."""
    if folder is None:
        return
    if not folder.is_dir():
        raise OdescentError(
            f"there is no folder {str(folder)!r}: --data names the one with the data."
        )
    os.environ["ODESCENT_DATA"] = str(folder)


@app.command(
    "train",
    short_help="Train a neural ODE or SDE to be cheap to solve.",
    epilog=example(
        "odescent train digits-ode --regularizer error --coefficient 0.1 --dt0 calibrated",
        "odescent train digits-ode --regularizer none --regularizer error --seed 0,1,2",
        "odescent train digits-ode --regularizer error+0.5*stiffness --coefficient 0.1",
        "odescent train digits-ode --regularizer steps --target-nfe 37 --out run --resume",
        "odescent train spirals-ode --optimizer triple_momentum --set mu=1 --set L=20",
        "odescent train mnist-ode --paper 2021 --regularizer ERNODE",
    ),
)
def _train(
    task: o.Trained,
    regularizer: o.Regularizers = None,
    coefficient: o.Coefficient = None,
    final_coefficient: o.FinalCoefficient = None,
    target_nfe: o.TargetNfe = None,
    max_accuracy_loss: o.MaxAccuracyLoss = None,
    optimizer: o.OptimizerName = None,
    learning_rate: o.LearningRate = None,
    seed: o.Seeds = "0",
    steps: o.TrainingSteps = None,
    batch: o.BatchSize = None,
    tolerance: o.Tolerance = None,
    dt0: o.FirstStep = None,
    paper: o.Paper = None,
    devices: o.Devices = None,
    settings: o.TrainingSettings = None,
    data: o.DataFolder = None,
    out: o.RunFolder = None,
    resume: o.GoOn = False,
    as_json: o.Json = False,
    schedule: o.RateSchedule = None,
    clip: o.Clip = None,
    precision: o.FloatType = None,
    max_steps: o.MaxSteps = None,
    brownian_tolerance: o.BrownianTolerance = None,
    validate_every: o.ValidateEvery = None,
    checkpoint_every: o.CheckpointEvery = None,
    skips: o.Skips = None,
) -> None:
    """Train a neural ODE or SDE to be accurate and cheap to solve.

    A killed run goes on with --resume, to the same bits. MNIST and PhysioNet are read from the folder --data, or
    from the one that the environment variable ODESCENT_DATA names. The exit code is 1 if a run fails.
    """
    from . import _cmd_train

    given = {
        "coefficient": coefficient, "final_coefficient": final_coefficient, "target_nfe": target_nfe,
        "max_accuracy_loss": max_accuracy_loss, "optimizer": optimizer, "learning_rate": learning_rate,
        "steps": steps, "batch": batch, "rtol": tolerance, "atol": tolerance, "dt0": dt0, "paper": paper,
        "devices": devices, "schedule": schedule, "clip": clip, "precision": precision, "max_steps": max_steps,
        "brownian_tolerance": brownian_tolerance, "validate_every": validate_every,
        "checkpoint_every": checkpoint_every, "skips": skips,
    }  # fmt: skip
    use_data(data)
    found = _cmd_train.run(
        task,
        given,
        regularizer or [],
        seed,
        settings or [],
        out=out,
        resume=resume,
        as_json=as_json,
    )
    raise typer.Exit(found)


@app.command(
    "inspect",
    short_help="Look at trained models: steps, errors, stiffness.",
    epilog=example(
        "odescent inspect run --out pictures",
        "odescent inspect vanilla error steps --out pictures",
        "odescent inspect run --rows train --json",
    ),
)
def _inspect(
    runs: o.Runs,
    rows: o.RowsPart = "validation",
    out: o.Pictures = None,
    as_json: o.Json = False,
) -> None:
    """Look at trained models: steps, errors and stiffness, evaluations per row, other solvers, the vector field.

    A run is a folder that train --out made; of several, accuracy against evaluations as well.
    """
    from . import _cmd_inspect

    raise typer.Exit(_cmd_inspect.run(runs, rows, out, as_json))
