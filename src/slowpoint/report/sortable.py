"""A table whose rows are put in order by a click or a key on the head of a column."""

import dataclasses
import html
from collections.abc import Sequence

# numbers as numbers, words as words, what is empty last; without scripts it stays a table
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const order = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const last = row => row[0] === "" || row[0] === "nan";
    [...body.rows].map(row => [row.cells[column].textContent, row])
      .sort((a, b) => last(a) - last(b) || (up ? 1 : -1) * order(a[0], b[0]))
      .forEach(row => body.append(row[1]));
  }));
}
"""
LINES = 3  # of a long head


@dataclasses.dataclass(frozen=True)
class Sortable:
    """Rows under heads that are buttons; scrolls sideways and down."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self) -> str:
        """Its HTML and its few lines of script."""
        heads = "".join(
            f'<th scope="col" style="min-width: {_width(word)}ch">'
            f'<button type="button">{html.escape(word)}</button></th>'
            for word in self.head
        )
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        label = html.escape(self.caption, quote=True)
        return (
            f'<div class="wide tall" role="region" aria-label="{label}" tabindex="0">'
            f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody>'
            f"</table></div><script>{SCRIPT}</script>"
        )


def _width(head: str) -> int:
    """Characters a column needs so that its head takes some three lines, with room around."""
    longest = max(map(len, head.split()), default=0)
    return max(longest, len(head) // LINES) + 4
