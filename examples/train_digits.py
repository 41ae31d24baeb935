"""Trains a small convolutional network on 1,797 scanned handwritten digits and profiles it.

    python examples/train_digits.py [--epochs 12] [--out examples/out]

The images (8 x 8 pixels, 16 grey levels) come with scikit-learn. Four fifths train, one fifth is
held out. The run shows a progress bar per epoch, profiles three training steps, writes the
profiler's trace and a checkpoint, loads the checkpoint into a fresh model and measures that one on
the held-out digits. It fails if fewer than 97 % of them are read correctly.

The program uses nothing but PyTorch's API: with `mindtorch_v2` replaced by `torch` it runs there.
"""

import argparse
import sys
import time
from pathlib import Path

from sklearn.datasets import load_digits

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.profiler import ProfilerActivity, profile, record_function, schedule
from mindtorch_v2.utils.data import DataLoader, TensorDataset


class DigitNet(nn.Module):
    """(N, 1, 8, 8) images -> (N, 10) scores."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, images):
        return self.classifier(self.features(images))


def digits():
    """(training, held-out) data sets of (1, 8, 8) float32 images in [0, 1] and int64 labels."""
    data = load_digits()
    images = torch.from_numpy(data.images).float().unsqueeze(1) / 16
    labels = torch.from_numpy(data.target).long()
    order = torch.randperm(len(labels))
    held_out, training = order[: len(order) // 5], order[len(order) // 5 :]
    return (
        TensorDataset(images[training], labels[training]),
        TensorDataset(images[held_out], labels[held_out]),
    )


class Progress:
    """A bar that is redrawn on a terminal, and one line per epoch in a log."""

    def __init__(self, epoch, epochs, steps):
        self.title, self.steps, self.step = f"epoch {epoch:2}/{epochs}", steps, 0
        self.loss, self.correct, self.seen = 0.0, 0, 0
        self.live = sys.stdout.isatty()

    def update(self, loss, correct, count):
        self.step += 1
        self.loss += loss * count
        self.correct += correct
        self.seen += count
        last = self.step == self.steps
        if self.live or last:
            filled = 30 * self.step // self.steps
            bar = "#" * filled + "." * (30 - filled)
            print(
                f"{self.title} [{bar}] loss {self.loss / self.seen:.4f} "
                f"accuracy {self.correct / self.seen:6.2%}",
                end="\n" if last else "\r",
                flush=True,
            )


def train(model, data, options):
    """Trains the model; returns (optimizer, images per second, the profiler's table)."""
    loader = DataLoader(
        data, batch_size=options.batch_size, shuffle=True, num_workers=options.workers
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    loss_of = nn.CrossEntropyLoss()
    tables = []

    def keep_trace(prof):
        prof.export_chrome_trace(str(options.trace))
        tables.append(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))

    model.train()
    start = time.perf_counter()
    with profile(
        activities=[ProfilerActivity.CPU],
        schedule=schedule(wait=1, warmup=1, active=3, repeat=1),
        on_trace_ready=keep_trace,
        record_shapes=True,
    ) as prof:
        for epoch in range(1, options.epochs + 1):
            progress = Progress(epoch, options.epochs, len(loader))
            for images, labels in loader:
                optimizer.zero_grad()
                with record_function("forward"):
                    scores = model(images)
                    loss = loss_of(scores, labels)
                loss.backward()
                optimizer.step()
                correct = (scores.argmax(dim=1) == labels).sum().item()
                progress.update(loss.item(), correct, len(labels))
                prof.step()
    seconds = time.perf_counter() - start
    return optimizer, options.epochs * len(data) / seconds, tables[0]


def accuracy(model, data):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in DataLoader(data, batch_size=256):
            correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="processes that load the data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.trace = options.out / "train_digits.trace.json"
    checkpoint = options.out / "train_digits.pt"

    torch.manual_seed(options.seed)
    training, held_out = digits()
    model = DigitNet()
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(training)} digits to train on, {len(held_out)} held out, {parameters} parameters")

    optimizer, speed, table = train(model, training, options)
    print(table)
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epochs": options.epochs,
        },
        checkpoint,
    )

    reloaded = DigitNet()
    reloaded.load_state_dict(torch.load(checkpoint)["model"])
    result = accuracy(reloaded, held_out)
    same = result == accuracy(model, held_out)
    print(f"checkpoint        {checkpoint} (reloaded: {'the same' if same else 'NOT the same'})")
    print(f"trace             {options.trace} (chrome://tracing or ui.perfetto.dev)")
    print(f"images per second {speed:,.0f}")
    print(f"held-out accuracy {result:.2%}")
    return 0 if same and result >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
