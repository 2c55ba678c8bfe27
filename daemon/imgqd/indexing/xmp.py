"""Reads XMP packets, XMP sidecar files and IPTC-IIM blocks into plain texts.

Runs only in decoder processes. XMP is parsed with expat, without document types (so no entities)
and with limits on size, depth and length. It knows where properties stand; what they mean for a
picture is metadata.py's business.
"""

from __future__ import annotations

import contextlib
from xml.parsers import expat

MAX_PACKET = 16 * 1024 * 1024
_MAX_DEPTH = 64
_MAX_ELEMENTS = 200_000
_MAX_VALUES = 1000
_MAX_VALUE = 64 * 1024

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_LISTS = frozenset({_RDF + "Alt", _RDF + "Bag", _RDF + "Seq"})
_NAMESPACES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
}
Properties = dict[str, list[str]]


class _Stop(Exception):
    """The document is not one we read on in."""


def read_xmp(packet: bytes) -> Properties:
    """Properties such as `dc:title`, each with its texts (`x-default` first). Never raises.

    A packet that breaks off or goes wrong gives what was read until there; one with a document
    type declaration gives nothing.
    """
    packet = packet.strip(b"\x00 \r\n\t")
    if not packet or len(packet) > MAX_PACKET:
        return {}
    reader = _Reader()
    with contextlib.suppress(expat.ExpatError, _Stop, ValueError, LookupError):
        reader.parser.Parse(packet, True)
    return {} if reader.refused else reader.found


class _Reader:
    """Follows the three shapes in which RDF writes a property (ISO 16684-1, section 7)."""

    def __init__(self) -> None:
        self.found: Properties = {}
        self.refused = False
        self._path: list[str] = []
        self._elements = 0
        self._property: str | None = None
        self._property_depth = 0
        self._has_items = False
        self._text: list[str] | None = None
        self._length = 0
        self._default = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _doctype(self, *_: object) -> None:
        self.refused = True
        raise _Stop

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._path) >= _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise _Stop
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        depth = len(self._path)
        if name == _RDF + "Description" and parent == _RDF + "RDF":
            for attribute, value in attributes.items():
                key = _short(attribute)
                if key is not None:
                    self._keep(key, value)
        elif parent == _RDF + "Description" and depth >= 3 and self._path[-3] == _RDF + "RDF":
            self._property, self._property_depth = _short(name), depth
            self._has_items = False
            self._begin_text()
        elif name == _RDF + "li" and parent in _LISTS and depth == self._property_depth + 2:
            self._has_items = True
            self._begin_text()
            self._default = attributes.get(_LANGUAGE, "") == "x-default"

    def _end(self, name: str) -> None:
        depth = len(self._path)
        self._path.pop()
        if self._property is None:
            return
        if depth == self._property_depth + 2 and name == _RDF + "li":
            self._keep(self._property, self._taken_text(), first=self._default)
        elif depth == self._property_depth:
            if not self._has_items:
                self._keep(self._property, self._taken_text())
            self._property = None

    def _characters(self, data: str) -> None:
        if self._text is not None and self._property is not None and self._length < _MAX_VALUE:
            self._text.append(data)
            self._length += len(data)

    def _begin_text(self) -> None:
        self._text, self._length, self._default = [], 0, False

    def _taken_text(self) -> str:
        text = "".join(self._text or ())
        self._text = None
        return text

    def _keep(self, key: str, value: str, *, first: bool = False) -> None:
        values = self.found.setdefault(key, [])
        value = value[:_MAX_VALUE].strip()
        if value and len(values) < _MAX_VALUES:
            values.insert(0 if first else len(values), value)


def _short(name: str) -> str | None:
    space, _, local = name.rpartition(" ")
    prefix = _NAMESPACES.get(space)
    return None if prefix is None else f"{prefix}:{local}"


# The datasets of IPTC-IIM 4.2 that are used, of its record 2.
_TITLE, _KEYWORD, _DATE, _TIME, _CAPTION = 5, 25, 55, 60, 120
_IPTC = {_TITLE: "title", _KEYWORD: "keywords", _DATE: "date", _TIME: "time", _CAPTION: "caption"}


def read_iptc(block: bytes) -> Properties:
    """`title`, `caption`, `keywords`, `date` and `time` of an IPTC-IIM block. Never raises."""
    found: Properties = {}
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        record, dataset = block[at + 1], block[at + 2]
        length = int.from_bytes(block[at + 3 : at + 5], "big")
        if length >= 0x8000 or at + 5 + length > len(block):
            break  # an extended dataset (no text has that length), or the end is missing
        key = _IPTC.get(dataset) if record == 2 else None
        if key is not None and len(found.setdefault(key, [])) < _MAX_VALUES:
            raw = block[at + 5 : at + 5 + length]
            try:
                found[key].append(raw.decode("utf-8"))
            except UnicodeDecodeError:
                found[key].append(raw.decode("latin-1"))
        at += 5 + length
    return found
