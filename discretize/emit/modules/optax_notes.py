"""Notes on the contract of an emitted optax module."""

from __future__ import annotations

from ..transform.plan import PARAMS, Plan

_STATE = (
    "The state holds the memory and the coefficients; replace them, with "
    "state._replace(c=coefficients(...)), to change hyper-parameters without recompiling. "
    "So a state that is restored brings the hyper-parameters with which it was saved. "
)
_HYPER = (
    "Hyper-parameters given as JAX arrays are read at every update instead, which is what "
    "optax.inject_hyperparams needs: wrap the factory with it for schedules. "
)
_TYPES = (
    "Leaves less precise than float32 have their memory and arithmetic in float32; updates come in the type of {}. "
    "Values that are not finite go into the memory, as in optax; optax.apply_if_finite keeps them out."
)
GROUPED = (
    "Each group of parameters, named by labels, has a transformation of its own; optax.multi_transform combines them, "
    "and state.inner_states has their states by name. Inner products run over all the parameters of a group. "
    "Parameters hold the point where gradients are taken. The algorithm's output is "
    "eval_params(state, params, labels). "
) + _TYPES.format("the gradients")


def notes(made: Plan, parameters: bool, arguments: list[str], noisy: bool) -> str:
    """The contract of one transformation, in sentences.

    Args:
        made: the transformation.
        parameters: whether it has hyper-parameters.
        arguments: names of the extra arguments of its update.
        noisy: whether it draws noise.

    Returns:
        one paragraph.
    """
    incoming = made.gradient is not None and made.oracle is not None
    if made.assumes:
        text = f"The parameters hold the algorithm's output; they start where {made.assumes} = params. "
    elif made.gradient is None and made.program.outputs["x"] != PARAMS:
        text = "The parameters wait for a move that the output has made already. "
    elif made.gradient is None:
        text = "The parameters hold the algorithm's output. "
    else:
        text = "The parameters hold the point where gradients are taken. "
    if made.gradient is None:
        text += "The gradients that update is given are not read. "
    elif incoming and made.oracle is not None and arguments:
        whose = "gradient" if made.oracle.kind == "grad" else "operator"
        text += f"Update is given the {whose} of {made.oracle.of} there. "
    first = "The first update makes the initial memory. " * bool(made.first)
    whose = "the parameters" if made.gradient is None else "the gradients"
    return text + _contract(parameters, arguments, first, noisy, "", whose)


def notes_on_blocks(keys: list[str], parameters: bool, arguments: list[str], noisy: bool) -> str:
    """The contract of a transformation whose parameters are a dict by block, in sentences.

    Args:
        keys: of the dict.
        parameters, arguments, noisy: as of `notes`.

    Returns:
        one paragraph.
    """
    text = f"The parameters are a dict with a tree for each of {', '.join(keys)}, which updates move together. "
    text += "The gradients that update is given are not read. "
    return text + _contract(parameters, arguments, "", noisy, ", a tree", "the parameters")


def _contract(
    parameters: bool, arguments: list[str], first: str, noisy: bool, output: str, whose: str
) -> str:
    """What all transformations have: extra arguments, noise, hyper-parameters, an output, and types that are whose."""
    plural = "s" if len(arguments) > 1 else ""
    text = f"It needs the extra argument{plural} {', '.join(arguments)}. " if arguments else ""
    text += first
    text += "The noise of step k comes from fold_in(key, k). " if noisy else ""
    text += _STATE + _HYPER if parameters else ""
    text += f"The algorithm's output is eval_params(state, params){output}. "
    return text + _TYPES.format(whose)
