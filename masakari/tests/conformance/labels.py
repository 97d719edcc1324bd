"""Answers in a form that is the same in every run: what varies becomes a label."""

import re

HEADERS = (
    "content-type",
    "openstack-api-version",
    "vary",
    "www-authenticate",
    "location",
    "allow",
    "retry-after",
    "x-openstack-request-id",
)
"""What is compared of the headers."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
_REQUEST_ID = re.compile(r"req-[0-9a-f-]{36}")
_LONG_RUN = re.compile(r"(.)\1{200,}")


class Labels:
    """Remembers which uuid was seen first in which case.  A time becomes 9999-99-99T99:99:99."""

    def __init__(self, literal, replacements):
        """*literal* uuids stay; *replacements*, {text: label}, come first."""
        self._literal = literal
        self._replacements = replacements
        self._labels = {}
        self._case, self._fresh = "", 0

    def begin(self, case):
        """What is seen from now on is named after *case*."""
        self._case, self._fresh = case, 0

    def headers(self, headers):
        """Those that are compared."""
        return {name: self.text(headers[name]) for name in HEADERS if name in headers}

    def json(self, value, key=None):
        """A document; *key* is the name of the property whose value it is."""
        if isinstance(value, dict):
            return {self.text(name): self.json(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.json(item, key) for item in value]
        if isinstance(value, str):
            return self.text(value)
        return "<int>" if key == "id" and isinstance(value, int) else value

    def text(self, text):
        for known, label in self._replacements.items():
            text = text.replace(known, label)
        text = _REQUEST_ID.sub("<req-id>", text)
        text = UUID.sub(lambda found: self._uuid(found[0]), text)
        text = _TIME.sub(lambda found: re.sub(r"\d", "9", found[0]), text)
        return _LONG_RUN.sub(lambda found: f"<{len(found[0])} x {found[1]}>", text)

    def _uuid(self, uuid):
        if uuid in self._literal:
            return uuid
        if uuid not in self._labels:
            self._fresh += 1
            self._labels[uuid] = f"<uuid {self._fresh} of {self._case}>"
        return self._labels[uuid]
