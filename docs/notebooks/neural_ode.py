# %% [markdown]
# # Make a neural ODE cheap
#
# A neural ODE is a layer whose output is the solution of $\dot y = f_w(t, y)$. An adaptive solver evaluates $f_w$ as
# often as its tolerance demands, and this number of evaluations per solve (*NFE*) is the cost of a prediction. A
# regularizer adds the solver's own estimate of its errors to the loss, so training finds dynamics that are cheap to
# solve.

# %%
import odescent as od

nde = od.neural_de
plain = nde.Config("digits-ode", steps=50, dt0="calibrated", validate_every=25)
cheap = plain.replace(regularizer="error", coefficient=0.3)

# %% [markdown]
# The task is to classify the digits of scikit-learn. A `Config` contains all settings that determine a run; runs are
# reproducible.

# %%
runs = nde.compare([plain, cheap])
runs

# %% [markdown]
# The metrics are those of the test rows, which training does not see. The steps of one solve show where the
# evaluations go:

# %%
groups = {label: found[0] for label, found in runs.groups.items()}
before, after = groups.values()
nde.step_profile(before).plot()

# %%
nde.step_profile(after).plot()

# %% [markdown]
# `nde.evaluation_counts` returns the evaluations of each row solved separately, `nde.solver_comparison` the cost of
# other solvers with the same weights, and `nde.pareto` the runs that no other run dominates.
#
# These runs are short. The page on [training](../training.md) has measurements of long ones, the regularizers, and
# budgets: the coefficient that meets a given number of evaluations, or a given accuracy, is found during training.
