"""A call's life, for people: what was sent and told, in words and as a picture."""
