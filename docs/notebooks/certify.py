# %% [markdown]
# # Certify
#
# A certificate proves a worst-case rate over a whole class of functions: here $F(\mu, L)$, the $\mu$-strongly convex
# and $L$-smooth ones. The proof is found numerically, and rounded to exact numbers in which the rate then follows
# from finitely many identities and inequalities.

# %%
import odescent as od

proof = od.analysis.certify(od.algorithm("triple_momentum"), mu=1, L=10)
proof

# %% [markdown]
# The inequality is the decrease of a Lyapunov function $V_k$, up to interpolation inequalities $Q_{ij} \ge 0$ with
# multipliers $\lambda_{ij}$. For the triple momentum method the rate $1 - \sqrt{\mu/L}$ is exact: a quadratic attains
# it.

# %%
proof.exact, proof.verify()

# %% [markdown]
# `verify` repeats the check in exact arithmetic, without the solver. It is not necessary to trust this package: the
# certificate is a document, and `checker.py`, one file that needs only the standard library, decides whether it is
# valid.

# %%
from odescent.analysis.certificates.checking import checker

print(checker.check(proof.to_dict()))

# %% [markdown]
# ## Between two bounds
#
# Not every rate is known exactly. The certificate of Nesterov's method is an upper bound; `lower` searches for a
# function on which the method is slow.

# %%
nag = od.analysis.certify(od.algorithm("nesterov_sc"), mu=1, L=10)
nag.lower(seconds=5), nag.rate

# %%
nag

# %% [markdown]
# ## Where there is no certificate
#
# Polyak's tuning of heavy ball is optimal on quadratics. On $F(1, 25)$ it does not converge, and the answer names a
# function on which it cycles. The cycle is exact: it is decided by signs of exact numbers.

# %%
try:
    od.analysis.certify(od.algorithm("heavy_ball"), mu=1, L=25)
except od.analysis.NoCertificate as answer:
    print(answer)

# %%
cycle = od.analysis.cycles("heavy_ball", 1, 25, 3)[0]
cycle

# %%
od.analysis.cycle_region(1 / 25, 1.0, resolution=120)

# %% [markdown]
# ## Other statements
#
# For convex functions, $\mu = 0$, no linear rate holds; the bound after $N$ steps does.

# %%
od.analysis.certify(od.algorithm("nesterov_c"), 0, 1, horizon=4)

# %% [markdown]
# One potential function can serve for all numbers of steps:

# %%
od.analysis.certify(od.algorithm("gradient_descent"), 0, 1, horizon="all")

# %% [markdown]
# And flows have rates too:

# %%
od.analysis.certify(od.system("gradient_flow"), 1, 10)
