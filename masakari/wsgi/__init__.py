"""What WSGI servers load; they need what our programs need before other libraries are imported."""

import masakari.cmd  # noqa: F401  oslo.service must not choose eventlet
