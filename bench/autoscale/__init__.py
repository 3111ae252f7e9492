"""Scaling policies on a simulated fleet; `python -m bench.autoscale --help` says how."""
