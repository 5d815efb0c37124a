"""The harness: a real broker with real keys and the generated permissions, real listeners, and the real server that the
official client starts. Every part ends with its owner, uses free ports and temporary folders, and waits for events with
a deadline."""

from .case import Case, Newest, Older
from .host import WAIT, Host, tell
from .seen import DEADLINE, Seen
from .session import Progress, Session, text_of

__all__ = ["DEADLINE", "WAIT", "Case", "Host", "Newest", "Older", "Progress", "Seen", "Session", "tell", "text_of"]
