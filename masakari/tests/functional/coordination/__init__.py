"""Locks on real etcd, Redis and ZooKeeper."""
