"""LaTeX as MathML that browsers space as TeX does."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

# Fonts with a table for mathematics, which brackets and roots need to grow; "math" alone is often none.
FONTS = "'Latin Modern Math', 'STIX Two Math', 'Cambria Math', 'DejaVu Math TeX Gyre', math"

_MINUS = "&#x02212;"
_AFTER = "|".join(("=", "&#x0003D;", "&#x02264;", "&#x02265;", "&#x0003C;", "&#x0003E;", "&#x02248;",
                   "&#x00028;", "&#x0005B;", "&#x0007B;", "&#x027E8;", "&#x0002C;", "&#x02192;"))  # fmt: skip
_SIGN = re.compile(rf"(<mo[^>]*>(?:{_AFTER})</mo>)<mo>{_MINUS}</mo>")
# The bars of a norm: as operators between two things they would have space around them, and grow.
_BAR = re.compile(r"<mo[^>]*>&#x0007C;</mo>")
_TIGHT = '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>'
# A prime is raised in the font already: as an exponent it would be raised twice.
_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>(&#x0203[234];)</mi></msup>")
_NAMED = re.compile(r"<mo(?: movablelimits=\"true\")?>([a-z]{2,})</mo>")
# A nabla and a slash have no space around them.
_ORDINARY = re.compile(r"<mo>(&#x02207;|&#x0002F;)</mo>")
_FUNCTION = re.compile(r"(<mi>(?:tanh|coth|cosh|sinh|cos|sin|log|ln)</mi>)(?=<m(?!o\b))")
# A name of several letters beside another factor: thin spaces keep the two apart.
_BEFORE = re.compile(r"(?<=[A-Za-z0-9}]) (?=\\mathrm\{[A-Za-z]{2})")
_BEHIND = re.compile(r"(\\mathrm\{[A-Za-z]{2,}\}) (?=[A-Za-z\\])")


def mathml(source: str, display: bool = False) -> str:
    """A formula, LaTeX without dollar signs, as one `<math>` element, inline or as a block."""
    source = _BEHIND.sub(r"\1\\, ", _BEFORE.sub(r"\\, ", source))
    made = str(convert(source, display="block" if display else "inline"))
    made = _BAR.sub(_TIGHT, made)
    made = _SIGN.sub(rf'\1<mo form="prefix" lspace="0" rspace="0">{_MINUS}</mo>', made)
    made = _PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', made)
    made = _NAMED.sub(r"<mi>\1</mi>", made)
    made = _ORDINARY.sub(r'<mo lspace="0" rspace="0">\1</mo>', made)
    made = made.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")  # distributed as
    return _FUNCTION.sub(r'\1<mspace width="0.167em" />', made)


def displayed(source: str) -> str:
    """A formula as a block; the rows of an aligned environment stand below one another, aligned at the sign."""
    found = re.fullmatch(r"\s*\\begin\{aligned\}\n(.*)\n\\end\{aligned\}\s*", source, re.DOTALL)
    if found is None:
        return mathml(source, display=True)
    rows = "".join(_row(line) for line in found[1].split(" \\\\\n"))
    return f'<math display="block"><mtable displaystyle="true">{rows}</mtable></math>'


def _row(line: str) -> str:
    cells = line.split("&", 1)
    sides = ("right", "left") if len(cells) == 2 else ("left",)
    return f"<mtr>{''.join(_cell(*c) for c in zip(cells, sides, strict=True))}</mtr>"


def _cell(source: str, side: str) -> str:
    """A cell; an empty group before the right side makes a sign there one between two things, with its spaces."""
    made = mathml(f"{{}} {source.strip()}")
    inner = made.removesuffix("</math>").partition(">")[2]
    return f'<mtd style="text-align: {side}; padding: 0.25em 0.1em">{inner}</mtd>'
