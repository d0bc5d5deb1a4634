"""One file is one figure or table of a paper. No experiment knows another."""
