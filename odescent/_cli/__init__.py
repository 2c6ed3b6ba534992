"""The command line: the group of commands, on the commands, on what they share."""
