"""What a built site must be: every link inside leads somewhere, and no page loads anything from another machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors, the links and the loaded files of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag names, links to and loads; a page inside of the page too."""
        for name, value in attrs:
            if not value:
                continue
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)
            elif name in ("src", "poster", "data") or (tag, name) == ("link", "href"):
                self.loaded.append(value)
            elif name == "srcdoc":
                self.loaded += Page(value).loaded


def faults(site: Path) -> Iterator[str]:
    """The broken links and the remote requests of a site, one sentence each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site)
        for target in page.loaded:
            if target.startswith(("http:", "https:", "//")):
                yield f"{where} loads {target} from another machine"
        for target in (*page.links, *page.loaded):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            anchors = pages[there].anchors | {"__top"} if there in pages else None
            if not there.is_file() or (
                parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors
            ):
                yield f"{where} links to {target}, which does not exist"
    for sheet in sorted(site.rglob("*.css")):
        if re.search(r"url\([\"']?(https?:)?//", sheet.read_text(encoding="utf-8")):
            yield f"{sheet.relative_to(site)} loads a file from another machine"
