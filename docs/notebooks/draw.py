# %% [markdown]
# # Draw
#
# Functions of `od.analysis` return data. A result that can be drawn is shown with its picture; `.plot()` returns the
# axes, to which anything can be added, and `.save("picture.pdf")` of a portrait writes a file.

# %%
import numpy as np

import odescent as od

nag = od.algorithm("nesterov_sc").bind(mu=0.05, L=1)
od.analysis.phase_portrait(nag, curvature=0.4)

# %% [markdown]
# On one mode of a quadratic the state of Nesterov's method is a point of the plane: the output and the memory. The
# picture shows the limit flow, the curves on which a velocity vanishes, the fixed point, and the numbered iterates.
#
# ## A function of two variables
#
# Himmelblau's function has four minimizers. Its fixed points are found by interval arithmetic, so none in the window
# is missed, and the separatrices of the saddles bound the basins of the gradient flow.

# %%
f = od.objective("himmelblau")
window = [(-5.5, 5.5), (-5.5, 5.5)]
wells = od.analysis.phase_portrait(od.system("gradient_flow"), f, window=window, x0=[0, 0])
wells.plot()

# %% [markdown]
# ## A surface to turn
#
# The same function as a surface, with the runs of a method with momentum on it: drag to turn it, and hover over a
# critical point for the eigenvalues of the full system.

# %%
ball = od.algorithm("heavy_ball", learning_rate=0.01, momentum=0.9)
valleys = od.analysis.landscape(ball, f, [-1, 0])
od.analysis.interactive(valleys)

# %% [markdown]
# ## Rates on quadratics
#
# The spectrum of a method over the curvatures in $[\mu, L]$; the largest modal radius is its rate on quadratics. A
# bound algorithm knows its $\mu$ and $L$.

# %%
od.analysis.spectrum(od.algorithm("triple_momentum").bind(mu=1, L=30))

# %% [markdown]
# ## A method beside its flow
#
# The iterates and the limit flow at the times of the steps: their gaps to the minimum, the measured factor per step,
# and the order in the step with which the distance decreases.

# %%
bowl = od.objective("quadratic", eigenvalues=[0.05, 0.3, 1.0])
od.analysis.convergence(od.algorithm("nesterov_sc"), bowl, np.ones(3), 40)

# %% [markdown]
# ## Basins of attraction
#
# Polyak's heavy ball on a strongly convex function of one variable: the minimizer does not attract every start. The
# attractors are found automatically.

# %%
trap = od.objective("lessard_recht_packard")
starts = {"x0": (-6.0, 6.0, 120), "v": (-4.0, 4.0, 120)}
od.analysis.basins(od.algorithm("heavy_ball"), trap, axes=starts)

# %% [markdown]
# Every `plot` accepts axes, for instance beside another picture. A figure of pyplot is shown by pyplot.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
for ax, kappa in zip(axes, (5, 50), strict=True):
    od.analysis.spectrum(od.algorithm("heavy_ball"), 1, kappa).plot(ax)
    ax.set_title(f"condition number {kappa}")
