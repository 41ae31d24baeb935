"""Tensors from Python data beside PyTorch: values, dtypes, warnings and error texts."""

import array
import warnings

import pytest

import mindtorch_v2

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")


class WithArray:
    def __array__(self, *args, **kwargs):
        return np.ones(2, dtype=np.float32)


class Items:
    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i > 1:
            raise IndexError
        return i


class Bad:
    pass


CASES = r"""
torch.tensor(1)
torch.tensor([1,2.5])
torch.tensor([1,True])
torch.tensor([True,False])
torch.tensor([1j,2])
torch.tensor([])
torch.tensor([[]])
torch.tensor([[1,2],[3]])
torch.tensor([[1,2],3])
torch.tensor([1,[2]])
torch.tensor('a')
torch.tensor(['a'])
torch.tensor(None)
torch.tensor([None])
torch.tensor({})
torch.tensor(Bad())
torch.tensor([Bad()])
torch.tensor(range(3))
torch.tensor(Items())
torch.tensor(WithArray())
torch.tensor([WithArray()])
torch.tensor(np.float32(1))
torch.tensor(np.int8(1))
torch.tensor([np.float32(1)])
torch.tensor([np.int8(1),np.int8(2)])
torch.tensor([np.float64(1),2])
torch.tensor(np.bool_(True))
torch.tensor([np.bool_(True)])
torch.tensor(np.array('a'))
torch.tensor(np.array([1,2],dtype='>f4'))
torch.tensor(x)
torch.tensor(x,requires_grad=True)
torch.tensor([x.detach()[0],x.detach()[1]])
torch.tensor([x[0],x[1]])
torch.tensor([torch.tensor(1),2.5])
torch.tensor([torch.ones(2),torch.ones(2)])
torch.tensor([torch.ones(1),torch.ones(1)])
torch.tensor(2**63)
torch.tensor(2**64)
torch.tensor(-2**63)
torch.tensor(2**63-1)
torch.tensor(300,dtype=torch.uint8)
torch.tensor([300],dtype=torch.uint8)
torch.tensor(-1,dtype=torch.uint8)
torch.tensor(-129,dtype=torch.int8)
torch.tensor(1.5,dtype=torch.int)
torch.tensor([1.5],dtype=torch.int)
torch.tensor(1j,dtype=torch.float)
torch.tensor([1j],dtype=torch.float)
torch.tensor(1e300,dtype=torch.float32)
torch.tensor([1e300],dtype=torch.float32)
torch.tensor(1e6,dtype=torch.float16)
torch.tensor(float('nan'),dtype=torch.int)
torch.tensor(1,requires_grad=True)
torch.tensor(1.,requires_grad=True)
torch.tensor([1.,2.],device='meta')
torch.tensor([1.],device='cuda')
torch.tensor([1.],pin_memory=True)
torch.tensor(data=1)
torch.tensor()
torch.tensor(1,2)
torch.tensor(1,dtype='x')
torch.tensor(1,foo=1)
torch.tensor(b'abc')
torch.tensor(bytearray(b'abc'))
torch.tensor(array.array('i',[1,2]))
torch.tensor(memoryview(b'abc'))
torch.tensor([1,2],dtype=torch.bool)
torch.tensor(2**63,dtype=torch.float32)
torch.tensor([2**63])
torch.tensor([2**64],dtype=torch.float64)
torch.tensor(2**63,dtype=torch.uint64)
torch.as_tensor(np.arange(3.)).dtype
torch.as_tensor(x,dtype=torch.float64)
torch.as_tensor([1,2.])
torch.as_tensor(3)
torch.asarray([1,2.])
torch.asarray([1],copy=False)
torch.asarray(array.array('i',[1,2]))
torch.asarray(bytearray(b'abcd'),dtype=torch.int32)
torch.asarray('a')
torch.from_numpy([1])
torch.from_numpy(np.array(['a']))
torch.from_numpy(np.array([1],dtype='>i4'))
torch.from_numpy(np.array([1],dtype='datetime64[s]'))
torch.from_numpy(np.array([object()]))
torch.from_numpy(np.arange(4,dtype=np.uint16))
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,offset=4)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,count=1)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,offset=3)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,offset=30)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,count=3)
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.int32,count=0)
torch.frombuffer(bytearray(b''),dtype=torch.int32)
torch.frombuffer(b'abcdefgh',dtype=torch.int32)
torch.frombuffer(3,dtype=torch.int32)
torch.frombuffer(bytearray(b'abcdefgh'))
torch.frombuffer(bytearray(b'abcdefgh'),dtype=torch.float32,requires_grad=True)
torch.Tensor()
torch.Tensor(2,3).shape
torch.Tensor([1,2])
torch.Tensor((1,2))
torch.Tensor(torch.Size([2,3])).shape
torch.Tensor(3.5)
torch.Tensor('a')
torch.Tensor(x)
torch.Tensor(torch.ones(2,dtype=torch.int))
torch.Tensor(np.ones(2))
torch.Tensor(np.ones(2,dtype=np.float32))
torch.Tensor([1,2],device='cpu')
torch.Tensor([[1,2],[3]])
torch.Tensor(2,device='cpu').shape
torch.Tensor(-1)
torch.LongTensor([1.5,2])
torch.LongTensor(2,3).dtype
torch.ByteTensor([1])
torch.BoolTensor([1,0])
torch.DoubleTensor()
torch.IntTensor(torch.ones(2,dtype=torch.int))
torch.IntTensor(torch.ones(2))
isinstance(torch.ones(1),torch.LongTensor)
x.new_tensor([1,2])
x.new_tensor([1,2],dtype=torch.int)
x.new_tensor(x)
x.new([1,2])
x.new(2,3).shape
x.new().shape
x.numpy()
x.detach().numpy()
x.numpy(force=True)
torch.ones(2,device='meta').numpy()
torch.ones(2,dtype=torch.complex64).conj().numpy()
torch.ones(2,dtype=torch.complex64).conj().numpy(force=True)
np.array(x)
np.array(x.detach())
np.array(torch.tensor(3.))
np.array(torch.ones(2,dtype=torch.bfloat16))
np.array(torch.ones(2,3).t()).strides
torch.ones(2).numpy().flags.writeable
torch.from_numpy(np.arange(3))
torch.from_numpy(np.arange(3)[::-1])
torch.FloatTensor([1,2])
torch.tensor(np.arange(3))
torch.from_dlpack(np.arange(3))
torch.as_tensor(np.arange(3.)).dtype
"""


def outcome(module, case):
    names = {"torch": module, "np": np, "array": array, "WithArray": WithArray, "Items": Items, "Bad": Bad}
    names["x"] = module.ones(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            r = eval(case, names)  # noqa: S307
            if hasattr(r, "requires_grad"):
                values = None if r.is_meta or r.numel() > 20 else r.tolist()
                r = (tuple(r.shape), str(r.dtype), r.requires_grad, r.device.type, values)
            else:
                r = repr(r)
        except Exception as error:  # noqa: BLE001
            r = (type(error).__name__, str(error))
    texts = [str(w.message).split(" (Triggered")[0] for w in caught]
    return r, [t for t in texts if "suppressed for the rest" not in t and "extremely slow" not in t and "scalar may lead" not in t]


@pytest.mark.parametrize("case", [c for c in CASES.splitlines() if c])
def test_same(case):
    assert outcome(mindtorch_v2, case) == outcome(torch, case)
