"""The harness: a real NATS server with real keys and the generated permissions, real listeners, and the real MCP server,
started by the official client. Every part is stopped with the test, uses free ports and temporary directories, and
waits for events with a deadline."""

from .case import Case, Newest, Older
from .host import WAIT, Host, progress_marker
from .message_log import DEADLINE, MessageLog
from .session import Progress, Session, text_of

__all__ = ["DEADLINE", "WAIT", "Case", "Host", "Newest", "Older", "Progress", "MessageLog", "Session", "progress_marker", "text_of"]
