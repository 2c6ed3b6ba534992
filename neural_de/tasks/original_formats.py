"""MNIST and PhysioNet 2012 in their published formats, as the arrays of the npz files.

MNIST: ``train-images-idx3-ubyte`` and the three others, plain or ``.gz`` (http://yann.lecun.com/exdb/mnist).
PhysioNet/CinC Challenge 2012 (https://physionet.org/content/challenge-2012): ``set-a``, ``set-b``, ``set-c`` as folders
of text files, as ``.tar.gz`` or as ``.zip``, each with its ``Outcomes-a.txt``; those that are there are taken.
"""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from ..._support.errors import OdescentError

VARIABLES = (
    "Albumin", "ALP", "ALT", "AST", "Bilirubin", "BUN", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS",
    "Glucose", "HCO3", "HCT", "HR", "K", "Lactate", "Mg", "MAP", "MechVent", "Na", "NIDiasABP", "NIMAP", "NISysABP",
    "PaCO2", "PaO2", "pH", "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine",
    "WBC", "Weight",
)  # fmt: skip
_DESCRIPTORS = ("RecordID", "Age", "Gender", "Height", "ICUType")
_OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"
_LAST_MINUTE = 48 * 60
_ENDINGS = ("", ".tar.gz", ".tgz", ".zip")
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


def is_there(name: str, folder: str) -> bool:
    """Whether a folder has original files of ``mnist.npz`` or ``physionet2012.npz``, some at least."""
    place = Path(folder)
    if name == "mnist.npz":
        return any(_mnist_paths(place).values())
    return bool(_sets(place))


def original(name: str, folder: str) -> dict[str, np.ndarray]:
    """What ``mnist.npz`` or ``physionet2012.npz`` would hold, from the original files; read again where these changed.

    Raises:
        OdescentError: files that are damaged, or of which some are missing.
    """
    return _kept(name, Path(folder), _stamps(name, Path(folder)))


@lru_cache(maxsize=2)
def _kept(name: str, place: Path, stamps: object) -> dict[str, np.ndarray]:
    return _mnist(place) if name == "mnist.npz" else _physionet(place)


def _stamps(name: str, place: Path) -> tuple[tuple[str, int, int], ...]:
    """Path, time and size of each file that is read."""
    if name == "mnist.npz":
        files = [path for path in _mnist_paths(place).values() if path is not None]
    else:
        files = sorted(place.glob("Outcomes-?.txt"))
        for source in _sets(place).values():
            files += sorted(source.glob("*.txt")) if source.is_dir() else [source]
    seen = [(str(path), path.stat()) for path in files]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in seen)


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file of unsigned bytes, plain or compressed by gzip.

    Raises:
        OdescentError: a file that is none, or that is cut short.
    """
    try:
        packed = path.read_bytes()
        data = gzip.decompress(packed) if path.suffix == ".gz" else packed
    except _BROKEN as error:
        raise _damaged(path, f"it cannot be unpacked ({type(error).__name__})") from error
    rank = data[3] if len(data) >= 4 else 0
    if data[:3] != b"\0\0\x08" or not 1 <= rank <= 3 or len(data) < 4 + 4 * rank:
        raise _damaged(path, "it is no idx file of bytes")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", rank, 4))
    expected = math.prod(shape)
    if len(data) - 4 - 4 * rank != expected:
        raise _damaged(
            path, f"its head tells of {expected} bytes, and there are {len(data) - 4 - 4 * rank}"
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


_IDX = {
    "x_train": ("train-images", 3), "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3), "y_test": ("t10k-labels", 1),
}  # fmt: skip


def _mnist_paths(folder: Path) -> dict[str, Path | None]:
    """The four files, under the names that unpacking tools leave them with."""
    found: dict[str, Path | None] = {}
    for key, (stem, rank) in _IDX.items():
        names = [f"{stem}{dot}idx{rank}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
        found[key] = next((folder / n for n in names if (folder / n).is_file()), None)
    return found


def _mnist(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for key, path in _mnist_paths(folder).items():
        if path is None:
            stem, rank = _IDX[key]
            name = f"{stem}-idx{rank}-ubyte"
            raise OdescentError(f"there is no file {name} in {str(folder)!r} with the others.")
        found[key] = read_idx(path)
    return found


def _sets(folder: Path) -> dict[str, Path]:
    """The sets that are there, by letter."""
    places = {
        letter: next((p for e in _ENDINGS if (p := folder / f"set-{letter}{e}").exists()), None)
        for letter in "abc"
    }
    return {letter: place for letter, place in places.items() if place is not None}


def _physionet(folder: Path) -> dict[str, np.ndarray]:
    minutes, kinds, values, lengths, outcomes = [], [], [], [], []
    for letter, source in _sets(folder).items():
        told = _outcomes(folder / f"Outcomes-{letter}.txt")
        texts = sorted(_texts(source))
        if not source.is_dir() and len(texts) < len(told):  # cut where tarfile sees no harm
            raise _damaged(
                source, f"it holds {len(texts)} of the {len(told)} records with outcomes"
            )
        for name, text in texts:
            number, minute, kind, value = _record(f"{source.name}/{name}", text)
            if number not in told:
                raise _damaged(folder / f"Outcomes-{letter}.txt", f"it lacks the record {number}")
            if PurePosixPath(name).stem != str(number):
                raise _damaged(f"{source.name}/{name}", f"it says that it is the record {number}")
            minutes.append(minute)
            kinds.append(kind)
            values.append(value)
            lengths.append(len(value))
            outcomes.append(told[number])
    if not lengths:
        raise OdescentError(f"there is no record in the sets in {str(folder)!r}.")
    return {
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        "minute": np.concatenate(minutes), "var": np.concatenate(kinds), "value": np.concatenate(values),
        "outcome": np.array(outcomes, np.int16),
    }  # fmt: skip


def _texts(source: Path) -> Iterator[tuple[str, str]]:
    """Names and contents of the records in a folder or an archive; nothing is unpacked onto the disk."""

    def is_record(path: str) -> bool:
        return PurePosixPath(path).suffix == ".txt" and PurePosixPath(path).stem.isdigit()

    try:
        if source.is_dir():
            for path in source.glob("*.txt"):
                if is_record(path.name):
                    yield path.name, path.read_text("ascii")
        elif source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                for name in filter(is_record, archive.namelist()):
                    yield PurePosixPath(name).name, archive.read(name).decode("ascii")
        else:
            whole = io.BytesIO(gzip.decompress(source.read_bytes()))  # checks its sum
            with tarfile.open(fileobj=whole) as packed:
                for member in packed:
                    file = packed.extractfile(member) if is_record(member.name) else None
                    if file is not None:
                        yield PurePosixPath(member.name).name, file.read().decode("ascii")
    except (*_BROKEN, UnicodeDecodeError) as error:
        raise _damaged(source, f"it cannot be read ({type(error).__name__})") from error


def _record(name: str, text: str) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Its number; minute, variable and value of each measurement; negative values mean missing, and are left out."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "Time,Parameter,Value":
        raise _damaged(name, "its first line must be Time,Parameter,Value")
    number, rows = -1, []
    for line, said in enumerate(lines[1:], 2):
        try:
            time, kind, amount = said.split(",")
            hours, minute = time.split(":")
            at, value = 60 * int(hours) + int(minute), float(amount)
            if not math.isfinite(value):
                raise ValueError(amount)
        except ValueError:
            raise _damaged(name, f"line {line} is not HH:MM,PARAMETER,NUMBER") from None
        if kind == "RecordID":
            number = int(value)
        elif kind in _PLACES and value >= 0:
            if not 0 <= at <= _LAST_MINUTE:
                raise _damaged(name, f"line {line} is not within 48 hours")
            rows.append((at, _PLACES[kind], value))
        elif kind and kind not in _PLACES and kind not in _DESCRIPTORS:
            raise _damaged(name, f"line {line} has the unknown parameter {kind!r}")
    if number < 0:
        raise _damaged(name, "it has no RecordID")
    table = np.array(rows, np.float64).reshape(-1, 3)
    return (
        number,
        table[:, 0].astype(np.uint16),
        table[:, 1].astype(np.uint8),
        table[:, 2].astype(np.float32),
    )


_PLACES = {name: i for i, name in enumerate(VARIABLES)}


def _outcomes(path: Path) -> dict[int, list[int]]:
    """By record: SAPS-I, SOFA, length of stay, survival, in-hospital death."""
    try:
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise OdescentError(
            f"the records need {path.name} with the outcomes; it cannot be read in {str(path.parent)!r}."
        ) from error
    if not lines or lines[0] != _OUTCOMES:
        raise _damaged(path, f"its first line must be {_OUTCOMES}")
    found = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            record, *rest = (int(x) for x in line.split(","))
        except ValueError:
            rest = []
        if len(rest) != 5:
            raise _damaged(path, f"line {number} is not six whole numbers")
        found[record] = rest
    return found


def _damaged(path: Path | str, why: str) -> OdescentError:
    name = path.name if isinstance(path, Path) else path
    return OdescentError(f"{name} is damaged or a different file: {why}.")
