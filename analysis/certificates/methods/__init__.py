"""Methods and flows as exact matrices, over finitely many steps, and on quadratics; it may import from `checking`."""
