"""Indexing beside PyTorch: values, shapes, strides, grad_fn names, warnings and error texts."""

import warnings

import pytest

import mindtorch_v2

torch = pytest.importorskip("torch")

# one expression a line; L is torch.tensor, s(k, v) a copy of x after x[k] = v
CASES = """
x[L([0,1],dtype=torch.int8)]
x[L([1,0,1],dtype=torch.uint8)]
x[L([1,0],dtype=torch.uint8)]
x[[0.5]]
x[1.5]
x[5]
x[0,0,0]
x[...,...]
x[0,7]
x[[0,5]]
x[[True,False]]
x[[True,False,True]]
x[[0,1],[0,1,2]]
x[::-1]
x[::0]
x[::2]
x[1:,::3]
L(1.)[0]
L(1.)[...]
L(1.)[None]
L(1.)[True]
x[True]
x[False]
x[()]
L(1.)[0:1]
x[L(1)]
x[L(True)]
x[[[0,1],[1,2]]]
x[[slice(0,1),1]]
x[[None,1]]
x[[]]
x[range(2)]
x[{}]
x[(0,),]
x[object()]
x[0:1.5]
x[L(0):L(2)]
x[1,True]
x[None,...,None]
x[L(2.)]
x[m]
x[m,None]
x[:,L([True,False,True])]
x[L([[0,1],[1,2]])]
x[L([-1,0])]
x[:,L([-1,0])]
x[2**70]
x[-1,-2]
x[1:3,1]
x[m[0]]
x[:,m[0]]
x[0,m[0]]
s(0,1)
s(0,torch.ones(5))
s([0,1],torch.ones(5))
s((0,0),torch.ones(1))
s((0,0),torch.ones(2))
s(0,"a")
s(0,[1,2,3,4])
s([0,1],torch.ones(1,1,2,4))
s(0,torch.ones(1,4))
s(x>3,0)
s(m,5)
s(m,torch.ones(2))
s([0],torch.ones(1,dtype=torch.float64))
s(False,1)
s(True,1)
s(0,1j)
s([0],1j)
s(0,None)
s([0],torch.ones(4,dtype=torch.complex64))
s(L([[0,1],[1,2]]),torch.ones(2,2,1))
s((slice(None),L([0,1])),7)
s(Ellipsis,3)
s(slice(1,None),L(2.))
xr[0]
xr[:]
xr[None]
xr[...]
xr[()]
xr[True]
xr[0,1]
xr[[0]]
xr[:,[0,1]]
xr[0,...]
xr[m]
xr[L(1)]
x.index_select(0,L([5]))
x.index_select(0,L([[5]]))
x.index_select(0,L([0.]))
x.index_select(3,L([0]))
x.index_select(0,L([-1]))
x.index_select(1,L([2,0]))
x.gather(0,L([5]))
x.gather(0,L([[5]]))
x.gather(0,L([[0.]]))
x.gather(1,L([[0]]*4))
x.gather(0,L([[-1]]))
x.gather(1,L([[3,2],[1,0]]))
x.gather(0,L([[2,1,0],[1,0,2]]))
x.scatter(0,L([[5]]),x)
x.scatter(0,L([[0]]),L([[1]]))
x.scatter(0,L([[0]*5]),x)
x.scatter(0,L([[0]]*4),x[:2])
x.scatter(0,L([[0.]]),x)
x.scatter(0,L([0]),x)
x.scatter(0,L([[0]]),x,reduce='foo')
x.scatter(0,L([[0,1]]),x,reduce='add')
x.scatter(0,L([[0,1]]),3,reduce='multiply')
x.scatter(0,L([[5]]),2.)
x.scatter(0,L([[1]]),2.)
x.scatter_add(0,L([[5]]),x)
x.scatter_add(1,L([[1,1],[2,2]]),x)
x.scatter_reduce(0,L([[5]]),x,'sum')
x.scatter_reduce(0,L([[0]]),x,'foo')
x.scatter_reduce(0,L([[0,0,0,0],[1,0,1,0]]),x+1,'mean')
x.scatter_reduce(0,L([[0,0,0,0],[1,0,1,0]]),x+1,'mean',include_self=False)
x.scatter_reduce(0,L([[0,0,0,0],[1,0,1,0]]),x+1,'amax')
x.scatter_reduce(0,L([[0,0,0,0],[1,0,1,0]]),x+1,'amin',include_self=False)
x.scatter_reduce(0,L([[0,0,0,0],[1,0,1,0]]),x+1,'prod')
x.index_add(0,L([5]),x[:1])
x.index_add(0,L([0]),x)
x.index_add(0,L([0,1]),x[:2,:2])
x.index_add(0,L([0]),x[:1],alpha=2)
x.index_add(1,L([0,0]),x[:,:2])
x.index_add(0,L([[0]]),x[:1])
x.index_add(0,L([0.]),x[:1])
x.index_copy(0,L([5]),x[:1])
x.index_copy(0,L([0]),x)
x.index_copy(0,L([0,1]),x[:2,:2])
x.index_copy(0,L([[0]]),x[:1])
x.index_copy(0,L([0.]),x[:1])
x.index_copy(0,L([0],dtype=torch.int32),x[:1])
x.index_copy(1,L([0,2]),x[:,1:3])
x.index_fill(0,L([5]),1)
x.index_fill(0,L([-1]),1)
x.index_fill(0,L([0.]),1)
x.index_fill(0,L([[0]]),1)
x.index_fill(0,L([0]),L([1.]))
x.index_fill(0,L([0],dtype=torch.int32),1)
x.masked_fill(L([1,0,1,0]),1)
x.masked_fill(L([True]),L([1.]))
x.masked_fill(L([True]*3),1)
x.masked_fill(L([True]),1j)
x.masked_fill(L([1],dtype=torch.uint8),1)
x.masked_fill_(L([[[True]]]),1)
x.masked_fill(L([True]),L(1j))
x.masked_fill(m,2)
x.masked_select(L([1,0,1,0]))
x.masked_select(L([True]*3))
x.masked_select(L([1],dtype=torch.uint8))
x.masked_select(m)
x.masked_scatter(m,L([1.]))
x.masked_scatter(m,x)
x.masked_scatter(L([1]),x)
x.take(L([50]))
x.take(L([0.]))
x.take(L([[0,-1]]))
x.put(L([50]),L([1.]))
x.put(L([0]),L([1.,2]))
x.put(L([0]),L([1]))
x.put(L([0.]),L([1.]))
x.put(L([0,0]),L([1.,2.]),accumulate=True)
x.take_along_dim(L([0.]))
x.take_along_dim(L([0]),0)
x.take_along_dim(L([[0]]),0)
x.take_along_dim(L([5]))
torch.where(m)
torch.where(x)
torch.nonzero(L(3))
torch.nonzero(L(0))
torch.nonzero(x)
x.nonzero()
torch.nonzero(L(3),as_tuple=True)
x.nonzero(as_tuple=True)
x.t()[L([0,1])]
x.t()[:,L([0,1])]
torch.zeros(2,3,4)[L([0,1]),:,L([0,1])]
torch.zeros(0)[L([0])]
torch.zeros(0,3).index_select(0,L([0]))
x.index_put((L([0]),),L([1.],dtype=torch.float64))
x.index_put((L([0]),),L(1.))
x.index_put((L([0,0]),L([1,1])),L([1.,5.]),accumulate=True)
x.index_select(0,L(1))
L(3.).index_select(0,L([0]))
L(3.).gather(0,L(0))
L(3.).gather(0,L([0,0]))
torch.index_select(x,0,L([1]),out=torch.empty(0))
torch.gather(x,0,L([[1]]),out=torch.empty(0))
"""


def outcome(module, case):
    x = module.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    m = module.tensor([[False, False, False, True], [True] * 4, [True] * 4])

    def s(k, v):
        y = x.clone()
        y[k] = v
        return y

    names = {"torch": module, "x": x, "L": module.tensor, "s": s, "m": m, "xr": x.clone().requires_grad_()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            r = eval(case, names)  # noqa: S307
            if isinstance(r, tuple):
                r = [(t.tolist(), tuple(t.stride())) for t in r]
            else:
                r = (tuple(r.shape), str(r.dtype), type(r.grad_fn).__name__, r.stride(), r.tolist())
        except Exception as error:  # noqa: BLE001
            r = (type(error).__name__, str(error))
    return r, [str(w.message).split(" (Triggered")[0] for w in caught]


@pytest.mark.parametrize("case", [c for c in CASES.splitlines() if c.strip()])
def test_same(case):
    assert outcome(mindtorch_v2, case) == outcome(torch, case)


GRADIENTS = """
x[[0, 2, 0]]
x[:, [1, 1]]
x[m]
x[1:, ::2]
x.index_select(1, L([3, 3, 0]))
x.gather(1, L([[3, 3], [0, 1]]))
x.scatter(0, L([[0, 1, 2, 0]]), y[:1])
x.scatter(0, L([[0, 1, 2, 0]]), 2.0)
x.scatter_add(1, L([[0, 0], [1, 3]]), y[:2, :2])
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'sum')
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'mean')
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'mean', include_self=False)
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'amax')
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'amin', include_self=False)
x.scatter_reduce(0, L([[0, 0, 1, 1], [0, 1, 1, 0]]), y[:2], 'prod')
x.index_add(0, L([2, 0, 2]), y, alpha=3)
x.index_copy(0, L([2, 0, 1]), y)
x.index_fill(1, L([2, 0]), 4.0)
x.masked_fill(m, 3.0)
x.masked_select(m)
x.masked_scatter(m, y)
x.take(L([0, 5, 5]))
x.put(L([0, 5, 3]), y[0, :3])
x.put(L([0, 5, 5]), y[0, :3], accumulate=True)
x.index_put((L([0, 1]), L([2, 2])), y[0, :2])
x.index_put((L([0, 0]), L([2, 2])), y[0, :2], accumulate=True)
x.take_along_dim(L([[3], [2], [2]]), 1)
"""


def gradients(module, case):
    x = module.tensor([[0.5, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], dtype=module.float64)
    y = module.tensor([[5.5, 1, 3, 9], [4, 2, 6, 1], [8, 7, 1, 1]], dtype=module.float64)
    m = module.tensor([[False, False, False, True], [True] * 4, [True] * 4])
    x.requires_grad_()
    y.requires_grad_()
    r = eval(case, {"x": x, "y": y, "m": m, "L": module.tensor})  # noqa: S307
    (r * r).sum().backward()
    return type(r.grad_fn).__name__, x.grad.tolist(), y.grad.tolist() if y.grad is not None else None


@pytest.mark.parametrize("case", [c for c in GRADIENTS.splitlines() if c])
def test_same_gradient(case):
    ours, theirs = gradients(mindtorch_v2, case), gradients(torch, case)
    assert ours[0] == theirs[0]
    for a, b in zip(ours[1:], theirs[1:]):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key", ["0", "(slice(None), 1)", "[0, 2]", "m", "(slice(1, None), [0, 1])", "..."])
def test_same_gradient_of_assignment(key):
    def run(module):
        x = module.tensor([[0.5, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], dtype=module.float64, requires_grad=True)
        v = module.tensor(2.5, dtype=module.float64, requires_grad=True)
        m = module.tensor([[False, False, False, True], [True] * 4, [True] * 4])
        y = x * 2
        y[eval(key, {"m": m})] = v  # noqa: S307
        (y * y).sum().backward()
        return x.grad.tolist(), v.grad.tolist()

    assert run(mindtorch_v2) == run(torch)
