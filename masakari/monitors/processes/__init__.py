"""The process monitor: it watches what must run on a compute host, and starts it again."""
