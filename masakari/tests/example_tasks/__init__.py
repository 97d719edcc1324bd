"""A third party's project with tasks for recovery flows, which a test builds and installs."""
