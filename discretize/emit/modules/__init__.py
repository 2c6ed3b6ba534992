"""The parts that emitted modules share: docstring, coefficients, helper functions; imports lowering."""
