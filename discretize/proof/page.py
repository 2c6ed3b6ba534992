"""A derivation as one self-contained HTML page with formulas in MathML."""

from __future__ import annotations

import html
import re

from ..._support.rendering.brief import quantity
from ..._support.rendering.mathml import FONTS, mathml
from ...dynamics.flows.system import System
from ...dynamics.notation.line_breaks import broken, terms, width
from ...dynamics.notation.show import latex, symbol_latex, text
from ...dynamics.vector_fields.second_order import SecondOrder
from ..emit.backends.latex import latex as program_latex
from ..expansion.modified_equation import ModifiedEquation
from .report import EQUATIONS_LATEX, KIND_LABELS, equations_title, in_small_steps
from .steps import Path, Step

_STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.55 Georgia, 'Times New Roman', serif; max-width: 46rem; margin: 3rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h1 small { display: block; font-size: 1rem; font-weight: normal; opacity: .75; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } }
"""
_ARTICLE_STYLE = """
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.claims { overflow-x: auto; margin: .6rem 0 .6rem 1.5rem; } .claims table { border-collapse: collapse; }
.claims td { padding: .22rem .35rem; vertical-align: middle; } .claims td:first-child { text-align: right; }
.claims td.more { padding-left: 2rem; } .claims { line-height: 2; } p { overflow-wrap: break-word; }
.note { font: 13px/1.4 system-ui, sans-serif; opacity: .8; }
.ok { color: #00734d; } .bad { color: #b3261e; font-weight: 600; }
.kind { font: 12px system-ui, sans-serif; border: 1px solid currentColor; border-radius: 1em;
  padding: .05em .6em; opacity: .75; }
.three { border-left: 3px solid #33658a; padding-left: 1rem; } footer { margin-top: 3rem; }
@media (prefers-color-scheme: dark) { .ok { color: #54d6a5; } .bad { color: #ff8a80; } }
"""
_ARTICLE_STYLE += f"math {{ font-family: {FONTS}; font-size-adjust: 0.48; }}\n"


def page(d: Path) -> str:
    """The page; it needs no network, no script and no font file."""
    title = d.title
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        f"<title>{_escape(title)}: a derivation</title>\n<style>{_STYLE}{_ARTICLE_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_escape(title)}<small>{_escape(subtitle(d))}</small></h1>\n"
        + article(d)
        + "\n</body>\n</html>\n"
    )


def subtitle(d: Path) -> str:
    """The route of the derivation and the number of verified steps."""
    done = sum(s.verified for s in d.steps)
    return f"derived along the {d.route} route; {done} of {len(d.steps)} steps verified"


def article(d: Path) -> str:
    """The body below the title, for embedding in another page."""
    return "\n".join([_opening(d), _steps(d), _end(d)])


def folded(d: Path) -> str:
    """The derivation for a notebook: the steps fold out, the equations and the algorithm are shown."""
    return (
        f"<style>.odescent-derivation {{ {_ARTICLE_STYLE} }}</style>\n<article class=odescent-derivation>\n"
        f"<p><b>{_escape(d.title)}</b>, {_escape(subtitle(d))}</p>\n{_opening(d)}\n"
        f"<details><summary>The {len(d.steps)} steps</summary>\n{_steps(d)}\n</details>\n{_end(d)}\n</article>"
    )


def _opening(d: Path) -> str:
    return f"<p>{_prose(d.summary)}</p>\n{_notation(d)}"


def _steps(d: Path) -> str:
    return "\n".join(_step(number, step) for number, step in enumerate(d.steps, 1))


def _end(d: Path) -> str:
    footer = f"<footer class=note>{_escape(d.provenance)} {_references(d)}</footer>"
    return "\n".join([_equations(d), _algorithm(d), footer])


def _escape(words: str) -> str:
    return html.escape(words, quote=False)


def _prose(statement: str) -> str:
    parts = re.split(r"\$([^$]*)\$", statement)
    return "".join(_inline(p) if i % 2 else _escape(p) for i, p in enumerate(parts))


def _inline(source: str) -> str:
    """A formula in running text; a long one in pieces, between which the browser may break the line."""
    pieces = terms(source) if width(source) > 12 else [source]
    return "<wbr>".join([mathml(pieces[0]), *(mathml("{} " + p) for p in pieces[1:])])


def _rows(pairs: list[tuple[str, str]]) -> str:
    rows = ""
    for left, right in pairs:
        first, *rest = [right] if r"\begin" in right else broken(right, 58, 56)
        rows += f"<tr><td>{mathml(left)}<td>=<td>{mathml(first)}"
        rows += "".join(f"<tr><td><td><td class=more>{mathml('{} ' + line)}" for line in rest)
    rows = rows.replace("<math ", '<math displaystyle="true" ')
    return f"<div class=claims><table>{rows}</table></div>"


def _notation(d: Path) -> str:
    if not d.notation:
        return ""
    said = "; ".join(f"{mathml(tex)} {_prose(meaning)}" for tex, meaning in d.notation)
    return f"<p class=note>Notation: {said}.</p>"


def _step(number: int, step: Step) -> str:
    label = KIND_LABELS[step.kind]
    badge = f" <span class=kind>{_escape(label)}</span>" if label else ""
    count = len(step.equations)
    if step.verified:
        status = f"<span class=ok>✓ {quantity(count, 'residual')} identically zero</span>"
    else:
        status = f"<span class=bad>not verified: residual {_escape(text(step.residual))}</span>"
    notes = [
        status,
        f"assumes {_prose(step.assumes)}" if step.assumes else "",
        _escape(step.reference),
    ]
    return (
        f"<h2>{number}. {_escape(step.title)}{badge}</h2>\n<p>{_prose(step.statement)}</p>\n"
        + _rows([(c.tex or symbol_latex(c.name), latex(c.value)) for c in step.claims])
        + f'\n<p class=note title="{html.escape("; ".join(step.equations))}">'
        + "; ".join(n for n in notes if n)
        + "</p>"
    )


def _equations(d: Path) -> str:
    items = []
    for name, equation in d.equations.items():
        small = "h" if d.algorithm.small is None else latex(d.algorithm.small)
        said = in_small_steps(d, f"{name}: {EQUATIONS_LATEX[name]}", small)
        said = said.replace(f"{small} -> 0", rf"${small} \to 0$")
        items.append(f"<p class=note>{_prose(said)}</p>{_flow(equation)}")
    return f"<h2>{equations_title(d)}</h2>\n<div class=three>" + "".join(items) + "</div>"


def _flow(equation: SecondOrder | System | ModifiedEquation) -> str:
    if isinstance(equation, SecondOrder):
        lines = "<br>".join(mathml("{} " + line) for line in broken(equation.latex(), 62, 60))
        return f"<div class=claims>{lines}</div>".replace("<math ", '<math displaystyle="true" ')
    drift = equation.drift
    return _rows([(rf"\dot{{{symbol_latex(str(s))}}}", latex(e)) for s, e in drift.items()])


def _algorithm(d: Path) -> str:
    rows = re.findall(r"^(.*?) &= (.*?)(?: \\\\)?$", program_latex(d.algorithm), re.MULTILINE)
    return "<h2>Algorithm</h2>\n<p>For <i>k</i> = 0, 1, 2, …</p>\n" + _rows(rows)


def _references(d: Path) -> str:
    from ..._support.citations import reference_line

    return " ".join(_escape(reference_line(k)) for k in d.references)
