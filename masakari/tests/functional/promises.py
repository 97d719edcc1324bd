"""What may not happen even once: a test that sees it gets no second attempt."""


class Broken(AssertionError):
    """A VM ran twice, or was moved twice; what the simulated cloud has seen is in the message."""


def keep(cloud):
    """No VM has run on two hosts at a time, or was evacuated again while it was on its way."""
    if violations := cloud.violations(proof=False):
        raise Broken("; ".join(violations))


def evacuated_once(cloud, host, victims):
    """Each of the host's VMs (names) runs elsewhere, once, and Nova was asked once to move it."""
    keep(cloud)
    running = cloud.running()
    elsewhere = {vm: running[vm] for vm in victims}
    if not all(len(hosts) == 1 and host not in hosts for hosts in elsewhere.values()):
        raise Broken(f"the VMs of {host} run on {elsewhere}")
    asked = [e.server_id for e in cloud.ledger.evacuations if e.source == host]
    if not len(asked) == len(set(asked)) == len(victims):
        raise Broken(f"{len(victims)} VMs of {host}, evacuations of {asked}")
