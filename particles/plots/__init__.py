"""Drawings of searches and of effective potentials, registered for results that do not import them."""

from ..._support.rendering.drawable import register

register(
    __name__, {"EffectiveGradient": "outcome:draw_effective", "Minimum": "outcome:draw_minimum"}
)
