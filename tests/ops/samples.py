"""Samples for the operators of the table: arguments by name, made anew on every call.

Pointwise operators need none: theirs follow from the schema. Everything else has a line below, the
arguments as Python text over the tensors of `space`. Values lie apart from each other and off the
places where derivatives jump, so that finite differences can be taken.
"""

import pathlib

import mindtorch_v2 as torch
from csrc.gen.table import load

TABLES = pathlib.Path(__file__).resolve().parent.parent.parent / "csrc" / "ops" / "table"
# Made from nothing or from a generator, optimizer steps, lists of tensors: tested by their own files.
ELSEWHERE = {"random", "random_sampled", "foreach", "optim"}

# Intervals that pointwise functions want their arguments from; the others get [0.1, 0.9].
DOMAINS = {"acosh": (1.2, 3.0), "digamma": (1.0, 3.0), "lgamma": (1.0, 3.0), "polygamma": (1.0, 3.0), "zeta": (1.2, 3.0)}

SAMPLES = """
clamp: a, 0.35 ; a, 0.35, 0.7
bilinear: a, e, b3 ; a, e, b3, u2 | one_hot: n3, 4
embedding_bag: a, n3, torch.tensor([0, 2]) ; a, n3, torch.tensor([0, 1]), False, 1 ; a, n3, torch.tensor([0, 0]), False, 2
embedding_bag.padding_idx: a, n3, torch.tensor([0, 2]), False, 0, False, None, False, None
native_group_norm: g4, w4, x4, 2, 4, 3, 2, 1e-5 | native_batch_norm: a, w4, x4, None, None, True, 0.1, 1e-5 | renorm: a, 2, 0, 0.8
quantile: a, q2 ; a, q2, 1 | nanquantile: a, q2, 0, True | quantile.scalar: a, 0.37 | nanquantile.scalar: a, 0.37, 1
cdist: a, c ; a, c, 1.5 | pdist: a ; a, 3.0 | histogram.bins_tensor: a, w4.sort()[0] | histogram.bin_ct: a, 3
histogramdd: a, [2, 1, 2, 3] | histogramdd.int_bins: a, 2 | histogramdd.TensorList_bins: a[:, :2], [w4.sort()[0], x4.sort()[0]]
stft: u12, 6, 2, 6, e6, {'return_complex': True} ; u12, 6, 2, 4, w4, {'normalized': True, 'onesided': False, 'return_complex': True}
istft: torch.stft(u12.double(), 6, 2, window=torch.ones(6), return_complex=True), 6, 2
frexp.Tensor: a | special_zeta.self_scalar: 1.7, a + 1 | special_zeta.other_scalar: a + 1.2, 1.6
glu: a, 1 | prelu: a - 0.5, w4 | rrelu_with_noise: a - 0.5, c, 0.1, 0.3 | alpha_dropout: a, 0.3, False
feature_dropout: p, 0.3, False | feature_alpha_dropout: p, 0.3, False | pixel_shuffle: g44, 2
pixel_unshuffle: i44, 2 | channel_shuffle: g4, 2 | native_channel_shuffle: g4, 2
linalg_cholesky: spd | linalg_cholesky_ex: spd ; spd, {'upper': True} | cholesky: spd | cholesky_inverse: tri
cholesky_solve: c, tri | linalg_lu_factor_ex: reg | lu_unpack: *torch.linalg.lu_factor(reg) | linalg_lu: reg
linalg_lu_factor: reg | linalg_lu_solve: *torch.linalg.lu_factor(reg), c | lu_solve: c, *torch.linalg.lu_factor(reg)
linalg_ldl_factor: spd | linalg_ldl_factor_ex: spd | linalg_ldl_solve: *torch.linalg.ldl_factor(spd), c
linalg_inv_ex: reg | linalg_inv: reg | inverse: reg | linalg_solve: reg, c | linalg_solve_ex: reg, c
linalg_solve_triangular: tri, c, {'upper': False} | triangular_solve: c, tri, False
linalg_det: reg | det: reg | logdet: reg | linalg_slogdet: reg | slogdet: reg
linalg_qr: a.T ; reg | qr: a.T | geqrf: a.T | linalg_householder_product: a.T, u | orgqr: a.T, u
ormqr: a.T, u, w4.unsqueeze(1) | linalg_lstsq: a.T, w4.unsqueeze(1) | linalg_eig: reg | linalg_eigvals: reg
linalg_eigh: spd | linalg_eigvalsh: spd | matrix_exp: reg | linalg_matrix_exp: reg
poisson_nll_loss: a, c, True, False, 1e-8, 1 ; a, c, False, True, 1e-8, 2
cosine_embedding_loss: a, c, torch.tensor([1, -1, 1]), 0.1 | multi_margin_loss: a, n3 ; a, n3, 2, 0.5, w4, 2
multilabel_margin_loss: a, m34 | multilabel_margin_loss_forward: a, m34, 1
nll_loss2d: g4.unsqueeze(2), p23.unsqueeze(1) | nll_loss2d_forward: g4.unsqueeze(2), p23.unsqueeze(1), None, 1, -100
linalg_pinv: a, 1e-6 | linalg_pinv.atol_rtol_tensor: a | linalg_pinv.atol_rtol_float: a, {'rtol': 1e-6}
linalg_pinv.rcond_tensor: a, torch.tensor(1e-6, dtype=torch.float64) | pinverse: a
linalg_matrix_norm: a, 2 ; a, 1 | linalg_matrix_norm.str_ord: a, 'fro' ; a, 'nuc' | linalg_norm.ord_str: a, 'nuc'
nuclear_norm: a | nuclear_norm.dim: a, [0, 1] | frobenius_norm.dim: a, [0, 1] | linalg_cond: reg, 2
linalg_cond.p_str: reg, 'fro' | linalg_matmul: a, m | linalg_matrix_power: reg, 3 | matrix_power: reg, -2
linalg_multi_dot: [u, a, m] | chain_matmul: [x33, a, m] | linalg_cross: a.T, c.T | cross: a, c, 0
vander: u | linalg_tensorinv: sq, {'ind': 1} | linalg_tensorsolve: sq, w4
reflection_pad1d: p, [2, 1] | reflection_pad2d: i4, [2, 1, 0, 3] | reflection_pad3d: i5, [1, 2, 1, 0, 1, 1]
replication_pad1d: p, [2, 5] | replication_pad2d: i4, [2, 1, 0, 3] | replication_pad3d: i5, [1, 2, 1, 0, 1, 1]
upsample_nearest1d: i3, [7] | upsample_nearest1d.vec: i3, None, [1.7] | upsample_nearest2d: i4, [3, 9]
upsample_nearest2d.vec: i4, [7, 5], None | upsample_nearest3d: i5, [3, 5, 6] | upsample_nearest3d.vec: i5, None, [1.5, 0.6, 2.0]
upsample_linear1d: i3, [7], True | upsample_linear1d.vec: i3, None, False, [1.7]
upsample_bilinear2d: i4, [3, 9], False | upsample_bilinear2d.vec: i4, [7, 5], True, None
upsample_bicubic2d: i4, [3, 9], False | upsample_bicubic2d.vec: i4, [7, 5], True, None
upsample_trilinear3d: i5, [3, 5, 6], False | upsample_trilinear3d.vec: i5, None, True, [1.5, 0.6, 2.0]
im2col: i4, [2, 3], [1, 2], [1, 0], [2, 1] | col2im: p, [3, 3], [1, 3], [1, 1], [0, 1], [2, 2]
grid_sampler: i4, d4, 0, 0, False ; i4, d4, 2, 1, True | grid_sampler_2d: i4, d4, 1, 2, False
grid_sampler_3d: i5, d5, 0, 0, True ; i5, d5, 1, 1, False | affine_grid_generator: p[:, :2, :3], [2, 1, 3, 4], False
max_unpool2d: i4, places(i4, 11), [10, 11] | max_unpool3d: i5, places(i5, 7), [8, 8, 7], [2, 2, 2], [0, 0, 0]
fractional_max_pool2d: i4, 2, [3, 4], c4 | fractional_max_pool3d: i5, 2, [2, 3, 2], c5
clone: a | contiguous: a.T | resolve_conj: z.conj() | resolve_neg: a
zeros_like: a | ones_like: a | cross_entropy_loss: a, n3 ; a, n3, None, 1, 1, 0.1
index.Tensor: a, (n3, n3) | index_put: a, (p3, p3), u | index_select: a, 1, n3
index_add: a, 0, n3, c | index_copy: a, 0, p3, c | index_fill.int_Scalar: a, 0, n3, 0.5
index_fill.int_Tensor: a, 0, n3, s0 | gather: a, 0, n34 | scatter.src: a, 0, p34, c
scatter.value: a, 0, p34, 0.5 | scatter_add: a, 0, n34, c | take: a, n34 | put: a, p3, u
scatter_reduce.two: a, 0, n34, c, 'sum' ; a, 0, n34, c, 'mean' ; a, 0, n34, c, 'prod' ; a, 0, n34, c, 'amax'
take_along_dim: a, n34, 0 | masked_fill.Scalar: a, k, 0.5 | masked_fill.Tensor: a, k, s0
masked_select: a, k | masked_scatter: a, k, c | nonzero: k | nonzero_numpy: k | argwhere: k | where: k
mm: a, m | bmm: p, q | addmm: a, x33, c ; w4, x33, c | baddbmm: o, p, q | mv: a, w4 | addmv: u, a, w4
dot: w4, x4 | vdot: w4, x4 | outer: u, w4 | matmul: a, m ; p, q ; w4, m ; a, w4 ; p, m
linear: a, c ; a, c, u ; p, c | addr: a, u, w4 | addbmm: r, p, q | inner: a, c
tensordot: a, m, [1], [0] | selu: a | celu: a, 0.7 | relu6: a
convolution: i3, f3, u2, [1], [1], [1], False, [0], 1
conv1d: i3, f3 ; i3, f3, u2, 2, 1 | conv1d.padding: i3, f3, u2, 1, 'same'
conv_transpose1d: i3, t3 ; i3, t3, u2, 2, 1, 1
conv2d: i4, f4 ; i4, f4, u2, 2, 1 ; i4, f4, u2, 1, 2, 2 | conv2d.padding: i4, f4, u2, 1, 'same'
conv_transpose2d.input: i4, t4 ; i4, t4, u2, 2, 1, 1
conv3d: i5, f5, u2 ; i5, f5, u2, 2, 1 | conv3d.padding: i5, f5, u2, 1, 'same'
conv_transpose3d.input: i5, t5, u2
nll_loss: a, n3 ; a, n3, None, 2 | nll_loss_nd: a, n3 | nll_loss_forward: a, n3, None, 1, -100
mse_loss: a, c ; a, c, 0 | l1_loss: a, c ; a, c, 2 | smooth_l1_loss: a, c, 1, 0.3
huber_loss: a, c, 1, 0.3 | binary_cross_entropy: a, c ; a, c, e
binary_cross_entropy_with_logits: a, c ; a, c, e, w4 | soft_margin_loss: a, c
kl_div: a, c ; a, c, 2 | constant_pad_nd: a, [1, 2], 0.5 | pad: a, [1, 2]
embedding: a, n34 | native_layer_norm: a, [4], w4, x4, 1e-5 | layer_norm: a, [4] ; a, [4], w4, x4
gru_cell: new(2, 3), new(2, 2), new(6, 3), new(6, 2) | rnn_tanh_cell: new(2, 3), new(2, 2), new(2, 3), new(2, 2), u2, u2
rnn_relu_cell: new(2, 3), new(2, 2), new(2, 3), new(2, 2), u2, u2
lstm_cell: new(2, 3), [new(2, 2), new(2, 2)], new(8, 3), new(8, 2)
gru.input: new(3, 2, 2), new(1, 2, 2), [new(6, 2), new(6, 2)], False, 1, 0.0, False, False, False
gru.data: new(5, 2), torch.tensor([3, 2]), new(1, 3, 2), [new(6, 2), new(6, 2)], False, 1, 0.0, False, False
rnn_tanh.input: new(3, 2, 2), new(1, 2, 2), [new(2, 2), new(2, 2)], False, 1, 0.0, False, False, False
rnn_tanh.data: new(5, 2), torch.tensor([3, 2]), new(1, 3, 2), [new(2, 2), new(2, 2)], False, 1, 0.0, False, False
rnn_relu.input: new(3, 2, 2), new(1, 2, 2), [new(2, 2), new(2, 2)], False, 1, 0.0, False, False, False
rnn_relu.data: new(5, 2), torch.tensor([3, 2]), new(1, 3, 2), [new(2, 2), new(2, 2)], False, 1, 0.0, False, False
lstm.input: new(3, 2, 2), [new(1, 2, 2), new(1, 2, 2)], [new(8, 2), new(8, 2)], False, 1, 0.0, False, False, False
lstm.data: new(5, 2), torch.tensor([3, 2]), [new(1, 3, 2), new(1, 3, 2)], [new(8, 2), new(8, 2)], False, 1, 0.0, False, False
pad_sequence: [new(2, 3), x33] ; [new(2, 3), x33], True, 0.5, 'left' | renorm: a, 2, 0, 0.8
native_group_norm: g4, w4, x4, 2, 4, 3, 2, 1e-5 | native_batch_norm: a, w4, x4, None, None, True, 0.1, 1e-5
embedding_bag: a, n3, torch.tensor([0, 2]) ; a, n3, torch.tensor([0, 2]), False, 1 ; a, n3, torch.tensor([0, 2]), False, 2
embedding_bag.padding_idx: a, n3, torch.tensor([0, 2]), False, 0, False, u, False, 0
ctc_loss.IntList: new(5, 2, 5), torch.tensor([[1, 2], [3, 1]]), [5, 4], [2, 1]
ctc_loss.Tensor: new(5, 2, 5), torch.tensor([[1, 2], [3, 1]]), torch.tensor([5, 4]), torch.tensor([2, 1])
rms_norm: a, [4], w4 | group_norm: g4, 2 ; g4, 2, w4, x4
batch_norm: a, w4, x4, None, None, True, 0.1, 1e-5, False
instance_norm: i4, u2, u2, None, None, True, 0.1, 1e-5, False
max_pool2d_with_indices: i4, 2 | avg_pool2d: i4, 2 ; i4, 3, 2, 1 | max_pool2d: i4, 2 ; i4, 3, 2, 1
adaptive_max_pool2d: i4, [2, 3] | max_pool3d_with_indices: i5, 2 | avg_pool3d: i5, 2 | max_pool3d: i5, 2
adaptive_max_pool3d: i5, [2, 2, 2] | adaptive_avg_pool2d: i4, [2, 3] | adaptive_avg_pool3d: i5, [2, 2, 1]
max_pool1d_with_indices: i3, 2 | max_pool1d: i3, 2 | avg_pool1d: i3, 2 | adaptive_avg_pool1d: i3, 2
adaptive_max_pool1d: i3, 2
sum: a | sum.dim_IntList: a, 0 ; p, [0, 2], True | nansum: a, 1 | mean: a | mean.dim: p, [0, 2] | nanmean: a, 1
prod: a | prod.dim_int: a, 1 | any: k | any.dim: k, 1 | any.dims: k, [0, 1] | all: k | all.dim: k, 1
all.dims: k, [0, 1] | count_nonzero: k, 1 | count_nonzero.dim_IntList: k, [0, 1] | amax: a, 1 | amin: a, 1
max: a | max.dim: a, 1 | max.other: a, c | argmax: a, 1 | min: a | min.dim: a, 0, True | min.other: a, c
argmin: a, 1 | aminmax: a | var: a ; a, False | var.correction: a, 1 | std: a | std.correction: a, 1
var_mean: a | var_mean.correction: a, 1 | std_mean: a | std_mean.correction: a, 1 | var.dim: a, 1
std.dim: a, 1 | var_mean.dim: a, 1 | std_mean.dim: a, 1
linalg_vector_norm: a, 3, 1 ; a ; a, 1 | norm.Scalar: a, 3 | norm.ScalarOpt_dim: a, 3, 1
logsumexp: a, 1 | cumsum: a, 1 | cumprod: a, 1 | cummax: a, 1 | cummin: a, 1 | logcumsumexp: a, 1
softmax.int: a, 1 | log_softmax.int: a, 1 | special_softmax: a, 1 | special_log_softmax: a, 1
unsqueeze: a, 1 | squeeze: y1 | squeeze.dim: y1, 1 | squeeze.dims: y1, [1] | alias: a | diagonal: a
unfold: a, 1, 2, 1 | split.Tensor: a, 2, 1 | split_with_sizes: a, [1, 3], 1 | unbind.int: a, 1
unsafe_chunk: a, 2, 1 | chunk: a, 2, 1 | split.sizes: a, [1, 2], 0 | tensor_split.sections: a, 3, 1
tensor_split.indices: a, [1, 2], 1 | hsplit.int: a, 2 | vsplit.int: a, 3 | dsplit.int: p, 2
hsplit.array: a, [1] | vsplit.array: a, [1] | dsplit.array: p, [1, 3] | narrow: a, 1, 1, 2
movedim.intlist: p, [0, 1], [2, 0] | movedim.int: p, 0, 2 | adjoint: a | expand_as: u1, a
view_as: a, n34.T | reshape_as: a, n34.T | flatten.using_ints: p, 1 | unflatten.int: a, 1, [2, 2] | ravel: a
broadcast_to: u1, [3, 4] | imag: z | conj_physical: a ; z | repeat: a, [2, 1] | tile: a, [2] | flip: a, [0, 1]
fliplr: a | flipud: a | roll: a, 1, 1 | cat: [a, c], 1 | stack: [a, c], 1 | hstack: [a, c] | vstack: [a, c]
dstack: [a, c] | tril: a | triu: a, 1 | isclose: a, c | allclose: a, c | equal: a, c
sort: a, 1 | sort.stable: a | argsort: a | argsort.stable: a, {"stable": True} | msort: a | topk: a, 2 | median: a | median.dim: a, 1
nanmedian: a | nanmedian.dim: a, 1 | mode: a, 1 | kthvalue: a, 2, 1 | searchsorted.Tensor: w4.sort()[0], a
searchsorted.Scalar: w4.sort()[0], 0.5 | bucketize.Tensor: a, w4.sort()[0] | bucketize.Scalar: 0.5, w4.sort()[0]
isin.Tensor_Tensor: n34, n3 | isin.Tensor_Scalar: n34, 1 | isin.Scalar_Tensor: 1, n3
unique_consecutive: a | bincount: n3 | histc: a, 5, 0, 1 | diff: a
as_strided: a, [2, 2], [4, 1] | view: a, [2, 6] | reshape: a.T, [2, 6] | expand: u1, [3, 4]
transpose.int: a, 0, 1 | swapaxes: a, 0, 1 | swapdims: a, 0, 1 | t: a | permute: p, [2, 0, 1] | detach: a
scatter.reduce: a, 0, p34, c, {'reduce': 'add'} | scatter.value_reduce: a, 0, p34, 0.5, {'reduce': 'multiply'}
norm.ScalarOpt_dtype: a, 3, {'dtype': torch.float64} | norm.ScalarOpt_dim_dtype: a, 3, 1, False, {'dtype': torch.float64}
bitwise_and.Tensor: n34, p34 | bitwise_and.Scalar: n34, 1 | bitwise_or.Tensor: n34, p34 | bitwise_or.Scalar: n34, 1
bitwise_xor.Tensor: n34, p34 | bitwise_xor.Scalar: n34, 1 | bitwise_not: n34 | gcd: n34, p34
bitwise_left_shift.Tensor: n34, p34 | bitwise_right_shift.Tensor: n34, p34
narrow.Tensor: a, 1, torch.tensor(1), 2
complex: a, c | polar: a, c | nan_to_num: a | clamp_min.Tensor: a, c | clamp_max.Tensor: a, c | clamp.Tensor: a, c, e + 0.4
unique_dim: n34, 0 | diag_embed: a | trace: x33 | select_scatter: a, w4, 0, 1 | slice_scatter: a, y2, 1, 1, 3
diagonal_scatter: a, u | as_strided_scatter: a, sq[0], [2, 2], [4, 1] | view.dtype: n34, torch.int32 | fill.Tensor: a, s0
atleast_1d.Sequence: [a, s0] | atleast_2d.Sequence: [a, s0] | atleast_3d.Sequence: [a, s0] | broadcast_tensors: [a, u1, w4]
meshgrid: [u, w4] | meshgrid.indexing: [u, w4], {'indexing': 'xy'} | block_diag: [a, x33, u] | cartesian_prod: [u, w4]
column_stack: [u, x33] | rot90: a ; a, -3 ; p, 2, [1, 2] | repeat_interleave.Tensor: n3 | sum_to_size: a, [3, 1] ; p, [4]
repeat_interleave.self_Tensor: a, n3, 0 | combinations: w4 ; w4, 3, True | lcm: n34, p34
tensor_split.tensor_indices_or_sections: a, torch.tensor([1, 2]), 1 ; a, torch.tensor(2), 1
index_reduce: a, 0, p3, c, 'amax' ; a, 0, n3, c, 'mean' ; a, 0, n3, c, 'prod' | nonzero_static: k, {'size': 4}
promote_types: torch.int8, torch.float16 | can_cast: torch.int8, torch.bool | einsum: 'ij,kj->ik', [a, c] ; 'ii', [x33]
alias_copy: a | as_strided_copy: a, [2, 2], [4, 1] | diagonal_copy: a, 1 | expand_copy: u1, [3, 4] | permute_copy: p, [2, 0, 1]
squeeze_copy: y1 | squeeze_copy.dim: y1, 1 | squeeze_copy.dims: y1, [1] | unfold_copy: a, 1, 2, 1 | unsqueeze_copy: a, 1
view_copy: a, [2, 6] | view_copy.dtype: n34, torch.int32 | split_with_sizes_copy: a, [1, 3], 1 | narrow_copy: a, 1, 1, 2
unsafe_split_with_sizes: a, [1, 3], 1 | view_as_complex_copy: y2 | view_as_real_copy: z
conj: a ; z | view_as_real: z | view_as_complex: y2 | select.int: a, 1, 2 | real: z
"""


def space(dtype=torch.float64):
    """The tensors that samples speak of. One seed: the same values every time."""
    g = torch.Generator().manual_seed(7)

    made = 0

    def new(*shape, low=0.1, high=0.9):
        nonlocal made
        made += 1
        n = 1
        for size in shape:
            n *= size
        # a shuffled grid, each tensor's at another place between the steps
        shift = (0.137 + 0.618 * made) % 1
        grid = low + (high - low) * (torch.randperm(n, generator=g).double() + shift) / max(n, 1)
        return grid.reshape(shape).to(dtype)

    out = {
        "a": new(3, 4), "c": new(3, 4), "e": new(3, 4), "m": new(4, 5), "x33": new(3, 3), "u": new(3),
        "u1": new(3, 1), "w4": new(4), "x4": new(4), "u2": new(2), "s0": new(), "p": new(2, 3, 4),
        "q": new(2, 4, 5), "o": new(2, 3, 5), "r": new(3, 5), "y1": new(3, 1, 4), "y2": new(3, 2),
        "i3": new(2, 2, 5), "f3": new(2, 2, 3), "t3": new(2, 2, 3), "i4": new(2, 2, 5, 6), "g4": new(2, 4, 3),
        "f4": new(2, 2, 3, 3), "t4": new(2, 2, 3, 2), "i5": new(1, 2, 4, 4, 3), "f5": new(2, 2, 2, 2, 2),
        "t5": new(2, 2, 2, 2, 2), "n3": torch.tensor([2, 0, 2]), "p3": torch.tensor([2, 0, 1]),
        "n34": torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2], [2, 0, 0, 1]]),
        "p34": torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2], [2, 0, 1, 1]]),
        "k": torch.tensor([[True, False, True, True], [False] * 4, [True, True, False, False]]),
        "new": new, "g44": new(2, 8, 2, 3), "b3": new(2, 4, 4), "i44": new(2, 1, 4, 6), "sq": new(4, 2, 2) + torch.eye(4).reshape(4, 2, 2),
        "d4": new(2, 3, 4, 2, low=-0.9), "d5": new(1, 2, 3, 2, 3, low=-0.9), "c4": new(2, 2, 2), "c5": new(1, 2, 3),
        "m34": torch.tensor([[1, -1, 0, 0], [0, 3, -1, 1], [2, 1, 0, -1]]), "p23": torch.tensor([[1, 0, 3], [2, 2, 0]]),
        "u12": new(12), "e6": new(6), "places": places, "q2": torch.tensor([0.22, 0.71], dtype=dtype),
    }  # fmt: skip
    one = torch.eye(3, dtype=dtype)
    out["reg"] = out["x33"] + one  # regular
    out["spd"] = out["x33"] @ out["x33"].T + one  # symmetric and positive definite
    out["tri"] = out["x33"].tril() + one
    if dtype == torch.float64:
        out["z"] = out["a"] + 1j * out["c"]
    return out


def places(t, width):
    """Where max-unpooling puts the elements of t: each its own place in planes `width` wide."""
    rows = t[0, 0].numel() // t.shape[-1]
    index = torch.arange(rows).unsqueeze(1) * width + torch.arange(t.shape[-1]) * 2 % width
    return index.reshape(t.shape[2:]).expand(t.shape).contiguous()


# Functions of a symmetric or triangular matrix read a part of it: finite differences need the
# whole to stay what it is.
SYMMETRIC = set(
    "linalg_cholesky linalg_cholesky_ex cholesky linalg_eigh linalg_eigvalsh linalg_ldl_factor linalg_ldl_factor_ex".split()
)


def kept(name, args):
    """The arguments with the first one's structure kept under any change of its elements."""
    if name in SYMMETRIC:
        return ((args[0] + args[0].mT) / 2, *args[1:])
    if name.startswith("ctc_loss"):  # its gradient counts on probabilities that sum to one
        return (args[0].log_softmax(2), *args[1:])
    if name == "cholesky_inverse":
        return (args[0].tril(), *args[1:])
    if name == "cholesky_solve":
        return (args[0], args[1].tril(), *args[2:])
    return args


# Operators whose derivative has none, here and in PyTorch.
ONCE = {"cdist", "pdist"}

# What is given only up to a factor, as something that no factor changes; results whose derivatives
# PyTorch leaves out are left out.
INVARIANT = {
    "linalg_eig": lambda values, vectors: [values, vectors.abs()],
    "native_group_norm": lambda values, mean, rstd: [values],
}


def table():
    """Name with overload -> entry, for the operators that are tested here."""
    out = {}
    for entry in load(TABLES):
        name = entry.schema.name
        if entry.variant != "functional" or entry.family in ("alias", "factory") or not entry.py:
            continue
        if entry.hidden or entry.group in ELSEWHERE or name.startswith("_"):
            continue
        if name.endswith(("_backward", "_backward_data")) or name.startswith(("new_", "empty")):
            continue
        out[entry.schema.full_name.removeprefix("aten::")] = entry
    return out


def _lines():
    out = {}
    for part in SAMPLES.replace("\n", "|").split("|"):
        if part.strip():
            name, _, texts = part.strip().partition(": ")
            out[name] = [text.strip() for text in texts.split(" ; ")]
    return out


LINES = _lines()


def texts(name, entry):
    """The samples of an operator as texts for `arguments`; none where nothing says how."""
    if name in LINES:
        return LINES[name]
    if entry.family not in ("pointwise", "composite"):
        return []
    low, high = DOMAINS.get(entry.schema.name.removeprefix("special_"), (0.1, 0.9))
    parts = []
    for arg in entry.schema.args:
        if arg.type in ("Tensor", "Tensor?"):
            kind = {"condition": "k", "mask": "k"}.get(arg.name)
            if arg.default is None:
                parts.append(kind or f"new(3, 4, low={low}, high={high})")
        elif arg.default is not None or arg.kwonly:
            continue
        elif arg.type in ("Scalar", "Scalar?", "float"):
            parts.append({"threshold": "0.35", "beta": "1.5", "lambd": "0.35"}.get(arg.name, "0.6"))
        elif arg.type == "int":
            parts.append("1")
        else:
            return []
    return [", ".join(parts)]


def arguments(text, dtype=torch.float64):
    """(positional, keyword) arguments; keywords are written as a dict at the end."""
    args = eval(f"({text},)", {"torch": torch}, space(dtype))
    return (args[:-1], args[-1]) if isinstance(args[-1], dict) else (args, {})


def function(entry):
    """What Python calls."""
    name = entry.schema.name
    if "function" in entry.py:
        return getattr(torch._C._VariableFunctions, name)
    for place in ("nn", "linalg", "special", "fft"):
        if place in entry.py:
            return getattr(getattr(torch._C, f"_{place}"), name)
    return getattr(torch.Tensor, name)
