"""Every setting there is: one table of name, type, default and help, and where values come from.

Order of precedence: flag, environment (`IMGQ_<NAME>`), config.toml, default. Settings that are also
changed by command (model, folders) live in the library; see `Settings.is_explicit`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from imgqd.errors import UsageError

Value = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `choices` where only some words are allowed, `minimum` for numbers."""

    name: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None


# What everyday photos show; one word each where there is one, since all models know those.
CATEGORIES = (
    *("people", "child", "baby", "crowd", "wedding", "party", "concert", "sports"),
    *("dog", "cat", "horse", "bird", "wild animal", "fish", "insect", "reptile"),
    *("flower", "tree", "forest", "garden", "mushroom", "mountain", "beach", "sea", "lake"),
    *("river", "waterfall", "sunset", "snow", "desert", "sky", "night"),
    *("city", "street", "building", "church", "castle", "bridge", "house", "room", "kitchen"),
    *("office", "shop", "food", "fruit", "drink", "cake"),
    *("car", "truck", "bicycle", "motorcycle", "train", "boat", "airplane"),
    *("document", "screenshot", "diagram", "sign", "drawing", "painting", "sculpture"),
    *("toy", "clothing", "jewelry", "furniture", "electronics", "musical instrument", "tool"),
)

TABLE: tuple[Setting, ...] = (
    Setting(
        "model",
        "auto",
        "auto, builtin, builtin:conse, ARCH/PRETRAINED, hf-hub:ORG/NAME or local-dir:PATH",
    ),
    Setting("models_dir", "", "where model artifacts are kept; empty is the data folder's models/"),
    Setting("device", "auto", "what encodes pictures", choices=("auto", "cpu", "cuda", "mps")),
    Setting("http_port", 0, "loopback port for HTTP; 0 is off", minimum=0),
    Setting("http_host", "127.0.0.1", "address that http_port is opened on"),
    Setting(
        "http_allow_lan",
        False,
        "let http_host be an address that others reach: token and photos cross the net unencrypted",
    ),
    Setting("http_fetch_urls", False, "fetch the URLs of examples for callers over HTTP as well"),
    Setting("web", True, "serve the page that imgq --web opens, to this machine only"),
    Setting(
        "web_port",
        0,
        "port of the page; 0 is a free one, kept from then on; with http_port that one",
        minimum=0,
    ),
    Setting("index", "auto", "auto, exact, compact, or a FAISS factory string such as HNSW32"),
    Setting("exclude", [], "glob patterns of paths to leave out, beside the built-in ones"),
    Setting("follow_links", False, "follow symbolic links below watched folders"),
    Setting(
        "min_side", 32, "leave out pictures whose shorter side is below this many pixels", minimum=0
    ),
    Setting("watch_mode", "auto", "how changes are noticed", choices=("auto", "native", "poll")),
    Setting(
        "poll_interval_s", 30.0, "how often a folder that cannot be watched is walked", minimum=1
    ),
    Setting("settle_ms", 400, "a file must be unchanged this long before it is read", minimum=0),
    Setting(
        "reconcile_interval_s",
        3600.0,
        "how often every folder is walked to prove the library right",
        minimum=1,
    ),
    Setting("idle_unload_s", 60.0, "the image encoder ends after this much idle time", minimum=0),
    Setting(
        "orphan_keep_s",
        86400.0,
        "how long vectors of deleted pictures are kept, for files that move",
        minimum=0,
    ),
    Setting(
        "categories",
        list(CATEGORIES),
        "labels of which each picture gets the best fitting one; your own, in any words",
    ),
    Setting("max_pixels", 300_000_000, "larger pictures are a problem, not decoded", minimum=1),
    Setting("max_file_mb", 512, "larger files are a problem, not read", minimum=1),
    Setting("decode_timeout_s", 30.0, "deadline for decoding one file", minimum=0.1),
    Setting("decode_memory_mb", 2048, "memory limit of a decoder process", minimum=128),
    Setting("cores", 0, "how many cores indexing may use; 0 is all of them", minimum=0),
    Setting(
        "workers", 0, "decoder processes; 0 is one for each of those cores, at most 16", minimum=0
    ),
    Setting(
        "threads", 0, "threads of the image encoder; 0 is one for each of those cores", minimum=0
    ),
    Setting(
        "nice", 10, "how far the priority of indexing is lowered (0 not at all, to 19)", minimum=0
    ),
    Setting("on_battery", "pause", "what indexing does on battery power", choices=("pause", "run")),
    Setting("batch", 16, "pictures encoded at once on a CPU", minimum=1),
    Setting(
        "verify_deadline_ms", 40, "how long an answer may wait for lstat of its hits", minimum=1
    ),
    Setting("thumbnail_cache_mb", 512, "how large the cache of thumbnails may grow", minimum=1),
    Setting(
        "log_level", "info", "how much is logged", choices=("debug", "info", "warning", "error")
    ),
    Setting("log_queries", False, "write the text of queries to the log"),
    Setting("history", True, "remember what was asked, for imgq --history"),
    Setting(
        "count_words",
        True,
        "count the words of queries for `imgqd stats`; they stay in the library",
    ),
)
BY_NAME = {setting.name: setting for setting in TABLE}


def parse_value(setting: Setting, raw: object, where: str) -> Value:
    """Turns a TOML value or an environment string into the setting's type.

    Raises UsageError naming the setting, the place and what is allowed.
    """
    default = setting.default
    try:
        if isinstance(default, bool):
            if isinstance(raw, bool):
                return raw
            return {
                "1": True,
                "true": True,
                "yes": True,
                "on": True,
                "0": False,
                "false": False,
                "no": False,
                "off": False,
                "": False,
            }[str(raw).strip().lower()]
        if isinstance(default, list):
            if isinstance(raw, str):
                return [part for part in raw.split(os.pathsep) if part]
            if isinstance(raw, list) and all(isinstance(part, str) for part in raw):
                return list(raw)
            raise ValueError
        if isinstance(default, int | float):
            if isinstance(raw, bool):
                raise ValueError
            number = type(default)(str(raw))
            if number != number or (setting.minimum is not None and number < setting.minimum):
                raise ValueError
            return number
        if not isinstance(raw, str):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError):
        kind = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            list: "a list of texts",
        }.get(type(default), "a text")
        least = f" of at least {setting.minimum:g}" if setting.minimum is not None else ""
        raise UsageError(
            f"setting {setting.name} from {where}: {raw!r} is not {kind}{least}; "
            f"the default is {default!r}"
        ) from None
    if setting.choices and raw not in setting.choices:
        raise UsageError(
            f"setting {setting.name} from {where}: {raw!r} is not one of "
            f"{', '.join(setting.choices)}"
        )
    return raw


class Settings:
    """The effective values. `settings["name"]` is typed by helper methods text/number/flag/list."""

    def __init__(self, values: dict[str, Value], sources: dict[str, str]) -> None:
        self.values = values
        self.sources = sources

    @classmethod
    def load(
        cls,
        config_file: str,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, Value] | None = None,
    ) -> Settings:
        """Reads config.toml (missing is fine), the environment and flags.

        Raises UsageError for a broken file, an unknown key or a value of the wrong type.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Value] = {s.name: s.default for s in TABLE}
        sources = {s.name: "default" for s in TABLE}
        try:
            with open(config_file, "rb") as stream:
                stored = tomllib.load(stream)
        except FileNotFoundError:
            stored = {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(
                f"{config_file} cannot be read as settings: {error}; mend or remove it"
            ) from error
        for name, raw in stored.items():
            if name not in BY_NAME:
                raise UsageError(
                    f"{config_file}: there is no setting {name!r}; `imgqd config` lists them all"
                )
            values[name] = parse_value(BY_NAME[name], raw, config_file)
            sources[name] = "file"
        for setting in TABLE:
            variable = f"IMGQ_{setting.name.upper()}"
            if variable in environ:
                values[setting.name] = parse_value(setting, environ[variable], variable)
                sources[setting.name] = "environment"
        for name, value in (flags or {}).items():
            values[name] = parse_value(BY_NAME[name], value, f"--{name.replace('_', '-')}")
            sources[name] = "flag"
        return cls(values, sources)

    def text(self, name: str) -> str:
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def integer(self, name: str) -> int:
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        value = self.values[name]
        assert isinstance(value, int | float)
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.values[name]
        assert isinstance(value, bool)
        return value

    def texts(self, name: str) -> list[str]:
        value = self.values[name]
        assert isinstance(value, list)
        return value

    def is_explicit(self, name: str) -> bool:
        """True when the environment or a flag said so: that wins over what the library keeps."""
        return self.sources[name] in ("environment", "flag")
