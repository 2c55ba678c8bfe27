"""Writes the built-in model's two towers as ONNX graphs, straight from their weights.

Responsible for the graphs only: which weights there are, where they come from and whether the
result agrees with torch is builtin.py's business. Written out node by node because torch's exporter
takes longer than everything else together, and a person waits for this model.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
Weights = dict[str, Array]

OPSET = 17
# IR version 8 goes with opset 17: every onnxruntime that imgq accepts reads it.
IR_VERSION = 8


class Graph:
    """Collects nodes and constants; every method that adds something returns its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Array) -> str:
        """Stores an array as it is, dtype included."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, *values: float) -> str:
        """A float32 constant: a scalar for one value, a vector for several."""
        array = np.array(values, np.float32)
        return self.constant(array[0] if len(values) == 1 else array)

    def integers(self, *values: int) -> str:
        """An int64 vector, as shapes, axes and slice bounds want them."""
        return self.constant(np.array(values, np.int64))

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Adds one node; with several outputs the name of the first (others end in _1, _2, ...)."""
        name = f"n{len(self.nodes)}"
        names = [name] + [f"{name}_{i}" for i in range(1, outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return name

    def linear(self, source: str, weight: Array, bias: Array | None) -> str:
        """x @ weight.T + bias, weight as torch keeps it: (out, in)."""
        product = self.add("MatMul", source, self.constant(weight.T.astype(np.float32)))
        if bias is None:
            return product
        return self.add("Add", product, self.constant(bias.astype(np.float32)))

    def normalised(self, source: str) -> str:
        """Rows divided by their Euclidean length."""
        length = self.add("ReduceL2", source, axes=[-1], keepdims=1)
        return self.add("Div", source, self.add("Max", length, self.floats(1e-12)))

    def model(self, inputs: list[onnx.ValueInfoProto], result: str, dim: int) -> onnx.ModelProto:
        """The finished model; `result` becomes the output `vectors`, (n, dim) float32."""
        self.nodes.append(helper.make_node("Identity", [result], ["vectors"]))
        output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", dim])
        graph = helper.make_graph(self.nodes, "imgq", inputs, [output], self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="imgq"
        )
        model.ir_version = IR_VERSION
        return model


def convolution(
    graph: Graph, source: str, weight: Array, norm: Weights, *, stride: int, groups: int
) -> str:
    """A convolution with its batch normalisation folded in.

    TensorFlow's padding (as the weights were trained with) puts the odd pixel last: SAME_UPPER.
    """
    scale = norm["weight"] / np.sqrt(norm["running_var"] + norm["eps"])
    folded = (weight * scale[:, None, None, None]).astype(np.float32)
    bias = (norm["bias"] - norm["running_mean"] * scale).astype(np.float32)
    return graph.add(
        "Conv",
        source,
        graph.constant(folded),
        graph.constant(bias),
        auto_pad="SAME_UPPER",
        strides=[stride, stride],
        group=groups,
        kernel_shape=list(weight.shape[2:]),
    )


def relu6(graph: Graph, source: str) -> str:
    """min(max(x, 0), 6), which onnxruntime fuses into the convolution before it."""
    return graph.add("Clip", source, graph.floats(0.0), graph.floats(6.0))


def pixels_input(side: int) -> onnx.ValueInfoProto:
    """uint8 pixels, (n, side, side, 3), red green blue."""
    return helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", side, side, 3])


def tokens_input() -> onnx.ValueInfoProto:
    """int64 token ids, (n, length); 0 is padding."""
    return helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "length"])


def token_mask(graph: Graph) -> str:
    """1.0 for a token, 0.0 for padding: (n, length)."""
    absent = graph.add("Equal", "tokens", graph.constant(np.array(0, np.int64)))
    return graph.add("Cast", graph.add("Not", absent), to=TensorProto.FLOAT)


def standardised_pixels(graph: Graph, mean: float, std: float) -> str:
    """(n, side, side, 3) bytes -> (n, 3, side, side) floats, (value - mean) / std."""
    values = graph.add("Cast", "pixels", to=TensorProto.FLOAT)
    planes = graph.add("Transpose", values, perm=[0, 3, 1, 2])
    return graph.add("Div", graph.add("Sub", planes, graph.floats(mean)), graph.floats(std))


def layer_norm(graph: Graph, source: str, weights: Weights, name: str, epsilon: float) -> str:
    return graph.add(
        "LayerNormalization",
        source,
        graph.constant(weights[f"{name}.weight"]),
        graph.constant(weights[f"{name}.bias"]),
        axis=-1,
        epsilon=epsilon,
    )


def bert_embeddings(graph: Graph, weights: Weights, epsilon: float) -> str:
    """Sum of word, position and segment embeddings, normalised: (n, length, width)."""
    table = graph.constant(weights["embeddings.word_embeddings.weight"])
    words = graph.add("Gather", table, "tokens")
    # Every token is of the first segment, so its embedding is part of the position's.
    places = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][:1]
    )
    length = graph.add("Slice", graph.add("Shape", "tokens"), graph.integers(1), graph.integers(2))
    positions = graph.add("Slice", graph.constant(places), graph.integers(0), length)
    return layer_norm(
        graph, graph.add("Add", words, positions), weights, "embeddings.LayerNorm", epsilon
    )


def attention_bias(graph: Graph, mask: str) -> str:
    """0 for tokens and a large negative number for padding: (n, 1, 1, length)."""
    absent = graph.add("Sub", graph.floats(1.0), mask)
    return graph.add(
        "Unsqueeze", graph.add("Mul", absent, graph.floats(-1e9)), graph.integers(1, 2)
    )


def bert_layer(
    graph: Graph, source: str, bias: str, weights: Weights, prefix: str, heads: int, epsilon: float
) -> str:
    """One post-norm transformer layer as in BERT: attention, then the feed-forward network."""
    width = weights[f"{prefix}.attention.self.query.weight"].shape[0]
    split = graph.integers(0, 0, heads, width // heads)

    def projected(part: str, order: list[int]) -> str:
        name = f"{prefix}.attention.self.{part}"
        flat = graph.linear(source, weights[f"{name}.weight"], weights[f"{name}.bias"])
        return graph.add("Transpose", graph.add("Reshape", flat, split), perm=order)

    query = projected("query", [0, 2, 1, 3])
    key = projected("key", [0, 2, 3, 1])
    value = projected("value", [0, 2, 1, 3])
    scores = graph.add(
        "Mul", graph.add("MatMul", query, key), graph.floats(float((width // heads) ** -0.5))
    )
    shares = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", mixed, graph.integers(0, 0, width))

    def dense(name: str, inner: str) -> str:
        return graph.linear(
            inner, weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"]
        )

    attended = layer_norm(
        graph,
        graph.add("Add", source, dense("attention.output.dense", joined)),
        weights,
        f"{prefix}.attention.output.LayerNorm",
        epsilon,
    )
    hidden = dense("intermediate.dense", attended)
    error = graph.add("Erf", graph.add("Div", hidden, graph.floats(float(np.sqrt(2.0)))))
    gelu = graph.add(
        "Mul",
        graph.add("Mul", hidden, graph.add("Add", error, graph.floats(1.0))),
        graph.floats(0.5),
    )
    return layer_norm(
        graph,
        graph.add("Add", attended, dense("output.dense", gelu)),
        weights,
        f"{prefix}.output.LayerNorm",
        epsilon,
    )


def token_mean(graph: Graph, source: str, mask: str) -> str:
    """Mean over the tokens that are not padding: (n, length, width) -> (n, width)."""
    wide = graph.add("Unsqueeze", mask, graph.integers(2))
    total = graph.add("ReduceSum", graph.add("Mul", source, wide), graph.integers(1), keepdims=0)
    return graph.add("Div", total, graph.add("ReduceSum", wide, graph.integers(1), keepdims=0))


def token_maximum(graph: Graph, source: str, mask: str) -> str:
    """Largest value over the tokens that are not padding: (n, length, width) -> (n, width)."""
    absent = graph.add("Mul", graph.add("Sub", graph.floats(1.0), mask), graph.floats(-1e9))
    lowered = graph.add("Add", source, graph.add("Unsqueeze", absent, graph.integers(2)))
    return graph.add("ReduceMax", lowered, axes=[1], keepdims=0)


def save(model: onnx.ModelProto, path: str) -> None:
    """Writes a model, its large tensors beside it in `path`.data, as torch's exporter does.

    Tables that lie outside can be mapped into memory instead of being read.
    """
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=os.path.basename(path) + ".data",
        size_threshold=1 << 16,
    )
