"""One training step of a small convolutional network: forward, loss, backward, AdamW.

    python benchmarks/training_step.py [--threads N] [--batch N]

PyTorch is measured beside where it is installed, with the same weights and the same data; the
losses of both are printed, so that a wrong step does not pass for a quick one.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing


def make_step(torch, batch):
    """A function that does one step and returns its loss."""
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images, labels = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="steps per round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    timing.clean_environment()
    libraries = timing.libraries()
    steps, first, last = {}, {}, {}
    for name, library in libraries.items():
        library.set_num_threads(options.threads)
        steps[name] = make_step(library, options.batch)
        first[name] = steps[name]()
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(options.steps):
                last[name] = step()
            best[name] = min(best[name], (time.perf_counter() - start) / options.steps)
    timing.table(
        ["library", "ms per step", "images per second", "first loss", "last loss"],
        [
            [
                name,
                best[name] * 1e3,
                options.batch / best[name],
                f"{first[name]:.6f}",
                f"{last[name]:.6f}",
            ]
            for name in steps
        ],
    )


if __name__ == "__main__":
    main()
