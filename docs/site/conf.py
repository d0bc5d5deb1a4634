"""How does Sphinx turn the pages that assemble.py lays out into a site?"""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "slowpoint"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # links to headings as on GitHub
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
smartquotes = False  # the prime of x' stays one
toc_object_entries = False  # the files of a room are enough
html_theme = "furo"
html_title = "slowpoint"
html_static_path = ["static"]
html_css_files = ["slowpoint.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def show_inline(writer, node):
    """A formula in a line, as MathML: no script, nothing fetched."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def show_block(writer, node):
    """A formula of its own."""
    writer.body.append(f"<div>{convert(node.astext(), display='block')}</div>")
    raise SkipNode


def setup(app):
    """Sphinx calls it."""
    app.add_html_math_renderer("mathml", (show_inline, None), (show_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
