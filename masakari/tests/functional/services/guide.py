"""What the installation guide has an administrator type and write."""

import re
import textwrap

from masakari.tests.functional.services.host import TREE

GUIDE = TREE / "doc/source/admin/installation.rst"
BLOCK = re.compile(
    r"^( *)\.\. code-block:: (sh|ini)\n(?: +:caption: (\S+)\n)?\n((?:(?:\1 {4}.*)?\n)+)",
    re.MULTILINE,
)
INCLUDED = re.compile(
    r"^\.\. literalinclude:: (\S+)\n +:language: \S+\n +:caption: (\S+)\n", re.MULTILINE
)


def steps():
    """(file, text) for each file of one controller, (None, commands) for each block of commands."""
    text = GUIDE.read_text().partition("\nTwo controllers\n")[0]
    found = [(file, textwrap.dedent(block)) for _, _, file, block in BLOCK.findall(text)]
    return [(file or None, block) for file, block in found]


def two_controllers():
    """As `steps`, where there are two; options that name no file are for masakari.conf."""
    text = GUIDE.read_text().partition("\nTwo controllers\n")[2].partition("\nWhich VMs\n")[0]
    included = [
        (file, (GUIDE.parent / name).resolve().read_text()) for name, file in INCLUDED.findall(text)
    ]
    blocks = [(kind, file, textwrap.dedent(block)) for _, kind, file, block in BLOCK.findall(text)]
    return included + [
        (file or (None if kind == "sh" else "/etc/masakari/masakari.conf"), block)
        for kind, file, block in blocks
    ]


def file(name, replaced):
    """All that the guide has in the file; *replaced* are {the guide's: ours}."""
    text = "\n".join(text for file, text in steps() + two_controllers() if file == name)
    for guides, ours in replaced.items():
        text = text.replace(guides, ours)
    return text
