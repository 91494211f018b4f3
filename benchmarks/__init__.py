"""Measures geuwsgi and its peers in one run: `python -m benchmarks --help`.

Nothing here is imported by the package. Every server runs on one core and the load
comes from the other; servers take turns, so what disturbs the machine disturbs all.
"""
