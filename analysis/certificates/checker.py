# ruff: noqa: I001
# fmt: off
"""Check a certificate of a linear convergence rate; needs Python alone: python check_certificate.py FILE

About x+ = A x + B u, y = C x + D u, u the gradients of f at the rows of y, for all f in F(mu, L) in any dimension:
with W = (x_k, u_k/L, ..., u_{k+s-1}/L), V = L W'P W + sum p_i f_i, and the inequalities of F(mu, L), 0 <= Q_ij =
2(L-mu)(f_i - f_j - <g_j, y_i - y_j>) - L|g_i - g_j|^2 - mu|y_i - y_j|^2 + 2 mu <g_i - g_j, y_i - y_j> (f and g in
units of L; index -1 is the minimizer, at 0), the file has nu, lambda >= 0 and P with
    rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,     V - sum nu_ij Q_ij = E > 0  (kind "strict": the state decays)
                                            or E >= weight (next output)^2  (kind "identity": the output does).
p_i and lambda_{-1,i} are those for which the f_i cancel. All is rebuilt from A, B, C, D in exact numbers
a + b sqrt(d), a and b rational, or in enclosures of them (the proof is then about all methods in these)."""
import json
import sys
from fractions import Fraction
from math import isqrt, lcm

class Refused(ValueError):
    """The file does not prove its claim; the message says where."""

class Number:
    """a + b sqrt(d), up to an error of at most e (then b = 0)."""
    def __init__(self, a, b=0, d=1, e=0):
        self.a, self.b, self.d, self.e = a, b, d, e
    __bool__ = lambda self: bool(self.a or self.b or self.e)
    __add__ = lambda self, o: Number(self.a + o.a, self.b + o.b, max(self.d, o.d), self.e + o.e)
    __neg__ = lambda self: Number(-self.a, -self.b, self.d, self.e)
    __sub__ = lambda self, o: self + -o
    def __mul__(self, o):
        d = max(self.d, o.d)  # 1 for rational constants
        if self.b or o.b:
            return Number(self.a * o.a + d * self.b * o.b, self.a * o.b + self.b * o.a, d)
        return Number(self.a * o.a, 0, d, abs(self.a) * o.e + (abs(o.a) + o.e) * self.e)
    def sign(self):
        a, b = self.a, self.b
        if self.e and abs(a) <= self.e:
            raise Refused("an enclosure is too wide to tell a sign")
        like = a + b if a * b >= 0 else (1 if a > 0 else -1) * (a * a - self.d * b * b)
        return (like > 0) - (like < 0)
    def __str__(self):
        root = f" {'-+'[self.b > 0]} {abs(self.b.numerator)}*sqrt({self.d})/{self.b.denominator} ".replace(" 1*", " ")
        more = root.replace("/1 ", "").rstrip() if self.b else f" +- {self.e}" if self.e else ""
        return f"{self.a}{more}".removeprefix("0 + ")
ZERO, ONE = Number(Fraction(0)), Number(Fraction(1))

def read(text, d):
    """A number of the file: "p/q", ["a", "b"] for a + b sqrt(d), or {"from": lo, "to": hi} (then d = 1)."""
    ends = list(text.values()) if isinstance(text, dict) else [text, "0"] if isinstance(text, str) else text
    if any(set(end) - set("0123456789/-") for end in ends):
        raise Refused(f"{text} is no number")
    a, b = map(Fraction, ends)
    found = Number((a + b) / 2, e=(b - a) / 2) if isinstance(text, dict) else Number(a, b, d)
    if d < 1 or found.e < 0 or (found.e and d > 1) or (found.b and isqrt(d) ** 2 == d):
        raise Refused(f"the number {text} cannot be read with d = {d}")
    return found

def dot(row, matrix):
    """A row times a matrix, skipping zeros."""
    return [sum((r * x for r, x in zip(row, c, strict=True) if r and x), ZERO) for c in zip(*matrix, strict=True)]

def add_square(into, weight, u, v):
    """into += weight (u v' + v u') / 2."""
    for i, j in ((i, j) for i in range(len(u)) for j in range(len(v)) if (u[i] and v[j]) or (u[j] and v[i])):
        into[i][j] += weight * (u[i] * v[j] + u[j] * v[i]) * Number(Fraction(1, 2))

def subtract(it, whole, weights):
    """whole - sum of weights Q, without the function values; it.slack weighs |dg|^2, |dy|^2, dg dy and g_j dy."""
    for (i, j), w in weights.items():
        dy, dg = ([a - b for a, b in zip(v[i], v[j], strict=True)] for v in (it.y, it.g))
        for weight, u, v in zip(it.slack, (dg, dy, dg, it.g[j]), (dg, dy, dy, dy), strict=True):
            add_square(whole, w * weight, u, v)
    return whole

def definite(matrix, d, strict):
    """Whether a symmetric matrix is positive (semi)definite: LDL' without fractions."""
    radius = max(sum(x.e for x in row) for row in matrix)  # the errors cannot move an eigenvalue further
    scale = lcm(*(Fraction(n).denominator for row in matrix for x in row for n in (x.a, x.b, radius)))
    last, rows = Number(1), [[Number(int((x.a - radius * (i == j)) * scale), int(x.b * scale), d)
                              for j, x in enumerate(row)] for i, row in enumerate(matrix)]
    while rows:
        (pivot, *top), *rest = rows
        if pivot.sign() < 0 or (not pivot and (strict or any(top))):
            return False
        rows, n, over = [row[1:] for row in rest], last.a**2 - d * last.b**2, Number(last.a, -last.b, d)
        if pivot:
            minors = [[(pivot * x - u * v) * over for x, v in zip(row, top, strict=True)]
                      for row, u in zip(rows, top, strict=True)]  # of the whole matrix, times n: it divides exactly
            last, rows = pivot, [[Number(x.a // n, x.b // n, d) for x in row] for row in minors]
    return True

class Inequality:
    """Points and gradients as rows over (x_k, u_k/L, ..., u_{k+s}/L), and what is to be shown of them."""
    def __init__(self, c):
        self.d, s = int(c["d"]), int(c["steps"])
        A, B, C, D = ([[read(x, self.d) for x in row] for row in c[name]] for name in "ABCD")
        self.output, fixed = ([read(x, self.d) for x in c[name]] for name in ("output", "fixed_point"))
        self.mu, self.L, self.rate = mu, L, rate = [read(c[name], self.d) for name in ("mu", "L", "rate")]
        self.n, self.p, self.early, count = n, p, _, _ = len(A), len(D), len(D) * s, len(D) * (s + 1)
        if not 0 < s < 10 or min(mu.sign(), (L - mu).sign() + 1, (ONE - rate).sign(), rate.sign() + 1) < 1:
            raise Refused("steps from 1 to 9, 0 < mu <= L and 0 <= rate < 1 are needed")
        images = dot(fixed, list(zip(*A, *C, self.output, strict=True)))  # A v, C v and the output of v
        if any(abs((x - v).a) > (x - v).e or (x - v).b for x, v in zip(images, fixed + [ONE] * (p + 1), strict=True)):
            raise Refused("the fixed point does not stay, or is not read as the minimizer")
        unit = [[ONE if i == j else ZERO for j in range(n + count)] for i in range(n + count)]
        x, self.y, self.g, self.later = unit[:n], [], [*unit[n:], [ZERO] * (n + count)], []
        rows = [[r + [e * L for e in more] for r, more in zip(*MN, strict=True)] for MN in ((C, D), (A, B))]
        for k in range(s + 1):
            known = x + unit[n + k * p : n + (k + 1) * p]
            more, x = ([dot(row, known) for row in block] for block in rows)
            self.y += more
            self.later = self.later or x + unit[n + p :]
        self.y, self.slack = [*self.y, self.g[-1]], (L, mu, -mu - mu, L - mu + L - mu)  # with the minimizer
    def remainders(self, P, nu, lam):
        """E, D and lambda from the minimizer."""
        net = lambda w, i: sum((x if a == i else -x for (a, b), x in w.items() if i in (a, b)), ZERO)
        tau, size, m = self.rate * self.rate, len(self.later[0]), len(P)
        past = lambda i: net(nu, i - self.p if i >= self.p else None)
        star = {(-1, i): net(lam, i) - tau * net(nu, i) + past(i) for i in range(len(self.y) - 1)}
        E = [[x * self.L for x in row] + [ZERO] * self.p for row in P] + [[ZERO] * size for _ in range(self.p)]
        moved = [dot(column, [dot(row[:m], self.later) for row in E[:m]]) for column in zip(*self.later, strict=True)]
        D = [[tau * a - b for a, b in zip(*rows, strict=True)] for rows in zip(E, moved, strict=True)]
        return subtract(self, E, nu), subtract(self, D, {**lam, **star}), star

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    it, kind = Inequality(c), c["kind"]
    m = it.n + it.early
    P = [[read(c["P"][min(i, j)][max(i, j)], it.d) for j in range(m)] for i in range(m)]
    nu, lam = ({tuple(map(int, k.split(","))): read(x, it.d) for k, x in c[w].items()} for w in ("nu", "lambda"))
    for w, least, most in ((nu, -1, it.early), (lam, 0, len(it.y) - 1)):
        if any(not (least <= i < most and -1 <= j < most and i != j) for i, j in w):
            raise Refused("a multiplier belongs to points that are not there")
    E, D, star = it.remainders(P, nu, lam)
    if any(x and x.sign() < 0 for w in (nu, lam, star) for x in w.values()):
        raise Refused("a multiplier is negative")
    weight, row = read(c["weight"] if kind == "identity" else "1", it.d), dot(it.output, it.later[: it.n])
    if kind not in ("strict", "identity") or weight.sign() < 1:
        raise Refused("the kind is strict, or identity with a positive weight")
    add_square(E, ZERO if kind == "strict" else -weight, row, row)
    if not definite([row[:m] for row in E[:m]], it.d, kind == "strict") or not definite(D, it.d, False):
        raise Refused("D or E is not definite")
    return f"the {'state' if kind == 'strict' else 'output'} converges at least at the rate {it.rate}"

if __name__ == "__main__":
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            print("proved:", check(json.load(file)))
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        sys.exit(f"not proved: {type(error).__name__}: {error}")
