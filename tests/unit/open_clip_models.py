"""Small open_clip models with random weights, in directories that `local-dir:` and a hub can serve.

Each has the same code, shapes and options as its namesake, with fewer and narrower layers.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import open_clip
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer

CLIP_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]
OPENAI_STD = [0.26862954, 0.26130258, 0.27577711]
OPENAI = {"mean": OPENAI_MEAN, "std": OPENAI_STD}
SIGLIP = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}

SENTENCES = [
    "sunset over the ocean",
    "a dog playing in the park",
    "two children blowing out candles of a birthday cake",
    "ein roter Bus fährt über die Brücke",
    "el gato duerme en la ventana",
    "le chat dort sur le canapé",
    "собака играет в парке",
    "海边的日落",
    "the quick brown fox jumps over the lazy dog",
]


def vit(side: int = 224, *, quick_gelu: bool = False, **vision: Any) -> dict[str, Any]:
    """A ViT with patches of 32, as ViT-B-32 but two layers of width 128."""
    return {
        "embed_dim": 64,
        "quick_gelu": quick_gelu,
        "vision_cfg": {
            "image_size": side,
            "layers": 2,
            "width": 128,
            "patch_size": 32,
            **vision,
        },
        "text_cfg": dict(CLIP_TEXT),
    }


def resnet() -> dict[str, Any]:
    """As RN50, with one block a stage and a quarter of the width."""
    return {
        "embed_dim": 64,
        "quick_gelu": True,
        "vision_cfg": {
            "image_size": 224,
            "layers": [1, 1, 1, 1],
            "width": 16,
            "patch_size": None,
        },
        "text_cfg": dict(CLIP_TEXT),
    }


def siglip(vocabulary: int) -> dict[str, Any]:
    """As ViT-B-16-SigLIP: a timm tower with attention pooling, a text tower that is not causal."""
    return {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 224,
            "timm_model_name": "vit_tiny_siglip_for_tests",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 64,
            "vocab_size": vocabulary,
            "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 64,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
        },
    }


def xlm_roberta(tower: str) -> dict[str, Any]:
    """As xlm-roberta-base-ViT-B-32, the text tower's configuration in the directory `tower`."""
    return {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 224, "layers": 2, "width": 128, "patch_size": 32},
        "text_cfg": {
            "hf_model_name": tower,
            "hf_tokenizer_name": "xlm-roberta-base",
            "hf_pooler_type": "mean_pooler",
        },
    }


@timm.models.register_model
def vit_tiny_siglip_for_tests(pretrained: bool = False, **options: Any) -> VisionTransformer:
    shape = {
        "patch_size": 16,
        "embed_dim": 64,
        "depth": 2,
        "num_heads": 2,
        "class_token": False,
        "global_pool": "map",
    }
    # A name that timm knows: the shape is what counts.
    name = "vit_base_patch16_siglip_224"
    return _create_vision_transformer(name, pretrained=pretrained, **{**shape, **options})


def save_model(
    directory: str, config: dict[str, Any], preprocess: dict[str, Any] = OPENAI, seed: int = 7
) -> str:
    """Writes configuration and random weights; gives back the `local-dir:` spec."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "open_clip_config.json"), "w") as stream:
        json.dump({"model_cfg": config, "preprocess_cfg": preprocess}, stream)
    torch.manual_seed(seed)
    with quiet():
        model = open_clip.create_model(
            f"local-dir:{directory}", load_weights=False, pretrained_text=False
        )
    state = {name: enlivened(name, value) for name, value in model.state_dict().items()}
    save_file(state, os.path.join(directory, "open_clip_model.safetensors"))
    return f"local-dir:{directory}"


def enlivened(name: str, value: torch.Tensor) -> torch.Tensor:
    """Weights of a size that trained ones have.

    As initialised, activations stay so small that every activation function looks like a line and
    all pictures get the same vector: a comparison of vectors would see nothing.
    """
    value = value.detach().clone()
    if name.endswith("running_var") or value.ndim == 0 or not value.is_floating_point():
        return value.contiguous()
    if name.endswith("mlp.c_fc.bias"):
        # Where GELU and QuickGELU differ most in proportion; what comes of it is then amplified.
        value.normal_(-2.0, 0.3)
    elif value.ndim >= 2 and "embedding" not in name:
        fan_in = value[0].numel() if "text_projection" not in name else value.shape[0]
        gain = {"c_fc": 0.5, "c_proj": 20.0}.get(name.split(".")[-2:][0], 2.0)
        value.normal_(0.0, gain * fan_in**-0.5)
    elif "embedding" in name or (value.ndim == 1 and name.endswith("bias")):
        value.normal_(0.0, 0.3)
    return value.contiguous()


def open_clip_itself(spec: str) -> tuple[Any, Any, Any]:
    """(model, preprocess, tokenizer) as open_clip's own users get them."""
    with quiet():
        model, preprocess = open_clip.create_model_from_pretrained(spec)
    return model.eval(), preprocess, open_clip.get_tokenizer(spec)


def write_unigram_tokenizer(directory: str, *, kind: str) -> int:
    """A small SentencePiece-like tokenizer in files as transformers writes them; its vocabulary.

    `kind` is `t5` (SigLIP's: ends with </s>, which also pads) or `xlm-roberta` (<s> ... </s>).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaTokenizerFast

    names = {
        "t5": ["<pad>", "</s>", "<unk>"],
        "xlm-roberta": ["<s>", "<pad>", "</s>", "<unk>"],
    }[kind]
    if kind == "xlm-roberta":
        names.append("<mask>")
    # Counted, not trained: tokenizers' trainer gives another vocabulary each time.
    words = [f"\u2581{word}" for sentence in SENTENCES for word in sentence.split()]
    counts = Counter([*words, *"".join(words)])
    pieces = [(piece, math.log(counts[piece] / counts.total())) for piece in sorted(counts)]
    specials = [(name, 0.0) for name in names]
    rust = Tokenizer(models.Unigram([*specials, *pieces], names.index("<unk>"), False))
    rust.pre_tokenizer = pre_tokenizers.Metaspace()
    rust.decoder = decoders.Metaspace()
    rust.add_special_tokens(names)
    end = ("</s>", rust.token_to_id("</s>"))
    if kind == "t5":
        rust.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[end])
        wrapped = PreTrainedTokenizerFast(
            tokenizer_object=rust, pad_token="</s>", eos_token="</s>", unk_token="<unk>"
        )
    else:
        start = ("<s>", rust.token_to_id("<s>"))
        rust.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[start, end]
        )
        wrapped = PreTrainedTokenizerFast(
            tokenizer_object=rust,
            bos_token="<s>",
            eos_token="</s>",
            sep_token="</s>",
            cls_token="<s>",
            unk_token="<unk>",
            pad_token="<pad>",
            mask_token="<mask>",
        )
        assert XLMRobertaTokenizerFast is not None
    wrapped.save_pretrained(directory)
    return int(rust.get_vocab_size())


def write_xlm_roberta(directory: str, vocabulary: int) -> None:
    """The configuration of a tiny XLM-R, as a text tower's `hf_model_name` points to."""
    from transformers import XLMRobertaConfig

    XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=82,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        type_vocab_size=1,
    ).save_pretrained(directory)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """open_clip warns of what is meant here: a model without weights."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
