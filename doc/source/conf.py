"""How Sphinx builds this documentation."""

import importlib.metadata
import pathlib
import sys
import warnings

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parents[1])]

# of libraries that import it without using it
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")

project = "Masakari"
copyright = "Masakari developers"
version = release = importlib.metadata.version("masakari")

extensions = ["masakari_reference", "sphinxcontrib.openapi"]
exclude_patterns = ["_generated"]
html_theme = "alabaster"
html_theme_options = {
    "description": "High availability for the instances of an OpenStack cloud",
    "page_width": "1080px",
    "sidebar_width": "230px",
    "fixed_sidebar": True,
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_show_sourcelink = False
html_static_path = []
nitpicky = True
