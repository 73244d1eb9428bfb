"""What all reference cases have in common: random inputs, derivatives, and how they are written."""

import json
import math
import os
import pathlib
import random

# Plain kernels and one thread: the last digits then depend on as little of the machine as possible.
os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["OPENBLAS_CORETYPE"] = "Prescott"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import torch  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Draw:
    """Random tensors with three decimals (short to store, exact to read), from a named seed."""

    def __init__(self, name):
        self.generator = random.Random(name)

    def __call__(self, *shape, low=-1.0, high=1.0):
        count = math.prod(shape)
        values = [round(self.generator.uniform(low, high), 3) for _ in range(count)]
        return torch.tensor(values).reshape(shape)


# ---------------------------------------------------------------- writing


def number(value):
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def tensor_json(value):
    value = value.detach()
    data = [number(v) for v in value.reshape(-1).tolist()]
    return compact({"shape": list(value.shape), "data": data})


def compact(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def case_json(case):
    """A case as JSON text: its options on one line, then one tensor per line."""
    parts = ['"options":' + compact(case["options"])]
    for section in ("inputs", "outputs", "gradients"):
        rows = [f"  {compact(name)}:{tensor_json(t)}" for name, t in case[section].items()]
        parts.append(f'"{section}":{{' + ("\n" + ",\n".join(rows) if rows else "") + "}")
    return "{\n " + ",\n ".join(parts) + "}"


def write(file, cases):
    text = ",\n".join(f"{compact(name)}:{case_json(case)}" for name, case in cases.items())
    path = pathlib.Path(__file__).resolve().parent / file
    path.write_text("{\n" + text + "\n}\n", encoding="ascii")


def differentiate(draw, inputs, run):
    """Runs `run(**inputs)`, a dict of outputs, and pulls a random covector R_<output> through each.

    The gradients are those of sum over the outputs of sum(output * R_output), for every floating
    input. Integer outputs (indices) have no covector.
    """
    leaves = {
        name: t.clone().requires_grad_(t.is_floating_point()) for name, t in inputs.items()
    }
    outputs = run(**leaves)
    smooth = {name: t for name, t in outputs.items() if t.is_floating_point()}
    covectors = {"R_" + name: draw(*t.shape) for name, t in smooth.items()}
    torch.autograd.backward(list(smooth.values()), list(covectors.values()))
    gradients = {name: t.grad for name, t in leaves.items() if t.is_floating_point()}
    missing = [name for name, gradient in gradients.items() if gradient is None]
    assert not missing, f"no gradient for {missing}"
    return {"inputs": {**inputs, **covectors}, "outputs": outputs, "gradients": gradients}


def functional(module, parameters, *arguments):
    """module(*arguments) with these tensors as its parameters: they receive the gradients."""
    assert sorted(name for name, _ in module.named_parameters()) == sorted(parameters)
    for name, value in parameters.items():
        owner, _, last = name.rpartition(".")
        owner = module.get_submodule(owner)
        assert getattr(owner, last).shape == value.shape, name
        delattr(owner, last)
        setattr(owner, last, value)  # a plain attribute
    if isinstance(module, torch.nn.RNNBase):
        module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    return module(*arguments)


def unroll(layers, x, lengths=None):
    """Explicit loops over layers, directions and steps: all outputs (T,B,...) and the last states.

    `layers` holds for each layer a list of (step, state), one for each direction, the second being
    the reverse one: step(x_t, state) is the next state, a tuple whose first entry is the output.
    Beyond a sequence's length its output is 0 and its state stays what it is.
    """
    last = []
    steps = range(x.shape[0])
    for directions in layers:
        halves = []
        for direction, (step, state) in enumerate(directions):
            outputs = {}
            for t in reversed(steps) if direction else steps:
                now = step(x[t], state)
                outputs[t] = now[0]
                if lengths is not None:
                    reached = (t < torch.tensor(lengths))[:, None]
                    outputs[t] = torch.where(reached, now[0], torch.zeros(()))
                    now = tuple(torch.where(reached, a, b) for a, b in zip(now, state))
                state = now
            last.append(state)
            halves.append(torch.stack([outputs[t] for t in steps]))
        x = torch.cat(halves, dim=2)
    return x, last
