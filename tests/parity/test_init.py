"""Initial weights beside PyTorch: the same numbers from the same seed."""

import pytest
import torch

import mindtorch_v2 as ours

CASES = [
    ((10,), 0.0, 1.0, -1.0, 1.0),
    ((1000,), 0.0, 1.0, -2.0, 2.0),
    ((20,), 0.0, 1.0, 0.5, 9.0),
    ((1, 16, 32), 0.0, 0.2, -2.0, 2.0),
    ((7, 9), 0.5, 2.0, -1.0, 3.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_truncated_normal(case):
    shape, *arguments = case
    found = []
    for package in (torch, ours):
        package.manual_seed(0)
        x = package.nn.init.trunc_normal_(package.empty(shape), *arguments)
        found.append((x.tolist(), package.rand(3).tolist()))
    assert found[0] == found[1]
