"""The types that these tests check at run time: which calls are looked at, and that the package's are."""

import dataclasses

import beartype
import jaxtyping
import numpy as np
import pytest
from jaxtyping import Float

from odescent.analysis.branches import curve

checked = jaxtyping.jaxtyped(typechecker=beartype.beartype)


@checked
def doubled(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return x + y


@checked
@dataclasses.dataclass(frozen=True)
class Pair:
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]


def test_calls_one_two_four_and_so_on_are_checked():
    seen = []
    for call in range(1, 20):
        try:
            doubled(np.zeros(3), np.zeros(1))  # NumPy would take it
        except jaxtyping.TypeCheckError:
            seen.append(call)
    assert seen == [1, 2, 4, 8, 16]


def test_the_count_begins_anew_in_each_test():
    with pytest.raises(jaxtyping.TypeCheckError):
        doubled(np.zeros(3), np.zeros(1))


def test_fields_of_a_dataclass_are_checked_in_the_same_calls():
    seen = []
    for call in range(1, 10):
        try:
            Pair(np.zeros(3), np.zeros(1))
        except jaxtyping.TypeCheckError:
            seen.append(call)
    assert seen == [1, 2, 4, 8]


def test_functions_and_records_of_the_package_are_checked():
    with pytest.raises(jaxtyping.TypeCheckError):
        curve.solved(np.eye(2)[:1], np.zeros((1, 2)), np.zeros(2))
    with pytest.raises(jaxtyping.TypeCheckError):
        curve.CurvePoint(np.zeros(2), np.zeros((1, 2)), np.zeros((1, 2)))
