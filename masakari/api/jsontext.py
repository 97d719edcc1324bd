"""JSON out, as fast as what is installed allows."""

import json
from typing import Any

try:
    import orjson  # type: ignore[import-not-found]
except ImportError:  # not a requirement

    def dumps(value: dict[str, Any]) -> bytes:  # JSON: values of every kind
        """As bytes."""
        return json.dumps(value, separators=(",", ":")).encode()
else:

    def dumps(value: dict[str, Any]) -> bytes:  # JSON: values of every kind
        """As bytes."""
        encoded: bytes = orjson.dumps(value)
        return encoded
