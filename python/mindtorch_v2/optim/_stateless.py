"""Running an optimizer on other parameters and state than its own."""

from collections import defaultdict
from contextlib import contextmanager

_WHO = "swap_in_optimizer_params_and_state requires"


@contextmanager
def swap_in_optimizer_params_and_state(optimizer, swapin_parameters, swapin_optim_state):
    """While the context lasts, `optimizer` works on the given tensors; its own come back
    afterwards.

    `swapin_parameters` is a dictionary of tensors in the order of the optimizer's parameters.
    `swapin_optim_state` has the form of `Optimizer.state_dict()`. Its tensors are used themselves,
    so in-place changes show in it; new entries and changed options do not. The optimizer must have
    made at least one step. RuntimeError for whatever does not fit.
    """
    state, groups = _prepare_swap_in(optimizer, swapin_parameters, swapin_optim_state)
    own_state, own_groups = optimizer.state, [dict(group) for group in optimizer.param_groups]
    live = list(optimizer.param_groups)
    for group, new in zip(live, groups, strict=False):
        group.clear()
        group.update(new)
    optimizer.state = state
    try:
        yield
    finally:
        optimizer.state = own_state
        for group, saved in zip(optimizer.param_groups, own_groups, strict=True):
            group.clear()
            group.update(saved)


def _prepare_swap_in(optimizer, parameters, optim_state):
    """The state by parameter and the groups to install."""
    if not optimizer.state:
        raise RuntimeError(
            "swap_in_optimizer_params_and_state requires initialized optimizer state."
        )
    if not isinstance(optim_state, dict):
        raise RuntimeError(f"{_WHO} a DCP-style optimizer state_dict.")
    state, saved_groups = optim_state.get("state"), optim_state.get("param_groups")
    if not isinstance(state, dict):
        raise RuntimeError(
            f"{_WHO} swapin_optim_state['state'] to be a dict mapping packed parameter ids to "
            f"per-param state dicts, got {type(state).__name__}."
        )
    for entry in state.values():
        if not isinstance(entry, dict):
            raise RuntimeError(f"{_WHO} per-parameter optimizer state entries to be dictionaries.")
    if not isinstance(saved_groups, list):
        raise RuntimeError(
            f"{_WHO} swapin_optim_state['param_groups'] to be a list of param-group dicts, "
            f"got {type(saved_groups).__name__}."
        )
    if len(saved_groups) != len(optimizer.param_groups):
        raise RuntimeError(
            "swapin_optim_state has a different number of parameter groups than the live optimizer."
        )

    tensors = list(parameters.values())
    by_id, groups, start = {}, [], 0
    for i, (live, saved) in enumerate(zip(optimizer.param_groups, saved_groups, strict=False)):
        ids = _checked_ids(i, live, saved)
        own = tensors[start : start + len(ids)]
        start += len(ids)
        if len(own) != len(ids):
            raise RuntimeError(
                f"{_WHO} the explicit parameter state to match optimizer.param_groups ordering."
            )
        by_id.update(zip(ids, own, strict=False))
        groups.append({**saved, "params": own})
    extra = [key for key in state if key not in by_id]
    if extra:
        raise RuntimeError(
            f"{_WHO} swapin_optim_state['state'] to be keyed only by packed parameter ids from "
            f"param_groups[*]['params']; got extra keys {extra}."
        )
    by_parameter = defaultdict(dict)
    for key, entry in state.items():
        by_parameter[by_id[key]] = dict(entry)
    return by_parameter, groups


def _checked_ids(i, live, saved):
    """The ids of the parameters of group `i`, once it is found to fit the optimizer's group."""
    if not isinstance(saved, dict):
        raise RuntimeError(f"{_WHO} each optimizer param group to be a dictionary.")
    ids = saved.get("params")
    if not isinstance(ids, list) or not all(isinstance(key, int) for key in ids):
        raise RuntimeError(
            f"{_WHO} optimizer.state_dict()-style param_groups[*]['params'] entries keyed by "
            "packed parameter ids."
        )
    if len(ids) != len(live["params"]):
        raise RuntimeError(
            f"swapin_optim_state param group {i} has a different number of params than the live "
            "optimizer param group."
        )
    if set(saved) != set(live):
        only_saved = [key for key in saved if key not in live]
        only_live = [key for key in live if key not in saved]
        raise RuntimeError(
            f"{_WHO} optimizer.state_dict()-style param group keys to exactly match the live "
            f"optimizer group keys for group {i}. Keys only in swap-in: {only_saved}. Keys only "
            f"in live: {only_live}."
        )
    return ids
