"""Entry points: each parses its options, wires the parts, and runs until it is told to stop.

oslo.service, which oslo.messaging imports, must learn that we use threads before that happens.
"""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)
