"""Nested containers seen as trees: flatten, rebuild, map.

list, tuple, dict, namedtuple, OrderedDict, defaultdict, deque and torch.return_types are nodes,
everything else a leaf; `register_pytree_node` adds classes. Reference behaviour:
torch.utils._pytree.
"""

from collections import OrderedDict, defaultdict, deque

__all__ = [
    "PyTree", "LeafSpec", "TreeSpec", "register_pytree_node", "tree_flatten", "tree_unflatten", "tree_map",
    "tree_map_", "tree_map_only", "tree_map_only_", "tree_all", "tree_any", "tree_all_only", "tree_any_only",
    "tree_leaves", "tree_structure", "tree_iter", "tree_is_leaf", "tree_flatten_with_path", "tree_leaves_with_path",
    "tree_map_with_path", "keystr", "treespec_pprint", "SequenceKey", "MappingKey", "GetAttrKey",
]  # fmt: skip

PyTree = object


class SequenceKey:
    """A place in a list, tuple or deque."""

    def __init__(self, idx):
        self.idx = idx

    def __str__(self):
        return f"[{self.idx!r}]"

    def __repr__(self):
        return f"SequenceKey(idx={self.idx!r})"

    def __eq__(self, other):
        return isinstance(other, SequenceKey) and self.idx == other.idx

    def __hash__(self):
        return hash(self.idx)

    def get(self, sequence):
        return sequence[self.idx]


class MappingKey:
    """A key of a dict."""

    def __init__(self, key):
        self.key = key

    def __str__(self):
        return f"[{self.key!r}]"

    def __repr__(self):
        return f"MappingKey(key={self.key!r})"

    def __eq__(self, other):
        return isinstance(other, MappingKey) and self.key == other.key

    def __hash__(self):
        return hash(self.key)

    def get(self, mapping):
        return mapping[self.key]


class GetAttrKey:
    """An attribute, of a namedtuple for one."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f".{self.name}"

    def __repr__(self):
        return f"GetAttrKey(name={self.name!r})"

    def __eq__(self, other):
        return isinstance(other, GetAttrKey) and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def get(self, obj):
        return getattr(obj, self.name)


class _Node:
    """How a container is taken apart and put together."""

    def __init__(self, flatten, unflatten, keys=None):
        self.flatten, self.unflatten, self.keys = flatten, unflatten, keys


def _sequence_keys(context, n):
    return [SequenceKey(i) for i in range(n)]


def _mapping_keys(context, n):
    return [MappingKey(k) for k in context]


_NODES = {
    list: _Node(lambda x: (x, None), lambda values, context: list(values), _sequence_keys),
    tuple: _Node(lambda x: (list(x), None), lambda values, context: tuple(values), _sequence_keys),
    dict: _Node(lambda x: (list(x.values()), list(x)), lambda values, context: dict(zip(context, values)), _mapping_keys),
    OrderedDict: _Node(
        lambda x: (list(x.values()), list(x)), lambda values, context: OrderedDict(zip(context, values)), _mapping_keys
    ),
    defaultdict: _Node(
        lambda x: (list(x.values()), [x.default_factory, list(x)]),
        lambda values, context: defaultdict(context[0], zip(context[1], values)),
        lambda context, n: _mapping_keys(context[1], n),
    ),
    deque: _Node(
        lambda x: (list(x), x.maxlen), lambda values, context: deque(values, maxlen=context), _sequence_keys
    ),
}
_NAMEDTUPLE = _Node(
    lambda x: (list(x), type(x)),
    lambda values, context: context(*values),
    lambda context, n: [GetAttrKey(name) for name in context._fields],
)
_STRUCTSEQ = _Node(
    lambda x: (list(x), type(x)), lambda values, context: context(values), _sequence_keys
)


def _is_namedtuple(kind):
    fields = getattr(kind, "_fields", None)
    return issubclass(kind, tuple) and isinstance(fields, tuple) and all(isinstance(f, str) for f in fields)


def _is_structseq(kind):
    return getattr(kind, "__bases__", None) == (tuple,) and isinstance(getattr(kind, "n_sequence_fields", None), int)


def _node_of(tree):
    """(node, type as it is written down) of a container, (None, None) of a leaf."""
    kind = type(tree)
    node = _NODES.get(kind)
    if node is not None:
        return node, kind
    if isinstance(tree, tuple):
        if _is_namedtuple(kind):
            import collections

            return _NAMEDTUPLE, collections.namedtuple
        if _is_structseq(kind):
            return _STRUCTSEQ, kind
    return None, None


def register_pytree_node(
    cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None,
    from_dumpable_context=None, flatten_with_keys_fn=None,
):  # fmt: skip
    """Makes a class a container.

    flatten_fn: object -> (children, context). unflatten_fn: (children, context) -> object. Raises
    ValueError for a class that is known already.
    """
    if cls in _NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    keys = None
    if flatten_with_keys_fn is not None:
        keys = flatten_with_keys_fn
    _NODES[cls] = _Node(flatten_fn, unflatten_fn, None)
    _NODES[cls].with_keys = keys


_register_pytree_node = register_pytree_node


class TreeSpec:
    """The structure of a tree without its leaves."""

    def __init__(self, type, context, children_specs):
        self.type, self.context, self._children = type, context, list(children_specs)
        self.num_nodes = 1 + sum(c.num_nodes for c in self._children)
        self.num_leaves = sum(c.num_leaves for c in self._children)
        self.num_children = len(self._children)

    @property
    def children_specs(self):
        return self._children

    def children(self):
        return list(self._children)

    def child(self, index):
        return self._children[index]

    def is_leaf(self):
        return False

    def unflatten(self, leaves):
        """The tree with these leaves; ValueError where their number does not fit."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a pytree "
                f"that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(leaves))

    def _build(self, leaves):
        values = [child._build(leaves) for child in self._children]
        return self._node().unflatten(values, self.context)

    def _node(self):
        node = _NODES.get(self.type)
        if node is not None:
            return node
        return _STRUCTSEQ if _is_structseq(self.type) else _NAMEDTUPLE

    def flatten_up_to(self, tree):
        """The subtrees of `tree` where this spec has leaves."""
        out = []
        self._up_to(tree, out)
        return out

    def _up_to(self, tree, out):
        node, kind = _node_of(tree)
        both_dicts = {kind, self.type} <= {dict, OrderedDict, defaultdict}
        if kind is not self.type and not both_dicts:
            raise ValueError(f"Type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, context = node.flatten(tree)
        if len(children) != self.num_children:
            raise ValueError(f"Node arity mismatch; expected {self.num_children}, but got {len(children)}.")
        if both_dicts:
            keys = self.context[1] if self.type is defaultdict else self.context
            if set(keys) != set(tree):
                raise ValueError(f"Node keys mismatch; expected {sorted(map(str, keys))}, got {sorted(map(str, tree))}.")
            children = [tree[k] for k in keys]
        elif context != self.context and kind is not deque:
            raise ValueError(f"Node context mismatch for custom node type {self.type!r}.")
        for spec, child in zip(self._children, children):
            spec._up_to(child, out)

    def __eq__(self, other):
        return (
            isinstance(other, TreeSpec) and self.type is other.type and self.context == other.context
            and self._children == other._children
        )  # fmt: skip

    def __hash__(self):
        return hash((self.type, str(self.context), len(self._children)))

    def __repr__(self):
        return self._text(0)

    def _text(self, indent):
        """PyTorch's form: every child but the first starts a line of its own."""
        indent += 2
        inner = (",\n" + " " * indent).join(child._text(indent) for child in self._children)
        return f"TreeSpec({getattr(self.type, '__name__', self.type)}, {self.context}, [{inner}])"


class LeafSpec(TreeSpec):
    """The structure of a leaf."""

    def __init__(self):
        super().__init__(None, None, [])
        self.num_leaves = 1

    def is_leaf(self):
        return True

    def _build(self, leaves):
        return next(leaves)

    def _up_to(self, tree, out):
        out.append(tree)

    def _text(self, indent):
        return "*"


_LEAF = LeafSpec()


def tree_is_leaf(tree, is_leaf=None):
    return (is_leaf is not None and is_leaf(tree)) or _node_of(tree)[0] is None


def _flatten(tree, leaves, is_leaf):
    if is_leaf is not None and is_leaf(tree):
        leaves.append(tree)
        return _LEAF
    node, kind = _node_of(tree)
    if node is None:
        leaves.append(tree)
        return _LEAF
    children, context = node.flatten(tree)
    return TreeSpec(kind, context, [_flatten(child, leaves, is_leaf) for child in children])


def tree_flatten(tree, is_leaf=None):
    """(leaves, spec). is_leaf: takes a subtree as leaf where it says True."""
    leaves = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves, treespec):
    """The tree of `tree_flatten`, with other leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"tree_unflatten(leaves, treespec): Expected `treespec` to be instance of TreeSpec but got item of "
            f"type {type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_iter(tree, is_leaf=None):
    if tree_is_leaf(tree, is_leaf):
        yield tree
    else:
        for child in _node_of(tree)[0].flatten(tree)[0]:
            yield from tree_iter(child, is_leaf)


def tree_leaves(tree, is_leaf=None):
    return list(tree_iter(tree, is_leaf))


def tree_structure(tree, is_leaf=None):
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """The tree of ``func(leaf, *leaves of rests in the same place)``."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(rest) for rest in rests)]
    return spec.unflatten(map(func, *columns))


def tree_map_(func, tree, *rests, is_leaf=None):
    """Calls ``func`` on the leaves; returns the tree itself."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(rest) for rest in rests)]
    for items in zip(*columns):
        func(*items)
    return tree


def map_only(type_or_types_or_pred, /):
    """Decorator: the function is applied to leaves of the type (or types, or where a predicate
    holds), others stay."""
    if isinstance(type_or_types_or_pred, (type, tuple)) or hasattr(type_or_types_or_pred, "__args__"):

        def wanted(x):
            return isinstance(x, type_or_types_or_pred)

    elif callable(type_or_types_or_pred):
        wanted = type_or_types_or_pred
    else:
        raise TypeError("Argument must be a type, a tuple of types, or a callable.")

    def decorate(func):
        def apply(x):
            return func(x) if wanted(x) else x

        return apply

    return decorate


def tree_map_only(type_or_types_or_pred, /, func, tree, is_leaf=None):
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred, /, func, tree, is_leaf=None):
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None):
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(type_or_types, /, pred, tree, is_leaf=None):
    return all(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(type_or_types, /, pred, tree, is_leaf=None):
    return any(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def _walk_with_path(tree, path, is_leaf):
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    node, _ = _node_of(tree)
    with_keys = getattr(node, "with_keys", None)
    if with_keys is not None:
        pairs, _ = with_keys(tree)
    else:
        children, context = node.flatten(tree)
        if node.keys is None:
            raise ValueError(f"Did not find a flatten_with_keys_fn for type: {type(tree)}.")
        pairs = zip(node.keys(context, len(children)), children)
    for key, child in pairs:
        yield from _walk_with_path(child, (*path, key), is_leaf)


def tree_flatten_with_path(tree, is_leaf=None):
    """([(path, leaf), ...], spec); a path is a tuple of keys."""
    return list(_walk_with_path(tree, (), is_leaf)), tree_structure(tree, is_leaf)


def tree_leaves_with_path(tree, is_leaf=None):
    return list(_walk_with_path(tree, (), is_leaf))


def tree_map_with_path(func, tree, *rests, is_leaf=None):
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    columns = [*zip(*pairs)] if pairs else [(), ()]
    columns += [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(map(func, *columns))


def keystr(kp):
    """A path as text: "['a'][0].b"."""
    return "".join(map(str, kp))


def treespec_pprint(treespec):
    return repr(tree_unflatten(["*"] * treespec.num_leaves, treespec)).replace("'*'", "*")


def _broadcast_to_and_flatten(tree, treespec, is_leaf=None):
    """Leaves of `tree` repeated so that they fit the spec; None where they cannot."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    if treespec.is_leaf():
        return None
    node, kind = _node_of(tree)
    if kind is not treespec.type:
        return None
    children, context = node.flatten(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    out = []
    for child, spec in zip(children, treespec.children_specs):
        flat = _broadcast_to_and_flatten(child, spec, is_leaf)
        if flat is None:
            return None
        out += flat
    return out
