"""The command line: the group of commands, the commands, and their common code."""
