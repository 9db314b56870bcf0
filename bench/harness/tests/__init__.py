"""Tests of the harness: bench/selftest runs them."""
