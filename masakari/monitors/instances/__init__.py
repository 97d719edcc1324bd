"""The instance monitor: it hears from libvirt and from guests which VMs have failed."""
