"""BibTeX: every key in the registries resolves, every entry is well formed."""

from __future__ import annotations

import re

import pytest
from package_files import ROOT, modules

import odescent as od
from odescent._support.citations import keys, reference_line, short_reference
from odescent.discretize.routes import REGISTRY


@pytest.mark.parametrize("key", keys())
def test_entries_are_well_formed(key: str) -> None:
    entry = od.cite(key)
    head = re.match(r"@([a-z]+)\{([a-z0-9]+),\n", entry)
    assert (
        head
        and head[2] == key
        and head[1] in {"article", "book", "misc", "inproceedings", "techreport", "phdthesis"}
    )
    depth = 0
    for letter in entry:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0 and entry.endswith("\n}")
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.MULTILINE))
    required = {
        "article": {"author", "title", "journal", "year"}, "book": {"author", "title", "publisher", "year"},
        "misc": {"author", "title", "year"}, "inproceedings": {"author", "title", "booktitle", "year"},
    }.get(head[1], set())  # fmt: skip
    assert required <= set(fields) and all(value.strip() for value in fields.values())
    assert re.fullmatch(r"(1[89]|20)\d\d", fields["year"]) and fields["year"] in key
    # a range with an en dash, or the number of an article
    assert re.fullmatch(r"[\w:]+(--[\w:]+)?", fields.get("pages", "1"))
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/x"))


def test_every_entry_of_the_file_is_read_and_used() -> None:
    text = (ROOT / "odescent" / "_support" / "citations.bib").read_text(encoding="utf-8")
    assert (
        "\n\n".join(od.cite(k) for k in re.findall(r"^@\w+\{(\w+)", text, re.MULTILINE)) + "\n"
        == text
    )
    assert text.count("@") == len(keys())
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules().values())
    assert [k for k in keys() if not re.search(rf"\b{k}\b", code)] == []


@pytest.mark.parametrize("key", keys())
def test_lines_are_text_without_latex(key: str) -> None:
    line = reference_line(key)
    assert not set(line) & set("\\{}$~") and "--" not in line
    assert line.startswith(short_reference(key)[: -len(" 2000")])


def test_lines_have_accents_and_symbols() -> None:
    assert reference_line("chiang1987").startswith(
        "Chiang et al., Diffusion for Global Optimization in R^n (1987), doi:"
    )
    assert "Méthode générale pour la résolution" in reference_line("cauchy1847")
    assert short_reference("franca2020") == "França et al. 2020"


def test_every_key_in_the_registries_resolves() -> None:
    algorithms = [od.algorithm(n) for n in od.algorithms()]
    used = {a.reference for a in algorithms} | {
        k for n in od.systems() for k in od.system(n).references
    }
    used |= {k for name in REGISTRY.names() for k in REGISTRY.build(name).references}
    assert used - {""} <= set(keys())


def test_citing_collects_without_repeating() -> None:
    derivation = od.derive("nesterov")
    cited = od.cite(derivation)
    found = re.findall(r"^@\w+\{(\w+),", cited, re.MULTILINE)
    assert set(derivation.references) <= set(found) and len(found) == len(set(found))
    assert od.cite(od.algorithm("nesterov")).count("@") == len(
        {"nesterov2004", *od.system("nesterov_sc").references}
    )


def test_unknown_things() -> None:
    with pytest.raises(od.OdescentError, match="did you mean 'nesterov1983'"):
        od.cite("nesterov1938")
    with pytest.raises(od.OdescentError, match="has no known reference"):
        od.cite(od.blocks("x"))
