"""Teacher and student: encoders, where they come from, how one learns, what makes them fast."""
