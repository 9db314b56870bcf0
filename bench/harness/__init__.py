"""The benchmark driver. bench/README.md describes how the figures are measured."""
