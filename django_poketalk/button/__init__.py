"""Call buttons: their signed tokens, their rendering, and links for the numbers in a page."""
