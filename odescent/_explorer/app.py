# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""The explorer's page: a marimo app that shows views. All of the computing is in `view`."""

import marimo

app = marimo.App(width="full", app_title="odescent explorer", css_file="page.css")


@app.cell
def _():
    import time

    import marimo as mo

    # marimo runs this file as a program, in no package: a relative import fails
    import odescent._explorer as explorer
    import odescent._explorer.exports as exports
    import odescent._explorer.page as page
    import odescent._explorer.serve as serve
    import odescent._support.errors as errors
    import odescent.discretize.emit as emit

    certified, objectives, options = explorer.certified, explorer.objectives, explorer.options
    schemes, view, first, targets = explorer.schemes, explorer.view, serve.first, emit.targets
    return (
        certified,
        errors,
        exports,
        first,
        mo,
        objectives,
        options,
        page,
        schemes,
        targets,
        time,
        view,
    )


@app.cell
def _(first, mo, page):
    start, refused = page.opened(mo.query_params().to_dict(), first())
    kept = {
        "λ": start.curvature,
        "x₁": start.x0[0],
        "x₂": start.x0[1],
        "steps": start.steps,
        "width": start.width,
        "paths": start.paths,
        "seed": start.seed,
    }
    on = [start.objective]
    own = {
        "system": start.method,
        "function": start.objective,
        "turn": False,
    }  # what is in the menus beside names
    ready: set[object] = set()  # what has been shown, so that it comes at once
    shown_last: list[object] = []
    method_now, set_method = mo.state(start.method, allow_self_loops=True)
    objective_now, set_objective = mo.state(start.objective)
    tuned = mo.ui.switch(start.tuned, label="follow the tuning")
    mo.Html(refused)
    return (
        kept,
        method_now,
        objective_now,
        on,
        own,
        ready,
        set_method,
        set_objective,
        shown_last,
        start,
        tuned,
    )


@app.cell
def _(method_now, mo, options, own, page, set_method):
    # made anew by each choice, as another element of the page: the menu would keep the text of the last search
    own["turn"] = not own["turn"]
    _tag = "section" if own["turn"] else "div"
    fresh = lambda menu, tag=_tag: mo.Html(f"<{tag}>{menu}</{tag}>")
    method = mo.ui.dropdown(
        page.menu(options(), own["system"]),
        page.said(method_now()),
        searchable=True,
        label="method",
        full_width=True,
        on_change=set_method,
    )
    return fresh, method


@app.cell
def _(mo, objective_now, objectives, own, page, set_objective):
    objective = mo.ui.dropdown(
        page.menu(objectives(), own["function"]),
        page.said(objective_now()),
        label="objective",
        full_width=True,
        on_change=set_objective,
    )
    return (objective,)


@app.cell
def _(method, mo, page, ready, schemes, start):
    if method.value not in ready:
        mo.output.replace(mo.Html(page.computing(method.value, "", floating=True)))
    known = schemes(method.value)
    ready.add(method.value)
    _first = start.scheme if method.value == start.method else known[0]
    scheme = mo.ui.dropdown(known, _first, label="scheme", full_width=True)
    mo.output.clear()
    return (scheme,)


@app.cell
def _(kept, method, mo, objective, on, page, ready, scheme, tuned):
    if objective.value != on[0]:
        page.restart(objective.value, kept)
        on[0] = objective.value
    structure = (method.value, scheme.value, objective.value, tuned.value)
    if structure not in ready:
        mo.output.replace(mo.Html(page.computing(method.value, objective.value, floating=True)))
    needed = page.shown(*structure)
    mo.output.clear()
    return needed, structure


@app.cell
def _(fresh, kept, method, mo, needed, objective, page, scheme, start, structure, tuned):
    # The sidebar stands in the cell that makes the sliders: any other cell that names them runs at every move.
    _linked = structure == (start.method, start.scheme, start.objective, start.tuned)
    sliders = mo.ui.dictionary(
        {
            s.name: mo.ui.slider(
                steps=s.positions, value=s.value, label=s.label, show_value=True, full_width=True
            )
            for s in page.sliders(*structure, kept, start.values if _linked else {})
        }
    )
    _switch = [tuned] if needed.tunable else []
    mo.sidebar(
        mo.vstack(
            [
                mo.Html(page.HEAD), fresh(method), scheme, objective, *_switch,
                *sliders.elements.values(),
            ],
            gap=0.35,
        ),
        width="330px",
    )  # fmt: skip
    return (sliders,)


@app.cell
def _(mo, start, targets):
    target = mo.ui.dropdown(targets(), start.target, label="code for")
    return (target,)


@app.cell
def _(kept, page, sliders, structure, target):
    kept.update({n: v for n, v in sliders.value.items() if n in kept})
    choice = page.choice(*structure, kept, sliders.value, target.value)
    return (choice,)


@app.cell
def _(choice, mo, page, ready, shown_last, time, view):
    _structure = (choice.method, choice.scheme, choice.objective, choice.tuned)
    if _structure not in ready:
        mo.output.replace(mo.Html(page.computing(choice.method, choice.objective)))
    began = time.perf_counter()
    seen = view(choice)
    took = time.perf_counter() - began
    ready.add(_structure)
    shown_last[:] = [seen]
    mo.Html(page.picture(seen, took))
    return (seen,)


@app.cell
def _(mo):
    prove = mo.ui.run_button(label="certify the rate")
    return (prove,)


@app.cell
def _(certified, choice, mo, page, prove, seen):
    said = certified(choice) if prove.value else page.rate(seen)
    mo.hstack(
        [prove, mo.Html(page.sentence(said))], justify="start", align="center", gap=1, wrap=True
    )
    return


@app.cell
def _(mo):
    turn = mo.ui.run_button(label="turn the picture")
    return (turn,)


@app.cell
def _(mo, page, seen, turn):
    mo.vstack([turn, mo.Html(page.turning(seen) if turn.value else "")])
    return


@app.cell
def _(exports, mo, shown_last):
    # made once: what they write is made when they are pressed, of what is shown then
    def _file(suffix):
        return mo.download(
            data=lambda: exports.export(shown_last[0], suffix),
            filename=lambda: exports.stem(shown_last[0]) + suffix,
            mimetype=exports.FORMATS[suffix].media,
            label=exports.FORMATS[suffix].label,
        )

    mo.hstack([_file(s) for s in exports.FORMATS], justify="start", gap=0.5, wrap=True)
    return


@app.cell
def _(mo, page, structure):
    _method, _scheme, _, _tuned = structure
    _said = page.equations(_method, _scheme, _tuned)
    _shown = mo.hstack([mo.vstack([mo.md(e)]) for e in _said], gap=3, wrap=True, justify="start")
    mo.vstack([mo.Html(page.heading(_method, _scheme)), _shown])
    return


@app.cell
def _(target):
    target  # noqa: B018
    return


@app.cell
def _(mo, page, seen):
    mo.Html(page.settings(seen))
    return


@app.cell
def _(mo, page, structure, target):
    _method, _scheme, _, _tuned = structure
    mo.Html(page.code(_method, _scheme, _tuned, target.value))
    return


@app.cell
def _(mo):
    system_file = mo.ui.file(filetypes=[".ode", ".txt"], label="open a file", max_size=100_000)
    function_file = mo.ui.file(filetypes=[".txt"], label="open a file", max_size=100_000)
    use_system = mo.ui.run_button(label="use this system")
    use_function = mo.ui.run_button(label="use this function")
    return function_file, system_file, use_function, use_system


@app.cell
def _(mo, page, start, system_file):
    _said, _text = page.box(system_file.contents(), start.method, page.EXAMPLE)
    system_text = mo.ui.text_area(_text, rows=11, max_length=page.MAX_TEXT, full_width=True)
    mo.vstack([mo.Html(page.OWN), mo.Html(_said)])
    return (system_text,)


@app.cell
def _(function_file, mo, page, start):
    _said, _text = page.box(function_file.contents(), start.objective, page.FUNCTION)
    function_text = mo.ui.text_area(_text, rows=3, max_length=page.MAX_TEXT, full_width=True)
    mo.Html(_said)
    return (function_text,)


@app.cell
def _(
    errors,
    mo,
    own,
    page,
    set_method,
    set_objective,
    system_text,
    use_system,
    function_text,
    use_function,
):
    _said = ""
    if use_system.value or use_function.value:
        mo.output.replace(mo.Html(page.computing("what you wrote", "", floating=True)))
    try:
        if use_system.value:
            own["system"] = page.checked_system(system_text.value)
            set_method(own["system"])
        if use_function.value:
            own["function"] = page.checked_function(function_text.value)
            set_objective(own["function"])
    except errors.OdescentError as _error:
        _said = page.refusal(_error)
    mo.Html(f'<div id="odescent-own">{_said}</div>')
    return


@app.cell
def _(function_file, function_text, mo, system_file, system_text, use_function, use_system):
    _system = [
        mo.md("a **system**"),
        system_text,
        mo.hstack([use_system, system_file], justify="start"),
    ]
    _function = [
        mo.md("a **function** of x, or of x and y"), function_text,
        mo.hstack([use_function, function_file], justify="start"),
    ]  # fmt: skip
    mo.hstack([mo.vstack(_system), mo.vstack(_function)], widths="equal", gap=2, align="start")
    return


if __name__ == "__main__":
    app.run()
