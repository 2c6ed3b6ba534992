"""Oracles: the opaque functions of a system, and the properties of each kind.

A new kind is one entry of `KINDS`; what is read off it (names, notation, derivatives, components, the implicit step)
is read nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..._support.errors import unknown
from ..._support.rendering.rendered import Rendered


@dataclass(frozen=True)
class Form(Rendered):
    """The properties of a kind of oracles; in its texts ``{of}`` is the objective.

    Attributes:
        stem: what its results are called; the kind itself by default.
        text, latex: its name at a point in print; an empty ``latex`` is an operator name with its parameters.
        words: what it is, in LaTeX, where the oracles of a method are listed.
        self_adjoint: whether its Jacobian is symmetric, as a Hessian is.
        field: whether it is a vector field of one point, linear where the objective is quadratic.
        orders: how often the objective has been differentiated in it.
        component, product, implicit: the kinds that have one coordinate of it, its derivative along a direction, and
            the point where a step against it ends that is implicit in it; empty where there is none.
        adjoint: the kind of oracles that has the adjoint of its derivative; empty where that is its own kind or none.
        particles: whether it is evaluated on all particles at once.
        registered: whether it is one of the registry of named maps, so that nobody has to give it.
        declared: what the objective is in the text language; the kind itself by default.
        mean: the kind of oracles that is its mean over its first scalar argument, where that picks rows.
    """

    stem: str = ""
    text: str = "{kind}_{of}"
    latex: str = ""
    words: str = ""
    self_adjoint: bool = False
    field: bool = False
    orders: int = 0
    component: str = ""
    product: str = ""
    implicit: str = ""
    adjoint: str = ""
    particles: bool = False
    registered: bool = False
    declared: str = ""
    mean: str = ""

    _shows = ("fields",)  # its LaTeX is a template


KINDS = {
    "grad": Form(
        "g", "{kind} {of}", r"\nabla {of}", r"gradient $\nabla {of}$", self_adjoint=True, field=True,
        orders=1, component="partial", product="hvp", implicit="prox", declared="objective",
    ),
    "batch": Form(
        "g", "{kind} {of}", r"\nabla {of}_{{B({inside})}}", r"minibatch gradient of ${of}$",
        product="batchhvp", declared="objective", mean="grad",
    ),
    "deviation": Form(
        "s", "{kind} {of}", r"\sigma_{{B({inside})}} {of}", r"standard deviation of the minibatch gradient of ${of}$",
        declared="objective",
    ),
    "operator": Form(
        "F", "{of}", "{of}", "operator ${of}$", field=True,
        component="component", product="jvp", implicit="resolvent",
    ),
    "prox": Form(words="proximal map of ${of}$", self_adjoint=True, declared="objective"),
    "resolvent": Form(words="resolvent of ${of}$"),
    "value": Form(words="function ${of}$", declared="objective"),
    "map": Form(  # any other function of a point, and of parameters
        text="{of}", latex="{of}", adjoint="vjp", product="jvp",
    ),
    "vjp": Form("pull", words=r"adjoint of the derivative of ${of}$", adjoint="map", product="vhp", declared="map"),
    "named": Form(  # the gradient of a convex function
        stem="m", text="{of}", self_adjoint=True, registered=True,
    ),
    "ensemble": Form("m", latex="m_{{{inside}, {of}}}", words=r"consensus point $m_{{\alpha, {of}}}$", particles=True),
}  # fmt: skip


# Of the named maps: whether they are smooth near zero, and how often they are homogeneous, by `maps`, which is above.
NEAR_ZERO: dict[str, tuple[bool, int | None]] = {}

# What those are called that follow from others, such as a product with a Jacobian; they may be given as well.
_DERIVED = {
    name
    for form in KINDS.values()
    for name in (form.component, form.product, form.implicit, form.adjoint, form.mean, "hess")
    if name
}


def check_oracles(names: Iterable[str], also: Iterable[str] = ()) -> None:
    """Refuse the names of oracles that nothing asks for: a misspelt one would be left aside in silence.

    Args:
        names: each a kind of oracles, or a kind and the function or the argument that it is of, as ``grad_x``.
        also: what else can be given at that place, for the message.

    Raises:
        OdescentError: a name of no kind.
    """
    known = {*KINDS, *_DERIVED}
    for name in names:
        if name.partition("_")[0] not in known:
            raise unknown("oracle of an objective called", name, {*known, *also})


def in_argument(name: str, slot: str) -> str:
    """The name of an oracle, or of a kind, that is left open in an argument of a function of several."""
    return f"{name}_{slot}" if slot else name


@dataclass(frozen=True)
class Oracle(Rendered):
    """A named map of an objective or another function.

    Attributes:
        kind: one of `KINDS`, or derived from one.
        of: the function.
        args: names of its arguments where it has several; empty for a function of one.
        slot: the argument by which a function of several was differentiated: the one that is left open in a gradient.
    """

    kind: str
    of: str
    args: tuple[str, ...] = ()
    slot: str = ""

    _shows = ("fields",)

    @property
    def name(self) -> str:
        return in_argument(f"{self.kind}_{self.of}", self.slot)

    @property
    def form(self) -> Form:
        """The properties of its kind; a partial gradient is no field of one point, and has no step or components.

        The product of one names the argument of its direction last: hvp_f_x_y.
        """
        form = KINDS.get(self.kind, Form())
        if not self.args:
            return form
        return replace(form, field=False, component="", implicit="")

    def other(self, kind: str, slot: str = "") -> Oracle:
        """The oracle of another kind of the same function, left open in an argument."""
        return Oracle(kind, self.of, self.args, slot)

    @property
    def text(self) -> str:
        """The oracle at a point, as text."""
        return self.form.text.format(kind=in_argument(self.kind, self.slot), of=self.of)

    def latex(self, of: str, inside: str = "") -> str:
        """The same in LaTeX, of the objective and the parameters as LaTeX."""
        if self.form.registered:
            of, inside = self.of.replace("_", r"\_"), f"_{{{inside}}}" if inside else ""
            return rf"\operatorname{{{of}}}{inside}"
        if self.form.latex:
            return self.form.latex.format(of=of, inside=inside)
        return rf"\operatorname{{{self.kind}}}_{{{inside + ' ' if inside else ''}{of}}}"
