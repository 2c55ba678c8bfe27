"""The built-in model's towers as torch modules: what the ONNX graphs are checked against.

Responsible for the arithmetic in torch (also used to train the head) and for laying the same
arithmetic out as ONNX through builtin_graph.py. Imports torch, so only the child process that makes
models, and training, may import it. Where the weights come from is builtin.py's business.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgqd.models import builtin_graph as nodes
from imgqd.models.builtin_graph import Graph, Weights

SIDE = 260
MEAN = 127.0
STD = 128.0
LAYERS = 6
HEADS = 12
EPSILON = 1e-12


class BertLayer(nn.Module):
    """One post-norm transformer layer, named as BERT checkpoints name it."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(
                    {k: nn.Linear(width, width) for k in ("query", "key", "value")}
                ),
                "output": nn.ModuleDict(
                    {"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, EPSILON)}
                ),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(inner, width), "LayerNorm": nn.LayerNorm(width, EPSILON)}
        )

    def forward(self, source: Tensor, mask: Tensor) -> Tensor:
        """`source` (n, length, width), `mask` (n, length) true for tokens -> as `source`."""
        part: Any = self.attention["self"]
        query, key, value = (
            part[name](source).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None]
        )
        out: Any = self.attention["output"]
        attended = out["LayerNorm"](source + out["dense"](mixed.transpose(1, 2).flatten(2)))
        inner = functional.gelu(self.intermediate["dense"](attended))
        result: Tensor = self.output["LayerNorm"](attended + self.output["dense"](inner))
        return result


class MiniLM(nn.Module):
    """all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019) up to its last layer."""

    def __init__(self, width: int = 384, inner: int = 1536, words: int = 30522) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(words, width),
                "position_embeddings": nn.Embedding(512, width),
                "token_type_embeddings": nn.Embedding(2, width),
                "LayerNorm": nn.LayerNorm(width, EPSILON),
            }
        )
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(BertLayer(width, inner) for _ in range(LAYERS))}
        )

    def embedded(self, tokens: Tensor) -> Tensor:
        """Token ids (n, length) -> what the first layer reads, (n, length, width)."""
        table: Any = self.embeddings
        places = table["position_embeddings"].weight[: tokens.shape[1]]
        segment = table["token_type_embeddings"].weight[0]
        result: Tensor = table["LayerNorm"](table["word_embeddings"](tokens) + places + segment)
        return result

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (n, length), 0 is padding -> the tokens' vectors after the last layer."""
        hidden = self.embedded(tokens)
        layers: Any = self.encoder["layer"]
        for layer in layers:
            hidden = layer(hidden, tokens != 0)
        return hidden


def token_mean(hidden: Tensor, tokens: Tensor) -> Tensor:
    """Mean over the tokens that are not padding: (n, length, width) -> (n, width)."""
    weights = (tokens != 0)[..., None].float()
    return (hidden * weights).sum(1) / weights.sum(1)


class TextTower(nn.Module):
    """Token ids (n, length) -> unit vectors in the joint space."""

    def __init__(self, minilm: MiniLM) -> None:
        super().__init__()
        self.minilm = minilm

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.normalize(token_mean(self.minilm(tokens), tokens), dim=1)


class ConSE(nn.Module):
    """The likeliest classes' name embeddings, weighted with their probabilities.

    Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014.
    """

    def __init__(self, names: Tensor, classes: int = 20) -> None:
        super().__init__()
        self.register_buffer("names", names)
        self.classes = classes

    def forward(self, logits: Tensor) -> Tensor:
        """Class logits (n, 1000) -> unit vectors (n, 384)."""
        shares = logits.softmax(1)
        least = shares.topk(self.classes, dim=1).values[:, -1:]
        names: Any = self.names
        return functional.normalize(torch.where(shares >= least, shares, 0.0) @ names, dim=1)


class ImageTower(nn.Module):
    """uint8 pixels (n, 260, 260, 3) -> unit vectors in the joint space."""

    def __init__(self, backbone: nn.Module, conse: ConSE) -> None:
        super().__init__()
        self.backbone = backbone
        self.conse = conse

    def forward(self, pixels: Tensor) -> Tensor:
        planes = (pixels.permute(0, 3, 1, 2).float() - MEAN) / STD
        vectors: Tensor = self.conse(self.backbone(planes).float())
        return vectors


def weights_of(module: nn.Module) -> Weights:
    """A module's state as arrays."""
    return {name: value.numpy() for name, value in module.state_dict().items()}


def efficientnet(graph: Graph, model: Any, source: str) -> str:
    """timm's EfficientNet-Lite up to its pooled features: (n, 3, side, side) -> (n, 1280)."""

    def conv(inner: str, layer: Any, norm: Any) -> str:
        weights: Weights = weights_of(norm) | {"eps": np.array(norm.eps)}
        return nodes.convolution(
            graph, inner, layer.weight.detach().numpy(), weights,
            stride=layer.stride[0], groups=layer.groups,
        )  # fmt: skip

    hidden = nodes.relu6(graph, conv(source, model.conv_stem, model.bn1))
    for block in (block for stage in model.blocks for block in stage):
        shortcut = hidden
        if hasattr(block, "conv_pwl"):
            hidden = nodes.relu6(graph, conv(hidden, block.conv_pw, block.bn1))
            hidden = nodes.relu6(graph, conv(hidden, block.conv_dw, block.bn2))
            hidden = conv(hidden, block.conv_pwl, block.bn3)
        else:
            hidden = nodes.relu6(graph, conv(hidden, block.conv_dw, block.bn1))
            hidden = conv(hidden, block.conv_pw, block.bn2)
        if block.has_skip:
            hidden = graph.add("Add", hidden, shortcut)
    hidden = nodes.relu6(graph, conv(hidden, model.conv_head, model.bn2))
    return graph.add("ReduceMean", hidden, axes=[2, 3], keepdims=0)


def conse(graph: Graph, tower: ConSE, logits: str) -> str:
    """As ConSE.forward."""
    shares = graph.add("Softmax", logits, axis=1)
    best = graph.add("TopK", shares, graph.integers(tower.classes), outputs=2, axis=1)
    last = graph.integers(tower.classes - 1)
    least = graph.add("Gather", best, last, axis=1)
    kept = graph.add("Where", graph.add("GreaterOrEqual", shares, least), shares, graph.floats(0.0))
    names: Any = tower.names
    return graph.normalised(graph.add("MatMul", kept, graph.constant(names.numpy())))


def image_graph(tower: ImageTower) -> onnx.ModelProto:
    """The image tower as ONNX: `pixels` -> `vectors`."""
    graph = Graph()
    backbone: Any = tower.backbone
    features = efficientnet(graph, backbone, nodes.standardised_pixels(graph, MEAN, STD))
    classifier = weights_of(backbone.classifier)
    logits = graph.linear(features, classifier["weight"], classifier["bias"])
    vectors = conse(graph, tower.conse, logits)
    names: Any = tower.conse.names
    return graph.model([nodes.pixels_input(SIDE)], vectors, int(names.shape[1]))


def text_graph(tower: TextTower) -> onnx.ModelProto:
    """The text tower as ONNX: `tokens` -> `vectors`."""
    graph = Graph()
    weights = weights_of(tower.minilm)
    hidden = nodes.bert_embeddings(graph, weights, EPSILON)
    mask = nodes.token_mask(graph)
    bias = nodes.attention_bias(graph, mask)
    for layer in range(LAYERS):
        hidden = nodes.bert_layer(
            graph, hidden, bias, weights, f"encoder.layer.{layer}", HEADS, EPSILON
        )
    vectors = graph.normalised(nodes.token_mean(graph, hidden, mask))
    width = weights["embeddings.LayerNorm.weight"].shape[0]
    return graph.model([nodes.tokens_input()], vectors, width)
