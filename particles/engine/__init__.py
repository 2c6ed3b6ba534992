"""The engine of populations: particles, their layout, schedules, starts, compiled steps."""
