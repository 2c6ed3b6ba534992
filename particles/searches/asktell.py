"""The searches one step at a time: ask for points, tell their values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import reals
from ..._support.rendering.rendered import Rendered
from ..engine.population import Population
from .outcome import (
    AGREED,
    AT_REST,
    BUDGET,
    MESSAGES,
    NOT_FINITE,
    STAGNANT,
    SUCCESSES,
    History,
    Minimum,
)
from .search import (
    RUNNING,
    Row,
    SearchPlan,
    SearchState,
    advancing,
    asking,
    beginning,
    reviving,
)


@checked
class Minimizer(Rendered):
    """Searches with an ask-and-tell interface; constructed by `minimizer` and run by `minimize`.

    ``ask()`` returns the points of the next step, ``tell(values)`` makes the step; ``done`` is true when every search
    has ended, and ``result()`` returns the current result.
    """

    def __init__(
        self,
        plan: SearchPlan,
        params: Mapping[str, float],
        *,
        steps: int,
        seed: int,
        points: Float[np.ndarray, "runs d N"] | None,
        restarts: int,
        keep_particles: int,
    ) -> None:
        self.plan, self.params, self.steps, self.restarts = plan, dict(params), steps, restarts
        self.k = 0
        self.keep_particles = keep_particles
        self._given = points
        self._rows: list[Row] = []
        self._frames: list[tuple[int, np.ndarray]] = []
        self._asked: np.ndarray | None = None
        self._counted = 0
        self._seed = seed
        with jax.enable_x64(True):
            self._numbers = {n: jnp.asarray(v, float) for n, v in self.params.items()}

    @cached_property
    def _search(self) -> SearchState:
        """The searches, which begin when they are first asked for."""
        with jax.enable_x64(True):
            return beginning(self.plan)(jnp.asarray(np.uint64(self._seed)), self._points())

    @property
    def done(self) -> bool:
        """Whether every search has ended, or all steps are taken."""
        return self.k >= self.steps or bool((np.asarray(self._search.status) != RUNNING).all())

    @property
    def statuses(self) -> np.ndarray:
        """Why each search ended; 0 while it runs."""
        return np.asarray(self._search.status)

    @property
    def best(self) -> float:
        """The best value so far, infinity before the first step."""
        return float(np.min(np.asarray(self._search.best_value)))

    def ask(self) -> Float[np.ndarray, "n d"]:
        """Where the next step wants the objective: the points of all searches one after the other, runs * N of them."""
        if self._asked is None:
            with jax.enable_x64(True):
                points = asking(self.plan)(self._search, self._numbers)
            self._asked = np.asarray(points).reshape(-1, self.plan.dimension)
        return self._asked

    def tell(self, values: Any) -> None:
        """Take the step with the values at the points of `ask`, shape (runs * N,); non-finite values get weight 0.

        Raises OdescentError for another shape, values that are not real numbers, or without having asked.
        """
        if self._asked is None:
            raise OdescentError("call ask() before tell(): there are no points to evaluate.")
        told = reals(values)
        if not told.size and np.size(values):
            raise OdescentError("tell() takes real numbers, one for each point.")
        if told.shape != (len(self._asked),):
            raise OdescentError(
                f"there are {len(self._asked)} points and as many values to tell, shape ({len(self._asked)},), "
                f"not {told.shape}."
            )
        with jax.enable_x64(True):
            given = jnp.asarray(told.reshape(self.plan.runs, self.plan.particles))
            self._step(advancing(self.plan, 1), 1, given)
        self._asked = None

    def advance(self, steps: int) -> None:
        """Take the given number of steps, in one compiled loop; the objective is evaluated by JAX."""
        with jax.enable_x64(True):
            self._step(advancing(self.plan, steps), steps, None)

    def result(self, status: int = BUDGET, error: BaseException | None = None) -> Minimum:
        """What was found; ``status`` is why it ended where a search did not end by itself."""
        s: SearchState = jax.tree.map(np.asarray, self._search)
        consensuses = self._feasible(s.last.consensus)
        best = int(np.argmin(np.where(np.isnan(s.best_value), np.inf, s.best_value)))
        statuses = np.where(s.status == RUNNING, status, s.status)
        history = self._history()
        why = int(statuses[best])
        message = MESSAGES[why]
        if why == NOT_FINITE:
            message = f"at step {int(s.k[best]) - 1} {message}"
        return Minimum(
            x=s.best_point[best], fun=float(s.best_value[best]), consensus=consensuses[best],
            consensus_fun=float("nan"), success=why in SUCCESSES, status=why, message=message,
            nit=self.k, nfev=self._counted,
            nonfinite=int(s.nonfinite.sum()), population=self._population(), xs=s.best_point,
            funs=s.best_value, consensuses=consensuses,
            statuses=statuses, history=history, parameters=self.params,
            method=self.plan.algorithm.name or "", error=error,
        )  # fmt: skip

    # inside

    def _points(self) -> Any:
        return None if self._given is None else jnp.asarray(self._given)

    @cached_property
    def _evaluations(self) -> int:
        """Of the objective, in a step for each particle."""
        return Population.of(self.plan.algorithm).evaluations

    def _step(self, go: Any, steps: int, values: Any) -> None:
        if self.k == 0:
            self._keep_frame()
        before = self.statuses == RUNNING
        begun = np.asarray(self._search.k)
        self._search, row = go(self._search, self._numbers, values)
        taken = np.where(before, np.asarray(self._search.k) - begun, 0)
        self._counted += int(taken.sum()) * self.plan.particles * self._evaluations
        self._rows.append(jax.tree.map(np.asarray, row))
        self.k += steps
        self._keep_frame()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Restart searches that have ended above the target, if restarts and steps are left."""
        if self.restarts == 0 or self.k >= self.steps:
            return
        lives = np.asarray(self._search.lives)
        again = np.isin(self.statuses, (AGREED, STAGNANT, AT_REST))
        ended = again & (lives < self.restarts)
        if ended.any():
            self._search = reviving(self.plan)(self._search, jnp.asarray(ended), self._points())

    def _feasible(self, points: np.ndarray) -> np.ndarray:
        """Points as rows, brought back into the feasible set; a mean of feasible points need not be in it."""
        if self.plan.project is None:
            return points
        with jax.enable_x64(True):
            return np.asarray(self.plan.project(jnp.asarray(points)))

    def _population(self) -> np.ndarray:
        """Where the particles are, (runs, N, d)."""
        with jax.enable_x64(True):
            return np.asarray(asking(self.plan)(self._search, self._numbers))

    def _keep_frame(self) -> None:
        if self.keep_particles and self.k % self.keep_particles == 0:
            self._frames.append((self.k, self._population()))

    def _history(self) -> History:
        plan, rows = self.plan, self._rows
        joined = (
            jax.tree.map(lambda *a: np.moveaxis(np.concatenate(a), 0, 1), *rows)
            if rows
            else Row(np.empty((plan.runs, 0, plan.dimension)), *(np.empty((plan.runs, 0)),) * 3)
        )
        shape = (plan.runs, 0, plan.particles, plan.dimension)
        frames = np.stack([f for _, f in self._frames], 1) if self._frames else np.empty(shape)
        return History(
            np.arange(joined.best_value.shape[1]), joined.consensus, joined.best_value, joined.ess, joined.spread,
            frames, np.array([k for k, _ in self._frames], dtype=int),
        )  # fmt: skip
