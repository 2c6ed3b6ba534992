"""Data sets for training: digits (scikit-learn), MNIST and PhysioNet 2012 (files), spirals (made here).

Files are looked for in the folder that the environment variable ODESCENT_DATA names: ``mnist.npz`` and
``physionet2012.npz``, or the files as they are published (`original_formats`). They are read without pickle, and
checked before they are used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.brief import short
from .original_formats import is_there, original
from .rows import Rows, count, taken

FOLDER = "ODESCENT_DATA"
_FEWEST = 5  # records, of which one is to test
_ORIGINALS = {
    "mnist.npz": "MNIST's own train-images-idx3-ubyte and its three companions",
    "physionet2012.npz": "the challenge's own set-a and Outcomes-a.txt",
}


Parts = tuple[dict[str, np.ndarray], dict[str, np.ndarray], str]  # training rows, test rows, source


@dataclass(frozen=True)
class _Maker:
    """How a data set is made: training rows, test rows and the source; its file; the length of its time series."""

    make: Callable[[np.random.Generator], Parts]
    file: str | None = None
    times: int | None = None


def load(name: str, *, seed: int = 0, validation: float = 0.1) -> Rows:
    """A data set: "digits", "mnist", "physionet" or "spirals".

    Coefficients are chosen on its validation rows; its test rows are evaluated once.

    Args:
        name: of the data set.
        seed: of the splits (and of the spirals), the same for the same seed.
        validation: the fraction of the training rows that is set aside.

    Returns:
        Three disjoint sets of rows: inputs x, float32 of shape (n, ...), labels y from 0, of shape (n,), and for time
        series the mask, of x's shape, True where x was observed; beside them the `times` of x's second axis in [0, 1].

    Raises:
        OdescentError: unknown name, a file that is missing, damaged, or not what it should be.
    """
    made = _found(name)
    if not 0 < validation < 1:
        raise OdescentError(
            f"validation= must be a fraction between 0 and 1, not {short(validation)}."
        )
    rng = np.random.default_rng(seed)
    train, test, source = made.make(rng)
    order = rng.permutation(count(train))
    held = max(1, round(validation * len(order)))
    classes = int(max(train["y"].max(), test["y"].max())) + 1
    fixed = {}
    if made.times is not None:
        fixed = {"times": np.linspace(0, 1, made.times, dtype=np.float32)}
    kept = taken(train, order[held:]), taken(train, order[:held])
    return Rows(*kept, test, fixed, classes, source)


def absent(name: str) -> str | None:
    """Why a data set cannot be loaded, in a sentence; None where its files are there (they are not read).

    Raises:
        OdescentError: unknown name.
    """
    file = _found(name).file
    return None if file is None else _why_not(file)


def _found(name: str) -> _Maker:
    check_choice("data set", name, _MAKERS)
    return _MAKERS[name]


def _why_not(name: str) -> str | None:
    """What is missing of a file, or of what it is published as."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return f"{name} is read from a folder: set the environment variable {FOLDER} to the one that holds it."
    if (Path(folder) / name).is_file() or is_there(name, folder):
        return None
    return f"there is no file {name} in {folder}, where {FOLDER} points, nor {_ORIGINALS[name]}."


def _read(name: str, fields: tuple[str, ...]) -> dict[str, np.ndarray]:
    missing = _why_not(name)
    if missing is not None:
        raise OdescentError(missing)
    folder = os.environ[FOLDER]
    path = Path(folder) / name
    if not path.is_file():
        return original(name, folder)
    try:
        with path.open("rb") as file:  # opened here, to be closed whatever is in it
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("one array, not an archive")
            absent = [f for f in fields if f not in archive.files]
            if absent:
                raise OdescentError(
                    f"{path} lacks {', '.join(absent)}: it is not the expected file."
                )
            return {f: archive[f] for f in fields}
    except OdescentError:
        raise
    # numpy, zipfile, zlib and the tokenizer have no exception in common
    except Exception as error:
        raise OdescentError(
            f"{path} cannot be read as an npz file ({type(error).__name__}): it is damaged; get it again."
        ) from error


def _expect(right: Any, name: str, what: str) -> None:
    if not right:
        raise OdescentError(f"{name} is damaged or a different file: {what}.")


def _whole(a: np.ndarray, low: int, high: int | None = None) -> bool:
    """Whether an array has one axis, of whole numbers within the bounds."""
    fine = a.ndim == 1 and a.dtype.kind in "iu"
    return bool(fine and np.all(a >= low) and (high is None or np.all(a <= high)))


def _digits(rng: np.random.Generator) -> Parts:
    from sklearn.datasets import load_digits

    found = load_digits()
    x, y = (found.data / 16).astype(np.float32), found.target.astype(np.int32)
    order = rng.permutation(len(y))
    source = "scikit-learn's digits (UCI, CC BY 4.0)"
    whole = {"x": x, "y": y}
    return taken(whole, order[360:]), taken(whole, order[:360]), source


def _mnist(rng: np.random.Generator) -> Parts:
    d = _read("mnist.npz", ("x_train", "y_train", "x_test", "y_test"))

    def split(part: str) -> dict[str, np.ndarray]:
        x, y = d[f"x_{part}"], d[f"y_{part}"]
        fine = x.ndim == 3 and x.shape[1:] == (28, 28) and x.dtype == np.uint8
        _expect(
            fine and y.shape == x.shape[:1] and len(y) > 1 and _whole(y, 0, 9),
            "mnist.npz",
            "images must be (n, 28, 28) bytes, labels 0..9",
        )
        pixels = (x.reshape(len(x), 784) / np.float32(255)).astype(np.float32)
        return {"x": pixels, "y": y.astype(np.int32)}

    return split("train"), split("test"), "MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0)"


def _physionet(rng: np.random.Generator) -> Parts:
    """Hourly means of 37 variables, clipped to the 0.1..99.9 percentiles of the training rows, scaled to [0, 1]."""
    d = _read("physionet2012.npz", ("offsets", "minute", "var", "value", "outcome"))
    name, value = "physionet2012.npz", d["value"]
    _expect(value.ndim == 1 and value.dtype.kind == "f" and np.isfinite(value).all() and len(value) > 0,
            name, "values must be finite floating numbers, one axis of them")  # fmt: skip
    fine = _whole(d["offsets"], 0, len(value)) and len(d["offsets"]) > _FEWEST
    _expect(fine, name, f"offsets must be whole numbers, of {_FEWEST} records at least")
    offsets, n = d["offsets"].astype(np.int64), len(d["offsets"]) - 1
    sorted_ = offsets[0] == 0 and offsets[-1] == len(value) and np.all(np.diff(offsets) >= 0)
    alike = d["minute"].shape == d["var"].shape == value.shape
    _expect(bool(sorted_) and alike, name, "offsets and events differ")
    outcomes = d["outcome"].shape == (n, 5) and _whole(d["outcome"].ravel(), -(2**15))
    _expect(outcomes and _whole(d["var"], 0, 36) and _whole(d["minute"], 0, 2880),
            name, "outcomes must be (n, 5), variables 0..36, minutes 0..2880")  # fmt: skip

    # The mean over each hour of a record's variable, and where there was a measurement.
    record = np.repeat(np.arange(n), np.diff(offsets))
    hour = np.rint(d["minute"] / 60).astype(np.int64)
    flat = (record * 49 + hour) * 37 + d["var"].astype(np.int64)
    events = np.bincount(flat, minlength=n * 49 * 37)
    total = np.bincount(flat, weights=d["value"], minlength=n * 49 * 37)
    mask = (events > 0).reshape(n, 49, 37)
    x = (total / np.maximum(events, 1)).reshape(n, 49, 37)

    # Percentiles are those of the training rows, which the others are scaled by as well.
    order = rng.permutation(n)
    test, train = order[: n // 5], order[n // 5 :]
    for k in range(37):
        seen = x[train][..., k][mask[train][..., k]]
        low, high = np.percentile(seen, [0.1, 99.9]) if len(seen) else (0.0, 1.0)
        if not high > low:  # a variable that is always the same number: measured, or not
            low, high = 0.0, high if high > 0 else 1.0
        x[..., k] = (np.clip(x[..., k], low, high) - low) / (high - low)
    x = np.where(mask, x, 0).astype(np.float32)
    source = "PhysioNet/CinC Challenge 2012 (Silva et al.; ODC-By 1.0)"
    whole = {"x": x, "y": (d["outcome"][:, 4] == 1).astype(np.int32), "mask": mask}
    return taken(whole, train), taken(whole, test), source


def _spirals(rng: np.random.Generator, rows: int = 1500, noise: float = 0.02) -> Parts:
    """Two interleaved spirals in the plane, r = angle / 3 pi over one and a half turns."""
    angle = 3 * np.pi * np.sqrt(rng.uniform(0.02, 1.0, rows))
    y = rng.integers(0, 2, rows).astype(np.int32)
    turn = angle + np.pi * y
    x = (angle / (3 * np.pi))[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    x = (x + noise * rng.normal(size=x.shape)).astype(np.float32)
    whole, order = {"x": x, "y": y}, rng.permutation(rows)
    return taken(whole, order[rows // 5 :]), taken(whole, order[: rows // 5]), "made here"


_MAKERS = {
    "digits": _Maker(_digits),
    "mnist": _Maker(_mnist, "mnist.npz"),
    "physionet": _Maker(_physionet, "physionet2012.npz", times=49),
    "spirals": _Maker(_spirals),
}


def spiral_sde_moments(
    *, paths: int = 20_000, times: int = 30, substeps: int = 20, seed: int = 0
) -> tuple[Float[np.ndarray, "times"], Float[np.ndarray, "times 2"], Float[np.ndarray, "times 2"]]:
    """Moments of du = A u^3 dt + 0.2 u dW (Ito), u(0) = (2, 0), on [0, 1].

    The data of the spiral experiment of arXiv 2105.03918, A = [[-0.1, 2], [-2, -0.1]], by Heun's method in the sense of
    Stratonovich: Euler and Maruyama's turns outwards, and needs eight times as many steps for the same bias.

    Args:
        paths: simulated.
        times: how many, evenly spaced, both ends included.
        substeps: of the simulation between two times.
        seed: of the noise.

    Returns:
        Times, of shape (times,), means and variances over the paths, of shape (times, 2), float32.
    """
    rng = np.random.default_rng(seed)
    a, noise = np.array([[-0.1, 2.0], [-2.0, -0.1]]), 0.2
    u = np.tile([2.0, 0.0], (paths, 1))
    ts = np.linspace(0, 1, times)
    h = 1 / ((times - 1) * substeps)
    shift = h * noise**2 / 2  # from Ito to Stratonovich
    means, variances = [u.mean(0)], [u.var(0)]
    for _ in range(times - 1):
        for _ in range(substeps):
            factor = noise * np.sqrt(h) * rng.normal(size=u.shape) - shift
            first = h * (u * u * u) @ a.T + u * factor  # a fifth of the time of u**3
            end = u + first
            u = u + (first + h * (end * end * end) @ a.T + end * factor) / 2
        means.append(u.mean(0))
        variances.append(u.var(0))
    f = np.float32
    return ts.astype(f), np.array(means, f), np.array(variances, f)
