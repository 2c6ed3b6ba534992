"""Parameter sweeps: jobs on any executor, a store that resumes, tables."""
