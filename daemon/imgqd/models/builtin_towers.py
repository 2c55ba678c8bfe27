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
WIDTH = 384
MIDDLE = 4
STAGES = (1, 2, 3, 4, 5)
"""EfficientNet stages whose channels the head reads, each as mean and maximum over the picture."""
STAGE_CHANNELS = 2 * (24 + 48 + 88 + 120 + 208)
WIDENED = (5, 6)
"""Stages whose last block's inner channels the head reads too, as means: six times as many."""
WIDENED_CHANNELS = 1248 + 1248
POOLED = 1280
IMAGE_FEATURES = POOLED + STAGE_CHANNELS + WIDENED_CHANNELS + WIDTH
TEXT_FEATURES = 3 * WIDTH
CROWD = 512
NEIGHBOURS = 5
GUARD = 0.5
LIMIT = 0.2


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

    def __init__(self, width: int = WIDTH, inner: int = 1536, words: int = 30522) -> None:
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

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (n, length), 0 is padding -> the tokens' vectors (n, length, width) after
        layer MIDDLE and after the last."""
        hidden = middle = self.embedded(tokens)
        layers: Any = self.encoder["layer"]
        for number, layer in enumerate(layers, 1):
            hidden = layer(hidden, tokens != 0)
            if number == MIDDLE:
                middle = hidden
        return middle, hidden


def token_mean(hidden: Tensor, tokens: Tensor) -> Tensor:
    """Mean over the tokens that are not padding: (n, length, width) -> (n, width)."""
    weights = (tokens != 0)[..., None].float()
    return (hidden * weights).sum(1) / weights.sum(1)


def text_features(minilm: MiniLM, tokens: Tensor) -> Tensor:
    """What the head reads of a text, (n, TEXT_FEATURES): the sentence embedding (mean of the last
    layer), then mean and maximum of layer MIDDLE, which still knows single words."""
    middle, last = minilm(tokens)
    absent = (tokens == 0)[..., None]
    most = middle.masked_fill(absent, float("-inf")).amax(1)
    return torch.cat([token_mean(last, tokens), token_mean(middle, tokens), most], dim=1)


class Head(nn.Module):
    """Our trained part: two linear maps from fixed features into one space of `dim` dimensions.

    A vector is the head's and ConSE's side by side, so a score is a weighted mean of both cosines.
    How much is the head's: `image_share` of a picture's vector, `scene_share` of a text's, falling
    to `thing_share` as the text comes close to the name of one of ConSE's classes, which ConSE
    knows better (its likeness to the closest name goes from `likeness[0]` to `likeness[1]`).

    Two numbers more lower the score of pictures that are close to everything: the head's mean
    cosine with the closest of `crowd`, which are texts of all kinds, counts against a picture
    (Conneau et al., "Word Translation Without Parallel Data", ICLR 2018: CSLS). `crowding` is how
    much, `usual` what is ordinary.
    """

    image_share: Tensor
    scene_share: Tensor
    thing_share: Tensor
    likeness: Tensor
    crowd: Tensor
    crowding: Tensor
    usual: Tensor

    def __init__(self, dim: int, crowd: int = CROWD) -> None:
        super().__init__()
        self.image = nn.Linear(IMAGE_FEATURES, dim)
        self.text = nn.Linear(TEXT_FEATURES, dim)
        for name in ("image_share", "scene_share", "thing_share"):
            self.register_buffer(name, torch.tensor(0.5))
        self.register_buffer("likeness", torch.tensor([0.6, 0.8]))
        self.register_buffer("crowd", torch.zeros(crowd, dim))
        self.register_buffer("crowding", torch.tensor(0.0))
        self.register_buffer("usual", torch.tensor(0.0))

    def pictures(self, features: Tensor, conse: Tensor) -> Tensor:
        """Unit vectors (n, dim + WIDTH + 2) of pictures, from their features and ConSE vectors."""
        ours = functional.normalize(self.image(features), dim=1)
        excess = self.crowding * (self.closeness(ours) - self.usual) / GUARD
        against = (-excess).clamp(-LIMIT, LIMIT)
        # The last number makes all pictures' vectors equally long.
        rest = (LIMIT**2 - against**2).clamp(min=0).sqrt()
        parts = [ours, against, rest]
        scaled = torch.cat([part * self.image_share.sqrt() for part in parts], dim=1)
        both = torch.cat([scaled, conse * (1 - self.image_share).sqrt()], dim=1)
        return functional.normalize(both, dim=1)

    def closeness(self, ours: Tensor) -> Tensor:
        """Mean cosine with the NEIGHBOURS closest of the crowd, (n, 1), of unit vectors."""
        return (ours @ self.crowd.T).topk(NEIGHBOURS, dim=1).values.mean(1, keepdim=True)

    def texts(self, features: Tensor, sentence: Tensor, names: Tensor) -> Tensor:
        """Unit vectors of texts, from their features and unit sentence embeddings."""
        share = self.text_share(sentence, names)
        ours = functional.normalize(self.text(features), dim=1)
        ours = functional.pad(functional.pad(ours, (0, 1), value=GUARD), (0, 1))
        both = torch.cat([ours * share.sqrt(), sentence * (1 - share).sqrt()], dim=1)
        return functional.normalize(both, dim=1)

    def text_share(self, sentence: Tensor, names: Tensor) -> Tensor:
        """The head's share of each text's vector, (n, 1), from unit sentence embeddings."""
        low, high = self.likeness
        closest = (sentence @ names.T).amax(1, keepdim=True)
        thing = ((closest - low) / (high - low)).clamp(0, 1)
        share: Tensor = self.scene_share + thing * (self.thing_share - self.scene_share)
        return share

    @property
    def width(self) -> int:
        """Dimensions of the vectors."""
        return self.image.out_features + WIDTH + 2


class ConSE(nn.Module):
    """The likeliest classes' name embeddings, weighted with their probabilities.

    Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014.
    """

    def __init__(self, names: Tensor, classes: int = 20) -> None:
        super().__init__()
        self.names: Tensor
        self.register_buffer("names", names)
        self.classes = classes

    def forward(self, logits: Tensor) -> Tensor:
        """Class logits (n, 1000) -> unit vectors (n, 384)."""
        shares = logits.softmax(1)
        least = shares.topk(self.classes, dim=1).values[:, -1:]
        return functional.normalize(torch.where(shares >= least, shares, 0.0) @ self.names, dim=1)


class TextTower(nn.Module):
    """Token ids (n, length) -> unit vectors in the joint space."""

    def __init__(self, minilm: MiniLM, conse: ConSE, head: Head | None = None) -> None:
        super().__init__()
        self.minilm = minilm
        self.conse = conse
        self.head = head

    def forward(self, tokens: Tensor) -> Tensor:
        features = text_features(self.minilm, tokens)
        sentence = functional.normalize(features[:, :WIDTH], dim=1)
        if self.head is None:
            return sentence
        return self.head.texts(features, sentence, self.conse.names)


class ImageTower(nn.Module):
    """uint8 pixels (n, 260, 260, 3) -> unit vectors in the joint space."""

    def __init__(self, backbone: nn.Module, conse: ConSE, head: Head | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.conse = conse
        self.head = head

    def features(self, pixels: Tensor) -> Tensor:
        """What the head reads of a picture, (n, IMAGE_FEATURES): the pooled features, mean and
        maximum of earlier stages, means inside the last blocks, the ConSE vector."""
        net: Any = self.backbone
        hidden = net.bn1(net.conv_stem((pixels.permute(0, 3, 1, 2).float() - MEAN) / STD))
        stages, widened = [], []
        for number, stage in enumerate(net.blocks):
            before = stage[:-1](hidden)
            hidden = stage[-1](before)
            if number in WIDENED:
                last = stage[-1]
                inner = last.bn2(last.conv_dw(last.bn1(last.conv_pw(before))))
                widened.append(inner.mean((2, 3)))
            if number in STAGES:
                stages += [hidden.mean((2, 3)), hidden.amax((2, 3))]
        pooled = net.bn2(net.conv_head(hidden)).mean((2, 3))
        conse = self.conse(net.classifier(pooled).float())
        return torch.cat([pooled, *stages, *widened, conse], dim=1).float()

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.features(pixels)
        conse = features[:, -WIDTH:]
        if self.head is None:
            return conse
        return self.head.pictures(features, conse)


def weights_of(module: nn.Module) -> Weights:
    """A module's state as arrays."""
    return {name: value.numpy() for name, value in module.state_dict().items()}


def efficientnet(graph: Graph, model: Any, source: str) -> tuple[str, list[str]]:
    """timm's EfficientNet-Lite: (n, 3, side, side) -> its pooled features, and those of stages and
    the last blocks' insides in the order in which the head reads them."""

    def conv(inner: str, layer: Any, norm: Any) -> str:
        weights: Weights = weights_of(norm) | {"eps": np.array(norm.eps)}
        return nodes.convolution(
            graph, inner, layer.weight.detach().numpy(), weights,
            stride=layer.stride[0], groups=layer.groups,
        )  # fmt: skip

    hidden = nodes.relu6(graph, conv(source, model.conv_stem, model.bn1))
    stages, widened = [], []
    for number, stage in enumerate(model.blocks):
        for block in stage:
            shortcut = hidden
            if hasattr(block, "conv_pwl"):
                hidden = nodes.relu6(graph, conv(hidden, block.conv_pw, block.bn1))
                hidden = nodes.relu6(graph, conv(hidden, block.conv_dw, block.bn2))
                if number in WIDENED and block is stage[-1]:
                    widened.append(graph.add("ReduceMean", hidden, axes=[2, 3], keepdims=0))
                hidden = conv(hidden, block.conv_pwl, block.bn3)
            else:
                hidden = nodes.relu6(graph, conv(hidden, block.conv_dw, block.bn1))
                hidden = conv(hidden, block.conv_pw, block.bn2)
            if block.has_skip:
                hidden = graph.add("Add", hidden, shortcut)
        if number in STAGES:
            stages.append(graph.add("ReduceMean", hidden, axes=[2, 3], keepdims=0))
            stages.append(graph.add("ReduceMax", hidden, axes=[2, 3], keepdims=0))
    hidden = nodes.relu6(graph, conv(hidden, model.conv_head, model.bn2))
    return graph.add("ReduceMean", hidden, axes=[2, 3], keepdims=0), stages + widened


def conse_nodes(graph: Graph, tower: ConSE, logits: str) -> str:
    """As ConSE.forward."""
    shares = graph.add("Softmax", logits, axis=1)
    best = graph.add("TopK", shares, graph.integers(tower.classes), outputs=2, axis=1)
    last = graph.integers(tower.classes - 1)
    least = graph.add("Gather", best, last, axis=1)
    kept = graph.add("Where", graph.add("GreaterOrEqual", shares, least), shares, graph.floats(0.0))
    return graph.normalised(graph.add("MatMul", kept, graph.constant(tower.names.numpy())))


def mapped(graph: Graph, layer: nn.Linear, features: str) -> str:
    """What a linear layer makes of the features, as unit vectors."""
    weights = weights_of(layer)
    return graph.normalised(graph.linear(features, weights["weight"], weights["bias"]))


def picture_nodes(graph: Graph, head: Head, features: str, conse: str) -> str:
    """As Head.pictures."""
    ours = mapped(graph, head.image, features)
    products = graph.add("MatMul", ours, graph.constant(head.crowd.T.numpy()))
    nearest = graph.add("TopK", products, graph.integers(NEIGHBOURS), outputs=2, axis=1)
    closeness = graph.add("ReduceMean", nearest, axes=[1], keepdims=1)
    unusual = graph.add("Sub", graph.floats(float(head.usual)), closeness)
    against = graph.add("Mul", unusual, graph.floats(float(head.crowding) / GUARD))
    against = graph.add("Clip", against, graph.floats(-LIMIT), graph.floats(LIMIT))
    left = graph.add("Sub", graph.floats(LIMIT**2), graph.add("Mul", against, against))
    rest = graph.add("Sqrt", graph.add("Max", left, graph.floats(0.0)))
    share = float(head.image_share)
    scaled = graph.add("Concat", ours, against, rest, axis=1)
    scaled = graph.add("Mul", scaled, graph.floats(share**0.5))
    theirs = graph.add("Mul", conse, graph.floats((1 - share) ** 0.5))
    return graph.normalised(graph.add("Concat", scaled, theirs, axis=1))


def text_nodes(graph: Graph, head: Head, features: str, sentence: str, names: Tensor) -> str:
    """As Head.texts."""
    share = text_share(graph, head, sentence, names)
    ours = mapped(graph, head.text, features)
    guard = graph.add("Mul", graph.add("Sqrt", share), graph.floats(GUARD))
    nothing = graph.add("Mul", share, graph.floats(0.0))
    scaled = graph.add("Mul", ours, graph.add("Sqrt", share))
    rest = graph.add("Sqrt", graph.add("Sub", graph.floats(1.0), share))
    theirs = graph.add("Mul", sentence, rest)
    return graph.normalised(graph.add("Concat", scaled, guard, nothing, theirs, axis=1))


def text_share(graph: Graph, head: Head, sentence: str, names: Tensor) -> str:
    """As Head.text_share."""
    low, high = (float(value) for value in head.likeness)
    scene, thing = float(head.scene_share), float(head.thing_share)
    products = graph.add("MatMul", sentence, graph.constant(names.T.numpy()))
    closest = graph.add("ReduceMax", products, axes=[1], keepdims=1)
    above = graph.add("Sub", closest, graph.floats(low))
    part = graph.add("Div", above, graph.floats(high - low))
    part = graph.add("Clip", part, graph.floats(0.0), graph.floats(1.0))
    change = graph.add("Mul", part, graph.floats(thing - scene))
    return graph.add("Add", change, graph.floats(scene))


def image_features(graph: Graph, tower: ImageTower) -> tuple[str, str]:
    """As ImageTower.features, of the input `pixels`; gives back the ConSE vectors beside it."""
    backbone: Any = tower.backbone
    planes = nodes.standardised_pixels(graph, MEAN, STD)
    pooled, stages = efficientnet(graph, backbone, planes)
    classifier = weights_of(backbone.classifier)
    logits = graph.linear(pooled, classifier["weight"], classifier["bias"])
    vectors = conse_nodes(graph, tower.conse, logits)
    return graph.add("Concat", pooled, *stages, vectors, axis=1), vectors


def image_graph(tower: ImageTower) -> onnx.ModelProto:
    """The image tower as ONNX: `pixels` -> `vectors`."""
    graph = Graph()
    features, vectors = image_features(graph, tower)
    if tower.head is None:
        return graph.model([nodes.pixels_input(SIDE)], vectors, WIDTH)
    vectors = picture_nodes(graph, tower.head, features, vectors)
    return graph.model([nodes.pixels_input(SIDE)], vectors, tower.head.width)


def text_graph(tower: TextTower) -> onnx.ModelProto:
    """The text tower as ONNX: `tokens` -> `vectors`."""
    graph = Graph()
    weights = weights_of(tower.minilm)
    hidden = middle = nodes.bert_embeddings(graph, weights, EPSILON)
    mask = nodes.token_mask(graph)
    bias = nodes.attention_bias(graph, mask)
    for number in range(1, LAYERS + 1):
        prefix = f"encoder.layer.{number - 1}"
        hidden = nodes.bert_layer(graph, hidden, bias, weights, prefix, HEADS, EPSILON)
        if number == MIDDLE:
            middle = hidden
    mean = nodes.token_mean(graph, hidden, mask)
    sentence = graph.normalised(mean)
    if tower.head is None:
        return graph.model([nodes.tokens_input()], sentence, WIDTH)
    pools = [nodes.token_mean(graph, middle, mask), nodes.token_maximum(graph, middle, mask)]
    features = graph.add("Concat", mean, *pools, axis=1)
    vectors = text_nodes(graph, tower.head, features, sentence, tower.conse.names)
    return graph.model([nodes.tokens_input()], vectors, tower.head.width)
