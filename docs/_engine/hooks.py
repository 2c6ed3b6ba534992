"""Hooks of the site's build: generated content, and formulas as MathML.

A line `<!-- engine: VERB ARGUMENTS -->` in a page is replaced by the result of the verb (see `engine.VERBS`); a
formula between dollars becomes MathML, which browsers render without scripts; a block of Python is run, and
its output is inserted below it; the reference pages are generated from the public names, and the notebooks from
scripts, which are executed in parallel. Any failure stops the build, and so does a broken link or a request to another
machine in what was built.

With ODESCENT_SITE=unexecuted blocks and notebooks stand without their output: for CI, whose tests have run them all.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import checked  # noqa: E402
import engine  # noqa: E402
import notebooks  # noqa: E402
import reference  # noqa: E402
from formulas import with_mathml  # noqa: E402
from printed import with_output  # noqa: E402

_DIRECTIVE = re.compile(r"^<!-- engine: (.*?) -->$", re.MULTILINE)
_PIECE = re.compile(r'<div data-engine="(\d+)"></div>')
_EXECUTED = os.environ.get("ODESCENT_SITE") != "unexecuted"
_pieces: list[str] = []
_files: dict[str, Any] = {}  # the notebooks by name, filled in when they are executed


def on_config(config: Any) -> Any:
    """Take the addresses of the site and the repository from `addresses.toml`; without one there is no link."""
    known = tomllib.loads((HERE.parent.parent / "addresses.toml").read_text(encoding="utf-8"))
    config.site_url = known["documentation"] or None
    config.repo_url = known["repository"] or None
    if config.site_url is None:  # its links begin at the address of the site
        config.theme.static_templates.discard("404.html")
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the reference pages and the notebooks, which are executed from now on."""
    from mkdocs.structure.files import File

    notebooks.begin(_EXECUTED)
    for uri, content in {**reference.pages(), **notebooks.pages()}.items():
        files.append(File.generated(config, uri, content=content))
    for name in notebooks.names():
        _files[name] = File.generated(config, f"notebooks/{name}.ipynb", content="")
        files.append(_files[name])
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Insert the output of blocks, and replace directives by their Markdown or by a placeholder for their HTML."""

    def place(found: re.Match[str]) -> str:
        verb, *arguments = shlex.split(found[1])
        if verb == "notebook":
            made, _files[arguments[0]].content_string = notebooks.page(arguments[0])
            return made
        if verb not in engine.VERBS:
            raise SystemExit(f"{page.file.src_uri}: no verb {verb!r}: {', '.join(engine.VERBS)}.")
        made = engine.VERBS[verb](engine.Site(Path(config.site_dir), page), *arguments)
        if isinstance(made, engine.Markdown):
            return made
        _pieces.append(made)
        return f'<div data-engine="{len(_pieces) - 1}"></div>'

    told = with_output(markdown, page.file.src_uri) if _EXECUTED else markdown
    return _DIRECTIVE.sub(place, told)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Fill the placeholders, and convert the formulas."""
    html = with_mathml(html, page.file.src_uri)
    return _PIECE.sub(lambda found: _pieces[int(found[1])], html)


def on_post_build(config: Any, **_: Any) -> None:
    """Check the links and the requests of all pages."""
    if found := list(checked.faults(Path(config.site_dir).resolve())):
        raise SystemExit("\n".join(found))
