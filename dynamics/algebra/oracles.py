"""Oracles: the opaque functions of a system, and the properties of each kind.

A new kind is one entry of `KINDS`; what is read off it (names, notation, derivatives, components, the implicit step)
is read nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        particles: whether it is evaluated on all particles at once.
        declared: what the objective is in the text language; the kind itself by default.
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
    particles: bool = False
    declared: str = ""

    _shows = ("fields",)  # its LaTeX is a template


KINDS = {
    "grad": Form(
        "g", "grad {of}", r"\nabla {of}", r"gradient $\nabla {of}$", self_adjoint=True, field=True,
        orders=1, component="partial", product="hvp", implicit="prox", declared="objective",
    ),
    "operator": Form(
        "F", "{of}", "{of}", "operator ${of}$", field=True,
        component="component", product="jvp", implicit="resolvent",
    ),
    "prox": Form(words="proximal map of ${of}$", self_adjoint=True, declared="objective"),
    "resolvent": Form(words="resolvent of ${of}$"),
    "value": Form(words="function ${of}$", declared="objective"),
    "map": Form(),  # any other function of a point, and of parameters
    "ensemble": Form("m", latex="m_{{{inside}, {of}}}", words=r"consensus point $m_{{\alpha, {of}}}$", particles=True),
}  # fmt: skip


@dataclass(frozen=True)
class Oracle(Rendered):
    """A named map of an objective: ``kind`` is one of `KINDS`, or what is made of one; ``of`` the objective."""

    kind: str
    of: str

    _shows = ("fields",)

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.of}"

    @property
    def form(self) -> Form:
        """The properties of its kind."""
        return KINDS.get(self.kind, Form())

    @property
    def text(self) -> str:
        """The oracle at a point, as text."""
        return self.form.text.format(kind=self.kind, of=self.of)

    def latex(self, of: str, inside: str = "") -> str:
        """The same in LaTeX, of the objective and the parameters as LaTeX."""
        if self.form.latex:
            return self.form.latex.format(of=of, inside=inside)
        return rf"\operatorname{{{self.kind}}}_{{{inside + ' ' if inside else ''}{of}}}"
