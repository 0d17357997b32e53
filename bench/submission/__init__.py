"""A submission to the GLUE server: its files, who answers them, and a check of it all."""
