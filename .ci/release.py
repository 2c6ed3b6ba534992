"""The release checklist: addresses, version, metadata, citation, sdist and README, on distributions built here.

`make release-check` runs it; what does not hold is listed, and the exit code is 1. With --draft, as in CI, what only a
release needs (addresses, a date in the changelog) is listed and is no failure.
"""

from __future__ import annotations

import argparse
import email
import html.parser
import importlib.util
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = {"PKG-INFO", "setup.cfg"}  # in an sdist, besides the files of the tree


def main() -> int:
    """Check what --draft asks for, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--draft", action="store_true", help="list what only a release needs, and go on"
    )
    draft = parser.parse_args().draft

    later = [*empty_addresses(), *undated()]
    wrong = [*citation()]
    with tempfile.TemporaryDirectory() as made:
        done = run("pyproject-build", "--outdir", made, str(ROOT))
        if done.returncode:
            wrong.append(f"the build fails:\n{done.stdout}{done.stderr}")
        else:
            (wheel,), (sdist,) = Path(made).glob("*.whl"), Path(made).glob("*.tar.gz")
            wrong += [*checked_by_twine(wheel, sdist), *contents(sdist), *shown(wheel)]
    for sentence in later:
        print(f"{'later' if draft else 'MISSING'}: {sentence}")
    for sentence in wrong:
        print(f"WRONG: {sentence}")
    failed = bool(wrong or (later and not draft))
    print("not ready for a release." if failed or later else "ready for a release.")
    return int(failed)


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment with these arguments."""
    program = Path(sys.executable).parent / name
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=ROOT)


def empty_addresses() -> Iterator[str]:
    """The addresses that are not known yet."""
    for name, address in tomllib.loads((ROOT / "addresses.toml").read_text("utf-8")).items():
        if not address:
            yield f"addresses.toml has no address for {name!r}"


def undated() -> Iterator[str]:
    """The changelog and the citation, if they have no date of the version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", log, re.MULTILINE):
        yield f"CHANGELOG.md has no date for {version}"
    if "\ndate-released: " not in (ROOT / "CITATION.cff").read_text("utf-8"):
        yield "CITATION.cff has no date-released"


def citation() -> Iterator[str]:
    """What the validator of citation files objects to."""
    done = run("cffconvert", "--validate", "--infile", "CITATION.cff")
    if done.returncode:
        yield f"CITATION.cff: {done.stdout.strip()} {done.stderr.strip()}"


def checked_by_twine(*files: Path) -> Iterator[str]:
    """What a package index would refuse."""
    done = run("twine", "check", "--strict", *map(str, files))
    if done.returncode:
        yield f"twine: {done.stdout}{done.stderr}"


def contents(sdist: Path) -> Iterator[str]:
    """Tracked files that the sdist lacks, and others that it has."""
    with tarfile.open(sdist) as packed:
        files = {m.name.partition("/")[2] for m in packed.getmembers() if not m.isdir()}
    files = {f for f in files - BUILT if not f.startswith("odescent.egg-info/")}
    git = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT)
    if git.returncode:
        return  # checked from an sdist itself
    tracked = set(git.stdout.splitlines())
    if lacking := sorted(tracked - files):
        yield f"the sdist lacks {', '.join(lacking)}"
    if strange := sorted(files - tracked):
        yield f"the sdist has {', '.join(strange)}, which git does not track"


class Targets(html.parser.HTMLParser):
    """The targets of links and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the target of a tag that has one."""
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def shown(wheel: Path) -> Iterator[str]:
    """What is wrong with the page that an index makes of the wheel: its README, links and addresses."""
    from readme_renderer import markdown

    spec = importlib.util.spec_from_file_location("project_setup", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (n for n in packed.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(packed.read(name))
    urls = dict(value.split(", ", 1) for value in metadata.get_all("Project-URL", []))
    if urls != ours.urls(ours.addresses()):
        yield f"the wheel has the addresses {urls}, which are not those of addresses.toml"
    page = markdown.render(metadata.get_payload(decode=True).decode("utf-8"))
    if not page:
        yield "the README cannot be rendered"
        return
    targets = Targets()
    targets.feed(page)
    for target in targets.found:
        if not target.startswith(("https://", "#")):
            yield f"the README of the wheel points to {target}"


if __name__ == "__main__":
    sys.exit(main())
