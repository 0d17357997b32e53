"""Ways to run cells: here, in this process, or in a pool of processes."""
