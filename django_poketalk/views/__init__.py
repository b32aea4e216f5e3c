"""What answers HTTP on the caller's side: `calls` for people, `events` for the service."""
