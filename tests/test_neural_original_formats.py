"""The files that MNIST and PhysioNet are published as: the same arrays as in the npz files, and what is refused."""

import gzip
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from odescent import OdescentError
from odescent.neural_de.tasks import data
from odescent.neural_de.tasks.original_formats import VARIABLES, is_there, original, read_idx
from odescent.neural_de.tasks.rows import count

RNG = np.random.default_rng(0)
IMAGES = {n: RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (20, 7)}
LABELS = {n: RNG.integers(0, 10, n, dtype=np.uint8) for n in (20, 7)}
MNIST = {
    "train-images-idx3-ubyte": IMAGES[20], "train-labels-idx1-ubyte": LABELS[20],
    "t10k-images-idx3-ubyte": IMAGES[7], "t10k-labels-idx1-ubyte": LABELS[7],
}  # fmt: skip


def idx(array: np.ndarray) -> bytes:
    """The format as its page describes it: type 8, rank, big-endian lengths, bytes."""
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("dot", [False, True], ids=["dash", "dot"])
def test_mnist_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, dot: bool
) -> None:
    for name, array in MNIST.items():
        name = name.replace("-idx", ".idx") if dot else name
        content = idx(array)
        (tmp_path / (name + ".gz" * packed)).write_bytes(
            gzip.compress(content) if packed else content
        )
    found = original("mnist.npz", str(tmp_path))
    for key, array in zip(("x_train", "y_train", "x_test", "y_test"), MNIST.values(), strict=True):
        assert found[key].dtype == np.uint8 and np.array_equal(found[key], array)
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    from_files = data.load("mnist", seed=1)
    np.savez(tmp_path / "mnist.npz", **found)
    from_npz = data.load("mnist", seed=1)
    assert np.array_equal(from_files.train["x"], from_npz.train["x"])
    assert count(from_files.test) == 7


def test_files_that_are_replaced_are_read_again_and_others_are_not(tmp_path: Path) -> None:
    where = str(tmp_path)
    for name, array in MNIST.items():
        (tmp_path / name).write_bytes(idx(array))
    first = original("mnist.npz", where)
    assert original("mnist.npz", where) is first
    name = next(iter(MNIST))
    (tmp_path / name).write_bytes(idx(255 - MNIST[name]))
    os.utime(tmp_path / name, ns=(1, 1))
    assert np.array_equal(original("mnist.npz", where)["x_train"], 255 - first["x_train"])
    publish(tmp_path, as_folder)
    deaths = original("physionet2012.npz", where)["outcome"][:, 4]
    outcomes = tmp_path / "Outcomes-a.txt"
    outcomes.write_text(outcomes.read_text().replace(",0", ",1"))
    os.utime(outcomes, ns=(1, 1))
    assert (original("physionet2012.npz", where)["outcome"][:, 4] - deaths).tolist() == [1, 1, 0]
    (tmp_path / "set-a" / "132539.txt").unlink()
    assert len(original("physionet2012.npz", where)["outcome"]) == 2


def test_damaged_idx_files(tmp_path: Path) -> None:
    good = idx(IMAGES[7])
    bad = {
        "cut": good[:-1], "long": good + b"\0", "type": b"\0\0\x0d\x03" + good[4:], "rank": b"\0\0\x08\x09" + good[4:],
        "head": good[:9], "none": b"", "text": b"<html>not found</html>",
        "huge": good[:4] + struct.pack(">3I", *[2**31] * 3),
    }  # fmt: skip
    path = tmp_path / "train-images-idx3-ubyte"
    for content in bad.values():
        path.write_bytes(content)
        with pytest.raises(OdescentError, match=r"train-images-idx3-ubyte is damaged"):
            read_idx(path)
    packed = tmp_path / "t10k-images-idx3-ubyte.gz"
    for content in (gzip.compress(good)[:-20], b"not gzip", b""):
        packed.write_bytes(content)
        with pytest.raises(OdescentError, match="damaged"):
            read_idx(packed)
    path.write_bytes(good)
    packed.unlink()
    with pytest.raises(OdescentError, match="no file train-labels-idx1-ubyte in"):
        original("mnist.npz", str(tmp_path))
    path.rename(tmp_path / "t10k-images-idx3-ubyte")
    with pytest.raises(OdescentError, match="no file train-images-idx3-ubyte in"):
        original("mnist.npz", str(tmp_path))


def record(number: int, *lines: str) -> str:
    """A record as the challenge has them, descriptors first."""
    head = [
        f"00:00,RecordID,{number}", "00:00,Age,54", "00:00,Gender,0", "00:00,Height,-1", "00:00,ICUType,4",
        "00:00,Weight,-1",
    ]  # fmt: skip
    return "\n".join(["Time,Parameter,Value", *head, *lines, ""])


RECORDS = {
    "a": {132540: record(132540, "00:07,HR,73", "00:07,pH,7.33", "47:59,Temp,35.1"), 132539: record(132539)},
    "c": {152871: record(152871, "01:10,Weight,80.5", "48:00,WBC,11.2", "02:00,Temp,-17.8")},
}  # fmt: skip
HEAD = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death"


def as_folder(place: Path, texts: dict[str, str]) -> None:
    place.mkdir()
    for name, text in texts.items():
        (place / name).write_text(text)


def as_tar(place: Path, texts: dict[str, str]) -> None:
    as_folder(place, texts)
    with tarfile.open(f"{place}.tar.gz", "w:gz") as archive:
        archive.add(place, place.name)
    shutil.rmtree(place)


def as_zip(place: Path, texts: dict[str, str]) -> None:
    with zipfile.ZipFile(f"{place}.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"{place.name}/{name}", text)


def publish(folder: Path, how: Callable[[Path, dict[str, str]], None]) -> None:
    for letter, records in RECORDS.items():
        how(folder / f"set-{letter}", {f"{n}.txt": text for n, text in records.items()})
        rows = [f"{n},6,1,5,-1,{int(n > 140000)}" for n in records]
        (folder / f"Outcomes-{letter}.txt").write_text("\n".join([HEAD, *rows, ""]))


@pytest.mark.parametrize("how", [as_folder, as_tar, as_zip])
def test_physionet_by_hand(tmp_path: Path, how: Callable[[Path, dict[str, str]], None]) -> None:
    publish(tmp_path, how)
    found = original("physionet2012.npz", str(tmp_path))
    names = [VARIABLES[i] for i in found["var"]]
    assert found["offsets"].tolist() == [
        0,
        0,
        3,
        5,
    ]  # the first record by number has no measurement
    assert names == ["HR", "pH", "Temp", "Weight", "WBC"]
    assert found["minute"].tolist() == [7, 7, 47 * 60 + 59, 70, 2880]
    assert found["value"].tolist() == pytest.approx([73, 7.33, 35.1, 80.5, 11.2], rel=1e-6)
    assert found["outcome"].tolist() == [[6, 1, 5, -1, 0]] * 2 + [[6, 1, 5, -1, 1]]


def test_the_loader_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = {n: record(n, f"00:{n:02d},HR,{60 + n}") for n in range(10, 30)}
    as_folder(tmp_path / "set-b", {f"{n}.txt": text for n, text in records.items()})
    rows = [f"{n},6,1,5,-1,{n % 2}" for n in records]
    (tmp_path / "Outcomes-b.txt").write_text("\n".join([HEAD, *rows, ""]))
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    found = data.load("physionet")
    parts = (found.train, found.validation, found.test)
    assert sum(map(count, parts)) == 20 and sum(int(p["y"].sum()) for p in parts) == 10


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0007,HR,73", "line 8 is not HH:MM"), ("00:07,HR,fast", "line 8 is not HH:MM"), ("00:07,HR", "line 8"),
        ("00:07,HR,nan", "line 8 is not HH:MM"), ("00:07,HR,1e400", "line 8 is not HH:MM"),
        ("49:00,HR,73", "within 48 hours"), ("00:07,Mood,3", "unknown parameter 'Mood'"),
    ],
)  # fmt: skip
def test_damaged_records(tmp_path: Path, line: str, said: str) -> None:
    as_folder(tmp_path / "set-a", {"7.txt": record(7, line)})
    (tmp_path / "Outcomes-a.txt").write_text(f"{HEAD}\n7,1,1,1,-1,0\n")
    with pytest.raises(OdescentError, match=rf"set-a/7\.txt is damaged.*{said}"):
        original("physionet2012.npz", str(tmp_path))


@pytest.mark.parametrize("how", [as_tar, as_zip])
def test_an_archive_that_lost_records_is_refused(
    tmp_path: Path, how: Callable[[Path, dict[str, str]], None]
) -> None:
    """Also where its checksum is right: tarfile takes the end of the bytes for that of the archive."""
    texts = {f"{n}.txt": record(n, "00:07,HR,73") for n in range(10, 18)}
    how(tmp_path / "set-a", texts)
    rows = [f"{n},6,1,5,-1,0" for n in range(10, 18)]
    (tmp_path / "Outcomes-a.txt").write_text("\n".join([HEAD, *rows, ""]))
    assert len(original("physionet2012.npz", str(tmp_path))["offsets"]) == 9
    if how is as_tar:
        path = tmp_path / "set-a.tar.gz"
        plain = bytearray(gzip.decompress(path.read_bytes()))
        name = plain.index(b"set-a/14.txt")  # behind an extended header of two blocks
        plain = plain[: plain.rindex(b"././@PaxHeader", 0, name)]
        path.write_bytes(gzip.compress(bytes(plain)))
    else:
        how(tmp_path / "set-a", {n: t for n, t in texts.items() if n != "14.txt"})
    with pytest.raises(OdescentError, match=r"set-a\.\S+ is damaged.* of the 8 records"):
        original("physionet2012.npz", str(tmp_path))
    if how is as_tar:  # the sum at the end of a gzip file, which tarfile does not come to
        path.write_bytes(gzip.compress(bytes(plain))[:-8] + bytes(8))
        with pytest.raises(OdescentError, match="it cannot be read"):
            original("physionet2012.npz", str(tmp_path))
    as_folder(tmp_path / "set-b", {"7.txt": record(8)})
    for old in tmp_path.glob("set-a*"):
        old.unlink()
    (tmp_path / "Outcomes-b.txt").write_text(f"{HEAD}\n8,1,1,1,1,0\n")
    with pytest.raises(OdescentError, match="it says that it is the record 8"):
        original("physionet2012.npz", str(tmp_path))


def test_what_belongs_together(tmp_path: Path) -> None:
    where = str(tmp_path)
    assert not is_there("physionet2012.npz", where) and not is_there("mnist.npz", where)
    (tmp_path / "set-b").mkdir()
    (tmp_path / "Outcomes-b.txt").write_text(HEAD)
    with pytest.raises(OdescentError, match="no record in the sets"):
        original("physionet2012.npz", where)
    (tmp_path / "set-b").rmdir()
    as_folder(tmp_path / "set-a", {"7.txt": record(7), "README.txt": "not a record"})
    with pytest.raises(OdescentError, match=r"need Outcomes-a\.txt with the outcomes"):
        original("physionet2012.npz", where)
    outcomes = tmp_path / "Outcomes-a.txt"
    for text, said in (
        ("id\n", "first line"),
        (f"{HEAD}\n7,1\n", "line 2"),
        (f"{HEAD}\n8,1,1,1,1,0\n", "record 7"),
    ):
        outcomes.write_text(text)
        with pytest.raises(OdescentError, match=said):
            original("physionet2012.npz", where)
    (tmp_path / "set-a" / "7.txt").write_text("hello")
    with pytest.raises(OdescentError, match="first line must be Time,Parameter,Value"):
        original("physionet2012.npz", where)
    shutil.rmtree(tmp_path / "set-a")
    (tmp_path / "set-a.zip").write_bytes(b"PK\x03\x04cut")
    with pytest.raises(OdescentError, match=r"set-a\.zip is damaged"):
        original("physionet2012.npz", where)
