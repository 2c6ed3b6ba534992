"""Common code of all commands: options from signatures, values and their completion, the console, system files.

It imports the package's registries, and what reads a system file.
"""
