"""Schemes and one step as plain data: substeps, instructions, values of parameters; imports dynamics alone."""
