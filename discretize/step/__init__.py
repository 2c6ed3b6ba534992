"""The compiler from a system and a scheme to the program of a step, and the core of algorithms; imports `linear`."""
