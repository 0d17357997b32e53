"""The harness: plan, run, record, report."""
