"""Groups of parameters: the leaves of a tree under names, each group an argument of a function of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, TypeAlias

from ..._support.errors import OdescentError, expected, listed, unknown
from ..._support.rendering.rendered import Rendered
from ..algebra.scalars import check_name
from .functions import Assembled
from .objective import Objective

Choice: TypeAlias = "Leaves | str | tuple[str, ...] | Callable[[str, Any], bool]"


@dataclass(frozen=True)
class Leaves(Rendered):
    """A group's leaves in a tree of parameters, those that meet every condition.

    What a system does with a group, factors and functions of single entries act on leaf by leaf; inner products and
    norms are over all of its leaves. Those of the whole tree are sums over the groups.

    Attributes:
        path: patterns of the leaf's path, such as "layers/*/kernel", one of which it has: keys, indices and attributes
            with slashes between them, where * and ? also stand for slashes.
        but: patterns of the paths that are left out.
        ndim: the leaf's number of axes; any where None.
        where: a function of the path and the leaf, for what patterns do not say; a group with one is no plain data.
    """

    path: tuple[str, ...] = ("*",)
    but: tuple[str, ...] = ()
    ndim: int | None = None
    where: Callable[[str, Any], bool] | None = None

    def __post_init__(self) -> None:
        for name in ("path", "but"):
            given = getattr(self, name)
            patterns = (given,) if isinstance(given, str) else given
            if not isinstance(patterns, (tuple, list)) or not all(
                isinstance(p, str) for p in patterns
            ):
                raise expected(f"{name} of a group", "a pattern of paths, or several", given)
            if name == "path" and not patterns:
                raise OdescentError("a group must have at least one pattern of paths, as in '*'.")
            object.__setattr__(self, name, tuple(patterns))
        if self.ndim is not None and (type(self.ndim) is not int or self.ndim < 0):
            raise expected("ndim of a group", "a number of axes, 0 or more", self.ndim)

    def __str__(self) -> str:
        said = listed(list(self.path))
        said += f" but not {listed(list(self.but))}" if self.but else ""
        said += f", of {self.ndim} axes" if self.ndim is not None else ""
        return said + (f", where {self.where}" if self.where is not None else "")

    def has(self, path: str, leaf: Any) -> bool:
        """Whether the leaf at this path is one of the group."""
        named = any(fnmatchcase(path, p) for p in self.path)
        named = named and not any(fnmatchcase(path, p) for p in self.but)
        shaped = self.ndim is None or len(getattr(leaf, "shape", ())) == self.ndim
        return named and shaped and (self.where is None or bool(self.where(path, leaf)))

    def to_dict(self) -> dict[str, Any]:
        """The group as plain data; OdescentError for one with a function."""
        if self.where is not None:
            raise OdescentError(
                "a group with a function, where=, cannot be written as plain data; use patterns."
            )
        return {"path": list(self.path), "but": list(self.but), "ndim": self.ndim}


class Groups(Rendered):
    """The leaves of a tree of parameters in named groups: each leaf in one.

    >>> Groups(hidden="layers/*", last=Leaves("head/*", ndim=2))

    Called with a tree it returns the labels of its leaves, as `optax.multi_transform` takes them.

    Args:
        given: groups by name: each `Leaves`, a pattern of paths or several, or a function of a path and a leaf. A name
            is an argument of the function of several that a method calls.
        more: further ones.

    Raises:
        OdescentError: no group, or an invalid one.
    """

    def __init__(self, given: Mapping[str, Choice] | None = None, /, **more: Choice) -> None:
        if not (given is None or isinstance(given, Mapping)):
            raise expected("groups", "a mapping of names to patterns of paths", given)
        found = {check_name(n): _group(n, g) for n, g in {**(given or {}), **more}.items()}
        if not found:
            raise OdescentError("groups must name at least one group, as in groups={'all': '*'}.")
        self.groups: dict[str, Leaves] = dict(sorted(found.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Groups) and self.groups == other.groups

    def __hash__(self) -> int:
        return hash(tuple(self.groups.items()))

    def __str__(self) -> str:
        return "\n".join(f"{n}: {g}" for n, g in self.groups.items())

    def __call__(self, tree: Any) -> Any:
        """The name of each leaf's group, in a tree like the given one.

        Raises:
            OdescentError: a leaf in no group or in two, or a group without a leaf.
        """
        import jax

        paths, structure = jax.tree_util.tree_flatten_with_path(tree)
        labels: list[str] = []
        for keys, leaf in paths:
            path = jax.tree_util.keystr(keys, simple=True, separator="/")
            of = [n for n, g in self.groups.items() if g.has(path, leaf)]
            if len(of) != 1:
                where = "no group" if not of else f"the groups {listed(of)}"
                raise OdescentError(
                    f"the leaf {path or 'at the root'!r} is in {where}; every leaf must be in one group."
                )
            labels += of
        if empty := [n for n in self.groups if n not in labels]:
            known = listed([jax.tree_util.keystr(k, simple=True, separator="/") for k, _ in paths])
            raise OdescentError(f"the group {empty[0]!r} matches no leaf; the leaves are {known}.")
        return jax.tree_util.tree_unflatten(structure, labels)

    def split(self, tree: Any) -> dict[str, Any]:
        """The tree by group: each like the whole one, with None in the place of the leaves of others.

        Raises:
            OdescentError: as for the labels.
        """
        import jax

        labels = self(tree)
        return {
            name: jax.tree.map(lambda leaf, of, n=name: leaf if of == n else None, tree, labels)
            for name in self.groups
        }

    def param_groups(self, named: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
        """Named tensors as parameter groups of an emitted PyTorch optimizer, each with its name under "group".

        Args:
            named: what `torch.nn.Module.named_parameters` returns; points in a name are slashes in its path.

        Raises:
            OdescentError: as for the labels.
        """
        tensors = {name.replace(".", "/"): tensor for name, tensor in named}
        labels = self(tensors)
        return [
            {"params": [t for path, t in tensors.items() if labels[path] == name], "group": name}
            for name in self.groups
        ]

    def to_dict(self) -> dict[str, Any]:
        """The groups as plain data; OdescentError for one with a function."""
        return {name: g.to_dict() for name, g in self.groups.items()}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Groups:
        """The groups of plain data."""
        return Groups({name: Leaves(**fields) for name, fields in data.items()})


def _group(name: str, given: Any) -> Leaves:
    if isinstance(given, Leaves):
        return given
    if isinstance(given, (str, tuple, list)):
        return Leaves(tuple(given) if isinstance(given, list) else given)  # type: ignore[arg-type]
    if callable(given):
        return Leaves(where=given)
    raise expected(f"the group {name}", "a pattern of paths, Leaves or a function", given)


def joined(*parts: Any) -> Any:
    """The whole tree of its parts, each of which has None where others have their leaves."""
    import jax

    first = lambda *leaves: next((leaf for leaf in leaves if leaf is not None), None)
    return jax.tree.map(first, *parts, is_leaf=lambda leaf: leaf is None)


def part_of(tree: Any, like: Any) -> Any:
    """The part of a tree that has leaves where another part has them."""
    import jax

    none = lambda leaf: leaf is None
    kept = lambda mark, leaf: None if mark is None else leaf
    return jax.tree.map(kept, like, tree, is_leaf=none)


@dataclass(frozen=True)
class _Partial:
    """The gradient in one group: a part of the gradient in the whole tree, which `in_one_pass` takes once for all."""

    whole: Callable[[Any], Any]
    slot: int

    def __call__(self, *parts: Any) -> Any:
        return part_of(self.whole(joined(*parts)), parts[self.slot])


def in_one_pass(oracles: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The oracles for one step, in which partial gradients at the same point come from one gradient."""
    import jax

    taken: list[tuple[Any, list[Any], Any]] = []

    def once(partial: _Partial) -> Callable[..., Any]:
        def call(*parts: Any) -> Any:
            leaves = jax.tree.leaves(parts)
            for whole, at, found in taken:
                same = len(at) == len(leaves) and all(
                    a is b for a, b in zip(at, leaves, strict=True)
                )
                if whole is partial.whole and same:
                    return part_of(found, parts[partial.slot])
            taken.append((partial.whole, leaves, partial.whole(joined(*parts))))
            return part_of(taken[-1][2], parts[partial.slot])

        return call

    return {n: once(f) if isinstance(f, _Partial) else f for n, f in oracles.items()}


class Grouped(Assembled):
    """A function of a tree of parameters as one of its groups, with an oracle for each of their gradients.

    Attributes:
        groups: the names of the groups, in the order of the arguments.
    """

    groups: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def by_group(name: str, objective: Objective, args: tuple[str, ...], who: str) -> Grouped:
    """An objective of one tree as a function of its groups, the same one each time.

    Args:
        name: what the system calls it.
        objective: of the whole tree.
        args: the names of the groups, in the order in which the system has them.
        who: the algorithm, for messages.

    Returns:
        values of the whole tree, and partial gradients by group.

    Raises:
        OdescentError: an objective that has no gradient, or is one of several arguments already.
    """
    if objective.args:
        raise OdescentError(
            f"{objective.name} has the arguments {', '.join(objective.args)}: with groups= the objective must be a "
            "function of the whole tree of parameters."
        )
    if "grad" not in objective.oracles:
        raise OdescentError(f"{who} in groups needs a gradient, which {objective.name} lacks.")
    made = Grouped(objective.name, mu=objective.mu, L=objective.L)
    made.condition, made.groups = objective.condition, args
    whole = objective.oracles["grad"]
    for slot, arg in enumerate(args):
        made.oracles[f"grad_{name}_{arg}"] = _Partial(whole, slot)
    made.oracles["grad"] = whole  # of the tree, as the records of x are
    if "value" in objective.oracles:
        value = objective.oracles["value"]
        made.oracles |= {"value": value, f"value_{name}": lambda *parts: value(joined(*parts))}
    return made


def check_groups(who: str, names: tuple[str, ...], args: tuple[str, ...]) -> None:
    """Refuse groups that are not the arguments of the function that a method calls."""
    for n in names:
        if n not in args:
            raise unknown(f"argument that {who} calls its function with", n, list(args))
    if lost := [a for a in args if a not in names]:
        raise OdescentError(
            f"{who} calls a function of {listed(list(args))}: give the group {lost[0]!r} too."
        )
