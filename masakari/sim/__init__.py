"""The simulated cloud, the simulated time, and whole systems run on both."""
