"""The rules of a healthy tree, judged over a stream of entries."""
