# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""The explorer's page: a marimo app that shows views. All of the computing is in `view`."""

import marimo

app = marimo.App(width="full", app_title="odescent explorer")


@app.cell
def _():
    import time

    import marimo as mo

    # marimo runs this file as a program, in no package: a relative import fails
    import odescent._explorer as explorer
    import odescent._explorer.page as page
    import odescent._explorer.serve as serve
    import odescent.discretize.emit as emit

    certified, objectives, options = explorer.certified, explorer.objectives, explorer.options
    schemes, view, first, targets = explorer.schemes, explorer.view, serve.first, emit.targets
    return certified, first, mo, objectives, options, page, schemes, targets, time, view


@app.cell
def _(first, mo, objectives, options):
    start = first()
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
    names = list(dict.fromkeys([start.method, *options()]))
    method = mo.ui.dropdown(names, start.method, searchable=True, label="method", full_width=True)
    objective = mo.ui.dropdown(objectives(), start.objective, label="objective", full_width=True)
    tuned = mo.ui.switch(start.tuned, label="follow the tuning")
    return kept, method, objective, on, start, tuned


@app.cell
def _(method, mo, schemes):
    known = schemes(method.value)
    scheme = mo.ui.dropdown(known, known[0], label="scheme", full_width=True)
    return (scheme,)


@app.cell
def _(kept, objective, on, page):
    if objective.value != on[0]:
        page.restart(objective.value, kept)
        on[0] = objective.value
    placed = on[0]
    return (placed,)


@app.cell
def _(kept, method, mo, objective, page, placed, scheme, tuned):
    # The sidebar stands in the cell that makes the sliders: any other cell that names them runs at every move.
    shown = page.shown(method.value, scheme.value, placed, tuned.value)
    sliders = mo.ui.dictionary(
        {
            s.name: mo.ui.slider(
                steps=s.positions, value=s.value, label=s.label, show_value=True, full_width=True
            )
            for s in page.sliders(method.value, scheme.value, placed, tuned.value, kept)
        }
    )
    _switch = [tuned] if shown.tunable else []
    mo.sidebar(
        mo.vstack(
            [
                mo.Html(page.HEAD), method, scheme, objective, *_switch,
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
def _(kept, method, objective, page, scheme, sliders, target, tuned):
    kept.update({n: v for n, v in sliders.value.items() if n in kept})
    choice = page.choice(
        method.value, scheme.value, objective.value, tuned.value, kept, sliders.value, target.value
    )
    return (choice,)


@app.cell
def _(choice, mo, page, time, view):
    began = time.perf_counter()
    seen = view(choice)
    took = time.perf_counter() - began
    mo.Html(page.picture(seen, took))
    return (seen,)


@app.cell
def _(mo):
    prove = mo.ui.run_button(label="certify the rate")
    return (prove,)


@app.cell
def _(certified, choice, mo, page, prove, seen):
    said = certified(choice) if prove.value else page.rate(seen)
    mo.hstack([prove, mo.Html(page.sentence(said))], justify="start", align="center", gap=1)
    return


@app.cell
def _(method, mo, page, scheme, tuned):
    _said = page.equations(method.value, scheme.value, tuned.value)
    _shown = mo.hstack([mo.vstack([mo.md(e)]) for e in _said], gap=3, wrap=True, justify="start")
    mo.vstack([mo.Html(page.heading(method.value, scheme.value)), _shown])
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
def _(method, mo, page, scheme, target, tuned):
    mo.Html(page.code(method.value, scheme.value, tuned.value, target.value))
    return


if __name__ == "__main__":
    app.run()
