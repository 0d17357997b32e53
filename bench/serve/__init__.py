"""A saved classifier behind HTTP: what is asked, in which batches, and how it is answered."""
