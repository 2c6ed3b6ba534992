"""Schemes and methods read from text and from exact data, without evaluating either; imports `library`."""
