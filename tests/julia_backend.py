"""A backend that prints Julia: what a language costs, in one file and one line of the registry (`LINE`)."""

from typing import ClassVar

from odescent.discretize.emit.backend import Backend
from odescent.discretize.emit.modules.module_writer import ModuleWriter
from odescent.discretize.emit.printing.language import Syntax

LINE = {"julia": "backends.julia:BACKEND"}
KEYWORDS = """baremodule begin break catch const continue do else elseif end export false finally for function
global if import let local macro module quote return struct true try using while"""
OWN = "c k start state steps x0 xs coefficients init step output run zero float sum push abs exp log max min sqrt"
JULIA = Syntax(
    functions={"arctan": "atan", "maximum": "max", "minimum": "min"},
    power="^",
    matrix_product="*",
    arrays="@.({})",
    keywords=frozenset(KEYWORDS.split()),
    quotes=("#= ", " =#"),
    escapes=(("#=", "# ="), ("=#", "= #")),
    definition=("function ", "", ""),
    end=("end",),
    typed=False,
    record=("", ("(;", ")")),
)
EXACT_SUM = "_exact_sum(products...) = Float64(sum(prod(big.(collect(p))) for p in products))"


class JuliaModule(ModuleWriter):
    target, language, syntax = "julia", "Julia.", JULIA
    helpers: ClassVar = {"_exact_sum": EXACT_SUM}
    state = table = lambda self: []  # records are named tuples
    zeros = lambda self, b, like: f"zero({like})"
    started = lambda self, name="start", given="x0": [f"    {name} = float.({given})"]
    inner = lambda self, left, right: f"sum({left} .* {right})"

    def loop(self, first, to_step, read):
        steps = [
            f"        state = step({', '.join(to_step)})",
            f"        push!(xs, {read})",
            "    end",
        ]
        return [
            f"    state = {first}",
            f"    xs = [{read}]",
            "    for _ in 1:steps",
            *steps,
            "    return xs",
        ]


CARRIED = frozenset({"several calls", "no call", "operator", "scalars"})
BACKEND = Backend(
    "julia", ".jl", CARRIED, JuliaModule.source, words=frozenset(OWN.split()), syntax=JULIA
)
