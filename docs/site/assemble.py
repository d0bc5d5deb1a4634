"""Which pages does the site have? README and docs as they are, the gallery and the API.

`python assemble.py FOLDER` lays them out for Sphinx. The pages are written for whoever reads
them in the repository; here their links are turned to where a page is on the site.
"""

import itertools
import os
import pathlib
import re
import shutil
import sys

import api
import gallery

ROOT = pathlib.Path(__file__).parents[2]
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
GROUPS = {  # pages in their order; those that are not named come under "Findings"
    "Start": ["quickstart", "coming_from_*", "bring_your_own", "faq"],
    "Ideas": ["background", "how_to_choose", "many_networks"],
    "Findings": ["*"],
    "Reference": ["gallery", "api/index", "structure", "contributing", "changelog"],
}
LINK = re.compile(r"(\]\(<?)([^)\s>#]+)(#[^)\s>]*)?")
FENCE = re.compile(r"^( *```+).*?^\1 *$", re.M | re.S)


def place(file: pathlib.Path) -> str:
    """Where the site has the `file` of the repository, both from their roots."""
    if file.parts[:2] == ("src", "slowpoint"):
        room = file.parts[2] if len(file.parts) > 2 else "index"
        return f"api/{room.removesuffix('.py')}.md"
    if file.parts[0] == "docs":
        return file.relative_to("docs").as_posix()
    return MOVED.get(file.as_posix(), file.as_posix())


def turned(text: str, page: pathlib.Path) -> str:
    """The `text` of `page` with its relative links as the site needs them."""
    here = pathlib.PurePosixPath(place(page)).parent

    def turn(match):
        if re.match(r"[a-z]+:", match[2]):
            return match[0]
        target = pathlib.Path(os.path.normpath(page.parent / match[2]))
        return f"{match[1]}{os.path.relpath(place(target), here)}{match[3] or ''}"

    ends = [0, *(i for block in FENCE.finditer(text) for i in block.span()), len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(ends)]
    return "".join(p if i % 2 else LINK.sub(turn, p) for i, p in enumerate(parts))


def tree(pages: list[str]) -> str:
    """The site's table of contents, each page of `pages` once."""
    left, found = set(pages), {}
    for group, patterns in sorted(GROUPS.items(), key=lambda item: "*" in item[1]):
        found[group] = []
        for pattern in patterns:
            match = sorted(p for p in left if pathlib.PurePath(p).match(pattern))
            found[group] += match
            left -= set(match)
    lines = []
    for group in GROUPS:
        lines += [
            "```{toctree}",
            ":hidden:",
            f":caption: {group}",
            "",
            *found[group],
            "```",
            "",
        ]
    return "\n".join(lines)


def assemble(folder: pathlib.Path) -> None:
    """Lay out everything anew in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", folder / "images")
    for name in ("LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder / name)
    for page in [*map(ROOT.joinpath, MOVED), *sorted((ROOT / "docs").glob("*.md"))]:
        page = page.relative_to(ROOT)
        (folder / place(page)).write_text(turned((ROOT / page).read_text(), page))
    (folder / "gallery.md").write_text(gallery.page(ROOT, folder))
    api.write(ROOT / "src" / "slowpoint", folder / "api")
    pages = [p.stem for p in folder.glob("*.md") if p.stem != "index"] + ["api/index"]
    with (folder / "index.md").open("a") as index:
        index.write(f"\n{tree(pages)}")


if __name__ == "__main__":
    assemble(pathlib.Path(sys.argv[1]))
