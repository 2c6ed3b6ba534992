"""Moves of a slider in the explorer, in a headless Chromium: milliseconds from the key to the other picture.

    python benchmarks/explorer_moves.py [--moves 30] [--json]

Each page is opened once and its first two moves are left out, so that nothing is compiled in those that count. The
page says how much of a move the view took; the rest is transport and the browser. Needs playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGES = {
    "nesterov_sc on one mode": (["nesterov_sc"], "L"),
    "heavy_ball on lessard_recht_packard": (
        ["heavy_ball", "--objective", "lessard_recht_packard", "--x0", "3.3"], "L",
    ),
    "gradient_descent on himmelblau": (["gradient_descent", "--objective", "himmelblau"], "start x₁"),
    "cbo on ackley": (["cbo", "--objective", "ackley", "--x0", "2,2"], "σ"),
}  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MOVE = """async ([label, key]) => {
  const roots = [...document.querySelectorAll('marimo-slider')].map(s => s.shadowRoot ?? s);
  const slider = roots.find(r => r.textContent.includes(label)).querySelector('[role=slider]');
  const seen = () => document.querySelector('#odescent-view svg').outerHTML;
  const picture = seen();
  slider.focus();
  const began = performance.now();
  slider.dispatchEvent(new KeyboardEvent('keydown', {key, code: key, bubbles: true}));
  while (seen() === picture && performance.now() - began < 10000) await new Promise(r => setTimeout(r, 1));
  return [performance.now() - began, parseFloat(document.querySelector('#odescent-time').textContent)];
}"""


def measured(browser: Any, arguments: list[str], label: str, moves: int) -> list[list[float]]:
    """Milliseconds of each move, and those that its view took.

    Args:
        browser: a Chromium of playwright's.
        arguments: of `odescent explore`.
        label: of the slider that is moved.
        moves: how many.
    """
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "odescent", "explore", *arguments]
    command += ["--no-browser", "--port", "0", "--json"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": paths}
        ) as server,
    ):  # fmt: skip
        assert server.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += server.stdout.readline()
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.goto(json.loads(said)["url"])
        page.locator("#odescent-view svg circle").first.wait_for(timeout=60_000)
        page.locator("marimo-slider [role=slider]").first.wait_for(state="attached")
        page.locator(".katex").nth(1).wait_for(state="attached")
        keys = ["ArrowRight", "ArrowLeft"] * (moves // 2 + 1)
        found = []
        for key in ["ArrowRight", "ArrowRight", *keys[:moves]]:
            found.append(page.evaluate(MOVE, [label, key]))
            page.wait_for_timeout(300)  # the other cells of this move
        page.close()
        server.send_signal(signal.SIGINT)
        return found[2:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.moves < 1:
        parser.error("moves must be at least 1.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        parser.error("this needs playwright: pip install playwright")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        parser.error("this needs a Chromium on the path.")
    rows = {}
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=found, args=["--headless", "--no-sandbox"]
        )
        for name, (arguments, label) in PAGES.items():
            taken = measured(browser, arguments, label, given.moves)
            whole, view = (sorted(column) for column in zip(*taken, strict=True))
            most = whole[max(0, round(0.9 * len(whole)) - 1)]
            rows[name] = {
                "median": statistics.median(whole), "90 %": most, "view": statistics.median(view),
            }  # fmt: skip
        browser.close()
    load = os.getloadavg()[0]
    if given.json:
        print(json.dumps({"milliseconds": rows, "moves": given.moves, "load": load}, indent=1))
        return
    print(f"{given.moves} moves each, milliseconds; {os.cpu_count()} cores, load {load:.1f}")
    print(f"{'page':<38}{'median':>8}{'90 %':>8}{'view':>8}")
    for name, row in rows.items():
        print(f"{name:<38}" + "".join(f"{v:8.0f}" for v in row.values()))


if __name__ == "__main__":
    main()
