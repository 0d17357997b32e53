"""What cells leave behind: schemas, the store on disk, provenance."""
