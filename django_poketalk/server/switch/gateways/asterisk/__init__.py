"""Real phones by way of Asterisk's REST interface (ARI): one WebSocket for events, HTTP for
requests.

`gateway` is the switch's side; `stasis` has our legs on one Asterisk, `hang_ups` the hang-ups that
have to be repeated, and `connection` the requests and the WebSocket. `channel_ids` and `causes`
are pure. Media stays in Asterisk, where a mixing bridge connects both phones.
"""
