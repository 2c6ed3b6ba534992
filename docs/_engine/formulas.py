"""Formulas of a page as MathML."""

from __future__ import annotations

import html as entities
import re

from odescent._support.rendering.mathml import mathml

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)


def with_mathml(html: str, where: str) -> str:
    """The page with the formulas that arithmatex marked as MathML."""

    def formula(found: re.Match[str]) -> str:
        source = entities.unescape(found[3]).strip()
        block = found[2] == "["
        try:
            made = mathml(source, display=block)
        except Exception as error:
            raise SystemExit(f"{where}: the formula {source!r} cannot be set: {error}.") from error
        return f"<div class=formula>{made}</div>" if block else made

    made = _FORMULA.sub(formula, html)
    if "$$" in re.sub(r"<(pre|code)\b.*?</\1>", "", made, flags=re.DOTALL):
        raise SystemExit(f"{where}: a formula between $$ stands in a paragraph of its own.")
    return made
