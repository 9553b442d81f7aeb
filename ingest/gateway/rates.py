"""How much one device may send: a token bucket that costs one subtraction a frame."""


class RateBucket:
    """Frames that a device has left; refilled only when they run out.

    Use: ``bucket.left -= 1`` with each frame, and when that is negative, wait `refill(now)` seconds.
    """

    __slots__ = ("_burst", "_filled_at", "_rate", "left")

    def __init__(self, frames_per_s: float, now: float) -> None:
        """A full bucket: one second's worth, at least one frame; without limit if the rate is 0."""
        self._rate = frames_per_s
        self._burst = max(1.0, frames_per_s)
        self._filled_at = now
        self.left = self._burst if frames_per_s else float("inf")

    def refill(self, now: float) -> float:
        """Add what the time since brought; returns the seconds until a frame may pass, 0 if it may now."""
        self.left = min(self._burst, self.left + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return 0.0 if self.left >= 0 else -self.left / self._rate
