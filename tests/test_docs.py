"""The pages of the site: every block of Python runs, every command exists, every link inside leads somewhere."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def fenced(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def engine(name: str) -> types.ModuleType:
    """A module of the site's engine."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_engine" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


PRINTED = engine("printed")
PYTHON = {p: PRINTED.blocks((DOCS / p).read_text(encoding="utf-8")) for p in PAGES}


LONG = {"tutorials/chaos.md": pytest.mark.optimized}  # what runs for longer than it compiles


@pytest.mark.promotion
@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=LONG.get(p, ())) for p in PAGES if PYTHON[p]]
)
def test_the_python_of_a_page_runs(page: str) -> None:
    """Run whole, with types checked, in double precision, and warnings as errors; the build runs it as users do."""
    PRINTED.outputs(PYTHON[page], page)


def test_the_python_of_a_page_needs_nothing_but_all() -> None:
    """What imports PyTorch is marked .torch: the site is built without it, and most users run without it."""
    extras = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    other = ("torch", "sweeps", "explore", "browser", "oracles")
    names = "|".join(
        re.match(r"[\w-]+", one)[0]
        for extra in other
        for one in extras[extra]
        if "odescent" not in one
    )
    assert re.search(rf"\b(?:{names})\b", "import torch")
    asking = re.compile(rf"^\s*(?:import|from) (?:{names})\b", re.MULTILINE)
    assert {page for page in PAGES if any(map(asking.search, PYTHON[page]))} == set()


@pytest.mark.parametrize("page", [p for p in PAGES if fenced(p, r" \{ \.python \.torch \}")])
def test_the_torch_of_a_page_prints_what_stands_below_it(page: str) -> None:
    """The words as written, and the numbers to 2 %: another version or processor rounds otherwise."""
    pytest.importorskip("torch")
    blocks = PRINTED.with_torch((DOCS / page).read_text(encoding="utf-8"))
    assert any(kept is not None for _, kept in blocks)
    number = r"\d+(?:\.\d+)?"
    printed = PRINTED.outputs([code for code, _ in blocks], page)
    for made, (_, kept) in zip(printed, blocks, strict=True):
        if kept is None:
            continue
        assert re.sub(number, "#", made) == re.sub(number, "#", kept)
        both = [[float(n) for n in re.findall(number, text)] for text in (made, kept)]
        assert both[0] == pytest.approx(both[1], rel=0.02)


def test_the_commands_of_the_pages_exist() -> None:
    from typer.testing import CliRunner

    from odescent._cli.commands import COMMANDS
    from odescent.cli import app

    known = set(COMMANDS)
    for page in PAGES:
        for block in fenced(page, "(?:sh|console)"):
            for line in re.findall(r"^(?:\$ )?odescent (.*)", block, re.MULTILINE):
                command, *words = line.partition("#")[0].split()
                assert command in known, f"{page}: odescent {command}"
                shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
                for option in (w for w in words if w.startswith("--")):
                    assert option in shown, f"{page}: odescent {command} has no {option}"


WRITING = [
    line
    for page in PAGES
    for block in fenced(page, "(?:sh|console)")
    for line in re.findall(r"^odescent ((?:emit|portrait|explore) .*--out .*)", block, re.MULTILINE)
    if "--story" not in line  # test_cycles_story.py
]


@pytest.mark.parametrize("line", WRITING)
def test_the_commands_that_write_a_file_do(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from odescent.cli import app

    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert Path(words[words.index("--out") + 1]).is_file()


RUN = (
    "certify",
    "derive",
    "emit",
    "list",
)  # the commands that need no training, no server and no data


def session(page: str) -> list[str]:
    """The lines of a page for a shell, continued ones joined, without comments."""
    whole = "".join(fenced(page, "(?:sh|console)")).replace("\\\n", "")
    return [plain for line in whole.splitlines() if (plain := line.partition("#")[0].strip())]


def ours(line: str) -> bool:
    return line.startswith("python ") or line.split()[:2] in (["odescent", c] for c in RUN)


@pytest.mark.parametrize("page", [p for p in PAGES if any(map(ours, session(p)))])
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one folder, in order, beside a copy of the examples and the file that the page says its text is in."""
    from typer.testing import CliRunner

    from odescent.cli import app

    monkeypatch.chdir(tmp_path)
    shutil.copytree(DOCS.parent / "examples", tmp_path / "examples")
    for name in re.findall(r"text above in `(\S+)`", (DOCS / page).read_text(encoding="utf-8")):
        text = re.search(r'^ODE = """\n(.*?)"""', "\n".join(PYTHON[page]), re.DOTALL | re.MULTILINE)
        assert text is not None
        Path(name).write_text(text[1], encoding="utf-8")
    for line in filter(ours, session(page)):
        command, _, into = line.partition(">")
        first, *words = shlex.split(command)
        if first == "python":
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            continue
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (line, done.output)
        if into:
            Path(into.strip()).write_text(done.stdout, encoding="utf-8")


def prose(page: str) -> str:
    """A page without code and mathematics."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for code in (
        r"^```.*?^```",
        r"^    .*?$",
        r"`[^`]*`",
        r"\$\$.*?\$\$",
        r"\$[^$\n]*\$",
        r"<!--.*?-->",
    ):
        text = re.sub(code, "", text, flags=re.DOTALL | re.MULTILINE)
    return text


@pytest.mark.parametrize("page", PAGES)
def test_no_formula_is_taken_for_markup(page: str) -> None:
    """An inner product <u, v> outside of code and mathematics would be a tag, and vanish."""
    assert re.findall(r"<(?!https?:)[A-Za-z][^>\n]*>?", prose(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_formulas_are_typeset(page: str) -> None:
    """Roots, primes of letters, powers and differentials are written between dollars."""
    plain = r"\w*sqrt\(.*|\b[a-zA-Z]'+ =.*|\b[a-zA-Z]+\^[\w(-].*|\bd[WBXJ] .*"
    assert re.findall(plain, prose(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_site_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", text):
        there = ((DOCS / page).parent / target).resolve()
        made = (
            there.parent == DOCS / "reference" or there.with_suffix(".py").is_file()
        )  # a notebook
        assert there.is_file() or made, f"{page} links to {target}"


def test_broken_links_and_remote_requests_of_a_built_site_are_found(tmp_path: Path) -> None:
    page = (
        '<a href="other/">whole</a><a href="#here" id="here">self</a><a href="https://example.org">away</a>'
        '<img src="data:image/png;base64,QUJD"><script src="there.js"></script>'
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text(page.replace("other/", "../index.html#here"))
    (tmp_path / "other" / "there.js").touch()
    (tmp_path / "there.js").touch()
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "a.css").write_text("a { background: url(data:x) }")
    faults = engine("checked").faults
    assert list(faults(tmp_path)) == []
    wrong = (
        '<a href="none.html"></a><a href="other/#there"></a><link href="//example.org/a.css">'
        '<iframe srcdoc="<script src=https://example.org/a.js></script>"></iframe>'
    )
    (tmp_path / "wrong.html").write_text(wrong)
    (tmp_path / "a.css").write_text("@import url('https://example.org/b.css')")
    assert list(faults(tmp_path)) == [
        "wrong.html loads //example.org/a.css from another machine",
        "wrong.html loads https://example.org/a.js from another machine",
        "wrong.html links to none.html, which does not exist",
        "wrong.html links to other/#there, which does not exist",
        "a.css loads a file from another machine",
    ]


def test_every_page_is_in_the_navigation() -> None:
    menu = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(page in menu for page in PAGES)


def test_what_the_python_of_a_page_prints_stands_below_it() -> None:
    with_output = PRINTED.with_output
    page = "```python\nx = 1\n```\nthen\n\n```python\nprint(x + 1)\n```\nend\n"
    made = with_output(page, "a page")
    assert made.startswith("```python\nx = 1\n```\nthen")  # printed nothing: no box
    assert "print(x + 1)\n```\n\n``` { .text .output }\n2\n```\n" in made
    assert made.endswith("end\n")
    drawn = with_output(
        "```python\nimport pathlib; pathlib.Path('a_b.svg').write_text('<svg/>')\n```\n", "a page"
    )
    assert '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt="a b">' in drawn
    silent = "```python\nraise ValueError\n```\n"  # not run: nothing would be shown
    assert with_output(silent, "a page") == silent
    with pytest.raises(SystemExit, match="a page: a block fails with ZeroDivisionError"):
        with_output("```python\nprint(1 / 0)\n```\n", "a page")
    assert PRINTED.outputs(["def f(): return 2", "import pasted; print(pasted.f())"], "p") == [
        "",
        "2",
    ]
    with pytest.raises(SystemExit, match="a page: a block fails with NameError"):
        PRINTED.outputs(["y = 1", "x"], "a page")


def test_an_entry_of_several_names_has_their_types_and_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    griffe = pytest.importorskip("griffe", reason="griffe is not installed")
    monkeypatch.syspath_prepend(DOCS / "_engine")  # as the build has it
    (tmp_path / "documented.py").write_text(
        '''"""A module."""
class Settings:
    """What to do, see `System` and see `nothing`.

    Args:
        t0, t1: the ends.
        name, note: for people.

    Attributes:
        rtol, atol: of the solves.
    """

    rtol: float
    atol: float

    def __init__(self, t0: float, t1: float = 1.0, *, name: str = "", note: str = "") -> None: ...
'''
    )
    several = griffe.Extensions(engine("several").Several())
    module = griffe.load(
        "documented", search_paths=[tmp_path], extensions=several, docstring_parser="google"
    )
    parts = {part.kind.value: part.value for part in module["Settings"].docstring.parsed}
    linked = "[`System`][odescent.dynamics.flows.system.System]"
    assert parts["text"] == f"What to do, see {linked} and see `nothing`."
    rows = [(e.name, str(e.annotation), e.value) for e in parts["parameters"]]
    assert rows == [("t0, t1", "float", "required, 1.0"), ("name, note", "str", "''")]
    [both] = parts["attributes"]
    assert (both.name, str(both.annotation)) == ("rtol, atol", "float")


def test_a_recorded_benchmark_is_shown_as_it_was_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(DOCS / "_engine")  # as the build has it
    recorded = importlib.import_module("engine").recorded
    made = recorded(None, "success").splitlines()
    text = (DOCS.parent / "benchmarks" / "results" / "success.txt").read_text(encoding="utf-8")
    assert made[:-2] == [line for line in text.splitlines() if line.startswith("|")]
    assert re.fullmatch(r"Recorded on \d{4}-\d\d-\d\d: .+\.", made[-1])
    with pytest.raises(SystemExit, match=r"particles\.txt has no table"):
        recorded(None, "particles")
