"""The linear view of a program: state space, coordinates, transfer functions, exact matrices; imports `programs`."""
