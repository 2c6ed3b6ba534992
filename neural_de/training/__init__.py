"""Training runs: set-up, compiled step, loop, checkpoints, evaluation, comparison; on all but `inspection`."""
