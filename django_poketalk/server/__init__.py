"""The service's side: the Click-2-Call API, self-hosted, with a switch that rings the phones."""
