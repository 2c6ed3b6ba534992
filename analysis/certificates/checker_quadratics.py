# ruff: noqa: I001
# fmt: off
"""Check a rate over quadratics; needs Python alone: python check_certificate.py FILE

About x+ = A x + B u, y = C x + D u with u = lambda y, for all mu <= lambda <= L: the roots z of
    det [[z I - A, -lambda B], [-C, I - lambda D]],
a polynomial in z and lambda, are at most the rate in modulus. With z = rate w, these are Schur and Cohn's inequalities
in the coefficients of w^k, polynomials in lambda; up to degree 2 Jury's form of them, which allows for roots on the
circle. They are positive on [mu, L] if their coefficients in Bernstein's basis are, else on both halves. All is done in
exact numbers a + b sqrt(d), or in enclosures of them (the proof is then about all methods in these)."""
from fractions import Fraction
from itertools import accumulate, pairwise
from math import comb
from operator import mul
from .checker import ONE, ZERO, Number, Refused, read

def pencil(A, B, C, D):
    """The determinant as {(i, j): coefficient of z^i lambda^j}: rows one by one, by the columns that they use."""
    n, size, minus = len(A), len(A) + len(D), Number(-1)
    rows = [[{(0, 0): -a, (1, 0): ONE if i == j else ZERO} for j, a in enumerate(row)] + [{(0, 1): -b} for b in B[i]]
            for i, row in enumerate(A)]
    rows += [[{(0, 0): -c} for c in C[i]]
             + [{(0, 0): ONE if i == j else ZERO, (0, 1): -e} for j, e in enumerate(D[i])] for i in range(size - n)]
    minors = {0: {(0, 0): ONE}}
    for row in rows:
        grown = {}
        for used, minor in minors.items():
            for j, entry in ((j, e) for j, e in enumerate(row) if not used >> j & 1):
                sign = minus if (used >> j).bit_count() % 2 else ONE
                into = grown.setdefault(used | 1 << j, {})
                for (a, b), x in minor.items():
                    for (k, m), y in entry.items():
                        if y:
                            into[a + k, b + m] = into.get((a + k, b + m), ZERO) + sign * x * y
        minors = grown
    return minors[2**size - 1]

def bernstein(powers, mu, L):
    """Bernstein's coefficients on [mu, L] of a polynomial by its powers, lowest first: its blossom at mu, ..., L."""
    p = len(powers) - 1
    low, high = ([ONE, *accumulate([x] * p, mul)] for x in (mu, L))
    return [sum((c * high[k] * low[j - k] * Number(Fraction(comb(i, k) * comb(p - i, j - k), comb(p, j)))
                 for j, c in enumerate(powers) for k in range(j + 1)), ZERO) for i in range(p + 1)]

def product(a, b):
    """The product of two polynomials in Bernstein's basis."""
    m, n = len(a) - 1, len(b) - 1
    found = [ZERO] * (m + n + 1)
    for i, j in ((i, j) for i in range(m + 1) for j in range(n + 1)):
        found[i + j] += Number(Fraction(comb(m, i) * comb(n, j), comb(m + n, i + j))) * a[i] * b[j]
    return found

def positive(polynomial, strict, depth=20):
    """Whether a polynomial is positive, or not negative, on the interval; False also where that stays open."""
    signs, least = [c.sign() for c in polynomial], 1 if strict else 0
    if min(signs) >= least:
        return True
    if depth == 0 or min(signs[0], signs[-1]) < least:
        return False
    left, right, row = [], [], polynomial
    while row:  # de Casteljau
        left, right = [*left, row[0]], [row[-1], *right]
        row = [Number(Fraction(1, 2)) * (a + b) for a, b in pairwise(row)]
    return positive(left, strict, depth - 1) and positive(right, strict, depth - 1)

def within_everywhere(rows, rate):
    """Whether all roots are at most rate in modulus; rows by powers of z, leading first, in Bernstein's basis."""
    flipped = lambda row: [-c for c in row]
    add = lambda *terms: [sum(cs, ZERO) for cs in zip(*terms, strict=True)]
    if rows[0][0].sign() < 0:
        rows = [flipped(row) for row in rows]
    if not positive(rows[0], True):  # the implicit step has a solution everywhere
        return False
    n, scale, rows, given = len(rows) - 1, ONE, [], rows
    for row in reversed(given):  # the roots divided by the rate
        rows, scale = [[scale * c for c in row], *rows], scale * rate
    if n <= 2:
        ends, middle = add(rows[0], rows[-1]), rows[1] if n == 2 else flipped(rows[-1])
        tests = [add(ends, middle), add(ends, flipped(middle)), add(rows[0], flipped(rows[-1]))]
        return all(positive(test, False) for test in (tests if n == 2 else [ends, tests[-1]]))
    while len(rows) > 1:
        head, tail = rows[0], rows[-1]
        if not positive(add(product(head, head), flipped(product(tail, tail))), True):
            return False
        rows = [add(product(head, a), flipped(product(tail, b))) for a, b in zip(rows[:-1], rows[:0:-1], strict=True)]
    return True

def everywhere(A, B, C, D, mu, L):
    """The coefficients of z^k, leading first, in Bernstein's basis on [mu, L]."""
    found, n, p = pencil(A, B, C, D), len(A), len(D)
    return [bernstein([found.get((k, j), ZERO) for j in range(p + 1)], mu, L) for k in range(n, -1, -1)]

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    if c["kind"] != "quadratics":
        raise Refused("the kind is not quadratics")
    d, matrices = int(c["d"]), [[[read(x, int(c["d"])) for x in row] for row in c[name]] for name in "ABCD"]
    mu, L, rate = (read(c[name], d) for name in ("mu", "L", "rate"))
    if mu.sign() < 1 or (L - mu and (L - mu).sign() < 0) or (rate and rate.sign() < 0) or (ONE - rate).sign() < 1:
        raise Refused("0 < mu <= L and 0 <= rate < 1 are needed")
    if not within_everywhere(everywhere(*matrices, mu, L), rate):
        raise Refused("a pole may be larger than the rate")
    return f"all modes of quadratics converge at least at the rate {rate}"
