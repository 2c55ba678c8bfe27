"""The open_clip source: any model that open_clip 3 can name becomes two towers.

Responsible for configuration (QuickGELU and preprocessing as the weights want them), for loading
weights safely and strictly, and for text towers that can be cut at their end. Imports torch: only
ever used in a child process.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
import logging
import os
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.factory import _find_checkpoint_in_dir
from open_clip.transform import PreprocessCfg
from open_clip.transformer import TextTransformer, text_global_pool
from torch import nn

from imgqd.errors import ModelError, UsageError
from imgqd.models import download
from imgqd.models.artifact import Progress
from imgqd.models.download import Report
from imgqd.models.export import ImageTower, TorchForm, export_model
from imgqd.models.openclip_tokenizer import write_tokenizer
from imgqd.models.spec import Spec
from imgqd.records import Preprocess

_CONFIG = "open_clip_config.json"

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a model comes from. `config` is open_clip_config.json, `home` its directory or None."""

    config: dict[str, Any]
    weights: str
    home: str | None = None


def build(spec: Spec, directory: str, report: Report) -> dict[str, Any]:
    """Fetches, loads and exports `spec` into `directory`; gives back its part of the manifest."""
    found = _locate(spec, report)
    report(Progress("load", str(spec), 0, 1))
    config, hub_config = _with_local_tower(found, report)
    model, preprocess = _create(config)
    load_strictly(model, read_weights(found.weights), str(spec))
    tokenizer = write_tokenizer(directory, config["model_cfg"], found.home, report)
    image, text = _towers(model, preprocess)
    return export_model(
        directory,
        image=image,
        text=text,
        text_reference=model.encode_text,
        preprocess=preprocess,
        tokenizer=tokenizer,
        report=report,
        torch_form=lambda: TorchForm(
            {"open_clip": found.config, "hub": hub_config}, dict(model.state_dict())
        ),
    )


def load_torch(path: str, manifest: dict[str, Any], which: str) -> nn.Module:
    """Tower `which` (`image` or `text`) as a torch module, from the artifact at `path`."""
    from safetensors.torch import load_file

    saved = manifest["torch"]
    config = copy.deepcopy(saved["config"]["open_clip"])
    with tempfile.TemporaryDirectory() as scratch:
        if saved["config"]["hub"] is not None:
            _write_json(os.path.join(scratch, "config.json"), saved["config"]["hub"])
            config["model_cfg"]["text_cfg"]["hf_model_name"] = scratch
        model, preprocess = _create(config)
    model.load_state_dict(load_file(os.path.join(path, saved["file"])), strict=True)
    image, text = _towers(model, preprocess)
    return image if which == "image" else text


def _locate(spec: Spec, report: Report) -> _Found:
    if spec.kind == "open_clip":
        return _locate_listed(spec, report)
    if spec.kind == "hf-hub":
        path = download.fetch(spec.name, _CONFIG, report)
        assert path is not None
        config = _read_config(path, str(spec))
        return _Found(config, download.weights(spec.name + "/", report))
    config = _read_config(os.path.join(spec.name, _CONFIG), str(spec))
    from pathlib import Path

    weights = _find_checkpoint_in_dir(Path(spec.name))
    if weights is None:
        raise ModelError(
            f"model {spec}: {spec.name} holds no weights; put open_clip_model.safetensors there"
        )
    return _Found(config, str(weights), spec.name)


def _locate_listed(spec: Spec, report: Report) -> _Found:
    tags = open_clip.list_pretrained_tags_by_model(spec.name)
    tag = open_clip.get_pretrained_cfg(spec.name, spec.pretrained)
    if not tag or not tag.get("hf_hub"):
        close = difflib.get_close_matches(spec.pretrained, tags, 3)
        listed = close or tags[:10]
        hint = f"it lists {', '.join(listed)}" if listed else "it lists no weights for it at all"
        raise UsageError(
            f"model {spec}: open_clip lists no weights {spec.pretrained!r} for {spec.name}; {hint}"
        )
    model_config = copy.deepcopy(open_clip.get_model_config(spec.name))
    # open_clip only warns when weights trained with QuickGELU meet a configuration without it, and
    # runs plain GELU. Where the tag says nothing, the architecture's own word stands.
    if "quick_gelu" in tag:
        model_config["quick_gelu"] = tag["quick_gelu"]
    config = {"model_cfg": model_config, "preprocess_cfg": _plain(tag)}
    return _Found(config, download.weights(tag["hf_hub"], report))


def _plain(tag: dict[str, Any]) -> dict[str, Any]:
    names = ("mean", "std", "interpolation", "resize_mode", "fill_color")
    return {name: tag[name] for name in names if name in tag}


def _read_config(path: str, spec: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            config = json.load(stream)
    except FileNotFoundError:
        raise ModelError(
            f"model {spec}: {path} is missing; a model directory holds {_CONFIG}, the weights and, "
            "where the model wants one, its tokenizer"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"model {spec}: {path} cannot be read: {error}") from error
    try:
        if (
            not isinstance(config["model_cfg"]["text_cfg"], dict)
            or "vision_cfg" not in (config["model_cfg"])
        ):
            raise KeyError("vision_cfg")
    except (KeyError, TypeError):
        raise ModelError(
            f"model {spec}: {path} is no configuration of open_clip: it lacks model_cfg with "
            "vision_cfg and text_cfg"
        ) from None
    return dict(config)


def _with_local_tower(
    found: _Found, report: Report
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The configuration with a text tower of transformers resolved: (config, the tower's own)."""
    config = copy.deepcopy(found.config)
    text = config["model_cfg"]["text_cfg"]
    name = text.get("hf_model_name")
    if not name:
        return config, None
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise ModelError(
            f"the text tower of this model ({name}) needs the package transformers; install it "
            "with: pip install transformers"
        ) from None
    if os.path.isdir(name):
        path = os.path.join(name, "config.json")
    else:
        path = download.fetch(name, "config.json", report) or ""
        text["hf_model_name"] = os.path.dirname(path)
    try:
        with open(path, encoding="utf-8") as stream:
            return config, dict(json.load(stream))
    except (OSError, ValueError) as error:
        raise ModelError(f"the text tower's {path} cannot be read: {error}") from error


def _create(config: dict[str, Any]) -> tuple[Any, Preprocess]:
    """open_clip's model for a configuration, its weights still random, and its preprocessing."""
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        _write_json(os.path.join(scratch, _CONFIG), config)
        try:
            model = open_clip.create_model(
                f"local-dir:{scratch}",
                load_weights=False,
                pretrained_text=False,
                precision="fp32",
                device="cpu",
            )
        except Exception as error:  # a configuration can be wrong in any way
            raise ModelError(
                f"open_clip {open_clip.__version__} cannot make this model: "
                f"{type(error).__name__}: {error}; check {_CONFIG}, or update open_clip_torch"
            ) from error
    return model.eval(), preprocess_of(PreprocessCfg(**model.visual.preprocess_cfg))


def preprocess_of(config: PreprocessCfg) -> Preprocess:
    """open_clip's preprocessing for inference (open_clip.transform.image_transform_v2), as data."""
    size = config.size if isinstance(config.size, (tuple, list)) else (config.size, config.size)
    height, width = (int(size[0]), int(size[-1]))
    mean, std = (
        tuple(values) if isinstance(values, (tuple, list)) else (values,) * 3
        for values in (config.mean, config.std)
    )
    interpolation = "bilinear" if config.interpolation == "bilinear" else "bicubic"
    if config.resize_mode == "shortest" and height != width:
        # open_clip passes no interpolation on in this one case.
        interpolation = "bicubic"
    return Preprocess(
        height=height,
        width=width,
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
        interpolation=interpolation,
        resize_mode=config.resize_mode,
        fill_color=int(config.fill_color),
    )


def read_weights(path: str) -> State:
    """The tensors of a checkpoint, by name. Nothing in the file is ever executed.

    Raises ModelError for a file that is damaged or that could only be read unsafely.
    """
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return dict(load_file(path, device="cpu"))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise ModelError(_unreadable(path, error)) from error
    except Exception as error:  # safetensors and the unpickler have errors of their own
        raise ModelError(_unreadable(path, error)) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not state:
        raise ModelError(f"{path} holds no weights by name; choose another file")
    if all(str(name).startswith("module.") for name in state):
        state = {name[len("module.") :]: tensor for name, tensor in state.items()}
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def load_strictly(model: nn.Module, state: State, spec: str) -> None:
    """Loads `state` into `model`: every tensor of the same name and shape, none left on either side.

    What open_clip itself converts (old names, MobileCLIP's, the shape of the logit scale) is
    converted; it also stretches position embeddings to another size, which is refused here.
    Raises ModelError naming what does not fit.
    """
    state = dict(open_clip.factory.convert_state_dict(model, state))
    wanted = model.state_dict()
    if "positional_embedding" in state and "positional_embedding" not in wanted:
        state = dict(open_clip.factory.convert_to_custom_text_state_dict(state))
    for name in ("logit_scale", "logit_bias"):
        if name in state and name in wanted and state[name].numel() == wanted[name].numel():
            state[name] = state[name].reshape(wanted[name].shape)
    if "logit_bias" in wanted and "logit_bias" not in state:
        state["logit_bias"] = torch.zeros_like(wanted["logit_bias"])
    position_ids = "text.transformer.embeddings.position_ids"
    if position_ids not in wanted:
        state.pop(position_ids, None)
    faults = [f"{name} is missing" for name in wanted if name not in state]
    faults += [f"{name} has no place" for name in state if name not in wanted]
    faults += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ModelError(
            f"model {spec}: weights and architecture do not belong together: "
            f"{'; '.join(faults[:3])}{more}; choose the architecture that the weights were made for"
        )
    model.load_state_dict(state, strict=True)


def _towers(model: Any, preprocess: Preprocess) -> tuple[nn.Module, nn.Module]:
    image = ImageTower(model.visual, preprocess)
    return image.eval(), TextTower(model).eval()


class TextTower(nn.Module):
    """(n, length) int64 ids -> (n, dim) float32, L2-normalised, for any length up to the context.

    open_clip adds position embeddings and masks of the full length; here they are cut to the
    length of the input, which at full length is the same computation.
    """

    attn_mask: torch.Tensor | None

    def __init__(self, model: Any) -> None:
        super().__init__()
        tower: Any = getattr(model, "text", None)
        self.plain = isinstance(model, open_clip.CLIP)
        self.native = self.plain or type(tower) is TextTransformer
        if self.plain:
            self.transformer, self.token_embedding = model.transformer, model.token_embedding
            self.ln_final = model.ln_final
            self.positional_embedding = model.positional_embedding
            self.text_projection = model.text_projection
            self.register_buffer("attn_mask", model.attn_mask, persistent=False)
            self.pool_type, self.eos_id = model.text_pool_type, model.text_eos_id
        self.tower: Any = None if self.plain else tower

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.plain:
            x = self._plain(tokens)
        elif self.native:
            x = self._custom(tokens)
        else:
            x = self.tower(tokens)
        if isinstance(x, tuple):
            x = x[0]
        return nn.functional.normalize(x.to(torch.float32), dim=-1)

    def _plain(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        mask = None if self.attn_mask is None else self.attn_mask[:length, :length]
        x = self.ln_final(self.transformer(x, attn_mask=mask))
        x = text_global_pool(x, tokens, self.pool_type, eos_token_id=self.eos_id)
        return _project(x, self.text_projection)

    def _custom(self, tokens: torch.Tensor) -> torch.Tensor:
        tower = self.tower
        x, mask = tower._embeds(tokens)
        if mask is not None:
            mask = mask[..., : x.shape[1], : x.shape[1]]
        x = tower.transformer(x, attn_mask=mask)
        if tower.cls_emb is not None:
            x = tower.ln_final(text_global_pool(x, pool_type="last"))
        else:
            x = tower.ln_final(x)
            x = text_global_pool(x, tokens, tower.pool_type, eos_token_id=tower.eos_id)
        return _project(x, tower.text_projection)


def _project(x: torch.Tensor, projection: Any) -> torch.Tensor:
    if projection is None:
        return x
    result: torch.Tensor = projection(x) if isinstance(projection, nn.Linear) else x @ projection
    return result


def _unreadable(path: str, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"the weights in {path} cannot be read safely: {said}; the file is damaged, or it is not "
        "plain weights (safetensors is best); fetch it again or choose another model"
    )


def _write_json(path: str, values: dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(values, stream)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """open_clip warns that the model it was asked to leave empty is empty."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
