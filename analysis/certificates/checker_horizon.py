# ruff: noqa: I001
# fmt: off
"""Check a bound after finitely many steps; needs Python alone: python check_certificate.py FILE

About a method that takes gradients u_i of f at y_i = x_0 + sum_j points_ij u_j, i = 0, ..., N, the last of them its
output x_N, for all f in F(mu, L) (convex for mu = 0) in any dimension. With the inequalities of F(mu, L), 0 <= Q_ij =
2(L-mu)(f_i - f_j - <g_j, y_i - y_j>) - L|g_i - g_j|^2 - mu|y_i - y_j|^2 + 2 mu <g_i - g_j, y_i - y_j> (f and g in
units of L; index -1 is the minimizer, at 0), the file has lambda >= 0 with
    2(L-mu)(bound S - M) - L sum lambda_ij Q_ij = D >= 0,    so that M <= bound S.
"measure" M: "value" f(x_N) - f*, "gradient" |grad f(x_N)|^2 or "distance" |x_N - x*|^2; "start" S: "distance"
|x_0 - x*|^2 or "value" f(x_0) - f*, and then some y_i is x_0. lambda_{-1,i} are those for which the f_i cancel. All is
rebuilt in exact numbers a + b sqrt(d), or in enclosures of them (the proof is then about all methods in these)."""
from .checker import ONE, ZERO, Refused, add_square, definite, read, subtract

class Steps:
    """Points and gradients as rows over (x_0 - x*, u_0/L, ..., u_N/L)."""
    def __init__(self, c):
        self.d, size = int(c["d"]), len(c["points"]) + 1
        self.mu, self.L, self.bound = mu, L, bound = [read(c[name], self.d) for name in ("mu", "L", "bound")]
        if (mu and mu.sign() < 0) or min((L - mu).sign(), bound.sign()) < 1:
            raise Refused("0 <= mu < L and a positive bound are needed")
        self.far, *self.g = [[ONE if i == j else ZERO for j in range(size)] for i in range(size)]
        self.y = [[ONE] + [read(x, self.d) * L for x in row] for row in c["points"]]
        if any(len(row) != size for row in self.y):
            raise Refused("points is not a square table")
        still = [i for i, row in enumerate(self.y) if not any(row[1:])]
        self.last, self.first = size - 2, still[0] if still else None
        self.y, self.g = [*self.y, [ZERO] * size], [*self.g, [ZERO] * size]  # with the minimizer
        self.slack, self.measure, self.start = (L, mu, -mu - mu, L - mu + L - mu), c["measure"], c["start"]
        if self.measure not in ("value", "gradient", "distance") or self.start not in ("value", "distance"):
            raise Refused("the measure or the start is unknown")
        if self.start == "value" and self.first is None:
            raise Refused("no point is the start")
    def follows(self, lam):
        """lambda from the minimizer to each point, from which the function values cancel."""
        star = {}
        for i in range(self.last + 1):
            given = sum((x if a == i else -x for (a, b), x in lam.items() if i in (a, b)), ZERO)
            given += ONE if self.measure == "value" and i == self.last else ZERO
            star[-1, i] = given - (self.bound if self.start == "value" and i == self.first else ZERO)
        return star
    def remainder(self, weights):
        """D, without the function values."""
        twice, size = self.L - self.mu + self.L - self.mu, len(self.far)
        D = [[ZERO] * size for _ in range(size)]
        if self.start == "distance":
            add_square(D, twice * self.bound, self.far, self.far)
        g, y = self.g[self.last], self.y[self.last]
        if self.measure != "value":
            add_square(D, -twice * self.L * self.L, g, g) if self.measure == "gradient" else add_square(D, -twice, y, y)
        return subtract(self, D, {ij: self.L * w for ij, w in weights.items()})

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    if c["kind"] != "horizon":
        raise Refused("the kind is not horizon")
    it = Steps(c)
    lam = {tuple(map(int, k.split(","))): read(x, it.d) for k, x in c["lambda"].items()}
    if any(not (0 <= i <= it.last and -1 <= j <= it.last and i != j) for i, j in lam):
        raise Refused("a multiplier belongs to points that are not there")
    weights = {**lam, **it.follows(lam)}
    if any(x and x.sign() < 0 for x in weights.values()):
        raise Refused("a multiplier is negative")
    D = it.remainder(weights)
    if not definite(D if any(D[0]) else [row[1:] for row in D[1:]], it.d, False):  # x_0 may be in nothing
        raise Refused("D is not definite")
    return f"{it.measure} at the end <= {f'({it.bound})' if it.bound.b else it.bound} times {it.start} at the start"
