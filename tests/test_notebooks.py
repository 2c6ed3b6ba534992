"""The notebooks of the site: each is a script that runs, whose cells show what they end with."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The site's module of notebooks."""
    monkeypatch.syspath_prepend(str(DOCS / "_engine"))
    import notebooks  # type: ignore[import-not-found]

    return notebooks


NAMES = sorted(p.stem for p in (DOCS / "notebooks").glob("*.py"))


@pytest.mark.promotion
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_its_cells_end_with(
    name: str, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one namespace, as the script has it, without IPython; what a cell shows is below a megabyte."""
    monkeypatch.chdir(tmp_path)
    made = sys.modules["notebook"] = types.ModuleType("notebook")
    pictures = 0
    try:
        for cell in engine.cells(name):
            if cell.prose:
                continue
            *lines, last = ast.parse(cell.source).body
            if not isinstance(last, ast.Expr):
                lines, last = [*lines, last], None
            whole, end = ast.Module(lines, []), last and ast.Expression(last.value)
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile(whole, name, "exec"), made.__dict__)  # noqa: S102  our own scripts
                shown = end and eval(compile(end, name, "eval"), made.__dict__)  # noqa: S307
            pictures += len(plt.get_fignums())  # pyplot shows them
            plt.close("all")
            if shown is None:
                assert said.getvalue() or last is None
                continue
            bundle = getattr(shown, "_repr_mimebundle_", dict)()
            page = bundle.get("text/html", "")
            picture = getattr(shown, "_repr_png_", lambda: None)()
            assert (
                page or picture or not type(shown).__module__.startswith(("odescent", "matplotlib"))
            )
            assert len(page) < 1_000_000 and (picture is None or len(picture[0]) < 700_000)
            pictures += page.count("<img ") + (picture is not None)
    finally:
        del sys.modules["notebook"]
    assert pictures >= {"derive": 0, "draw": 5, "certify": 1, "optimizer": 1, "neural_ode": 2}[name]
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_scripts_are_notebooks_without_outputs(engine: Any) -> None:
    pytest.importorskip("nbformat", reason="the extra docs is not installed")
    import nbformat

    menu = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    assert engine.names() == NAMES and len(NAMES) == 5
    for name in NAMES:
        made = engine.notebook(name)
        nbformat.validate(made)
        assert made.cells[0].source.startswith("# ") and made.cells[0].cell_type == "markdown"
        assert not any(c.get("outputs") for c in made.cells)
        assert f"notebooks/{name}.md" in menu and f"notebooks/{name}.md" in engine.pages()
        assert engine.notebook(name) == made


def test_the_page_of_a_notebook_has_its_outputs(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbformat", reason="the extra docs is not installed")
    from concurrent.futures import Future

    from nbformat import v4

    made = engine.notebook("derive")
    code = next(c for c in made.cells if c.cell_type == "code")
    html = "<style>a\n{}</style><pre class=x>two\nlines</pre>"
    code.outputs = [
        v4.new_output("stream", text="said\n"),
        v4.new_output("execute_result", {"text/html": html, "text/plain": "x"}, execution_count=1),
        v4.new_output(
            "display_data",
            {"image/png": "QUJD", "text/plain": "x"},
            metadata={"image/png": {"width": 3}},
        ),
        v4.new_output("display_data", {"text/latex": "$x^2$", "text/plain": "x"}),
        v4.new_output("display_data", {"text/plain": "{'a': 1}"}),
    ]
    done: Future[Any] = Future()
    done.set_result(made)
    monkeypatch.setattr(engine, "_executed", {"derive": done})
    page, text = engine.page("derive")
    assert (
        page.startswith("# Derive a method\n")
        and "(derive.ipynb)" in page
        and "(derive.py)" in page
    )
    assert (
        "``` { .text .output }\nsaid\n```" in page
        and "``` { .text .output }\n{'a': 1}\n```" in page
    )
    assert '<div class="shown"><style>a {}</style><pre class=x>two&#10;lines</pre></div>' in page
    assert '<img src="data:image/png;base64,QUJD" width="3"' in page and "$$\nx^2\n$$" in page
    assert json.loads(text)["cells"][1]["outputs"]


def test_notebooks_are_executed_and_a_cell_that_fails_is_named(
    engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for needed in ("nbclient", "ipykernel"):
        pytest.importorskip(needed, reason="the extra docs is not installed")
    (tmp_path / "small.py").write_text("# %% [markdown]\n# # Small\n\n# %%\n1 + 1\n")
    (tmp_path / "wrong.py").write_text("# %%\n1 / 0\n")
    monkeypatch.setattr(engine, "FOLDER", tmp_path)
    monkeypatch.setattr(engine, "_executed", {})
    engine.begin()
    assert "``` { .text .output }\n2\n```" in engine.page("small")[0]
    with pytest.raises(SystemExit, match=r"wrong\.py: a cell fails:[\s\S]*ZeroDivisionError"):
        engine.page("wrong")
