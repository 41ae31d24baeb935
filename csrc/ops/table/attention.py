"""Attention."""

composite("scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
          py=("nn",), cast="lower", flags=("RANDOM",), doc="softmax(query key^T * scale + mask) value (Vaswani et al., 2017).")
composite("_fused_sdp_choice(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> int",
          py=("function",), doc="How attention would be computed: 0 step by step, 1 block by block.")
composite("_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, Tensor? dropout_mask=None, *, float? scale=None, "
          "bool enable_gqa=False) -> (Tensor, Tensor)", py=("function",), flags=("RANDOM",), doc="Attention step by step, and its weights.")
func("_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", py=("function",), grad={"self": "_softmax_backward_data(grad, result, dim, self.dtype)"},
     doc="softmax that gives zeros where all elements are -inf.")
func("_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor logsumexp)",
     py=("function",), nondiff=("logsumexp",),
     grad={"query, key, value": "_scaled_dot_product_flash_attention_for_cpu_backward(grads.output, query, key, value, output, logsumexp, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)"},
     doc="Attention block by block, so that the matrix of scores never exists (Dao et al., 2022).")
func("_scaled_dot_product_flash_attention_for_cpu_backward(Tensor grad_out, Tensor query, Tensor key, Tensor value, Tensor out, Tensor logsumexp, float dropout_p, bool is_causal, *, Tensor? attn_mask=None, "
     "float? scale=None) -> (Tensor grad_query, Tensor grad_key, Tensor grad_value)", py=("function",), doc="Gradients of block by block attention.")
