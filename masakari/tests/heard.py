"""Where events go in tests: an `events.Events` that keeps them."""

from masakari.events import Event


class Heard:
    """Keeps events, and which of them came together."""

    is_on = True

    def __init__(self) -> None:
        self.groups: list[tuple[Event, ...]] = []

    def send(self, *events: Event) -> None:
        """They came."""
        self.groups.append(events)

    @property
    def events(self) -> list[Event]:
        """All, oldest first."""
        return [event for group in self.groups for event in group]

    @property
    def types(self) -> list[str]:
        """Of all, oldest first."""
        return [event.type for event in self.events]

    def take(self) -> tuple[list[str], list[Event]]:
        """Types and events; they are forgotten."""
        taken = self.types, self.events
        self.groups = []
        return taken
