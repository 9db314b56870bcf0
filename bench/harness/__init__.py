"""The benchmark driver: see bench/README.md for how a figure is made."""
