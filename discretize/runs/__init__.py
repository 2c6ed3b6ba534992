"""Runs on concrete objectives in one compiled loop, and their files; imports `emit` and `step`."""
