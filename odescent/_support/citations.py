"""BibTeX entries of the literature behind a result, also as lines of text; the source is `citations.bib`."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from .errors import OdescentError, check_choice, shown


@cache
def _entries() -> dict[str, str]:
    """The text of each entry, which ends with a brace on a line of its own, by its key."""
    text = Path(__file__).with_name("citations.bib").read_text(encoding="utf-8")
    return {
        found[2]: found[1] for found in re.finditer(r"(@\w+\{(\w+),\n.*?\n\})", text, re.DOTALL)
    }


def _fields(key: str) -> dict[str, str]:
    """The fields of an entry, one to a line; OdescentError for a key that is not known."""
    check_choice("reference", key, _entries())
    return dict(re.findall(r"^  (\w+) = \{(.*)\},?$", _entries()[key], re.MULTILINE))


def keys() -> list[str]:
    """The known citation keys."""
    return sorted(_entries())


def cite(thing: Any) -> str:
    """BibTeX entries for the sources of a system, an algorithm or a derivation, or for one citation key.

    Raises OdescentError for an unknown key (naming the nearest) or an object without references.
    """
    entries = _entries()
    if isinstance(thing, str):
        check_choice("citation key", thing, entries)
        wanted = [thing]
    else:
        wanted = [*getattr(thing, "references", ()), getattr(thing, "reference", "")]
        system = getattr(thing, "system", None)
        wanted += [*getattr(system, "references", ())]
    known = [entries[k] for k in dict.fromkeys(wanted) if k in entries]
    if not known:
        raise OdescentError(f"{shown(thing)} has no known reference.")
    return "\n\n".join(known)


def short_reference(key: str) -> str:
    """One reference as cited in running text: authors and year."""
    entry = _fields(key)
    return f"{_authors(entry)} {entry['year']}"


def reference_line(key: str) -> str:
    """One reference as a line: authors, title, year, DOI or arXiv number."""
    entry = _fields(key)
    places = [
        f", {name}:{entry[k]}" for k, name in (("doi", "doi"), ("eprint", "arXiv")) if k in entry
    ]
    return f"{_authors(entry)}, {_plain(entry['title'])} ({entry['year']}){''.join(places[:1])}."


def _authors(entry: dict[str, str]) -> str:
    names = [_plain(a.split(",")[0]) for a in entry["author"].split(" and ")]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


_ACCENTS = {
    "'": "\N{COMBINING ACUTE ACCENT}",
    "`": "\N{COMBINING GRAVE ACCENT}",
    "^": "\N{COMBINING CIRCUMFLEX ACCENT}",
    "c ": "\N{COMBINING CEDILLA}",
}


def _plain(field: str) -> str:
    """A field of BibTeX as text: accents, dashes, and R^n for the Euclidean space."""
    accented = re.sub(r"\\(c |['`^])(\w)", lambda m: m[2] + _ACCENTS[m[1]], field)
    bare = re.sub(r"[{}$]|\\mathbb", "", accented).replace("--", "–")
    return unicodedata.normalize("NFC", bare)
