"""Benchmarks: ``python -m bench`` runs the ``run()`` of every ``bench_*`` module."""
