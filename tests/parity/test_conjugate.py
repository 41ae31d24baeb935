"""Lazy conjugation and negation beside PyTorch: views with a bit, and who resolves it."""

import io

import mindtorch_v2
import torch
from tests.parity.side_by_side import Outcome, compare


def bits(lib):
    x = lib.tensor([1 + 2j, 3 - 4j])
    y = x.conj()
    yield y.is_conj(), y.data_ptr() == x.data_ptr(), y.resolve_conj().is_conj(), y.conj().is_conj(), lib.is_conj(y), y
    yield (y * 2).is_conj(), y + 1, y @ x, y.real, y.imag, y.imag.is_neg(), y.imag.resolve_neg().is_neg()
    z = y.imag
    z += 1
    yield x, z
    y.mul_(2)
    yield x, y
    y[0] = 5 + 1j
    yield x
    y.copy_(lib.tensor([1j, 2j]))
    yield x, y.tolist(), y.sum(), y.abs(), y == x.conj()
    yield Outcome(lambda: y.numpy()), Outcome(lambda: lib.view_as_real(y)), Outcome(lambda: y.item())
    yield [t.is_conj() for t in (y.T, y[0], y.reshape(2, 1), y.clone(), y.contiguous(), y.detach(), y.to(lib.complex128))]
    yield lib.empty_like(y).is_conj(), lib.stack([y, x]).is_conj(), lib.cat([y, y]).is_conj()
    m = lib.tensor([[1j, 2.0], [3.0, 4j]])
    yield m.mH.is_conj(), m.adjoint().is_conj(), m.H
    for value in (y, lib._neg_view(lib.tensor([1.0, 2.0]))):
        file = io.BytesIO()
        lib.save(value, file)
        file.seek(0)
        again = lib.load(file)
        yield again, again.is_conj(), again.is_neg()
    q = lib.tensor([1.0, 2.0])
    n = lib._neg_view(q)
    yield n, n.is_neg(), n.data_ptr() == q.data_ptr(), n + 1, n.sum(), n.abs(), Outcome(lambda: n.numpy())
    n.add_(10)
    yield q, q.conj() is q
    c = lib.tensor([1 + 2j])
    yield lib._C._set_conj(c, True), c, c.is_conj()
    r = lib.tensor([1.0])
    yield lib._C._set_neg(r, True), r, r.is_neg()
    out = lib.empty(2, dtype=lib.complex64).conj()
    lib.add(x, 1, out=out)
    yield out, out.is_conj()


def test_bits():
    compare(bits, mindtorch_v2, torch)
