"""Methods with noise in distribution: moments of a step, weak modified equations; imports `linear` and the faces."""
