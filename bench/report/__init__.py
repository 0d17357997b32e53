"""From the records of a run to its tables: pure functions; only ``files`` touches the disk."""
