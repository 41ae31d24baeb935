"""What one operator call costs beside its arithmetic: ns per call on 4 elements, one thread.

    python benchmarks/ops_overhead.py [--only WORD]

PyTorch is measured beside where it is installed.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing

# (name, statement, how many calls a statement makes)
CASES = [
    ("a + b", "a + b", 1),
    ("add(a, b)", "add(a, b)", 1),
    ("a.add(b, alpha=2)", "a.add(b, alpha=2)", 1),
    ("a * 2.0", "a * 2.0", 1),
    ("a.add_(b)", "c.add_(b)", 1),
    ("a.view(2, 2)", "a.view(2, 2)", 1),
    ("m.t()", "m.t()", 1),
    ("a[1]", "a[1]", 1),
    ("m + row, broadcast", "m + row", 1),
    ("a.sum()", "a.sum()", 1),
    ("m @ m", "m @ m", 1),
    ("relu(a)", "relu(a)", 1),
    ("empty(4)", "empty(4)", 1),
    ("a.item(), one element", "one.item()", 1),
    ("g + b, requires_grad", "g + b", 1),
    ("g * b, requires_grad", "g * b", 1),
    ("g.view(2, 2), requires_grad", "g.view(2, 2)", 1),
    ("(g * b).sum().backward()", "(g * b).sum().backward()", 1),
    ("chain of 100 adds, forward, per node", "x = g\nfor _ in r100: x = x + b", 100),
    (
        "chain of 100 adds, forward and backward, per node",
        "x = g\nfor _ in r100: x = x + b\nx.backward(b)",
        100,
    ),
    (
        "chain of 100 muls, forward and backward, per node",
        "x = g\nfor _ in r100: x = x * b\nx.backward(b)",
        100,
    ),
]


def namespace(torch):
    torch.set_num_threads(1)
    return {
        "a": torch.ones(4),
        "b": torch.ones(4),
        "c": torch.zeros(4),
        "m": torch.ones(2, 2),
        "row": torch.ones(2),
        "one": torch.ones(1),
        "g": torch.ones(4, requires_grad=True),
        "r100": range(100),
        **{name: getattr(torch, name) for name in ("add", "relu", "empty")},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    timing.clean_environment()
    libraries = timing.libraries()
    spaces = {name: namespace(library) for name, library in libraries.items()}
    rows = []
    for name, statement, calls in CASES:
        if options.only in name:
            best = timing.nanoseconds(statement, spaces)
            rows.append([name, *(best[side] / calls for side in spaces)])
    if {"mindtorch_v2", "torch"} <= spaces.keys():
        rows = [[*row, row[1] / row[2]] for row in rows]
        timing.table(["ns", *spaces, "ratio"], rows)
    else:
        timing.table(["ns", *spaces], rows)


if __name__ == "__main__":
    main()
