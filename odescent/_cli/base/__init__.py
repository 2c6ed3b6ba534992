"""What all commands share: options read off signatures, values and their completion, the console, system files.

It imports the package's registries, and what reads a system file.
"""
