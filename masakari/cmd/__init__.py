"""Entry points: each parses its options, wires the parts, and runs until it is told to stop.

oslo.service, which oslo.messaging imports, must learn that we use threads before that happens.
"""

import warnings

from oslo_service import backend

# oslo.messaging imports eventlet, which says at length that nobody should; we use no part of it
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

backend.init_backend(backend.BackendType.THREADING)
