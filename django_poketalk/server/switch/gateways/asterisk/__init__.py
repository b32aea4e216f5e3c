"""Real phones through Asterisk's REST interface (ARI): one WebSocket for events, HTTP for requests.

`gateway` is the interface to the switch; `stasis` manages our legs on one Asterisk, `originations`
rings their phones, `bridges` plays the ringing tone and connects the phones, `hang_ups` retries
hang-ups, and `connection` sends the requests and reads the WebSocket. `channel_ids`, `causes` and
`redirections` are pure. Media stays in Asterisk, where a mixing bridge connects both phones.
"""
