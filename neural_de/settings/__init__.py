"""Settings of a training run as data: configuration, papers' values, schedules, budgets; on `regularization`."""
