# ruff: noqa: I001
# fmt: off
"""Check a bound after any number of steps; needs Python alone: python check_certificate.py FILE

About x+ = A x + B u, y = C x + D u, u the gradient at y of f/L, f any convex L-smooth function, f* = f(0), x_0 "begin"
times a point. Coefficients depend on a clock: each step has v, of from, from + 1, ... if "whole", else any number from
there, with clock = now(v) / over(v), then next(v) / over(v). "rows" over (x, u, next u) are y, next state, next y, next
output: polynomials in v (coefficients of 1, v, ...) over unit(v). With -1 the minimizer, 0 this y, 1 the next (in "nu"
the output), f for f/L, and polynomials a, Q, lambda, nu, growth in the clock (lambda: and the next one),
    V = a (f(y) - f*) + [x; u]'Q [x; u],   Q_ij = 2 (f_i - f_j - <g_j, y_i - y_j>) - |g_i - g_j|^2 >= 0,
    V - V+ - sum lambda Q = D >= 0, V - growth (f(end) - f*) - sum nu Q = E >= 0, |x_0|^2 - V_0 - first_weights Q >= 0,
so that f(end) - f* <= L |x_0 - x*|^2 / growth(clock) at each step; "end" is y or the next output. M >= 0 if det(t + M)
has coefficients >= 0; a polynomial in v is >= 0 if it has, in powers of v - from, or for whole v in binomials."""
from fractions import Fraction
from .checker import ONE, ZERO, Number, Refused, add_square, dot, read, subtract

class Step:
    """One step at v: all rows times unit, forms times unit^2 over^2, function values times over^2."""
    def __init__(self, c, v):
        total, two = lambda terms: sum(terms, ZERO), ONE + ONE
        powers = lambda x, count: [p := ONE, *(p := p * x for _ in range(count - 1))]
        poly = lambda texts, at: total(read(x, 1) * p for x, p in zip(texts, at, strict=False) if x != "0")
        n, lists = len(c["begin"]), [c["now"], c["next"], c["over"], c["unit"], *(e for row in c["rows"] for e in row)]
        now, later, over, unit, *entries = (poly(e, powers(v, max(map(len, lists)))) for e in lists)
        rows, zero = [[entries.pop(0) for _ in range(n + 2)] for _ in range(n + 3)], [ZERO] * (n + 2)
        one = [[unit if i == j else ZERO for j in range(n + 2)] for i in range(n + 2)]
        t, s, q = (powers(x, 3) for x in (now, later, over))
        here, there = (lambda w, p=p: poly(w, [p[i] * q[2 - i] for i in range(3)]) for p in (t, s))
        names = {f"{i},{j}": (i, j) for i in range(-1, n + 2) for j in range(-1, n + 2)}
        clocks = {k: t[i] * s[j] * q[2 - i - j] for k, (i, j) in names.items() if min(i, j) >= 0 and i + j < 3}
        lam = {names[k]: total(read(x, 1) * clocks[e] for e, x in w.items()) for k, w in c["lambda"].items()}
        nu = {names[k]: here(w) for k, w in c["nu"].items()}
        first = {names[k]: here(w) for k, w in c["first_weights"].items() if k in ("-1,0", "0,-1")}
        a, growth, after = here(c["a"]), here(c["growth"]), [*rows[1 : n + 1], one[-1]]
        V, less = ([list(zero) for _ in zero] for _ in range(2))
        for (i, j), w in ((names[k], w) for k, w in c["Q"].items() if min(names[k]) >= 0):
            add_square(V, here(w), one[i], one[j])
            add_square(less, there(w), after[i], after[j])
        minus = lambda M, N: [[x - y for x, y in zip(*r, strict=True)] for r in zip(M, N, strict=True)]
        self.slack, self.g, self.y = (ONE, ZERO, ZERO, two), [*one[n:], zero], [rows[0], rows[n + 1], zero]
        D, S = subtract(self, minus(V, less), lam), subtract(self, minus([zero] * (n + 2), V), first)
        into = [*zip([read(x, 1) for x in c["begin"]] + [ZERO] * 2, [ZERO] * n + [ONE, ZERO], strict=True)]  # x_0, u_0
        S = [dot(row, into) for row in zip(*(dot(row, into) for row in S), strict=True)]
        S[0][0] += (over * unit) * (over * unit)
        self.y, (out, at_y) = [rows[0], rows[n + 2], zero], (growth, ZERO) if c["end"] == "output" else (ZERO, growth)
        E, net = subtract(self, V, nu), lambda w, i: two * total(x if i == k[0] else -x for k, x in w.items() if i in k)
        self.left = [a - net(lam, 0), -there(c["a"]) - net(lam, 1), a - net(nu, 0) - at_y, -net(nu, 1) - out, *entries,
                     *(row[-1] for row in rows[: n + 1]), *(ONE for k in (*lam, *nu) if max(k) > 1)]  # what must not be
        self.signs = (over, unit, growth), (*lam.values(), *nu.values()), minors(D), minors(E)
        below = (x for x in (*first.values(), *minors(S)) if x.sign() < 0)
        self.start = [now - over * read(c["first"], 1), -a - net(first, 0), *below]

def minors(M):
    """The coefficients of det(t + M) (Faddeev and LeVerrier): none is negative where M >= 0."""
    now, found = M, []
    for k in range(1, len(M) + 1):
        trace = sum((now[i][i] for i in range(len(M))), ZERO) * Number(Fraction(1, k))
        found.append(trace if k % 2 else -trace)
        now = [dot(r, [[x - trace if i == j else x for j, x in enumerate(q)] for i, q in enumerate(now)]) for r in M]
    return found

def keeps(values, degree, v, least):
    """Whether a polynomial with these values at 0, 1, ... has such a sign at v and then >= 0; v = None: at these."""
    row, binomial, w, none = values[: degree + 1], [], [], [ZERO]
    while row:
        binomial, row = [*binomial, row[0]], [row[i + 1] - row[i] for i in range(len(row) - 1)]
    for i in range(degree, -1, -1) if v is not None else ():  # into powers of the distance from v, by Horner's rule
        w = [(p - (Number(i) - v) * q) * Number(Fraction(1, i + 1)) for p, q in zip(none + w, w + none, strict=True)]
        w[0] += binomial[i]
    return (w or binomial)[0].sign() >= least and all(x.sign() >= 0 for x in w or binomial)

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    v, whole, longest = read(c["from"], int(c["d"])), c["whole"] is True, lambda lists: max(map(len, lists))
    if c["kind"] != "potential" or longest([c["a"], c["growth"], *c["Q"].values(), *c["nu"].values()]) > 3:
        raise Refused("the kind is potential, with polynomials of degree 2")
    size = longest([c["unit"], *(e for row in c["rows"] for e in row)]) + longest([c["now"], c["next"], c["over"]]) - 2
    steps = [Step(c, Number(Fraction(t)) + (v if whole else ZERO)) for t in range(2 * size * len(c["rows"]))]
    shown = " + ".join(f"({read(x, 1)}) t^{i}" for i, x in enumerate(c["growth"]))
    if any([*Step(c, v).start, *(x for step in steps for x in step.left)]):
        raise Refused("the clock does not begin so, V is too large there, rows do not fit or function values are left")
    tried = ((least, *kw) for least, *w in zip((1, 0, 0, 0), *(step.signs for step in steps), strict=True)
             for kw in enumerate(zip(*w, strict=True)))
    if not all(keeps(w, 2 * size * min(k + 1, len(c["rows"]) - 1), None if whole else v, low) for low, k, w in tried):
        raise Refused("a multiplier is negative, D or E is not semidefinite, or growth is not positive")
    return f"f(end) - f* <= L |x_0 - x*|^2 / growth at every step, growth = {shown}, t the clock"
