"""The instrumented solve: one call with statistics, regularizer and noise; on `regularization` and `tracking`."""
