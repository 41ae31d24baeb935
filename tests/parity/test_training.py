"""A training run, step by step beside PyTorch: same data, same initial weights, same losses."""

import importlib.util
import sys
from pathlib import Path

import numpy
import pytest
import torch as theirs

import mindtorch_v2 as ours

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_digits.py"


def network(torch):
    """A small convnet. The convolution has no bias: in front of a batch norm its gradient is zero but
    for rounding, of which Adam would make steps of full size in any direction."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )


def losses(torch, optimizer, lr, weights, images, labels, steps=25):
    """The loss of every step, and the weights at the end, as NumPy arrays."""
    model = network(torch)
    model.load_state_dict({name: torch.from_numpy(w.copy()) for name, w in weights.items()})
    step = getattr(torch.optim, optimizer)(model.parameters(), lr=lr)
    loss_of = torch.nn.CrossEntropyLoss()
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    out = []
    for _ in range(steps):
        step.zero_grad()
        loss = loss_of(model(images), labels)
        loss.backward()
        step.step()
        out.append(loss.item())
    return out, {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(("optimizer", "lr"), [("SGD", 0.1), ("Adam", 1e-2), ("AdamW", 1e-2)])
def test_losses_follow(optimizer, lr):
    theirs.manual_seed(0)
    weights = {name: value.numpy() for name, value in network(theirs).state_dict().items()}
    random = numpy.random.default_rng(0)
    images = random.standard_normal((32, 1, 8, 8), dtype=numpy.float32)
    labels = random.integers(0, 10, 32)
    expected, last = losses(theirs, optimizer, lr, weights, images, labels)
    got, ours_last = losses(ours, optimizer, lr, weights, images, labels)
    numpy.testing.assert_allclose(got, expected, rtol=2e-4)
    assert expected[-1] < expected[0] / 2
    for name, value in last.items():
        numpy.testing.assert_allclose(ours_last[name], value, rtol=5e-3, atol=5e-4, err_msg=name)


def load_example(library):
    """The example as a module, with `import mindtorch_v2` meaning `library`."""
    name = f"train_digits_{library.__name__}"
    text = EXAMPLE.read_text().replace("mindtorch_v2", library.__name__)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, None))
    module.__file__ = str(EXAMPLE)
    sys.modules[name] = module
    exec(compile(text, str(EXAMPLE), "exec"), module.__dict__)
    return module


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn")
def test_the_example_starts_alike():
    """From one seed both libraries split the digits alike and make the same first weights."""
    states = []
    for library in (ours, theirs):
        library.manual_seed(0)
        example = load_example(library)
        training, held_out = example.digits()
        state = {name: w.numpy() for name, w in example.DigitNet().state_dict().items()}
        states.append((state, training.tensors[1].numpy(), held_out.tensors[0].numpy()))
    (got, got_labels, got_images), (expected, labels, images) = states
    numpy.testing.assert_array_equal(got_labels, labels)
    numpy.testing.assert_array_equal(got_images, images)
    assert list(got) == list(expected)
    for name, value in expected.items():
        numpy.testing.assert_array_equal(got[name], value, err_msg=name)
