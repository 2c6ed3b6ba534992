"""Notation of the derivations: pairs of LaTeX and a few words."""

from __future__ import annotations

Notation = tuple[tuple[str, str], ...]
_OBJECTIVE: Notation = (
    (r"f", r"is the objective"),
    (r"\mu, L", r"are its constants of strong convexity and smoothness ($f \in F(\mu, L)$), $\kappa = L/\mu$"),
    (r"x^*, f^*", r"are its minimizer and its least value"),
    (r"h", r"is the step"),
    (r"x^+", r"is $x$ after one step"),
)  # fmt: skip

IMMERSION: Notation = (
    *_OBJECTIVE,
    (r"x, p, u", r"are the position, the velocity and the control of the plant"),
    (r"\psi", r"is the vector that vanishes on the manifold"),
    (r"K", r"is the gain, the rate at which the manifold attracts"),
    (r"a, b", r"are the feed-through of the gradient and the strength of the interconnection"),
    (r"w", r"is the port through which another system can be connected"),
    (r"\xi, \eta", r"are the components of a tangent vector along $x$ and $p$"),
    (r"L_F\psi, L_G\psi", r"are the derivatives of $\psi$ along $F$, the plant without control, and "
     r"$G$, the direction of the control"),
    (r"\lambda", r"is the curvature of one mode of a quadratic $f$, between $\mu$ and $L$"),
    (r"r", r"stands for a root of the characteristic polynomial of that mode"),
    (r"y", r"is the position once $p$ is replaced by $\psi$, and where the gradient is taken"),
    (r"q", r"is $h\sqrt{\mu}$"),
)  # fmt: skip

MODEL: Notation = (
    *_OBJECTIVE,
    (r"x", r"is the iterate"),
    (r"z", r"is a second state, which follows the minimizer of a lower model of $f$"),
    (r"v", r"is any point"),
    (r"u", r"is the control, the velocity of $z$"),
    (r"\psi", r"is the vector that vanishes on the manifold"),
    (r"c", r"is the strength with which $z$ pulls $x$"),
    (r"K", r"is the gain, the rate at which the manifold attracts"),
    (r"L_F\psi, L_G\psi", r"are the derivatives of $\psi$ along $F$, the plant without control, and "
     r"$G$, the direction of the control"),
    (r"a", r"is the feed-through of the gradient"),
    (r"E", r"is an energy"),
    (r"y", r"is the point where the gradient is taken"),
    (r"q", r"is $h\sqrt{\mu}$"),
)  # fmt: skip

MODEL_FAMILY: Notation = (
    *_OBJECTIVE,
    (r"x", r"is the iterate"),
    (r"z", r"is a second state, which pulls $x$ and is moved by the gradient"),
    (r"\tau = 1/\eta", r"is the moving scale"),
    (r"t, k", r"are time and the number of the step"),
    (r"a", r"is the feed-through of the gradient"),
    (r"E", r"is an energy"),
    (r"\tau_{\mathrm{old}}, \theta, \tau_{\mathrm{new}}",
     r"are the scale before the step, where the coupling is integrated, and where the law is"),
    (r"\theta_{\mathrm{new}}", r"is $\theta$ of the next step"),
    (r"T, T_{\mathrm{new}}", r"are the scale over $h$ in this step and in the next"),
    (r"y", r"is the point where the gradient is taken"),
)  # fmt: skip

RELAXATION: Notation = (
    (r"f", r"is the objective, $\nabla f$ its gradient, $f_n$ its derivatives in one dimension"),
    (r"x, x^+", r"are a particle (or the point of gradient descent) before and after a step"),
    (r"m", r"is the consensus point, in formulas $m_{\alpha, f}(x)$: the mean of the particles $x$ with their weights"),
    (r"h", r"is the step"),
    (r"\alpha", r"is the exponent of the weights $w = e^{-\alpha f}$"),
    (r"\lambda, \sigma", r"are the drift to the consensus point and the noise of CBO (parameters lam, sigma)"),
    (r"s", r"is the width of hopping"),
    (r"a", r"is the curvature of one mode of a quadratic"),
    (r"\tau", r"is the step along the gradient, $\alpha s^2$"),
    (r"N, d", r"are the number of particles and the dimension"),
    (r"\xi", r"is a standard normal draw"),
)  # fmt: skip

FIRST_INTEGRAL: Notation = (
    *_OBJECTIVE,
    (r"g", r"is the gradient at $x$"),
    (r"w, v", r"is the sum of its squares, of all together or of each component"),
    (r"\varepsilon", r"is what the sum begins with"),
    (r"E", r"is the energy that the flow conserves"),
    (r"\Delta", r"is $f(x_0) - f^*$"),
    (r"W, B", r"are the bounds of the sum and of the mean of squares over the time $t$"),
    (r"E_1", r"is what a step adds to the energy, to first order"),
)  # fmt: skip

NORM_TEST: Notation = (
    *_OBJECTIVE,
    (r"u, b", r"are the sample that picks rows of the data, and their number"),
    (r"g, s", r"are the gradient over these rows, and the standard deviation of its entries"),
    (r"w, \varepsilon", r"are the sum of the squares of $g$, and what it begins with"),
    (r"\eta", r"is the ratio of the norm test"),
    (r"r", r"is the variance of $g$ over $|\nabla f|^2$"),
    (r"E, E_1", r"are the energy, and what a step adds to its rate, to first order"),
    (r"\Delta", r"is $f(x_0) - f^*$"),
    (r"W, B", r"are the bounds of the sum and of the mean of squares over the time $t$"),
)  # fmt: skip

DOUBLING: Notation = (
    (
        r"S, b",
        r"are the matrix and the right-hand side of $S w = b$; for least squares $X^\top X$ and $X^\top y$",
    ),
    (r"M, M_0", r"are the iterate, symmetric, and where it begins"),
    (r"D_n", r"is the matrix with $w_n = D_n b$ for the $n$-th iterate of descent from zero"),
    (r"T, h", r"are the time constant of the flow and the step"),
)

BILEVEL: Notation = (
    (
        r"F, G",
        r"are the upper and the lower objective, $F_x$ and $G_y$ their gradients in one argument",
    ),
    (r"x", r"is the upper variable"),
    (r"y, z", r"are variables of the lower level"),
    (r"v", r"is the adjoint"),
    (r"u", r"is any direction of the upper variable"),
    (r"\Phi", r"is the hypergradient, the gradient of $F(x, y^\star(x))$"),
    (r"\sigma", r"is the penalty parameter"),
    (
        r"\epsilon, \rho",
        r"are the time scale of the lower level and the ratio of its two",
    ),
    (r"h", r"is the step"),
)

INEXACT: Notation = (
    *(pair for pair in BILEVEL if pair[0] not in (r"\sigma", r"\epsilon, \rho", r"y, z")),
    (r"y", r"is the lower variable"),
    (r"z", r"is the inexact hypergradient, $w$ an error, and $\omega$ a bound of it"),
    (r"\mu, L", r"bound the curvature of $G$ in $y$, $K$ its mixed derivative"),
    (
        r"L_F, M",
        r"are Lipschitz constants, of the gradient of $F$ and of the second derivatives of $G$",
    ),
    (
        r"\varepsilon, \delta",
        r"are the accuracies of the lower level and of the adjoint",
    ),
    (r"s", r"is the scale of the step"),
    (
        r"\mathrm{value}, \mathrm{noise}, \mathrm{promised}",
        r"are the upper value before the step, the bound of its error, and the gain that is asked for",
    ),
)

REGULARIZED: Notation = (
    *_OBJECTIVE,
    (r"t", r"is a time"),
    (r"d, d_\gamma", r"are the step over the time $t$, and over $\gamma/|g|$"),
    (r"g", r"is the gradient of $f$ at $x$"),
    (r"\gamma", r"is the radius"),
)

WINDOW: Notation = (
    (r"G", r"is the window, whose $m$ columns are the last gradients"),
    (r"g, b", r"are the gradient that is pushed and the one that leaves"),
    (r"a", r"is any gradient"),
    (r"P", r"is the inverse of $F$, the damped empirical Fisher information"),
    (r"\delta", r"is the damping"),
    (r"t, T", r"are a time and that over which the window reaches"),
    (r"h", r"is the step"),
)

SPLITTING: Notation = (
    (r"g", r"is the statistic of the step, here the gradient, which the substeps hold"),
    (r"P", r"is the inverse of a factor of the preconditioner"),
    (r"\gamma, \kappa", r"are the rates of the leak and of the rank-one flow (gam, kap)"),
    (r"u", r"is any vector"),
    (r"h", r"is the step"),
)
