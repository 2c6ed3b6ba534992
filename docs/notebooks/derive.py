# %% [markdown]
# # Derive a method
#
# A method is computed from a flow and a scheme, and every step of the derivation is checked symbolically. This
# notebook derives Nesterov's accelerated gradient method, and then a method of our own.

# %%
import odescent as od

nesterov = od.derive("nesterov")
nesterov

# %% [markdown]
# The steps fold out. Each lists its claims; a claim holds if its residual is identically zero, in exact arithmetic.
# The derivation ends with an algorithm, and `coefficients` are those of its three-parameter form
#
# $$ \xi_{k+1} = (1 + \beta)\,\xi_k - \beta\,\xi_{k-1} - \alpha \nabla f((1 + \gamma)\,\xi_k - \gamma\,\xi_{k-1}). $$

# %%
nag = od.algorithm("nesterov_sc")
nag

# %%
nag.coefficients

# %% [markdown]
# The flow that a method discretizes is only its limit for small steps. To the next order in the step $h$ the method
# follows its *modified equation*; the term with the Hessian distinguishes Nesterov's method from heavy ball.

# %%
nag.modified_equation(1).second_order()

# %% [markdown]
# ## A method of our own
#
# A ball with friction $c$ rolls down the graph of $f$:
#
# $$ \ddot x + c\,\dot x + \nabla f(x) = 0. $$
#
# With the velocity $v$ it is the sum of three vector fields. The scheme advances them one after the other: the
# friction exactly, the others by explicit Euler steps.

# %%
x, v = od.blocks("x v")
f = od.Objective("f")
c, h = od.parameters("c h")
ball = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, output=x)
ball

# %%
parts = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
method = od.Algorithm(ball, od.scheme("lie_trotter", parts), step=h, name="rolling_ball")
method

# %% [markdown]
# Is it a known method? Two methods that are linear in their gradients are proved equal by their transfer functions,
# or refuted by an experiment in exact numbers.

# %%
od.recognize(method)

# %%
method.equivalent(nag)

# %% [markdown]
# A scheme that leaves out a field discretizes another flow, and is rejected:

# %%
try:
    od.Algorithm(ball, od.scheme("lie_trotter", parts[:2]), step=h)
except od.OdescentError as refusal:
    print(refusal)

# %% [markdown]
# The method can be taken home as source code that does not import odescent, for optax, PyTorch, JAX or NumPy:

# %%
print(method.source("numpy"))
