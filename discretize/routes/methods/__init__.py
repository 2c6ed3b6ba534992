"""Derivations of single methods: first integrals, Riccati flows, windows, lags of averages; imports `routes`."""
