"""Ctrl-C while training: kept for the end of the step, whoever swallows its exception."""

import contextlib
import signal
import threading

import pytest
from small_tasks import Small

from odescent.neural_de import Config, train
from odescent.neural_de.training.loop import (
    between_steps,
)


@pytest.fixture(autouse=True)
def handler():
    """Python's own, whatever the runner of the tests has set; and it is there again at the end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.promotion
@pytest.mark.parametrize("last", [2, 5])
def test_a_training_stops_after_the_step_though_the_exception_got_lost(tmp_path, last):
    def press(step, total, record):
        if step == last:
            with contextlib.suppress(KeyboardInterrupt):  # as a library's callback does
                signal.raise_signal(signal.SIGINT)

    config = Config("small", steps=5, dt0=0.05)
    with pytest.raises(KeyboardInterrupt, match=f"interrupted after step {last} of 5"):
        train(config, task=Small(), out=tmp_path, progress=press)
    assert train(config, task=Small(), out=tmp_path, resume=True).history[-1]["step"] == 5


def test_a_second_one_is_at_once():
    with between_steps() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()


def test_handlers_of_a_program_and_other_threads_are_left_alone():
    def own(number, frame):
        seen.append(number)

    seen: list[int] = []
    signal.signal(signal.SIGINT, own)
    with between_steps() as check:
        assert signal.getsignal(signal.SIGINT) is own
        signal.raise_signal(signal.SIGINT)
        check()
    assert seen == [signal.SIGINT]
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def enter():
        with between_steps() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT))

    found: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
