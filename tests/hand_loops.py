"""Methods as plain NumPy loops, and published iterates: what emitted code and runs are held against."""

import numpy as np

# f = (x1^2 + 10 x2^2) / 2, x_0 = x_{-1} = (1, 1), mu = 1, L = 10: iterates to 13 digits.
MU, L, X0 = 1.0, 10.0, (1.0, 1.0)
T1 = {
    "gradient_descent": {
        1: (0.9, 0), 2: (0.81, 0), 3: (0.729, 0), 10: (0.3486784401, 0), 20: (0.1215766545906, 0),
    },
    "heavy_ball": {
        1: (0.7691138429796, -1.308861570204), 2: (0.5292259642132, 1.09001721746),
        3: (0.3422955464641, -0.7792869600301), 10: (0.008310190044402, 0.02318373676668),
        20: (2.174346141318e-5, 6.432767885799e-5),
    },
    "nesterov_sc": {
        1: (0.9, 0), 2: (0.7632455532034, 0), 3: (0.6229822128135, 0), 10: (0.0929920157415, 0),
        20: (0.003656036231161, 0),
    },
    "triple_momentum": {
        1: (0.6837722339832, -2.162277660168), 2: (0.4675444679663, 1.478505426185),
        3: (0.3196939253478, -1.010960958219), 10: (0.0223416175791, 0.0706503981624),
        20: (4.991478760506e-4, 1.578444177555e-3),
    },
    "nesterov_c": {
        1: (0.9, 0), 2: (0.7875, 0), 3: (0.66825, 0), 10: (0.0181115161998, 0),
        20: (-0.003117900152003, 0),
    },
}  # fmt: skip
TMM_XI = {
    1: (0.8316227766017, -0.6837722339832), 2: (0.6377672670753, 0.4675444679663),
    3: (0.4684073566801, -0.3196939253478), 10: (0.03727689188366, 0.0223416175791),
    20: (8.402809734494e-4, 4.991478760506e-4),
}  # fmt: skip


def quadratic(d=6, mu=MU, L=L, seed=0):
    """The gradient x -> Q (x - center), Q, the center, and a starting point; spectrum in [mu, L]."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    Q = basis @ np.diag(np.linspace(mu, L, d)) @ basis.T
    center = rng.standard_normal(d)
    return (lambda x: Q @ (x - center)), Q, center, rng.standard_normal(d)


def three_parameters(alpha, beta, gamma, delta):
    """The three-parameter form from x_{-1} = x_0: a loop that returns outputs and gradient points.

    xi+ = (1 + beta) xi - beta xi_- - alpha g(y), y = (1 + gamma) xi - gamma xi_-, and the output is
    (1 + delta) xi - delta xi_-.
    """

    def run(grad, x0, steps):
        old = now = np.array(x0, dtype=float)
        points, outputs = [], [now]
        for _ in range(steps):
            y = (1 + gamma) * now - gamma * old
            points.append(y)
            old, now = now, (1 + beta) * now - beta * old - alpha * grad(y)
            outputs.append((1 + delta) * now - delta * old)
        points.append((1 + gamma) * now - gamma * old)
        return np.array(outputs), np.array(points)

    return run


def coefficients(name, mu, L):
    """alpha, beta, gamma, delta of the textbook."""
    q = np.sqrt(mu / L)
    rho = 1 - q
    kappa = L / mu
    if name == "gradient_descent":
        return 1 / L, 0.0, 0.0, 0.0
    if name == "heavy_ball":
        root = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)
        return 4 / (np.sqrt(L) + np.sqrt(mu)) ** 2, root**2, 0.0, 0.0
    if name == "nesterov_sc":
        beta = (1 - q) / (1 + q)
        return 1 / L, beta, beta, 0.0
    assert name == "triple_momentum"
    look = rho**2 / ((1 + rho) * (2 - rho))
    return (1 + rho) / L, rho**2 / (2 - rho), look, rho**2 / (1 - rho**2)


def nesterov_c(grad, x0, steps, L):
    """x_{k+1} = y_k - g(y_k) / L, y_k = x_k + k / (k + 3) (x_k - x_{k-1}): outputs and points."""
    old = now = np.array(x0, dtype=float)
    outputs, points = [now], []
    for k in range(steps):
        y = now + k / (k + 3) * (now - old)
        points.append(y)
        old, now = now, y - grad(y) / L
        outputs.append(now)
    points.append(now + steps / (steps + 3) * (now - old))
    return np.array(outputs), np.array(points)


def adam(grad, x0, steps, h, beta1, beta2, eps):
    """Kingma and Ba's algorithm 1."""
    x = np.array(x0, dtype=float)
    m, v, outputs = np.zeros_like(x), np.zeros_like(x), [x]
    for t in range(1, steps + 1):
        g = grad(x)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        x = x - h * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        outputs.append(x)
    return np.array(outputs)


def extragradient(operator, x0, steps, L):
    """z+ = z - F(z - F(z) / L) / L."""
    z = np.array(x0, dtype=float)
    outputs = [z]
    for _ in range(steps):
        z = z - operator(z - operator(z) / L) / L
        outputs.append(z)
    return np.array(outputs)
