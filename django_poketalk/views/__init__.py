"""The HTTP views of the caller's side: `events` and `webhooks` for services, the rest for users."""
