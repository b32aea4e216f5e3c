#!/bin/sh
# Runs Kamailio with the edge's configuration (docs/howto/sip/kamailio-edge.cfg) for the address EDGE,
# such as 203.0.113.7:5080, and the trunk TRUNK, such as sip:trunk.example.com:5060;transport=tcp.
# Arguments are passed on to Kamailio.
set -eu
: "${EDGE:?}" "${TRUNK:?}" "${CONFIG:=/etc/kamailio/edge.cfg}" "${RESULT:=/tmp/kamailio.cfg}"
sed -e "s|!EDGE![^!]*!|!EDGE!$EDGE!|" -e "s|!TRUNK![^!]*!|!TRUNK!$TRUNK!|" "$CONFIG" >"$RESULT"
[ "$#" -gt 0 ] || set -- -DD -E
exec kamailio "$@" -f "$RESULT"
