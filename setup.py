"""What pyproject.toml cannot say: the addresses, the README as a package index shows it, the links in the sdist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LABELS = {"repository": "Repository", "documentation": "Documentation", "issues": "Issues"}
_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")
_PICTURE = re.compile(r"<!-- picture -->\n(.*?)<!-- /picture -->\n\n?", re.DOTALL)


def addresses() -> dict[str, str]:
    """The addresses of the project by what they are of; none is empty."""
    read = tomllib.loads((ROOT / "addresses.toml").read_text(encoding="utf-8"))
    return {name: address for name, address in read.items() if address}


def urls(known: dict[str, str]) -> dict[str, str]:
    """The addresses that the metadata of a distribution has, by their labels."""
    return {label: known[name] for name, label in LABELS.items() if name in known}


def readme(text: str, known: dict[str, str], version: str) -> str:
    """The README as it reads away from the tree: links and pictures have whole addresses, or are left out.

    Args:
        text: the README.
        known: the addresses, as `addresses` gives them.
        version: the version of the distribution.

    Returns:
        The text, with a line of addresses below its title. Without an address for pages a link is its words; without
        one for files, what stands between the marks of a picture is left out.
    """

    def whole(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        pattern = known.get("file" if picture else "page")
        if pattern is None:
            return words
        return f"{picture}[{words}]({pattern.format(version=version, path=target)})"

    if "file" not in known:
        text = _PICTURE.sub("", text)
    text = _LINK.sub(whole, text)
    places = " · ".join(f"[{label}]({address})" for label, address in urls(known).items())
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{places}\n{rest}" if places else text


if __name__ == "__main__":
    from setuptools import setup
    from setuptools.command.sdist import sdist

    class SdistWithLinks(sdist):  # type: ignore[misc]  # without types where mypy has no setuptools
        """An sdist in which the folders are importable inside the package, as in the repository."""

        def make_release_tree(self, base_dir: str, files: list[str]) -> None:
            """Copy the files, and make the links odescent/NAME -> ../NAME."""
            super().make_release_tree(base_dir, files)
            for link in (ROOT / "odescent").iterdir():
                there = Path(base_dir, "odescent", link.name)
                if link.is_symlink() and not there.is_symlink():
                    there.symlink_to(link.readlink())

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = addresses()
    setup(
        cmdclass={"sdist": SdistWithLinks},
        long_description=readme(
            (ROOT / "README.md").read_text(encoding="utf-8"), known, project["version"]
        ),
        long_description_content_type="text/markdown",
        project_urls=urls(known),
    )
