"""Teacher and student: encoders, where they come from, what makes them fast on a CPU."""
