"""One box of text instead of a command line: the page's search box, and `q` of the API.

`cat + dog^2 -"two people" -snow id:12`: TEXT as query.py knows it, `-` before what the pictures
must not be, `id:N` for an example, and quotes around what is to be taken as it stands.
"""

from __future__ import annotations

from imgq.errors import UsageError
from imgq.query import BOX, checked_text, text_term, weighted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgq.query import Request


class _Piece:
    """A word, or several in quotes; `weight` as written, from its ^ on."""

    __slots__ = ("negative", "quoted", "text", "weight")

    def __init__(self, text: str, *, negative: bool, quoted: bool, weight: str = "") -> None:
        self.text = text
        self.negative = negative
        self.quoted = quoted
        self.weight = weight


def box_terms(text: str) -> list[Request]:
    """The terms of a box; none of an empty one. Raises UsageError.

    A `+` with nothing on one side adds nothing: a box is read while somebody is typing in it.
    """
    terms: list[Request] = []
    others: list[Request] = []
    part: list[_Piece] = []
    for piece in _pieces(text):
        if piece.text == "+" and not piece.quoted and not piece.negative:
            _finish(part, terms)
        elif piece.negative:
            others.append({**_term(piece), "negative": True})
        elif not piece.quoted and _is_id(piece.text):
            others.append(_term(piece))
        else:
            part.append(piece)
    _finish(part, terms)
    return terms + others


def _finish(part: list[_Piece], terms: list[Request]) -> None:
    """The words collected so far become one term."""
    if len(part) == 1:
        terms.append(_term(part[0]))
    elif any(piece.quoted for piece in part):
        terms.append(_joined(part))
    elif part:
        terms.append(text_term(" ".join(piece.text for piece in part), BOX))
    part.clear()


def _joined(part: list[_Piece]) -> Request:
    """Words of which some are in quotes, where ^ is no weight, as one term."""
    written, caret = "", -1
    for piece in part:
        written += " " if written else ""
        begins = len(written) + (len(piece.text) if piece.quoted else 0)
        written += piece.text + piece.weight
        at = written.rfind("^", begins)
        caret = at if at >= 0 else caret
    if caret < 0:
        return {"text": checked_text(written, BOX)}
    # A ^ that is left there stands in quotes behind the weight, which makes no sense of it.
    weight = weighted(f"x^{written[caret + 1 :].replace('^', ' ')}", BOX)[1]
    return {"text": checked_text(written[:caret], BOX), "weight": weight}


def _term(piece: _Piece) -> Request:
    if piece.quoted:
        term: Request = {"text": checked_text(piece.text, BOX)}
        if piece.weight:
            term["weight"] = weighted(f"x{piece.weight}", BOX)[1]
        return term
    if _is_id(piece.text):
        name, weight = weighted(piece.text, BOX)
        digits = name[3:]
        if not (digits.isascii() and digits.isdigit() and 0 < len(digits) <= 18):
            raise UsageError(f"{BOX}: {name!r} is not the id of a picture, such as id:12")
        term = {"id": int(digits)}
        return term if weight == 1.0 else {**term, "weight": weight}
    return text_term(piece.text, BOX)


def _is_id(text: str) -> bool:
    return text[:3].lower() == "id:"


def _pieces(text: str) -> list[_Piece]:
    pieces = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        negative = text[position] == "-" and text[position + 1 : position + 2].strip() != ""
        start = position + negative
        if text[start] == '"':
            end = text.find('"', start + 1)
            end = len(text) if end < 0 else end
            rest = position = min(end + 1, len(text))
            while position < len(text) and not text[position].isspace():
                position += 1
            after = text[rest:position]
            weight = after if after.startswith("^") else ""
            if not weight:
                # `"black cat"s`: the rest is a word of its own.
                position = rest
            if text[start + 1 : end].strip():
                body = text[start + 1 : end].strip()
                pieces.append(_Piece(body, negative=negative, quoted=True, weight=weight))
            continue
        end = start
        while end < len(text) and not text[end].isspace():
            end += 1
        pieces.append(_Piece(text[start:end], negative=negative, quoted=False))
        position = end
    return pieces
