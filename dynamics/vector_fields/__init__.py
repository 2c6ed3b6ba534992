"""Systems and objectives: named vector fields, noise, passivity, slow manifolds. Imports `algebra` and `notation`."""
