"""The choice of a backend by measured times of search on this machine."""
