"""An event's way to the row of its call, and the answer."""
