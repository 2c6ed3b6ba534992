"""The explorer in a real browser without a window, driven as a person would; skipped where there is none."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odescent._cli.commands import explore as cmd_explore
from odescent.cli import app

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
# Move one slider by a key, and wait for the other picture, and where it is part of the algorithm for its numbers:
# milliseconds from the key to the picture in the page.
MOVE = """async ([label, key, emitted]) => {
  const roots = [...document.querySelectorAll('marimo-slider')].map(s => s.shadowRoot ?? s);
  const slider = roots.find(r => r.textContent.includes(label)).querySelector('[role=slider]');
  const seen = () => document.querySelector('#odescent-view svg').outerHTML;
  const code = () => document.querySelector('#odescent-settings').textContent;
  const [picture, text] = [seen(), code()];
  slider.focus();
  const began = performance.now();
  slider.dispatchEvent(new KeyboardEvent('keydown', {key, code: key, bubbles: true}));
  const wait = async (changed) => {
    while (!changed() && performance.now() - began < 10000) await new Promise(r => setTimeout(r, 1));
    return performance.now() - began;
  };
  const took = await wait(() => seen() !== picture);
  if (emitted) await wait(() => code() !== text);
  return [took, seen() !== picture, code() !== text];
}"""


@pytest.fixture
def browser():
    """A page of a headless Chromium that notes whom it asks for anything."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("marimo", reason="marimo is not installed")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium on the path")
    with api.sync_playwright() as started:
        running = started.chromium.launch(executable_path=found, args=FLAGS)
        yield running.new_page(viewport={"width": 1500, "height": 950})
        running.close()


@pytest.fixture
def explorer(tmp_path: Path, request: pytest.FixtureRequest):
    """The address of an explorer on a free port of this machine, begun with the parameter's arguments."""
    asked = ["explore", *getattr(request, "param", ()), "--no-browser", "--port", "0", "--json"]
    command = [sys.executable, "-m", "odescent", *asked]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, f"the explorer ended with {process.wait()}"
            text += line
        said = json.loads(text)
        assert said["schema"] == "odescent.explore/1"
        yield said["url"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def opened(browser, address: str) -> None:
    """All of the page at that address: its cells arrive one by one, and its formulas are set later."""
    browser.goto(address)
    for part in ("#odescent-code", "#odescent-settings pre", "#odescent-view svg circle"):
        browser.locator(part).first.wait_for(timeout=60_000)
    browser.locator(".katex").nth(1).wait_for(state="attached")
    browser.locator("marimo-slider [role=slider]").first.wait_for(state="attached")


def test_a_slider_changes_the_picture_and_the_code(browser, explorer: str):
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    opened(browser, explorer)
    assert "def step(state: State" in browser.locator("#odescent-code").inner_text()
    assert browser.locator("#odescent-view svg circle").count() > 40
    numbers = "s => getComputedStyle((s.shadowRoot ?? s).querySelector('.text-xs')).whiteSpace"
    inside = browser.evaluate(f"[...document.querySelectorAll('marimo-slider')].map({numbers})")
    assert set(inside) == {"nowrap"}  # 1.0e-5 is not broken at its hyphen
    before = browser.locator("#odescent-settings pre").inner_text()
    assert "L = 10, mu = 1" in before
    _, pictured, emitted = browser.evaluate(MOVE, ["L", "ArrowRight", True])
    assert pictured
    assert emitted
    assert browser.locator("#odescent-settings pre").inner_text() != before
    outside = [u for u in asked if not u.startswith((explorer, "data:", "blob:"))]
    assert not [u for u in outside if "//" in u and "127.0.0.1" not in u], outside


def choose(browser, label: str, name: str) -> None:
    """Choose a name in the menu with that label, as a person does: by typing, where it can be searched."""
    menus = browser.locator("marimo-dropdown").filter(
        has=browser.locator(f".paragraph:text-is('{label}')")
    )
    menu = menus.locator("select:visible, button:visible")
    if menu.evaluate("m => m.tagName") == "SELECT":
        menu.select_option(name)
        return
    menu.click()
    browser.keyboard.type(name)
    browser.get_by_role("option", name=name, exact=True).click()


def seen(browser) -> tuple[str, str, set[str]]:
    """The picture, the code with its numbers, and the names on the sliders."""
    names = "s => (s.shadowRoot ?? s).querySelector('.paragraph').textContent"
    return (
        browser.locator("#odescent-view svg").inner_html(),
        browser.locator("#odescent-code").inner_text()
        + browser.locator("#odescent-settings").inner_text(),
        set(browser.evaluate(f"[...document.querySelectorAll('marimo-slider')].map({names})")),
    )


def changed(
    browser, before: tuple[str, str, set[str]], slider: str, says: str
) -> tuple[str, str, set[str]]:
    """What is seen once the picture is another, there is a slider with that name and the code says that.

    Cells change one by one (picture, sliders, numbers, code), so that all of it is waited for.
    """
    for _ in range(600):
        now = seen(browser)
        if now[0] != before[0] and now[1] != before[1] and slider in now[2] and says in now[1]:
            return now
        browser.wait_for_timeout(50)
    raise AssertionError(f"no {slider!r} in {now[2]}, no {says!r} in {now[1]}, or nothing changed")


def test_another_method_scheme_or_objective_is_another_picture_code_and_sliders(
    browser, explorer: str
):
    opened(browser, explorer)
    nesterov = seen(browser)
    assert "curvature λ" in nesterov[2] and not {"h", "c", "start x₂"} & nesterov[2]

    choose(browser, "method", "conformal_heavy_ball")
    conformal = changed(browser, nesterov, "c", "odescent emit conformal_heavy_ball")
    heading = browser.locator("#odescent-title").filter(has_text="Conformal symplectic heavy ball")
    heading.wait_for(timeout=30_000)
    assert {"h", "c", "curvature λ"} <= conformal[2]

    choose(browser, "scheme", "rk4")
    fourth = changed(browser, conformal, "c", "rk4: all tableau")
    assert fourth[2] == conformal[2]

    choose(browser, "objective", "rosenbrock")
    valley = changed(browser, fourth, "start x₂", "rk4: all tableau")
    assert "curvature λ" not in valley[2]
    axes = browser.locator("#odescent-view svg .name").all_text_contents()
    assert axes[:2] == ["x₁", "x₂"]
    assert browser.locator("marimo-callout-output, .text-error").count() == 0


def test_a_menu_forgets_its_last_search_and_the_page_says_what_it_computes(browser, explorer: str):
    opened(browser, explorer)
    nesterov = seen(browser)
    choose(browser, "method", "conformal_heavy_ball")
    browser.locator(".odescent-busy").filter(
        has_text="computing conformal_heavy_ball"
    ).first.wait_for()
    changed(browser, nesterov, "c", "odescent emit conformal_heavy_ball")
    browser.locator(".odescent-busy").first.wait_for(state="detached", timeout=60_000)
    browser.locator("marimo-dropdown").first.locator("button:visible").click()
    assert browser.locator("[cmdk-input]").input_value() == ""
    browser.keyboard.type("nest")
    assert browser.get_by_role("option", name="nesterov_sc", exact=True).is_visible()


def test_texts_of_ones_own_are_shown_linked_and_saved(browser, explorer: str):
    opened(browser, explorer)
    function = browser.locator("marimo-text-area textarea").nth(1)
    function.fill("x^4/4 + os")
    browser.get_by_role("button", name="use this function").click()
    browser.locator("#odescent-own").filter(has_text="'os' is not a variable").wait_for()
    function.fill("x^4/4 + (y - 1)^2")
    browser.get_by_role("button", name="use this function").click()
    browser.locator("#odescent-link[href*='function=x%5E4']").wait_for(timeout=60_000)
    axes = browser.locator("#odescent-view svg .name").all_text_contents()
    assert axes[:2] == ["x₁", "x₂"]
    picture = browser.locator("#odescent-view svg").inner_html()
    with browser.expect_download() as saved:
        browser.locator("marimo-download").nth(2).locator("button, a").first.click()
    assert saved.value.suggested_filename.endswith("_on_your_own_function.csv")
    link = browser.locator("#odescent-link").get_attribute("href")
    opened(browser, explorer + link)
    assert browser.locator("#odescent-view svg").inner_html() == picture
    opened(browser, explorer + "?method=/etc/passwd")
    assert "no method in a link" in browser.locator("#odescent-refusal").inner_text()


def test_files_are_opened_in_the_boxes(browser, explorer: str, tmp_path: Path):
    """Its text stands in the box, to be read before it is used; what is no text is refused there."""
    opened(browser, explorer)
    own = tmp_path / "own.ode"
    own.write_text(
        "blocks x\nobjective f\nfield all: x' = -2*grad f(x)\noutput x\n", encoding="utf-8"
    )
    picks = browser.locator("marimo-file input[type=file]")
    boxes = browser.locator("marimo-text-area textarea")
    picks.nth(0).set_input_files(own)
    for _ in range(600):
        if "-2*grad f(x)" in boxes.nth(0).input_value():
            break
        browser.wait_for_timeout(50)
    assert boxes.nth(0).input_value() == own.read_text(encoding="utf-8")
    browser.get_by_role("button", name="use this system").click()
    browser.locator("#odescent-link[href*='grad+f']").wait_for(timeout=60_000)
    junk = tmp_path / "junk.txt"
    junk.write_bytes(b"\xff\xfe\x00")
    picks.nth(1).set_input_files(junk)
    browser.get_by_text("the file is not UTF-8 text").wait_for(timeout=60_000)


@pytest.mark.parametrize("explorer", [("heavy_ball", "--x0", "1500")], indirect=True)
def test_a_long_number_leaves_its_slider_as_long_as_the_others(browser, explorer: str):
    opened(browser, explorer)
    ends = """() => [...document.querySelectorAll('marimo-slider')].map(s => s.shadowRoot ?? s)
        .filter(s => s.querySelector('[role=slider]').getBoundingClientRect().width)
        .map(s => [s.querySelector('.text-xs').textContent, s.querySelector('.text-xs').getBoundingClientRect().x])"""
    found = dict(browser.evaluate(ends))
    assert "1,500" in found and len(set(found.values())) == 1


@pytest.mark.parametrize("explorer", [("cbo", "--objective", "rastrigin")], indirect=True)
def test_sliders_of_particles_change_the_ensemble(browser, explorer: str):
    opened(browser, explorer)
    title = browser.locator("#odescent-view svg .title").first
    assert title.text_content() == "40 particles and their consensus point"
    for label in ("particles", "σ", "width of the start", "seed of the noise"):
        _, pictured, emitted = browser.evaluate(MOVE, [label, "ArrowRight", label == "σ"])
        assert (pictured, emitted) == (True, label == "σ"), label
    assert title.text_content() == "41 particles and their consensus point"
    assert browser.locator("#odescent-view svg circle[r='3.4']").count() == 41
    assert browser.locator("marimo-callout-output, .text-error").count() == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--port", "99999"], "--port must be at most 65535"),
        (["--port", "web"], "--port must be a whole number"),
        (["--port", "0", "--host", "300.1.1.1"], "cannot listen on 300.1.1.1"),
        (["nestrov", "--port", "0"], "did you mean 'nesterov'"),
        (["nothing.ode", "--port", "0"], "'nothing.ode' does not exist"),
    ],
)
def test_bad_input_gets_a_sentence(arguments: list[str], part: str):
    pytest.importorskip("marimo", reason="marimo is not installed")
    done = CliRunner().invoke(app, ["explore", "--no-browser", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_marimo_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cmd_explore.importlib.util, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["explore", "--no-browser"])
    assert done.exit_code == 2
    assert "needs marimo, which is not installed" in done.stderr
    assert "pip install 'marimo>=0.25' 'uvicorn>=0.30'" in done.stderr


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.1.2", False),
        ("fe80::1%eth0", False),
    ],
)
def test_only_what_others_cannot_reach_goes_without_a_token(address: str, alone: bool):
    assert cmd_explore._loopback(address) is alone


@pytest.mark.parametrize(
    "explorer", [("heavy_ball", "--objective", "himmelblau", "--x0", "-1,0")], indirect=True
)
def test_the_picture_is_turned_and_says_eigenvalues(browser, explorer: str):
    """By its button; the frame holds the surface, answers the pointer, and goes when a slider moves."""
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    opened(browser, explorer)
    browser.get_by_role("button", name="turn the picture").click()
    frame = browser.frame_locator("#odescent-turned iframe")
    frame.locator("canvas").wait_for(timeout=60_000)
    assert (
        "iterates" in frame.locator("#b").inner_text()
        or "Heavy" in frame.locator("#b").inner_text()
    )
    inside = next(f for f in browser.frames if f.evaluate("typeof seen") == "object")
    before = inside.evaluate("JSON.stringify(seen.map(s => s[0]))")
    frame.locator("canvas").press("ArrowLeft")
    assert inside.evaluate("JSON.stringify(seen.map(s => s[0]))") != before
    x, y = inside.evaluate("seen[seen.length - 1][0].slice(0, 2)")
    frame.locator("canvas").hover(position={"x": x, "y": y})
    said = frame.locator("#t").inner_text()
    assert "multipliers" in said
    assert "of f, f =" in said
    browser.evaluate(MOVE, ["steps", "ArrowRight", False])
    browser.locator("#odescent-turned").wait_for(state="detached")
    assert not [
        u
        for u in asked
        if "//" in u and "127.0.0.1" not in u and not u.startswith(("data:", "blob:"))
    ]
