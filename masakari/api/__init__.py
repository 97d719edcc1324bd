"""The REST API: `app.make_app` assembles it; each resource is one module."""
