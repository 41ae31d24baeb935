"""Fused optimizer steps: one call for all parameters of one dtype."""

_SGD = ("_fused_sgd_{}(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] momentum_buffer_list, *, float weight_decay, "
        "float momentum, {} lr, float dampening, bool nesterov, bool maximize, bool is_first_step, "
        "Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
_ADAM = ("{}(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, "
         "Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, {} lr, float beta1, float beta2, float weight_decay, "
         "float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()")
_ADAGRAD = ("_fused_adagrad_{}(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] state_sums, Tensor(d!)[] state_steps, "
            "*, {} lr, float lr_decay, float weight_decay, float eps, bool maximize, Tensor? grad_scale=None, "
            "Tensor? found_inf=None) -> ()")
for _overload, _lr in (("", "float"), (".tensor_lr", "Tensor")):
    func(_SGD.format(_overload, _lr), py=("function",), doc="A step of stochastic gradient descent on every parameter.")
    func(_ADAM.format("_fused_adam_" + _overload, _lr), py=("function",), doc="A step of Adam on every parameter.")
    func(_ADAM.format("_fused_adamw_" + _overload, _lr), py=("function",), doc="A step of AdamW on every parameter.")
    func(_ADAGRAD.format(_overload, _lr), py=("function",), doc="A step of Adagrad on every parameter.")
