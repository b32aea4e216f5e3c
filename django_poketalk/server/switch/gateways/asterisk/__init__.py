"""Real phones by way of Asterisk's REST interface (ARI): one WebSocket for what happens, HTTP for
what is wanted.

`gateway` is the switch's side, `calls` are our calls on one Asterisk, `connection` is the way
there. `names` and `causes` are pure. Media is Asterisk's own affair: both phones are in a mixing
bridge of its.
"""
