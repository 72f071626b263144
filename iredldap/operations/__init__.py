"""Third floor: what one can do, a function per verb."""
