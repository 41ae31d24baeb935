"""Nested containers: taken apart into leaves and put together again.

A structure is None for a leaf, or (type, keys, children). Lists, tuples, named tuples and dicts are
containers; everything else is a leaf.
"""

__all__ = ["flatten", "unflatten", "tree_map", "broadcast"]


def _is_namedtuple(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _open(value):
    """(type, keys, children) of a container, None for a leaf."""
    kind = type(value)
    if kind in (list, tuple) or _is_namedtuple(value):
        return kind, None, list(value)
    if isinstance(value, dict):
        return kind, list(value), list(value.values())
    return None


def _close(kind, keys, children):
    if keys is not None:
        return kind(zip(keys, children))
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def flatten(value):
    """The leaves of `value` in order, and its structure."""
    opened = _open(value)
    if opened is None:
        return [value], None
    kind, keys, children = opened
    leaves, structures = [], []
    for child in children:
        more, structure = flatten(child)
        leaves += more
        structures.append(structure)
    return leaves, (kind, tuple(keys) if keys is not None else None, tuple(structures))


def _build(leaves, structure):
    if structure is None:
        return next(leaves)
    kind, keys, structures = structure
    return _close(kind, keys, [_build(leaves, s) for s in structures])


def unflatten(leaves, structure):
    """The value of this structure with these leaves."""
    return _build(iter(leaves), structure)


def tree_map(function, value):
    """`value` with function(leaf) in the place of every leaf."""
    leaves, structure = flatten(value)
    return unflatten([function(x) for x in leaves], structure)


def count(structure):
    """How many leaves a structure has."""
    return 1 if structure is None else sum(map(count, structure[2]))


def broadcast(prefix, structure):
    """One leaf of `prefix` for every leaf of the structure: a leaf stands for all below it. None where
    the containers do not match."""
    opened = _open(prefix)
    if opened is None:
        return [prefix] * count(structure)
    if structure is None:
        return None
    kind, keys, children = opened
    if kind is not structure[0] or len(children) != len(structure[2]):
        return None
    if keys is not None and set(keys) != set(structure[1]):
        return None
    if keys is not None:
        children = [prefix[k] for k in structure[1]]
    found = []
    for child, below in zip(children, structure[2]):
        more = broadcast(child, below)
        if more is None:
            return None
        found += more
    return found
