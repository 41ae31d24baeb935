"""Seeding, saving and forking the random state."""

import mindtorch_v2 as torch


def test_seeds():
    assert torch.manual_seed(5) is torch.default_generator
    first = torch.rand(3)
    assert torch.initial_seed() == 5
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), first)
    assert torch.seed() == torch.initial_seed() != 5


def test_state():
    state = torch.get_rng_state()
    assert state.dtype == torch.uint8 and state.dim() == 1
    first = torch.rand(3)
    torch.set_rng_state(state)
    assert torch.equal(torch.rand(3), first)


def test_fork_rng():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with torch.random.fork_rng():
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(1)
    with torch.random.fork_rng(enabled=False):
        torch.rand(5)
    assert not torch.equal(torch.rand(2), expected)

    @torch.random.fork_rng()
    def draw():
        return torch.rand(2)

    assert torch.equal(draw(), draw())


def test_generator_of_thread_workers():
    assert torch.random.thread_safe_generator() is None
