"""The text of a loop with a guard and a limit, in Python."""

from __future__ import annotations

import json
from textwrap import shorten

from ...programs.guards import PLAIN
from ..lowering.statements import LoopLet
from ..printing.lines import indented, wrapped
from ..printing.printer import Printer

_SAID = 50  # characters of a guard in a message


def loop_lines(
    s: LoopLet, scalars: Printer, body: list[str], moved: list[str], indent: str = "    "
) -> list[str]:
    """The loop, whose names have their first values already; where it does not end, `_unended` of the module.

    Args:
        s: the loop.
        scalars: prints numbers.
        body: the lines of an iteration, a level deeper than the loop.
        moved: lines that give the names their next values, a level deeper.
        indent: of the loop.

    Returns:
        lines of source.
    """
    n, limit, deeper = s.count.name, scalars.scalar(s.limit), indent + "    "
    begun, counted = [f"{indent}{n} = 0.0"], [f"{deeper}{n} += 1.0", *body]
    if s.until is None:
        return [*begun, f"{indent}while {n} < {limit}:", *counted, *moved]
    compared = []
    for c in s.until.comparisons:
        left, right = map(scalars.scalar, c.expressions)
        compared.append(f'({left}, "{PLAIN[not c.strict]}", {right})')
    said = json.dumps(shorten(s.said, _SAID, placeholder=" ..."))
    return [
        *begun,
        f"{indent}while True:",
        *counted,
        f"{deeper}if {s.until.written(scalars.scalar, PLAIN)}:",
        *indented(moved),
        f"{deeper}    break",
        f"{deeper}if {n} >= {limit}:",
        *wrapped("raise _unended", [said, n, *compared], "", deeper + "    "),
        *moved,
    ]
