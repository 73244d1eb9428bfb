"""The cases of modules.json: every module of nn/ and two cells of a user's, with their options.

Parameters have the names and layouts of xgrad, which torch's are made of here: torch multiplies by
transposed weights, and its LSTM and RNN have a second bias, which is 0.
"""

from case import Draw, differentiate, functional, unroll

import torch
import torch.nn.functional as F

# ---------------------------------------------------------------- cases


class Cases(dict):
    def add(self, label, run, inputs, **options):
        """One case; `run(get, **inputs)` returns a dict of outputs.

        get(name, *shape) is the parameter of that name. `inputs` are tensors, or shapes to be drawn
        from [-2, 2].
        """
        assert label not in self, label
        draw = Draw(label)
        drawn = {
            name: value if torch.is_tensor(value) else draw(*value, low=-2, high=2)
            for name, value in inputs.items()
        }
        parameters = {}

        def create(name, *shape):
            if name not in parameters:
                parameters[name] = draw(*shape, low=-0.8, high=0.8)
            return parameters[name]

        run(create, **drawn)

        def outputs(**leaves):
            return run(lambda name, *_: leaves[name], **{name: leaves[name] for name in drawn})

        self[label] = {
            "options": options, **differentiate(draw, {**drawn, **parameters}, outputs)
        }  # fmt: skip


def within(get, prefix):
    return lambda name, *shape: get(prefix + name, *shape)


# ---------------------------------------------------------------- layers without a state


def linear(get, x, units, bias=True):
    parameters = {"weight": get("W", x.shape[-1], units).T}
    if bias:
        parameters["bias"] = get("b", units)
    return functional(torch.nn.Linear(x.shape[-1], units, bias), parameters, x)


def embedding(get, index, vocabulary, width):
    table = torch.nn.Embedding(vocabulary, width)
    return functional(table, {"weight": get("W", vocabulary, width)}, index)


def layer_norm(get, x, eps=1e-5):
    width = x.shape[-1]
    parameters = {"weight": get("weight", width), "bias": get("bias", width)}
    return functional(torch.nn.LayerNorm(width, eps), parameters, x)


def dropout(x, p, training):
    """In training mode, of many draws the first that keeps the element: for p < 1 all are kept."""
    if not training or p == 0:
        return torch.nn.Dropout(p).train(training)(x)
    torch.manual_seed(1)
    drawn = torch.nn.Dropout(p)(x.expand(512, *x.shape))
    kept = drawn != 0
    assert kept.any(dim=0).all()
    y = drawn.gather(0, kept.int().argmax(dim=0, keepdim=True))[0]
    assert torch.equal(drawn, torch.where(kept, y, torch.zeros(())))
    return y


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "softmax": lambda x: torch.softmax(x, dim=-1),
}


def stateless(cases):
    shapes = {"2d": (4, 3), "3d": (2, 4, 3), "4d": (2, 1, 2, 3), "row": (1, 3), "empty": (0, 3),
              "one": (1, 1)}  # fmt: skip
    for label, shape in shapes.items():
        for bias in (True, False):
            title = f"Linear/{label}" + ("" if bias else "/no_bias")
            run = lambda get, x, b=bias: {"y": linear(get, x, 5, b)}  # noqa: E731
            cases.add(title, run, {"x": shape}, module="Linear", units=5, bias=bias)
        for eps in (1e-5, 0.1):
            run = lambda get, x, e=eps: {"y": layer_norm(get, x, e)}  # noqa: E731
            # Of one element nothing is left but the rounding of terms of this size.
            options = {"magnitude": 1.0} if label == "one" else {}
            title = f"LayerNorm/{label}/{eps}"
            cases.add(title, run, {"x": shape}, module="LayerNorm", eps=eps, **options)
    constant = torch.tensor([[2.0, 2, 2], [0, 0, 0], [-1e3, 1e3, 0]])
    run = lambda get, x: {"y": layer_norm(get, x)}  # noqa: E731
    cases.add("LayerNorm/constant", run, {"x": constant}, module="LayerNorm", eps=1e-5)
    indices = {"1d": [2, 0, 2, 4, 2], "2d": [[1, 3, 1], [0, 0, 4]], "one": [3], "scalar": 1,
               "empty": [[], []]}  # fmt: skip
    for label, index in indices.items():
        run = lambda get, index: {"y": embedding(get, index, 5, 3)}  # noqa: E731
        inputs = {"index": torch.tensor(index, dtype=torch.int64)}
        cases.add(f"Embedding/{label}", run, inputs, module="Embedding", vocabulary=5, width=3)
    for p in (0.0, 0.3, 0.9):
        for training in (False, True):
            run = lambda get, x, p=p, on=training: {"y": dropout(x, p, on)}  # noqa: E731
            label = f"Dropout/{p}/" + ("training" if training else "evaluation")
            cases.add(label, run, {"x": (2, 3, 4)}, module="Dropout", p=p, training=training)
    run = lambda get, x: {"y": linear(get, x, 2)}  # noqa: E731
    cases.add("AnyModule/module", run, {"x": (3, 4)}, module="AnyModule", of="Linear", units=2)
    run = lambda get, x: {"y": torch.tanh(x)}  # noqa: E731
    cases.add("AnyModule/function", run, {"x": (3, 4)}, module="AnyModule", of="tanh")


# ---------------------------------------------------------------- cells

GATES = {"LSTMCell": 4, "GRUCell": 3, "RNNCell": 1, "PeepholeCell": 4, "LayerNormLSTMCell": 4}
STATES = {cell: ("h",) if cell in ("GRUCell", "RNNCell") else ("h", "c") for cell in GATES}


def torch_parameters(cell, get, inputs, hidden, suffix=""):
    """torch's parameters, those of nn.LSTMCell and so on, or with a suffix those of nn.LSTM."""
    rows = GATES[cell] * hidden
    bias_ih = get("bx" if cell == "GRUCell" else "b", rows)
    bias_hh = get("bh", rows) if cell == "GRUCell" else torch.zeros(rows)
    parameters = {
        "weight_ih": get("Wx", inputs, rows).T, "weight_hh": get("Wh", hidden, rows).T,
        "bias_ih": bias_ih, "bias_hh": bias_hh,
    }  # fmt: skip
    return {name + suffix: value for name, value in parameters.items()}


def torch_cell(cell, get, x, state, nonlinearity="tanh"):
    """One step of nn.LSTMCell, nn.GRUCell or nn.RNNCell."""
    inputs, hidden = x.shape[-1], state[0].shape[-1]
    options = {"nonlinearity": nonlinearity} if cell == "RNNCell" else {}
    module = getattr(torch.nn, cell)(inputs, hidden, **options)
    parameters = torch_parameters(cell, get, inputs, hidden)
    state = functional(module, parameters, x, state if cell == "LSTMCell" else state[0])
    return state if cell == "LSTMCell" else (state,)


def gru_reset_before(get, x, state):
    """Cho et al. 2014: the reset gate acts on h before the product with Un."""
    (h,) = state
    hidden = h.shape[-1]
    xr, xz, xn = (x @ get("Wx", x.shape[-1], 3 * hidden) + get("bx", 3 * hidden)).chunk(3, dim=1)
    ur, uz, un = get("Wh", hidden, 3 * hidden).chunk(3, dim=1)
    r, z = torch.sigmoid(xr + h @ ur), torch.sigmoid(xz + h @ uz)
    n = torch.tanh(xn + (r * h) @ un)
    return ((1 - z) * n + z * h,)


def peephole(get, x, state):
    """Gers and Schmidhuber 2000: i and f also see the old cell state, o the new one."""
    h, c = state
    hidden = h.shape[-1]
    z = x @ get("Wx", x.shape[-1], 4 * hidden) + h @ get("Wh", hidden, 4 * hidden)
    i, f, g, o = (z + get("b", 4 * hidden)).chunk(4, dim=1)
    p = get("p", 3, hidden)
    c = torch.sigmoid(f + p[1] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(g)
    return torch.sigmoid(o + p[2] * c) * torch.tanh(c), c


def layer_norm_lstm(get, x, state):
    """Ba et al. 2016, eq. 20 to 22: both products and the cell state are normalised."""
    h, c = state
    hidden = h.shape[-1]
    z = layer_norm(within(get, "norm_x."), x @ get("Wx", x.shape[-1], 4 * hidden))
    z = z + layer_norm(within(get, "norm_h."), h @ get("Wh", hidden, 4 * hidden))
    i, f, g, o = (z + get("b", 4 * hidden)).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(layer_norm(within(get, "norm_c."), c)), c


def explicit_step(cell, reset_after=True, nonlinearity="tanh"):
    """The step as written above, or None where torch has the whole sequence."""
    if cell == "GRUCell" and not reset_after:
        return gru_reset_before
    return {"PeepholeCell": peephole, "LayerNormLSTMCell": layer_norm_lstm}.get(cell)


VARIANTS = {  # of the cells
    "LSTM": ("LSTMCell", {}),
    "GRU": ("GRUCell", {"reset_after": True}),
    "GRU_reset_before": ("GRUCell", {"reset_after": False}),
    "RNN_tanh": ("RNNCell", {"nonlinearity": "tanh"}),
    "RNN_relu": ("RNNCell", {"nonlinearity": "relu"}),
    "Peephole": ("PeepholeCell", {}),
    "LayerNormLSTM": ("LayerNormLSTMCell", {}),
}


def single_steps(cases):
    for label, (cell, variant) in VARIANTS.items():
        for batch in (1, 3):
            for state in ("zero", "given"):

                def run(get, x, cell=cell, variant=variant, **given):
                    zero = torch.zeros(x.shape[0], 4)
                    before = tuple(given.get(name + "_0", zero) for name in STATES[cell])
                    step = explicit_step(cell, **variant)
                    if step is None:
                        options = {k: v for k, v in variant.items() if k == "nonlinearity"}
                        after = torch_cell(cell, get, x, before, **options)
                    else:
                        after = step(get, x, before)
                    return {name + "_1": value for name, value in zip(STATES[cell], after)}

                inputs = {"x": (batch, 3)}
                if state == "given":
                    inputs.update({name + "_0": (batch, 4) for name in STATES[cell]})
                title = f"{cell}/{label}/B{batch}/{state}"
                cases.add(title, run, inputs, module=cell, hidden=4, **variant)


# ---------------------------------------------------------------- sequences


def reversed_rows(x, lengths=None):
    """Each row of x (T,B,...) from its end to its begin; what is behind the end stays there."""
    if lengths is None:
        return x.flip(0)
    rows = [torch.cat([x[:n, b].flip(0), x[n:, b]]) for b, n in enumerate(lengths)]
    return torch.stack(rows, dim=1)


def recurrent(get, cell, variant, x, hidden, layers=1, bidirectional=False, dropout=0.0,
              reverse=False, lengths=None, h_0=None, c_0=None, training=True):  # fmt: skip
    """All outputs and the last states (layers * directions,B,H), as nn.LSTM has them."""
    if reverse:  # torch has no such direction alone
        output, last = recurrent(
            lambda name, *shape: get(name.replace(".", "_reverse.", 1), *shape),
            cell, variant, reversed_rows(x, lengths), hidden, layers, dropout=dropout,
            lengths=lengths, h_0=h_0, c_0=c_0, training=training,
        )  # fmt: skip
        return reversed_rows(output, lengths), last
    directions = 2 if bidirectional else 1
    zero = torch.zeros(layers * directions, x.shape[1], hidden)
    state = [zero if s is None else s for s in (h_0, c_0)[: len(STATES[cell])]]
    names = [f"layer{k}" + s + "." for k in range(layers) for s in ("", "_reverse")[:directions]]

    step = explicit_step(cell, **variant)
    if step is not None:
        assert dropout == 0 or not training
        pairs = [
            (lambda x, s, g=within(get, name): step(g, x, s), tuple(part[i] for part in state))
            for i, name in enumerate(names)
        ]
        rows = [pairs[i : i + directions] for i in range(0, len(pairs), directions)]
        output, last = unroll(rows, x, lengths)
        return output, [torch.stack(parts) for parts in zip(*last)]

    parameters = {}
    for i, name in enumerate(names):
        inputs = x.shape[2] if i < directions else directions * hidden
        suffix = f"_l{i // directions}" + ("_reverse" if name.endswith("_reverse.") else "")
        parameters.update(torch_parameters(cell, within(get, name), inputs, hidden, suffix))
    options = {"nonlinearity": variant["nonlinearity"]} if cell == "RNNCell" else {}
    module = getattr(torch.nn, cell[: -len("Cell")])(
        x.shape[2], hidden, layers, bidirectional=bidirectional, dropout=dropout, **options
    ).train(training)
    given = tuple(state) if cell == "LSTMCell" else state[0]
    if lengths is None:
        output, last = functional(module, parameters, x, given)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, last = functional(module, parameters, packed, given)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=x.shape[0])
    return output, list(last) if cell == "LSTMCell" else [last]


SEQUENCES = {  # label: (steps, batch, whether a state is given, options)
    "one_step": (1, 1, False, {"layers": 2, "bidirectional": True}),
    "one_row": (4, 1, True, {"layers": 2}),
    "long": (50, 1, True, {}),
    "three_layers": (2, 2, True, {"layers": 3}),
    "ragged": (4, 3, False, {"lengths": [1, 4, 2]}),
    "ragged_ended": (4, 2, True, {"lengths": [2, 3], "bidirectional": True}),
    "dropout": (3, 2, True, {"layers": 2, "dropout": 0.5, "training": False}),
    "reverse": (3, 2, False, {"layers": 2, "reverse": True}),
    "reverse_ragged": (4, 3, True, {"lengths": [1, 4, 2], "reverse": True}),
}
RAGGED_LAYERS = (4, 2, True, {"lengths": [4, 2], "layers": 2, "bidirectional": True})


def sequences(cases):
    def add(label, cell, variant, title, inputs, hidden, options):
        def run(get, x, **given):
            output, last = recurrent(get, cell, variant, x, hidden, **options, **given)
            return {"output": output, **dict(zip((s + "_n" for s in STATES[cell]), last))}

        # nn::LSTM, nn::GRU and nn::RNN, or any cell in nn::Recurrent.
        custom = cell in ("PeepholeCell", "LayerNormLSTMCell")
        module = "Recurrent" if custom else cell[: -len("Cell")]
        recorded = {"layers": 1, "bidirectional": False, "dropout": 0.0, "reverse": False, **options}
        cases.add(
            f"{module}/{label}/{title}", run, inputs,
            module=module, cell=cell, hidden=hidden, **variant, **recorded,
        )  # fmt: skip

    for label, (cell, variant) in VARIANTS.items():
        # recurrent.json has ragged layers of what torch has.
        more = {"ragged_layers": RAGGED_LAYERS} if explicit_step(cell, **variant) else {}
        for title, (steps, batch, given, options) in {**SEQUENCES, **more}.items():
            states = options.get("layers", 1) * (2 if options.get("bidirectional") else 1)
            inputs = {"x": (steps, batch, 2)}
            if given:
                inputs.update({name + "_0": (states, batch, 3) for name in STATES[cell]})
            add(label, cell, variant, title, inputs, 3, options)
    # Wider than the vectors of the processor, and no multiple of them.
    add("LSTM", "LSTMCell", {}, "wide", {"x": (3, 5, 3)}, 9, {})


# ---------------------------------------------------------------- nn::Sequential

KINDS = {"Dense": "dense", "Dropout": "dropout", "LayerNorm": "layer_norm",
         "Embedding": "embedding", "Flatten": "flatten", "LSTM": "lstm", "GRU": "gru",
         "RNN": "rnn", "Recurrent": "recurrent", "Linear": "module", "Sequential": "module",
         "function": "function"}  # fmt: skip


def run_layer(get, layer, x, training, **options):
    if layer == "Dense":
        return ACTIVATIONS[options["activation"]](linear(get, x, options["units"]))
    if layer == "Linear":
        return linear(get, x, options["units"])
    if layer == "Dropout":
        return dropout(x, options["p"], training)
    if layer == "LayerNorm":
        return layer_norm(get, x)
    if layer == "Embedding":
        return embedding(get, x.long(), options["vocabulary"], options["width"])
    if layer == "Flatten":
        return torch.nn.Flatten()(x)
    if layer == "function":
        return ACTIVATIONS[options["activation"]](x)
    if layer == "Sequential":
        return run_stack(get, options["stack"], x, training)
    cell = options.get("cell", layer + "Cell")
    variant = {k: v for k, v in options.items() if k in ("reset_after", "nonlinearity")}
    if cell == "RNNCell":
        variant.setdefault("nonlinearity", "tanh")
    known = ("layers", "bidirectional", "dropout", "reverse")
    parts = {k: options[k] for k in known if k in options}
    x = x.transpose(0, 1)
    output, last = recurrent(get, cell, variant, x, options["units"], training=training, **parts)
    if options.get("return_sequences"):
        return output.transpose(0, 1)
    h = last[0]
    return torch.cat([h[-2], h[-1]], dim=1) if options.get("bidirectional") else h[-1]


def run_stack(get, stack, x, training):
    for i, spec in enumerate(stack):
        scope = within(get, f"{KINDS[spec['layer']]}_{i}.")
        x = run_layer(scope, x=x, training=training, **spec)
    return x


def layer(name, **options):
    return {"layer": name, **options}


def sequentials(cases):
    def add(label, shape, *stack, training=False):
        run = lambda get, x: {"y": run_stack(get, stack, x, training)}  # noqa: E731
        cases.add(f"Sequential/{label}", run, {"x": shape}, module="Sequential",
                  training=training, stack=list(stack))  # fmt: skip

    for activation in ACTIVATIONS:
        for label, shape in (("2d", (3, 4)), ("3d", (2, 3, 4)), ("row", (1, 4))):
            dense = layer("Dense", units=3, activation=activation)
            add(f"Dense/{activation}/{label}", shape, dense)
    variants = {
        "LSTM": layer("LSTM", units=2),
        "GRU": layer("GRU", units=2, reset_after=True),
        "GRU_reset_before": layer("GRU", units=2, reset_after=False),
        "RNN_tanh": layer("RNN", units=2, nonlinearity="tanh"),
        "RNN_relu": layer("RNN", units=2, nonlinearity="relu"),
        "Peephole": layer("Recurrent", cell="PeepholeCell", units=2),
    }
    for label, base in variants.items():
        for all_steps in (False, True):
            for both in (False, True):
                options = {"return_sequences": all_steps, "bidirectional": both, "layers": 1,
                           "dropout": 0.0}  # fmt: skip
                title = ("all" if all_steps else "last") + ("/bidirectional" if both else "")
                add(f"{label}/{title}", (2, 3, 2), {**base, **options})
        deep = {**base, "return_sequences": True, "bidirectional": False, "layers": 2,
                "dropout": 0.4, "reverse": False}  # fmt: skip
        add(f"{label}/deep", (2, 3, 2), deep)
        for all_steps in (False, True) if label == "LSTM" else ():
            title = "all" if all_steps else "last"
            back = {**base, "return_sequences": all_steps, "layers": 2, "reverse": True}
            add(f"{label}/{title}/reverse", (2, 3, 2), back)
        add(f"{label}/one", (1, 1, 1), base)
    words = Draw("words")(2, 4, low=0, high=6).floor().long()
    add("Embedding", words, layer("Embedding", vocabulary=6, width=3))
    add("Flatten", (2, 3, 2), layer("Flatten"))
    add("Flatten/4d", (2, 3, 1, 2), layer("Flatten"), layer("Dense", units=2, activation="tanh"))
    add("LayerNorm", (2, 3, 4), layer("LayerNorm"))
    add("Dropout", (2, 3, 4), layer("Dropout", p=0.5))
    add("Dropout/training", (2, 3, 4), layer("Dropout", p=0.0), training=True)
    add("function", (3, 4), layer("function", activation="gelu"))
    add("module", (3, 4), layer("Linear", units=2))
    head = layer("Dense", units=1, activation="linear")
    add("forecast", (2, 50, 1), layer("LSTM", units=3, return_sequences=True),
        layer("LSTM", units=2), head)  # fmt: skip
    add("text", words, layer("Embedding", vocabulary=6, width=3),
        layer("LSTM", units=3, return_sequences=True), layer("LayerNorm"),
        layer("GRU", units=3, reset_after=True, return_sequences=True, bidirectional=True),
        layer("Dropout", p=0.3), layer("Dense", units=6, activation="softmax"))  # fmt: skip
    add("perceptron", (3, 2, 2), layer("Flatten"), layer("Dense", units=5, activation="gelu"),
        layer("LayerNorm"), layer("Dense", units=3, activation="sigmoid"))  # fmt: skip
    inner = [layer("Dense", units=3, activation="tanh"), layer("RNN", units=2)]
    add("nested", (2, 3, 2), layer("LSTM", units=2, return_sequences=True),
        layer("Sequential", stack=inner), head)  # fmt: skip


# ---------------------------------------------------------------- modules.json


def check_loops():
    """The loop that unrolls a cell must be torch's own LSTM where the cell is."""
    x, h_0, c_0 = Draw("loop")(5, 3, 2), Draw("h")(4, 3, 3), Draw("c")(4, 3, 3)
    known = {}

    def get(name, *shape):
        return known.setdefault(name, Draw(name)(*shape))

    def without_peepholes(cell_get, x, state):
        def zero(name, *shape):
            return torch.zeros(shape) if name == "p" else cell_get(name, *shape)

        return peephole(zero, x, state)

    names = ["layer0.", "layer0_reverse.", "layer1.", "layer1_reverse."]
    pairs = [
        (lambda x, s, g=within(get, name): without_peepholes(g, x, s), (h_0[i], c_0[i]))
        for i, name in enumerate(names)
    ]
    options = {"layers": 2, "bidirectional": True, "lengths": [5, 2, 3], "h_0": h_0, "c_0": c_0}
    output, last = recurrent(get, "LSTMCell", {}, x, 3, **options)
    mine, mine_last = unroll([pairs[:2], pairs[2:]], x, [5, 2, 3])
    torch.testing.assert_close(mine, output, rtol=0, atol=1e-14)
    for part, value in zip(zip(*mine_last), last):
        torch.testing.assert_close(torch.stack(part), value, rtol=0, atol=1e-14)


def modules():
    check_loops()
    cases = Cases()
    stateless(cases)
    single_steps(cases)
    sequences(cases)
    sequentials(cases)
    return cases
