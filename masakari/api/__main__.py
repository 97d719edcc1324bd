"""`python -m masakari.api` writes the table of operations, `operations.txt`, anew."""

import pathlib

from masakari.api import operation, policy  # noqa: F401  policy imports every resource

if __name__ == "__main__":
    pathlib.Path(__file__).with_name("operations.txt").write_text(operation.table())
