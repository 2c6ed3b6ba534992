"""The store: what was written comes back, and nothing else does, whatever is cut, flipped, mixed or killed."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from odescent._support import store
from odescent._support.errors import OdescentError
from odescent._support.store import Format, Unreadable

RUN = Format("odescent.test/2", "test record", remedy="name another")
NAMES = ("record.npz", "record.json")
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
numeric = arrays.arrays(
    st.sampled_from(["<f8", "<f4", "<i8", "|u1", "|b1", "<c16"]),
    arrays.array_shapes(min_dims=0, min_side=0, max_side=3),
)
records = st.dictionaries(
    st.text(max_size=4) | st.sampled_from(["a", "file", "__array__", "__dict__", "header"]),
    plain | numeric | st.lists(numeric, max_size=2),
    max_size=4,
)
each_example = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def same(a: Any, b: Any) -> bool:
    """Alike in every type and bit."""
    if isinstance(a, np.ndarray):
        return (
            type(a) is type(b)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


@pytest.mark.parametrize("name", NAMES)
@each_example
@given(data=records)
def test_a_record_comes_back(tmp_path: Path, name: str, data: dict[str, Any]) -> None:
    RUN.save(tmp_path / name, {"data": data})
    found = RUN.load(tmp_path / name)["data"]
    assert same(found, data) and [*found] == [*data]
    assert not list(tmp_path.glob(".odescent*"))  # no temporary file
    assert store.identity(data) == store.identity(data)


def test_numbers_of_other_libraries_and_tuples_become_plain(tmp_path: Path) -> None:
    given_ = {"a": (np.float32(0.5), np.int64(3), np.bool_(True)), "b": jnp.arange(3.0)}
    RUN.save(tmp_path / "a.json", given_)
    found = RUN.load(tmp_path / "a.json")
    assert found["a"] == [0.5, 3, True] and [type(v) for v in found["a"]] == [float, int, bool]
    assert type(found["b"]) is np.ndarray
    with np.load(tmp_path / "a.npz") as archive:
        assert archive.files == ["array_0"]
    for bad in (object(), {1: 2}, np.array(["text"]), {1, 2}):
        with pytest.raises(OdescentError, match="it may hold only numbers, text"):
            RUN.save(tmp_path / "b.json", {"a": bad})
    assert not (tmp_path / "b.json").exists()


def test_anyone_reads_the_files(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 5)
    for name in NAMES:
        RUN.save(tmp_path / name, {"runs": {"x": x}, "seed": 3, "bound": math.inf})
        with np.load(tmp_path / "record.npz", allow_pickle=False) as archive:
            np.testing.assert_array_equal(archive["runs.x"], x)
            text = archive["header"].tobytes() if "header" in archive else b""
        header = json.loads(text or (tmp_path / name).read_text("utf-8"))
        assert header["seed"] == 3 and header["bound"] == {"__float__": "inf"}
        assert header["schema"] == "odescent.test/2" and header["arrays"] == ["runs.x"]


def test_identities_are_hashes_of_canonical_json() -> None:
    """SHA-256 of the text, from another implementation (coreutils' sha256sum)."""
    text = store.canonical({"b": 1.5, "a": [True, None, "é"]})
    assert text == '{"a":[true,null,"\\u00e9"],"b":1.5}'
    assert store.identity({"function": "m:f", "version": "", "inputs": {"x": 1}}) == (
        "b6c08eb40f8976bface6681d01387e44a4f473d92e1b448ab626fabf2510de47"
    )
    own = [store.identity({"x": x}) for x in (
        np.zeros(2), np.zeros(3), np.zeros((2, 1)), np.zeros(2, int), np.ones(2), [0.0, 0.0]
    )]  # fmt: skip
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ({"s": {"seed": 0}}, {"s": {"seed": 1}}, "its seed is 0, not 1"),
        ({"s": {"a": 1, "b": None}}, {"s": {"a": 1}}, None),
        ({"s": {}}, {"s": {"b": 0}}, "its b is None, not 0"),
        ({"data": "0123456789abcdef"}, {"data": "f" * 16}, "its data is another"),
        ({"data": "f" * 16, "every": 5}, {"data": "e" * 16, "every": 4}, "its every is 5, not 4"),
        ({"a": [1, 2]}, {"a": [1, 2]}, None),
    ],
)
def test_what_differs_is_said(found: Any, wanted: Any, said: str | None) -> None:
    assert store.difference(found, wanted) == said


@pytest.mark.parametrize("name", NAMES)
@each_example
@given(data=st.data())
def test_no_damage_goes_unnoticed(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Whatever is cut off, added or flipped in either file: a sentence, or what was written; never other numbers."""
    record = {"identity": {"seed": 1}, "x": np.arange(5.0), "note": "as it is"}
    RUN.save(tmp_path / name, record)
    file = tmp_path / data.draw(st.sampled_from([name, "record.npz"]))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["cut", "flip", "add"])):
        case "cut":
            content = content[:place]
        case "flip":
            content[place] ^= data.draw(st.integers(1, 255))
        case _:
            content += data.draw(st.binary(min_size=1, max_size=20))
    file.write_bytes(content)
    try:
        assert same({**RUN.load(tmp_path / name), "arrays": 0}, {**record, "arrays": 0})
    except Unreadable as reason:
        assert str(reason).count("\n") == 0 and repr(str(tmp_path / name)) in str(reason)
        assert RUN.find(tmp_path / name) is None


@pytest.mark.parametrize("name", NAMES)
def test_each_fault_has_its_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    cannot = "cannot be read: No such file"
    for form, content, said in (
        (RUN, None, cannot),
        (RUN, b"", "is no test record of odescent, or it is damaged"),
        (RUN, b"PK\x03\x04", "is no test record"), (RUN, b"{}\n", "is no test record"),
        (RUN, b"[1]", "is no test record"), (RUN, b"[" * 200_000, "is no test record"),
        (RUN, b"\x80\x04.\n", "is no test record"),
        (replace(RUN, schema="odescent.test/1"), b"", "has the format odescent.test/1, and a test record of this"),
        (replace(RUN, schema="odescent.other/2"), b"", "has the format odescent.other/2"),
    ):  # fmt: skip
        if form is not RUN:
            form.save(file, {"identity": {}})
        elif content is not None:
            file.write_bytes(content)
        with pytest.raises(Unreadable, match=said):
            RUN.load(file)
    RUN.save(file, {"identity": {"seed": 1, "every": 2}})
    assert RUN.load(file, {"seed": 1, "every": 2})["identity"]["every"] == 2
    with pytest.raises(
        Unreadable, match="belongs to another run: its seed is 1, not 3; name another"
    ):
        RUN.load(file, {"seed": 3, "every": 2})
    np.savez(tmp_path / "foreign.npz", a=np.arange(3))
    with pytest.raises(Unreadable, match="is no test record"):
        RUN.load(tmp_path / "foreign.npz")
    with pytest.raises(OdescentError, match="no folder"):
        RUN.save(tmp_path / "nowhere" / name, {})


def test_the_arrays_of_one_run_never_stand_beside_the_text_of_another(tmp_path: Path) -> None:
    """As a kill between the two files leaves them."""
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        RUN.save(tmp_path / folder / "r.json", {"x": np.full(3, value)})
    (tmp_path / "a" / "r.npz").write_bytes((tmp_path / "b" / "r.npz").read_bytes())
    assert RUN.find(tmp_path / "a" / "r.json") is None
    (tmp_path / "b" / "r.npz").unlink()
    assert RUN.find(tmp_path / "b" / "r.json") is None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from odescent._support.store import Format
form, file, k = Format("odescent.test/2", "test record"), Path(sys.argv[1]), 0
while True:
    k += 1
    form.save(file, {"identity": {}, "k": k, "x": np.full(300_000, k)})
    print(k, flush=True)
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_kill_in_the_middle_of_a_write_leaves_a_whole_record(tmp_path: Path, name: str) -> None:
    """SIGKILL at any moment: one file holds the last record or the one before it, two files that or nothing."""
    root, moments, found = Path(__file__).parent.parent, random.Random(0), []
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / name)],
            cwd=root, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None and process.stdout.readline() == "1\n"
            time.sleep(moments.uniform(0.0, 0.04))
            process.kill()
            last = int(["1", *process.stdout.read().split()][-1])
        read = RUN.find(tmp_path / name)
        if name.endswith(".npz") or read is not None:
            assert read is not None and read["k"] in (last, last + 1)
            assert (read["x"] == read["k"]).all() and read["x"].shape == (300_000,)
        found.append(read)
    RUN.save(tmp_path / name, {"k": 0})  # and what a kill left behind is in nobody's way
    assert RUN.load(tmp_path / name)["k"] == 0 and any(found)
