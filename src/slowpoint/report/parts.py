"""The parts a page is made of: words, lists, tables, pictures. Each knows its own HTML."""

import base64
import dataclasses
import html
from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Part(Protocol):
    """Anything that can be put on a page."""

    def html(self) -> str:
        """Its HTML, every foreign word escaped."""
        ...


@dataclasses.dataclass(frozen=True)
class Words:
    """A paragraph; `kind` "note" or "warn" puts it in a box."""

    text: str
    kind: str = ""

    def html(self) -> str:
        name = {"note": ' class="note"', "warn": ' class="note warn"'}.get(self.kind, "")
        return f"<p{name}>{html.escape(self.text)}</p>"


@dataclasses.dataclass(frozen=True)
class Items:
    """A list of sentences."""

    sentences: Sequence[str]

    def html(self) -> str:
        rows = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.sentences)
        return f"<ul>{rows}</ul>"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under a heading; scrolls sideways where the window is narrow."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: tuple[int, ...] = ()  # columns of sentences: they wrap

    def html(self) -> str:
        kind = [' class="words"' if i in self.words else "" for i in range(len(self.head))]
        head = "".join(
            f'<th scope="col"{k}>{html.escape(word)}</th>' for k, word in zip(kind, self.head)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{k}>{html.escape(str(cell))}</td>" for k, cell in zip(kind, row))
            + "</tr>"
            for row in self.rows
        )
        label = html.escape(self.caption, quote=True)
        return (
            f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure inside the page, with words for those who can't see it."""

    png: bytes
    caption: str
    alt: str

    def html(self) -> str:
        data = base64.b64encode(self.png).decode()
        alt = html.escape(self.alt, quote=True)
        return (
            f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


@dataclasses.dataclass(frozen=True)
class Live:
    """HTML that a library of ours made: a picture that can be turned."""

    body: str
    caption: str

    def html(self) -> str:
        return (
            f"<figure>{self.body}<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    parts: Sequence[Part]
