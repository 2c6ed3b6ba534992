"""Common parts of emitted modules: docstring, coefficients, helper functions; imports lowering."""
