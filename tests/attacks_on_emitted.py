"""Attacks on emitted modules: every method with every option in every backend, and every word in every role.

    python tests/attacks_on_emitted.py [--sample 40]

prints how many modules were compiled, how many words were names of a parameter, a step, a block, an objective, a
method and a field in each backend, and each that computed something else. --sample takes every so many words.
"""

import argparse
import builtins
import importlib.util
import inspect
import itertools
import keyword
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

import odescent as od
from odescent.discretize.emit import called, find, load, source, targets
from odescent.discretize.library import REGISTRY

TARGETS = ["numpy", "jax", "optax", *(["torch"] if importlib.util.find_spec("torch") else [])]
CENTER = np.array([0.3, -0.7])
X0 = np.array([1.0, 2.0])
STEPS = 4
# What no emitted module of the registry need contain, and people write.
MORE = (
    "self params state group closure loss lr jax jnp np torch math optax numpy value "
    "update updates moving Coefficients Array State any super range isinstance callable "
    "BallState Tensor Optimizer zip list float int print match case type c k g key keys h "
    "x0 start init step run output first beta t1 t2 p1 s w u xp c_g c_v v_next root_a "
    "log_a grads params_list start_list v_list g_made foreach maximize generator batches "
    "value_fn x_1 v_1 none Fraction "
)
SOME = ("adam", "item", "baoab", "underdamped_exact", "muon", "relativistic", "sor", "sgd", "nesterov_sc", "ogm",
        "robust_momentum", "jump_cbo")  # fmt: skip
FREE = {
    "word": ("ABOBA", "OBABO", "BAOA"),
    "theta": (1, "2/3"),
    "step": ("2/(L+mu)",),
}  # what no refusal lists
ROLES = ("damp", "step", "block", "place", "objective", "name", "field")


# every method with every option


def choices(name):
    """What each option of a registered method may be, by name: what its refusal lists, and what it is by default."""
    found = {}
    for option, p in inspect.signature(REGISTRY.function(name)).parameters.items():
        said = ""
        try:
            od.algorithm(name, **{option: "?"})
        except od.OdescentError as refusal:
            said = str(refusal)
        words = re.findall(r"[A-Za-z_/0-9]+", said)
        values = (
            [False, True]
            if isinstance(p.default, bool)
            else [p.default, *words, *FREE.get(option, ())]
        )
        found[option] = [v for v in dict.fromkeys(values) if _made(name, {option: v}) is not None]
    return found


def _made(name, options):
    try:
        return od.algorithm(name, **options)
    except (od.OdescentError, TypeError, ValueError):
        return None


def variants(name):
    """The method with each combination of its options that it takes."""
    listed = choices(name)
    for values in itertools.product(*listed.values()):
        alg = _made(name, dict(zip(listed, values, strict=True)))
        if alg is not None:
            yield dict(zip(listed, values, strict=True)), alg


def compiled(alg):
    """The backends for which a method's module is Python, and what its draws are, in the module that asks for them."""
    good = []
    for target in (*targets(), "jax_drawn"):
        try:
            text = source(alg, target)
        except od.NotCarried as refusal:
            assert str(refusal).endswith(".")
            continue
        if find(target).suffix == ".py":
            compile(text, f"{alg.name} for {target}", "exec")
            good.append(target)
        if target == "jax_drawn":
            module = load(alg, target)
            counts = len(alg.tuned.counts)
            assert len(module.DRAWS) == len(alg.tuned.realized().draws) + counts, alg.name
            assert module.DRAWS.count("count") == counts, alg.name
    return good


# every word in every role


def identifiers(target, names=SOME):
    """Every identifier in the emitted modules of some algorithms of every kind."""
    found = set()
    for name in names:
        try:
            text = source(od.algorithm(name), target)
        except od.NotCarried:
            continue
        found |= set(re.findall(r"[A-Za-z_]\w*", text))
    return {n for n in found if n.isidentifier() and not n.startswith("_") and len(n) < 50}


def words(target, names=SOME):
    """The identifiers of the modules, builtins, soft keywords and what else people write, sorted."""
    every = (
        identifiers(target, names)
        | set(MORE.split())
        | set(dir(builtins))
        | set(keyword.softkwlist)
    )
    return sorted(n for n in every if not keyword.iskeyword(n) and not n.startswith("_"))


def method(damp="aa", step="hh", block="vv", place="xx", objective="ff", name="mm", field="damp"):
    """Damped motion with a factor in the kick that depends on the step, under any names."""
    x, v = od.blocks(f"{place} {block}")
    b, h = od.parameters(f"{damp} {step}")
    f = od.Objective(objective)
    system = od.System({field: {v: -b * v}, "kick_": {v: -f.grad(x)}, "drift_": {x: v}}, output=x)
    steps = [(field, "exact"), ("kick_", "explicit"), ("drift_", "explicit")]
    return od.Algorithm(system, od.scheme("lie_trotter", steps), step=h, name=name)


def truth(b=0.7, h=0.1):
    x, v, rows = X0, 0 * X0, [X0]
    for _ in range(STEPS):
        v = np.exp(-b * h) * v - h * (x - CENTER)
        x = x + h * v
        rows.append(x)
    return np.array(rows)


def computed(alg, target, damp="aa", step="hh"):
    module = load(alg, target)
    names = called(module)
    numbers = {names[damp]: 0.7, names[step]: 0.1}
    if target in ("numpy", "jax"):
        xp = np if target == "numpy" else jnp
        return np.asarray(module.run(lambda x: x - CENTER, xp.asarray(X0), STEPS, **numbers))
    if target == "optax":
        opt = alg.to_optax(**{damp: 0.7, step: 0.1})
        params, rows = jnp.asarray(X0), []
        state = opt.init(params)
        for _ in range(STEPS + 1):
            rows.append(module.eval_params(state, params))
            updates, state = opt.update(params - CENTER, state, params)
            params = params + updates
        return np.array(rows)
    import torch

    param = torch.tensor(X0, requires_grad=True)
    opt = alg.to_torch([param], **numbers)
    rows = []
    for _ in range(STEPS + 1):
        with opt.eval_params():
            rows.append(param.detach().numpy().copy())
        param.grad = param.detach() - torch.tensor(CENTER)
        opt.step()
    return np.array(rows)


def the_same_or_a_sentence(target, **names):
    try:
        alg = method(**names)
        rows = computed(alg, target, names.get("damp", "aa"), names.get("step", "hh"))
    except od.OdescentError as refusal:
        assert str(refusal).endswith(".")
        return False
    np.testing.assert_allclose(rows, truth(), rtol=1e-12, err_msg=f"{target} {names}")
    return True


def roles(name):
    return [{role: name} for role in ROLES]


def together(listed, i):
    """Seven words at once, one for each role: over all i each word is in each role once."""
    n = len(listed)
    return {role: listed[(i + j * (n // 7 + 1)) % n] for j, role in enumerate(ROLES)}


def attacked(target, names, every=1):
    """How many sets of words ran, were refused, and what was wrong."""
    seen, wrong = Counter(), []
    listed = words(target, names)
    for i in range(0, len(listed), every):
        cases = [together(listed, i)]
        while cases:
            case = cases.pop()
            try:
                carried = the_same_or_a_sentence(target, **case)
            except Exception as error:  # whatever it is, it is a failure
                wrong.append(f"{target} {case}: {type(error).__name__} {error}"[:300])
                continue
            if not carried and len(case) > 1:  # which of them was it?
                cases += [{role: word} for role, word in case.items()]
            seen["run" if carried else "refused" if len(case) == 1 else "taken apart"] += 1
    return len(listed), seen, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=1, help="every so many words")
    parser.add_argument("--targets", nargs="*", default=TARGETS)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    made = [alg for name in od.algorithms() for _, alg in variants(name)]
    modules = sum(len(compiled(alg)) for alg in made)
    print(f"{len(made)} methods with their options: {modules} modules compiled", flush=True)
    for target in given.targets:
        count, seen, wrong = attacked(target, od.algorithms(), given.sample)
        told = ", ".join(f"{n} {what}" for what, n in sorted(seen.items()))
        print(f"{target}: {count} words, each in {len(ROLES)} roles: {told}, {len(wrong)} wrong")
        print("\n".join(wrong), end="\n" * bool(wrong), flush=True)


if __name__ == "__main__":
    main()
