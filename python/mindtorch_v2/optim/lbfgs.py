"""L-BFGS (Nocedal and Wright, "Numerical Optimization", algorithms 7.4, 7.5), with a line search
for strong Wolfe conditions (algorithms 3.5, 3.6, with the cubic steps and safeguards of M.
Schmidt's minFunc).
"""

from collections import namedtuple

import mindtorch_v2 as torch

from .optimizer import Optimizer, _check_lr, _to_scalar, _without_grad

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Quasi-Newton steps by the last `history_size` changes of the gradient, up to `max_iter` of
    them per `step`.

    `step` needs a closure and stops early when it has evaluated it `max_eval` times (None: 1.25 *
    max_iter), when no entry of the gradient exceeds `tolerance_grad`, or when step and loss change
    by less than `tolerance_change`. `line_search_fn` is None (the step is `lr` times the direction)
    or "strong_wolfe". One parameter group only.

    The state lies with the first parameter: "func_evals", "n_iter", "d", "t", "old_dirs",
    "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss", "al".
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        _check_lr(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]
        self._numel_cache = None

    # ------------------------------------------------------------ all parameters as one vector

    def _numel(self):
        if self._numel_cache is None:
            self._numel_cache = sum(
                2 * p.numel() if torch.is_complex(p) else p.numel() for p in self._params
            )
        return self._numel_cache

    def _gather_flat_grad(self):
        parts = []
        for p in self._params:
            if p.grad is None:
                part = p.new_zeros(p.numel())
            elif p.grad.is_sparse:
                part = p.grad.to_dense().view(-1)
            else:
                part = p.grad.view(-1)
            if torch.is_complex(part):
                part = torch.view_as_real(part).view(-1)
            parts.append(part)
        return torch.cat(parts, 0)

    def _add_grad(self, step_size, direction):
        offset = 0
        for p in self._params:
            if torch.is_complex(p):
                p = torch.view_as_real(p)
            n = p.numel()
            p.add_(direction[offset : offset + n].view_as(p), alpha=step_size)
            offset += n
        if offset != self._numel():
            raise AssertionError(f"Expected offset {offset} to equal {self._numel()}")

    def _clone_param(self):
        return [p.clone(memory_format=torch.contiguous_format) for p in self._params]

    def _set_param(self, params_data):
        for p, value in zip(self._params, params_data, strict=False):
            p.copy_(value)

    def _directional_evaluate(self, closure, x, t, d):
        """Loss and gradient at ``x + t * d``; the parameters are put back to `x`."""
        self._add_grad(t, d)
        loss = float(closure())
        grad = self._gather_flat_grad()
        self._set_param(x)
        return loss, grad

    # ------------------------------------------------------------ the step

    @_without_grad
    def step(self, closure):
        """Minimise; `closure` clears the gradients, computes the loss, calls backward and returns
        the loss.

        Returns the loss before the first change. RuntimeError for an unknown `line_search_fn`.
        """
        if len(self.param_groups) != 1:
            raise AssertionError(
                f"Expected exactly one param_group, but got {len(self.param_groups)}"
            )
        closure = torch.enable_grad()(closure)
        group = self.param_groups[0]
        lr = _to_scalar(group["lr"])
        max_iter, max_eval = group["max_iter"], group["max_eval"]
        tolerance_grad, tolerance_change = group["tolerance_grad"], group["tolerance_change"]
        line_search = group["line_search_fn"]

        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        flat = grad.abs().max() <= tolerance_grad
        if flat:
            return first_loss

        d, t, h_diag = state.get("d"), state.get("t"), state.get("H_diag")
        ys, ss, ro = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        prev_grad, prev_loss = state.get("prev_flat_grad"), state.get("prev_loss")

        iteration = 0
        while iteration < max_iter:
            iteration += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, ys, ss, ro, h_diag = grad.neg(), [], [], [], 1
            else:
                y, s = grad.sub(prev_grad), d.mul(t)
                curvature = y.dot(s)
                if curvature > 1e-10:  # else the approximation would lose its positive definiteness
                    if len(ys) == group["history_size"]:
                        for history in (ys, ss, ro):
                            history.pop(0)
                    ys.append(y)
                    ss.append(s)
                    ro.append(1.0 / curvature)
                    h_diag = curvature / y.dot(y)
                d = self._two_loops(grad, ys, ss, ro, h_diag, state, group["history_size"])
            if prev_grad is None:
                prev_grad = grad.clone(memory_format=torch.contiguous_format)
            else:
                prev_grad.copy_(grad)
            prev_loss = loss

            t = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(d)
            if slope > -tolerance_change:
                break

            used = 0
            if line_search is not None:
                if line_search != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = self._clone_param()

                def at(t, start=start, d=d):
                    return self._directional_evaluate(closure, start, t, d)

                loss, grad, t, used = _strong_wolfe(at, t, d, loss, grad, slope)
                self._add_grad(t, d)
                flat = grad.abs().max() <= tolerance_grad
            else:
                self._add_grad(t, d)
                if iteration != max_iter:  # the values behind the last step nobody needs
                    loss = float(closure())
                    grad = self._gather_flat_grad()
                    flat = grad.abs().max() <= tolerance_grad
                    used = 1
            evaluations += used
            state["func_evals"] += used

            if iteration == max_iter or evaluations >= max_eval or flat:
                break
            if d.mul(t).abs().max() <= tolerance_change or abs(loss - prev_loss) < tolerance_change:
                break

        state.update(
            d=d,
            t=t,
            old_dirs=ys,
            old_stps=ss,
            ro=ro,
            H_diag=h_diag,
            prev_flat_grad=prev_grad,
            prev_loss=prev_loss,
        )
        return first_loss

    @staticmethod
    def _two_loops(grad, ys, ss, ro, h_diag, state, history_size):
        """The product of the approximate inverse Hessian and the negative gradient."""
        al = state.setdefault("al", [None] * history_size)
        q = grad.neg()
        for i in reversed(range(len(ys))):
            al[i] = ss[i].dot(q) * ro[i]
            q.add_(ys[i], alpha=-al[i])
        d = torch.mul(q, h_diag)
        for i in range(len(ys)):
            d.add_(ss[i], alpha=al[i] - ys[i].dot(d) * ro[i])
        return d


# One trial of the line search: step, loss, gradient, slope along the direction.
_Point = namedtuple("_Point", "t f g slope")


def _cubic_minimum(a, b, bounds=None):
    """The step inside `bounds` that minimises the cubic through losses and slopes of points."""
    if bounds is None:
        bounds = (a.t, b.t) if a.t <= b.t else (b.t, a.t)
    low, high = bounds
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:  # also where the slopes are not finite
        return (low + high) / 2.0
    d2 = square.sqrt()
    left, right = (a, b) if a.t <= b.t else (b, a)
    t = right.t - (right.t - left.t) * (
        (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2)
    )
    return min(max(t, low), high)


def _strong_wolfe(at, t, d, f, g, slope, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_ls=25):
    """Search along `d` for a step with sufficient decrease and a slope that has become flat enough.

    `at(t)` gives loss and gradient. Returns loss, gradient and size of the step, and the
    evaluations used.
    """
    length = d.abs().max()
    origin = _Point(0, f, g.clone(memory_format=torch.contiguous_format), slope)

    def trial(t):
        f, g = at(t)
        return _Point(t, f, g, g.dot(d))

    def too_high(p):
        return p.f > f + c1 * p.t * slope

    new, previous = trial(t), origin
    evaluations, iteration = 1, 0
    bracket = None
    while iteration < max_ls:
        if too_high(new) or (iteration > 1 and new.f >= previous.f):
            bracket = [previous, new]
        elif abs(new.slope) <= -c2 * slope:
            return new.f, new.g, new.t, evaluations
        elif new.slope >= 0:
            bracket = [previous, new]
        if bracket:
            break
        bounds = (new.t + 0.01 * (new.t - previous.t), new.t * 10)
        t = _cubic_minimum(previous, new, bounds)
        previous = new._replace(g=new.g.clone(memory_format=torch.contiguous_format))
        new = trial(t)
        evaluations += 1
        iteration += 1
    if bracket is None:
        bracket = [origin, new]

    # Shrink the bracket; `low` is the place of its better end.
    stalled = False
    low = 0 if bracket[0].f <= bracket[1].f else 1
    while iteration < max_ls:
        near, far = min(bracket[0].t, bracket[1].t), max(bracket[0].t, bracket[1].t)
        if (far - near) * length < tolerance_change:
            break
        t = _cubic_minimum(*bracket)
        margin = 0.1 * (far - near)
        if min(far - t, t - near) < margin:
            # Close to an end twice in a row, or outside: step a tenth into the bracket instead.
            if stalled or t >= far or t <= near:
                t = far - margin if abs(t - far) < abs(t - near) else near + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False

        new = trial(t)
        evaluations += 1
        iteration += 1
        if too_high(new) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = 0 if bracket[0].f <= bracket[1].f else 1
        else:
            done = abs(new.slope) <= -c2 * slope
            if not done and new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = new
            if done:
                break
    best = bracket[low]
    return best.f, best.g, best.t, evaluations
