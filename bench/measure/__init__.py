"""What retrieval costs at inference: latency and memory, each cell alone in a process."""
