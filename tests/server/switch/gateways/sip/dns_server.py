"""A DNS server on loopback, which knows only SRV records."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class DnsServer:
    """Answers with `records`: names and their SRV data, such as `10 1 5060 localhost.`

    Without `answers`, it receives queries but does not respond. `queries` are the names.
    """

    def __init__(self, bound: socket.socket) -> None:
        self.records: dict[str, list[str]] = {}
        self.answers = True
        self.queries: list[str] = []
        self._socket = bound

    def resolver(self) -> dns.asyncresolver.Resolver:
        """A resolver that asks this server alone."""
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self._socket.getsockname()[1]
        return resolver

    def serve(self) -> None:
        """Answer queries until an empty datagram arrives."""
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            name = question.name.to_text().rstrip(".")
            self.queries.append(name)
            if self.answers:
                self._socket.sendto(self._response(query, name).to_wire(), client)

    def _response(self, query: dns.message.Message, name: str) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if records := self.records.get(name):
            question = query.question[0]
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "SRV", *records))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response


@contextmanager
def running_dns_server() -> Iterator[DnsServer]:
    """Run a DNS server in a thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        server = DnsServer(bound)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            bound.sendto(b"", bound.getsockname())
            thread.join(10)
