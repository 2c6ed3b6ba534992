"""Expressions in print: text, LaTeX, Unicode, line breaks. Imports `algebra`."""
