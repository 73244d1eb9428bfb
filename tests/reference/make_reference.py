#!/usr/bin/python3
"""Writes the PyTorch reference data that the C++ tests compare with.

    /usr/bin/python3 tests/reference/make_reference.py [FILE...]

writes the named files beside this script, or all of them: recurrent.json, ops.json, optim.json and
modules.json. Debian 12: python3-torch 1.13.1. Everything is float64 and every random number is
drawn from a generator seeded with the name of its case, so a second run writes the same bytes and a
new case leaves the others alone. The schema is described in README.md.
"""

import math
import random
import sys

sys.dont_write_bytecode = True

# Before torch, for which it chooses the kernels.
from case import Draw, differentiate, functional, unroll, write  # noqa: E402

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch.nn.utils import clip_grad_norm_, clip_grad_value_  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from module_cases import modules  # noqa: E402

INF, NAN = math.inf, math.nan


# ---------------------------------------------------------------- recurrent.json

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1, "GRU_RESET_BEFORE": 3}
BATCH, INPUT, HIDDEN = 3, 4, 5


def parameter_shapes(cell, layers, directions):
    """torch's names, order and shapes; the reset-before GRU has one bias vector, bias_ih."""
    rows = GATES[cell] * HIDDEN
    shapes = {}
    for layer in range(layers):
        for suffix in ("", "_reverse")[:directions]:
            width = INPUT if layer == 0 else HIDDEN * directions
            shapes[f"weight_ih_l{layer}{suffix}"] = (rows, width)
            shapes[f"weight_hh_l{layer}{suffix}"] = (rows, HIDDEN)
            shapes[f"bias_ih_l{layer}{suffix}"] = (rows,)
            if cell != "GRU_RESET_BEFORE":
                shapes[f"bias_hh_l{layer}{suffix}"] = (rows,)
    return shapes


def run_torch(cell, layers, directions, lengths, x, h_0=None, c_0=None, **parameters):
    """nn.LSTM, nn.GRU or nn.RNN as functions of their parameters."""
    kind = cell.split("_")[0]
    options = {"num_layers": layers, "bidirectional": directions == 2}
    if kind == "RNN":
        options["nonlinearity"] = cell.split("_")[1].lower()
    module = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}[kind](
        INPUT, HIDDEN, **options
    )
    state = None if h_0 is None else ((h_0, c_0) if kind == "LSTM" else h_0)
    if lengths is None:
        output, last = functional(module, parameters, x, state)
    else:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, last = functional(module, parameters, packed, state)
        output, _ = pad_packed_sequence(output, total_length=x.shape[0])
    if kind == "LSTM":
        return {"output": output, "h_n": last[0], "c_n": last[1]}
    return {"output": output, "h_n": last}


def run_gru_loop(reset_before, layers, directions, x, h_0=None, **parameters):
    """A GRU as an explicit loop, with the reset gate before or after the recurrent product.

    r = sigmoid(x Wr + h Ur + br), z = sigmoid(x Wz + h Uz + bz), h' = (1 - z) n + z h, and
    before: n = tanh(x Wn + (r h) Un + bn)        after: n = tanh(x Wn + bn + r (h Un + cn))
    """

    def direction(index):
        layer, reverse = divmod(index, directions)
        suffix = f"_l{layer}" + ("_reverse" if reverse else "")
        w, u = parameters["weight_ih" + suffix].T, parameters["weight_hh" + suffix].T
        b = parameters["bias_ih" + suffix]
        c = torch.zeros_like(b) if reset_before else parameters["bias_hh" + suffix]

        def step(x, state):
            (h,) = state
            xr, xz, xn = (x @ w + b).chunk(3, dim=1)
            hr, hz, hn = (h @ u + c).chunk(3, dim=1)
            r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            hn = (r * h) @ u[:, 2 * HIDDEN :] if reset_before else r * hn
            return ((1 - z) * torch.tanh(xn + hn) + z * h,)

        return step, (torch.zeros(x.shape[1], HIDDEN) if h_0 is None else h_0[index],)

    output, last = unroll(
        [[direction(layer * directions + d) for d in range(directions)] for layer in range(layers)],
        x,
    )
    return {"output": output, "h_n": torch.stack([h for (h,) in last])}


def recurrent_case(cell, layers, directions, steps, state, lengths=None):
    label = f"{cell}/{layers}x{directions}/T{steps}/{state}" + ("/ragged" if lengths else "")
    draw = Draw(label)
    inputs = {"x": draw(steps, BATCH, INPUT, low=-2, high=2)}
    if state == "given":
        for name in ("h_0", "c_0")[: 2 if cell == "LSTM" else 1]:
            inputs[name] = draw(layers * directions, BATCH, HIDDEN)
    for name, shape in parameter_shapes(cell, layers, directions).items():
        inputs[name] = draw(*shape, low=-0.8, high=0.8)

    def run(**leaves):
        if cell == "GRU_RESET_BEFORE":
            return run_gru_loop(True, layers, directions, **leaves)
        return run_torch(cell, layers, directions, lengths, **leaves)

    options = {
        "cell": cell,
        "layers": layers,
        "directions": directions,
        "T": steps,
        "B": BATCH,
        "I": INPUT,
        "H": HIDDEN,
        "state": state,
        "lengths": lengths,
    }
    return label, {"options": options, **differentiate(draw, inputs, run)}


def check_gru_loop(cases):
    """The loop behind the reset-before cases, in its other form, must be torch's own GRU."""
    for case in cases.values():
        options = case["options"]
        if options["cell"] != "GRU" or options["lengths"]:
            continue
        inputs = {k: v for k, v in case["inputs"].items() if not k.startswith("R_")}
        mine = run_gru_loop(False, options["layers"], options["directions"], **inputs)
        for name, value in case["outputs"].items():
            torch.testing.assert_close(mine[name], value, rtol=0, atol=1e-14)


def recurrent():
    plain = ("LSTM", "GRU", "RNN_TANH", "RNN_RELU")
    cases = dict(
        recurrent_case(cell, layers, directions, steps, state)
        for cell in plain
        for layers in (1, 2)
        for directions in (1, 2)
        for steps in (1, 5)
        for state in ("zero", "given")
    )
    cases.update(recurrent_case(cell, 2, 2, 5, "given", [5, 2, 3]) for cell in plain)
    for layers, directions in ((1, 1), (2, 2)):
        for state in ("zero", "given"):
            cases.update([recurrent_case("GRU_RESET_BEFORE", layers, directions, 5, state)])
    check_gru_loop(cases)
    return cases


# ---------------------------------------------------------------- ops.json

# Points at which conventions show: borders, magnitudes that break naive formulas, IEEE specials.
KINK = [-1e-3, -0.0, 0.0, 1e-3]
EXTREME = [-1000, -100, -37, -20, -1e-10, -1e-300, 1e-300, 1e-10, 20, 20.5, 37, 100, 1000]
SPECIAL = [-INF, INF, NAN]

# name: (function of x, options, range of the generic input)
UNARY = {
    "neg": (torch.neg, {}, (-3, 3)),
    "exp": (torch.exp, {}, (-3, 3)),
    "log": (torch.log, {}, (0.1, 3)),
    "log1p": (torch.log1p, {}, (-0.9, 3)),
    "expm1": (torch.expm1, {}, (-3, 3)),
    "sqrt": (torch.sqrt, {}, (0.1, 3)),
    "square": (torch.square, {}, (-3, 3)),
    "abs": (torch.abs, {}, (-3, 3)),
    "sin": (torch.sin, {}, (-3, 3)),
    "cos": (torch.cos, {}, (-3, 3)),
    "tan": (torch.tan, {}, (-1.3, 1.3)),
    "sinh": (torch.sinh, {}, (-3, 3)),
    "cosh": (torch.cosh, {}, (-3, 3)),
    "asin": (torch.asin, {}, (-0.95, 0.95)),
    "acos": (torch.acos, {}, (-0.95, 0.95)),
    "atan": (torch.atan, {}, (-3, 3)),
    "sign": (torch.sign, {}, (-3, 3)),
    "floor": (torch.floor, {}, (-3, 3)),
    "sigmoid": (torch.sigmoid, {}, (-3, 3)),
    "tanh": (torch.tanh, {}, (-3, 3)),
    "relu": (torch.relu, {}, (-3, 3)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.01), {"slope": 0.01}, (-3, 3)),
    "leaky_relu_0.2": (lambda x: F.leaky_relu(x, 0.2), {"op": "leaky_relu", "slope": 0.2}, (-3, 3)),
    "elu": (lambda x: F.elu(x, 1.0), {"alpha": 1.0}, (-3, 3)),
    "elu_0.5": (lambda x: F.elu(x, 0.5), {"op": "elu", "alpha": 0.5}, (-3, 3)),
    "gelu": (lambda x: F.gelu(x, approximate="none"), {"approximate": "none"}, (-3, 3)),
    # torch switches to y = x above the threshold; softplus_exact is the formula without it.
    "softplus": (F.softplus, {"threshold": 20.0}, (-3, 3)),
    "softplus_exact": (
        lambda x: -F.logsigmoid(-x),
        {"op": "softplus", "threshold": None},
        (-3, 3),
    ),
    "silu": (F.silu, {}, (-3, 3)),
    "clip": (lambda x: torch.clip(x, -1.0, 1.5), {"min": -1.0, "max": 1.5}, (-3, 3)),
    "clip_min": (lambda x: torch.clip(x, min=-1.0), {"op": "clip", "min": -1.0}, (-3, 3)),
    "clip_max": (lambda x: torch.clip(x, max=1.5), {"op": "clip", "max": 1.5}, (-3, 3)),
    "clip_crossed": (
        lambda x: torch.clip(x, 1.0, -1.0),
        {"op": "clip", "min": 1.0, "max": -1.0},
        (-3, 3),
    ),
    "add_scalar": (lambda x: x + 2.5, {"scalar": 2.5}, (-3, 3)),
    "sub_scalar": (lambda x: x - 2.5, {"scalar": 2.5}, (-3, 3)),
    "scalar_sub": (lambda x: 2.5 - x, {"scalar": 2.5}, (-3, 3)),
    "mul_scalar": (lambda x: x * 2.5, {"scalar": 2.5}, (-3, 3)),
    "div_scalar": (lambda x: x / 2.5, {"scalar": 2.5}, (-3, 3)),
    "scalar_div": (lambda x: 2.5 / x, {"scalar": 2.5}, (0.2, 3)),
    "scalar_pow": (lambda x: torch.pow(2.5, x), {"scalar": 2.5}, (-3, 3)),
    "zero_pow": (lambda x: torch.pow(0.0, x), {"op": "scalar_pow", "scalar": 0.0}, (0.2, 3)),
    "pow_2": (lambda x: x**2.0, {"op": "pow_scalar", "exponent": 2.0}, (-3, 3)),
    "pow_3": (lambda x: x**3.0, {"op": "pow_scalar", "exponent": 3.0}, (-3, 3)),
    "pow_1": (lambda x: x**1.0, {"op": "pow_scalar", "exponent": 1.0}, (-3, 3)),
    "pow_0": (lambda x: x**0.0, {"op": "pow_scalar", "exponent": 0.0}, (-3, 3)),
    "pow_0.5": (lambda x: x**0.5, {"op": "pow_scalar", "exponent": 0.5}, (0.1, 3)),
    "pow_-1": (lambda x: x**-1.0, {"op": "pow_scalar", "exponent": -1.0}, (0.2, 3)),
    "pow_1.7": (lambda x: x**1.7, {"op": "pow_scalar", "exponent": 1.7}, (0.1, 3)),
}
BORDERS = [-1.001, -1.0, -0.999, 0.999, 1.0, 1.499, 1.5, 1.501]

BINARY = {
    "add": (torch.add, (-3, 3)),
    "sub": (torch.sub, (-3, 3)),
    "mul": (torch.mul, (-3, 3)),
    "div": (torch.div, (0.3, 3)),
    "pow": (torch.pow, (0.3, 3)),
    "atan2": (torch.atan2, (-3, 3)),
    "maximum": (torch.maximum, (-3, 3)),
    "minimum": (torch.minimum, (-3, 3)),
}
BROADCASTS = {
    "same": ((2, 3), (2, 3)),
    "row": ((2, 3), (3,)),
    "column": ((2, 3), (2, 1)),
    "both": ((2, 1, 3), (4, 1)),
    "rank0": ((2, 3), ()),
    "empty": ((0, 3), (1, 3)),
}
TIES = {  # at ties, around zero, and at IEEE specials
    "ties": ([1, -2, 0.0, -0.0, 3, 3], [1, -2, -0.0, 0.0, 3, 4]),
    "special": (
        [NAN, 1, NAN, INF, INF, -INF, INF, 0.0, 1, -INF],
        [1, NAN, NAN, INF, -INF, -INF, 1, INF, -INF, 1],
    ),
    "zero": ([0.0, -0.0, 1, -1, 0.0, 0.0, -2, -2], [0.0, 1, 0.0, 0.0, -1, 2, 0.5, 3]),
}


def rows(*values):
    return torch.tensor(values, dtype=torch.float64)


class Ops(dict):
    def add(self, name, run, inputs, /, op=None, **options):
        """One case; `run(*inputs)` returns a tensor (named y) or a dict of outputs.

        `inputs` are tensors, or shapes to be drawn from [-2, 2].
        """
        draw = Draw(name)
        drawn = {
            key: value if torch.is_tensor(value) else draw(*value, low=-2, high=2)
            for key, value in inputs.items()
        }

        def outputs(**leaves):
            result = run(*leaves.values())
            return result if isinstance(result, dict) else {"y": result}

        assert name not in self, name
        options = {"op": op or name.split("/")[0], **options}
        self[name] = {"options": options, **differentiate(draw, drawn, outputs)}


def pointwise_ops(ops):
    for name, (run, options, (low, high)) in UNARY.items():
        generic = Draw("generic " + name)(2, 5, low=low, high=high)
        ops.add(f"{name}/generic", run, {"x": generic}, **options)
        kink = BORDERS if name.startswith("clip") else KINK
        for label, points in (("kink", kink), ("extreme", EXTREME), ("special", SPECIAL)):
            ops.add(f"{name}/{label}", run, {"x": rows(*points)}, **options)

    for name, (run, (low, high)) in BINARY.items():
        for label, (a, b) in BROADCASTS.items():
            draw = Draw(f"generic {name} {label}")
            inputs = {"a": draw(*a, low=low, high=high), "b": draw(*b, low=low, high=high)}
            ops.add(f"{name}/{label}", run, inputs)
        for label, (a, b) in TIES.items():
            ops.add(f"{name}/{label}", run, {"a": rows(*a), "b": rows(*b)})

    where = lambda condition, a, b: torch.where(condition != 0, a, b)  # noqa: E731
    condition = torch.tensor([[1, 0, 1], [0, 0, 1]])
    ops.add("where/same", where, {"condition": condition, "a": (2, 3), "b": (2, 3)})
    ops.add("where/broadcast", where, {"condition": condition[0], "a": (2, 1), "b": ()})
    specials = {"a": rows(NAN, NAN, INF, 1), "b": rows(1, 2, 3, -INF)}
    ops.add("where/special", where, {"condition": torch.tensor([1, 0, 0, 1]), **specials})


def product_ops(ops):
    shapes = {
        "2d": ((3, 4), (4, 5)),
        "row": ((1, 4), (4, 5)),
        "inner1": ((3, 1), (1, 5)),
        "inner0": ((3, 0), (0, 5)),
        "batched": ((2, 3, 4), (2, 4, 5)),
        "batched_broadcast": ((2, 3, 4), (1, 4, 5)),
        "batched_2d": ((2, 3, 4), (4, 5)),
        "batch0": ((0, 3, 4), (0, 4, 5)),
        "vectors": ((4,), (4,)),
        "vector_2d": ((4,), (4, 5)),
        "2d_vector": ((3, 4), (4,)),
        "3d_vector": ((2, 3, 4), (4,)),
        "vector_3d": ((4,), (2, 4, 5)),
        "vectors0": ((0,), (0,)),
        "vector0_2d": ((0,), (0, 5)),
    }
    for label, (a, b) in shapes.items():
        ops.add(f"matmul/{label}", torch.matmul, {"a": a, "b": b})
    special = {"a": rows([0.0, 1], [NAN, 2]), "b": rows([INF, 1], [3, 4])}
    ops.add("matmul/special", torch.matmul, special)
    affine = lambda x, W, b: x @ W + b  # noqa: E731
    for label, x in {"2d": (3, 4), "3d": (2, 3, 4), "row": (1, 4), "empty": (0, 4)}.items():
        ops.add(f"affine/{label}", affine, {"x": x, "W": (4, 5), "b": (5,)})
    ops.add("outer", torch.outer, {"a": (3,), "b": (4,)})


def prod(x, dim, keepdim):
    for axis in sorted((axis % x.dim() for axis in dim), reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keepdim)
    return x


def logsumexp(x, dim, keepdim):
    """With the gradient 0 where all are -inf; torch 1.13 has NaN."""
    none = torch.sum(x != -INF, dim=dim, keepdim=True) == 0
    y = torch.logsumexp(x.masked_fill(none, 0), dim=dim, keepdim=True).masked_fill(none, -INF)
    return y if keepdim else y.reshape(torch.sum(x, dim=dim).shape)


def reductions(x, axes, keepdims):
    """(name, function, options) of every reduction over these axes (None: all)."""
    axes = list(range(x.dim())) if axes is None else axes
    at = {"dim": axes, "keepdim": keepdims}
    yield "sum", lambda x: torch.sum(x, **at), {}
    yield "mean", lambda x: torch.mean(x, **at), {}
    yield "amax", lambda x: torch.amax(x, **at), {}
    yield "amin", lambda x: torch.amin(x, **at), {}
    yield "prod", lambda x: prod(x, **at), {}
    yield "norm", lambda x: torch.linalg.vector_norm(x, **at), {}
    yield "logsumexp", lambda x: logsumexp(x, **at), {}
    yield "variance_unbiased", lambda x: torch.var(x, unbiased=True, **at), {"unbiased": True}
    yield "variance_biased", lambda x: torch.var(x, unbiased=False, **at), {"unbiased": False}


REDUCED = {  # label: (x, axes)
    "all": ((2, 3, 4), None),
    "first": ((2, 3, 4), [0]),
    "middle": ((2, 3, 4), [1]),
    "last": ((2, 3, 4), [-1]),
    "outer_two": ((2, 3, 4), [0, 2]),
    "size1": ((3, 1, 2), [1]),
    "ties": (rows([1, 3, 3, 2], [0.0, -0.0, 0.0, -1], [5, 5, 5, 5]), [1]),
    "ties_all": (rows([1, 3, 3, 2], [0, 3, -1, 2]), None),
    "large": (rows([1e4, 1e4 + 1, 9999], [-1e4, -1e4 - 1, -9999], [1e4, 0, -1e4]), [1]),
    "infinite": (rows([-INF, -INF], [-INF, 1], [INF, 1], [INF, INF], [INF, -INF]), [1]),
    "nan": (rows([NAN, 1, 2], [0, 1, NAN], [NAN, NAN, 1], [1, 2, 3]), [1]),
    "zeros": (rows([2, 0, 3, -1], [0, 4, 0.0, 2], [0, 0, 0, 0], [1, 2, 3, -4]), [1]),
    "keep_empty": ((2, 0, 3), [0]),
    "reduce_empty": ((2, 0, 3), [1]),
}


def reduction_ops(ops):
    for label, (x, axes) in REDUCED.items():
        x = x if torch.is_tensor(x) else Draw("reduced " + label)(*x, low=-2, high=2)
        for keepdims in (False, True) if label in ("all", "middle", "outer_two") else (False,):
            for name, run, options in reductions(x, axes, keepdims):
                if name in ("amax", "amin") and label == "reduce_empty":
                    continue  # no maximum of nothing: torch throws
                if name == "prod" and label in ("infinite", "nan"):
                    continue  # torch divides by the element, which is NaN for an infinite one
                title = f"{name}/{label}" + ("/keepdims" if keepdims else "")
                op = name.split("_")[0]
                ops.add(title, run, {"x": x}, op=op, axes=axes, keepdims=keepdims, **options)
    # torch's two other maxima: over one axis with the index (the gradient goes to that one entry),
    # and over everything (the gradient is shared among equals).
    for label in ("last", "ties", "infinite", "nan"):
        x, axes = REDUCED[label]
        axis = axes[0]

        def with_index(x, axis=axis):
            values, index = torch.max(x, dim=axis)
            return {"y": values, "index": index}

        ops.add(f"max_with_index/{label}", with_index, {"x": x}, axes=axes, keepdims=False)
    for label in ("all", "ties_all", "nan"):
        ops.add(f"max_of_all/{label}", torch.max, {"x": REDUCED[label][0]})
        ops.add(f"min_of_all/{label}", torch.min, {"x": REDUCED[label][0]})
    for axis in (0, 1, -1):
        run = lambda x, axis=axis: torch.cumsum(x, dim=axis)  # noqa: E731
        ops.add(f"cumsum/axis{axis}", run, {"x": (2, 3, 4)}, axis=axis)
    for label in ("size1", "infinite", "nan", "keep_empty", "reduce_empty"):
        run = lambda x: torch.cumsum(x, dim=1)  # noqa: E731
        ops.add(f"cumsum/{label}", run, {"x": REDUCED[label][0]}, axis=1)
    for name, run in {"argmax": torch.argmax, "argmin": torch.argmin}.items():
        for label in ("first", "middle", "last", "ties", "infinite", "nan"):
            x, (axis,) = REDUCED[label]

            # The values at the places, so that there is something to differentiate.
            def pick(x, run=run, axis=axis):
                places = run(x, dim=axis)
                y = x.gather(axis, places.unsqueeze(axis)).squeeze(axis)
                return {"places": places, "y": y}

            ops.add(f"{name}/{label}", pick, {"x": x}, axis=axis)


def normalizing_ops(ops):
    for name, run in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
        for axis in (0, 1, -1):
            x = {"x": (2, 3, 4)}
            ops.add(f"{name}/axis{axis}", lambda x, a=axis, run=run: run(x, dim=a), x, axis=axis)
        for label in ("size1", "ties", "large", "infinite", "nan", "keep_empty"):
            x = {"x": REDUCED[label][0]}
            ops.add(f"{name}/{label}", lambda x, run=run: run(x, dim=1), x, axis=1)

    def layer_norm(shape, eps):
        return lambda x, weight=None, bias=None: F.layer_norm(x, shape, weight, bias, eps)

    parameters = {"weight": (4,), "bias": (4,)}
    for label, eps in (("2d", 1e-5), ("2d_eps", 0.1)):
        inputs = {"x": (3, 4), **parameters}
        ops.add(f"layer_norm/{label}", layer_norm([4], eps), inputs, axes=[-1], eps=eps)
    generic = {
        "3d": ({"x": (2, 3, 4), **parameters}, [4], [-1]),
        "plain": ({"x": (3, 4)}, [4], [-1]),
        "two_axes": ({"x": (2, 3, 4), "weight": (3, 4), "bias": (3, 4)}, [3, 4], [-2, -1]),
        "constant": ({"x": rows([2, 2, 2, 2], [0, 0, 0, 0]), **parameters}, [4], [-1]),
        "offset": ({"x": rows([1e4, 1e4 + 1, 1e4 - 2, 1e4 + 0.5]), **parameters}, [4], [-1]),
        "size1": ({"x": (3, 1), "weight": (1,), "bias": (1,)}, [1], [-1]),
        "special": ({"x": rows([NAN, 1, 2, 3], [INF, 1, 2, 3]), **parameters}, [4], [-1]),
    }
    for label, (inputs, shape, axes) in generic.items():
        ops.add(f"layer_norm/{label}", layer_norm(shape, 1e-5), inputs, axes=axes, eps=1e-5)


def index_and_shape_ops(ops):
    embedding = lambda index, table: F.embedding(index, table)  # noqa: E731
    for label, index in {
        "repeated": [2, 0, 2, 4, 2],
        "2d": [[1, 3, 1], [0, 0, 4]],
        "one": [3],
    }.items():
        inputs = {"index": torch.tensor(index), "table": (5, 3)}
        ops.add(f"embedding/{label}", embedding, inputs)
    for axis, index in ((0, [[0, 1, 1, 0], [1, 1, 1, 1]]), (1, [[3, 3], [0, 2]])):
        run = lambda index, x, a=axis: torch.gather(x, a, index)  # noqa: E731
        inputs = {"index": torch.tensor(index), "x": (2, 4)}
        ops.add(f"gather/axis{axis}", run, inputs, axis=axis)
    for axis in (0, 1, 2):
        run = lambda index, x, a=axis: torch.index_select(x, a, index)  # noqa: E731
        inputs = {"index": torch.tensor([1, 0, 1]), "x": (2, 3, 2)}
        ops.add(f"index_select/axis{axis}", run, inputs, axis=axis)

    x = {"x": (2, 3, 4)}
    ops.add("reshape", lambda x: x.reshape(4, 6), x, shape=[4, 6])
    ops.add("transpose/2d", lambda x: x.T, {"x": (2, 3)}, axes=[1, 0])
    ops.add("transpose/3d", lambda x: x.permute(2, 0, 1), x, axes=[2, 0, 1])
    ops.add("slice/range", lambda x: x[:, 1:3], x, axis=1, begin=1, end=3, step=1)
    ops.add("slice/step", lambda x: x[:, :, 0:4:3], x, axis=2, begin=0, end=4, step=3)
    ops.add("slice/index", lambda x: x[1], x, axis=0, index=1)
    parts = lambda x: dict(zip(("y0", "y1"), x.chunk(2, dim=2)))  # noqa: E731
    ops.add("split", parts, x, axis=2, parts=2)
    pair = {"a": (2, 1, 3), "b": (2, 2, 3)}
    ops.add("concat", lambda a, b: torch.cat([a, b], 1), pair, axis=1)
    for axis in (0, 1, 2):
        stack = lambda a, b, n=axis: torch.stack([a, b], n)  # noqa: E731
        ops.add(f"stack/axis{axis}", stack, {"a": (2, 3), "b": (2, 3)}, axis=axis)
    for label, shape in {"row": (3,), "inner": (2, 1, 3), "rank0": ()}.items():
        run = lambda x: torch.broadcast_to(x, (2, 4, 3))  # noqa: E731
        ops.add(f"broadcast_to/{label}", run, {"x": shape}, shape=[2, 4, 3])
    for axes in ([0], [0, 2]):
        run = lambda x, axes=axes: torch.flip(x, axes)  # noqa: E731
        ops.add(f"flip/axes{''.join(map(str, axes))}", run, x, axes=axes)


def loss_ops(ops):
    regression = {
        "mse": (F.mse_loss, {}),
        "mae": (F.l1_loss, {}),
        "huber": (F.huber_loss, {"delta": 1.0}),
        "huber_0.5": (F.huber_loss, {"op": "huber", "delta": 0.5}),
        "huber_2.5": (F.huber_loss, {"op": "huber", "delta": 2.5}),
    }
    shapes = {"scalar": (), "one": (1,), "3d": (2, 3, 2), "4d": (2, 1, 2, 2), "empty": (0, 3)}
    kinks = {
        "prediction": rows(1, 2, 0.0, -3, 0.5, -0.5, 1, -1, 1.5, 1e4),
        "target": rows(1, 2, -0.0, -3, 0, 0, 0, 0, 0, -1e4),
    }
    special = {"prediction": rows(NAN, 1, INF, -INF), "target": rows(1, NAN, 1, -INF)}
    for name, (loss, options) in regression.items():
        for reduction in ("mean", "sum", "none"):
            all_options = {**options, "reduction": reduction}
            keywords = {key: value for key, value in all_options.items() if key != "op"}

            def run(prediction, target, loss=loss, keywords=keywords):
                return loss(prediction, target, **keywords)

            generic = {"prediction": (3, 4), "target": (3, 4)}
            ops.add(f"{name}/{reduction}", run, generic, **all_options)
            for label, shape in shapes.items():
                inputs = {"prediction": shape, "target": shape}
                ops.add(f"{name}/{label}_{reduction}", run, inputs, **all_options)
            if reduction == "none":
                ops.add(f"{name}/kink", run, kinks, **all_options)
                ops.add(f"{name}/special", run, special, **all_options)

    # Logits (..., C) and targets (...): torch wants the classes second, so leading axes are merged.
    def cross_entropy(**options):
        def run(logits, target):
            classes = logits.shape[-1]
            y = F.cross_entropy(logits.reshape(-1, classes), target.reshape(-1), **options)
            return y.reshape(target.shape) if options["reduction"] == "none" else y

        return run

    def add_cross_entropy(label, logits, target, reduction="mean", ignore=-100, smoothing=0.0):
        options = {"reduction": reduction, "ignore_index": ignore, "label_smoothing": smoothing}
        inputs = {"logits": logits, "target": torch.tensor(target)}
        ops.add(f"cross_entropy/{label}", cross_entropy(**options), inputs, **options)

    target = [1, 4, 0, 2]
    ignoring = [1, -100, 0, -100]
    for reduction in ("mean", "sum", "none"):
        add_cross_entropy(reduction, (4, 5), target, reduction)
        add_cross_entropy(f"ignore_{reduction}", (4, 5), ignoring, reduction)
        add_cross_entropy(f"smoothing_{reduction}", (4, 5), target, reduction, smoothing=0.1)
        add_cross_entropy(
            f"ignore_smoothing_{reduction}", (4, 5), ignoring, reduction, smoothing=0.1
        )
        add_cross_entropy(f"all_ignored_{reduction}", (2, 5), [-100, -100], reduction)
    add_cross_entropy("ignore_class", (4, 5), [1, 0, 0, 2], ignore=0)
    add_cross_entropy("smoothing_one", (4, 5), target, smoothing=1.0)
    sequence = [[1, 4, 0], [2, -100, 3]]
    add_cross_entropy("sequence_mean", (2, 3, 5), sequence)
    add_cross_entropy("sequence_none", (2, 3, 5), sequence, "none", smoothing=0.2)
    add_cross_entropy("one_class", (2, 1), [0, 0], "none")
    # Every combination of the options, for one row, for sequences, and for more axes.
    generator = random.Random("cross_entropy targets")
    for label, shape in {"row": (), "3d": (2, 3), "4d": (2, 1, 3)}.items():
        classes = [generator.randrange(5) for _ in range(math.prod(shape))]
        classes[0] = 3
        for reduction in ("mean", "sum", "none"):
            for ignore in (-100, -1, 3):  # none, one by a number that is no class, one class
                numbers = [ignore if ignore == -1 and i == 0 else c for i, c in enumerate(classes)]
                target = torch.tensor(numbers).reshape(shape).tolist()
                for smoothing in (0.0, 0.1, 1.0):
                    title = f"{label}/{reduction}/ignore{ignore}/smoothing{smoothing}"
                    logits = (*shape, 5)
                    add_cross_entropy(title, logits, target, reduction, ignore, smoothing)
    for reduction in ("mean", "sum", "none"):
        title = f"all_ignored_smoothing_{reduction}"
        add_cross_entropy(title, (2, 5), [-100, -100], reduction, smoothing=0.1)
    large = rows([1e4, 0, -1e4], [1e4, 0, -1e4], [-1e4, -1e4, -1e4])
    add_cross_entropy("large", large, [0, 2, 1], "none")
    add_cross_entropy("large_smoothing", large, [0, 2, 1], "none", smoothing=0.1)
    infinite = rows([-INF, 0, 1], [-INF, 0, 1], [INF, 0, 1], [NAN, 0, 1])
    add_cross_entropy("special", infinite, [1, 0, 0, 1], "none")
    # Torch's gradient of an ignored row that holds NaN is NaN; ours is 0, as if it were not there.
    ops.add(
        "cross_entropy/special_ignored",
        lambda logits, target: F.cross_entropy(logits[target != -100], target[target != -100]),
        {"logits": infinite, "target": torch.tensor([1, -100, -100, -100])},
        reduction="mean",
        ignore_index=-100,
        label_smoothing=0.0,
    )

    # Class weights, and targets that are probabilities.
    weights = [[0.5, 2.0, 1.0, 0.25, 3.0], [1.0, 0.0, 1.0, 1.5, 0.5]]

    def soft_cross_entropy(**options):
        def run(logits, target):
            classes = logits.shape[-1]
            y = F.cross_entropy(
                logits.reshape(-1, classes), target.reshape(-1, classes), **options
            )
            return y.reshape(target.shape[:-1]) if options["reduction"] == "none" else y

        return run

    for reduction in ("mean", "sum", "none"):
        for label, shape in {"2d": (4,), "row": (), "3d": (2, 3)}.items():
            for smoothing in (0.0, 0.1):
                for k, factors in enumerate([None, *weights]):
                    if label != "2d" and (smoothing == 0 or k != 1):
                        continue  # every combination for one shape, for the others one
                    options = {"reduction": reduction, "label_smoothing": smoothing}
                    weight = None if factors is None else torch.tensor(factors)
                    title = f"{label}/{reduction}/smoothing{smoothing}/weights{k}"
                    draw = Draw("soft targets " + title)
                    target = draw(*shape, 5, low=0, high=1)
                    inputs = {"logits": (*shape, 5), "target": target / 2}
                    recorded = {"op": "cross_entropy", **options, "class_weights": factors}
                    ops.add(
                        f"cross_entropy_soft/{title}",
                        soft_cross_entropy(weight=weight, **options),
                        inputs,
                        **recorded,
                    )
                    if factors is None:
                        continue
                    for ignore in (-100, 3):
                        classes = torch.tensor([3, 1, 4, 1, 0, 2][: math.prod(shape)])
                        keywords = {**options, "ignore_index": ignore}
                        ops.add(
                            f"cross_entropy_weighted/{title}/ignore{ignore}",
                            cross_entropy(weight=weight, **keywords),
                            {"logits": (*shape, 5), "target": classes.reshape(shape)},
                            op="cross_entropy",
                            class_weights=factors,
                            **keywords,
                        )

    def binary(reduction):
        return lambda logits, target: F.binary_cross_entropy_with_logits(
            logits, target, reduction=reduction
        )

    name = "binary_cross_entropy_with_logits"
    for reduction in ("mean", "sum", "none"):
        inputs = {"logits": (3, 4), "target": Draw("target " + reduction)(3, 4, low=0, high=1)}
        ops.add(f"{name}/{reduction}", binary(reduction), inputs, reduction=reduction)
        for label, shape in shapes.items():
            target = Draw(f"target {label} {reduction}")(*shape, low=0, high=1)
            inputs = {"logits": shape, "target": target}
            ops.add(f"{name}/{label}_{reduction}", binary(reduction), inputs, reduction=reduction)
    points = [-1000, -100, -0.0, 0.0, 100, 1000]
    for label, logits in (("extreme", points), ("special", SPECIAL)):
        grid = rows(*[[value] * 3 for value in logits])
        inputs = {"logits": grid, "target": rows(0, 0.5, 1).expand_as(grid)}
        ops.add(f"{name}/{label}", binary("none"), inputs, reduction="none")


def operations():
    ops = Ops()
    pointwise_ops(ops)
    product_ops(ops)
    reduction_ops(ops)
    normalizing_ops(ops)
    index_and_shape_ops(ops)
    loss_ops(ops)
    return ops


# ---------------------------------------------------------------- optim.json

STEPS, EVERY = 100, 10


def problem():
    """A and b of loss = sum((A x - b)^2) + 0.1 sum(x^4), and the starting point x."""
    draw = Draw("problem")
    return {
        "A": draw(8, 6, low=-0.7, high=0.7),
        "b": draw(8, low=-2, high=2),
        "x": draw(6, low=-1.5, high=1.5),
    }


# Two parameters p (4) and q (2): x is their concatenation. The global norm must see both.
WHOLE, PARTS = ("x",), ("p", "q")


def loss_of(data, parameters):
    x = torch.cat(parameters)
    return ((data["A"] @ x - data["b"]) ** 2).sum() + 0.1 * (x**4).sum()


def trajectory(optimizer, options, parameters=WHOLE, clip=None, rates=None):
    """100 steps; rows 0, 10, ..., 100 hold the parameters after that many steps."""
    data = problem()
    pieces = [data["x"]] if parameters == WHOLE else list(data["x"].split([4, 2]))
    leaves = [piece.clone().requires_grad_() for piece in pieces]
    steps = optimizer(leaves, **options)
    inputs = {"A": data["A"], "b": data["b"], **dict(zip(parameters, pieces))}
    if rates:
        inputs["lr"] = rows(*rates)
    points, losses, norms, first = [], [], [], None
    for t in range(STEPS + 1):
        steps.zero_grad()
        loss = loss_of(data, leaves)
        loss.backward()
        first = first or [leaf.grad.clone() for leaf in leaves]
        if t % EVERY == 0:
            points.append([leaf.detach().clone() for leaf in leaves])
            losses.append(loss.item())
        if t == STEPS:
            break
        norms.append(torch.cat([leaf.grad for leaf in leaves]).norm().item())
        if clip and clip["by"] == "norm":
            clip_grad_norm_(leaves, clip["limit"])
        elif clip:
            clip_grad_value_(leaves, clip["limit"])
        if rates:
            steps.param_groups[0]["lr"] = rates[t]
        steps.step()
    outputs = {name: torch.stack(column) for name, column in zip(parameters, zip(*points))}
    outputs["loss"] = rows(*losses)
    if clip:
        outputs["norm"] = rows(*norms)
    recorded = {
        "optimizer": optimizer.__name__,
        **options,
        "steps": STEPS,
        "every": EVERY,
        "parameters": list(parameters),
    }
    if clip:
        recorded["clip"] = clip
    gradients = dict(zip(parameters, first))
    return {"options": recorded, "inputs": inputs, "outputs": outputs, "gradients": gradients}


def sgd(lr=0.02, momentum=0.0, nesterov=False, weight_decay=0.0, **rest):
    options = {
        "lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay
    }  # fmt: skip
    return trajectory(torch.optim.SGD, options, **rest)


def adam(kind=torch.optim.Adam, lr=0.03, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, **rest):
    options = {"lr": lr, "betas": list(betas), "eps": eps, "weight_decay": weight_decay}
    return trajectory(kind, options, **rest)


def rmsprop(
    lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, centered=False, weight_decay=0.0, **rest
):
    options = {
        "lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "centered": centered,
        "weight_decay": weight_decay,
    }  # fmt: skip
    return trajectory(torch.optim.RMSprop, options, **rest)


def schedule(kind, options, steps, losses=None):
    """Learning rates: entry t is the rate of step t, or for the plateau the rate after loss t."""
    base = options["base_lr"]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    rest = {k: v for k, v in options.items() if k != "base_lr"}
    if kind == "cosine_with_warmup":
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine_factor(**rest))
    else:
        scheduler = getattr(torch.optim.lr_scheduler, kind)(optimizer, **rest)
    rates = []
    for t in range(steps):
        optimizer.step()
        if losses:
            scheduler.step(losses[t])
        rates.append(optimizer.param_groups[0]["lr"])
        if not losses:
            scheduler.step()
    options = {"scheduler": kind, **options, "steps": steps}
    inputs = {"loss": rows(*losses)} if losses else {}
    return {"options": options, "inputs": inputs, "outputs": {"lr": rows(*rates)}, "gradients": {}}


def cosine_factor(warmup, total, floor):
    """Linear warm-up to 1 at step warmup - 1, then half a cosine to `floor` at step `total`."""

    def factor(t):
        if t < warmup:
            return (t + 1) / warmup
        progress = min(1.0, (t - warmup) / (total - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


def optimizers():
    adamw, step_down = torch.optim.AdamW, [0.02 * 0.5 ** (t // 25) for t in range(STEPS)]
    cosine = cosine_factor(10, STEPS, 0.1)
    cases = {
        "sgd/plain": sgd(),
        "sgd/weight_decay": sgd(weight_decay=0.1),
        "sgd/momentum": sgd(momentum=0.9),
        "sgd/nesterov": sgd(momentum=0.9, nesterov=True),
        "sgd/momentum_weight_decay": sgd(momentum=0.8, weight_decay=0.1),
        "sgd/nesterov_weight_decay": sgd(momentum=0.8, nesterov=True, weight_decay=0.1),
        # The rate changes under the momentum: torch keeps the rate out of the velocity.
        "sgd/momentum_step_lr": sgd(momentum=0.9, rates=step_down),
        "adam/plain": adam(),
        "adam/betas_eps": adam(betas=(0.8, 0.95), eps=1e-3),
        "adam/weight_decay": adam(weight_decay=0.1),
        "adam/cosine_lr": adam(rates=[0.03 * cosine(t) for t in range(STEPS)]),
        "adamw/plain": adam(adamw, weight_decay=0.01),
        "adamw/weight_decay": adam(adamw, weight_decay=0.5),
        "adamw/cosine_lr": adam(
            adamw, weight_decay=0.5, rates=[0.03 * cosine(t) for t in range(STEPS)]
        ),
        "rmsprop/plain": rmsprop(),
        "rmsprop/alpha_eps": rmsprop(alpha=0.9, eps=1e-2),
        "rmsprop/momentum": rmsprop(lr=0.003, momentum=0.9),
        "rmsprop/centered": rmsprop(centered=True),
        "rmsprop/centered_momentum": rmsprop(lr=0.003, momentum=0.9, centered=True),
        "rmsprop/weight_decay": rmsprop(weight_decay=0.1),
        "clip_norm/sgd": sgd(clip={"by": "norm", "limit": 1.5}),
        "clip_norm/sgd_two_parameters": sgd(clip={"by": "norm", "limit": 1.5}, parameters=PARTS),
        "clip_norm/sgd_momentum": sgd(momentum=0.9, clip={"by": "norm", "limit": 1.5}),
        "clip_norm/adam_two_parameters": adam(clip={"by": "norm", "limit": 1.5}, parameters=PARTS),
        "clip_norm/inactive": sgd(clip={"by": "norm", "limit": 1e3}, parameters=PARTS),
        "clip_value/sgd": sgd(clip={"by": "value", "limit": 0.5}),
        "clip_value/adam_two_parameters": adam(
            clip={"by": "value", "limit": 0.5}, parameters=PARTS
        ),
        "schedule/step": schedule("StepLR", {"base_lr": 0.1, "step_size": 7, "gamma": 0.3}, 30),
        "schedule/cosine_with_warmup": schedule(
            "cosine_with_warmup", {"base_lr": 0.01, "warmup": 5, "total": 30, "floor": 0.1}, 36
        ),
        "schedule/cosine_to_zero": schedule(
            "cosine_with_warmup", {"base_lr": 0.01, "warmup": 0, "total": 20, "floor": 0.0}, 24
        ),
    }
    losses = [1.0, 0.9, 0.9, 0.89999, 0.91, 0.92, 0.8, 0.81, 0.8, 0.82, 0.83, 0.84, 0.85, 0.86,
              0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]  # fmt: skip
    plateau = {
        "base_lr": 0.1, "mode": "min", "factor": 0.5, "patience": 2, "threshold": 1e-4,
        "threshold_mode": "rel", "cooldown": 0, "min_lr": 0.0, "eps": 1e-8,
    }  # fmt: skip
    variants = {
        "plain": ({}, losses),
        "patience0": ({"patience": 0}, losses),
        "cooldown": ({"cooldown": 3, "patience": 1}, losses),
        "min_lr": ({"factor": 0.1, "patience": 1, "min_lr": 0.003}, losses),
        "abs_threshold": ({"threshold": 0.15, "threshold_mode": "abs"}, losses),
        "nan": ({}, [1.0, NAN, NAN, NAN, NAN, 0.5, NAN, 0.4, 0.4, 0.4, 0.4]),
    }
    for label, (changes, sequence) in variants.items():
        options = {**plateau, **changes}
        cases[f"schedule/plateau_{label}"] = schedule(
            "ReduceLROnPlateau", options, len(sequence), sequence
        )
    return cases


FILES = {
    "recurrent.json": recurrent,
    "ops.json": operations,
    "optim.json": optimizers,
    "modules.json": modules,
}

if __name__ == "__main__":
    for file in sys.argv[1:] or FILES:
        write(file, FILES[file]())
