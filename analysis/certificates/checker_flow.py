# ruff: noqa: I001
# fmt: off
"""Check a certificate of a flow's exponential rate; needs Python alone: python check_certificate.py FILE

About X' = A X + B u, y = C X, u the gradients of f at the rows of y, for all continuously differentiable f in F(mu, L)
in any dimension, s = 1/L (0 for L = infinity). With V = X'P X + sum p_i (f_i - f*) and the inequalities of F(mu, L)
between points of one time, 0 <= Q_ij = 2(1-mu s)(f_i - f_j - <g_j, y_i - y_j>) - s|g_i - g_j|^2 - mu|y_i - y_j|^2
+ 2 mu s <g_i - g_j, y_i - y_j> (index -1 is the minimizer, at 0), the file has nu, lambda >= 0 and P with
    - V' - 2 rate V - sum lambda_ij Q_ij = D >= 0,     V - sum nu_ij Q_ij >= weight |output|^2,     weight > 0,
so that |output - x*| = O(e^(-rate t)). p_i and lambda_{-1,i} are those for which the f_i cancel; V' is along the flow,
with f_i' = <u_i, y_i'>. All is rebuilt from A, B, C in exact numbers a + b sqrt(d), or in enclosures of them."""
from .checker import ONE, ZERO, Refused, add_square, definite, dot, read, subtract

class Flow:
    """Points and gradients as rows over (X, u), and what is to be shown of them."""
    def __init__(self, c):
        self.d = int(c["d"])
        A, B, C = ([[read(x, self.d) for x in row] for row in c[name]] for name in "ABC")
        self.output, fixed = ([read(x, self.d) for x in c[name]] for name in ("output", "fixed_point"))
        self.mu, self.s, self.rate = mu, s, rate = [read(c[name], self.d) for name in ("mu", "s", "rate")]
        self.n, self.p = n, p = len(A), len(C)
        self.twice = ONE + ONE - mu * s - mu * s
        if (s and s.sign() < 0) or min(mu.sign(), self.twice.sign(), rate.sign() + 1) < 1:
            raise Refused("mu > 0, 0 <= s < 1 / mu and a rate that is not negative are needed")
        images = dot(fixed, list(zip(*A, *C, self.output, strict=True)))  # A v, C v and the output of v
        wanted = [ZERO] * n + [ONE] * (p + 1)
        if any(abs((x - v).a) > (x - v).e or (x - v).b for x, v in zip(images, wanted, strict=True)):
            raise Refused("the fixed point does not stay, or is not read as the minimizer")
        unit = [[ONE if i == j else ZERO for j in range(n + p)] for i in range(n + p)]
        self.moves = [a + b for a, b in zip(A, B, strict=True)]  # X'
        self.y, self.g = [*(row + [ZERO] * p for row in C), [ZERO] * (n + p)], [*unit[n:], [ZERO] * (n + p)]
        self.slack = (s, mu, -(mu * s + mu * s), self.twice)
    def remainders(self, P, nu, lam):
        """V - sum nu Q, D, and lambda from the minimizer."""
        net = lambda w, i: sum((x if a == i else -x for (a, b), x in w.items() if i in (a, b)), ZERO)
        n, p, double = self.n, self.p, self.rate + self.rate
        star = {(-1, i): net(lam, i) + double * net(nu, i) for i in range(p)}
        E = [list(row) + [ZERO] * p for row in P] + [[ZERO] * (n + p) for _ in range(p)]
        D = [[-double * x for x in row] for row in E]
        for row, image in zip(E, self.moves, strict=False):  # - 2 X'P (A X + B u)
            add_square(D, -ONE - ONE, row, image)
        for i in range(p):
            add_square(D, -self.twice * net(nu, i), self.g[i], dot(self.y[i][:n], self.moves))
        return subtract(self, E, nu), subtract(self, D, {**lam, **star}), star

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    if c["kind"] != "flow":
        raise Refused("the kind is not flow")
    it, weight = Flow(c), read(c["weight"], int(c["d"]))
    P = [[read(c["P"][min(i, j)][max(i, j)], it.d) for j in range(it.n)] for i in range(it.n)]
    nu, lam = ({tuple(map(int, k.split(","))): read(x, it.d) for k, x in c[w].items()} for w in ("nu", "lambda"))
    for w, least in ((nu, -1), (lam, 0)):
        if any(not (least <= i < it.p and -1 <= j < it.p and i != j) for i, j in w):
            raise Refused("a multiplier belongs to points that are not there")
    E, D, star = it.remainders(P, nu, lam)
    if weight.sign() < 1 or any(x and x.sign() < 0 for w in (nu, lam, star) for x in w.values()):
        raise Refused("a multiplier is negative, or the weight is not positive")
    add_square(E, -weight, it.output, it.output)
    if not definite(E, it.d, False) or not definite(D, it.d, False):
        raise Refused("D or V - sum nu Q - weight |output|^2 is not definite")
    return f"the output converges at least like exp(-{f'({it.rate})' if it.rate.b else it.rate} t)"
