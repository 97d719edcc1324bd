"""What WSGI servers load.

oslo.service must learn that we use threads before oslo.messaging is imported.
"""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)
