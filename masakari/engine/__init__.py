"""Recovery: from an accepted notification to VMs that run again."""
