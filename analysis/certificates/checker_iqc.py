# ruff: noqa: I001
# fmt: off
"""Check a rate by integral quadratic constraints; needs Python alone: python check_certificate.py FILE

About x+ = A x + B u, y = C x + D u, u the gradient of f at y, for all f in F(mu, L) in any dimension, minimizer 0. With
w = u - mu y and z = y - u/L, Zames and Falb's multipliers give a bound that does not depend on N,
    sum_{k<N} rate^{-2k} <w_k, lambda_0 z_k - lambda_1 z_{k-1} - ... - lambda_s z_{k-s}> >= -const,
where lambda_i >= 0 and lambda_1 rate^-2 + ... + lambda_s rate^-2s <= lambda_0: for L p = (L - mu)(f - f* - mu |y|^2/2)
- |w|^2/2 >= 0 = p_*, interpolation says <w_k, z_k - z_j> >= p_k - p_j. (s = 0: the sector; s = 1: weighted off-by-one;
Lessard, Recht, Packard, arXiv:1408.3595.) X is x_k and those z_{k-i}, i = 1, ..., s, for which "past" has null; a row
there reads z_{k-i} off x_k, which is checked. The file has such lambda, and P so that with V = L X'P X
    rate^2 V - V+ - <w_k, lambda_0 z_k - ...> = D >= 0,  P > 0, so that the state decays,
                                                   or P >= weight (output)^2, so that the output does.
All is rebuilt in exact numbers a + b sqrt(d), or in enclosures (the proof is then about all methods in these)."""
from .checker import ONE, ZERO, Refused, add_square, definite, dot, read

class Constraint:
    """The method and its multipliers' memory; rows over (X, u_k/L)."""
    def __init__(self, c):
        self.d, s, past = int(c["d"]), len(c["past"]), c["past"]
        A, B, C, D = ([[read(x, self.d) for x in row] for row in c[name]] for name in "ABCD")
        self.output, fixed = ([read(x, self.d) for x in c[name]] for name in ("output", "fixed_point"))
        self.mu, self.L, self.rate = mu, L, rate = [read(c[name], self.d) for name in ("mu", "L", "rate")]
        if s > 9 or min(mu.sign(), (L - mu).sign() + 1, (ONE - rate).sign(), rate.sign() + 1) < 1:
            raise Refused("memory of 0 to 9 steps, 0 < mu <= L and 0 <= rate < 1 are needed")
        if len(D) != 1 or len(D[0]) != 1:
            raise Refused("one gradient a step is needed")
        images = dot(fixed, list(zip(*A, *C, self.output, strict=True)))  # A v, C v and the output of v
        if any(abs((x - v).a) > (x - v).e or (x - v).b for x, v in zip(images, fixed + [ONE] * 2, strict=True)):
            raise Refused("the fixed point does not stay, or is not read as the minimizer")
        n, size = len(A), len(A) + past.count(None) + 1
        unit = [[ONE if i == j else ZERO for j in range(size)] for i in range(size)]
        x, kept, u = unit[:n], iter(unit[n:-1]), unit[-1]
        y, *self.later = [dot([*row, more[0] * L], [*x, u]) for row, more in zip(C + A, D + B, strict=True)]
        self.w = [L * a - mu * b for a, b in zip(u, y, strict=True)]
        self.z = [[a - b for a, b in zip(y, u, strict=True)]]
        for row in past:
            if row is None:
                self.later.append(self.z[-1])
            else:  # what it reads off the next state is what is now the one before
                row = [read(x, self.d) for x in row]
                if any(a - b for a, b in zip(dot(row, self.later[:n]), self.z[-1], strict=True)):
                    raise Refused("the state does not have a past z that is read off it")
            self.z.append(next(kept) if row is None else dot(row, x))
    def remainder(self, P, lam):
        """D."""
        tau, m, P = self.rate * self.rate, len(self.later), [[x * self.L for x in row] for row in P]
        half = [dot(row, self.later) for row in P]
        D = [[-x for x in dot(column, half)] for column in zip(*self.later, strict=True)]
        for into, row in zip(D, P, strict=False):
            into[:m] = [x + tau * y for x, y in zip(into, row, strict=False)]
        for i, x in lam.items():
            add_square(D, x if i else -x, self.w, self.z[i])
        return D

def check(c):
    """What the certificate, as read from JSON, proves, in words; raises Refused if it proves nothing."""
    it = Constraint(c)
    m, s, tau = len(it.later), len(it.z) - 1, it.rate * it.rate
    P = [[read(c["P"][min(i, j)][max(i, j)], it.d) for j in range(m)] for i in range(m)]
    lam = {int(i): read(x, it.d) for i, x in c["lambda"].items()}
    if c["kind"] != "iqc" or any(not 0 <= i <= s for i in lam):
        raise Refused("the kind is iqc, and multipliers reach back so many steps")
    room = lam.get(0, ZERO)
    for i in range(1, s + 1):  # rate^2s (lambda_0 - lambda_1 rate^-2 - ...)
        room = room * tau - lam.get(i, ZERO)
    weight, row = read(c.get("weight", "0"), it.d), it.output + [ZERO] * (m - len(it.output))
    if any(x and x.sign() < 0 for x in (*lam.values(), room, weight)):
        raise Refused("a multiplier is negative, or those of the past outweigh the present")
    if not definite(it.remainder(P, lam), it.d, False):
        raise Refused("D is not definite")
    add_square(P, -weight, row, row)
    if not definite(P, it.d, not weight):
        raise Refused("P is not definite")
    return f"the {'output' if weight else 'state'} converges at least at the rate {it.rate}"
