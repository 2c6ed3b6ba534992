"""The sentences that several parts share."""

import pytest

from odescent._support.errors import NotCarried, NotConsistent, OdescentError, unknown


def test_every_error_is_a_value_error():
    for kind in (NotCarried, NotConsistent):
        assert issubclass(kind, OdescentError) and issubclass(kind, ValueError)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("heavybal", ["heavy_ball", "adam"], "did you mean 'heavy_ball'?"),
        ("nesterov", ["nesterov_sc", "nesterov_c"], "did you mean 'nesterov_c' or 'nesterov_sc'?"),
        ("zzz", ["b", "a"], "known: a, b."),
        ("zzz", list("abcdefghi"), "known: a, b, c, d, e, f, g, h, i."),
        ("zzz", list("abcdefghij"), "known: a, b, c, d, e, f, g, h and 2 more; see odescent list systems."),
        ("vwxyzj", list("abcdefghij"), "known: j, a, b, c, d, e, f, g and 2 more; see odescent list systems."),
        ("zzz", [], "there are none."),
        (7, ["a"], "known: a."),
    ],
)  # fmt: skip
def test_unknown_names_the_nearest(name, known, hint):
    error = unknown("system", name, known)
    assert str(error) == str(unknown("system", name, [*known, *known]))  # of two registries
    assert isinstance(error, OdescentError)
    assert str(error) == f"there is no system {str(name)!r}: {hint}"
