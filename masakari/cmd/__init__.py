"""Entry points: each parses its options, wires the parts, and runs until it is told to stop.

oslo.service, which oslo.messaging imports, must learn that we use threads before that happens.
"""

import sys

from oslo_service import backend

# Libraries of OpenStack import eventlet wherever it is installed (oslo.service demands that), and
# we use no part of it: 18 MiB.  None means to Python that there is no such module.
sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]

backend.init_backend(backend.BackendType.THREADING)
