"""What callers can do: functions that make plans, and those that read."""
