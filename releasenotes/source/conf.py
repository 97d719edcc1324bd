"""How Sphinx builds the release notes."""

project = "Masakari release notes"
copyright = "Masakari developers"
extensions = ["reno.sphinxext"]
html_theme = "alabaster"
