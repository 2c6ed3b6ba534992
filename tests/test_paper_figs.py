"""The frame of the papers' figures: verdicts, records, what is computed again, failures, the command."""

import dataclasses
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
import schemas
from figure_functions import BROKEN, FIGURE, calls, compute, draw, killed
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import odescent as od
from odescent import paper_figs as pf
from odescent._support.errors import OdescentError
from odescent.cli import app
from odescent.paper_figs import papers, records, summary
from odescent.paper_figs.records import keep, restore
from odescent.paper_figs.regenerate import regenerate

REAL = st.floats(-1e6, 1e6)


@given(REAL, REAL, st.floats(0, 1e6))
def test_a_range_holds_exactly_what_lies_in_it(x: float, low: float, width: float):
    high = low + width
    assert (pf.between(low, high).verdict(x) == pf.HOLDS) is (low <= x <= high)
    assert (pf.at_most(low).verdict(x) == pf.HOLDS) is (x <= low)
    assert (pf.at_least(low).verdict(x) == pf.HOLDS) is (x >= low)
    assert (pf.below(low).verdict(x) == pf.HOLDS) is (x < low)
    assert (pf.above(low).verdict(x) == pf.HOLDS) is (x > low)


@given(REAL, st.floats(1e-6, 1e3), st.floats(0.0, 2.0))
def test_near_is_a_tolerance_around_a_number(value: float, room: float, away: float):
    found = pf.near(value, absolute=room).verdict(value + away * room)
    if abs(away - 1) > 1e-6 * max(1, abs(value) / room):
        assert (found == pf.HOLDS) is (away < 1)


@given(REAL, st.floats(0, 100), st.floats(0, 100), REAL)
def test_an_interval_decides_only_where_it_is_on_one_side(x, down, up, bound):
    measured = pf.Spread(x, x - down, x + up)
    found = pf.at_most(bound).verdict(measured)
    expected = (
        pf.HOLDS if measured.high <= bound else pf.WRONG if measured.low > bound else pf.UNDECIDED
    )
    assert found == expected


def test_what_is_not_a_number_never_holds():
    assert pf.near(1.0, relative=0.1).verdict(math.nan) == pf.WRONG
    assert pf.at_most(1.0).verdict(math.nan) == pf.WRONG
    assert pf.at_most(1.0).verdict("0.5") == pf.WRONG
    assert pf.at_most(1.0).verdict(True) == pf.WRONG
    assert pf.exactly(True).verdict(1) == pf.WRONG
    assert pf.exactly(1).verdict(1.0) == pf.WRONG
    assert pf.exactly(3).verdict(np.int64(3).item()) == pf.HOLDS
    assert pf.at_most(1.0).verdict(None) == pf.UNDECIDED


def test_expectations_that_say_nothing_are_refused():
    with pytest.raises(OdescentError, match="positive tolerance"):
        pf.near(1.0)
    with pytest.raises(OdescentError, match="low <= high"):
        pf.between(2.0, 1.0)
    with pytest.raises(OdescentError, match="low <= value <= high"):
        pf.Spread(1.0, 2.0, 3.0)


@given(
    st.one_of(
        REAL,
        st.integers(-9, 9),
        st.booleans(),
        st.text(max_size=5),
        st.just(math.nan),
        st.just(math.inf),
    )
)
def test_claims_survive_json_and_their_verdict_is_computed_anew(measured):
    claim = pf.Claim("It is one.", pf.near(1.0, absolute=0.5), measured, "somewhere")
    written = json.loads(json.dumps(claim.to_dict(), allow_nan=False))
    written["verdict"] = "holds"  # a lie in the file changes nothing
    read = pf.Claim.from_dict(written)
    assert read.verdict == claim.verdict and read.shown == claim.shown
    spread = pf.Claim("", pf.at_least(0.0), pf.Spread(1, 0, 2))
    assert pf.Claim.from_dict(json.loads(json.dumps(spread.to_dict()))) == spread


def test_numbers_of_numpy_become_plain():
    claim = pf.Claim("", pf.exactly(True), np.bool_(True))
    assert claim.measured is True and claim.verdict == pf.HOLDS


# --- making figures


def make(out: Path, *figures: pf.PaperFigure, **options):
    return regenerate(
        [("acceleration", f) for f in figures], out, report=lambda line: None, **options
    )


def test_a_figure_is_made_with_its_numbers_beside_it(tmp_path: Path):
    (made,) = make(tmp_path, FIGURE)
    folder = tmp_path / "quick" / "acceleration"
    assert {f.name for f in made.files} == {
        f"squares.{s}" for s in ("csv", "json", "npz", "pdf", "png", "svg")
    }
    assert set(made.files) == set(folder.iterdir())
    expected = np.random.default_rng(3).uniform(0, 1, 50)
    with np.load(folder / "squares.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["data.draws.x"], expected)
    record = json.loads((folder / "squares.json").read_text("utf-8"))
    assert record["schema"] == "odescent.figure/2" and record["scale"] == "quick"
    assert record["identity"]["parameters"] == {"points": 50, "seed": 3}
    assert [c["verdict"] for c in record["claims"]] == ["holds", "does not hold"]
    assert record["versions"]["numpy"] == np.__version__
    assert str(tmp_path) not in json.dumps(record)
    header, row = (folder / "squares.csv").read_text().splitlines()
    assert header == "seed,mean" and float(row.split(",")[1]) == expected.mean()
    assert made.wrong and [c.verdict for c in made.claims] == [pf.HOLDS, pf.WRONG]


def test_only_what_changed_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls.clear()
    first = make(tmp_path, FIGURE)
    again = make(tmp_path, FIGURE)
    assert calls == [(50, 3)] and not again[0].again and again[0].claims == first[0].claims
    picture = tmp_path / "quick" / "acceleration" / "squares.png"
    picture.unlink()
    make(tmp_path, FIGURE)
    assert calls == [(50, 3)] and picture.exists()
    make(tmp_path, FIGURE, scale="full")
    assert calls[1:] == [(900, 3)]
    make(tmp_path, FIGURE, fresh=True)
    assert len(calls) == 3
    other = pf.PaperFigure("squares", "Squares.", compute, draw, {"points": 50, "seed": 4})
    make(tmp_path, other)
    assert calls[-1] == (50, 4)
    monkeypatch.setattr(records, "code_version", lambda *_: "another")
    make(tmp_path, other)
    assert len(calls) == 5


def test_a_damaged_record_is_computed_again(tmp_path: Path):
    calls.clear()
    make(tmp_path, FIGURE)
    for name in ("squares.json", "squares.npz"):
        path = tmp_path / "quick" / "acceleration" / name
        path.write_bytes(path.read_bytes()[:40])
        (made,) = make(tmp_path, FIGURE)
        assert made.error is None and made.again
    assert len(calls) == 3


def test_what_other_versions_made_is_kept_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, FIGURE)
    monkeypatch.setattr(records, "_versions", lambda: {"numpy": np.__version__, "jax": "0.0"})
    (made,) = make(tmp_path, FIGURE)
    assert not made.again and f"(as before, by odescent {od.__version__}, " in made.line()
    assert f"jax {jax.__version__}" in made.line() and "numpy" not in made.line()


def test_one_that_fails_is_listed_and_stops_no_other(tmp_path: Path):
    lines: list[str] = []
    found = regenerate(
        [("acceleration", BROKEN), ("acceleration", FIGURE)], tmp_path, report=lines.append
    )
    assert found[0].error == "ZeroDivisionError: as planned" and found[0].wrong
    assert found[1].error is None and len(lines) == 2 and "failed" in lines[0]
    trace = tmp_path / "quick" / "acceleration" / "broken.error.txt"
    assert "as planned" in trace.read_text()
    table = summary.rows(found)
    assert [row[-1] for row in table] == ["failed", "holds", "does not hold"]
    assert summary.totals(found) == "1 of 2 figures: 1 of 2 claims hold; 1 do not hold."
    for path in summary.write(found, "quick", tmp_path):
        assert "does not hold" in path.read_text("utf-8")


def in_parts(folder: Path, fail: bool) -> pf.Result:
    kept = folder / "half.txt"
    if not kept.exists():
        kept.write_text("done")
        if fail:
            raise RuntimeError("killed half way")
        return pf.Result({"begun": "anew"}, ())
    return pf.Result({"begun": "before"}, ())


def test_a_long_figure_finds_what_it_had_done(tmp_path: Path):
    figure = pf.PaperFigure(
        "long", "Long.", in_parts, lambda data: draw({"draws": {"x": [0, 1]}}), {"fail": True}
    )
    assert make(tmp_path, figure)[0].error == "RuntimeError: killed half way"
    assert make(tmp_path, figure)[0].error is None
    record = json.loads((tmp_path / "quick" / "acceleration" / "long.json").read_text())
    assert record["data"] == {"begun": "before"}
    assert not list((tmp_path / "quick" / "acceleration").glob("*parts*"))


def test_an_interruption_says_how_to_go_on(tmp_path: Path):
    def stopped(**_: object) -> pf.Result:
        raise KeyboardInterrupt

    figure = pf.PaperFigure("stopped", "Stopped.", stopped, draw)
    with pytest.raises(
        KeyboardInterrupt, match="after 1 of 2 figures; run again with the same arg"
    ):
        make(tmp_path, FIGURE, figure)


def test_several_processes_make_what_one_makes(tmp_path: Path):
    def here(**_: object) -> pf.Result:  # no other process finds it
        return compute(20, 1)

    other = dataclasses.replace(FIGURE, name="again", quick={"points": 30, "seed": 4})
    figures = [FIGURE, BROKEN, other, pf.PaperFigure("here", "Here.", here, draw)]
    calls.clear()
    found = make(tmp_path / "several", *figures, workers=2)
    assert calls == [(20, 1)]
    assert [m.name for m in found] == ["squares", "broken", "again", "here"]
    assert found[1].error == "ZeroDivisionError: as planned"
    assert (tmp_path / "several/quick/acceleration/broken.error.txt").exists()
    alone = make(tmp_path / "one", *figures)
    assert [(m.claims, m.error) for m in found] == [(m.claims, m.error) for m in alone]
    for file in (tmp_path / "one/quick/acceleration").glob("*.json"):
        assert (tmp_path / "several/quick/acceleration" / file.name).read_text() == file.read_text()
    assert not any(m.again for m in make(tmp_path / "several", FIGURE, other, workers=2))


def test_a_process_that_dies_is_a_figure_that_fails(tmp_path: Path):
    ill = pf.PaperFigure("killed", "Killed.", killed, draw)
    found = make(tmp_path, FIGURE, ill, workers=2)
    assert found[0].error is None and "abruptly" in (found[1].error or "")


def test_smaller_sizes_are_said_on_the_figure(tmp_path: Path):
    assert FIGURE.sizes("quick") == "quick: points 50 (full: 900)" and FIGURE.sizes("full") == ""
    nested = dataclasses.replace(
        FIGURE, quick={"model": {"width": 8, "layers": [4, 4]}}, full={"model": {"width": 64}}
    )
    assert nested.sizes("quick") == "quick: model width 8 layers 4, 4 (full: width 64)"
    without = dataclasses.replace(
        FIGURE, quick={"share": None, "tried": []}, full={"share": 0.5, "tried": [1, 2]}
    )
    assert without.sizes("quick") == "quick: share none (full: 0.5), tried none (full: 1, 2)"
    small, whole = (
        records.draw(tmp_path / s, FIGURE, s, compute(50, 3))[2] for s in ("quick", "full")
    )
    import matplotlib.image

    heights = [matplotlib.image.imread(p).shape[0] for p in (small, whole)]
    assert heights[0] > heights[1]


def test_results_of_the_analysis_come_back_from_a_file():
    import odescent as od
    from odescent._support.store import decode, encode

    found = od.analysis.spectrum(
        od.algorithm("nesterov_sc"), 1, 10, curvatures=9, against="h", values=(0.1, 0.3, 5)
    )
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(encode(keep(found), arrays))
    back = restore(decode(json.loads(text), arrays))
    assert type(back) is type(found) and type(back.locus) is type(found.locus)
    np.testing.assert_array_equal(back.eigenvalues, found.eigenvalues)
    np.testing.assert_array_equal(back.locus.eigenvalues, found.locus.eigenvalues)
    assert back.rate == found.rate and back.parameters == found.parameters
    for other in (
        "Popen",
        "subprocess:Popen",
        "odescent.analysis.nothing:X",
        "odescent.dynamics:System",
    ):
        with pytest.raises(OdescentError, match="that a figure keeps: it has to be a record"):
            restore({"class": other, "args": "ls"})


# --- which figures there are


def test_every_figure_has_a_name_of_its_own_and_parameters_that_its_function_takes():
    import inspect
    import re

    found = pf.find()
    assert len({(p, f.name) for p, f in found}) == len(found) >= 13
    for paper, figure in found:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", figure.name), (paper, figure.name)
        taken = set(inspect.signature(figure.compute).parameters) - {"folder"}
        for scale in ("quick", "full"):
            assert set(figure.parameters(scale)) == taken, (paper, figure.name)
        assert records.identity(paper, figure, "quick") == records.identity(paper, figure, "quick")


def test_names_that_are_not_there_are_refused_with_the_nearest():
    with pytest.raises(OdescentError, match="did you mean 'acceleration'"):
        pf.find(["accelaration"])
    with pytest.raises(OdescentError, match="manifold"):
        pf.find((), ["manifolds"])
    assert [f.name for _, f in pf.find(["acceleration"], ["manifold"])] == ["manifold"]
    assert pf.find((), ["acceleration/manifold"]) == pf.find(["acceleration"], ["manifold"])


def test_a_module_that_cannot_be_loaded_is_a_figure_that_fails(tmp_path: Path):
    paper = pf.Paper("A paper.", "nowhere", ("no_such_module",))
    (figure,) = paper.figures()
    (made,) = make(tmp_path, figure)
    assert made.error is not None and "no_such_module" in made.error


# --- the command


@pytest.fixture
def one_paper(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(papers, "_of", lambda module: {"a": (FIGURE,), "b": (BROKEN,)}[module])
    known = {
        "small": pf.Paper("A small paper", "nowhere", ("a",)),
        "ill": pf.Paper("An ill one", "nowhere", ("b",)),
    }
    monkeypatch.setattr(papers, "PAPERS", known)
    monkeypatch.setattr(summary, "PAPERS", known)


@pytest.mark.usefixtures("one_paper")
def test_the_command_shows_one_table_and_exits_with_1_if_a_claim_does_not_hold(tmp_path: Path):
    done = CliRunner().invoke(app, ["figures", "--paper", "small", "--out", str(tmp_path)])
    assert done.exit_code == 1, done.output
    assert "  does not hold   It is more than two. Expected > 2; measured 0." in done.stdout
    assert "1 of 1 figures: 1 of 2 claims hold; 1 do not hold." in done.stdout
    done = CliRunner().invoke(app, ["figures", "--json", "--out", str(tmp_path)])
    document = schemas.check(json.loads(done.stdout))
    assert document["schema"] == "odescent.figures/1" and document["scale"] == "quick"
    assert [f["error"] for f in document["figures"]] == [None, "ZeroDivisionError: as planned"]
    done = CliRunner().invoke(app, ["figures", "--paper", "ill", "--out", str(tmp_path)])
    page = (tmp_path / "quick" / "figures.md").read_text()
    assert (
        "1 of 2 figures" in page and "0 of 1 figures" in done.stdout
    )  # the page has all that stand
    assert (
        (tmp_path / "quick" / "claims.csv")
        .read_text()
        .startswith("paper,figure,claim,expected,measured,verdict")
    )


@pytest.mark.usefixtures("one_paper")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quick", "--full"], "both given"),
        (["--paper", "large"], "there is no paper 'large'"),
        (["--only", "squaers"], "did you mean 'squares'"),
        (["--out", __file__], "is a file"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(arguments: list[str], said: str):
    done = CliRunner().invoke(app, ["figures", *arguments])
    assert done.exit_code == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1
