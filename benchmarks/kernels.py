"""What operators on large tensors cost: microseconds per call, float32, one thread unless said.

    python benchmarks/kernels.py [--only WORD] [--threads N]

PyTorch is measured beside where it is installed. Reading and writing a million elements from the
last level of cache is some 100 us of most rows; the rest is arithmetic.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing

CASES = [
    ("a + b, 1e6", "a + b"),
    ("a ** 3, 1e6", "a ** 3"),
    ("exp(a), 1e6", "torch.exp(a)"),
    ("gelu(a), 1e6", "F.gelu(a)"),
    ("a.sum(), 1e6", "a.sum()"),
    ("a.std(), 1e6", "a.std()"),
    ("m.sum(0), 1000 x 1000", "m.sum(0)"),
    ("m.sum(1), 1000 x 1000", "m.sum(1)"),
    ("m.softmax(1), 1000 x 1000", "m.softmax(1)"),
    ("m.t().contiguous(), 1000 x 1000", "m.t().contiguous()"),
    ("m * column, 1000 x 1000", "m * column"),
    ("every second column + the others", "m[:, ::2] + m[:, 1::2]"),
    ("m.gather(1, places), 1000 x 1000", "m.gather(1, places)"),
    ("zeros.scatter_add(1, places, m)", "zeros.scatter_add_(1, places, m)"),
    ("m.topk(10), 1000 x 1000", "m.topk(10)"),
    ("randperm(1e6)", "torch.randperm(1_000_000)"),
    ("conv2d 3 x 3, 64 channels of 56 x 56", "F.conv2d(x64, w64, padding=1)"),
    ("conv2d 3 x 3, 8 times 128 of 28 x 28", "F.conv2d(x128, w128, padding=1)"),
    ("conv2d 3 x 3, 8 times 512 of 7 x 7", "F.conv2d(x512, w512, padding=1)"),
]


def namespace(torch, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return {
        "torch": torch,
        "F": torch.nn.functional,
        "a": torch.randn(1_000_000),
        "b": torch.randn(1_000_000),
        "m": torch.randn(1000, 1000),
        "zeros": torch.zeros(1000, 1000),
        "column": torch.randn(1000, 1),
        "places": torch.randint(0, 1000, (1000, 1000)),
        **{
            f"x{channels}": torch.randn(batch, channels, size, size)
            for channels, batch, size in ((64, 1, 56), (128, 8, 28), (512, 8, 7))
        },
        **{f"w{channels}": torch.randn(channels, channels, 3, 3) for channels in (64, 128, 512)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    timing.clean_environment()
    spaces = {
        name: namespace(library, options.threads) for name, library in timing.libraries().items()
    }
    rows = []
    for name, statement in CASES:
        if options.only in name:
            best = timing.nanoseconds(statement, spaces)
            rows.append([name, *(best[side] / 1e3 for side in spaces)])
    if {"mindtorch_v2", "torch"} <= spaces.keys():
        rows = [[*row, row[1] / row[2]] for row in rows]
        timing.table(["us", *spaces, "ratio"], rows)
    else:
        timing.table(["us", *spaces], rows)


if __name__ == "__main__":
    main()
