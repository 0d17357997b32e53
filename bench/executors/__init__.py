"""Ways to run cells: in this process or in a pool of processes."""
