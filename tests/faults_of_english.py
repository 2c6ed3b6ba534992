"""Faults of English that a program finds: requirements stated as facts, clauses for nouns, long sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_REQUIRED = (
    r"\b(must|can|cannot|needs?|requires?|takes?|gives?|give|expected|wanted|there (is|are))\b"
)
_RULES = {
    "a fact for a requirement": (
        r"\b(is|are|lies?|goes?|holds?) [^;:]*(, not|, not (from|over|of|by)|; got( the shapes?)?) \{"
    ),
    "a clause for a noun": r"\bwhat (is|was|are|has|had|it|they|the)\b",
    "about": r"\b(is|are) (all )?about\b",
    "a riddle": r"\b(is|are) (none|one|not) of (it|them)\b|\bis none\b|(?<!there )\bis no [a-z]+ of\b",
}
_RAISED = ("Error", "error", "Carried", "Certificate", "Consistent", "Failed")
LONGEST = 60  # words of a sentence


def in_message(text: str) -> list[str]:
    """The faults of a message, in which each inserted value is written {}."""
    found = [name for name, rule in _RULES.items() if re.search(rule, text)]
    if re.search(_REQUIRED, text):
        found = [name for name in found if name != "a fact for a requirement"]
    return found


def messages(source: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each message that a module raises, or hands to an exception, as a literal."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name, text = ast.unparse(node.func).rpartition(".")[2], _literal(node.args[0])
            if text is not None and name.endswith(_RAISED):
                yield node.lineno, text


def _literal(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return None


def sentences(markdown: str) -> list[str]:
    """The sentences of a page outside of code, tables and headings; a formula counts as one word."""
    for out in (r"^```.*?^```", r"<!--.*?-->", r"^\|.*?$", r"^#.*?$", r"^!\[.*?$"):
        markdown = re.sub(out, "\n\n", markdown, flags=re.DOTALL | re.MULTILINE)
    for one in (r"\$\$.*?\$\$", r"\$[^$\n]*\$", r"`[^`]*`"):
        markdown = re.sub(one, "F", markdown, flags=re.DOTALL)
    markdown = re.sub(r"\]\([^)]*\)", "]", markdown)
    blocks = re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", markdown)
    return [
        s
        for b in blocks
        for s in re.split(r"(?<=[.?!:])[)\"*]*\s+(?=[(\"*\[]*[A-Z])", " ".join(b.split()))
    ]


def long_ones(markdown: str) -> list[str]:
    """The sentences of a page with more than LONGEST words."""
    return [s for s in sentences(markdown) if len(re.findall(r"[A-Za-z][\w'-]*", s)) > LONGEST]
