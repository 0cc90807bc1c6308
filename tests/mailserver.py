"""A mail server for tests, of real sockets."""

from __future__ import annotations

import socketserver


class MailServer(socketserver.ThreadingTCPServer):
    """A mail server that takes mails, or answers recipients and contents as it is told to."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.mails: list[str] = []
        self.recipient, self.content = "250 OK", "250 OK"
        self.recipients: dict[str, str] = {}


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 here")
        for line in self.rfile:
            verb = line.decode().split()[0].upper()
            if verb == "QUIT":
                return self.say("221 bye")
            if verb == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                self.server.mails.append("".join(lines))
                self.say(self.server.content)
            else:
                address = line.decode().strip().removeprefix("rcpt TO:")
                answer = self.server.recipients.get(address, self.server.recipient)
                self.say(answer if verb == "RCPT" else "250 OK")
        return None

    def say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())
